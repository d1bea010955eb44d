//! Starts everything and leaves it running; starts again what is missing.

use crate::cli::Broker;
use crate::name::Name;
use crate::say::Say;
use crate::stage::{Addresses, SID, Stage, with_kafka};
use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use seckill_testbed::Place;

/// The folder, in the one from which `up` and `down` are called.
pub(crate) const FOLDER: &str = ".run";

/// Units of the sample sale.
const STOCK: u32 = 100;

/// Starts what does not run, leaves what does, and says how to use it.
pub(crate) fn up() -> Result<()> {
    let say = Say::default();
    let place = Place::detached(FOLDER)?;
    let with_kafka = with_kafka(Broker::Auto, &say)?;
    let stage = Stage::set(&place, with_kafka, false, true, STOCK, &say)
        .context("`up` begins where it left off when it is called again; `down` stops what runs")?;
    say.line(table(&stage)?.to_string());
    for command in commands(&stage.addresses)? {
        say.line(format!("\n  {command}"));
    }
    if let Some(page) = &stage.addresses.page {
        say.line(format!("\n  in a browser: {page}/"));
    }
    say.line("");
    Ok(())
}

fn table(stage: &Stage) -> Result<Table> {
    let addresses = &stage.addresses;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["part", "address", "pid"]);
    for (name, part) in stage.parts.iter().rev() {
        let address = match name {
            Name::Redis => format!("127.0.0.1:{}", Server::of(first(&addresses.redis))?.port),
            Name::MariaDb => format!("127.0.0.1:{}", Server::of(&addresses.mysql_url)?.port),
            Name::Kafka => addresses.kafka.clone().unwrap_or_default(),
            Name::Shop => format!("http://{}", addresses.shop),
            Name::Proxy => first(&addresses.proxies).to_owned(),
            Name::Page => addresses.page.clone().unwrap_or_default(),
            Name::Worker => "listens nowhere".to_owned(),
        };
        table.add_row([name.to_string(), address, part.pid().to_string()]);
    }
    table.add_row(["data, logs", FOLDER, ""]);
    Ok(table)
}

/// Three commands to try, ready to paste.
fn commands(addresses: &Addresses) -> Result<[String; 3]> {
    let Addresses {
        proxies,
        redis,
        mysql_url,
        ..
    } = addresses;
    let (proxy_url, redis_url) = (first(proxies), first(redis));
    let mysql = Server::of(mysql_url)?;
    Ok([
        format!("curl -i -X POST -H 'X-User-Id: alice' {proxy_url}/seckill/{SID}"),
        format!("redis-cli --no-auth-warning -u {redis_url} SECKILL.INFO {SID}"),
        format!(
            "mariadb --host=127.0.0.1 --port={} --user={} --password={} seckill \
             --execute='SELECT rid, uid, qty, status FROM stock_order'",
            mysql.port, mysql.user, mysql.password
        ),
    ])
}

/// The only one of its kind.
fn first(addresses: &[String]) -> &str {
    addresses.first().map_or("", String::as_str)
}

/// A server's address, taken apart.
struct Server<'a> {
    user: &'a str,
    password: &'a str,
    port: &'a str,
}

// === impl Server ===

impl<'a> Server<'a> {
    /// Reads `scheme://user:password@host:port/…`.
    fn of(url: &'a str) -> Result<Self> {
        Self::parts(url).context("an address is not scheme://user:password@host:port")
    }

    fn parts(url: &'a str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let (credentials, address) = rest.split_once('@')?;
        let (user, password) = credentials.split_once(':')?;
        let (_, port) = address.split('/').next()?.split_once(':')?;
        Some(Self {
            user,
            password,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_ready_to_paste() {
        let addresses = Addresses {
            proxies: vec!["http://127.0.0.1:8080".to_owned()],
            page: None,
            shop: "127.0.0.1:8000".to_owned(),
            redis: vec!["redis://operator:secret@127.0.0.1:6379/".to_owned()],
            mysql_url: "mysql://seckill:hidden@127.0.0.1:3306/seckill".to_owned(),
            kafka: None,
        };
        assert_eq!(
            commands(&addresses).unwrap(),
            [
                "curl -i -X POST -H 'X-User-Id: alice' http://127.0.0.1:8080/seckill/1001",
                "redis-cli --no-auth-warning -u redis://operator:secret@127.0.0.1:6379/ SECKILL.INFO 1001",
                "mariadb --host=127.0.0.1 --port=3306 --user=seckill --password=hidden seckill \
                 --execute='SELECT rid, uid, qty, status FROM stock_order'",
            ]
        );
    }
}
