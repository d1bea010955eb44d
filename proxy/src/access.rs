//! The access log: a line of JSON for each request that is over.
//!
//! Nothing in it lets its reader in anywhere: no header, no token, no query.

mod writer;

pub(crate) use crate::access::writer::Log;

use crate::code::Code;
use crate::config::Mistakes;
use http::Version;
use seckill_protocol::ReservationId;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The share of rejections that has a line unless said otherwise.
const REJECTIONS: f64 = 0.01;

/// Who may read the file besides its owner: his group, since addresses are personal.
const MODE: u32 = 0o640;

/// So much of a path is written. Its sender chose it, and it can be as long as a head.
const PATH_BYTES_MAX: usize = 1024;

/// `[access_log]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessLogTable {
    file: String,
    rejections: Option<f64>,
    buyers: Option<bool>,
}

/// What is written, and where.
#[derive(Debug)]
pub(crate) struct Access {
    target: Target,
    rejections: f64,
    /// Whether a line says who buys.
    pub(crate) buyers: bool,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
}

/// What one line says.
pub(crate) struct Line<'a> {
    /// When the request began.
    pub(crate) at: SystemTime,
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: &'a str,
    /// The pattern of the route, or the path where nobody guards.
    pub(crate) route: &'a str,
    pub(crate) sid: Option<&'a str>,
    pub(crate) code: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) rid: Option<ReservationId>,
    pub(crate) uid: Option<&'a str>,
    pub(crate) duration: Duration,
    pub(crate) redis: Option<Duration>,
    pub(crate) shop: Option<Duration>,
    pub(crate) bytes: usize,
    pub(crate) version: Version,
    pub(crate) reused: bool,
}

/// A line as it is written.
#[derive(Serialize)]
struct Written<'a> {
    ts: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    method: &'a str,
    route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shop_ms: Option<f64>,
    bytes: usize,
    http: &'a str,
    reused: bool,
}

// === impl Access ===

impl Access {
    /// Checks the table.
    pub(crate) fn new(table: &AccessLogTable, mistakes: &mut Mistakes) -> Option<Self> {
        let target = mistakes.note(Target::named(&table.file));
        let rejections = mistakes.note(match table.rejections {
            None => Ok(REJECTIONS),
            Some(share) if (0.0..=1.0).contains(&share) => Ok(share),
            Some(share) => Err(format!(
                "access_log.rejections: expected a share from 0.0 to 1.0, not {share}"
            )),
        });
        Some(Self {
            target: target?,
            rejections: rejections?,
            buyers: table.buyers.unwrap_or(false),
        })
    }

    /// Where the lines go.
    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether a request that came to this has a line. Of rejections, and of
    /// looks at a sale, it is a matter of chance.
    pub(crate) fn wants(&self, code: Code) -> bool {
        !code.comes_in_crowds() || fastrand::f64() < self.rejections
    }
}

// === impl Target ===

impl Target {
    fn named(file: &str) -> Result<Self, String> {
        let expected = "access_log.file: expected \"stdout\" or a file in a folder that is there";
        if file == "stdout" {
            return Ok(Self::Stdout);
        }
        let path = PathBuf::from(file);
        let folder = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => return Err(format!("{expected}, not {file:?}")),
        };
        if path.is_dir() || !folder.is_dir() {
            return Err(format!("{expected}, not {file:?}"));
        }
        Ok(Self::File(path))
    }

    fn open(&self) -> io::Result<Box<dyn io::Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File(path) => Box::new(appending(path)?),
        })
    }
}

fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
}

// === impl Line ===

impl Line<'_> {
    /// One line of JSON, whatever a client has put into it.
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Written {
            ts: humantime::format_rfc3339_millis(self.at).to_string(),
            client: self.client,
            method: self.method,
            route: shortened(self.route),
            sid: self.sid,
            code: self.code,
            status: self.status,
            rid: self.rid.map(|rid| rid.to_string()),
            uid: self.uid,
            duration_ms: milliseconds(self.duration),
            redis_ms: self.redis.map(milliseconds),
            shop_ms: self.shop.map(milliseconds),
            bytes: self.bytes,
            http: number(self.version),
            reused: self.reused,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

fn shortened(path: &str) -> &str {
    path.get(..path.floor_char_boundary(PATH_BYTES_MAX))
        .unwrap_or_default()
}

/// With three digits after the point.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

const fn number(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(rejections: f64) -> Access {
        Access {
            target: Target::Stdout,
            rejections,
            buyers: false,
        }
    }

    #[test]
    fn who_has_bought_is_always_written_and_who_has_not_by_his_share() {
        for _ in 0..1000 {
            assert!(access(0.0).wants(Code::Accepted));
            assert!(access(0.0).wants(Code::ShopUnavailable));
            assert!(!access(0.0).wants(Code::SoldOut));
            assert!(access(1.0).wants(Code::SoldOut));
        }
        let drawn = (0..100_000).filter(|_| access(0.1).wants(Code::SoldOut));
        assert!((9_000..11_000).contains(&drawn.count()));
    }

    #[test]
    fn a_line_is_one_line_of_json_whatever_the_client_said() {
        let long = format!("/{}", "ž".repeat(PATH_BYTES_MAX));
        for route in ["/a\"b\\c\n{}\u{1}\u{2028}", "/%0a", long.as_str()] {
            let line = Line {
                at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_800_000_123),
                client: Some([127, 0, 0, 1].into()),
                method: "G\"T",
                route,
                sid: None,
                code: "passed",
                status: None,
                rid: Some(ReservationId::new(7, 1)),
                uid: Some("ž\r\n\""),
                duration: Duration::from_micros(1_234),
                redis: None,
                shop: Some(Duration::from_millis(5)),
                bytes: 12,
                version: Version::HTTP_11,
                reused: true,
            };
            let text = String::from_utf8(line.to_json().unwrap()).unwrap();
            assert_eq!(text.find('\n'), Some(text.len() - 1), "{text}");
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["ts"], "2025-11-22T08:26:40.123Z");
            assert_eq!(json["duration_ms"], 1.234);
            assert_eq!(json["shop_ms"], 5.0);
            assert_eq!(json["rid"], "7-1");
            assert_eq!(json["uid"], "ž\r\n\"");
            assert_eq!(json.get("status"), None);
            let written = json["route"].as_str().unwrap();
            assert!(route.starts_with(written) && written.len() <= PATH_BYTES_MAX);
        }
    }

    #[test]
    fn a_file_needs_a_folder_that_is_there() {
        assert_eq!(Target::named("stdout"), Ok(Target::Stdout));
        assert!(Target::named("access.log").is_ok());
        for bad in ["", "/", ".", "/nowhere/access.log"] {
            let said = Target::named(bad).unwrap_err();
            assert!(said.starts_with("access_log.file: expected"), "{bad}");
        }
    }
}
