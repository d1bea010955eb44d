//! How a look is shown: a table for a person, lines of JSON for a program.

use super::look::Look;
use super::row::{Lag, Rates, Row};
use crate::kafka::TopicFigures;
use comfy_table::{CellAlignment, Table, presets};
use console::style;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

const HEAD: [&str; 13] = [
    "SALE", "STATE", "TOTAL", "FREE", "HELD", "SOLD", "ORDERS", "TRY/S", "ACC/S", "ORD/S", "KAFKA",
    "MYSQL", "OLDEST",
];

/// The columns in front that hold words.
const WORDS: usize = 2;

/// How wide a line is at most; what is wrong goes on in the next one.
const WIDTH: usize = 110;

/// The lines for a person, at most `lines_max`.
pub(super) fn text(look: &Look, mut rows: Vec<Row>, lines_max: usize) -> Vec<String> {
    let mut lines = vec![servers(look, &rows), String::new()];
    let needed: usize = rows.iter().map(|row| 1 + details(row).len()).sum();
    if lines.len() + 1 + needed > lines_max {
        // What does not fit is what matters least.
        rows.sort_by(|a, b| {
            let urgency = |row: &Row| (!row.wrong.is_empty(), tries(row));
            urgency(b)
                .partial_cmp(&urgency(a))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    let table = table(&rows).to_string();
    let mut printed = table.lines();
    lines.extend(
        printed
            .next()
            .map(|head| style(head.trim_end()).bold().to_string()),
    );
    let all = rows.len();
    for (n, (row, line)) in rows.iter().zip(printed).enumerate() {
        let details = details(row);
        // One line is kept for the sales that are left out.
        if lines.len() + 1 + details.len() + 1 > lines_max && n + 1 < all {
            lines.push(format!("… and {} more sales", all - n));
            break;
        }
        let line = style(line.trim_end());
        lines.push(match row.wrong.is_empty() {
            true => line.to_string(),
            false => line.red().to_string(),
        });
        lines.extend(details);
    }
    lines
}

fn tries(row: &Row) -> f64 {
    row.rates.map_or(0.0, |rates| rates.tries)
}

/// Who is there, and over what time the rates are.
fn servers(look: &Look, rows: &[Row]) -> String {
    let mut parts = vec![
        clock(),
        server("Redis", &look.redis),
        server("MySQL", &look.mysql),
    ];
    match &look.kafka {
        None => parts.push("no broker".to_owned()),
        Some(Err(reason)) => parts.push(away("Kafka", reason)),
        Some(Ok(TopicFigures { behind, dead, .. })) => {
            parts.push(format!("Kafka up, {behind} messages behind"));
            if *dead > 0 {
                parts.push(style(format!("{dead} dead letters")).yellow().to_string());
            }
        }
    }
    if let Some(Rates { interval_ms, .. }) = rows.iter().find_map(|row| row.rates) {
        parts.push(format!("rates over {} s", seconds(interval_ms)));
    }
    parts.join("  ")
}

fn server(name: &str, state: &Result<(), String>) -> String {
    match state {
        Ok(()) => format!("{name} up"),
        Err(reason) => away(name, reason),
    }
}

fn away(name: &str, reason: &str) -> String {
    style(format!("{name} AWAY ({reason})"))
        .red()
        .bold()
        .to_string()
}

/// Hours, minutes and seconds of the day, UTC.
fn clock() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02} UTC", seconds % 60)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEAD);
    for row in rows {
        table.add_row(cells(row));
    }
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if n >= WORDS {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let number = |number: Option<u64>| number.map_or_else(unknown, |number| number.to_string());
    let unit = |of: fn(&super::row::Units) -> u64| number(row.units.as_ref().map(of));
    let rate = |of: fn(&Rates) -> f64| {
        row.rates
            .as_ref()
            .map_or_else(unknown, |rates| format!("{:.0}", of(rates)))
    };
    let oldest = row.without_order.map_or_else(unknown, |lag| span(lag.ms));
    [
        row.sid.clone(),
        row.state.clone(),
        unit(|units| units.total),
        unit(|units| units.available),
        unit(|units| units.held),
        unit(|units| units.sold),
        number(row.orders),
        rate(|rates| rates.tries),
        rate(|rates| rates.accepted),
        rate(|rates| rates.orders),
        lag(row.to_kafka),
        lag(row.to_mysql),
        oldest,
    ]
}

fn unknown() -> String {
    "-".to_owned()
}

fn lag(lag: Option<Lag>) -> String {
    match lag {
        None => unknown(),
        Some(Lag { count: 0, .. }) => "0".to_owned(),
        Some(Lag { count, ms }) => format!("{count} {}", span(ms)),
    }
}

/// A span in at most five characters.
fn span(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        1..100_000 => format!("{}s", seconds(ms)),
        100_000..6_000_000 => format!("{}m", ms / 60_000),
        _ => format!("{}h", ms / 3_600_000),
    }
}

/// Seconds with one digit behind the point, rounded up: what waits does not wait 0.0 s.
fn seconds(ms: u64) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// What stands below a sale's line.
fn details(row: &Row) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(counts) = &row.orders_by_status {
        let counts: Vec<String> = counts
            .iter()
            .map(|(word, count)| format!("{word} {} ({} units)", count.orders, count.units))
            .collect();
        let counts = match counts.is_empty() {
            true => "none".to_owned(),
            false => counts.join(", "),
        };
        lines.push(format!("  orders: {counts}"));
    }
    for wrong in &row.wrong {
        for (n, line) in wrap(wrong, WIDTH - 4).into_iter().enumerate() {
            let mark = if n == 0 { "  ! " } else { "    " };
            lines.push(style(format!("{mark}{line}")).red().to_string());
        }
    }
    lines
}

/// Lines of whole words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A line of JSON, of the servers or of a sale.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Servers {
        redis: Server<'a>,
        mysql: Server<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        kafka: Option<Broker<'a>>,
    },
    Sale(&'a Row),
}

#[derive(Serialize)]
struct Server<'a> {
    up: bool,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Broker<'a> {
    up: bool,
    reason: Option<&'a str>,
    partitions: Option<usize>,
    messages_behind: Option<i64>,
    dead_letters: Option<i64>,
}

impl<'a> Server<'a> {
    fn of(state: &'a Result<(), String>) -> Self {
        let reason = state.as_ref().err().map(String::as_str);
        Self {
            up: reason.is_none(),
            reason,
        }
    }
}

/// The lines for a program.
///
/// # Errors
/// None in practice: every field has a JSON form.
pub(super) fn json(look: &Look, rows: &[Row]) -> serde_json::Result<Vec<String>> {
    let kafka = look.kafka.as_ref().map(|state| {
        let figures = state.as_ref().ok();
        Broker {
            up: figures.is_some(),
            reason: state.as_ref().err().map(String::as_str),
            partitions: figures.map(|figures| figures.partitions),
            messages_behind: figures.map(|figures| figures.behind),
            dead_letters: figures.map(|figures| figures.dead),
        }
    });
    let servers = Line::Servers {
        redis: Server::of(&look.redis),
        mysql: Server::of(&look.mysql),
        kafka,
    };
    let sales = rows.iter().map(Line::Sale);
    let lines = std::iter::once(servers).chain(sales);
    lines.map(|line| serde_json::to_string(&line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_short_and_never_less_than_it_was() {
        let spans = [(0, "0"), (1, "0.1s"), (12_345, "12.4s"), (99_999, "100.0s")];
        for (ms, text) in spans
            .into_iter()
            .chain([(120_000, "2m"), (7_200_000, "2h")])
        {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("overlong", 3), ["overlong"]);
    }
}
