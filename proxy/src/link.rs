//! The connection to one Redis, one for all buyers, with a breaker: made again in the background when
//! it is lost or given up.
//!
//! A crowd that waits for a server that does not answer is no help to it. After a few questions in
//! a row without an answer nobody is asked to wait any more: questions fail at once, and only one
//! task knocks. What it knocks with is a question that a sound primary decides, and nobody else: a
//! replica answers a PING, and so does a server that loads its data.
//!
//! A question is asked once. One that got no answer may have been carried out or not, and only the
//! buyer can ask again.

use crate::copies::{Copies, NotCopied};
use crate::counters::Counters;
use crate::pauses::{Pauses, jittered};
use crate::refusal::Refusal;
use crate::sentinels::Sentinels;
use crate::standing::Standing;
use crate::throttle::Throttle;
use arc_swap::ArcSwap;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, RedisError, Value,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

/// Questions that may wait for the connection's task to take them. Its default of 50 makes callers
/// of a flash sale wait for each other.
const QUEUE_MAX: usize = 4096;

/// Bytes of questions that leave in one write.
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// For the connection itself: TCP, TLS and the greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two knocks: first, and at most.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(100), Duration::from_millis(500));

/// So many questions in a row without an answer, and the connection is given up: the machine
/// behind it may be gone without a word.
const FAILURES_MAX: u32 = 5;

/// How often a connection on which nobody asks is asked whether it is still there.
const IDLE_CHECK: Duration = Duration::from_millis(500);

/// Connections that this program has made.
static LIVES: AtomicU64 = AtomicU64::new(0);

/// The connection to Redis.
pub(crate) struct Link {
    way: Way,
    manner: Manner,
    knock: ArcSwap<Knock>,
    state: watch::Sender<State>,
    is_begun: AtomicBool,
    /// Questions in a row that got no answer.
    failures: AtomicU32,
    standing: Standing,
    uncopied: Throttle,
    /// Told when the server is lost or sends to another: sales may have moved.
    astray: Option<Arc<Notify>>,
}

/// Which server it is.
pub(crate) enum Way {
    /// Always this one.
    Fixed(Arc<ConnectionInfo>),
    /// The one that the sentinels call the primary.
    Sentinels(Arc<Sentinels>),
}

/// How servers are asked.
#[derive(Clone)]
pub(crate) struct Manner {
    /// How long a question may take.
    pub(crate) deadline: Duration,
    /// What the user may ask about begins so.
    pub(crate) key_prefix: String,
    /// Whether it must be known what a replica has.
    pub(crate) copies: bool,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

/// What is asked of a server that may be sound again; the answer is that there is no such sale.
pub(crate) struct Knock {
    /// The key; no sid has a blank in it.
    key: String,
    /// Whether a sound server may say that the key is on another node.
    may_be_elsewhere: bool,
}

enum State {
    /// The first attempt is to come or under way; who asks waits for it.
    First,
    /// `life` tells one connection from the next, and from those to other servers.
    Up {
        life: u64,
        connection: MultiplexedConnection,
        server: Arc<ConnectionInfo>,
        copies: Option<Arc<Copies>>,
    },
    /// Lost or given up, and a task is at it.
    Away,
}

/// A connection on which Redis decides.
struct Sound {
    connection: MultiplexedConnection,
    server: Arc<ConnectionInfo>,
    copies: Option<Arc<Copies>>,
}

/// An answer, and the life of the connection that it came on.
pub(crate) type Answered = Result<(u64, Value), Trouble>;

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
    /// Nobody knows which server decides.
    #[error("no sentinel names a primary")]
    NoPrimary,
    /// Redis said no to this question, or the connection failed.
    #[error("{0}")]
    Failed(#[from] RedisError),
}

// === impl Trouble ===

impl Trouble {
    /// Whether the question was certainly not carried out.
    pub(crate) fn is_no(&self) -> bool {
        match self {
            Self::Away | Self::NoPrimary | Self::Refused(_) => true,
            Self::Late => false,
            Self::Failed(error) => error.code().is_some(),
        }
    }
}

// === impl Knock ===

impl Knock {
    /// At a server that may have none of the slots of a cluster.
    pub(crate) fn anywhere(key_prefix: &str) -> Self {
        Self {
            key: format!("{key_prefix} "),
            may_be_elsewhere: true,
        }
    }

