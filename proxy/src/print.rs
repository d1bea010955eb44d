//! The configuration as it counts: what the file says, with the defaults of what it leaves out.
//!
//! conf/proxy.toml names every default, and is where they are taken from.

use crate::config::{Config, redis_url};
use seckill_daemon::settings::{everything, find, hide, set, set_default};
use toml::{Table, Value};

const SHIPPED: &str = include_str!("../../conf/proxy.toml");

/// Of which keys conf/proxy.toml shows the default. What is below a table of
/// [`SWITCHES`] counts where that is there.
const DEFAULTS: [&str; 36] = [
    "drain_s",
    "rate_limit_headers",
    "limits.head_bytes",
    "limits.head_count",
    "limits.head_ms",
    "limits.uri_bytes",
    "limits.body_bytes",
    "limits.body_ms",
    "limits.body_rate",
    "limits.keepalive_ms",
    "limits.requests_per_connection",
    "limits.connections",
    "limits.connections_per_address",
    "limits.unlimited",
    "redis.key_prefix",
    "redis.deadline_ms",
    "redis.waiting_max",
    "redis.remember_ms",
    "redis.durability",
    "shop.balance",
    "shop.connect_ms",
    "shop.read_ms",
    "shop.write_ms",
    "shop.idle_ms",
    "buyer.from",
    "buyer.header",
    "tls.handshake_ms",
    "shop.health.every_ms",
    "shop.health.timeout_ms",
    "shop.health.fall",
    "shop.health.rise",
    "buyer.jwt.claim",
    "buyer.jwt.leeway_s",
    "buyer.cookie.name",
    "access_log.rejections",
    "access_log.buyers",
];

/// Tables that switch something on by being there.
const SWITCHES: [&str; 5] = [
    "tls",
    "shop.health",
    "buyer.jwt",
    "buyer.cookie",
    "access_log",
];

/// The same for a route that the proxy guards.
const GUARD_DEFAULTS: [&str; 1] = ["show_units"];

/// The same for a route of mode `forward`, besides.
const FORWARD_DEFAULTS: [&str; 5] = [
    "on_success",
    "on_client_error",
    "on_server_error",
    "on_timeout",
    "fail",
];

