//! A configuration as a tree of values: what a shipped file explains, keys by their name, and what is
//! shown to people.

use toml::{Table, Value};

/// What is shown instead of a password.
const HIDDEN: &str = "***";

/// A file with everything switched on that it explains: what is switched off follows its `#` at
/// once, and prose has a space there.
///
/// # Errors
/// It is no TOML.
pub fn everything(text: &str) -> Result<Table, toml::de::Error> {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n").parse()
}

/// The value of a key such as `redis.url`.
#[must_use]
pub fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.')
        .try_fold(value, |value, name| value.get(name))
}

/// Puts a value where it belongs, in tables that are made on the way.
pub fn set(table: &mut Value, key: &str, value: &Value) {
    let Value::Table(table) = table else { return };
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value.clone())),
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Table::new().into());
            set(inner, rest, value);
        }
    }
}

/// Puts a value there unless there is one.
pub fn set_default(table: &mut Value, key: &str, value: &Value) {
    if find(table, key).is_none() {
        set(table, key, value);
    }
}

/// Takes the passwords out of all URLs.
pub fn hide(value: &mut Value) {
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

    #[test]
    fn a_url_keeps_everything_but_its_password() {
        for (url, shown) in [
            ("redis://:secret@h:1/", Some("redis://:***@h:1/")),
            ("rediss://u:a@b@h", Some("rediss://u:***@h")),
            ("redis://u:a/b@h/0", Some("redis://u:***@h/0")),
            ("redis://u@h/", None),
            ("http://h:80/a:b", None),
            ("mysql://u:a@b@h/d", Some("mysql://u:***@h/d")),
            ("mysql://u@h/d", None),
            ("text", None),
        ] {
            assert_eq!(without_password(url).as_deref(), shown, "{url}");
        }
    }
}
