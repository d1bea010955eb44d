//! Messages that nobody's module has written, made from a seed.

use fastrand::Rng;

use crate::bytes::mutate;
use crate::plan::Plan;

/// The sale whose orders have to be written whatever else is on the topic.
pub(super) const HONEST: u32 = 1001;

/// Stock rows that no module knows of: what is said of them may be believed.
pub(super) const ROWS: std::ops::Range<u32> = 2000..2100;

/// As much as a broker takes as it ships, nearly.
const LARGE_BYTES: usize = 1_048_400;

/// What is larger once it is unpacked.
const BOMB_BYTES: usize = 24 << 20;

/// A message for the topic.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) key: Option<Vec<u8>>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Makes the parts of a message.
struct Maker {
    number: u64,
    random: Rng,
}

/// The message of this number.
pub(super) fn message(plan: &Plan, number: u64) -> Message {
    let mut maker = Maker {
        number,
        random: plan.random(number),
    };
    let payload = maker.payload();
    let key = match maker.random.u32(..5) {
        0 => None,
        1 => Some(HONEST.to_string().into_bytes()),
        2 => Some(vec![0xff, 0, b'\n']),
        3 if maker.one_in(10) => Some(vec![b'k'; 200_000]),
        _ => Some(maker.random.u32(..99).to_string().into_bytes()),
    };
    let mut headers = Vec::new();
    if maker.one_in(8) {
        for _ in 0..maker.random.usize(1..60) {
            headers.push(maker.header());
        }
    }
    Message {
        key,
        payload,
        headers,
    }
}

// === impl Maker ===

