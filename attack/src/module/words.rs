//! Command lines for every command of the module: mostly ones that mean something, with words that
//! are wrong among them.

use fastrand::Rng;

/// The sales of a round, a key that is a text, and one that is nothing.
pub(super) const SALES: [&str; 4] = ["s1", "s2", "s3", "s4"];
pub(super) const TEXT: &str = "text";
const KEYS: [&str; 9] = ["s1", "s1", "s2", "s2", "s3", "s4", TEXT, "list", "none"];

/// What has no place where a word of a command is expected, or only in some.
const ODD: [&[u8]; 40] = [
    b"",
    b" ",
    b"x",
    b"0",
    b"-0",
    b"007",
    b"-1",
    b"+1",
    b" 1",
    b"1 ",
    b"1.5",
    b"1e3",
    b"0x10",
    b"nan",
    b"4294967295",
    b"4294967296",
    b"9007199254740993",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999999",
    b"STOCK",
    b"limit",
    b"TOKEN",
    b"*",
    b"1-1",
    b"01-1",
    b"1-",
    b"-1-1",
    b"18446744073709551615-18446744073709551615",
    b"0-0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"a\r\nb",
    b"a\0b",
    b"%s%n%x",
    b"\xe2\x80\xae",
    b"$1\r\n",
];

/// A command's words.
pub(super) type Line = Vec<Vec<u8>>;

/// Makes command lines.
pub(super) struct Words<'r> {
    pub(super) random: &'r mut Rng,
    /// Reservations that exist, or existed.
    pub(super) rids: &'r [String],
}

// === impl Words ===

