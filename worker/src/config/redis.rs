//! `[redis]`: where the sales are, in the words of the proxy's configuration.

use super::tls::{Tls, TlsTable};
use super::{Mistakes, REDIS_URL};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, TlsCertificates,
};
use seckill_daemon::secret::Source;
use serde::Deserialize;

/// Where the sales are, checked.
#[derive(Clone, Debug)]
pub(crate) struct Redis {
    /// How a Redis with the module is greeted, and where the only one is.
    pub(crate) server: ConnectionInfo,
    /// Which servers there are.
    pub(crate) layout: Layout,
    pub(crate) key_prefix: String,
}

/// Which servers there are.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// One.
    One,
    /// A primary and its replicas, and who knows which is which.
    Sentinels {
        sentinels: Vec<ConnectionInfo>,
        /// What they call the primary.
        master: String,
    },
    /// Many primaries; `seeds` are asked first who the others are.
    Cluster { seeds: Vec<ConnectionInfo> },
}

/// `[redis]` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RedisTable {
    url: Option<String>,
    password: Option<Source>,
    key_prefix: String,
    tls: Option<TlsTable>,
    sentinels: Option<Vec<String>>,
    master: Option<String>,
    cluster: Option<Vec<String>>,
}

// === impl Redis ===

impl Redis {
    /// Checks the table. `env`, if given, stands in for its url.
    pub(super) fn new(
        table: RedisTable,
        env: Option<String>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let tls = table
            .tls
            .map(|table| Tls::new("redis.tls", &table, mistakes));
        let password = table
            .password
            .map(|source| source.password("redis.password"));
        let password = mistakes.note(password.transpose())?;
        let server = mistakes.note(named(env.or(table.url)))?;
        let server = mistakes.note(proven(server, password))?;
        let server = match tls.map_or(Some(None), |tls| tls.map(Some))? {
            Some(tls) => mistakes.note(secured(server, tls))?,
            None => server,
        };
        let layout = layout(&server, table.sentinels, table.master, table.cluster);
        Some(Self {
            layout: mistakes.note(layout)?,
            server,
            key_prefix: table.key_prefix,
        })
    }
}

/// The text of the url stays out of the message: it may hold a password.
fn named(url: Option<String>) -> Result<ConnectionInfo, String> {
    let url =
        url.ok_or_else(|| format!("redis.url: missing; set it, or the environment's {REDIS_URL}"))?;
    greeted(&url).map_err(|error| {
        format!(
            "redis.url: expected redis://user:password@host:port/, or rediss:// for TLS ({error})"
        )
    })
}

fn proven(server: ConnectionInfo, password: Option<String>) -> Result<ConnectionInfo, String> {
    let Some(password) = password else {
        return Ok(server);
    };
    let who = server.redis_settings().clone();
    if who.password().is_some() {
        return Err(format!(
            "redis.password: not together with a password in redis.url or {REDIS_URL}"
        ));
    }
    Ok(server.set_redis_settings(who.set_password(password)))
}

fn greeted(url: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info();
    let info = info.map_err(|error| error.to_string())?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err("a server that cannot prove who it is is not asked: no #insecure".to_owned());
    }
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

fn layout(
    server: &ConnectionInfo,
    sentinels: Option<Vec<String>>,
    master: Option<String>,
    seeds: Option<Vec<String>>,
) -> Result<Layout, String> {
    let is_unix = matches!(server.addr(), ConnectionAddr::Unix(_));
    match (sentinels, master, seeds) {
        (None, None, None) => Ok(Layout::One),
        (None, Some(_), _) => Err("redis.master: only with redis.sentinels".to_owned()),
        (Some(_), _, Some(_)) => Err("redis.cluster: not together with redis.sentinels".to_owned()),
        _ if is_unix => Err("redis.url: expected redis:// or rediss:// here".to_owned()),
        (Some(_), None, None) => {
            Err("redis.master: missing; what the sentinels call the primary".to_owned())
        }
        (Some(sentinels), Some(master), None) => Ok(Layout::Sentinels {
            sentinels: places("redis.sentinels", &sentinels, |place| {
                sentinel(server, place)
            })?,
            master,
        }),
        (None, None, Some(_)) if server.redis_settings().db() != 0 => {
            Err("redis.url: expected database 0, the only one of a cluster".to_owned())
        }
        (None, None, Some(seeds)) => Ok(Layout::Cluster {
            seeds: places("redis.cluster", &seeds, |place| node(server, place))?,
        }),
    }
}

