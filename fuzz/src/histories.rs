//! Sales with a past, what may come next, and what the targets begin with.

use crate::command::{Clock, Command, EPOCH, Fact, Opening, Place, Question, Setting, Which};
use crate::commands::open;
use crate::copies::{blocks, made};
use crate::node::Node;
use crate::snapshot::BETWEEN;
use seckill_protocol::ReservationState;
use seckill_sale::decide::IfLate;
use seckill_sale::{Cursor, Options, Rate, Sale};
use std::sync::LazyLock;

/// An input that a target begins with.
pub struct Seed {
    /// For which target.
    pub target: &'static str,
    /// What it is.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

/// A saved sale, as its blocks. Which number has which is part of the corpus.
pub(crate) fn history(number: u8) -> &'static [Vec<u8>] {
    static HISTORIES: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
        let saved = |past| blocks(&lived(past).sale);
        pasts().into_iter().map(saved).collect()
    });
    let number = usize::from(number) % HISTORIES.len();
    HISTORIES.get(number).map_or(&[], Vec::as_slice)
}

fn new_sale() -> Sale {
    let options = Options {
        name: "Lamp".into(),
        limit: 3,
        hold_ms: 1000,
        ..Options::default()
    };
    let opening = Opening {
        epoch: EPOCH,
        options,
        total: 12,
        sold: 1,
        paused: false,
    };
    open(opening).unwrap()
}

fn lived(past: Vec<Command>) -> Node {
    let mut node = Node::new(new_sale(), EPOCH);
    node.run_all(past);
    node
}

/// What happened to the sales so far.
fn pasts() -> [Vec<Command>; 6] {
    let bought = vec![
        buy("u0", 1, Some("t")),
        later(10),
        buy("u1", 2, None),
        buy("u0", 1, Some("t1")),
        later(5),
        buy("u2", 1, None),
        confirm(0),
        Command::Cancel(Which::Known(1)),
        buy("u1", 3, Some("t")),
    ];
    let lapsed = [
        vec![
            ack(Cursor::Relayed, 2),
            ack(Cursor::Stored, 6),
            Command::Clock(Clock::ToRelease),
            Command::Look,
            confirm(2),
            alter(Setting::Hold(0)),
            buy("u3", 1, None),
            Command::Clock(Clock::Back(700)),
            buy("u3", 1, None),
        ],
        vec![Command::Restock(-1), Command::Pause],
    ]
    .concat();
    let fenced = vec![
        later(100),
        Command::TakeOver { fenced: true },
        Command::Restore(vec![
            Fact::Units {
                total: 14,
                sold_before: 2,
            },
            mysql_has("Žofie", 3, ReservationState::Held),
            mysql_has("u3", 8, ReservationState::Confirmed),
            Fact::Known(1, ReservationState::Confirmed),
        ]),
    ];
    let crowd = ["u2", "u3", "Žofie", "~"].repeat(2);
    let sold_out = crowd.into_iter().map(|buyer| buy(buyer, 1, None));
    [
        vec![],
        bought.clone(),
        [bought.clone(), lapsed].concat(),
        [bought.clone(), fenced.clone()].concat(),
        [
            bought.clone(),
            fenced,
            vec![Command::Restore(vec![Fact::Join(Place::Any(EPOCH, 40))])],
        ]
        .concat(),
        bought
            .into_iter()
            .chain(sold_out)
            .chain([Command::Close])
            .collect(),
    ]
}

/// What may come next: each changes a sale in another way.
fn futures() -> Vec<Vec<Command>> {
    let one = [
        buy("u3", 1, Some("t")),
        Command::Tries(["u3", "~", "Žofie"].map(question).to_vec()),
        confirm(3),
        Command::Cancel(Which::Known(0)),
        Command::Restock(5),
        alter(Setting::Rate(Some(Rate {
            per_second: 5,
            burst: 2,
        }))),
        Command::Pause,
        Command::Resume,
        Command::Close,
        ack(Cursor::Relayed, 0),
        ack(Cursor::Stored, 1),
        Command::TakeOver { fenced: true },
        Command::TakeOver { fenced: false },
    ];
    let mut futures: Vec<_> = one.into_iter().map(|command| vec![command]).collect();
    futures.extend([
        vec![later(5000), Command::Look],
        vec![Command::TakeOver { fenced: true }, ack(Cursor::Stored, 0)],
        vec![
            Command::Pause,
            Command::Restore(vec![
                Fact::Units {
                    total: 30,
                    sold_before: 3,
                },
                mysql_has("u6-0123456789", 1, ReservationState::Held),
                Fact::Known(0, ReservationState::Expired),
                Fact::Join(Place::Back(1)),
            ]),
        ],
    ]);
    futures
}

/// A little of everything, for a sale of which only its blocks are known.
pub(crate) fn after() -> Vec<Command> {
    let mut commands = vec![Command::Look];
    commands.extend(futures().into_iter().flatten());
    commands.extend([
        Command::Clock(Clock::To(u64::MAX)),
        Command::Look,
        Command::Clock(Clock::To(0)),
        buy("u1", 1, None),
        Command::Reload,
        Command::Resync,
        Command::Promote {
            lost: 3,
            fenced: true,
        },
        Command::Resume,
        buy("~", 2, None),
    ]);
    commands
}

/// What the targets begin with, before their corpora.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (which, past) in (0_u8..).zip(pasts()) {
        let node = lived(past);
        let saved = blocks(&node.sale);
        let of_past = |target, name: String, bytes| Seed {
            target,
            name: format!("past-{which}-{name}"),
            bytes,
        };
        seeds.push(of_past("snapshot", "saved".into(), saved.join(BETWEEN)));
        if let Some(batch) = node.sale.events_after(node.sale.stored(), 100) {
            let packed = batch.to_packed().unwrap();
            seeds.push(of_past("events", "packed".into(), packed));
            let json = batch.to_json("1001").unwrap();
            seeds.push(of_past("events", "json".into(), json));
        }
        for (n, future) in futures().into_iter().enumerate() {
            let mut node = Node::new(made(&saved), node.now_ms);
            node.run_all(future);
            for change in &node.sent {
                let bytes = [&[which], &change[..]].concat();
                seeds.push(of_past("payload", format!("future-{n}"), bytes));
            }
            let payloads = [&saved[..], &node.sent].concat();
            seeds.push(of_past(
                "snapshot",
                format!("future-{n}"),
                payloads.join(BETWEEN),
            ));
        }
    }
    seeds
}

// === Commands in short ===

fn question(buyer: &'static str) -> Question {
    Question {
        buyer,
        qty: 1,
        token: None,
    }
}

fn buy(buyer: &'static str, qty: u32, token: Option<&'static str>) -> Command {
    Command::Try(Question { buyer, qty, token })
}

fn confirm(n: u8) -> Command {
    Command::Confirm {
        which: Which::Known(n),
        if_late: IfLate::Take,
    }
}

fn later(ms: u64) -> Command {
    Command::Clock(Clock::On(ms))
}

fn ack(cursor: Cursor, back: u8) -> Command {
    Command::Ack(cursor, Place::Back(back))
}

fn alter(setting: Setting) -> Command {
    Command::Alter(vec![setting])
}

/// A reservation of an epoch that is lost here.
fn mysql_has(buyer: &'static str, seq: u64, state: ReservationState) -> Fact {
    Fact::Made {
        place: Place::Any(EPOCH - 1_000_000, seq),
        question: question(buyer),
        state,
        at_ms: EPOCH - 500_000,
        hold_ms: 500_900,
    }
}
