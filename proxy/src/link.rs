//! The connection to Redis, one for all buyers, with a breaker: made again in the background when it
//! is lost or given up.
//!
//! A crowd that waits for a server that does not answer is no help to it. After a few questions in
//! a row without an answer nobody is asked to wait any more: questions fail at once, and only one
//! task knocks. What it knocks with is a question that a sound primary decides, and nobody else: a
//! replica answers a PING, and so does a server that loads its data.

use crate::counters::Counters;
use crate::pauses::{Pauses, jittered};
use crate::refusal::Refusal;
use crate::standing::Standing;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, RedisError, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// Questions that may wait for the connection's task to take them. Its default of 50 makes callers
/// of a flash sale wait for each other.
const QUEUE_MAX: usize = 4096;

/// Bytes of questions that leave in one write.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// For the connection itself: TCP and the greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two knocks: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_millis(500));

/// So many questions in a row without an answer, and the connection is given up: the machine
/// behind it may be gone without a word.
const FAILURES_MAX: u32 = 5;

/// How often a connection on which nobody asks is asked whether it is still there.
const IDLE_CHECK: Duration = Duration::from_millis(500);

/// The connection to Redis.
pub(crate) struct Link {
    client: Client,
    settings: AsyncConnectionConfig,
    deadline: Duration,
    /// What is asked of a server that may be sound again; the answer is that there is no such sale.
    knock: Cmd,
    state: watch::Sender<State>,
    /// Questions in a row that got no answer.
    failures: AtomicU32,
    standing: Standing,
    counters: Arc<Counters>,
}

enum State {
    /// The first attempt is to come or under way; who asks waits for it.
    First,
    /// `life` tells one connection from the next.
    Up {
        life: u64,
        connection: MultiplexedConnection,
    },
    /// Lost or given up, and a task is at it.
    Away { lives: u64 },
}

/// Why a question got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no connection.
    #[error("Redis is away")]
    Away,
    /// The deadline has passed.
    #[error("Redis did not answer in time")]
    Late,
    /// Redis decides nothing at the moment.
    #[error("Redis decides nothing: {}", .0.words())]
    Refused(Refusal),
    /// Redis said no to this question, or the connection failed.
    #[error("{0}")]
    Failed(#[from] RedisError),
}

// === impl Trouble ===

impl Trouble {
    /// Whether the question was certainly not carried out.
    pub(crate) fn is_no(&self) -> bool {
        match self {
            Self::Away | Self::Refused(_) => true,
            Self::Late => false,
            Self::Failed(error) => error.code().is_some(),
        }
    }
}

// === impl Link ===