fn places(
    key: &str,
    places: &[String],
    read: impl Fn(&str) -> Option<ConnectionInfo>,
) -> Result<Vec<ConnectionInfo>, String> {
    if places.is_empty() {
        return Err(format!("{key}: expected at least one host:port"));
    }
    let read = |(index, place): (usize, &String)| {
        // A url may hold a password.
        read(place).ok_or_else(|| format!("{key}[{index}]: expected host:port"))
    };
    places.iter().enumerate().map(read).collect()
}

/// Greeted like the server, with its name and password.
fn node(server: &ConnectionInfo, place: &str) -> Option<ConnectionInfo> {
    let (host, port) = place.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_host = !host.is_empty() && !host.contains(['/', '@']);
    let port = port.parse().ok().filter(|&port| port > 0)?;
    is_host.then(|| at(server, host, port))
}

/// Greeted with nobody's name, unless it is given as a url.
fn sentinel(server: &ConnectionInfo, place: &str) -> Option<ConnectionInfo> {
    if !place.contains("://") {
        let anybody = RedisConnectionInfo::default();
        return node(&server.clone().set_redis_settings(anybody), place);
    }
    let own = greeted(place).ok()?;
    match (own.addr(), server.addr()) {
        // The certificates of `redis.tls` are for the sentinels, too.
        (ConnectionAddr::TcpTls { host, port, .. }, ConnectionAddr::TcpTls { .. }) => {
            Some(at(server, host, *port).set_redis_settings(own.redis_settings().clone()))
        }
        _ => Some(own),
    }
}

/// The way to a server that is greeted like another one.
pub(crate) fn at(like: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let address = match like.addr().clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    };
    like.clone().set_addr(address)
}

fn secured(server: ConnectionInfo, tls: Tls) -> Result<ConnectionInfo, String> {
    if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err("redis.tls: only with a redis.url that begins with rediss://".to_owned());
    }
    let client_tls = tls.identity.map(|own| ClientTlsConfig {
        client_cert: own.cert,
        client_key: own.key,
    });
    let certificates = TlsCertificates {
        client_tls,
        root_cert: tls.ca,
    };
    let client = Client::build_with_tls(server, certificates);
    let client = client.map_err(|error| format!("redis.tls: {error}"))?;
    Ok(client.get_connection_info().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Redis, String> {
        let table = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut mistakes = Mistakes::default();
        let redis = Redis::new(table, None, &mut mistakes);
        redis.ok_or_else(|| mistakes.to_string())
    }

    #[test]
    fn a_cluster_and_sentinels_are_greeted_like_the_server() {
        let cluster = read("url = 'rediss://w:x@no-host/'\ncluster = ['10.0.0.1:6379', '[::1]:1']");
        let Layout::Cluster { seeds } = cluster.expect("it is good").layout else {
            panic!("a cluster")
        };
        assert_eq!(seeds[0].addr().to_string(), "10.0.0.1:6379");
        assert_eq!(seeds[0].redis_settings().username(), Some("w"));
        assert!(matches!(seeds[1].addr(), ConnectionAddr::TcpTls { .. }));
        let sentinels = read(
            "url = 'redis://w:x@no-host/'\nmaster = 'm'\n\
             sentinels = ['10.0.0.1:26379', 'redis://s:y@10.0.0.2:26379/']",
        );
        let Layout::Sentinels { sentinels, master } = sentinels.expect("it is good").layout else {
            panic!("sentinels")
        };
        assert_eq!(master, "m");
        assert_eq!(sentinels[0].redis_settings().username(), None);
        assert_eq!(sentinels[1].redis_settings().username(), Some("s"));
    }

    #[test]
    fn a_mistake_is_named() {
        for (rest, named) in [
            ("cluster = []", "redis.cluster: expected at least one"),
            ("cluster = ['a:0']", "redis.cluster[0]: expected host:port"),
            ("sentinels = ['a:1']", "redis.master: missing"),
            ("master = 'm'", "redis.master: only with redis.sentinels"),
            (
                "cluster = ['a:1']\nsentinels = ['a:1']",
                "redis.cluster: not together",
            ),
            ("tls = {}", "redis.tls: only with a redis.url"),
            (
                "password = { file = '/nowhere/password' }",
                "redis.password: cannot read /nowhere/password",
            ),
        ] {
            let mistake = read(&format!("url = 'redis://h/'\n{rest}")).expect_err(rest);
            assert!(mistake.contains(named), "{rest}: {mistake}");
        }
        let no_key = "url = 'rediss://h/'\ntls = { cert = { file = '/dev/null' } }";
        let mistake = read(no_key).expect_err("a certificate without its key");
        assert!(mistake.contains("redis.tls.key: missing"), "{mistake}");
        assert!(read("url = 'rediss://h/#insecure'").is_err());
    }
}
