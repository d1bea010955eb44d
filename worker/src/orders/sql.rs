//! The statements of a transaction, as text.
//!
//! Text and not prepared: each statement is one round trip whatever the number of rows, on MySQL as
//! on MariaDB, and no cache of statements for each number of rows is needed. Only numbers, words of
//! this program, texts of characters that mean nothing in SQL, and hexadecimal literals get into it,
//! so nothing has to be escaped. The server's parser is much of what a row costs: literals that need
//! no function, no character set and no decoding take a fifth of MariaDB's time for an INSERT away.

use super::StockId;
use super::fold::{Order, Stock};
use super::history::{Refund, Transition};
use super::status::Status;
use seckill_protocol::EventId;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Rows of one INSERT. At most about 1 KiB each: well below the smallest packet limit in use.
pub(crate) const ROWS_MAX: usize = 1000;

/// Where a `TIMESTAMP` ends on every server: in 2038.
const TIMESTAMP_END_S: u64 = 1 << 31;

/// Characters of a note.
const NOTE_CHARS_MAX: usize = 500;

/// Locks the cursors of the sales, in ascending order so that two workers cannot deadlock.
pub(crate) fn lock_cursors(sids: impl IntoIterator<Item = StockId>) -> String {
    let sids = list(sids);
    format!(
        "SELECT sid, epoch, seq FROM stock_cursor WHERE sid IN ({sids}) ORDER BY sid FOR UPDATE"
    )
}

/// The cursors of the sales, without a lock.
pub(crate) fn select_cursors(sids: impl IntoIterator<Item = StockId>) -> String {
    let sids = list(sids);
    format!("SELECT sid, epoch, seq FROM stock_cursor WHERE sid IN ({sids})")
}

/// Gives each of the sales that has a stock row a cursor, if it has none yet.
pub(crate) fn create_cursors(sids: impl IntoIterator<Item = StockId>) -> String {
    let sids = list(sids);
    format!(
        "INSERT IGNORE INTO stock_cursor (sid, epoch, seq) SELECT id, 0, 0 FROM stock WHERE id IN ({sids})"
    )
}

/// Reads the stock rows; with `lock`, nobody can change them before we do.
pub(crate) fn select_stock(sids: impl IntoIterator<Item = StockId>, lock: bool) -> String {
    let sids = list(sids);
    let lock = if lock { " FOR UPDATE" } else { "" };
    format!(
        "SELECT id, name, count, sale, version FROM stock WHERE id IN ({sids}) ORDER BY id{lock}"
    )
}

/// Reads and locks orders, of any number of sales.
///
/// Each epoch is a condition of its own: `(epoch, seq) IN (…)` would make MariaDB read the whole
/// sale.
pub(crate) fn lock_orders(wanted: &Reservations) -> String {
    let wanted = among(wanted);
    format!("SELECT sid, epoch, seq, uid, qty, status FROM stock_order WHERE {wanted} FOR UPDATE")
}

/// Reads orders that MySQL took no row for.
pub(crate) fn select_rowless(wanted: &Reservations) -> String {
    let wanted = among(wanted);
    format!(
        "SELECT sid, epoch, seq, uid, qty, to_status FROM stock_order_event \
         WHERE uid IS NOT NULL AND ({wanted})"
    )
}

/// Reservations, by sale.
pub(crate) type Reservations = BTreeMap<StockId, BTreeSet<EventId>>;

fn among(wanted: &Reservations) -> String {
    let mut conditions = Vec::new();
    for (sid, ids) in wanted {
        for (epoch, seqs) in by_epoch(ids.iter().copied()) {
            let seqs = list(seqs);
            conditions.push(format!(
                "sid = {sid} AND epoch = {epoch} AND seq IN ({seqs})"
            ));
        }
    }
    conditions.join(" OR ")
}

/// Inserts orders of one sale.
pub(crate) fn insert_orders(sid: StockId, name: &str, version: i64, orders: &[Order]) -> String {
    let name = literal(name);
    let mut sql = String::from(
        "INSERT INTO stock_order (sid, name, create_time, epoch, seq, uid, qty, status, deadline, token, stock_version) VALUES ",
    );
    for (n, order) in orders.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let EventId { epoch, seq } = order.id;
        let uid = literal(order.uid.as_str());
        let (qty, status) = (order.qty, order.status);
        let at = moment(order.at_ms);
        let deadline = order
            .deadline_ms
            .map_or_else(|| "NULL".to_owned(), |ms| ms.to_string());
        let token = order
            .token
            .as_ref()
            .map_or_else(|| "NULL".to_owned(), |token| literal(token.as_str()));
        // A `String` takes every write.
        let _ = write!(
            sql,
            "{comma}({sid}, {name}, {at}, {epoch}, {seq}, {uid}, {qty}, '{status}', {deadline}, {token}, {version})"
        );
    }
    sql
}