    /// At a node that has the slot of this key, which no sale has.
    pub(crate) fn at_home(key: String) -> Self {
        Self {
            key,
            may_be_elsewhere: false,
        }
    }

    /// The key, if the node was said to have its slot.
    pub(crate) fn home(&self) -> Option<&str> {
        (!self.may_be_elsewhere).then_some(&*self.key)
    }

    fn question(&self) -> Cmd {
        let mut question = redis::cmd("SECKILL.TRY");
        question.arg(&self.key).arg("nobody");
        question
    }

    /// Whether a server that answers so decides.
    fn is_answered_by(&self, error: &RedisError) -> Result<(), Trouble> {
        if error.code().is_none() {
            return Err(error.clone().into());
        }
        match Refusal::of(error) {
            Some(Refusal::Elsewhere) if !self.may_be_elsewhere => {
                Err(Trouble::Refused(Refusal::Elsewhere))
            }
            Some(refusal) if refusal.is_of_all() => Err(Trouble::Refused(refusal)),
            _ => Ok(()),
        }
    }
}

// === impl Way ===

impl Way {
    async fn server(&self) -> Result<Arc<ConnectionInfo>, Trouble> {
        match self {
            Self::Fixed(server) => Ok(Arc::clone(server)),
            Self::Sentinels(sentinels) => {
                let primary = sentinels.primary().await.ok_or(Trouble::NoPrimary)?;
                Ok(Arc::new(primary))
            }
        }
    }
}

// === impl Link ===

impl Link {
    /// Prepares the connection; [`Self::begin`] makes it, or the first question.
    pub(crate) fn new(way: Way, manner: Manner) -> Self {
        let name = "Redis".to_owned();
        Self::named(name, way, manner, None)
    }

    /// Prepares the connection to a node of a cluster.
    pub(crate) fn to_node(
        server: Arc<ConnectionInfo>,
        manner: Manner,
        astray: Arc<Notify>,
    ) -> Self {
        let name = format!("Redis at {}", server.addr());
        Self::named(name, Way::Fixed(server), manner, Some(astray))
    }

    fn named(name: String, way: Way, manner: Manner, astray: Option<Arc<Notify>>) -> Self {
        Self {
            way,
            knock: ArcSwap::from_pointee(Knock::anywhere(&manner.key_prefix)),
            manner,
            state: watch::Sender::new(State::First),
            is_begun: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            standing: Standing::new(name),
            uncopied: Throttle::default(),
            astray,
        }
    }

    /// Begins to connect, on the runtime that this is called from, and sees to it from now on that
    /// there is a connection.
    pub(crate) fn begin(self: &Arc<Self>) {
        if !self.is_begun.swap(true, Ordering::AcqRel) {
            tokio::spawn(Self::connect(Arc::downgrade(self)));
            if let Way::Sentinels(sentinels) = &self.way {
                sentinels.follow(self);
            }
        }
    }

    /// Whether a question would fail at once.
    pub(crate) fn is_away(&self) -> bool {
        matches!(&*self.state.borrow(), State::Away)
    }

    /// The server that is asked now, or would be.
    pub(crate) fn server(&self) -> Option<Arc<ConnectionInfo>> {
        match (&self.way, &*self.state.borrow()) {
            (Way::Fixed(server), _) | (_, State::Up { server, .. }) => Some(Arc::clone(server)),
            _ => None,
        }
    }

    /// Returns when another server than this one is asked.
    pub(crate) async fn left(&self, server: &ConnectionAddr) {
        let mut watch = self.state.subscribe();
        let is_another =
            |state: &State| matches!(state, State::Up { server: now, .. } if now.addr() != server);
        // The guard that `wait_for` gives back must not outlive this line: it locks the state.
        let _ = watch.wait_for(is_another).await.map(drop);
    }

