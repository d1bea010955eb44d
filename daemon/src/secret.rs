//! Where a secret comes from: a file, a credential of systemd or the environment, never the
//! configuration itself, which is shown to people and kept in version control.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any password, key or set of keys.
const BYTES_MAX: u64 = 1024 * 1024;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret comes from: `{ file = "/etc/seckill/mysql" }`, `{ credential = "mysql" }` or
/// `{ env = "SECKILL_MYSQL_PASSWORD" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub enum Source {
    /// A file's bytes.
    File(PathBuf),
    /// The bytes of a credential that systemd has handed over.
    Credential(String),
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
    Credential(String),
    Env(String),
}

// === impl Source ===

impl Source {
    /// What is there now.
    ///
    /// # Errors
    /// A sentence that names the place and not the secret.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => read(path),
            Self::Credential(name) => {
                let folder = std::env::var_os(CREDENTIALS).ok_or_else(|| {
                    format!(
                        "{CREDENTIALS} is not set: systemd sets it for LoadCredential={name}:…; at a shell, set it to the folder with the file {name}"
                    )
                })?;
                read(&Path::new(&folder).join(name))
            }
            Self::Env(name) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|error| format!("cannot read {name} in the environment: {error}")),
        }
    }

    /// The password there; an editor or `echo` may have ended it with a line end.
    ///
    /// # Errors
    /// A sentence that begins with `key`.
    pub fn password(&self, key: &str) -> Result<String, String> {
        let bytes = self.read().map_err(|error| format!("{key}: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{key}: expected UTF-8"))?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(format!("{key}: is empty"));
        }
        Ok(password.to_owned())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(bytes)
}

impl TryFrom<Written> for Source {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Place(Place::File(path)) => Ok(Self::File(path)),
            Written::Place(Place::Credential(name)) => Ok(Self::Credential(name)),
            Written::Place(Place::Env(name)) => Ok(Self::Env(name)),
            Written::Other(_) => Err(
                "expected { file = \"…\" }, { credential = \"…\" } or { env = \"…\" }: a secret does not stand in the configuration itself",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let missing = Source::File("/nowhere/k1".into()).password("mysql.password");
        let missing = missing.unwrap_err();
        assert!(missing.starts_with("mysql.password: cannot read /nowhere/k1"));
        let unset = Source::Env("SECKILL_NO_SUCH_KEY".to_owned()).read();
        assert!(unset.unwrap_err().contains("SECKILL_NO_SUCH_KEY"));
        let empty = Source::File("/dev/null".into()).password("k");
        assert_eq!(empty.unwrap_err(), "k: is empty");
    }
}
