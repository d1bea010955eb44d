//! The life of a request: which of the other files is asked when.

use crate::answer::Answer;
use crate::body;
use crate::desk::{Asked, Decision, Desk, Unasked};
use crate::fast::Decided;
use crate::fields::Fields;
use crate::forward::Forward;
use crate::framing;
use crate::ledger::{Exchange, Ledger, Notes};
use crate::problem::Problem;
use crate::shop::{Attempts, must_not_repeat};
use crate::sign::{Signing, Told};
use crate::site::{Current, Site};
use crate::spelling;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderName, HeaderValue, StatusCode};
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use seckill_protocol::Uid;
use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pingora is told that connections are kept, with some number; how long they rest is `front`'s to say.
pub(crate) const KEEPALIVE_S: u64 = 60;

/// Why a body on its way to the shop is not carried on.
const BODY_TOO_LONG: ErrorType = ErrorType::Custom("BodyTooLong");
const BODY_TOO_SLOW: ErrorType = ErrorType::Custom("BodyTooSlow");

/// How long one write to a buyer may take.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the shop is told about an accepted buy, and what nobody else may tell it.
const SALE: HeaderName = HeaderName::from_static("seckill-sale");
const USER: HeaderName = HeaderName::from_static("seckill-user");
const RESERVATION: HeaderName = HeaderName::from_static("seckill-reservation");
const QUANTITY: HeaderName = HeaderName::from_static("seckill-quantity");
const TIMESTAMP: HeaderName = HeaderName::from_static("seckill-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("seckill-signature");
const UNRESERVED: HeaderName = HeaderName::from_static("seckill-unreserved");
const OURS: &str = "seckill-";

/// Answers buys, and hands everything else to the shop.
pub(crate) struct Proxy {
    site: Current,
    desk: Arc<Desk>,
    ledger: Arc<Ledger>,
}

/// What is known of one request.
pub(crate) struct Request {
    /// What was in force when it began.
    site: Arc<Site>,
    /// What was decided before pingora had it.
    decision: Option<Decision>,
    /// The buy that it is, on its way to the shop; taken when the shop has answered.
    forward: Option<Forward>,
    /// The buy that it is, on its way to the shop without a reservation.
    unreserved: Option<Unasked>,
    /// What it has tried with the shop.
    attempts: Attempts,
    /// What is entered in the ledger when it is over.
    notes: Notes,
    /// What of its body was on its way to the shop, and since when.
    body_bytes: u64,
    body_since: Option<Instant>,
}

/// What is kept of a request for the next on its connection: that it was there.
pub(crate) struct Predecessor;

// === impl Proxy ===

impl Proxy {
    /// Guards what `site` says, does what `desk` decides, and enters it in `ledger`.
    pub(crate) fn new(site: Current, desk: Arc<Desk>, ledger: Arc<Ledger>) -> Self {
        Self { site, desk, ledger }
    }

    async fn decide(&self, session: &Session, request: &mut Request) -> Decision {
        let head = session.req_header();
        let asked = Asked {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &Fields::from(&head.headers),
            peer: peer(session),
        };
        let Request { site, notes, .. } = request;
        // Other heads have come by `front`.
        if session.is_http2()
            && let Err(problem) = site.limits.check_frames(head)
        {
            notes.code = problem.into();
            return Answer::from(problem).into();
        }
        self.desk.decide(site, &asked, notes).await
    }

    /// Tells the shop what was granted, and signs it.
    fn tell(
        signing: Option<&Signing>,
        forward: &Forward,
        upstream: &mut RequestHeader,
    ) -> Result<()> {
        let rid = forward.rid().to_string();
        upstream.insert_header(SALE, forward.sid())?;
        upstream.insert_header(USER, header_value(&forward.uid)?)?;
        upstream.insert_header(RESERVATION, &rid)?;
        upstream.insert_header(QUANTITY, forward.qty)?;
        let Some(signing) = signing else {
            return Ok(());
        };
        if !upstream.raw_path().starts_with(b"/") {
            // `http://shop.example/…`: frameworks disagree on what of it is the path.
            upstream.set_uri(upstream.uri.clone());
        }
        let told = Told {
            method: upstream.method.as_str(),
            target: upstream.raw_path(),
            sid: forward.sid(),
            uid: forward.uid.as_str(),
            rid: &rid,
            qty: forward.qty,
        };
        if let Some(signature) = signing.sign(&told) {
            upstream.insert_header(TIMESTAMP, signature.timestamp)?;
            upstream.insert_header(SIGNATURE, signature.value)?;
        }
        Ok(())
    }

    async fn answer(&self, session: &mut Session, answer: Answer) -> Result<bool> {
        body::drain(session).await;
        self.send(session, answer).await
    }

    async fn send(&self, session: &mut Session, answer: Answer) -> Result<bool> {
        if answer.send(session).await.is_err() {
            session.set_keepalive(None);
        }
        Ok(true)
    }
}

/// Who has connected.
fn peer(session: &Session) -> Option<IpAddr> {
    let address = session.client_addr()?.as_inet()?;
    Some(address.ip())
}

/// What the buyer is told of a shop that has failed him in this way.
pub(crate) const fn unanswered(how: &ErrorType) -> Problem {
    match how {
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            Problem::ShopTimeout
        }
        _ => Problem::ShopUnavailable,
    }
}

