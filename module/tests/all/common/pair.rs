//! A primary and its replica, for tests that do more to them than a mode does.

use super::server::follower;
use super::wait::soon;
use super::{Client, Server};
use seckill_testbed::Redis;

pub(crate) fn with_replica(name: &str) -> (Server, Redis) {
    let server = Server::start(name);
    let replica = follower(&server.place, server.redis());
    (server, replica)
}

/// Waits until a sale is the same in both places.
pub(crate) fn await_equal(primary: &mut Client, replica: &mut Client, sid: &str) {
    soon("the replica has the same sale", || {
        primary.digest(sid) == replica.digest(sid)
    });
}

/// Waits until a new replica's own AOF has what it was sent; before that, only its memory does.
pub(crate) fn await_own_aof(replica: &mut Client) {
    soon("the first rewrite of the AOF has ended", || {
        let mut is = |field| replica.server_info("persistence", field) == "1";
        !is("aof_rewrite_in_progress") && !is("aof_rewrite_scheduled")
    });
}
