//! One call of a command: its arguments, the clock, its sale, its replies.

use crate::api::{self, Held, Key, RawContext, RawString};
use crate::entry::{Entry, next_epoch};
use crate::error::{Error, Result, c_text, no_sale, wrong_type};
use seckill_protocol::ReservationId;
use seckill_sale::decide::Decision;
use seckill_sale::{Change, News, Payload, Performed, Sale, Soft};
use std::ffi::{CStr, c_int};
use std::io::{Cursor, Write as _};

/// One call. Its first argument is the key.
pub(crate) struct Request<'a> {
    context: RawContext,
    key: RawString,
    args: Vec<&'a [u8]>,
}

/// What each command is: it replies, or says why not.
pub(crate) type Handler = fn(&Request<'_>) -> Result<()>;

/// Runs a command's handler and replies its error, if it has one.
pub(crate) fn run(
    context: RawContext,
    argv: *mut RawString,
    argc: c_int,
    handler: Handler,
) -> c_int {
    let outcome = match api::arguments(argv, argc) {
        [_name, key, args @ ..] => handler(&Request {
            context,
            key: *key,
            args: args.iter().map(|&arg| api::bytes(arg)).collect(),
        }),
        _ => Err(Error::Arity),
    };
    match outcome {
        Ok(()) => {}
        Err(Error::Arity) => api::reply_wrong_arity(context),
        Err(Error::Line(line)) => api::reply_error(context, &c_text(&line)),
    }
    // Redis takes an error reply for what it is; the status only says that the call was handled.
    0
}

impl Request<'_> {
    /// The arguments after the key.
    pub(crate) fn args(&self) -> &[&[u8]] {
        &self.args
    }

    /// Whether the call comes from a primary, or from an AOF that is being loaded.
    pub(crate) fn is_replayed(&self) -> bool {
        api::is_replayed(self.context)
    }

    /// Lets `read` look at the sale.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Entry) -> Result<T>) -> Result<T> {
        let mut key = Key::open_to_read(self.context, self.key).ok_or_else(no_sale)?;
        read(sale_of(&mut key)?)
    }

    /// Runs a writing command on the sale: releases what is overdue, decides, applies, replicates.
    /// `reply` is called last, with the sale as it is then.
    pub(crate) fn write<T>(
        &self,
        decide: impl FnOnce(&Sale, &mut Soft, u64) -> Decision<T>,
        reply: impl FnOnce(&Sale, T),
    ) -> Result<()> {
        self.carry_out(
            |sale, soft, now_ms| sale.perform(now_ms, |sale| decide(sale, soft, now_ms)),
            reply,
        )
    }

    /// As [`write`](Self::write), for many decisions, whose effects travel as one.
    pub(crate) fn write_each<I, T>(
        &self,
        items: &[I],
        mut decide: impl FnMut(&Sale, &mut Soft, u64, &I) -> Decision<T>,
        reply: impl FnOnce(&Sale, Vec<T>),
    ) -> Result<()> {
        self.carry_out(
            |sale, soft, now_ms| {
                sale.perform_each(now_ms, items, |sale, item| decide(sale, soft, now_ms, item))
            },
            reply,
        )
    }

    fn carry_out<T>(
        &self,
        perform: impl FnOnce(&mut Sale, &mut Soft, u64) -> Performed<T>,
        reply: impl FnOnce(&Sale, T),
    ) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        let now_ms = api::now_ms();
        let entry = self.own_sale(&mut key, now_ms)?;
        let answer = self.perform(entry, |sale, soft| perform(sale, soft, now_ms))?;
        reply(&entry.sale, answer);
        Ok(())
    }

    /// Puts a new sale under the key.
    pub(crate) fn create(&self, change: Change) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        match key.held() {
            Held::Nothing => {}
            Held::Sale(_) => return Err(crate::error::bad("sale already exists")),
            Held::SomethingElse => return Err(wrong_type()),
        }
        key.set(Entry::from_change(&change, api::seed())?);
        let entry = sale_of(&mut key)?;
        let available = entry.sale.available();
        self.propagate(entry, change, available)
    }

    /// Carries out what another node, or this one before it was restarted, decided.
    pub(crate) fn replay(&self, payload: Payload<'_>) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        match (key.held(), payload) {
            (Held::Sale(entry), Payload::Change(change)) => entry.sale.apply_change(&change)?,
            (Held::Sale(entry), Payload::Snapshot(part)) => entry.sale.restore(part)?,
            (Held::Nothing, Payload::Change(change)) => {
                key.set(Entry::from_change(&change, api::seed())?);
            }
            (Held::Nothing, Payload::Snapshot(part)) => {
                key.set(Entry::from_snapshot(part, api::seed())?);
            }
            (Held::SomethingElse, _) => return Err(wrong_type()),
        }
        if let Held::Sale(entry) = key.held() {
            entry.changed();
        }
        // Into this node's own AOF, and on to replicas behind it.
        api::replicate_verbatim(self.context);
        api::signal_modified(self.context, self.key);
        Ok(())
    }

    /// Says in the server's log what only an operator can mend.
    pub(crate) fn warn(&self, text: &str) {
        api::log_warning(self.context, &c_text(text));
    }

    /// The sale under the key; one that was inherited from another primary is fenced first.
    fn own_sale<'k>(&self, key: &'k mut Key, now_ms: u64) -> Result<&'k mut Entry> {
        let entry = sale_of(key)?;
        if entry.is_inherited() {
            let epoch = next_epoch(now_ms);
            self.perform(entry, |sale, _| {
                sale.perform(now_ms, |sale| sale.decide_take_over(now_ms, epoch))
            })?;
        }
        Ok(entry)
    }

    /// Changes a sale, and propagates what changed also where the command is refused: overdue
    /// holds were released all the same.
    fn perform<T>(
        &self,
        entry: &mut Entry,
        perform: impl FnOnce(&mut Sale, &mut Soft) -> Performed<T>,
    ) -> Result<T> {
        let available_before = entry.sale.available();
        let performed = perform(&mut entry.sale, &mut entry.soft);
        self.propagate(entry, performed.change, available_before)?;
        Ok(performed.outcome?)
    }

    /// To replicas and the AOF first: whoever hears of the news may act on it at once.
    fn propagate(&self, entry: &mut Entry, change: Change, available_before: u64) -> Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        entry.changed();
        let news: Vec<News> = entry.sale.news(&change, available_before).collect();
        let payload = Payload::Change(change).encode()?;
        api::replicate_apply(self.context, self.key, &payload);
        api::signal_modified(self.context, self.key);
        for news in news {
            self.announce(news);
        }
        Ok(())
    }

    /// As a keyspace event `seckill.<word>`, and as `<word>` on the channel `seckill:<sid>`.
    fn announce(&self, news: News) {
        let word = news.word();
        api::notify(self.context, &c_text(&format!("seckill.{word}")), self.key);
        let channel = [CHANNEL_PREFIX, api::bytes(self.key)].concat();
        api::publish(self.context, &channel, word.as_bytes());
    }
}

