//! A connection that follows a key to the node that serves it.

use redis::{Cmd, Connection, ErrorKind, RedisResult, ServerErrorKind, Value};
use seckill_testbed::{Redis, User};

/// Two nodes that send us to each other for longer than this do not agree.
const REDIRECTIONS_MAX: usize = 100;

/// Connections to one server, or to all nodes of a cluster. What names no key goes where the
/// command before it went.
pub(crate) struct Route {
    nodes: Vec<(String, Connection)>,
    at: usize,
}

impl Route {
    pub(crate) fn to<'a>(servers: impl IntoIterator<Item = &'a Redis>, user: User) -> Self {
        let connect = |redis: &Redis| {
            let address = format!("127.0.0.1:{}", redis.port());
            (address, redis.connect(user).unwrap())
        };
        let nodes = servers.into_iter().map(connect).collect();
        Self { nodes, at: 0 }
    }

    pub(crate) fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        for _ in 0..REDIRECTIONS_MAX {
            let reply = command.query(&mut self.nodes[self.at].1);
            let Err(error) = &reply else { return reply };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => {
                    self.at = self.node(error.redirect_node().unwrap().0);
                }
                // For this once: the slot is on its way.
                ErrorKind::Server(ServerErrorKind::Ask) => {
                    let node = self.node(error.redirect_node().unwrap().0);
                    let connection = &mut self.nodes[node].1;
                    redis::cmd("ASKING").exec(connection)?;
                    return command.query(connection);
                }
                _ => return reply,
            }
        }
        panic!("the nodes send us to each other for ever");
    }

    fn node(&self, address: &str) -> usize {
        let known = self.nodes.iter().position(|(node, _)| node == address);
        known.unwrap_or_else(|| panic!("sent to {address}, which is no node"))
    }
}
