//! The configuration as it counts: what the file says, with the defaults of what it leaves out.
//!
//! conf/worker.toml names every default, and is where they are taken from.

use crate::config::{MYSQL_URL, REDIS_URL};
use toml::{Table, Value};

const SHIPPED: &str = include_str!("../../conf/worker.toml");

/// What is shown instead of a password.
const HIDDEN: &str = "***";

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
        if let (None, Some(value)) = (find(&all, key), find(&shipped, key)) {
            set(&mut all, key, value);
        }
    }
    hide(&mut all);
    Ok(toml::to_string_pretty(&all)?)
}

/// A file with everything switched on that it explains: what is switched off follows its `#` at
/// once, and prose has a space there.
pub(crate) fn everything(text: &str) -> Result<Table, toml::de::Error> {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n").parse()
}

fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// Puts a value where it belongs, in tables that are made on the way.
fn set(table: &mut Value, key: &str, value: &Value) {
    let Value::Table(table) = table else { return };
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value.clone())),
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Table::new().into());
            set(inner, rest, value);
        }
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(safe) = without_password(text) {
                *text = safe;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(hide),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| hide(value)),
        _ => {}
    }
}

/// A URL that has a password, without it.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password that is written into a URL as it is may have any of these in it.
    let at = rest.get(..end)?.rfind('@').or_else(|| rest.rfind('@'))?;
    let (user, _) = rest.get(..at)?.split_once(':')?;
    Some(format!("{scheme}://{user}:{HIDDEN}{}", rest.get(at..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    /// Keys of which conf/worker.toml shows an example, here or below; they have no default.
    const EXAMPLES: [&str; 14] = [
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

    #[test]
    fn a_url_keeps_everything_but_its_password() {
        for (url, shown) in [
            ("redis://:secret@h:1/", Some("redis://:***@h:1/")),
            ("mysql://u:a@b@h/d", Some("mysql://u:***@h/d")),
            ("mysql://u@h/d", None),
            ("text", None),
        ] {
            assert_eq!(without_password(url).as_deref(), shown, "{url}");
        }
    }
}