/// The whole configuration, as TOML and without secrets. `config` is what `text` was read as.
///
/// # Errors
/// The text is no TOML.
pub(crate) fn effective(text: &str, config: &Config) -> anyhow::Result<String> {
    let mut table: Table = text.parse()?;
    if let (Some(url), Some(redis)) = (redis_url(), table.get_mut("redis")) {
        set(redis, "url", &url.into());
    }
    let mut all = Value::Table(table);
    set_default(&mut all, "threads", &i64::try_from(config.threads)?.into());
    let shipped = Value::Table(everything(SHIPPED)?);
    for key in DEFAULTS {
        let is_on = SWITCHES.iter().all(|table| {
            let is_below = key
                .strip_prefix(table)
                .is_some_and(|rest| rest.starts_with('.'));
            !is_below || find(&all, table).is_some()
        });
        if let (true, Some(value)) = (is_on, find(&shipped, key)) {
            set_default(&mut all, key, value);
        }
    }
    let examples = shipped.get("route").and_then(Value::as_array);
    let default = |key: &str| {
        let mut examples = examples.into_iter().flatten();
        examples.find_map(|example| example.get(key))
    };
    let routes = all.get_mut("route").and_then(Value::as_array_mut);
    for route in routes.into_iter().flatten() {
        let keys: [&[&str]; 2] = match route.get("mode").and_then(Value::as_str) {
            Some("forward") => [&GUARD_DEFAULTS, &FORWARD_DEFAULTS],
            Some("queue") => [&GUARD_DEFAULTS, &[]],
            _ => [&[], &[]],
        };
        for key in keys.concat() {
            if let Some(value) = default(key) {
                set_default(route, key, value);
            }
        }
    }
    hide(&mut all);
    Ok(toml::to_string_pretty(&all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::limits::LimitsTable;
    use std::collections::BTreeSet;

    /// Keys of which conf/proxy.toml shows an example, here or below; they have no default, or one
    /// that depends on other things.
    const EXAMPLES: [&str; 37] = [
        "listen",
        "threads",
        "tls.listen",
        "tls.certificate",
        "tls.key",
        "tls.host",
        "upgrade.socket",
        "redis.url",
        "redis.tls",
        "redis.sentinels",
        "redis.master",
        "redis.cluster",
        "shop.upstream",
        "shop.upstreams",
        "shop.ca",
        "shop.health.path",
        "shop.health.host",
        "shop.signing",
        "shop.callback",
        "buyer.trusted_peers",
        "buyer.origins",
        "buyer.jwt.algorithms",
        "buyer.jwt.jwks",
        "buyer.jwt.pem",
        "buyer.jwt.secret",
        "buyer.jwt.issuer",
        "buyer.jwt.audience",
        "buyer.jwt.header",
        "buyer.jwt.cookie",
        "buyer.cookie.keys",
        "client",
        "admin.listen",
        "access_log.file",
        "route.path",
        "route.mode",
        "route.status",
        "route",
    ];

    fn leaves(above: &str, value: &Value, found: &mut BTreeSet<String>) {
        if let Some(table) = value.as_table().filter(|_| !EXAMPLES.contains(&above)) {
            for (key, value) in table {
                let dot = if above.is_empty() { "" } else { "." };
                leaves(&format!("{above}{dot}{key}"), value, found);
            }
        } else if !EXAMPLES.contains(&above) {
            found.insert(above.to_owned());
        }
    }

    #[test]
    fn every_key_of_the_shipped_file_is_a_default_or_an_example() {
        let all = Value::Table(everything(SHIPPED).unwrap());
        let mut found = BTreeSet::new();
        leaves("", &all, &mut found);
        assert_eq!(found, DEFAULTS.iter().map(ToString::to_string).collect());
        let mut found = BTreeSet::new();
        for route in all["route"].as_array().unwrap() {
            leaves(
                "",
                &Table::from_iter([("of".to_owned(), route.clone())]).into(),
                &mut found,
            );
        }
        for key in ["path", "mode", "status.sold_out"] {
            assert!(found.remove(&format!("of.{key}")), "{found:?}");
        }
        let defaults = GUARD_DEFAULTS
            .iter()
            .chain(&FORWARD_DEFAULTS)
            .map(|key| format!("of.{key}"));
        assert_eq!(found, defaults.collect());
    }

    #[test]
    fn the_defaults_that_the_shipped_file_names_are_those_that_count() {
        let all = everything(SHIPPED).unwrap();
        let limits = Table::try_from(LimitsTable::default()).unwrap();
        assert_eq!(all["limits"].as_table(), Some(&limits));
        let config = Config::parse(SHIPPED, None).unwrap();
        let ms = |key: &str| u64::try_from(all["redis"][key].as_integer().unwrap()).unwrap();
        let redis = &config.redis;
        assert_eq!(redis.deadline.as_millis(), u128::from(ms("deadline_ms")));
        assert_eq!(redis.remember.as_millis(), u128::from(ms("remember_ms")));
        assert_eq!(redis.waiting_max as u64, ms("waiting_max"));
        let drain_s = all["drain_s"].as_integer().unwrap();
        assert_eq!(config.drain.as_secs(), u64::try_from(drain_s).unwrap());
        assert_eq!(
            all["rate_limit_headers"].as_bool(),
            Some(config.site.tells_limits)
        );
    }

    #[test]
    fn what_the_file_says_stays_and_a_password_does_not() {
        let text = SHIPPED.replace("proxy:proxy@", "proxy:hunter2/@:@");
        let text = text.replace("[shop]", "deadline_ms = 77\n[shop]");
        let config = Config::parse(
            &SHIPPED.replace("#deadline_ms = 250", "deadline_ms = 77"),
            None,
        );
        let printed = effective(&text, &config.unwrap()).unwrap();
        assert!(!printed.contains("hunter2"), "{printed}");
        let table: Table = printed.parse().unwrap();
        assert_eq!(table["redis"]["deadline_ms"], Value::from(77));
        assert_eq!(
            table["redis"]["url"],
            Value::from("redis://proxy:***@127.0.0.1:6379/")
        );
        assert!(Config::parse(&printed, None).is_ok());
    }
}
