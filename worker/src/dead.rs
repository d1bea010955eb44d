//! `dead`: what lies in the dead topic, and what becomes of it.
//!
//! A topic cannot forget a single message, so `stock_dead_letter` says which letters somebody has dealt
//! with. A letter that is sent again is written down there after the broker has it: after a crash in
//! between it is listed once more, and sending it twice does no harm.

use crate::cli::{Dead, DeadChore, Place, Which};
use crate::config::{Broker, Config};
use crate::kafka::{KeptLetter, Message, Producer, read_letters};
use crate::mysql::Session;
use crate::shown::shown;
use anyhow::{Context, bail, ensure};
use comfy_table::{Table, presets};
use mysql_async::params;
use mysql_async::prelude::Queryable;
use rdkafka::Message as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};
use tokio::task::spawn_blocking;

/// How much of a message is shown.
const SHOWN_CHARS_MAX: usize = 60;

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Became {
    Replayed,
    Dropped,
}

/// A letter, as it is listed.
#[derive(Debug, Serialize)]
struct Line<'a> {
    letter: String,
    sent_at_ms: i64,
    from: &'a str,
    /// The reservation that was refused.
    rid: Option<&'a str>,
    reason: &'a str,
    became: Option<Became>,
    message: String,
}

/// The dead topic, and what became of its letters.
struct Office<'a> {
    config: &'a Config,
    session: Session,
    letters: Vec<(KeptLetter, Option<Became>)>,
}

/// Lists letters, sends them again, or drops them; a line for each.
///
/// # Errors
/// If a server does not answer, or a letter that is named is not there.
pub(crate) async fn dead(config: &Config, dead: &Dead, out: &mut impl Write) -> anyhow::Result<()> {
    if config.broker == Broker::None {
        bail!(
            "with broker = \"none\" there is no dead topic; orders that MySQL does not take are in \
             its table: SELECT * FROM stock_order_event WHERE uid IS NOT NULL"
        );
    }
    let mut office = Office::open(config).await?;
    match &dead.chore {
        DeadChore::List { all, json } => office.list(*all, *json, out),
        DeadChore::Replay(which) => office.replay(which, out).await,
        DeadChore::Drop(which) => office.drop(which, out).await,
    }
}

/// A letter that nobody has dealt with.
pub(crate) struct Waiting {
    /// `partition:offset`.
    pub(crate) place: String,
    /// Why it is dead.
    pub(crate) reason: String,
}

/// The letters that nobody has dealt with, by the key of their messages: the sale's name, if they are
/// a sale's.
///
/// # Errors
/// If a server does not answer.
pub(crate) async fn waiting(config: &Config) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<Waiting>>> {
    let mut waiting: BTreeMap<_, Vec<Waiting>> = BTreeMap::new();
    for (letter, became) in Office::open(config).await?.letters {
        if became.is_none() {
            let key = letter.message.key().unwrap_or_default().to_owned();
            let place = place(&letter);
            let reason = letter.reason;
            waiting
                .entry(key)
                .or_default()
                .push(Waiting { place, reason });
        }
    }
    Ok(waiting)
}

// === impl Office ===

impl<'a> Office<'a> {
    async fn open(config: &'a Config) -> anyhow::Result<Self> {
        let kafka = config.kafka.clone();
        let letters = spawn_blocking(move || read_letters(&kafka)).await??;
        let mut session = Session::new(config.mysql.opts.clone());
        let topic = config.kafka.dead_topic.clone();
        let done: Vec<(i32, i64, i64, String)> = session
            .work(async |conn| {
                let sql = "SELECT letter_partition, letter_offset, sent_at, became \
                           FROM stock_dead_letter WHERE topic = ?";
                Ok(conn.exec(sql, (&topic,)).await?)
            })
            .await?;
        let done: BTreeMap<(i32, i64, i64), Became> = done
            .into_iter()
            .map(|(partition, offset, sent_at, became)| {
                let became = match &*became {
                    "replayed" => Became::Replayed,
                    _ => Became::Dropped,
                };
                ((partition, offset, sent_at), became)
            })
            .collect();
        let letters = letters.into_iter().map(|letter| {
            let key = (letter.partition, letter.offset, letter.sent_at_ms);
            let became = done.get(&key).copied();
            (letter, became)
        });
        Ok(Self {
            config,
            session,
            letters: letters.collect(),
        })
    }

    fn list(&self, all: bool, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let listed = self
            .letters
            .iter()
            .filter(|(_, became)| all || became.is_none());
        let lines: Vec<Line<'_>> = listed
            .map(|(letter, became)| line(letter, *became))
            .collect();
        if json {
            serde_json::to_writer(&mut *out, &lines)?;
            writeln!(out)?;
            return Ok(());
        }
        if lines.is_empty() {
            writeln!(out, "no dead letters in {}", self.config.kafka.dead_topic)?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let mut head = vec!["LETTER", "SENT", "FROM", "REASON", "MESSAGE"];
        if all {
            head.push("BECAME");
        }
        table.set_header(head);
        for line in lines {
            let mut row = vec![
                line.letter,
                time(line.sent_at_ms),
                line.from.to_owned(),
                line.reason.to_owned(),
                line.message,
            ];
            if all {
                row.push(line.became.map_or("", Became::word).to_owned());
            }
            table.add_row(row);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim())?;
        }
        Ok(())
    }

