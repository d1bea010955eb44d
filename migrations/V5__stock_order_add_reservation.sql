-- What Seckill knows of an order. The defaults suit the orders from before and the INSERTs of the
-- shop itself: one unit, sold. `uid` compares by bytes: buyers u7 and U7 are two.
-- `deadline` is a number like every other instant of the system: the same digits in a log line, in
-- an event and here, no time zone, and no end in 2038.
ALTER TABLE stock_order
  ADD COLUMN epoch BIGINT UNSIGNED NULL COMMENT 'with seq: the event that granted the units; NULL: not by Seckill',
  ADD COLUMN seq BIGINT UNSIGNED NULL,
  ADD COLUMN uid VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'buyer',
  ADD COLUMN qty INT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'units',
  ADD COLUMN status ENUM('held', 'confirmed', 'cancelled', 'expired', 'refused') NOT NULL DEFAULT 'confirmed',
  ADD COLUMN deadline BIGINT UNSIGNED NULL COMMENT 'until when the units are held, Unix time in ms; NULL: sold at once',
  ADD COLUMN stock_version INT NULL COMMENT 'stock.version from which on the order counts';