impl Maker {
    fn one_in(&mut self, times: u32) -> bool {
        self.random.u32(..times) == 0
    }

    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        self.random.choice(words).copied().unwrap_or_default()
    }

    fn header(&mut self) -> (String, Option<Vec<u8>>) {
        let name = self.pick(&["topic", "partition", "offset", "error", "rid", "", "x", "é"]);
        let value = match self.random.u32(..3) {
            0 => None,
            1 => Some(vec![0xff; self.random.usize(..2000)]),
            _ => Some(b"99999999999999999999".to_vec()),
        };
        (name.to_owned(), value)
    }

    fn payload(&mut self) -> Option<Vec<u8>> {
        let text = match self.random.u32(..100) {
            0..3 => return None,
            3..5 => String::new(),
            5..15 => {
                let length = self.random.usize(1..2000);
                return Some((0..length).map(|_| self.random.u8(..)).collect());
            }
            15..40 => {
                let mut bytes = self.batch().into_bytes();
                for _ in 0..self.random.usize(1..=5) {
                    mutate(&mut bytes, &mut self.random);
                }
                return Some(bytes);
            }
            40..46 => self.version(),
            46..54 => self.deep(),
            54..62 => self.number_or_name(),
            62..70 => self.foreign(),
            70..76 => self.twice(),
            76..80 => return Some(self.no_text()),
            80..84 => return Some(self.large()),
            84 => return Some(self.bomb()),
            _ => self.extreme(),
        };
        Some(text.into_bytes())
    }

    /// A batch that is none of the honest sale's next ones: of an epoch long ago, or far ahead.
    fn batch(&mut self) -> String {
        let sid = if self.one_in(2) {
            HONEST
        } else {
            self.random.u32(..5000)
        };
        let epoch = 5;
        let first = self.random.u64(2..1_000_000_000);
        let kinds = [
            r#""kind":"confirmed","rid":"5-7""#,
            r#""kind":"cancelled","rid":"5-7""#,
            r#""kind":"expired","rid":"5-7""#,
            r#""kind":"restocked","delta":-3"#,
            r#""kind":"closed""#,
            r#""kind":"late_payment","rid":"5-7""#,
        ];
        let events: Vec<String> = (first..first + self.random.u64(1..4))
            .map(|seq| {
                let at = 1_763_800_000_000_u64 + seq;
                if self.random.bool() {
                    return format!(
                        r#"{{"seq":{seq},"at":{at},"kind":"accepted","rid":"{epoch}-{seq}","uid":"evil","qty":1}}"#
                    );
                }
                let kind = self.pick(&kinds);
                format!(r#"{{"seq":{seq},"at":{at},{kind}}}"#)
            })
            .collect();
        format!(
            r#"{{"v":1,"sid":"{sid}","epoch":{epoch},"events":[{}]}}"#,
            events.join(",")
        )
    }

    fn version(&mut self) -> String {
        let version = self.pick(&[
            "0",
            "2",
            "-1",
            "1.0",
            "1.5",
            "\"1\"",
            "null",
            "true",
            "4294967296",
            "4294967297",
            "1e0",
            "[1]",
        ]);
        let batch = self.batch();
        match self.random.u32(..3) {
            0 => batch.replacen("\"v\":1", &format!("\"v\":{version}"), 1),
            1 => batch.replacen("\"v\":1", &format!("\"v\":1,\"v\":{version}"), 1),
            _ => format!("{{\"v\":{version}}}"),
        }
    }

    /// Brackets as deep as a message has room for.
    fn deep(&mut self) -> String {
        let (open, size) = self
            .random
            .choice([("[", 1), ("{\"a\":", 5), ("[{\"a\":", 6)])
            .unwrap_or(("[", 1));
        let depth = if self.one_in(3) {
            LARGE_BYTES / size
        } else {
            self.random.usize(120..200_000)
        };
        let depth = depth.min(LARGE_BYTES / size);
        let nest = open.repeat(depth.saturating_sub(20));
        match self.random.u32(..5) {
            0 => nest,
            1 => format!("{{\"x\":{nest}"),
            2 => format!("{{\"v\":1,\"sid\":{nest}"),
            3 => format!("{{\"v\":1,\"sid\":\"1001\",\"epoch\":5,\"events\":{nest}"),
            _ => {
                let half = "[".repeat(depth.min(500_000));
                format!("{{\"v\":2,\"x\":{half}{}}}", "]".repeat(half.len()))
            }
        }
    }

    fn number_or_name(&mut self) -> String {
        let long = self.random.usize(20..400_000);
        let odd = match self.random.u32(..9) {
            0 => "9".repeat(long),
            1 => format!("-{}", "9".repeat(long)),
            2 => "1e999999".to_owned(),
            3 => format!("0.{}", "1".repeat(long)),
            4 => "18446744073709551616".to_owned(),
            5 => format!("\"{}\"", "x".repeat(long)),
            6 => "\"\\u0000\\ud800\"".to_owned(),
            7 => "[]".to_owned(),
            _ => "{}".to_owned(),
        };
        let place = self.pick(&[
            "\"epoch\":5",
            "\"sid\":\"",
            "\"kind\":\"",
            "\"rid\":\"",
            "\"at\":",
            "\"seq\":",
        ]);
        let name = place.split(':').next().unwrap_or_default();
        let batch = self.batch();
        let Some(at) = batch.find(place) else {
            return batch;
        };
        let (before, rest) = batch.split_at(at);
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        format!(
            "{before}{name}:{odd}{}",
            rest.get(end..).unwrap_or_default()
        )
    }

    /// Sales that are none, or nobody's.
    fn foreign(&mut self) -> String {
        let sid = match self.random.u32(..3) {
            0 => "x".repeat(self.random.usize(1..300_000)),
            1 => self.random.u32(3000..9000).to_string(),
            _ => self
                .pick(&[
                    "",
                    "-1",
                    "+1001",
                    "01001",
                    "1001 ",
                    "1001\\u0000",
                    "4294967296",
                    "１００１",
                    "1001;DROP TABLE stock",
                    "'",
                    "../1001",
                ])
                .to_owned(),
        };
        format!(
            r#"{{"v":1,"sid":"{sid}","epoch":9,"events":[{{"seq":1,"at":1,"kind":"opened","name":"x","total":1,"sold":0}}]}}"#
        )
    }

    fn twice(&mut self) -> String {
        let batch = self.batch();
        let again = self.pick(&[
            "{\"sid\":\"1001\",",
            "{\"epoch\":6,",
            "{\"events\":[],",
            "{\"unknown\":null,",
            "{\"v\":1,",
        ]);
        if self.random.bool() {
            return batch.replacen('{', again, 1);
        }
        let again = self.pick(&[
            "\"seq\":4,\"seq\":",
            "\"kind\":\"closed\",\"seq\":",
            "\"rid\":\"9-9\",\"seq\":",
        ]);
        batch.replace("\"seq\":", again)
    }

    /// What no text is, inside of what would be a message.
    fn no_text(&mut self) -> Vec<u8> {
        let odd = self.random.choice([
            &b"\xff"[..],
            b"\xc0\xaf",
            b"\xed\xa0\x80",
            b"\0",
            b"\n",
            b"\xf4\x90\x80\x80",
        ]);
        let batch = self.batch();
        let (before, after) = batch.split_once("\"v\"").unwrap_or((&batch, ""));
        [
            before.as_bytes(),
            b"\"x",
            odd.unwrap_or_default(),
            b"\":0,\"v\"",
            after.as_bytes(),
        ]
        .concat()
    }

    /// As large as a message may be, so that nothing can be added to it.
    fn large(&mut self) -> Vec<u8> {
        let length = match self.random.u32(..4) {
            0 => LARGE_BYTES,
            1 => LARGE_BYTES - self.random.usize(..400),
            2 => 1_000_000 - self.random.usize(..300),
            _ => self.random.usize(900_000..LARGE_BYTES),
        };
        let mut bytes = match self.random.u32(..3) {
            0 => {
                b"{\"v\":1,\"sid\":\"1001\",\"epoch\":5,\"events\":[{\"seq\":2,\"at\":1,\"kind\":\""
                    .to_vec()
            }
            1 => b"{\"v\":\"".to_vec(),
            _ => Vec::new(),
        };
        // Nothing that could be packed smaller.
        while bytes.len() < length {
            bytes.push(self.random.u8(b'#'..b'Z'));
        }
        bytes
    }

    /// Small on its way, and not afterwards.
    fn bomb(&mut self) -> Vec<u8> {
        let sign = self.pick(&["[", "x", " "]).bytes().next().unwrap_or(b' ');
        vec![sign; self.random.usize(BOMB_BYTES / 4..BOMB_BYTES)]
    }

    /// A message as it should be, of a sale that no module knows, with figures at every edge.
    fn extreme(&mut self) -> String {
        let span = u64::from(ROWS.end - ROWS.start);
        let sid = u64::from(ROWS.start) + self.number % span;
        let epoch = 1_000_000 + self.number;
        let mut events =
            vec![r#"{"seq":1,"at":1,"kind":"opened","name":"x","total":1,"sold":0}"#.to_owned()];
        for seq in 2..self.random.u64(3..8) {
            let at = self.pick(&[
                "0",
                "1",
                "1763800000000",
                "253402300800000",
                "18446744073709551615",
            ]);
            let event = match self.random.u32(..5) {
                0 => {
                    let delta = self.pick(&[
                        "0",
                        "5",
                        "-5",
                        "9223372036854775807",
                        "-9223372036854775808",
                    ]);
                    format!(r#""kind":"restocked","delta":{delta}"#)
                }
                1 => {
                    let kind = self.pick(&["confirmed", "cancelled", "expired", "late_payment"]);
                    format!(
                        r#""kind":"{kind}","rid":"{epoch}-{}""#,
                        self.random.u64(1..seq + 1)
                    )
                }
                _ => {
                    let qty = self.pick(&["0", "1", "4294967295"]);
                    let uid =
                        self.pick(&["u", "'; DROP TABLE stock; --", "\\\\", "𝔘", "a\\u200db"]);
                    let deadline =
                        self.pick(&["", ",\"deadline\":0", ",\"deadline\":18446744073709551615"]);
                    format!(
                        r#""kind":"accepted","rid":"{epoch}-{seq}","uid":"{uid}","qty":{qty}{deadline}"#
                    )
                }
            };
            events.push(format!(r#"{{"seq":{seq},"at":{at},{event}}}"#));
        }
        format!(
            r#"{{"v":1,"sid":"{sid}","epoch":{epoch},"events":[{}]}}"#,
            events.join(",")
        )
    }
}