impl Link {
    /// Prepares the connection; [`Self::open`] makes it. `key_prefix` is what this user may
    /// ask about.
    ///
    /// # Errors
    /// The address is of a kind that this program cannot connect to.
    pub(crate) fn new(
        info: ConnectionInfo,
        deadline: Duration,
        key_prefix: &str,
        counters: Arc<Counters>,
    ) -> Result<Self, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE_MAX)
            .set_write_backpressure_boundary(WRITE_BATCH_BYTES);
        let mut knock = redis::cmd("SECKILL.TRY");
        // No sid has a blank in it.
        knock.arg(format!("{key_prefix} ")).arg("nobody");
        Ok(Self {
            client: Client::open(info)?,
            settings,
            deadline,
            knock,
            state: watch::Sender::new(State::First),
            failures: AtomicU32::new(0),
            standing: Standing::default(),
            counters,
        })
    }

    /// Begins to connect, on the runtime that this is called from, and sees to it from now on that
    /// there is a connection.
    pub(crate) fn open(self: &Arc<Self>) {
        tokio::spawn(Arc::clone(self).connect());
    }

    /// Whether a question would fail at once.
    pub(crate) fn is_away(&self) -> bool {
        matches!(&*self.state.borrow(), State::Away { .. })
    }

    /// Why no question is decided at the moment; `None` if they are.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match &*self.state.borrow() {
            State::First => Some("it was not reached yet"),
            State::Away { .. } => Some(self.standing.trouble().unwrap_or("it does not answer")),
            State::Up { .. } => self.standing.trouble(),
        }
    }

    /// Asks Redis one question.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when the deadline has passed.
    pub(crate) async fn ask(self: &Arc<Self>, question: &Cmd) -> Result<Value, Trouble> {
        let since = Instant::now();
        let until = since + self.deadline;
        let (life, mut connection) = self.connection(until).await?;
        // An answer that comes later meets nobody: the connection drops it.
        let answer = timeout_at(until, question.query_async(&mut connection)).await;
        let took = since.elapsed().as_secs_f64();
        self.counters.redis_seconds.observe(took);
        self.judge(life, answer.map_err(|_| Trouble::Late))
    }

    async fn connection(&self, until: Instant) -> Result<(u64, MultiplexedConnection), Trouble> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut watch = self.state.subscribe();
        let decided = watch.wait_for(|s| matches!(s, State::Up { .. } | State::Away { .. }));
        // The guard that `wait_for` gives back must not outlive this line: it locks the state.
        let _ = timeout_at(until, decided).await.map(drop);
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

    /// Decides from what a question came to whether the connection can stay.
    fn judge(
        self: &Arc<Self>,
        life: u64,
        came_to: Result<Result<Value, RedisError>, Trouble>,
    ) -> Result<Value, Trouble> {
        match came_to {
            Ok(Ok(answer)) => {
                self.heard();
                Ok(answer)
            }
            Ok(Err(error)) => {
                if let Some(refusal) = error.code().and_then(Refusal::named) {
                    self.standing.refuses(refusal);
                    if refusal.is_of_all() {
                        self.lose(life);
                    } else {
                        self.heard();
                    }
                    return Err(Trouble::Refused(refusal));
                }
                if error.code().is_some() {
                    self.heard();
                } else if error.is_unrecoverable_error() || error.is_io_error() {
                    self.standing.is_away(&error);
                    self.lose(life);
                }
                Err(Trouble::Failed(error))
            }
            Err(trouble) => {
                self.unanswered(life);
                Err(trouble)
            }
        }
    }

    /// Which connection a question that comes now would be asked on; 0 if there is none.
    pub(crate) fn life(&self) -> u64 {
        match &*self.state.borrow() {
            State::Up { life, .. } => *life,
            _ => 0,
        }
    }

    /// A question of this life's has waited for the deadline in vain.
    pub(crate) fn unanswered(self: &Arc<Self>, life: u64) {
        if life == 0 || life != self.life() {
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        if failures.saturating_add(1) >= FAILURES_MAX {
            self.standing.is_away(&"it does not answer");
            self.lose(life);
        }
    }

    /// Redis has decided something.
    pub(crate) fn decided(&self) {
        self.standing.decides();
    }

    fn heard(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn lose(self: &Arc<Self>, lost: u64) {
        let mine = self.state.send_if_modified(|state| match state {
            State::Up { life, .. } if *life == lost => {
                *state = State::Away { lives: lost };
                true
            }
            _ => false,
        });
        if mine {
            self.counters.breaker_openings.inc();
            tokio::spawn(Arc::clone(self).connect());
        }
    }

    /// Knocks until Redis decides something.
    async fn connect(self: Arc<Self>) {
        let mut pauses = PAUSES;
        loop {
            match self.knock().await {
                Ok(connection) => return self.up(connection),
                Err(trouble) => self.still_away(&trouble),
            }
            sleep(jittered(pauses.take())).await;
        }
    }

    async fn knock(&self) -> Result<MultiplexedConnection, Trouble> {
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&self.settings)
            .await?;
        // A stopped process still accepts.
        let until = Instant::now() + self.deadline;
        let answer = timeout_at(until, self.knock.query_async::<Value>(&mut connection)).await;
        match answer {
            Err(_) => Err(Trouble::Late),
            Ok(Err(error)) => match error.code() {
                None => Err(error.into()),
                Some(code) => match Refusal::named(code) {
                    Some(refusal) if refusal.is_of_all() => Err(Trouble::Refused(refusal)),
                    _ => Ok(connection),
                },
            },
            Ok(Ok(_)) => Ok(connection),
        }
    }

    fn up(self: Arc<Self>, connection: MultiplexedConnection) {
        self.failures.store(0, Ordering::Relaxed);
        let mut now = 0;
        self.state.send_modify(|state| {
            let lives = match state {
                State::Away { lives } => *lives,
                _ => 0,
            };
            now = lives.saturating_add(1);
            *state = State::Up {
                life: now,
                connection,
            };
        });
        self.standing.decides();
        tokio::spawn(self.watch(now));
    }

    /// Notices before a buyer does that a connection is gone, and that a server which refused
    /// decides again.
    async fn watch(self: Arc<Self>, life: u64) {
        loop {
            sleep(IDLE_CHECK).await;
            if self.life() != life {
                return;
            }
            // Everything else that it can come to is judged where it is asked.
            if let Err(Trouble::Failed(error)) = self.ask(&self.knock).await
                && error.code().is_some()
            {
                self.decided();
            }
        }
    }

    fn still_away(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Refused(refusal) => self.standing.refuses(*refusal),
            trouble => self.standing.is_away(trouble),
        }
        let first = self.state.send_if_modified(|state| {
            let first = matches!(state, State::First);
            if first {
                *state = State::Away { lives: 0 };
            }
            first
        });
        if first {
            self.counters.breaker_openings.inc();
        }
    }
}
