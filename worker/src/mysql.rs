//! Connections to MySQL or MariaDB, and what their errors mean.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row, ServerError};
use std::time::Duration;
use tokio::time::timeout;

/// How long opening a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long the server keeps an idle connection of ours, in seconds, with the locks of its open
/// transaction: so long can a frozen worker block the one that took over.
const SERVER_WAIT_SECONDS: u32 = 30;

/// How often an idle connection has to say that it is alive.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long one transaction or question may take before the server counts as away.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// The largest packet that we send or take, in bytes: both servers' default allows it.
const PACKET_BYTES_MAX: usize = 16 << 20;

/// What a failure of the database asks for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The transaction lost against another one: roll back and do it again.
    #[error("{0}")]
    Again(Error),
    /// The server is away, or not in a state to write: connect again, and do it again. Whether a
    /// COMMIT took place is unknown.
    #[error("{0}")]
    Away(Error),
    /// The data is refused, and will be each time.
    #[error("{0}")]
    Data(ServerError),
    /// The tables or the rights are not what this program needs, whatever the data: somebody has to
    /// mend them, and then the same work succeeds.
    #[error("{0}")]
    Unfit(ServerError),
}

/// The options of every connection: UTC, strict, READ COMMITTED, short waits.
///
/// READ COMMITTED, because what is read after the cursor's lock has to be what is there now; it
/// also takes no gap locks, so that sales do not wait for each other.
pub(crate) fn options(server: OptsBuilder) -> Opts {
    let session = format!(
        "SET SESSION time_zone = '+00:00', \
         sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
         innodb_lock_wait_timeout = 5, wait_timeout = {SERVER_WAIT_SECONDS}"
    );
    server
        // Else each connection would be opened twice: over TCP, then over the socket it names.
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .wait_timeout(Some(SERVER_WAIT_SECONDS as usize))
        .setup(vec![
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
            session,
        ])
        .into()
}

/// One connection that is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Session {
    opts: Opts,
    conn: Option<Conn>,
}

// === impl Session ===

impl Session {
    /// A session that will connect with these options.
    pub(crate) const fn new(opts: Opts) -> Self {
        Self { opts, conn: None }
    }

    /// Does some work on the connection, opening it if needed. After a failure that leaves its
    /// state unknown, or when time is up, the connection is dropped.
    pub(crate) async fn work<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => timeout(CONNECT_PATIENCE, Conn::new(self.opts.clone()))
                .await
                .map_err(|_| Failure::timed_out("no connection"))??,
        };
        let done = timeout(ANSWER_PATIENCE, work(&mut conn))
            .await
            .unwrap_or_else(|_| Err(Failure::timed_out("no answer")));
        if matches!(done, Err(Failure::Away(_))) {
            return done;
        }
        if done.is_err() {
            let rolled_back = timeout(CONNECT_PATIENCE, conn.query_drop("ROLLBACK")).await;
            if !matches!(rolled_back, Ok(Ok(()))) {
                return done;
            }
        }
        self.conn = Some(conn);
        done
    }

    /// Asks the server for a sign of life, so that it keeps the connection.
    pub(crate) async fn keep_alive(&mut self) {
        if self.conn.is_some() {
            // A lost connection was dropped by this; the next work opens another.
            let _ = self.work(async |conn| Ok(conn.ping().await?)).await;
        }
    }
}

/// The rows of a query.
pub(crate) async fn rows<T: FromRow>(conn: &mut Conn, sql: String) -> Result<Vec<T>, Failure> {
    let rows: Vec<Row> = conn.query(sql).await?;
    rows.into_iter()
        .map(|row| {
            mysql_async::from_row_opt(row).map_err(|error| {
                // A column of another type than the schema's: somebody changed a table.
                Failure::Away(Error::Other(Box::new(error)))
            })
        })
        .collect()
}

// === impl Failure ===

impl Failure {
    /// Whether only a change of the configuration helps: the name, the password or the database is
    /// wrong.
    pub(crate) const fn is_misconfigured(&self) -> bool {
        matches!(
            self,
            Self::Unfit(ServerError {
                code: 1044 | 1045 | 1049,
                ..
            })
        )
    }

    /// Why it happened, in a word for a label.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Again(Error::Server(ServerError { code: 1213, .. })) => "deadlock",
            Self::Again(Error::Server(ServerError { code: 1205, .. })) => "lock_wait",
            Self::Again(_) => "snapshot",
            Self::Away(_) => "away",
            Self::Data(_) => "data",
            Self::Unfit(_) => "unfit",
        }
    }

    fn timed_out(what: &'static str) -> Self {
        Self::Away(std::io::Error::new(std::io::ErrorKind::TimedOut, what).into())
    }
}

/// What each error asks for:
///
/// | | errors of MySQL and MariaDB | the transaction is |
/// | --- | --- | --- |
/// | `Again` | 1205 lock wait timeout, 1213 deadlock, 1020 changed since it was read | rolled back and run again after a moment |
/// | `Away` | no connection or answer, 1040, 1203 and 1226 (too many connections), 1053 and 1077 (shutdown), 1152 to 1161 (the network), 1290, 1792 and 1836 (read only), 1317, 1927 and 1969 (killed, took too long), 1021 and 1114 (disk full), and whatever is not known | replayed on a new connection, for as long as it takes; the cursor says whether a COMMIT took place |
/// | `Data` | 1048 NULL, 1062 duplicate, 1216, 1217, 1451 and 1452 foreign key, 1264, 1265, 1292, 1366, 1406 and 1690 value, 1369 CHECK OPTION, 1644 SIGNAL, 3819 and 4025 CHECK | taken apart until the one order is found: that is refused and the others go on. What is not the insert of an order halts its sale |
/// | `Unfit` | 1044, 1045, 1049, 1142, 1143 and 1227 (no right, no database), 1054 and 1136 (columns), 1064, 1146 and 1364 (table, value missing) | as `Away`, with an alarm that is repeated: nobody is turned away for a table that somebody changed |
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::Server(server) = error else {
            return Self::Away(error);
        };
        match server.code {
            1205 | 1213 | 1020 => Self::Again(Error::Server(server)),
            1048 | 1062 | 1216 | 1217 | 1264 | 1265 | 1292 | 1366 | 1369 | 1406 | 1451 | 1452
            | 1644 | 1690 | 3819 | 4025 => Self::Data(server),
            1044 | 1045 | 1049 | 1054 | 1064 | 1136 | 1142 | 1143 | 1146 | 1227 | 1364 => {
                Self::Unfit(server)
            }
            _ => Self::Away(Error::Server(server)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_code(code: u16) -> Failure {
        Error::Server(ServerError {
            code,
            message: String::new(),
            state: String::new(),
        })
        .into()
    }

    #[test]
    fn a_lost_race_is_run_again_and_refused_data_is_not() {
        assert!(matches!(of_code(1213), Failure::Again(_)), "deadlock");
        assert!(matches!(of_code(1062), Failure::Data(_)), "duplicate");
        assert!(matches!(of_code(1053), Failure::Away(_)), "shutdown");
        assert!(matches!(of_code(1290), Failure::Away(_)), "read only");
        assert!(matches!(of_code(1146), Failure::Unfit(_)), "missing table");
        assert!(matches!(of_code(60_000), Failure::Away(_)), "never seen");
    }
}
