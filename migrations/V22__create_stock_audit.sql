-- Who did what to a sale in the dashboard. A row is written before it is done; who wants to know what
-- happens next reads the module's events.
CREATE TABLE stock_audit (
  id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  at      BIGINT UNSIGNED NOT NULL COMMENT 'when it was asked for, Unix time in ms',
  who     VARCHAR(64)     NOT NULL COMMENT 'the name given at login',
  peer    VARCHAR(64)     NOT NULL COMMENT 'the address that connected',
  what    VARCHAR(500)    NOT NULL COMMENT 'such as pause, or restock +50',
  sale    VARCHAR(255)    NULL COMMENT 'its name; NULL: all of them',
  done    BOOLEAN         NULL COMMENT 'NULL: not known, the worker ended meanwhile',
  outcome VARCHAR(500)    NOT NULL DEFAULT '' COMMENT 'for people',
  PRIMARY KEY (id),
  KEY stock_audit_sale (sale, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
