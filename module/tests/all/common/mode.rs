//! The four ways in which the same tests are run.

use std::env;

/// What `SECKILL_TEST_MODE` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One server.
    Plain,
    /// One server that loads its AOF anew after each writing command: the sale must be the same.
    Aof,
    /// A server with a replica that has the same sale after each writing command.
    Replica,
    /// A cluster of three.
    Cluster,
}

impl Mode {
    pub(crate) fn now() -> Self {
        match env::var("SECKILL_TEST_MODE").as_deref() {
            Err(_) | Ok("plain") => Self::Plain,
            Ok("aof") => Self::Aof,
            Ok("replica") => Self::Replica,
            Ok("cluster") => Self::Cluster,
            Ok(other) => {
                panic!("SECKILL_TEST_MODE is {other:?}: expected plain, aof, replica or cluster")
            }
        }
    }
}

/// Ends a test here in some modes, and says why.
macro_rules! skip_in {
    ($($mode:ident),+: $reason:literal) => {
        if [$($crate::common::Mode::$mode),+].contains(&$crate::common::Mode::now()) {
            println!("skipped: {}", $reason);
            return;
        }
    };
}

pub(crate) use skip_in;
