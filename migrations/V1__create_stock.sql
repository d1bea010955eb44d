-- The stock table that the tutorial's shops have. A shop that has it already keeps its own.
CREATE TABLE IF NOT EXISTS stock (
  id      INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name    VARCHAR(50)  NOT NULL DEFAULT '' COMMENT 'what is sold, for people',
  count   INT          NOT NULL COMMENT 'all units',
  sale    INT          NOT NULL COMMENT 'units that are gone',
  version INT          NOT NULL COMMENT 'optimistic lock: one more with every change',
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
