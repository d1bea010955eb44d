//! What a run came to, as a table.

use comfy_table::{CellAlignment, Table, presets};
use seckill_load::{Compared, Outcome, text};
use std::time::Duration;

/// The table of `outcome`.
pub(crate) fn of(outcome: &Outcome) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("buyers", text::count(u64::from(outcome.buyers)));
    row("tries", text::count(outcome.tries));
    for (name, count) in outcome.answers.rows() {
        row(&name, text::count(count));
    }
    row("reservations told", text::count(outcome.reservations()));
    for (silence, count) in &outcome.unanswered {
        row(&format!("unanswered: {silence}"), text::count(*count));
    }
    if outcome.given_up > 0 {
        row("given up", text::count(outcome.given_up));
    }
    row(
        "elapsed",
        text::span(Duration::from_millis(outcome.elapsed_ms)),
    );
    row("tries a second", text::rate(outcome.tries_per_second));
    let latency = outcome.latency;
    let latencies = [
        ("p50", latency.p50),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
        ("max", latency.max),
    ];
    // Without an answer there is no latency.
    for (name, latency_us) in latencies.into_iter().filter(|_| latency.max > 0) {
        row(name, text::span(Duration::from_micros(latency_us)));
    }
    if let Some(values) = table.column_mut(1) {
        values.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What buyers heard, beside what the proxies told.
pub(crate) fn of_verdicts(compared: &[Compared]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["code", "heard", "told", ""]);
    for verdict in compared {
        let fits = if verdict.fits { "ok" } else { "DIFFERS" };
        table.add_row([
            verdict.code,
            &text::count(verdict.heard),
            &text::count(verdict.told),
            fits,
        ]);
    }
    for number in [1, 2] {
        if let Some(values) = table.column_mut(number) {
            values.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
