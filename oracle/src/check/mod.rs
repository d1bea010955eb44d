//! The invariants. Pure: from what was seen to what is wrong with it.
//!
//! | file | invariant |
//! | --- | --- |
//! | `loss.rs` | who was told that he has units has an order |
//! | `phantom.rs` | every order was decided, and every decision was asked for |
//! | `duplicate.rs` | one reservation, one order; one token, one reservation |
//! | `units.rs` | conservation, `stock.sale`, the limit per buyer |
//! | `log.rs` | gapless numbering |
//! | `version.rs` | `stock.version` only rises |
//! | `forward.rs` | states only go forward, and none before its deadline |
//! | `drained.rs` | nothing is left undone |
//! | `undersell.rs` | nobody was told "sold out" while there were units |
//! | `answers.rs` | what clients were told is what became of it |
//! | `refunds.rs` | payments to be given back |

mod answers;
mod drained;
mod duplicate;
mod forward;
mod log;
mod loss;
mod phantom;
mod refunds;
#[cfg(test)]
mod tests;
mod undersell;
mod units;
mod version;

use crate::ledger::Ledger;
use crate::report::Report;
use crate::seen::Seen;
use crate::setting::Setting;
use crate::view::View;

/// Judges what was seen of a sale.
#[must_use]
pub fn judge(seen: &Seen, setting: &Setting) -> Report {
    let ledger = Ledger::of(seen);
    let view = View::new(seen, &ledger, setting);
    let invariants = [
        loss::check,
        phantom::check,
        duplicate::check,
        units::conservation,
        units::sale,
        units::limit,
        log::check,
        version::check,
        forward::check,
        forward::deadline,
        drained::check,
        undersell::check,
        answers::check,
        refunds::check,
    ];
    Report {
        sid: seen.sid.clone(),
        invariants: invariants.map(|check| check(&view)).into(),
    }
}