    /// Why no question is decided at the moment; `None` if they are.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        match &*self.state.borrow() {
            State::First => Some("it was not reached yet"),
            State::Away => Some(self.standing.trouble().unwrap_or("it does not answer")),
            State::Up { .. } => self.standing.trouble(),
        }
    }

    /// Asks Redis one question.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when the deadline has passed.
    pub(crate) async fn ask(self: &Arc<Self>, question: &Cmd) -> Answered {
        self.ask_until(question, Instant::now() + self.manner.deadline)
            .await
    }

    /// Asks Redis one question.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when this instant has passed.
    pub(crate) async fn ask_until(self: &Arc<Self>, question: &Cmd, until: Instant) -> Answered {
        let since = Instant::now();
        let (life, mut connection) = self.connection(until).await?;
        // An answer that comes later meets nobody: the connection drops it.
        let answer = timeout_at(until, question.query_async(&mut connection)).await;
        let took = since.elapsed().as_secs_f64();
        self.manner.counters.redis_seconds.observe(took);
        self.judge(life, answer.map_err(|_| Trouble::Late))
    }

    /// Asks a node one question about a sale that has arrived there before its slot.
    ///
    /// # Errors
    /// [`Trouble`], at the latest when this instant has passed.
    pub(crate) async fn ask_ahead(self: &Arc<Self>, question: &Cmd, until: Instant) -> Answered {
        let (life, mut connection) = self.connection(until).await?;
        let mut pair = redis::pipe();
        pair.cmd("ASKING").add_command(question.clone());
        let answers = timeout_at(until, connection.send_packed_commands(&pair, 0, 2)).await;
        let answer = answers.map_err(|_| Trouble::Late).map(|answers| {
            let answer = answers?.pop().unwrap_or(Value::Nil);
            answer.extract_error()
        });
        self.judge(life, answer)
    }

    async fn connection(
        self: &Arc<Self>,
        until: Instant,
    ) -> Result<(u64, MultiplexedConnection), Trouble> {
        if let Some(known) = self.known() {
            return known;
        }
        self.begin();
        let mut watch = self.state.subscribe();
        let decided = watch.wait_for(|s| matches!(s, State::Up { .. } | State::Away));
        // The guard that `wait_for` gives back must not outlive this line: it locks the state.
        let _ = timeout_at(until, decided).await.map(drop);
        self.known().unwrap_or(Err(Trouble::Away))
    }

    /// `None` while nobody knows whether Redis is there.
    fn known(&self) -> Option<Result<(u64, MultiplexedConnection), Trouble>> {
        match &*self.state.borrow() {
            State::Up {
                life, connection, ..
            } => Some(Ok((*life, connection.clone()))),
            State::Away => Some(Err(Trouble::Away)),
            State::First => None,
        }
    }

    /// Decides from what a question came to whether the connection can stay.
    fn judge(
        self: &Arc<Self>,
        life: u64,
        came_to: Result<Result<Value, RedisError>, Trouble>,
    ) -> Answered {
        match came_to {
            Ok(Ok(answer)) => {
                self.heard();
                Ok((life, answer))
            }
            Ok(Err(error)) => {
                if let Some(refusal) = Refusal::of(&error) {
                    if refusal == Refusal::Elsewhere
                        && let Some(astray) = &self.astray
                    {
                        // Whoever asked goes where he was sent.
                        astray.notify_one();
                        self.heard();
                        return Err(Trouble::Failed(error));
                    }
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

    /// Returns when a replica has everything that was decided on the connection of this life.
    ///
    /// # Errors
    /// [`Trouble`], if that is not certain by this instant.
    pub(crate) async fn copied(self: &Arc<Self>, life: u64, until: Instant) -> Result<(), Trouble> {
        let copies = match &*self.state.borrow() {
            State::Up {
                life: now,
                copies: Some(copies),
                ..
            } if *now == life => Arc::clone(copies),
            _ => return Err(Trouble::Away),
        };
        match timeout_at(until, copies.copied()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(NotCopied)) => {
                // What is asked on the other connections cannot be relied on any more either.
                self.standing
                    .is_away(&"it does not tell what its replicas have");
                self.lose(life);
                Err(Trouble::Away)
            }
            Err(_) => {
                if let Some(skipped) = self.uncopied.pass() {
                    warn!(
                        skipped,
                        "no replica has in time what was accepted; buyers are told to try again"
                    );
                }
                Err(Trouble::Late)
            }
        }
    }

    /// Another server is the primary now.
    pub(crate) fn leave_for(self: &Arc<Self>, primary: &ConnectionAddr) {
        let left = match &*self.state.borrow() {
            State::Up { life, server, .. } if server.addr() != primary => *life,
            _ => return,
        };
        self.standing.is_away(&"its sentinels name another primary");
        self.lose(left);
    }

    /// What it has been knocked with, and is from now on.
    pub(crate) fn knock(&self) -> &ArcSwap<Knock> {
        &self.knock
    }

    fn heard(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn lose(self: &Arc<Self>, lost: u64) {
        let mine = self.state.send_if_modified(|state| match state {
            State::Up { life, .. } if *life == lost => {
                *state = State::Away;
                true
            }
            _ => false,
        });
        if mine {
            self.manner.counters.breaker_openings.inc();
            self.go_astray();
            tokio::spawn(Self::connect(Arc::downgrade(self)));
        }
    }

    fn go_astray(&self) {
        if let Some(astray) = &self.astray {
            astray.notify_one();
        }
    }

    /// Knocks until Redis decides something, or nobody needs it any more.
    async fn connect(link: Weak<Self>) {
        let mut pauses = PAUSES;
        while let Some(link) = link.upgrade() {
            match link.knock_once().await {
                Ok(sound) => return link.up(sound),
                Err(trouble) => link.still_away(&trouble),
            }
            drop(link);
            sleep(jittered(pauses.take())).await;
        }
    }

    async fn knock_once(&self) -> Result<Sound, Trouble> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE_MAX)
            .set_write_backpressure_boundary(WRITE_BATCH_BYTES);
        let server = self.way.server().await?;
        let client = Client::open(ConnectionInfo::clone(&server))?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&settings)
            .await?;
        let knock = self.knock.load_full();
        // A stopped process still accepts.
        let until = Instant::now() + self.manner.deadline;
        let question = knock.question();
        match timeout_at(until, question.query_async::<Value>(&mut connection)).await {
            Err(_) => return Err(Trouble::Late),
            Ok(Err(error)) => knock.is_answered_by(&error)?,
            Ok(Ok(_)) => {}
        }
        let copies = if self.manner.copies {
            Some(Arc::new(Copies::open(&client, &settings).await?))
        } else {
            None
        };
        Ok(Sound {
            connection,
            server,
            copies,
        })
    }

    fn up(self: &Arc<Self>, sound: Sound) {
        self.failures.store(0, Ordering::Relaxed);
        let life = LIVES.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Way::Sentinels(_) = self.way {
            info!(primary = %sound.server.addr(), "the sentinels' primary decides");
        }
        self.state.send_modify(|state| {
            *state = State::Up {
                life,
                connection: sound.connection,
                server: sound.server,
                copies: sound.copies,
            };
        });
        self.standing.decides();
        tokio::spawn(Self::watch(Arc::downgrade(self), life));
    }

    /// Notices before a buyer does that a connection is gone, and that a server which refused
    /// decides again.
    async fn watch(link: Weak<Self>, life: u64) {
        loop {
            sleep(IDLE_CHECK).await;
            let Some(link) = link.upgrade() else { return };
            if link.life() != life {
                return;
            }
            let question = link.knock.load().question();
            // Everything else that it can come to is judged where it is asked.
            if let Err(Trouble::Failed(error)) = link.ask(&question).await
                && error.code().is_some()
            {
                link.decided();
            }
        }
    }

    fn still_away(&self, trouble: &Trouble) {
        let refusal = match trouble {
            Trouble::Refused(refusal) => Some(*refusal),
            Trouble::Failed(error) => Refusal::of(error),
            _ => None,
        };
        match refusal {
            Some(refusal) => self.standing.refuses(refusal),
            None => self.standing.is_away(trouble),
        }
        let first = self.state.send_if_modified(|state| {
            let first = matches!(state, State::First);
            if first {
                *state = State::Away;
            }
            first
        });
        if first {
            self.manner.counters.breaker_openings.inc();
        }
        self.go_astray();
    }
}
