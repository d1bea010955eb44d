-- A stock's name may have 50 characters; an order that cannot hold it would be refused.
ALTER TABLE stock_order
  MODIFY COLUMN name VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT ''
    COMMENT 'stock.name at the time of the order';