impl Words<'_> {
    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.random.u32(..times) == 0
    }

    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.random.choice(words).copied().unwrap_or_default()
    }

    /// The next line.
    pub(super) fn line(&mut self) -> Line {
        let mut words = self.sensible();
        if self.one_in(5) {
            for _ in 0..self.random.usize(1..=3) {
                self.spoil(&mut words);
            }
        }
        words
    }

    fn sensible(&mut self) -> Line {
        let mut line = Vec::new();
        let key = self.pick(&KEYS);
        let name = match self.random.u32(..100) {
            0..30 => "TRY",
            30..36 => "MTRY",
            36..46 => "CONFIRM",
            46..54 => "CANCEL",
            54..57 => "GET",
            57..59 => "USER",
            59..61 => "RESERVATIONS",
            61..64 => "INFO",
            64..69 => "EVENTS",
            69..73 => "ACK",
            73..75 => "LEASE",
            75..78 => "PAUSE",
            78..83 => "RESUME",
            83..84 => "CLOSE",
            84..88 => "RESTOCK",
            88..91 => "RESTORE",
            91..93 => "AUDIT",
            93..94 => "APPLY",
            94..97 => "ALTER",
            _ => "CREATE",
        };
        put(&mut line, &format!("SECKILL.{name}"));
        put(&mut line, key);
        match name {
            "TRY" => {
                self.uid(&mut line);
                if self.one_in(4) {
                    let quantity = self.random.u32(1..5).to_string();
                    self.option(&mut line, "QTY", &quantity);
                }
                if self.one_in(3) {
                    let token = format!("t{}", self.random.u32(..9));
                    self.option(&mut line, "TOKEN", &token);
                }
            }
            "MTRY" => {
                let count = if self.one_in(20) {
                    2000
                } else {
                    self.random.usize(1..12)
                };
                for _ in 0..count {
                    self.uid(&mut line);
                }
            }
            "CONFIRM" => {
                self.rid(&mut line);
                if self.one_in(2) {
                    put(&mut line, self.pick(&["LATE", "REFUND"]));
                }
            }
            "CANCEL" | "GET" => self.rid(&mut line),
            "USER" => self.uid(&mut line),
            "RESERVATIONS" => {
                for word in ["FROM", "COUNT"] {
                    if self.one_in(2) {
                        let number = self.random.u32(..12_000).to_string();
                        self.option(&mut line, word, &number);
                    }
                }
            }
            "EVENTS" => {
                if self.one_in(2) {
                    put(&mut line, "AFTER");
                    self.place(&mut line);
                }
                if self.one_in(2) {
                    let count = self.random.u32(..12_000).to_string();
                    self.option(&mut line, "COUNT", &count);
                }
                if self.one_in(4) {
                    let ms = self.pick(&["1", "5", "20"]);
                    self.option(&mut line, "BLOCK", ms);
                }
                if self.one_in(2) {
                    let format = self.pick(&["packed", "text"]);
                    self.option(&mut line, "FORMAT", format);
                }
            }
            "ACK" => {
                put(&mut line, self.pick(&["RELAYED", "STORED"]));
                self.place(&mut line);
            }
            "LEASE" => {
                put(&mut line, self.pick(&["w1", "w2"]));
                let ms = self.random.u32(..70_000).to_string();
                put(&mut line, &ms);
            }
            "RESTOCK" => {
                let delta = self.random.i32(-20..20).to_string();
                put(&mut line, &delta);
            }
            "RESTORE" => self.facts(&mut line),
            "APPLY" => {
                let payload = (0..self.random.usize(..60))
                    .map(|_| self.random.u8(..))
                    .collect();
                line.push(payload);
            }
            "ALTER" => self.options(&mut line),
            "CREATE" => {
                let stock = self.random.u32(..300).to_string();
                self.option(&mut line, "STOCK", &stock);
                if self.one_in(3) {
                    let sold = self.random.u32(..20).to_string();
                    self.option(&mut line, "SOLD", &sold);
                }
                self.options(&mut line);
                if self.one_in(10) {
                    put(&mut line, "PAUSED");
                }
            }
            _ => {}
        }
        line
    }

    fn option(&mut self, line: &mut Line, word: &str, value: &str) {
        put(line, word);
        put(line, value);
    }

    fn options(&mut self, line: &mut Line) {
        for (word, values) in [
            ("LIMIT", &["0", "1", "2", "100"][..]),
            ("START", &["0", "1", "99999999999999"]),
            ("END", &["0", "0", "1", "99999999999999"]),
            ("HOLD", &["0", "1", "20", "900000"]),
            ("RATE", &["0", "1", "1000000000"]),
            ("BURST", &["1", "50"]),
            ("USERRATE", &["0", "1", "999"]),
            ("NAME", &["", "Lamp", "Žárovka", "two words"]),
        ] {
            if self.one_in(5) {
                let value = self.pick(values);
                self.option(line, word, value);
            }
        }
    }

    fn uid(&mut self, line: &mut Line) {
        let uid = match self.random.u32(..60) {
            0 => "Žofie 7".into(),
            1 => "x".repeat(128),
            2 => "x".repeat(129),
            _ => format!("u{}", self.random.u32(..200)),
        };
        put(line, &uid);
    }

    fn rid(&mut self, line: &mut Line) {
        match self.random.choice(self.rids) {
            Some(rid) if !self.one_in(20) => put(line, rid),
            _ => put(line, "1763800000000-2"),
        }
    }

    /// A place in a log: that of some reservation, or near one.
    fn place(&mut self, line: &mut Line) {
        let rid = self.random.choice(self.rids).map_or("1-1", String::as_str);
        let (epoch, seq) = rid.split_once('-').unwrap_or(("0", "0"));
        let seq = seq
            .parse::<u64>()
            .unwrap_or(0)
            .saturating_add(self.random.u64(..3));
        put(line, epoch);
        put(line, &seq.to_string());
    }

    fn facts(&mut self, line: &mut Line) {
        for _ in 0..self.random.usize(1..5) {
            match self.random.u32(..4) {
                0 => {
                    put(line, "UNITS");
                    let (total, sold) = (self.random.u32(..400), self.random.u32(..60));
                    put(line, &total.to_string());
                    put(line, &sold.to_string());
                }
                1 => {
                    put(line, "JOIN");
                    self.place(line);
                }
                _ => {
                    put(line, "RESERVATION");
                    self.rid(line);
                    self.uid(line);
                    put(line, self.pick(&["1", "1", "2", "99"]));
                    put(
                        line,
                        self.pick(&["held", "confirmed", "cancelled", "expired"]),
                    );
                    put(line, self.pick(&["1763800000000", "0", "99999999999999"]));
                    put(line, self.pick(&["0", "1763800900000", "99999999999999"]));
                    if self.one_in(3) {
                        put(line, "TOKEN");
                        put(line, self.pick(&["t1", "t2"]));
                    }
                }
            }
        }
    }

    /// Makes a line wrong.
    fn spoil(&mut self, line: &mut Line) {
        let at = self.random.usize(1..=line.len());
        let odd = self.odd();
        match self.random.u32(..6) {
            0 => line.truncate(at),
            1 => line.insert(at, odd),
            2 => {
                let again = line.get(2.min(line.len())..).unwrap_or_default().to_vec();
                line.extend(again);
            }
            3 => line.extend((0..self.random.usize(1..2000)).map(|n| n.to_string().into_bytes())),
            _ => match line.get_mut(at) {
                Some(word) => *word = odd,
                None => line.push(odd),
            },
        }
    }

    fn odd(&mut self) -> Vec<u8> {
        if self.one_in(20) {
            return vec![b'y'; self.random.usize(1..2_000_000)];
        }
        self.random.choice(ODD).unwrap_or_default().to_vec()
    }
}

fn put(line: &mut Line, word: &str) {
    line.push(word.as_bytes().to_vec());
}
