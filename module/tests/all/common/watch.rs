//! What a mode looks at after each writing command.

use super::wait::soon;
use redis::{Arg, Cmd, Connection, FromRedisValue};
use seckill_testbed::{Redis, User};

/// The commands on a sale that only read. Whatever else there is may write.
const READING: [&str; 6] = ["GET", "USER", "RESERVATIONS", "INFO", "AUDIT", "APPLY"];

/// A look at the sale from outside, on connections of its own.
pub(crate) enum Watch {
    Nothing,
    /// The server loads its AOF, and the sale is the same.
    Reload(Connection),
    /// The replica has the same sale.
    Follow {
        primary: Connection,
        replica: Connection,
    },
}

impl Watch {
    pub(crate) fn reload(redis: &Redis) -> Self {
        Self::Reload(redis.connect(User::Anything).unwrap())
    }

    pub(crate) fn follow(primary: &Redis, replica: &Redis) -> Self {
        Self::Follow {
            primary: primary.connect(User::Anything).unwrap(),
            replica: replica.connect(User::Anything).unwrap(),
        }
    }

    /// To be called when a command has been answered, whatever the answer was.
    pub(crate) fn look_after(&mut self, command: &Cmd) {
        let Some(sid) = written_sale(command) else {
            return;
        };
        match self {
            Self::Nothing => {}
            Self::Reload(connection) => {
                let before = digest(connection, sid);
                let () = query(connection, redis::cmd("DEBUG").arg("LOADAOF"));
                assert_eq!(digest(connection, sid), before, "{}", line(command));
            }
            Self::Follow { primary, replica } => {
                let here = digest(primary, sid);
                await_replica(primary, replica);
                assert_eq!(digest(replica, sid), here, "{}", line(command));
            }
        }
    }
}

/// Whatever the primary has by now, its replica has too.
pub(crate) fn all_equal(primary: &Redis, replica: &Redis) {
    let mut primary = primary.connect(User::Anything).unwrap();
    let mut replica = replica.connect(User::Anything).unwrap();
    let everything = || redis::cmd("DEBUG").arg("DIGEST").to_owned();
    let here: String = query(&mut primary, &everything());
    await_replica(&mut primary, &mut replica);
    let there: String = query(&mut replica, &everything());
    assert_eq!(there, here, "the replica has parted");
}

/// Waits until the replica has all that its primary has done. (`WAIT` would be about what a
/// connection itself has written.)
fn await_replica(primary: &mut Connection, replica: &mut Connection) {
    soon("the replica is where its primary is", || {
        // Anew each time: a primary begins a new history with the first replica after its start.
        let (history, goal) = place(primary, "master_repl_offset");
        let (copied, reached) = place(replica, "slave_repl_offset");
        copied == history && reached >= goal
    });
}

/// Which history a server has, and how far.
fn place(connection: &mut Connection, offset: &str) -> (String, u64) {
    let info: String = query(connection, redis::cmd("INFO").arg("replication"));
    let field = |name: &str| {
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| *field == name).unwrap().1
    };
    (
        field("master_replid").to_owned(),
        field(offset).parse().unwrap(),
    )
}

fn digest(connection: &mut Connection, sid: &[u8]) -> String {
    let digests: Vec<String> = query(connection, redis::cmd("DEBUG").arg("DIGEST-VALUE").arg(sid));
    digests[0].clone()
}

fn query<T: FromRedisValue>(connection: &mut Connection, command: &Cmd) -> T {
    let reply = command.query(connection);
    reply.unwrap_or_else(|error| panic!("{}: {error}", line(command)))
}

/// The key of the sale that a command may have changed.
fn written_sale(command: &Cmd) -> Option<&[u8]> {
    let mut words = words(command);
    let name = String::from_utf8_lossy(words.next()?).to_uppercase();
    let writing = !READING.contains(&name.strip_prefix("SECKILL.")?);
    words.next().filter(|_| writing)
}

fn words(command: &Cmd) -> impl Iterator<Item = &[u8]> {
    command.args_iter().filter_map(|arg| match arg {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    })
}

fn line(command: &Cmd) -> String {
    let words: Vec<_> = words(command).map(String::from_utf8_lossy).collect();
    words.join(" ")
}