/// Whether some server could take a header for one of ours.
pub(crate) fn could_be_ours(name: &str) -> bool {
    spelling::has_prefix(name, OURS)
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Request;

    fn new_ctx(&self) -> Request {
        Request {
            site: self.site.load_full(),
            decision: None,
            forward: None,
            unreserved: None,
            attempts: Attempts::default(),
            notes: Notes::new(),
            body_bytes: 0,
            body_since: None,
        }
    }

    /// None: the default one prepares compression for every request, of which most are rejections.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(
        &self,
        session: &mut Session,
        request: &mut Request,
    ) -> Result<()> {
        // Pingora keeps connections for ever unless told otherwise; but where it has decided to
        // close (an ambiguous length, a shutdown), it must stay closed.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(KEEPALIVE_S));
        }
        if framing::is_in_chunks(&session.req_header().headers) {
            session.set_keepalive(None);
        }
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        session.set_read_timeout(Some(request.site.limits.body));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, request: &mut Request) -> Result<bool> {
        let head = session.req_header();
        if !session.is_http2() && framing::is_doubtful(head.version, &head.headers) {
            // Nor is the body read, of which nobody knows where it ends.
            session.set_keepalive(None);
            let problem = Problem::BadRequest;
            request.notes.code = problem.into();
            return self.send(session, problem.into()).await;
        }
        let decision = match request.decision.take() {
            Some(decision) => decision,
            None => self.decide(session, request).await,
        };
        let limits = &request.site.limits;
        let headers = &session.req_header().headers;
        if matches!(decision, Decision::Pass)
            && limits.is_announced_too_long(&Fields::from(headers))
        {
            let problem = Problem::BodyTooLong;
            request.notes.code = problem.into();
            return self.answer(session, problem.into()).await;
        }
        match decision {
            Decision::Pass => Ok(false),
            Decision::Forward(forward) => {
                // The buyer has the units: that he hangs up is no reason to leave the shop with
                // half a request.
                session.set_abort_on_close(false);
                request.forward = Some(forward);
                Ok(false)
            }
            Decision::ForwardUnreserved(unasked) => {
                session.set_abort_on_close(false);
                request.unreserved = Some(unasked);
                Ok(false)
            }
            Decision::Answer(answer) => self.answer(session, answer).await,
        }
    }

    /// The part of a body that goes to the shop next.
    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        request: &mut Request,
    ) -> Result<()> {
        if session.was_upgraded() {
            return Ok(());
        }
        let part = body.as_ref().map_or(0, Bytes::len);
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        request.body_bytes = request.body_bytes.saturating_add(part);
        let limits = &request.site.limits;
        if request.body_bytes > limits.body_bytes {
            return Err(Error::new_down(BODY_TOO_LONG));
        }
        let since = request.body_since.get_or_insert_with(Instant::now);
        if part > 0 && limits.is_too_slow(request.body_bytes, since.elapsed()) {
            return Err(Error::new_down(BODY_TOO_SLOW));
        }
        Ok(())
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        request: &mut Request,
    ) -> Result<Box<HttpPeer>> {
        request.notes.shop_is_asked();
        let head = session.req_header();
        let site = &request.site;
        let peer = peer(session);
        let client = site
            .clients
            .address(peer, &Fields::from(&head.headers))
            .or(peer);
        site.shop
            .peer(&head.method, &head.headers, client, &mut request.attempts)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        request: &mut Request,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let shop = &request.site.shop;
        let again = shop.not_connected(&mut request.attempts, &error);
        error.set_retry(again);
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        request: &mut Request,
        kept: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        let sent = session.as_mut().is_body_done();
        let stale = request.attempts.broken(&error, kept, sent);
        // What could not harm is sent again, if it can be: the client has sent it once.
        let again = stale
            && !must_not_repeat(&session.req_header().method)
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none();
        error.set_retry(again);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        request: &mut Request,
    ) -> Result<()> {
        // Here and not earlier: a client can name any header in `Connection` and have it removed
        // from what was there before this step.
        let forged: Vec<HeaderName> = upstream
            .headers
            .keys()
            .filter(|name| could_be_ours(name.as_str()))
            .cloned()
            .collect();
        for name in &forged {
            upstream.remove_header(name);
        }
        if let Some(forward) = &request.forward {
            Self::tell(request.site.signing.as_ref(), forward, upstream)?;
        } else if let Some(unasked) = &request.unreserved {
            upstream.insert_header(SALE, &*unasked.sid)?;
            upstream.insert_header(USER, header_value(&unasked.uid)?)?;
            upstream.insert_header(QUANTITY, unasked.qty)?;
            upstream.insert_header(UNRESERVED, "1")?;
        }
        let is_tls = session.digest().is_some_and(|d| d.ssl_digest.is_some());
        let scheme = if is_tls { "https" } else { "http" };
        let clients = &request.site.clients;
        if let Some(told) =
            clients.introduction(peer(session), scheme, &Fields::from(&upstream.headers))
        {
            told.tell(upstream)?;
        }
        if must_not_repeat(&session.req_header().method) {
            upstream.insert_header(CONNECTION, "close")?;
        }
        if !upstream.headers.contains_key(HOST) {
            // HTTP/1.0 needs none, and the shop is asked in HTTP/1.1.
            upstream.insert_header(HOST, "")?;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        request: &mut Request,
    ) -> Result<()> {
        request.attempts.answered();
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // What follows is no body: it may be silent for as long as both sides like.
            session.set_read_timeout(None);
        }
        if response.status.is_informational() {
            return Ok(());
        }
        if let Some(took) = request.notes.shop_answers() {
            let counters = self.ledger.counters();
            counters.shop_seconds.observe(took.as_secs_f64());
        }
        if let Some(forward) = request.forward.take() {
            let settled = forward.answered(response.status, self.desk.gate());
            request.notes.while_redis_answers(settled).await;
        }
        Ok(())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        request: &mut Request,
    ) -> FailToProxy {
        let problem = match (error.esource(), error.etype()) {
            (ErrorSource::Upstream, etype) => {
                if let Some(forward) = request.forward.take() {
                    forward.unanswered(self.desk.gate()).await;
                }
                request.site.shop.tell_of_trouble(error);
                match etype {
                    // It waits for the rest of a request: chunks whose extensions or trailers drip.
                    ErrorType::ReadTimedout if !session.as_mut().is_body_done() => {
                        Some(Problem::BodyTooSlow)
                    }
                    etype => Some(unanswered(etype)),
                }
            }
            (
                ErrorSource::Downstream,
                ErrorType::ConnectionClosed
                | ErrorType::ReadError
                | ErrorType::WriteError
                | ErrorType::WriteTimedout,
            ) => None,
            (ErrorSource::Downstream, &BODY_TOO_LONG) => Some(Problem::BodyTooLong),
            (ErrorSource::Downstream, &BODY_TOO_SLOW | ErrorType::ReadTimedout) => {
                Some(Problem::BodyTooSlow)
            }
            (ErrorSource::Downstream, _) => Some(Problem::BadRequest),
            (ErrorSource::Internal | ErrorSource::Unset, _) => Some(Problem::Internal),
        };
        let begun = session
            .response_written()
            .is_some_and(|response| !response.status.is_informational());
        session.set_keepalive(None);
        match problem {
            Some(problem) if !begun => {
                request.notes.code = problem.into();
                let answer = Answer::from(problem);
                let error_code = answer.status().as_u16();
                // A client that is gone by now will not miss it.
                let _ = answer.send(session).await;
                FailToProxy {
                    error_code,
                    can_reuse_downstream: false,
                }
            }
            _ => FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            },
        }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, request: &mut Request) {
        let head = session.req_header();
        let exchange = Exchange {
            peer: peer(session),
            method: &head.method,
            path: head.uri.path(),
            headers: &Fields::from(&head.headers),
            version: head.version,
            status: session.response_written().map(|response| response.status),
            bytes: session.body_bytes_sent(),
        };
        self.ledger.enter(&request.site, &request.notes, &exchange);
    }

    /// What `front` knows of a request comes by the way of what pingora's sessions tell each other.
    fn on_connection_reuse(
        &self,
        _: &mut Session,
        request: &mut Request,
        context: Box<dyn Any + Send + Sync>,
    ) {
        match context.downcast::<Decided>() {
            Ok(decided) => {
                request.site = decided.site;
                request.decision = Some(decided.decision);
                request.notes = decided.notes;
            }
            Err(_) => request.notes.reused = true,
        }
    }

    /// [`Self::fail_to_proxy`] has told what there is to tell, and not once a request.
    fn suppress_error_log(&self, _: &Session, _: &Request, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Request,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

fn header_value(uid: &Uid) -> Result<HeaderValue> {
    HeaderValue::from_bytes(uid.as_bytes()).map_err(|cause| {
        Error::because(
            ErrorType::InternalError,
            "a uid that no header can carry",
            cause,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_ours_is_recognised_in_any_spelling() {
        for name in [
            "Seckill-User",
            "seckill_user",
            "SECKILL-RESERVATION",
            "Seckill_Anything",
            "seckill.sale",
            "seckill-",
        ] {
            assert!(could_be_ours(name), "{name}");
        }
        for name in ["seckill", "seckills-user", "x-seckill-user", "user"] {
            assert!(!could_be_ours(name), "{name}");
        }
    }
}
