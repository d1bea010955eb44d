//! The tables: `migrate` brings them up to date, and `run` makes sure that they are.

use crate::mysql::{Failure, Session, rows};
use anyhow::{Context, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use refinery::Migration;
use std::collections::BTreeMap;
use std::io::Write;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// The lock that keeps two migrations apart.
const LOCK: &str = "seckill-migrate";

/// How long a migration waits for another one, in seconds.
const LOCK_PATIENCE_SECONDS: u32 = 60;

/// Where the migrations that were applied are written down.
const HISTORY: &str = "refinery_schema_history";

/// Applies what is missing, and writes a line for each migration.
///
/// # Errors
/// If the database cannot be reached or refuses a migration, or its tables are newer than this
/// program.
pub(crate) async fn migrate(opts: &Opts, out: &mut impl Write) -> anyhow::Result<()> {
    // On a connection of its own: the server releases the lock when the connection ends, however.
    let mut guard = Conn::new(opts.clone())
        .await
        .context("cannot connect to MySQL")?;
    let sql = format!("SELECT GET_LOCK('{LOCK}', {LOCK_PATIENCE_SECONDS})");
    let locked: Option<Option<u8>> = guard
        .query_first(sql)
        .await
        .context("cannot take the lock")?;
    ensure!(
        locked.flatten() == Some(1),
        "another migration has been running for {LOCK_PATIENCE_SECONDS} s: wait for it, or find \
         the connection that holds the lock {LOCK} in SHOW PROCESSLIST"
    );
    // A long ALTER must not look idle to the guard's server side.
    guard.query_drop("SET SESSION wait_timeout = 28800").await?;
    let few = PoolOpts::new().with_constraints(PoolConstraints::new(0, 1).unwrap_or_default());
    let mut pool = Pool::new(OptsBuilder::from_opts(opts.clone()).pool_opts(few));
    let done = apply(&mut pool, out).await;
    pool.disconnect().await?;
    guard.disconnect().await?;
    done
}

async fn apply(pool: &mut Pool, out: &mut impl Write) -> anyhow::Result<()> {
    let done = embedded::migrations::runner().run_async(pool).await;
    let report = match &done {
        Ok(report) => Some(report),
        Err(error) => error.report(),
    };
    let applied = report.map_or(&[][..], |report| report.applied_migrations());
    for migration in applied {
        writeln!(out, "applied {migration}")?;
    }
    let up_to_date = applied.is_empty();
    done.context(
        "the migration failed; each file is one statement, so what was applied before it stays: \
         mend the cause and migrate again",
    )?;
    if up_to_date {
        writeln!(out, "schema is up to date")?;
    }
    Ok(())
}

/// Why a schema will not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Migrations are missing.
    #[error("the tables of MySQL lack {0}: run `seckill-worker migrate`")]
    Older(String),
    /// There are migrations that this program does not have.
    #[error(
        "the tables of MySQL have {0}, which this program does not know: run a newer seckill-worker"
    )]
    Newer(String),
    /// A migration was another one when it was applied.
    #[error(
        "the tables of MySQL were made by another {0} than this program's: use the migrations they were made with"
    )]
    Other(String),
    /// MySQL cannot be asked.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Makes sure that the schema is the one that this program knows.
///
/// # Errors
/// [`Unfit`] says which command mends it.
pub(crate) async fn check(session: &mut Session) -> Result<(), Unfit> {
    let applied = session
        .work(async |conn| {
            let sql = format!(
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = '{HISTORY}'"
            );
            if rows::<(u64,)>(conn, sql).await? == [(0,)] {
                return Ok(Vec::new());
            }
            rows::<(i32, String, String)>(
                conn,
                format!("SELECT version, name, checksum FROM {HISTORY}"),
            )
            .await
        })
        .await?;
    let applied: BTreeMap<i32, (String, String)> = applied
        .into_iter()
        .map(|(version, name, checksum)| (version, (name, checksum)))
        .collect();
    compare(embedded::migrations::runner().get_migrations(), applied)
}

fn compare(known: &[Migration], mut applied: BTreeMap<i32, (String, String)>) -> Result<(), Unfit> {
    for migration in known {
        match applied.remove(&migration.version()) {
            None => return Err(Unfit::Older(migration.to_string())),
            Some((name, checksum)) => {
                if name != migration.name() || checksum != migration.checksum().to_string() {
                    return Err(Unfit::Other(migration.to_string()));
                }
            }
        }
    }
    match applied.into_iter().next() {
        None => Ok(()),
        Some((version, (name, _))) => Err(Unfit::Newer(format!("V{version}__{name}"))),
    }
}
