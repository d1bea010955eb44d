//! What the experiment came to, for people and for scripts.

use crate::books::Books;
use crate::experiment::Sold;
use comfy_table::{CellAlignment, Table, presets};
use seckill_load::text;
use std::time::Duration;

/// The table at the end.
pub(crate) fn of(sold: &Sold, books: &Books, broker: &str) -> Table {
    let outcome = &sold.outcome;
    let micros = |us| text::span(Duration::from_micros(us));
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("buyers", text::count(u64::from(outcome.buyers)));
    row("tries", text::count(outcome.tries));
    for (name, count) in outcome.answers.rows() {
        row(&name, text::count(count));
    }
    row("reservations told", text::count(books.accepted));
    row(
        "unanswered, asked again",
        text::count(outcome.unanswered_total()),
    );
    row("tries a second", text::rate(outcome.tries_per_second));
    row("p50", micros(outcome.latency.p50));
    row("p99", micros(outcome.latency.p99));
    row("orders in MySQL", text::count(books.orders));
    row("last order written after", text::span(sold.written_after));
    row("broker", broker.to_owned());
    row("books", verdict(books));
    if let Some(values) = table.column_mut(1) {
        values.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn verdict(books: &Books) -> String {
    let Books {
        oversold,
        lost,
        duplicated,
        ..
    } = books;
    let audit = if books.audit_ok { "OK" } else { "NOT OK" };
    format!("oversold {oversold}, lost {lost}, duplicated {duplicated}, audit {audit}")
}

/// The last line, for scripts.
pub(crate) fn result_line(books: &Books, broker: &str) -> String {
    let Books {
        accepted,
        orders,
        sale,
        oversold,
        lost,
        duplicated,
        ..
    } = books;
    let audit = if books.audit_ok { "ok" } else { "failed" };
    format!(
        "result accepted={accepted} orders={orders} sale={sale} oversold={oversold} lost={lost} \
         duplicated={duplicated} audit={audit} broker={broker}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_what_scripts_expect() {
        let books = Books {
            accepted: 100,
            orders: 100,
            sale: 100,
            oversold: 0,
            lost: 0,
            duplicated: 0,
            audit_ok: true,
            damage: Vec::new(),
        };
        assert_eq!(
            result_line(&books, "kafka"),
            "result accepted=100 orders=100 sale=100 oversold=0 lost=0 duplicated=0 audit=ok broker=kafka"
        );
    }
}
