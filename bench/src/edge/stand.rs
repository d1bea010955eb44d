//! The servers: Redis, two proxies, an nginx, and the shop behind them.

use crate::module::Script;
use anyhow::{Context, Result};
use redis::Connection;
use seckill_testbed::{Nginx, Part, Place, Proxy, Redis, Settings, User};
use std::process::Command;

/// The sale of which no unit is left.
pub(crate) const SID: &str = "1001";

const NGINX: &str = include_str!("../../edge/nginx.conf");
const SHOP: &str = include_str!("../../edge/shop.conf");
const TRY: &str = include_str!("../../edge/try.lua");
const TOLD: &str = include_str!("../../edge/told.lua");

/// Tries a second of a buyer.
const TRIES: u32 = 10;

/// All of them wait from the start on; only one is asked at a time.
pub(crate) struct Stand {
    pub(crate) redis: Redis,
    /// Remembers that the sale is sold out.
    pub(crate) remembers: Proxy,
    /// Asks Redis each time.
    pub(crate) asks: Proxy,
    pub(crate) nginx: Nginx,
    _shop: Nginx,
}

impl Stand {
    pub(crate) fn start() -> Result<Self> {
        // The limit of open files is inherited.
        rlimit::increase_nofile_limit(u64::MAX)?;
        let place = Place::temporary("bench-edge")?;
        let redis = Redis::start(&place)?;
        let mut connection = redis.connect(User::Anything)?;
        let create = &["SECKILL.CREATE", SID, "STOCK", "0"];
        query::<()>(&mut connection, create)?;
        let shop = Nginx::start(&place, SHOP, &[])?;
        let nginx = start_nginx(&place, &redis, TRIES, &shop.address())?;
        let settings = Settings::proxy(&redis)?
            .with("threads", 1)
            .with("shop.upstream", shop.address());
        let remembers = Proxy::start(&place, &settings)?;
        let asks = Proxy::start(&place, &settings.with("redis.remember_ms", 0))?;
        Ok(Self {
            redis,
            remembers,
            asks,
            nginx,
            _shop: shop,
        })
    }

    /// Every server that takes part in some answer, the shop not among them.
    pub(crate) fn pids(&self) -> [u32; 4] {
        [
            self.redis.pid(),
            self.remembers.pid(),
            self.asks.pid(),
            self.nginx.pid(),
        ]
    }
}

/// The nginx that asks this Redis by the script, and passes everything else to the shop.
pub(crate) fn start_nginx(place: &Place, redis: &Redis, tries: u32, shop: &str) -> Result<Nginx> {
    let mut connection = redis.connect(User::Anything)?;
    let sha: String = query(&mut connection, &["SCRIPT", "LOAD", Script::TEXT])?;
    let config = lua_config(&redis.url(User::Anything), &sha, tries)?;
    let lua = [
        ("try.lua", TRY),
        ("told.lua", TOLD),
        ("config.lua", &config),
    ];
    Nginx::start(place, &NGINX.replace("SHOP", shop), &lua)
}

/// What `nginx -v` says after the slash.
pub(crate) fn nginx_version() -> Result<String> {
    let output = Command::new("/usr/sbin/nginx").arg("-v").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let version = said.trim().split('/').next_back();
    Ok(version.unwrap_or_default().to_owned())
}

/// Asks Redis in words.
pub(crate) fn query<T: redis::FromRedisValue>(
    connection: &mut Connection,
    words: &[&str],
) -> Result<T> {
    let (command, arguments) = words.split_first().context("no command")?;
    Ok(redis::cmd(command).arg(arguments).query(connection)?)
}

/// What `try.lua` has to know: `redis://user:password@host:port/`, what Redis calls the script, and how
/// many tries a second a buyer has, 0: as many as he likes.
fn lua_config(url: &str, sha: &str, tries: u32) -> Result<String> {
    let parts = || {
        let (user, rest) = url.strip_prefix("redis://")?.split_once(':')?;
        let (password, address) = rest.split_once('@')?;
        let (host, port) = address.trim_end_matches('/').split_once(':')?;
        Some(format!(
            "return {{ host = '{host}', port = {port}, user = '{user}', password = '{password}', sha = '{sha}', tries = {tries} }}\n"
        ))
    };
    parts().context("an address of Redis with a user, a password and a port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lua_code_is_told_where_redis_is() {
        assert_eq!(
            lua_config("redis://anything:secret@127.0.0.1:6379/", "e1", 10).unwrap(),
            "return { host = '127.0.0.1', port = 6379, user = 'anything', password = 'secret', sha = 'e1', tries = 10 }\n"
        );
    }
}
