-- What the buyer asked with: a Redis that lost the reservation gets it back together with this, so
-- that his next question is still known to be the same one.
ALTER TABLE stock_order
  ADD COLUMN token VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'idempotency key';
