//! Random commands and moves of the clock, chosen so that most of them mean something: reservations
//! that exist, instants at which something happens, and now and then a word that is wrong.

use crate::node::{Node, TEXT};
use crate::sale::Sale;
use crate::words::UNITS_MAX;
use fastrand::Rng;
use seckill_protocol::ReservationState::Held;

const SIDS: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];
const HOUR_MS: u64 = 3_600_000;
/// Sales of this size get crowds of buyers, enough for everything that is bounded by 1000 or so.
const CROWD_STOCK: u64 = 4000;

/// What has no place where a word of a command is expected, or only in some.
const ODD: [&[u8]; 22] = [
    b"",
    b"x",
    b"0",
    b"007",
    b"-1",
    b"+1",
    b" 1",
    b"1.5",
    b"4294967296",
    b"9007199254740992",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"limit",
    b"Late",
    b"1-1",
    b"01-1",
    b"\xff\xfe",
    b"a\r\nb",
    b"a\0b",
    b"%s%n",
    &[b'y'; 200],
];

pub(crate) struct Random(Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// How many commands are sent at one reading of the clock.
    pub(crate) fn batch(&mut self) -> usize {
        self.0.usize(1..=30)
    }

    // === The clock ===

    /// The next reading of the clock.
    pub(crate) fn clock(&mut self, node: &Node) -> u64 {
        let now = node.now;
        match self.0.u32(..100) {
            0..30 => now,
            30..55 => now + self.0.u64(1..=20),
            55..70 => now + self.0.u64(1..=2000),
            70..92 => self.boundary(node).unwrap_or(now),
            92..94 => now + self.0.u64(1..=HOUR_MS),
            94..99 => now - self.0.u64(1..=3000),
            _ => now - self.0.u64(1..=HOUR_MS),
        }
    }

    /// An instant at which something changes for one of the sales, or the one before or after it.
    fn boundary(&mut self, node: &Node) -> Option<u64> {
        let sid = self.0.choice(SIDS)?;
        let sale = node.sales.get(sid.as_bytes())?;
        let held = sale.reservations.iter().filter(|r| r.state == Held);
        let mut instants: Vec<u64> = held.filter_map(|r| r.deadline).collect();
        instants.extend([sale.start, sale.end]);
        let rates = sale.soft.due_ns.iter().filter_map(|(whose, due_ns)| {
            let rate = if whose.is_some() {
                sale.user_rate
            } else {
                sale.rate
            };
            let passes_ns = due_ns + rate.interval_ns() - rate.burst_ns();
            u64::try_from(passes_ns.div_euclid(1_000_000)).ok()
        });
        let mut rates: Vec<u64> = rates.collect();
        // A map keeps no order, and a run must be the same each time.
        rates.sort_unstable();
        instants.extend(rates);
        let near = node.now - HOUR_MS..node.now + HOUR_MS;
        instants.retain(|instant| near.contains(instant));
        let instant = self.0.choice(&instants)?;
        Some(instant + self.0.u64(..3) - 1)
    }

    // === Commands ===

    /// The next command.
    pub(crate) fn command(&mut self, node: &Node) -> Vec<Vec<u8>> {
        let sid = if self.one_in(60) {
            TEXT
        } else {
            self.0.choice(SIDS).map(str::as_bytes).unwrap_or_default()
        };
        let mut words = match node.sales.get(sid) {
            None if self.0.u32(..10) < 6 => self.create(sid, node.now),
            // Where no sale is, what would make sense for another one.
            None => match self.any_sale(node) {
                Some(sale) => self.on_sale(sid, sale, node.now),
                None => self.create(sid, node.now),
            },
            Some(sale) => self.on_sale(sid, sale, node.now),
        };
        if words[0] == b"DEL" || words[0] == b"DEBUG" {
            return words;
        }
        if self.one_in(20) {
            self.spoil(&mut words);
        }
        if self.one_in(8) {
            for word in &mut words {
                self.respell(word);
            }
        }
        words
    }

    fn any_sale<'n>(&mut self, node: &'n Node) -> Option<&'n Sale> {
        let there = SIDS.iter().filter_map(|sid| node.sales.get(sid.as_bytes()));
        self.0.choice(there.collect::<Vec<_>>())
    }

    fn on_sale(&mut self, sid: &[u8], sale: &Sale, now: u64) -> Vec<Vec<u8>> {
        let delete = || vec![b"DEL".to_vec(), sid.to_vec()];
        // Nobody learns much from a sale that is over, or stands still.
        match sale.state(now) {
            "closed" | "ended" if sid != TEXT && self.one_in(40) => return delete(),
            "paused" if self.one_in(10) => return vec![b"SECKILL.RESUME".to_vec(), sid.to_vec()],
            _ => {}
        }
        let mut words = match self.0.u32(..1000) {
            0..3 if sid != TEXT => return delete(),
            0..430 => self.try_(),
            430..500 => self.mtry(sale),
            500..600 => self.with_rid("CONFIRM", sale),
            600..660 => self.with_rid("CANCEL", sale),
            660..690 => self.with_rid("GET", sale),
            690..705 => self.user(sale),
            705..710 => self.page(),
            710..775 => vec![b"INFO".to_vec()],
            775..835 => self.events(sale),
            835..875 => self.ack(sale),
            875..890 => vec![b"PAUSE".to_vec()],
            890..920 => vec![b"RESUME".to_vec()],
            920..922 => vec![b"CLOSE".to_vec()],
            922..947 => self.restock(sale),
            947..967 => vec![b"AUDIT".to_vec()],
            967..995 => self.alter(now),
            995..997 => self.create(sid, now),
            997..999 => vec![b"APPLY".to_vec(), self.odd()],
            _ if self.one_in(20) => return vec![b"DEBUG".to_vec(), b"LOADAOF".to_vec()],
            _ => return vec![b"DEBUG".to_vec(), b"RELOAD".to_vec()],
        };
        if words[0] != b"SECKILL.CREATE" {
            words[0] = [b"SECKILL.", &words[0][..]].concat();
            words.insert(1, sid.to_vec());
        }
        words
    }

    fn create(&mut self, sid: &[u8], now: u64) -> Vec<Vec<u8>> {
        let mut words = vec![b"SECKILL.CREATE".to_vec(), sid.to_vec()];
        let stock = match self.0.u32(..10) {
            0 => CROWD_STOCK,
            1..4 => self.0.u64(..5),
            _ => self.0.u64(5..100),
        };
        put(&mut words, "STOCK", &stock);
        if self.one_in(3) {
            let sold = self.0.u64(..=stock);
            put(&mut words, "SOLD", &sold);
        }
        if stock == CROWD_STOCK && self.one_in(2) {
            put(&mut words, "LIMIT", &0);
        } else {
            self.options(&mut words, now, 3);
        }
        if self.one_in(10) {
            words.push(b"PAUSED".to_vec());
        }
        words
    }

    fn alter(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut words = vec![b"ALTER".to_vec()];
        self.options(&mut words, now, 7);
        words
    }

    /// Each option once in so many times.
    fn options(&mut self, words: &mut Vec<Vec<u8>>, now: u64, rare: u32) {
        if self.one_in(rare) {
            let limit = self.0.u64(..5);
            put(words, "LIMIT", &limit);
        }
        if self.one_in(2 * rare) {
            let start = self.0.u64(now - 100..now + 3000);
            let start = self.0.choice([0, now, start]).unwrap_or(0);
            put(words, "START", &start);
        }
        if self.one_in(2 * rare) {
            let end = self.0.u64(now - 100..now + HOUR_MS);
            let end = self.0.choice([0, 0, now, end, i64::MAX.unsigned_abs()]);
            put(words, "END", &end.unwrap_or(0));
        }
        if self.one_in(rare) {
            let any = self.0.u64(..5000);
            let hold = self
                .0
                .choice([0, 1, 50, any, any, 900_000, i64::MAX.unsigned_abs()]);
            put(words, "HOLD", &hold.unwrap_or(0));
        }
        for option in ["RATE", "USERRATE"] {
            if self.one_in(rare) {
                let rate = self.0.choice([0, 1, 2, 3, 7, 33, 999, 1_000_000_000]);
                put(words, option, &rate.unwrap_or(0));
                if self.one_in(2) {
                    let burst = self.0.choice([1, 2, 3, 5, 1_000_000_000]);
                    put(words, "BURST", &burst.unwrap_or(1));
                }
            }
        }
        if self.one_in(rare) {
            let name = self.0.choice(["", "Lamp", "Žárovka 60 W", "two  words=x"]);
            put(words, "NAME", &name.unwrap_or_default());
        }
    }

    fn try_(&mut self) -> Vec<Vec<u8>> {
        let mut words = vec![b"TRY".to_vec(), self.uid()];
        if self.one_in(4) {
            let qty = self.0.u64(1..5);
            put(&mut words, "QTY", &qty);
        }
        if self.one_in(3) {
            let token = self.0.u64(..4);
            put(&mut words, "TOKEN", &format!("t{token}"));
        }
        words
    }

    fn mtry(&mut self, sale: &Sale) -> Vec<Vec<u8>> {
        let mut words = vec![b"MTRY".to_vec()];
        if sale.total >= CROWD_STOCK && self.one_in(8) {
            // Of many buyers' rates a node forgets those that are due again. Only a clock that goes
            // back can show it, so that a sale with such a rate has a crowd of one.
            let step = if sale.user_rate.per_second == 0 {
                self.0.u64(..2)
            } else {
                0
            };
            let first = self.0.u64(..5000);
            words.extend((0..1300).map(|n| format!("c{}", first + n * step).into_bytes()));
        } else {
            let count = self.0.usize(1..8);
            words.extend((0..count).map(|_| self.uid()));
        }
        words
    }

    fn uid(&mut self) -> Vec<u8> {
        match self.0.u32(..100) {
            0 => "Žofie 7".into(),
            1 => vec![b'x'; 128],
            2 => self.odd(),
            _ => format!("u{}", self.0.u32(..12)).into_bytes(),
        }
    }

    fn user(&mut self, sale: &Sale) -> Vec<Vec<u8>> {
        let known = self.0.choice(&sale.reservations);
        let uid = match known {
            Some(known) if self.one_in(2) => known.uid.clone().into_bytes(),
            _ => self.uid(),
        };
        vec![b"USER".to_vec(), uid]
    }

    fn page(&mut self) -> Vec<Vec<u8>> {
        let mut words = vec![b"RESERVATIONS".to_vec()];
        for (word, most) in [("FROM", 20), ("COUNT", 9)] {
            if self.one_in(2) {
                words.push(word.into());
                words.push(self.0.u32(..most).to_string().into_bytes());
            }
        }
        words
    }

    fn with_rid(&mut self, name: &str, sale: &Sale) -> Vec<Vec<u8>> {
        let all: Vec<_> = sale.reservations.iter().collect();
        let held: Vec<_> = sale
            .reservations
            .iter()
            .filter(|r| r.state == Held)
            .collect();
        let among = if self.one_in(2) { held } else { all };
        let known = self.0.choice(among);
        let rid = match known {
            Some(known) if !self.one_in(30) => known.rid.to_string(),
            _ => {
                let (epoch, seq) = self.place(sale);
                format!("{epoch}-{seq}")
            }
        };
        let mut words = vec![name.as_bytes().to_vec(), rid.into_bytes()];
        if name == "CONFIRM" && self.one_in(2) {
            let word = if self.one_in(3) { "REFUND" } else { "LATE" };
            words.push(word.as_bytes().to_vec());
        }
        words
    }

    fn events(&mut self, sale: &Sale) -> Vec<Vec<u8>> {
        let mut words = vec![b"EVENTS".to_vec()];
        if self.one_in(2) {
            let (epoch, seq) = self.place(sale);
            put(&mut words, "AFTER", &epoch);
            words.push(seq.to_string().into_bytes());
        }
        if self.one_in(2) {
            let count = self.0.u64(1..=10);
            put(&mut words, "COUNT", &count);
        }
        if self.one_in(2) {
            let format = self.0.choice(["packed", "text", "text"]);
            put(&mut words, "FORMAT", &format.unwrap_or_default());
        }
        words
    }

    fn ack(&mut self, sale: &Sale) -> Vec<Vec<u8>> {
        let cursor = if self.one_in(2) { "RELAYED" } else { "STORED" };
        let (epoch, seq) = self.place(sale);
        let mut words = vec![b"ACK".to_vec()];
        put(&mut words, cursor, &epoch);
        words.push(seq.to_string().into_bytes());
        words
    }

    /// A place in the log of a sale, mostly.
    fn place(&mut self, sale: &Sale) -> (u64, u64) {
        let epoch = match self.0.u32(..30) {
            0 => 0,
            1 => sale.epoch - 1,
            2 => sale.epoch + 1,
            _ => sale.epoch,
        };
        (epoch, self.0.u64(..=sale.head().seq + 1))
    }

    fn restock(&mut self, sale: &Sale) -> Vec<Vec<u8>> {
        let delta = match self.0.u32(..40) {
            // As large as a sale may be, and one unit more.
            0 => UNITS_MAX - i128::from(sale.total) + self.0.i128(0..2),
            1 => i64::MIN.into(),
            _ => self.0.i128(-8..=8),
        };
        vec![b"RESTOCK".to_vec(), delta.to_string().into_bytes()]
    }

    // === What is wrong ===

    fn odd(&mut self) -> Vec<u8> {
        self.0.choice(ODD).unwrap_or_default().to_vec()
    }

    /// Makes one word of a command wrong, or takes or adds one.
    fn spoil(&mut self, words: &mut Vec<Vec<u8>>) {
        let at = self.0.usize(1..=words.len());
        let odd = self.odd();
        match self.0.u32(..4) {
            0 => words.truncate(at),
            1 => words.insert(at, odd),
            2 => {
                let again = words[2.min(words.len())..].to_vec();
                words.extend(again);
            }
            _ if at > 1 && at < words.len() => words[at] = odd,
            _ => words.push(odd),
        }
    }

    /// Words are case-insensitive; buyers, tokens and names are not, and are then others.
    fn respell(&mut self, word: &mut [u8]) {
        if self.0.bool() {
            word.make_ascii_lowercase();
        }
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.0.u32(..times) == 0
    }
}

/// An option and its value.
fn put(words: &mut Vec<Vec<u8>>, option: &str, value: &impl ToString) {
    words.push(option.as_bytes().to_vec());
    words.push(value.to_string().into_bytes());
}
