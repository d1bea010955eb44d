//! The connection to Redis: one, shared by all requests, made again in the background when lost.
//!
//! While it is lost, questions fail at once and only one task knocks: a million waiting buyers are
//! no reason to open a million connections to a Redis that has just come back.

use crate::throttle::{Throttle, now_ms};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisError, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

/// Questions under way at once. More would wait longer than their deadline anyway.
const IN_FLIGHT_MAX: usize = 8192;

/// Questions that may wait for the connection's task to take them. Its default of 50 makes callers
/// of a flash sale wait for each other.
const QUEUE_MAX: usize = 4096;

/// Bytes of questions that leave in one write.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// For the connection itself: TCP and the greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two attempts to connect: first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A connection on which nothing was answered for so long is given up: the machine behind it may
/// be gone without a word.
const SILENCE_MAX_MS: u64 = 1000;

/// The connection to Redis.
pub(crate) struct Link {
    client: Client,
    settings: AsyncConnectionConfig,
    deadline: Duration,
    state: watch::Sender<State>,
    in_flight: Semaphore,
    /// When the first question of an unbroken row without an answer failed; 0: no such row.
    silent_since_ms: AtomicU64,
    lost: Throttle,
    made: Throttle,
}

enum State {
    /// The first attempt is to come or under way; who asks waits for it.
    First,
    /// `life` tells one connection from the next.
    Up {
        life: u64,
        connection: MultiplexedConnection,
    },
    /// Lost, and a task is at it.
    Away { lives: u64 },
}

/// Why a question got no answer. In every case it may or may not have been carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no connection.
    #[error("Redis is away")]
    Away,
    /// Too many others are waiting.
    #[error("too many questions are waiting for Redis")]
    Busy,
    /// Redis refused, or the connection failed, or the deadline passed.
    #[error("{0}")]
    Failed(#[from] RedisError),
}

// === impl Link ===

impl Link {
    /// Prepares the connection; [`Self::open`] makes it.
    ///
    /// # Errors
    /// The address is of a kind that this program cannot connect to.
    pub(crate) fn new(info: ConnectionInfo, deadline: Duration) -> Result<Self, RedisError> {
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(deadline))
            .set_pipeline_buffer_size(QUEUE_MAX)
            .set_write_backpressure_boundary(WRITE_BATCH_BYTES);
        Ok(Self {
            client: Client::open(info)?,
            settings,
            deadline,
            state: watch::Sender::new(State::First),
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            silent_since_ms: AtomicU64::new(0),
            lost: Throttle::default(),
            made: Throttle::default(),
        })
    }

    /// Begins to connect, and sees to it from now on that there is a connection.
    pub(crate) fn open(self: &Arc<Self>) {
        tokio::spawn(Arc::clone(self).connect());
    }

    /// Asks Redis one question.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when the deadline has passed.
    pub(crate) async fn ask(self: &Arc<Self>, question: &Cmd) -> Result<Value, Trouble> {
        let _place = self.in_flight.try_acquire().map_err(|_| Trouble::Busy)?;
        let (life, mut connection) = self.connection().await?;
        match question.query_async(&mut connection).await {
            Ok(answer) => {
                self.heard();
                Ok(answer)
            }
            Err(error) => {
                self.judge(life, &error);
                Err(error.into())
            }
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), Trouble> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut watch = self.state.subscribe();
        let decided = watch.wait_for(|s| matches!(s, State::Up { .. } | State::Away { .. }));
        // The guard that `wait_for` gives back must not outlive this line: it locks the state.
        let _ = tokio::time::timeout(self.deadline, decided).await.map(drop);
        self.known().unwrap_or(Err(Trouble::Away))
    }

    /// `None` while nobody knows whether Redis is there.
    fn known(&self) -> Option<Result<(u64, MultiplexedConnection), Trouble>> {
        match &*self.state.borrow() {
            State::Up { life, connection } => Some(Ok((*life, connection.clone()))),
            State::Away { .. } => Some(Err(Trouble::Away)),
            State::First => None,
        }
    }

    fn heard(&self) {
        if self.silent_since_ms.load(Ordering::Relaxed) != 0 {
            self.silent_since_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Decides from an error whether the connection can stay.
    fn judge(self: &Arc<Self>, life: u64, error: &RedisError) {
        if error.is_timeout() {
            let now = now_ms();
            let since = self
                .silent_since_ms
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|since| since, |_| now);
            if now.saturating_sub(since) >= SILENCE_MAX_MS {
                self.lose(life, "no answer for a second");
            }
        } else if error.code() == Some("READONLY") {
            // The address leads to a replica now; its name may already lead elsewhere.
            self.heard();
            self.lose(life, "it has become a replica");
        } else if error.is_unrecoverable_error() || error.is_io_error() {
            self.lose(life, &error.to_string());
        } else {
            self.heard();
        }
    }

    fn lose(self: &Arc<Self>, lost: u64, reason: &str) {
        let mine = self.state.send_if_modified(|state| match state {
            State::Up { life, .. } if *life == lost => {
                *state = State::Away { lives: lost };
                true
            }
            _ => false,
        });
        if mine {
            if let Some(skipped) = self.lost.pass() {
                warn!(redis = %self.address(), skipped, "Redis is away ({reason}); buyers are told to try again");
            }
            let link = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE_MIN).await;
                link.connect().await;
            });
        }
    }

    /// Knocks until Redis answers.
    async fn connect(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.knock().await {
                Ok(connection) => {
                    self.up(connection);
                    return;
                }
                Err(error) => self.still_away(&error),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    /// Connects, and sees to it that somebody answers: a stopped process still accepts.
    async fn knock(&self) -> Result<MultiplexedConnection, RedisError> {
        let settings = self.settings.clone();
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&settings)
            .await?;
        match redis::cmd("PING")
            .query_async::<Value>(&mut connection)
            .await
        {
            Err(error) if error.is_timeout() || error.is_io_error() => Err(error),
            // Also a refusal is an answer: the user may lack the right to PING.
            _ => Ok(connection),
        }
    }

    fn up(&self, connection: MultiplexedConnection) {
        self.silent_since_ms.store(0, Ordering::Relaxed);
        let mut lives = 0;
        self.state.send_modify(|state| {
            if let State::Away { lives: before } = state {
                lives = *before;
            }
            let life = lives.saturating_add(1);
            *state = State::Up { life, connection };
        });
        if let Some(skipped) = self.made.pass() {
            info!(redis = %self.address(), skipped, "Redis answers");
        }
    }

    fn still_away(&self, error: &RedisError) {
        let news = self.state.send_if_modified(|state| {
            let first = matches!(state, State::First);
            if first {
                *state = State::Away { lives: 0 };
            }
            first
        });
        if news {
            warn!(redis = %self.address(), "Redis is away ({error}); buyers are told to try again");
        }
    }

    fn address(&self) -> impl std::fmt::Display {
        self.client.get_connection_info().addr().clone()
    }
}
