//! Pages of the shop's, as nearly all of them are asked for and answered, passed on without a session
//! of pingora's.
//!
//! On the evening of a sale the shop's own pages come by the hundred for each buy, and two sessions
//! and the tasks that join them would be most of what one costs. So what is asked for plainly is
//! passed on here, from connection to connection, with one buffer between them. An answer that could
//! be read in more ways than one goes another way: nothing of it has been passed on, and pingora asks
//! for the page once more.
//!
//! * `question`: what the shop is asked
//! * `answer`: the head of what it says
//! * `body`: what follows, and where it ends

mod answer;
mod body;
mod question;

use crate::caller::{Caller, Got, poll_hung_up};
use crate::client::Introduction;
use crate::counters::Counters;
use crate::fast::Plain;
use crate::ledger::Notes;
use crate::page::answer::{Head, Progress};
use crate::page::body::Body;
use crate::proxy::unanswered;
use crate::shop::{Attempts, Call, Shop};
use bytes::{Buf, BytesMut};
use pingora_core::{BError, Error, ErrorType};
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// So much of an answer is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The longest head of an answer that is read here.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Why an answer is not passed on.
enum Trouble {
    /// The client is gone.
    Gone,
    /// The shop has not answered, or not to the end.
    Shop(BError),
    /// The shop's answer is for pingora to judge.
    Unusual,
}

/// One page on its way.
pub(crate) struct Errand<'e> {
    pub(crate) shop: &'e Shop,
    pub(crate) counters: &'e Counters,
    pub(crate) notes: &'e mut Notes,
    pub(crate) plain: &'e Plain<'e>,
    /// Where it comes from, as the shop is told.
    pub(crate) introduction: Option<Introduction>,
    /// Where it comes from, as the shop's addresses are chosen.
    pub(crate) client: Option<IpAddr>,
}

// === impl Caller ===

impl Caller {
    async fn pass_on(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if self.tell(bytes).await {
            Ok(())
        } else {
            Err(Trouble::Gone)
        }
    }

    /// Reads more of the shop's answer, as long as he is there. Returns whether there was more;
    /// otherwise the shop has closed.
    async fn read(&mut self, call: &mut Call, arrived: &mut BytesMut) -> Result<bool, Trouble> {
        let Self {
            stream,
            ahead,
            timer,
            ..
        } = self;
        let read = timer.wait(call.read_limit, |context| {
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut space = ReadBuf::uninit(&mut space);
            match Pin::new(&mut call.connection).poll_read(context, &mut space) {
                Poll::Ready(read) => {
                    arrived.extend_from_slice(space.filled());
                    let read = read.map(|()| !space.filled().is_empty());
                    Poll::Ready(read.map_err(|error| failed(ErrorType::ReadError, error)))
                }
                Poll::Pending => poll_hung_up(stream, ahead, context).map(|()| Err(Trouble::Gone)),
            }
        });
        let late = || Error::explain(ErrorType::ReadTimedout, "no answer in time").into_up();
        read.await.ok_or_else(|| Trouble::Shop(late()))?
    }
}

fn failed(how: ErrorType, why: io::Error) -> Trouble {
    Trouble::Shop(Error::because(how, "a page is asked for", why).into_up())
}

// === impl Errand ===

