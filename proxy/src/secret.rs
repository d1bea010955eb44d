//! Where a secret comes from: a file or the environment, never the configuration itself, which is
//! shown to people and kept in version control.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// More than any key or set of keys.
const BYTES_MAX: u64 = 1024 * 1024;

/// As long as the hash that it is used with: what is shorter is easier to guess than to break.
pub(crate) const SHARED_BYTES_MIN: usize = 32;

/// Where a secret comes from: `{ file = "/etc/seckill/k1" }` or `{ env = "SECKILL_K1" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) enum Source {
    /// A file's bytes.
    File(PathBuf),
    /// The value of a variable of the environment.
    Env(String),
}

/// What may stand in the configuration, and what may not: that is not repeated, it may be a secret.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Place(Place),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    File(PathBuf),
    Env(String),
}

// === impl Source ===

impl Source {
    /// What is there now.
    ///
    /// # Errors
    /// A sentence that names the place and not the secret.
    pub(crate) fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => {
                let mut bytes = Vec::new();
                File::open(path)
                    .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes))
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                Ok(bytes)
            }
            Self::Env(name) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|error| format!("cannot read {name} in the environment: {error}")),
        }
    }
}

impl TryFrom<Written> for Source {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Place(Place::File(path)) => Ok(Self::File(path)),
            Written::Place(Place::Env(name)) => Ok(Self::Env(name)),
            Written::Other(_) => Err(
                "expected { file = \"…\" } or { env = \"…\" }: a secret does not stand in the configuration itself",
            ),
        }
    }
}

/// The secret in a file that an editor or `echo` may have ended with a line end.
///
/// # Errors
/// It is too short to be one.
pub(crate) fn shared(bytes: &[u8]) -> Result<&[u8], String> {
    let secret = bytes.trim_ascii_end();
    if secret.len() < SHARED_BYTES_MIN {
        return Err(format!(
            "expected a secret of at least {SHARED_BYTES_MIN} bytes, for example from `openssl rand -hex 32`, not of {}",
            secret.len()
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_before_its_line_end_and_has_a_length_worth_the_name() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(shared(text.as_bytes()), Ok(text.as_bytes()));
        let line = format!("{text}\r\n");
        assert_eq!(shared(line.as_bytes()), Ok(text.as_bytes()));
        let short = shared(b"0123456789abcdef0123456789abcde\n").unwrap_err();
        assert!(short.contains("at least 32 bytes"), "{short}");
        assert!(short.ends_with("not of 31"), "{short}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = Source::File("/nowhere/k1".into()).read().unwrap_err();
        assert!(missing.contains("/nowhere/k1"), "{missing}");
        let unset = Source::Env("SECKILL_NO_SUCH_KEY".to_owned()).read();
        let unset = unset.unwrap_err();
        assert!(unset.contains("SECKILL_NO_SUCH_KEY"), "{unset}");
    }
}