/// Moves orders of one sale: one statement for each status and epoch.
pub(crate) fn move_orders(sid: StockId, moves: &BTreeMap<EventId, Status>) -> Vec<String> {
    let mut by_status: BTreeMap<Status, Vec<EventId>> = BTreeMap::new();
    for (id, status) in moves {
        by_status.entry(*status).or_default().push(*id);
    }
    let mut statements = Vec::new();
    for (status, ids) in by_status {
        for (epoch, seqs) in by_epoch(ids) {
            let seqs = list(seqs);
            statements.push(format!(
                "UPDATE stock_order SET status = '{status}' WHERE sid = {sid} AND epoch = {epoch} AND seq IN ({seqs})"
            ));
        }
    }
    statements
}

/// Owes the module cancellations.
pub(crate) fn insert_refusals(sid: StockId, refusals: &[EventId]) -> String {
    let rows: Vec<String> = refusals
        .iter()
        .map(|EventId { epoch, seq }| format!("({sid}, {epoch}, {seq})"))
        .collect();
    let rows = rows.join(", ");
    format!("INSERT IGNORE INTO stock_refusal (sid, epoch, seq) VALUES {rows}")
}

/// Writes down what became of orders of one sale.
pub(crate) fn insert_history(sid: StockId, steps: &[Transition]) -> String {
    let mut sql = String::from(
        "INSERT INTO stock_order_event (sid, epoch, seq, event_epoch, event_seq, at, from_status, to_status, who, note, uid, qty) VALUES ",
    );
    for (n, step) in steps.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let (EventId { epoch, seq }, event, at_ms) = (step.rid, step.event, step.at_ms);
        let from = step
            .from
            .map_or_else(|| "NULL".to_owned(), |status| format!("'{status}'"));
        let (to, who) = (step.to, step.who.as_str());
        let note = literal(&cut(&step.note));
        let rowless = step.rowless.as_ref();
        let (uid, qty) = rowless.map_or_else(
            || ("NULL".to_owned(), "NULL".to_owned()),
            |(uid, qty)| (literal(uid.as_str()), qty.to_string()),
        );
        // A `String` takes every write.
        let _ = write!(
            sql,
            "{comma}({sid}, {epoch}, {seq}, {}, {}, {at_ms}, {from}, '{to}', '{who}', {note}, {uid}, {qty})",
            event.epoch, event.seq
        );
    }
    sql
}

/// Writes down payments of one sale that are to be refunded; of a reservation, the first.
pub(crate) fn insert_refunds(sid: StockId, refunds: &[Refund]) -> String {
    let mut sql = String::from(
        "INSERT INTO stock_refund (sid, epoch, seq, uid, qty, due_at, reason) VALUES ",
    );
    for (n, refund) in refunds.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let EventId { epoch, seq } = refund.rid;
        let (uid, qty) = (literal(&refund.uid), refund.qty);
        let (at_ms, reason) = (refund.at_ms, refund.reason.as_str());
        // A `String` takes every write.
        let _ = write!(
            sql,
            "{comma}({sid}, {epoch}, {seq}, {uid}, {qty}, {at_ms}, '{reason}')"
        );
    }
    // Not IGNORE, which would also swallow what is wrong.
    sql.push_str(" ON DUPLICATE KEY UPDATE sid = stock_refund.sid");
    sql
}

/// As much of a note as its column holds.
fn cut(note: &str) -> String {
    note.chars().take(NOTE_CHARS_MAX).collect()
}

/// Moves the stock row from `before` to `after`, if it still has `version` and has the units.
///
/// What does not take units may always pass: a row that somebody else oversold can still get some
/// back.
pub(crate) fn update_stock(sid: StockId, version: i64, before: Stock, after: Stock) -> String {
    let sale = after.sale.saturating_sub(before.sale);
    let count = after.count.saturating_sub(before.count);
    format!(
        "UPDATE stock SET sale = sale + {sale}, count = count + {count}, version = version + 1 \
         WHERE id = {sid} AND version = {version} \
         AND ({sale} <= 0 OR sale + {sale} <= count + {count})"
    )
}

/// Moves the cursors.
pub(crate) fn update_cursors(cursors: &BTreeMap<StockId, EventId>) -> String {
    let mut epochs = String::new();
    let mut seqs = String::new();
    for (sid, EventId { epoch, seq }) in cursors {
        // A `String` takes every write.
        let _ = write!(epochs, " WHEN {sid} THEN {epoch}");
        let _ = write!(seqs, " WHEN {sid} THEN {seq}");
    }
    let sids = list(cursors.keys().copied());
    format!(
        "UPDATE stock_cursor SET epoch = CASE sid{epochs} END, seq = CASE sid{seqs} END WHERE sid IN ({sids})"
    )
}

