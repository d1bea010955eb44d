-- Letters of the dead topic that a person has dealt with: a topic cannot forget a single one.
CREATE TABLE stock_dead_letter (
  topic            VARCHAR(249)    NOT NULL COMMENT 'the dead topic',
  letter_partition INT             NOT NULL COMMENT 'where the letter lies',
  letter_offset    BIGINT          NOT NULL,
  sent_at          BIGINT          NOT NULL COMMENT 'when the letter was written, Unix time in ms: a topic that is made anew counts from 0 again',
  became           ENUM('replayed', 'dropped') NOT NULL,
  at               TIMESTAMP       NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (topic, letter_partition, letter_offset, sent_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