impl Errand<'_> {
    /// Asks the shop, and passes its answer on. `None`: that is for pingora to do, and the caller
    /// knows of nothing.
    pub(crate) async fn run(mut self, caller: &mut Caller) -> Option<Got> {
        self.notes.shop_is_asked();
        let question = question::head(self.plain, self.introduction.as_ref());
        let mut attempts = Attempts::default();
        loop {
            let mut call = match self.shop.call(self.client, &mut attempts).await {
                Ok(call) => call,
                Err(error) => return Some(self.unanswered(&error, caller).await),
            };
            let is_kept = call.is_kept;
            let mut got = Got::NOTHING;
            let passing = self.pass(&question, &mut call, caller, &attempts, &mut got);
            let error = match passing.await {
                Ok(may_be_kept) => {
                    if may_be_kept {
                        Shop::keep(&attempts, call.connection);
                    }
                    return Some(got);
                }
                Err(Trouble::Gone) => return Some(got),
                Err(Trouble::Unusual) => return None,
                Err(Trouble::Shop(error)) => error,
            };
            let is_stale = attempts.broken(&error, is_kept, true);
            if got.status.is_some() {
                self.shop.tell_of_trouble(&error);
                return Some(got);
            }
            // What the shop has closed while it rested says nothing: it is asked once more.
            if !is_stale {
                return Some(self.unanswered(&error, caller).await);
            }
        }
    }

    /// Tells the caller that there is no answer.
    async fn unanswered(&mut self, error: &Error, caller: &mut Caller) -> Got {
        self.shop.tell_of_trouble(error);
        let problem = unanswered(error.etype());
        self.notes.code = problem.into();
        caller.answer(problem.into(), Instant::now()).await
    }

    /// Returns whether the connection to the shop may be used again.
    async fn pass(
        &mut self,
        question: &[u8],
        call: &mut Call,
        caller: &mut Caller,
        attempts: &Attempts,
        got: &mut Got,
    ) -> Result<bool, Trouble> {
        ask(call, question).await?;
        let mut arrived = BytesMut::new();
        let mut out = Vec::new();
        let head = loop {
            if !caller.read(call, &mut arrived).await? {
                return Err(Trouble::Shop(closed()));
            }
            let head = self.head(caller, &mut arrived, attempts, &mut out).await?;
            if let Some(head) = head {
                break head;
            }
        };
        if let Some(took) = self.notes.shop_answers() {
            self.counters.shop_seconds.observe(took.as_secs_f64());
        }
        let mut body = Body::new(head.framing);
        loop {
            let part = body.pass(&mut arrived, &mut out);
            let part = part.map_err(|malformed| Trouble::Shop(malformed.into()))?;
            if !out.is_empty() {
                // From here on, it is answered.
                got.status = Some(head.status);
                caller.pass_on(&out).await?;
                got.bytes = got.bytes.saturating_add(part);
                out.clear();
            }
            if body.is_over() {
                got.is_whole = true;
                return Ok(head.may_be_kept && arrived.is_empty());
            }
            if !caller.read(call, &mut arrived).await? {
                body.close(&mut out).map_err(|()| Trouble::Shop(closed()))?;
            }
        }
    }

    /// Reads the head of an answer, if it is there, and writes it as the client gets it. What comes
    /// before the answer he is told at once.
    async fn head(
        &self,
        caller: &mut Caller,
        arrived: &mut BytesMut,
        attempts: &Attempts,
        out: &mut Vec<u8>,
    ) -> Result<Option<Head>, Trouble> {
        loop {
            match answer::read(arrived, self.plain.method(), out) {
                Progress::Head(head, length) => {
                    attempts.answered();
                    arrived.advance(length);
                    return Ok(Some(head));
                }
                Progress::Interim(length) => {
                    attempts.answered();
                    arrived.advance(length);
                    caller.pass_on(out).await?;
                    out.clear();
                }
                Progress::Partial if arrived.len() <= HEAD_BYTES_MAX => return Ok(None),
                Progress::Partial | Progress::Unusual => return Err(Trouble::Unusual),
            }
        }
    }
}

fn closed() -> BError {
    Error::explain(ErrorType::ConnectionClosed, "before the answer's end").into_up()
}

/// Sends the shop what it is asked.
async fn ask(call: &mut Call, question: &[u8]) -> Result<(), Trouble> {
    let writing = timeout(call.write_limit, call.connection.write_all(question));
    match writing.await {
        Ok(written) => written.map_err(|error| failed(ErrorType::WriteError, error)),
        Err(_) => {
            let late = Error::explain(ErrorType::WriteTimedout, "a page is asked for");
            Err(Trouble::Shop(late.into_up()))
        }
    }
}
