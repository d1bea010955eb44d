-- Reservations whose order is refused and that the module has not been told to cancel yet. A row
-- comes with the refused order and goes when the module has answered.
CREATE TABLE stock_refusal (
  sid   INT UNSIGNED    NOT NULL COMMENT 'stock.id',
  epoch BIGINT UNSIGNED NOT NULL COMMENT 'with seq: the reservation',
  seq   BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (sid, epoch, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
