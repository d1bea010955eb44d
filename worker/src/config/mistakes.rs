//! What is wrong with a configuration.

use seckill_daemon::lines::{Lines, line_at};
use std::fmt;
use std::path::Path;

/// What is wrong with a configuration: one line a mistake.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

#[derive(Debug)]
struct Mistake {
    /// The file, and its line if that is known.
    place: Option<(String, Option<usize>)>,
    /// Begins with the key.
    text: String,
}

// === impl Mistakes ===

impl Mistakes {
    /// What TOML has to say. The line and not its text: a password may stand there.
    pub(super) fn of(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        Self(vec![Mistake {
            place: Some((String::new(), Some(line))),
            text: error.message().to_owned(),
        }])
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing, if there is none.
    ///
    /// # Errors
    /// All there are, each with its place in this file.
    pub(crate) fn none_in(self, path: &Path) -> Result<(), Self> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.located(path))
        }
    }

    /// Notes one mistake.
    pub(crate) fn add(&mut self, mistake: String) {
        self.0.push(Mistake {
            place: None,
            text: mistake,
        });
    }

    /// What is right, or else one more mistake.
    pub(crate) fn note<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }

    /// The same, each with its place in this file.
    pub(super) fn located(mut self, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = Lines::of(&text);
        let file = path.display().to_string();
        for mistake in &mut self.0 {
            let known = mistake.place.take().and_then(|(_, line)| line);
            let line = known.or_else(|| lines.line(mistake.text.split(": ").next()?));
            mistake.place = Some((file.clone(), line));
        }
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, Some(line))) => write!(f, "{file}:{line}: {}", self.text),
            Some((file, None)) => write!(f, "{file}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
