//! One Redis server, over one connection that is opened when it is needed.

use crate::backoff::Backoff;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    RedisResult, Value,
};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tracing::{info, warn};

/// How long an answer may take before the connection counts as lost. The largest answer, 10000
/// events, takes milliseconds; a server that forks or loads takes longer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// How long opening a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// The pauses between attempts to connect.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// One server.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections: who reports a loss says which one he means.
    number: u64,
    /// What the last attempt to connect ended with, and when the next is due.
    failed: Option<(Instant, RedisError)>,
    pauses: Backoff,
    /// Whether the log says that the server is away.
    away: bool,
}

/// A question to one server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// As it is.
    Plain(&'a Cmd),
    /// About a slot that is on its way here (`ASKING`).
    Ahead(&'a Cmd),
}

// === impl Link ===

impl Link {
    /// A link that will connect to a server.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn new(server: ConnectionInfo) -> RedisResult<Self> {
        Ok(Self {
            client: Client::open(server)?,
            state: Mutex::new(State {
                connection: None,
                number: 0,
                failed: None,
                pauses: PAUSES,
                away: false,
            }),
        })
    }

    pub(super) fn address(&self) -> &ConnectionAddr {
        self.client.get_connection_info().addr()
    }

    /// Asks once.
    pub(super) async fn ask(&self, question: Question<'_>) -> RedisResult<Value> {
        let (number, mut connection) = self.connection().await?;
        let answer = match question {
            Question::Plain(command) => command.query_async(&mut connection).await,
            Question::Ahead(command) => {
                let mut both = redis::pipe();
                both.cmd("ASKING").ignore().add_command(command.clone());
                let answers = both.query_async::<(Value,)>(&mut connection).await;
                answers.map(|(answer,)| answer)
            }
        };
        if let Err(error) = &answer
            && is_lost(error)
        {
            self.lost(number, error).await;
        }
        answer
    }

    /// Connects, unless it is connected.
    pub(super) async fn connect(&self) -> RedisResult<()> {
        self.connection().await.map(drop)
    }

    /// The connection; opened by one caller while the others wait. Between two attempts everybody
    /// is told how the last one ended.
    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((state.number, connection.clone()));
        }
        if let Some((again_at, error)) = &state.failed
            && Instant::now() < *again_at
        {
            return Err(error.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE));
        let opened = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        match opened {
            Ok(connection) => {
                state.number += 1;
                state.connection = Some(connection.clone());
                state.failed = None;
                state.pauses.reset();
                if state.away {
                    info!("Redis {} is back", self.address());
                    state.away = false;
                }
                Ok((state.number, connection))
            }
            Err(error) => {
                state.failed = Some((Instant::now() + state.pauses.pause(), error.clone()));
                self.is_away(&mut state, &error);
                Err(error)
            }
        }
    }

    async fn lost(&self, number: u64, error: &RedisError) {
        let mut state = self.state.lock().await;
        if state.number == number && state.connection.take().is_some() {
            self.is_away(&mut state, error);
        }
    }

    fn is_away(&self, state: &mut State, error: &RedisError) {
        if !state.away {
            let address = self.address();
            warn!("Redis {address} is away, going on when it is back: {error}");
            state.away = true;
        }
    }
}

/// Whether an answer says that the connection is of no use any more.
fn is_lost(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed
    )
}
