//! One call of a command: its arguments, the clock, its sale, its replies.

use crate::api::{self, Held, Key, RawCommand, RawContext, RawString};
use crate::args::Args;
use crate::entry::{Entry, next_epoch};
use crate::error::{Error, Result, bad, c_text, no_sale, wrong_type};
use crate::fence::{self, Fence};
use seckill_protocol::ReservationId;
use seckill_sale::decide::Decision;
use seckill_sale::{Effect, News, Payload, Refusal, Sale};
use std::ffi::{CStr, c_int};

/// One call. Its first argument is the key.
pub(crate) struct Request<'a> {
    context: RawContext,
    key: RawString,
    args: &'a [RawString],
}

/// Runs a command's handler and replies its error, if it has one.
#[inline]
pub(crate) fn run(
    context: RawContext,
    argv: *mut RawString,
    argc: c_int,
    handler: impl FnOnce(&Request<'_>) -> Result<()>,
) -> c_int {
    let outcome = match api::arguments(argv, argc) {
        [_name, key, args @ ..] => handler(&Request {
            context,
            key: *key,
            args,
        }),
        _ => Err(Error::Arity),
    };
    if let Err(error) = outcome {
        refuse(context, &error);
    }
    // Redis takes an error reply for what it is; the status only says that the call was handled.
    0
}

#[cold]
fn refuse(context: RawContext, error: &Error) {
    match error {
        Error::Arity => api::reply_wrong_arity(context),
        Error::Line(line) => api::reply_error(context, &c_text(line)),
    }
}

impl<'a> Request<'a> {
    /// A call that nobody made: what this node does to a sale by itself.
    pub(crate) const fn of_key(context: RawContext, key: RawString) -> Self {
        Self {
            context,
            key,
            args: &[],
        }
    }

    /// The arguments after the key.
    pub(crate) const fn args(&self) -> Args<'a> {
        Args::new(self.args)
    }

    /// Whether the call comes from a primary, or from an AOF that is being loaded.
    pub(crate) fn is_replayed(&self) -> bool {
        api::is_replayed(self.context)
    }

    /// Whether the client cannot be kept waiting.
    pub(crate) fn is_blocking_denied(&self) -> bool {
        api::is_blocking_denied(self.context)
    }

    /// Lets the client wait until something happens to the sale; see [`api::await_key`].
    pub(crate) fn wait(&self, timeout_ms: u64, ready: RawCommand, timeout: RawCommand) {
        let timeout_ms = i64::try_from(timeout_ms).unwrap_or(i64::MAX);
        api::await_key(self.context, self.key, timeout_ms, ready, timeout);
    }

    /// Lets `read` look at the sale.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Entry) -> Result<T>) -> Result<T> {
        let mut key = Key::open_to_read(self.context, self.key).ok_or_else(no_sale)?;
        read(sale_of(&mut key)?)
    }

    /// Runs a writing command on the sale: releases what is overdue, decides, applies, replicates.
    /// `reply` is called last.
    pub(crate) fn write<'e, T>(
        &self,
        decide: impl FnOnce(&Sale, u64) -> Decision<'e, T>,
        reply: impl FnOnce(T),
    ) -> Result<()> {
        self.write_with(
            |entry, now_ms| {
                let Entry { sale, change, .. } = entry;
                sale.perform(now_ms, change, |sale| decide(sale, now_ms))
            },
            reply,
        )
    }

    /// As [`write`](Self::write), for a command that performs in a way of its own.
    pub(crate) fn write_with<T>(
        &self,
        perform: impl FnOnce(&mut Entry, u64) -> std::result::Result<T, Refusal>,
        reply: impl FnOnce(T),
    ) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        let now_ms = api::now_ms();
        let answer = self.perform(sale_of(&mut key)?, now_ms, perform)?;
        reply(answer);
        Ok(())
    }

    /// Takes a sale over, if it was inherited and nobody has asked for it yet.
    pub(crate) fn inherit(&self) {
        let mut key = Key::open_to_write(self.context, self.key);
        if let Ok(entry) = sale_of(&mut key)
            && let Err(refusal) = self.perform(entry, api::now_ms(), |_, _| Ok(()))
        {
            self.warn(&format!(
                "seckill: a sale could not be taken over: {refusal}"
            ));
        }
    }

    /// Changes a sale, after it was taken over where it was inherited, and propagates what changed
    /// also where `perform` refuses: what changed before it did has changed all the same.
    fn perform<T>(
        &self,
        entry: &mut Entry,
        now_ms: u64,
        perform: impl FnOnce(&mut Entry, u64) -> std::result::Result<T, Refusal>,
    ) -> std::result::Result<T, Refusal> {
        let available_before = entry.sale.available();
        entry.change.begin(entry.sale.head());
        let taken_over = take_over_if_inherited(entry, now_ms);
        let outcome = taken_over.and_then(|()| perform(entry, now_ms));
        self.propagate(entry, available_before);
        outcome
    }

    /// Puts a new sale under the key.
    pub(crate) fn create(&self, opened: &Effect<'_>) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        match key.held() {
            Held::Nothing => {}
            Held::Sale(_) => return Err(bad("sale already exists")),
            Held::SomethingElse => return Err(wrong_type()),
        }
        key.set(Entry::open(opened, api::seed())?);
        let entry = sale_of(&mut key)?;
        entry.change.record(opened);
        let available = entry.sale.available();
        self.propagate(entry, available);
        Ok(())
    }

    /// Carries out what another node, or this one before it was restarted, decided.
    pub(crate) fn replay(&self, payload: Payload<'_>) -> Result<()> {
        let mut key = Key::open_to_write(self.context, self.key);
        match (key.held(), payload) {
            (Held::Sale(entry), Payload::Change(effects)) => entry.sale.apply_effects(effects)?,
            (Held::Sale(entry), Payload::Block(block)) => entry.sale.restore_block(block)?,
            (Held::Nothing, Payload::Change(effects)) => {
                key.set(Entry::from_effects(effects, api::seed())?);
            }
            (Held::Nothing, Payload::Block(block)) => {
                key.set(Entry::from_block(block, api::seed())?);
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

    /// To replicas and the AOF first: whoever hears of the news may act on it at once.
    fn propagate(&self, entry: &mut Entry, available_before: u64) {
        if entry.change.is_empty() {
            return;
        }
        entry.changed();
        api::replicate_apply(self.context, self.key, entry.change.payload());
        api::signal_modified(self.context, self.key);
        api::wake(self.context, self.key);
        for news in entry.sale.news(&entry.change, available_before) {
            self.announce(news);
        }
        entry.end_change();
    }

    /// As a keyspace event `seckill.<word>`, and as `<word>` on the channel `seckill:<sid>`.
    #[cold]
    fn announce(&self, news: News) {
        let word = news.word();
        api::notify(self.context, &c_text(&format!("seckill.{word}")), self.key);
        let channel = [CHANNEL_PREFIX, api::bytes(self.key)].concat();
        api::publish(self.context, &channel, word.as_bytes());
    }
}

/// A sale that came to this node from another primary, or from its disk, may lack the last facts.
///
/// What that changes travels together with what the command changes. Two effects of one command would
/// be a transaction in the AOF, and Redis 7.0 leaves those out when it loads one and the user `default`
/// is not allowed them.
fn take_over_if_inherited(entry: &mut Entry, now_ms: u64) -> std::result::Result<(), Refusal> {
    if !entry.is_inherited() {
        return Ok(());
    }
    let epoch = next_epoch(now_ms);
    let fenced = fence::setting() != Fence::Never;
    let Entry { sale, change, .. } = entry;
    sale.perform_take_over(now_ms, change, epoch, fenced)
}

const CHANNEL_PREFIX: &[u8] = b"seckill:";

fn sale_of(key: &mut Key) -> Result<&mut Entry> {
    match key.held() {
        Held::Sale(entry) if entry.sale.is_complete() => Ok(entry),
        Held::Sale(_) => Err(bad("the sale was loaded in part: its file was cut off")),
        Held::Nothing => Err(no_sale()),
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
        // An answer this common is put together by hand: two numbers of at most 20 digits, a dash.
        let (mut epoch, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (epoch, seq) = (epoch.format(rid.0.epoch), seq.format(rid.0.seq));
        let mut text = [b'-'; 41];
        let length = epoch.len() + 1 + seq.len();
        if let Some(place) = text.get_mut(..epoch.len()) {
            place.copy_from_slice(epoch.as_bytes());
        }
        if let Some(place) = text.get_mut(epoch.len() + 1..length) {
            place.copy_from_slice(seq.as_bytes());
        }
        self.reply_string(text.get(..length).unwrap_or_default());
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
