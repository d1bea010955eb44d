//! A ladder for a person: a column for each rung, a row for each figure.

use crate::figures::{Climbed, Figures};
use comfy_table::{CellAlignment, Table, presets};
use seckill_load::text;
use std::time::Duration;

/// What is shown of a rung.
type Cell = fn(&Climbed) -> String;

const ROWS: [(&str, Cell); 19] = [
    ("answers", |rung| count(rung, |f| f.answers)),
    ("told \"yes\"", |rung| count(rung, |f| f.told_yes)),
    ("told \"sold out\"", |rung| count(rung, |f| f.told_sold_out)),
    ("told \"too many\"", |rung| count(rung, |f| f.told_limited)),
    ("told \"overtaken\"", |rung| {
        count(rung, |f| f.told_conflict)
    }),
    ("told nothing (5xx)", |rung| count(rung, |f| f.failed)),
    ("sold, by the stock row", |rung| count(rung, |f| f.sold)),
    ("orders", |rung| count(rung, |f| f.orders)),
    ("oversold", |rung| count(rung, |f| f.oversold)),
    ("undersold", |rung| count(rung, |f| f.undersold)),
    ("lost", |rung| count(rung, |f| f.lost)),
    ("answers a second", |rung| {
        text::rate(rung.median(|f| f.answers_a_second))
    }),
    ("p50", |rung| wait(rung, |f| f.p50_ms)),
    ("p99", |rung| wait(rung, |f| f.p99_ms)),
    ("p99.9", |rung| wait(rung, |f| f.p999_ms)),
    ("books complete after", |rung| wait(rung, |f| f.complete_ms)),
    ("statements in MySQL", |rung| count(rung, |f| f.statements)),
    ("connections to it", |rung| count(rung, |f| f.connections)),
    ("µs CPU an answer", |rung| {
        text::rate(rung.median(|f| f.cpu_us))
    }),
];

/// The table of some rungs with the same buyers.
pub(crate) fn of(rungs: &[&Climbed]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let heads = rungs
        .iter()
        .map(|rung| format!("{}\n{}", rung.rung, rung.name));
    table.set_header(std::iter::once(String::new()).chain(heads));
    for (name, cell) in ROWS {
        let cells = rungs.iter().map(|rung| cell(rung));
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn count(rung: &Climbed, figure: fn(&Figures) -> u64) -> String {
    text::rate(rung.median_count(figure))
}

fn wait(rung: &Climbed, figure: fn(&Figures) -> f64) -> String {
    text::span(Duration::from_secs_f64(rung.median(figure) / 1e3))
}
