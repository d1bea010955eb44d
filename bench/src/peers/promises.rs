//! What each peer guarantees, and what it does not: no figure says that.

use crate::report::{Part, Row};

const PROMISES: [(&str, &str); 4] = [
    (
        "nginx + Lua + script",
        "Sells nothing twice while its Redis keeps what it has. A buyer has a cap, a hold has a deadline and an \
         acceptance is in a stream; releasing holds, writing orders and comparing the books is for somebody to \
         build. A lost answer cannot be asked for again: the buyer hears DUPLICATE without what he has. A \
         replica that takes over sells again what it had not received.",
    ),
    ("service + script", "The same, as it is the same script."),
    (
        "service + CL.THROTTLE + script",
        "The same, and tries are limited by GCRA, without a double burst at a window's edge. CL.THROTTLE itself \
         knows no stock and no buyer's cap. It is a command of its own, so a try is used up also if the script is \
         never reached. It has written to the disk before it is known whether anything is left.",
    ),
    (
        "this system",
        "Sells nothing twice, whatever dies; MySQL refuses last. Holds lapse by themselves, an order is written \
         once for each acceptance, a token brings back a lost answer, a replica that took over sells nothing \
         before MySQL was compared. A rejection writes nothing. docs/guarantees.md has each promise with its \
         tests, and what is not promised.",
    ),
];

pub(super) fn part() -> Part {
    let rows = PROMISES.iter();
    Part {
        title: "What is guaranteed".to_owned(),
        rows: rows
            .map(|(name, says)| Row::new(*name).note(says))
            .collect(),
    }
}
