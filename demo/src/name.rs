//! What the parts are called, by people and in `KILL`.

use std::fmt;
use std::str::FromStr;

/// A part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Redis,
    MariaDb,
    Kafka,
    Shop,
    Worker,
    Proxy,
    /// The proxy that browsers go to.
    Page,
}

// === impl Name ===

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "redis",
            Self::MariaDb => "mariadb",
            Self::Kafka => "kafka",
            Self::Shop => "shop",
            Self::Worker => "worker",
            Self::Proxy => "proxy",
            Self::Page => "page",
        })
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "redis" => Ok(Self::Redis),
            "mariadb" => Ok(Self::MariaDb),
            "kafka" => Ok(Self::Kafka),
            "shop" => Ok(Self::Shop),
            "worker" => Ok(Self::Worker),
            "proxy" => Ok(Self::Proxy),
            _ => Err("expected redis, mariadb, kafka, shop, worker or proxy".to_owned()),
        }
    }
}
