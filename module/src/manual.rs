//! What `COMMAND DOCS` and `COMMAND INFO` say: a page for each command.
//!
//! The server also checks the number of arguments and finds the key by these pages.

use Kind::{Block, Choice, Instant, Integer, SaleKey, Text, Token};
use std::ffi::CStr;

/// One command.
pub(crate) struct Page {
    pub(crate) name: &'static CStr,
    pub(crate) summary: &'static CStr,
    pub(crate) complexity: &'static CStr,
    /// The number of words, the command's among them; negative: at least so many.
    pub(crate) arity: i32,
    pub(crate) access: Access,
    /// The arguments after the key.
    pub(crate) args: &'static [Arg],
}

/// What a command does to its key.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Reads,
    Updates,
    Creates,
}

/// One argument, or several that belong together.
#[derive(Clone, Copy)]
pub(crate) struct Arg {
    pub(crate) name: &'static CStr,
    pub(crate) kind: Kind,
    /// The word in front of it.
    pub(crate) token: Option<&'static CStr>,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
}

/// What an argument is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    SaleKey,
    Text,
    Integer,
    /// Unix time, ms.
    Instant,
    /// Only a word.
    Token,
    /// All of these.
    Block(&'static [Arg]),
    /// One of these.
    Choice(&'static [Arg]),
}

// === impl Arg ===

impl Arg {
    /// The key, which every command has.
    pub(crate) const KEY: Self = Self::new(c"sid", SaleKey);

    const fn new(name: &'static CStr, kind: Kind) -> Self {
        Self {
            name,
            kind,
            token: None,
            optional: false,
            multiple: false,
        }
    }

    /// An option with a value behind its word.
    const fn option(token: &'static CStr, name: &'static CStr, kind: Kind) -> Self {
        Self {
            token: Some(token),
            optional: true,
            ..Self::new(name, kind)
        }
    }

    /// Only a word.
    const fn word(token: &'static CStr, name: &'static CStr) -> Self {
        Self {
            token: Some(token),
            ..Self::new(name, Token)
        }
    }

    const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }
}

const UID: Arg = Arg::new(c"uid", Text);
const RID: Arg = Arg::new(c"rid", Text);
const BURST: Arg = Arg::option(c"BURST", c"burst", Integer);
const PER_SECOND: Arg = Arg::new(c"per-second", Integer);
const LIMIT: Arg = Arg::option(c"LIMIT", c"units-per-buyer", Integer);
const START: Arg = Arg::option(c"START", c"start-ms", Instant);
const END: Arg = Arg::option(c"END", c"end-ms", Instant);
const HOLD: Arg = Arg::option(c"HOLD", c"hold-ms", Integer);
const RATE: Arg = Arg::option(c"RATE", c"rate", Block(&[PER_SECOND, BURST]));
const USERRATE: Arg = Arg::option(c"USERRATE", c"user-rate", Block(&[PER_SECOND, BURST]));
const NAME: Arg = Arg::option(c"NAME", c"name", Text);
const PLACE: &[Arg] = &[Arg::new(c"epoch", Integer), Arg::new(c"seq", Integer)];

pub(crate) const CREATE: Page = Page {
    name: c"SECKILL.CREATE",
    summary: c"Creates a sale. Unless said otherwise: one unit a buyer, held 900000 ms, from now on without an end, no rates. LIMIT 0: any number; HOLD 0: sold at once; instants are Unix ms, rates a second.",
    complexity: c"O(1)",
    arity: -4,
    access: Access::Creates,
    args: &[
        Arg {
            optional: false,
            ..Arg::option(c"STOCK", c"units", Integer)
        },
        Arg::option(c"SOLD", c"units-sold-before", Integer),
        LIMIT,
        START,
        END,
        HOLD,
        RATE,
        USERRATE,
        NAME,
        Arg::word(c"PAUSED", c"paused").optional(),
    ],
};

pub(crate) const ALTER: Page = Page {
    name: c"SECKILL.ALTER",
    summary: c"Changes the options of a running sale.",
    complexity: c"O(1)",
    arity: -3,
    access: Access::Updates,
    args: &[LIMIT, START, END, HOLD, RATE, USERRATE, NAME],
};

