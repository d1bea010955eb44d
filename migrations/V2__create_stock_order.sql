-- The order table that the tutorial's shops have. A shop that has it already keeps its own.
CREATE TABLE IF NOT EXISTS stock_order (
  id          INT UNSIGNED NOT NULL AUTO_INCREMENT,
  sid         INT          NOT NULL COMMENT 'stock.id',
  name        VARCHAR(30)  NOT NULL DEFAULT '' COMMENT 'stock.name at the time of the order',
  create_time TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