fn by_epoch(ids: impl IntoIterator<Item = EventId>) -> BTreeMap<u64, Vec<u64>> {
    let mut epochs: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for EventId { epoch, seq } in ids {
        epochs.entry(epoch).or_default().push(seq);
    }
    epochs
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

/// A Unix time in ms as a literal of the session's time zone, which is UTC; whole seconds, as a
/// `TIMESTAMP` has.
fn moment(ms: u64) -> String {
    let s = ms / 1000;
    if !(1..TIMESTAMP_END_S).contains(&s) {
        // Whatever the server makes of it.
        return format!("FROM_UNIXTIME({s})");
    }
    let moment = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(s)).to_string();
    format!("'{}'", moment.trim_end_matches('Z'))
}

/// A text as a literal in which no byte has a meaning.
pub(crate) fn literal(text: &str) -> String {
    if text.bytes().all(is_meaningless) {
        return format!("'{text}'");
    }
    let mut bytes = String::with_capacity(text.len() * 2 + 11);
    bytes.push_str("_utf8mb4 x'");
    for byte in text.bytes() {
        // A `String` takes every write.
        let _ = write!(bytes, "{byte:02x}");
    }
    bytes.push('\'');
    bytes
}

/// Whether a byte is itself in a quoted literal, in every mode and character set.
const fn is_meaningless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'.' | b':' | b'@' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use seckill_protocol::{Token, Uid};

    const SID: StockId = StockId(1001);

    #[test]
    fn a_name_cannot_leave_its_literal() {
        assert_eq!(literal("a'; --"), "_utf8mb4 x'61273b202d2d'");
        assert_eq!(literal("\\"), "_utf8mb4 x'5c'");
        assert_eq!(literal("é"), "_utf8mb4 x'c3a9'");
        for plain in ["", "u7", "a thing", "a-b_c.d:e@f+g"] {
            assert_eq!(literal(plain), format!("'{plain}'"));
        }
    }

    #[test]
    fn a_moment_is_a_literal_where_it_is_one() {
        assert_eq!(moment(1_790_000_000_999), "'2026-09-21T14:13:20'");
        assert_eq!(moment(2_147_483_647_000), "'2038-01-19T03:14:07'");
        for (ms, s) in [
            (999, "0"),
            (2_147_483_648_000, "2147483648"),
            (u64::MAX, "18446744073709551"),
        ] {
            assert_eq!(moment(ms), format!("FROM_UNIXTIME({s})"));
        }
    }

    #[test]
    fn orders_go_in_by_one_statement() {
        let order = |seq, deadline_ms, status| Order {
            id: EventId::new(9, seq),
            uid: Uid::new(b"u7").unwrap(),
            qty: 2,
            status,
            deadline_ms,
            token: deadline_ms.map(|_| Token::new(b"t1").unwrap()),
            at_ms: 5_999,
        };
        let orders = [
            order(2, Some(7), Status::Held),
            order(3, None, Status::Confirmed),
        ];
        assert_eq!(
            insert_orders(SID, "L", 4, &orders),
            "INSERT INTO stock_order (sid, name, create_time, epoch, seq, uid, qty, status, deadline, token, stock_version) VALUES \
             (1001, 'L', '1970-01-01T00:00:05', 9, 2, 'u7', 2, 'held', 7, 't1', 4), \
             (1001, 'L', '1970-01-01T00:00:05', 9, 3, 'u7', 2, 'confirmed', NULL, NULL, 4)"
        );
    }

    #[test]
    fn moves_are_grouped_by_status_and_epoch() {
        let moves = BTreeMap::from([
            (EventId::new(1, 7), Status::Expired),
            (EventId::new(2, 3), Status::Confirmed),
            (EventId::new(2, 4), Status::Expired),
            (EventId::new(2, 5), Status::Expired),
        ]);
        assert_eq!(
            move_orders(SID, &moves),
            [
                "UPDATE stock_order SET status = 'confirmed' WHERE sid = 1001 AND epoch = 2 AND seq IN (3)",
                "UPDATE stock_order SET status = 'expired' WHERE sid = 1001 AND epoch = 1 AND seq IN (7)",
                "UPDATE stock_order SET status = 'expired' WHERE sid = 1001 AND epoch = 2 AND seq IN (4, 5)",
            ]
        );
    }

    #[test]
    fn stock_is_taken_only_at_the_version_that_was_read() {
        let before = Stock { count: 10, sale: 3 };
        let after = Stock { count: 10, sale: 5 };
        assert_eq!(
            update_stock(SID, 8, before, after),
            "UPDATE stock SET sale = sale + 2, count = count + 0, version = version + 1 \
             WHERE id = 1001 AND version = 8 AND (2 <= 0 OR sale + 2 <= count + 0)"
        );
    }
}
