//! `[mysql]`: where the orders go, and how the connection is proven and secured.

use super::tls::{Tls, TlsTable};
use super::{MYSQL_URL, Mistakes};
use crate::mysql::options;
use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};
use seckill_daemon::secret::Source;
use serde::Deserialize;

const EXPECTED: &str = "expected mysql://user:password@host:port/database";

/// `[mysql]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MysqlTable {
    url: Option<String>,
    password: Option<Source>,
    tls: Option<TlsTable>,
}

/// Where the orders go.
#[derive(Clone, Debug)]
pub(crate) struct Mysql {
    /// Of every connection.
    pub(crate) opts: Opts,
}

// === impl Mysql ===

impl Mysql {
    /// Checks the table. `env`, if given, stands in for its url.
    pub(super) fn new(
        table: MysqlTable,
        env: Option<String>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let opts = mistakes.note(named(env.or(table.url)));
        let tls = table
            .tls
            .map(|table| Tls::new("mysql.tls", &table, mistakes));
        let password = table
            .password
            .map(|source| source.password("mysql.password"));
        let password = mistakes.note(password.transpose())?;
        let (opts, tls) = (opts?, tls.map_or(Some(None), |tls| tls.map(Some))?);
        if password.is_some() && opts.pass().is_some() {
            mistakes.add(format!(
                "mysql.password: not together with a password in mysql.url or {MYSQL_URL}"
            ));
            return None;
        }
        let given = opts.pass().map(str::to_owned);
        let secured = tls.map(secured).or_else(|| opts.ssl_opts().cloned());
        let opts = OptsBuilder::from_opts(opts)
            .pass(password.or(given))
            .ssl_opts(secured);
        Some(Self {
            opts: options(opts),
        })
    }
}

/// The text of the url stays out of the message: it may hold a password.
fn named(url: Option<String>) -> Result<Opts, String> {
    let url =
        url.ok_or_else(|| format!("mysql.url: missing; set it, or the environment's {MYSQL_URL}"))?;
    let opts = Opts::from_url(&url).map_err(|error| format!("mysql.url: {EXPECTED} ({error})"))?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(format!("mysql.url: names no database: {EXPECTED}"));
    }
    Ok(opts)
}

/// Believes an authority that is given, and no other.
fn secured(tls: Tls) -> SslOpts {
    let identity = tls
        .identity
        .map(|own| ClientIdentity::new(own.cert.into(), own.key.into()));
    let mut opts = SslOpts::default().with_client_identity(identity);
    if let Some(ca) = tls.ca {
        opts = opts
            .with_root_certs(vec![ca.into()])
            .with_disable_built_in_roots(true);
    }
    opts
}
