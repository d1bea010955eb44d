-- The options of each sale. They are in no event, so that a Redis which lost everything gets them
-- from here. `warm` reads and writes them, and the worker follows what SECKILL.ALTER changes.
-- A row may be there before its sale: `warm` takes the options from it.
CREATE TABLE stock_sale (
  sid         INT UNSIGNED    NOT NULL COMMENT 'stock.id',
  buyer_limit INT UNSIGNED    NOT NULL DEFAULT 1 COMMENT 'units a buyer may have; 0: no limit',
  start       BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Unix time in ms; 0: at once',
  end         BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Unix time in ms; 0: never',
  hold        BIGINT UNSIGNED NOT NULL DEFAULT 900000 COMMENT 'how long units are held unpaid, in ms; 0: sold at once',
  rate        INT UNSIGNED    NOT NULL DEFAULT 0 COMMENT 'accepted tries a second over the sale; 0: no limit',
  burst       INT UNSIGNED    NOT NULL DEFAULT 0 COMMENT 'as many of them at once; 0: as many as rate',
  user_rate   INT UNSIGNED    NOT NULL DEFAULT 0 COMMENT 'tries a second of one buyer; 0: no limit',
  user_burst  INT UNSIGNED    NOT NULL DEFAULT 0 COMMENT 'as many of them at once; 0: as many as user_rate',
  closed      BOOLEAN         NOT NULL DEFAULT FALSE COMMENT 'it was closed for good',
  opened      BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the epoch in which it was created: orders of earlier ones are of an earlier sale',
  recovering  BOOLEAN         NOT NULL DEFAULT FALSE COMMENT 'recover has paused it, and resumes it at its end',
  created     TIMESTAMP       NOT NULL DEFAULT CURRENT_TIMESTAMP,
  changed     TIMESTAMP       NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
