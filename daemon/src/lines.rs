//! Which line of a file a key stands in.

use std::collections::HashMap;
use toml::de::{DeTable, DeValue};

/// The line of every key, from 1. A key is written as mistakes name it: `route[1].path`.
#[derive(Default)]
pub struct Lines(HashMap<String, usize>);

// === impl Lines ===

impl Lines {
    /// Of a file that is TOML; of any other there are none.
    pub fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            lines.enter(text, "", table.get_ref());
        }
        lines
    }

    fn enter(&mut self, text: &str, above: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = match above {
                "" => name.get_ref().to_string(),
                above => format!("{above}.{}", name.get_ref()),
            };
            self.0.insert(key.clone(), line_at(text, name.span().start));
            self.below(text, &key, value.get_ref());
        }
    }

    fn below(&mut self, text: &str, key: &str, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.enter(text, key, table),
            DeValue::Array(all) => {
                for (at, value) in all.iter().enumerate() {
                    let key = format!("{key}[{at}]");
                    let line = line_at(text, value.span().start);
                    self.0.insert(key.clone(), line);
                    self.below(text, &key, value.get_ref());
                }
            }
            _ => {}
        }
    }

    /// The line of a key, or else of what it should stand in.
    pub fn line(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(&line) = self.0.get(key) {
                return Some(line);
            }
            key = key.get(..key.rfind(['.', '['])?)?;
        }
    }
}

/// The line of a byte.
pub fn line_at(text: &str, byte: usize) -> usize {
    let before = text.get(..byte).unwrap_or_default();
    before.matches('\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line_and_what_is_missing_that_of_its_table() {
        let text = "listen = 1\n\n[redis]\nurl = 2\n[a.b]\nkeys.k1 = 3\n[buyer]\n\
            trusted = [\n  \"4\",\n  \"5\",\n]\n[[route]]\npath = 6\n[[route]]\n\
            mode = 7\npath = 8\n";
        let lines = Lines::of(text);
        for (key, line) in [
            ("listen", Some(1)),
            ("redis", Some(3)),
            ("redis.url", Some(4)),
            ("redis.deadline_ms", Some(3)),
            ("a.b", Some(5)),
            ("a.b.keys.k1", Some(6)),
            ("buyer.trusted[0]", Some(9)),
            ("buyer.trusted[1]", Some(10)),
            ("route[0]", Some(12)),
            ("route[0].path", Some(13)),
            ("route[0].mode", Some(12)),
            ("route[1].path", Some(16)),
            ("shop.upstream", None),
        ] {
            assert_eq!(lines.line(key), line, "{key}");
        }
    }
}
