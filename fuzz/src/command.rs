//! Commands, as they are read from bytes: one byte chooses what comes, and the numbers that matter
//! (small ones, the largest, and what is near the clock) take few.

use arbitrary::{Arbitrary, Result, Unstructured};
use seckill_protocol::ReservationState;
use seckill_sale::decide::IfLate;
use seckill_sale::{Cursor, Options, RATE_MAX, Rate, UNITS_MAX};

/// When the sales here begin, Unix ms.
pub(crate) const EPOCH: u64 = 1_763_800_000_000;

/// What an operator, a buyer, the worker or fate may do to a sale.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clock(Clock),
    Try(Question),
    Tries(Vec<Question>),
    Confirm {
        which: Which,
        if_late: IfLate,
    },
    Cancel(Which),
    Restock(i64),
    Alter(Vec<Setting>),
    Pause,
    Resume,
    Close,
    Ack(Cursor, Place),
    Restore(Vec<Fact>),
    /// Nothing but what every writing command does first.
    Look,
    TakeOver {
        fenced: bool,
    },
    /// The node is restarted.
    Reload,
    /// The replica is made anew, from a snapshot.
    Resync,
    /// A replica that lacks the last changes goes on in place of the node, when it is asked next.
    Promote {
        lost: u8,
        fenced: bool,
    },
}

/// What the clock does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    On(u64),
    Back(u64),
    To(u64),
    /// To when the first hold lapses.
    ToRelease,
}

/// A TRY.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) buyer: &'static str,
    pub(crate) qty: u32,
    pub(crate) token: Option<&'static str>,
}

/// A reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// One that was granted.
    Known(u8),
    At(Place),
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// So many before the last event, in its epoch.
    Back(u8),
    /// After the last event.
    Beyond(u8),
    /// Of the last epoch of this one.
    Any(u64, u64),
}

/// An option of ALTER.
#[derive(Clone, Debug)]
pub(crate) enum Setting {
    Name(&'static str),
    Limit(u32),
    Start(u64),
    End(u64),
    Hold(u64),
    Rate(Option<Rate>),
    UserRate(Option<Rate>),
}

/// A fact of RESTORE.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact {
    Units {
        total: u64,
        sold_before: u64,
    },
    /// A reservation that was granted, in some state.
    Known(u8, ReservationState),
    /// One that MySQL made up.
    Made {
        place: Place,
        question: Question,
        state: ReservationState,
        at_ms: u64,
        hold_ms: u64,
    },
    /// The payment for a granted reservation is to be refunded.
    Refund(u8),
    Join(Place),
}

/// What a sale begins with.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) epoch: u64,
    pub(crate) options: Options,
    pub(crate) total: u64,
    pub(crate) sold: u64,
    pub(crate) paused: bool,
}

/// 128 bytes: as long as an id or a token may be.
const LONG: &str = "long-long-long-long-long-long-long-long-long-long-long-long-long\
                    -long-long-long-long-long-long-long-long-long-long-long-long-xyz";

pub(crate) const BUYERS: [&str; 8] = ["u0", "u1", "u2", "u3", "Žofie", "~", "u6-0123456789", LONG];
const TOKENS: [&str; 4] = ["t", "t1", "Käufer 7", LONG];
const NAMES: [&str; 3] = ["", "Lamp", "Lampička \u{1f4a1}"];

// === impl Command ===

impl Command {
    /// Whether no hold is overdue after it.
    pub(crate) const fn releases(&self) -> bool {
        match self {
            // What is put back may be overdue.
            Self::Restore(_)
            | Self::Clock(_)
            | Self::TakeOver { .. }
            | Self::Reload
            | Self::Resync
            | Self::Promote { .. } => false,
            Self::Try(_)
            | Self::Tries(_)
            | Self::Confirm { .. }
            | Self::Cancel(_)
            | Self::Restock(_)
            | Self::Alter(_)
            | Self::Pause
            | Self::Resume
            | Self::Close
            | Self::Ack(..)
            | Self::Look => true,
        }
    }
}

// === Numbers ===

/// A number of units, or a count.
fn amount(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=9_u8)? {
        0..=6 => u.int_in_range(0..=12)?,
        7 => u.arbitrary::<u16>()?.into(),
        8 => u.arbitrary()?,
        _ => u64::MAX - u64::from(u.arbitrary::<u8>()?),
    })
}

/// A span, ms.
fn span(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=9_u8)? {
        0..=3 => u.arbitrary::<u8>()?.into(),
        4..=6 => u.arbitrary::<u16>()?.into(),
        7 => 0,
        8 => u64::MAX - u64::from(u.arbitrary::<u8>()?),
        _ => u.arbitrary()?,
    })
}

/// An instant, Unix ms.
fn instant(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=9_u8)? {
        0..=5 => EPOCH + u64::from(u.arbitrary::<u16>()?),
        6 => 0,
        7 => u64::MAX - u64::from(u.arbitrary::<u8>()?),
        8 => i64::MAX.unsigned_abs() - 2 + u64::from(u.int_in_range(0..=4_u8)?),
        _ => u.arbitrary()?,
    })
}

fn qty(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=11_u8)? {
        0..=7 => 1,
        8 | 9 => u.int_in_range(2..=5)?,
        10 => u.int_in_range(65_530..=65_540)?,
        _ => u.arbitrary::<u32>()?.max(1),
    })
}