pub(crate) const TRY: Page = Page {
    name: c"SECKILL.TRY",
    summary: c"Decides whether a buyer gets units. Replies a verdict and a detail: ACCEPTED or DUPLICATE and the reservation; SOLDOUT (-1: for good), LIMITED or NOTSTARTED and the ms to wait; ENDED or PAUSED and 0. The same TOKEN again is the same try.",
    complexity: c"O(1), plus the overdue holds that it releases",
    arity: -3,
    access: Access::Updates,
    args: &[
        UID,
        Arg::option(c"QTY", c"units", Integer),
        Arg::option(c"TOKEN", c"idempotency-key", Text),
    ],
};

pub(crate) const MTRY: Page = Page {
    name: c"SECKILL.MTRY",
    summary: c"Decides for many buyers of one sale, one unit each, in their order. Replies the verdicts and details of SECKILL.TRY as one flat array.",
    complexity: c"O(N), N being the number of buyers",
    arity: -3,
    access: Access::Updates,
    args: &[Arg {
        multiple: true,
        ..UID
    }],
};

pub(crate) const CONFIRM: Page = Page {
    name: c"SECKILL.CONFIRM",
    summary: c"Paid: turns held units into sold ones; with LATE also those of an expired hold, if they are there. Again is OK; of one that ended otherwise: -GONE, and with LATE or REFUND an event late_payment, once. In a fenced sale: -FENCED, ask again.",
    complexity: c"O(log N), N being the number of reservations",
    arity: -3,
    access: Access::Updates,
    args: &[
        RID,
        Arg::new(
            c"if-late",
            Choice(&[Arg::word(c"LATE", c"late"), Arg::word(c"REFUND", c"refund")]),
        )
        .optional(),
    ],
};

pub(crate) const CANCEL: Page = Page {
    name: c"SECKILL.CANCEL",
    summary: c"Gives held units back. Again is OK; of one that ended otherwise: -GONE. In a fenced sale: -FENCED, ask again.",
    complexity: c"O(log N), N being the number of reservations",
    arity: 3,
    access: Access::Updates,
    args: &[RID],
};

pub(crate) const GET: Page = Page {
    name: c"SECKILL.GET",
    summary: c"Shows a reservation.",
    complexity: c"O(log N), N being the number of reservations",
    arity: 3,
    access: Access::Reads,
    args: &[RID],
};

pub(crate) const USER: Page = Page {
    name: c"SECKILL.USER",
    summary: c"Shows the reservations of a buyer, the latest first.",
    complexity: c"O(N), N being the number of his reservations, at most 1000",
    arity: 3,
    access: Access::Reads,
    args: &[UID],
};

pub(crate) const RESERVATIONS: Page = Page {
    name: c"SECKILL.RESERVATIONS",
    summary: c"Shows all reservations in the order in which they came, a page of at most 10000 at a time: rid, uid, units, state, Unix ms of the grant and of the deadline (0: sold at once), token.",
    complexity: c"O(N), N being the number of reservations that are replied",
    arity: -2,
    access: Access::Reads,
    args: &[
        Arg::option(c"FROM", c"first", Integer),
        Arg::option(c"COUNT", c"count", Integer),
    ],
};

pub(crate) const INFO: Page = Page {
    name: c"SECKILL.INFO",
    summary: c"Shows a sale: state, units, options, cursors, and this node's counters.",
    complexity: c"O(log N), N being the number of reservations",
    arity: 2,
    access: Access::Reads,
    args: &[],
};

pub(crate) const EVENTS: Page = Page {
    name: c"SECKILL.EVENTS",
    summary:
        c"Reads the log of a sale, packed for the worker or as text, or waits for it; releases overdue holds first.",
    complexity: c"O(log N + M), N being the events that are kept and M those that are replied",
    arity: -2,
    access: Access::Updates,
    args: &[
        Arg::option(c"AFTER", c"after", Block(PLACE)),
        Arg::option(c"COUNT", c"count", Integer),
        Arg::option(c"BLOCK", c"wait-ms", Integer),
        Arg::option(
            c"FORMAT",
            c"format",
            Choice(&[Arg::word(c"packed", c"packed"), Arg::word(c"text", c"text")]),
        ),
    ],
};