    async fn replay(&mut self, which: &Which, out: &mut impl Write) -> anyhow::Result<()> {
        let producer = Producer::new(&self.config.kafka)?;
        for n in self.chosen(which)? {
            let Some((letter, became)) = self.letters.get(n) else {
                continue;
            };
            let place = place(letter);
            if let Some(rid) = &letter.rid {
                writeln!(
                    out,
                    "{place}: not sent: reservation {rid} was refused and cancelled; drop the letter"
                )?;
                continue;
            }
            if letter.is_cut {
                let origin = &letter.origin;
                writeln!(
                    out,
                    "{place}: not sent: it is too large to be kept whole, and lies at {origin} for as \
                     long as Kafka keeps it; drop the letter"
                )?;
                continue;
            }
            if *became == Some(Became::Replayed) {
                writeln!(out, "{place}: was sent before, and is again")?;
            }
            let message = Message {
                topic: &self.config.kafka.topic,
                key: letter.message.key().unwrap_or_default(),
                payload: letter.message.payload().unwrap_or_default(),
                headers: None,
            };
            let answer = producer.send(message).await.await;
            answer
                .context("the producer has ended")?
                .with_context(|| format!("{place} is not sent"))?;
            self.note(n, Became::Replayed).await?;
            writeln!(out, "{place}: sent to {}", self.config.kafka.topic)?;
        }
        Ok(())
    }

    async fn drop(&mut self, which: &Which, out: &mut impl Write) -> anyhow::Result<()> {
        for n in self.chosen(which)? {
            let Some((letter, _)) = self.letters.get(n) else {
                continue;
            };
            let place = place(letter);
            self.note(n, Became::Dropped).await?;
            writeln!(out, "{place}: dropped; `dead list --all` still shows it")?;
        }
        Ok(())
    }

    /// Where in `letters` those are that are meant.
    fn chosen(&self, which: &Which) -> anyhow::Result<Vec<usize>> {
        if which.all {
            let letters = self.letters.iter().enumerate();
            let open = letters.filter(|(_, (_, became))| became.is_none());
            return Ok(open.map(|(n, _)| n).collect());
        }
        ensure!(
            !which.letters.is_empty(),
            "which letters? Expected <partition>:<offset> of `dead list`, or --all"
        );
        let find = |wanted: &Place| {
            let mut letters = self.letters.iter();
            let found = letters.position(|(letter, _)| {
                (letter.partition, letter.offset) == (wanted.partition, wanted.offset)
            });
            found.with_context(|| {
                let (partition, offset) = (wanted.partition, wanted.offset);
                format!(
                    "there is no letter {partition}:{offset} in {}",
                    self.config.kafka.dead_topic
                )
            })
        };
        which.letters.iter().map(find).collect()
    }

    async fn note(&mut self, n: usize, became: Became) -> anyhow::Result<()> {
        let Some((letter, _)) = self.letters.get(n) else {
            return Ok(());
        };
        let values = params! {
            "topic" => &self.config.kafka.dead_topic,
            "partition" => letter.partition,
            "offset" => letter.offset,
            "sent_at" => letter.sent_at_ms,
            "became" => became.word(),
        };
        let sql = "INSERT INTO stock_dead_letter \
                   (topic, letter_partition, letter_offset, sent_at, became) \
                   VALUES (:topic, :partition, :offset, :sent_at, :became) \
                   ON DUPLICATE KEY UPDATE became = :became, at = NOW()";
        let noted = self
            .session
            .work(async |conn| Ok(conn.exec_drop(sql, values).await?));
        noted
            .await
            .context("it is not written down that this letter is dealt with")
    }
}

// === impl Became ===

impl Became {
    const fn word(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

fn line(letter: &KeptLetter, became: Option<Became>) -> Line<'_> {
    let payload = letter.message.payload().unwrap_or_default();
    Line {
        letter: place(letter),
        sent_at_ms: letter.sent_at_ms,
        from: &letter.origin,
        rid: letter.rid.as_deref(),
        reason: &letter.reason,
        became,
        message: shown(&String::from_utf8_lossy(payload), SHOWN_CHARS_MAX),
    }
}

fn place(letter: &KeptLetter) -> String {
    format!("{}:{}", letter.partition, letter.offset)
}

fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_that_a_person_reads() {
        assert_eq!(time(1_763_800_000_000), "2025-11-22T08:26:40Z");
    }
}
