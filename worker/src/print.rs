//! The configuration as it counts: what the file says, with the defaults of what it leaves out.
//!
//! conf/worker.toml names every default, and is where they are taken from.

use crate::config::{MYSQL_URL, REDIS_URL};
use seckill_daemon::settings::{everything, find, hide, set, set_default};
use toml::{Table, Value};

const SHIPPED: &str = include_str!("../../conf/worker.toml");

/// Of which keys conf/worker.toml shows the default.
const DEFAULTS: [&str; 8] = [
    "redis.key_prefix",
    "kafka.brokers",
    "kafka.topic",
    "kafka.dead_topic",
    "kafka.group",
    "kafka.partitions",
    "log.format",
    "log.level",
];

/// The whole configuration, as TOML and without secrets.
///
/// # Errors
/// The text is no TOML.
pub(crate) fn effective(
    text: &str,
    env: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<String> {
    let mut all = Value::Table(text.parse::<Table>()?);
    for (key, variable) in [("redis.url", REDIS_URL), ("mysql.url", MYSQL_URL)] {
        if let Some(url) = env(variable) {
            set(&mut all, key, &url.into());
        }
    }
    let shipped = Value::Table(everything(SHIPPED)?);
    for key in DEFAULTS {
        if let Some(value) = find(&shipped, key) {
            set_default(&mut all, key, value);
        }
    }
    hide(&mut all);
    Ok(toml::to_string_pretty(&all)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    /// Keys of which conf/worker.toml shows an example, here or below; they have no default.
    const EXAMPLES: [&str; 16] = [
        "broker",
        "redis.url",
        "redis.password",
        "redis.tls",
        "redis.sentinels",
        "redis.master",
        "redis.cluster",
        "mysql.url",
        "mysql.password",
        "mysql.tls",
        "kafka.tls",
        "kafka.sasl",
        "admin.listen",
        "admin.token",
        "admin.proxies",
        "log",
    ];

    fn leaves(above: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value.as_table() {
            Some(table) if !EXAMPLES.contains(&above) || above == "log" => {
                for (key, value) in table {
                    let dot = if above.is_empty() { "" } else { "." };
                    leaves(&format!("{above}{dot}{key}"), value, found);
                }
            }
            _ if !EXAMPLES.contains(&above) => drop(found.insert(above.to_owned())),
            _ => {}
        }
    }

    #[test]
    fn every_key_of_the_shipped_file_is_a_default_or_an_example() {
        let all = Value::Table(everything(SHIPPED).unwrap());
        let mut found = BTreeSet::new();
        leaves("", &all, &mut found);
        assert_eq!(found, DEFAULTS.iter().map(ToString::to_string).collect());
    }

    #[test]
    fn the_defaults_that_the_shipped_file_names_are_those_that_count() {
        let smallest =
            "broker = \"kafka\"\n[redis]\nurl = \"redis://h/\"\n[mysql]\nurl = \"mysql://h/d\"";
        let printed = effective(smallest, |_| None).unwrap();
        let (before, after) = [smallest, &printed]
            .map(|text| Config::read(text, |_| None).unwrap())
            .into();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }

    #[test]
    fn what_the_file_says_stays_and_a_password_does_not() {
        let text = SHIPPED.replace("seckill@127", "seckill:hunter2/@:@127");
        let env = |name: &str| (name == REDIS_URL).then(|| "redis://w:hunter3@h/".to_owned());
        let printed = effective(&text, env).unwrap();
        assert!(!printed.contains("hunter"), "{printed}");
        let table: Table = printed.parse().unwrap();
        assert_eq!(table["redis"]["url"], Value::from("redis://w:***@h/"));
    }
}
