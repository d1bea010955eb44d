//! The crowd: all connections first, then all buyers at once; or each buyer at his own time.

use crate::buyer::{Book, Buyer};
use crate::connection::Connection;
use crate::descriptors::{self, TooFewDescriptors};
use crate::outcome::Outcome;
use crate::plan::{Plan, PlanError, authority};
use crate::progress::Progress;
use http::uri::Authority;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// Connections that are being opened at one time; more would overrun a listener's backlog.
const OPENING_MAX: usize = 64;

/// Why a crowd did not buy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The system allows too few connections.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// Nobody listens there.
    #[error("cannot reach {url}: {reason}; is the proxy running?")]
    Unreachable {
        /// Where the proxy should be.
        url: String,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A buyer's task ended early.
    #[error("a buyer broke off: {0}")]
    Task(#[from] JoinError),
}

/// Sends `plan`'s crowd and waits until every buyer has all his answers or gave up.
///
/// # Errors
/// [`LoadError`] when the plan makes no sense, the system allows too few connections, or nobody
/// listens at its address. What happens after the start is no error but part of the [`Outcome`].
pub async fn run(plan: &Plan, progress: &Arc<Progress>) -> Result<Outcome, LoadError> {
    let course = Arc::new(plan.course()?);
    match plan.arrivals {
        None => descriptors::allow(plan.buyers)?,
        Some(_) => descriptors::allow_most(),
    }
    let mut addresses = vec![reach(&plan.url, &course.authority, course.timeout).await?];
    for url in &plan.more_urls {
        addresses.push(reach(url, &authority(url)?, course.timeout).await?);
    }
    let first_key = first_key();
    let buyer = |number: u32, &address: &SocketAddr| {
        let (uid, uid_header) = plan.buyer(number)?;
        Ok::<_, PlanError>(Buyer {
            uid,
            uid_header,
            course: Arc::clone(&course),
            address,
            progress: Arc::clone(progress),
            first_key,
            connection: None,
            book: Book::default(),
        })
    };
    let numbered = (1..=plan.buyers).zip(addresses.iter().cycle());
    let mut crowd = JoinSet::new();
    let began = match &plan.arrivals {
        None => {
            let buyers = usize::try_from(plan.buyers).unwrap_or(usize::MAX);
            let start = Arc::new(Barrier::new(buyers.saturating_add(1)));
            let opening = Arc::new(Semaphore::new(OPENING_MAX));
            for (number, address) in numbered {
                let buyer = buyer(number, address)?;
                crowd.spawn(attend(buyer, Arc::clone(&opening), Arc::clone(&start)));
            }
            start.wait().await;
            Instant::now()
        }
        Some(arrivals) => {
            let began = Instant::now();
            for (time, (number, address)) in arrivals.times().zip(numbered) {
                let (buyer, time) = (buyer(number, address)?, began + time);
                // Late is late: nobody is left out because the machine could not keep up.
                sleep_until(time).await;
                progress.connected();
                if plan.is_bot(number) {
                    crowd.spawn(buyer.buy(time));
                } else {
                    crowd.spawn(buyer.come(time));
                }
            }
            began
        }
    };
    let mut books = Vec::new();
    while let Some(book) = crowd.join_next().await {
        books.push(book?);
    }
    Ok(Outcome::new(plan, began.elapsed(), books))
}

async fn attend(mut buyer: Buyer, opening: Arc<Semaphore>, start: Arc<Barrier>) -> Book {
    {
        // The semaphore is never closed.
        let _turn = opening.acquire().await.ok();
        if buyer.connect().await.is_ok() {
            buyer.progress.connected();
        }
    }
    start.wait().await;
    buyer.buy(Instant::now()).await
}

/// The first of the host's addresses that takes a connection.
async fn reach(
    url: &str,
    authority: &Authority,
    patience: Duration,
) -> Result<SocketAddr, LoadError> {
    let unreachable = |reason| LoadError::Unreachable {
        url: url.to_owned(),
        reason,
    };
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(80);
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(unreachable)?;
    let mut reason = std::io::Error::other("its name has no address");
    for address in addresses {
        match timeout(patience, Connection::open(address)).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => reason = error,
            Err(_) => reason = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(unreachable(reason))
}

/// Idempotency keys of an earlier run would be answered with that run's reservations.
fn first_key() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(0)
}
