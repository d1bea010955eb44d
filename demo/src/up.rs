//! Starts everything and leaves it running; starts again what is missing.

use crate::cli::Broker;
use crate::kept::{FOLDER, Kept};
use crate::say::Say;
use crate::stage::{Addresses, SID, Stage, with_kafka};
use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use seckill_testbed::Place;
use std::time::Instant;

/// Units of the sample sale.
const STOCK: u32 = 100;

/// Starts what does not run, and says how to use it.
pub(crate) fn up() -> Result<()> {
    let say = Say::default();
    let kept = match Kept::read()? {
        Some(kept) => heal(kept, &say)?,
        None => start(&say)?,
    };
    say.line(table(&kept.addresses)?.to_string());
    for command in commands(&kept.addresses)? {
        say.line(format!("\n  {command}"));
    }
    say.line("");
    Ok(())
}

fn start(say: &Say) -> Result<Kept> {
    let place = Place::detached(FOLDER)?;
    // Of an `up` that was interrupted before it could write down what it had started.
    place.stop_all()?;
    let with_kafka = with_kafka(Broker::Auto, say)?;
    let kept = Stage::set(&place, with_kafka, STOCK, say)
        .and_then(|stage| Kept::new(&stage.parts, stage.addresses))
        .and_then(|kept| kept.write().map(|()| kept));
    if kept.is_err() {
        // Nobody would know of what did start.
        place.stop_all()?;
    }
    kept
}

/// Starts again, in the order in which they need each other, the parts that do not run.
fn heal(mut kept: Kept, say: &Say) -> Result<Kept> {
    let mut healed = Ok(());
    for part in kept.parts.iter_mut().rev() {
        if part.is_running() {
            say.line(format!("  {:<9} runs", part.name.to_string()));
            continue;
        }
        let began = Instant::now();
        healed = part.start_again();
        if healed.is_err() {
            break;
        }
        say.ready(&part.name.to_string(), "started again", began);
    }
    // Also after a failure: what was started before it has new pids.
    kept.write()?;
    healed.map(|()| kept)
}

fn table(addresses: &Addresses) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let redis = Server::of(&addresses.redis_url)?;
    let mysql = Server::of(&addresses.mysql_url)?;
    let kafka = addresses
        .kafka
        .as_deref()
        .unwrap_or("none: Redis to MariaDB directly");
    table.add_row(["proxy", &addresses.proxy_url]);
    table.add_row(["shop behind it", &addresses.shop]);
    table.add_row(["redis", &format!("127.0.0.1:{}", redis.port)]);
    table.add_row(["mariadb", &format!("127.0.0.1:{}", mysql.port)]);
    table.add_row(["kafka", kafka]);
    table.add_row(["data and logs", FOLDER]);
    Ok(table)
}

/// Three commands to try, ready to paste.
fn commands(addresses: &Addresses) -> Result<[String; 3]> {
    let Addresses {
        proxy_url,
        redis_url,
        mysql_url,
        ..
    } = addresses;
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
            proxy_url: "http://127.0.0.1:8080".to_owned(),
            shop: "127.0.0.1:8000".to_owned(),
            redis_url: "redis://operator:secret@127.0.0.1:6379/".to_owned(),
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
