//! What the tests of the module share.
//!
//! | file | holds |
//! | --- | --- |
//! | `mode.rs` | the four ways in which the same tests are run |
//! | `wait.rs` | waiting for what comes about by itself |
//! | `route.rs` | a connection that follows a key to the node that serves it |
//! | `watch.rs` | what a mode looks at after each command |
//! | `client.rs` | commands in one line |
//! | `crowd.rs` | buyers in several threads, and what they were told |
//! | `lease.rs` | clusters, handed from test to test |
//! | `server.rs` | the server of a test, as its mode wants it |
//! | `pair.rs` | a primary and its replica |

mod client;
mod crowd;
mod lease;
mod mode;
mod pair;
mod route;
mod server;
mod wait;
mod watch;

pub(crate) use client::{Client, accepted, verdict};
pub(crate) use crowd::{Crowd, Told, found_again};
pub(crate) use mode::{Mode, skip_in};
pub(crate) use pair::{await_equal, await_own_aof, with_replica};
pub(crate) use route::Route;
pub(crate) use server::Server;
pub(crate) use wait::soon;
