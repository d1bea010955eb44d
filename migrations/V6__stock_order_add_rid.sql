-- The reservation's id as the buyer and the logs spell it, for people who search.
ALTER TABLE stock_order
  ADD COLUMN rid VARCHAR(41) CHARACTER SET ascii COLLATE ascii_bin
    GENERATED ALWAYS AS (CONCAT(epoch, '-', seq)) VIRTUAL;
