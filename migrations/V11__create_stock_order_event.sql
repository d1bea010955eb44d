-- What became of each order: one row a step, written in the transaction that makes it. The first step
-- of an order has no row: `stock_order` tells it (created by its own event at `create_time`, as
-- `held`, or as `confirmed` where `deadline` is NULL), unless MySQL refused the order.
CREATE TABLE stock_order_event (
  sid         INT UNSIGNED    NOT NULL COMMENT 'stock.id',
  epoch       BIGINT UNSIGNED NOT NULL COMMENT 'with seq: the reservation',
  seq         BIGINT UNSIGNED NOT NULL,
  event_epoch BIGINT UNSIGNED NOT NULL COMMENT 'with event_seq: the event that caused the step; of a step without one, the last event applied before it',
  event_seq   BIGINT UNSIGNED NOT NULL,
  at          BIGINT UNSIGNED NOT NULL COMMENT 'when it was decided, Unix time in ms',
  from_status ENUM('held', 'confirmed', 'cancelled', 'expired', 'refused') NULL COMMENT 'NULL: there was no order before',
  to_status   ENUM('held', 'confirmed', 'cancelled', 'expired', 'refused') NOT NULL,
  who         ENUM('module', 'worker', 'recover', 'reconcile') NOT NULL,
  note        VARCHAR(500)    NOT NULL DEFAULT '' COMMENT 'for people',
  uid         VARCHAR(128)    NULL COMMENT 'buyer, of an order that MySQL takes no row for',
  qty         INT UNSIGNED    NULL COMMENT 'units, of such an order',
  rid         VARCHAR(41) CHARACTER SET ascii COLLATE ascii_bin
    GENERATED ALWAYS AS (CONCAT(epoch, '-', seq)) VIRTUAL,
  PRIMARY KEY (sid, epoch, seq, event_epoch, event_seq, who)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