const CHANNEL_PREFIX: &[u8] = b"seckill:";

fn sale_of(key: &mut Key) -> Result<&mut Entry> {
    match key.held() {
        Held::Nothing => Err(no_sale()),
        Held::Sale(entry) => Ok(entry),
        Held::SomethingElse => Err(wrong_type()),
    }
}

// === Replies ===

impl Request<'_> {
    pub(crate) fn reply_ok(&self) {
        self.reply_word(c"OK");
    }

    pub(crate) fn reply_word(&self, word: &CStr) {
        api::reply_simple_string(self.context, word);
    }

    pub(crate) fn reply_integer(&self, number: i64) {
        api::reply_integer(self.context, number);
    }

    pub(crate) fn reply_unsigned(&self, number: u64) {
        self.reply_integer(i64::try_from(number).unwrap_or(i64::MAX));
    }

    pub(crate) fn reply_string(&self, bytes: impl AsRef<[u8]>) {
        api::reply_string(self.context, bytes.as_ref());
    }

    pub(crate) fn reply_rid(&self, rid: ReservationId) {
        // Two numbers of at most 20 digits and the dash: no allocation for an answer this common.
        let mut text = Cursor::new([0_u8; 41]);
        if write!(text, "{rid}").is_ok() {
            let length = usize::try_from(text.position()).unwrap_or(0);
            self.reply_string(text.get_ref().get(..length).unwrap_or_default());
        }
    }

    pub(crate) fn reply_null(&self) {
        api::reply_null(self.context);
    }

    pub(crate) fn reply_array(&self, length: usize) {
        api::reply_array(self.context, length);
    }

    pub(crate) fn reply_map(&self, fields: &[(&str, Field)]) {
        api::reply_map(self.context, fields.len());
        for (name, field) in fields {
            self.reply_string(name);
            match field {
                Field::Text(text) => self.reply_string(text),
                Field::Number(number) => self.reply_unsigned(*number),
            }
        }
    }
}

/// A value in a map.
pub(crate) enum Field {
    Text(String),
    Number(u64),
}
