-- How far each sale's log has been applied. The row is locked first in every transaction, and moves
-- with what it stands for; 0-0 is the place before the first event.
CREATE TABLE stock_cursor (
  sid   INT UNSIGNED    NOT NULL COMMENT 'stock.id',
  epoch BIGINT UNSIGNED NOT NULL,
  seq   BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
