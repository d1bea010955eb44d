-- An order changes its status later; the time at which it was made does not move then.
ALTER TABLE stock_order
  MODIFY COLUMN create_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP;