fn limit(u: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0..=6 => u.int_in_range(0..=4)?,
        _ => u.arbitrary()?,
    })
}

fn rate(u: &mut Unstructured<'_>) -> Result<Option<Rate>> {
    let of = |u: &mut Unstructured<'_>| match u.int_in_range(0..=3_u8)? {
        0 | 1 => u.int_in_range(1..=9),
        2 => u.int_in_range(1..=RATE_MAX),
        _ => Ok(RATE_MAX),
    };
    let rate = Rate {
        per_second: of(u)?,
        burst: of(u)?,
    };
    Ok(u.ratio(2, 3)?.then_some(rate))
}

fn state(u: &mut Unstructured<'_>) -> Result<ReservationState> {
    u.choose(&[
        ReservationState::Held,
        ReservationState::Confirmed,
        ReservationState::Cancelled,
        ReservationState::Expired,
    ])
    .copied()
}

fn some<'a, T>(
    u: &mut Unstructured<'a>,
    one: impl Fn(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(1..=5_u8)?;
    (0..count).map(|_| one(u)).collect()
}

// === impl Arbitrary ===

impl<'a> Arbitrary<'a> for Command {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=31_u8)? {
            0..=7 => Self::Try(question(u)?),
            8 => Self::Tries(some(u, question)?),
            9..=12 => Self::Clock(clock(u)?),
            13..=15 => Self::Confirm {
                which: which(u)?,
                if_late: *u.choose(&[IfLate::Refuse, IfLate::Take, IfLate::Refund])?,
            },
            16 | 17 => Self::Cancel(which(u)?),
            18 => Self::Restock(match u.int_in_range(0..=3_u8)? {
                0..=2 => u.int_in_range(-8..=8)?,
                _ => u.arbitrary()?,
            }),
            19 => Self::Alter(some(u, setting)?),
            20 => Self::Pause,
            21 => Self::Resume,
            22 => Self::Close,
            23 | 24 => Self::Ack(
                if u.arbitrary()? {
                    Cursor::Stored
                } else {
                    Cursor::Relayed
                },
                place(u)?,
            ),
            25 | 26 => Self::Restore(some(u, fact)?),
            27 => Self::Look,
            28 => Self::TakeOver {
                fenced: u.arbitrary()?,
            },
            29 => Self::Reload,
            30 => Self::Resync,
            _ => Self::Promote {
                lost: u.int_in_range(0..=9)?,
                fenced: u.arbitrary()?,
            },
        })
    }
}

impl<'a> Arbitrary<'a> for Opening {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let total = amount(u)?;
        Ok(Self {
            epoch: instant(u)?,
            options: Options {
                name: (*u.choose(&NAMES)?).into(),
                limit: limit(u)?,
                start_ms: if u.ratio(1, 4)? { instant(u)? } else { 0 },
                end_ms: if u.ratio(1, 4)? { instant(u)? } else { 0 },
                hold_ms: span(u)?,
                rate: if u.ratio(1, 3)? { rate(u)? } else { None },
                user_rate: if u.ratio(1, 3)? { rate(u)? } else { None },
            },
            total,
            sold: if u.ratio(1, 4)? { amount(u)? } else { 0 },
            paused: u.ratio(1, 8)?,
        })
    }
}

fn clock(u: &mut Unstructured<'_>) -> Result<Clock> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0..=3 => Clock::On(span(u)?),
        4 => Clock::Back(span(u)?),
        5 => Clock::To(instant(u)?),
        _ => Clock::ToRelease,
    })
}

fn question(u: &mut Unstructured<'_>) -> Result<Question> {
    Ok(Question {
        buyer: u.choose(&BUYERS)?,
        qty: qty(u)?,
        token: if u.ratio(1, 3)? {
            Some(u.choose(&TOKENS)?)
        } else {
            None
        },
    })
}

fn which(u: &mut Unstructured<'_>) -> Result<Which> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0..=6 => Which::Known(u.arbitrary()?),
        _ => Which::At(place(u)?),
    })
}

fn place(u: &mut Unstructured<'_>) -> Result<Place> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0..=3 => Place::Back(u.int_in_range(0..=24)?),
        4 => Place::Beyond(u.int_in_range(1..=9)?),
        _ => Place::Any(instant(u)?, amount(u)?),
    })
}

fn setting(u: &mut Unstructured<'_>) -> Result<Setting> {
    Ok(match u.int_in_range(0..=6_u8)? {
        0 => Setting::Name(u.choose(&NAMES)?),
        1 => Setting::Limit(limit(u)?),
        2 => Setting::Start(instant(u)?),
        3 => Setting::End(instant(u)?),
        4 => Setting::Hold(span(u)?),
        5 => Setting::Rate(rate(u)?),
        _ => Setting::UserRate(rate(u)?),
    })
}

fn fact(u: &mut Unstructured<'_>) -> Result<Fact> {
    Ok(match u.int_in_range(0..=7_u8)? {
        0 => Fact::Units {
            total: amount(u)?.min(UNITS_MAX),
            sold_before: amount(u)?.min(UNITS_MAX),
        },
        1..=3 => Fact::Known(u.arbitrary()?, state(u)?),
        4 | 5 => Fact::Made {
            place: place(u)?,
            question: question(u)?,
            state: state(u)?,
            at_ms: instant(u)?,
            hold_ms: span(u)?,
        },
        6 => Fact::Refund(u.arbitrary()?),
        _ => Fact::Join(place(u)?),
    })
}
