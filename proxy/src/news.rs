//! What the module announces of its sales, over a connection of its own.
//!
//! Who has missed something cannot know it, so that nothing may be remembered across a gap: each
//! subscription has a number, its *life*, and what was learned in one life is not believed in
//! another, or when there is none.

use crate::pauses::{Pauses, jittered};
use crate::sales::Sales;
use crate::servers::Servers;
use crate::throttle::Throttle;
use futures_util::StreamExt;
use redis::{Client, ConnectionInfo, Msg, RedisError, Value};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{error::Elapsed, sleep, timeout};
use tracing::{info, warn};

/// What the module puts before a sale's key to make its channel.
const CHANNEL_PREFIX: &str = "seckill:";

/// All sales', also where keys have a prefix: Redis lets a user subscribe to a pattern only if it
/// stands in users.acl letter by letter.
const PATTERN: &str = "seckill:*";

/// For the connection, for the subscription, and for a sign of life.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two signs of life.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Between two attempts: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(50), Duration::from_millis(500));

/// The subscription.
pub(crate) struct News {
    servers: Servers,
    /// The present subscription, 0 if there is none.
    life: AtomicU64,
    lost: Throttle,
    heard_again: Throttle,
}

#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Failed(#[from] RedisError),
    #[error("no answer")]
    Silent(#[from] Elapsed),
    #[error("the connection was closed")]
    Closed,
    #[error("no server is there")]
    Nowhere,
    #[error("another server tells them")]
    Elsewhere,
}

// === impl News ===

impl News {
    /// Prepares the subscription to a server that decides; [`Self::follow`] makes it.
    pub(crate) fn new(servers: Servers) -> Self {
        Self {
            servers,
            life: AtomicU64::new(0),
            lost: Throttle::default(),
            heard_again: Throttle::default(),
        }
    }

    /// The present subscription, 0 if there is none.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(Ordering::Acquire)
    }

    /// Listens as long as the program lives.
    pub(crate) async fn follow(self: Arc<Self>, sales: Arc<Sales>) {
        let mut lives: u64 = 0;
        let mut pauses = PAUSES;
        loop {
            lives = lives.saturating_add(1);
            let Err(lost) = self.listen(lives, &sales).await;
            if self.life.swap(0, Ordering::AcqRel) != 0 {
                pauses = PAUSES;
            }
            if let Some(skipped) = self.lost.pass() {
                warn!(
                    skipped,
                    "no news of sales ({lost}); Redis is asked for every buyer meanwhile"
                );
            }
            sleep(jittered(pauses.take())).await;
        }
    }

    async fn listen(&self, life: u64, sales: &Sales) -> Result<Infallible, Lost> {
        let server = self.servers.news_server().ok_or(Lost::Nowhere)?;
        let client = Client::open(ConnectionInfo::clone(&server))?;
        let subscription = timeout(PATIENCE, client.get_async_pubsub()).await??;
        let (mut sink, mut messages) = subscription.split();
        timeout(PATIENCE, sink.psubscribe(PATTERN)).await??;
        self.life.store(life, Ordering::Release);
        if life > 1
            && let Some(skipped) = self.heard_again.pass()
        {
            info!(skipped, "news of sales again");
        }
        let signs_of_life = async {
            loop {
                sleep(PING_EVERY).await;
                timeout(PATIENCE, sink.ping::<Value>()).await??;
            }
        };
        let hearing = async {
            while let Some(message) = messages.next().await {
                heard(&message, sales);
            }
            Err(Lost::Closed)
        };
        tokio::select! {
            lost = signs_of_life => lost,
            lost = hearing => lost,
            () = self.servers.left(server.addr()) => Err(Lost::Elsewhere),
        }
    }
}

/// Whatever it is that has happened to a sale, it is asked about anew.
fn heard(message: &Msg, sales: &Sales) {
    if let Some(key) = message.get_channel_name().strip_prefix(CHANNEL_PREFIX)
        && let Some(sale) = sales.of_key(key)
    {
        sale.shut.forget();
    }
}
