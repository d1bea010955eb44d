-- Payments that are to be refunded: somebody paid for units that he does not get. The shop writes
-- `refunded_at` when the money is on its way; nobody else does.
CREATE TABLE stock_refund (
  sid         INT UNSIGNED    NOT NULL COMMENT 'stock.id',
  epoch       BIGINT UNSIGNED NOT NULL COMMENT 'with seq: the reservation',
  seq         BIGINT UNSIGNED NOT NULL,
  uid         VARCHAR(128)    NOT NULL COMMENT 'buyer',
  qty         INT UNSIGNED    NOT NULL COMMENT 'units',
  due_at      BIGINT UNSIGNED NOT NULL COMMENT 'since when, Unix time in ms',
  reason      ENUM('late_payment', 'no_units', 'no_order') NOT NULL COMMENT 'paid after the hold had ended; MySQL had no units; MySQL takes no order',
  refunded_at TIMESTAMP       NULL DEFAULT NULL COMMENT 'NULL: still due',
  rid         VARCHAR(41) CHARACTER SET ascii COLLATE ascii_bin
    GENERATED ALWAYS AS (CONCAT(epoch, '-', seq)) VIRTUAL,
  PRIMARY KEY (sid, epoch, seq),
  KEY stock_refund_due (refunded_at, due_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
