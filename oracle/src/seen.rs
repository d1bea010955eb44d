//! What was seen of one sale: what each of the sources says, before anybody judges it.

use crate::event::Event;
use crate::place::Place;
use crate::record::Call;
use std::fmt;
use std::str::FromStr;

/// Everything that was seen of a sale.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which sale.
    pub sid: String,
    /// What MySQL says, in one snapshot.
    pub books: Books,
    /// What Kafka says; `None`: there is no broker.
    pub topic: Option<Topic>,
    /// What the module says; `None`: it knows no such sale.
    pub module: Option<Module>,
    /// What clients were told; `None`: nobody kept a record.
    pub calls: Option<Vec<Call>>,
}

/// What MySQL has of a sale.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The stock row.
    pub stock: Option<Stock>,
    /// `stock_sale.buyer_limit`: units a buyer may have; 0: no limit.
    pub limit: Option<i64>,
    /// The last event that was applied.
    pub cursor: Option<Place>,
    /// All orders, also those that are not Seckill's, in the order in which they were written.
    pub orders: Vec<Order>,
    /// `stock_order_event`, in the order of the events.
    pub history: Vec<Moved>,
    /// `stock_refusal`: cancellations that are owed to the module.
    pub refusals: Vec<Place>,
    /// `stock_refund`.
    pub refunds: Vec<Refund>,
}

/// A row of `stock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// All units.
    pub count: i64,
    /// Units that are gone.
    pub sale: i64,
    /// One more with every change.
    pub version: i64,
}

/// A row of `stock_order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The row's number.
    pub id: u64,
    /// Which reservation; `None`: not by Seckill.
    pub rid: Option<Place>,
    /// Whose it is.
    pub uid: Option<String>,
    /// How many units.
    pub qty: i64,
    /// Where it stands.
    pub status: Status,
    /// Until when the units are held; `None`: sold at once.
    pub deadline: Option<u64>,
    /// What the buyer asked with.
    pub token: Option<String>,
    /// `stock.version` from which on it counts.
    pub stock_version: Option<i64>,
    /// `create_time`, Unix time in seconds.
    pub created_s: i64,
}

/// A row of `stock_order_event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which reservation.
    pub rid: Place,
    /// The event that caused it.
    pub event: Place,
    /// When that was decided, Unix time in milliseconds.
    pub at: u64,
    /// Where the order stood; `None`: there was none.
    pub from: Option<Status>,
    /// Where it stands from then on.
    pub to: Status,
    /// Who decided it.
    pub who: String,
    /// The buyer, of an order that MySQL takes no row for.
    pub rowless: Option<String>,
}

/// A row of `stock_refund`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Which reservation.
    pub rid: Place,
    /// Whose payment it is.
    pub uid: String,
    /// How many units were paid for.
    pub qty: i64,
    /// Why it is given back.
    pub reason: String,
}

/// Where a reservation or its order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not paid for yet.
    Held,
    /// Paid for.
    Confirmed,
    /// Given up.
    Cancelled,
    /// Not paid for in time.
    Expired,
    /// Only of an order: MySQL had no units, or no row, for it.
    Refused,
}

/// What the topic has of a sale.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The messages of the sale, in the order of their partitions and offsets.
    pub messages: Vec<Message>,
    /// Partitions whose beginning the broker has deleted, with the offset at which they begin now.
    pub cut: Vec<(i32, i64)>,
}

/// A message of the topic that is, or says it is, of the sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it lies.
    pub partition: i32,
    /// Where in it.
    pub offset: i64,
    /// Its events, or why it is no message.
    pub events: Result<Vec<Event>, String>,
}

/// What the module has of a sale.
#[derive(Clone, Debug)]
pub struct Module {
    /// `SECKILL.INFO`.
    pub info: Info,
    /// `SECKILL.RESERVATIONS`, all pages.
    pub reservations: Vec<Reservation>,
    /// `SECKILL.EVENTS`: what the log still keeps.
    pub log: Vec<Event>,
    /// `SECKILL.AUDIT`: its reply, or its error.
    pub audit: Result<String, String>,
    /// The sale changed again and again while it was read: what was read is not of one instant.
    pub is_moving: bool,
}

/// What `SECKILL.INFO` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// `open`, `soldout`, `fenced`, …
    pub state: String,
    /// All units.
    pub total: i64,
    /// Units that nobody has.
    pub available: i64,
    /// Units held.
    pub held: i64,
    /// Units sold, those before the sale included.
    pub sold: i64,
    /// Units sold in no reservation.
    pub sold_before: i64,
    /// How many reservations there are.
    pub reservations: i64,
    /// Units a buyer may have; 0: no limit.
    pub limit: i64,
    /// The last event.
    pub head: Place,
    /// The last event that Kafka has.
    pub relayed: Place,
    /// The last event that MySQL has.
    pub stored: Place,
    /// The module's clock.
    pub now: u64,
}

/// A reservation, as `SECKILL.RESERVATIONS` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Which.
    pub rid: Place,
    /// Whose.
    pub uid: String,
    /// How many units.
    pub qty: i64,
    /// Where it stands.
    pub status: Status,
    /// When it was granted.
    pub at: u64,
    /// Until when it is held; `None`: sold at once.
    pub deadline: Option<u64>,
    /// What the buyer asked with.
    pub token: Option<String>,
}

// === impl Status ===

impl Status {
    /// Whether its units belong to the buyer.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [
            Self::Held,
            Self::Confirmed,
            Self::Cancelled,
            Self::Expired,
            Self::Refused,
        ];
        all.into_iter()
            .find(|status| status.word() == word)
            .ok_or_else(|| format!("no status of an order or a reservation: {word:?}"))
    }
}

// === impl Order ===

impl Order {
    /// Units that belong to the buyer.
    #[must_use]
    pub const fn live_units(&self) -> i64 {
        if self.status.is_live() { self.qty } else { 0 }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uid = self.uid.as_deref().unwrap_or("nobody");
        write!(
            f,
            "order {}: {} for {uid}, {}",
            self.id, self.qty, self.status
        )
    }
}

// === impl Reservation ===

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}, {}", self.qty, self.uid, self.status)
    }
}