pub(crate) const ACK: Page = Page {
    name: c"SECKILL.ACK",
    summary: c"Moves one of the worker's cursors: what the broker has, what MySQL has. What is STORED leaves the log.",
    complexity: c"O(N), N being the events that leave the log",
    arity: 5,
    access: Access::Updates,
    args: &[
        Arg::new(
            c"cursor",
            Choice(&[
                Arg::word(c"RELAYED", c"relayed"),
                Arg::word(c"STORED", c"stored"),
            ]),
        ),
        Arg::new(c"epoch", Integer),
        Arg::new(c"seq", Integer),
    ],
};

pub(crate) const LEASE: Page = Page {
    name: c"SECKILL.LEASE",
    summary: c"Asks for the lease by which one worker at a time relays a sale, or gives it back. Says who has it, for how many ms still, and who else asks.",
    complexity: c"O(1)",
    arity: 4,
    access: Access::Updates,
    args: &[Arg::new(c"holder", Text), Arg::new(c"ms", Integer)],
};

pub(crate) const PAUSE: Page = Page {
    name: c"SECKILL.PAUSE",
    summary: c"Stops a sale: every TRY is answered PAUSED.",
    complexity: c"O(1)",
    arity: 2,
    access: Access::Updates,
    args: &[],
};

pub(crate) const RESUME: Page = Page {
    name: c"SECKILL.RESUME",
    summary: c"Lets a paused or fenced sale go on.",
    complexity: c"O(1)",
    arity: 2,
    access: Access::Updates,
    args: &[],
};

pub(crate) const CLOSE: Page = Page {
    name: c"SECKILL.CLOSE",
    summary: c"Ends a sale for good; live holds run out.",
    complexity: c"O(1)",
    arity: 2,
    access: Access::Updates,
    args: &[],
};

pub(crate) const RESTOCK: Page = Page {
    name: c"SECKILL.RESTOCK",
    summary: c"Adds units, or takes unsold ones away, never below what is held or sold.",
    complexity: c"O(1)",
    arity: 3,
    access: Access::Updates,
    args: &[Arg::new(c"delta", Integer)],
};

pub(crate) const RESTORE: Page = Page {
    name: c"SECKILL.RESTORE",
    summary:
        c"Puts back what MySQL has and this node does not, while the sale is fenced or paused.",
    complexity: c"O(N log M), N being the reservations that are put back and M all of them",
    arity: -4,
    access: Access::Updates,
    args: &[Arg {
        multiple: true,
        ..Arg::new(
            c"fact",
            Choice(&[
                Arg {
                    optional: false,
                    ..Arg::option(
                        c"UNITS",
                        c"units",
                        Block(&[
                            Arg::new(c"total", Integer),
                            Arg::new(c"sold-in-no-reservation", Integer),
                        ]),
                    )
                },
                Arg {
                    optional: false,
                    ..Arg::option(
                        c"RESERVATION",
                        c"reservation",
                        Block(&[
                            RID,
                            UID,
                            Arg::new(c"units", Integer),
                            Arg::new(c"state", Text),
                            Arg::new(c"at-ms", Instant),
                            Arg::new(c"deadline-ms", Instant),
                            Arg::option(c"TOKEN", c"idempotency-key", Text),
                        ]),
                    )
                },
                Arg {
                    optional: false,
                    ..Arg::option(c"REFUND", c"refund", Block(&[RID]))
                },
                Arg {
                    optional: false,
                    ..Arg::option(c"EPOCH", c"above", Integer)
                },
                Arg {
                    optional: false,
                    ..Arg::option(c"JOIN", c"join", Block(PLACE))
                },
            ]),
        )
    }],
};

pub(crate) const AUDIT: Page = Page {
    name: c"SECKILL.AUDIT",
    summary: c"Counts a sale again from its reservations.",
    complexity: c"O(N), N being the number of reservations",
    arity: 2,
    access: Access::Reads,
    args: &[],
};

pub(crate) const APPLY: Page = Page {
    name: c"SECKILL.APPLY",
    summary: c"Carries effects to replicas and the AOF; refused from a client.",
    complexity: c"O(N), N being the number of effects",
    arity: 3,
    access: Access::Updates,
    args: &[Arg::new(c"effects", Text)],
};
