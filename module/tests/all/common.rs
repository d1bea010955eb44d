//! What the tests of the module share.
//!
//! | file | holds |
//! | --- | --- |
//! | `mode.rs` | the four ways in which the same tests are run |
//! | `server.rs` | the server of a test, as its mode wants it |
//! | `lease.rs` | clusters, handed from test to test |
//! | `route.rs` | a connection that follows a key to the node that serves it |
//! | `client.rs` | commands in one line |
//! | `watch.rs` | what a mode looks at after each command |
//! | `crowd.rs` | buyers in several threads, and what they were told |

mod client;
mod crowd;
mod lease;
mod mode;
mod route;
mod server;
mod watch;

pub(crate) use client::{Client, accepted, verdict};
pub(crate) use crowd::{Crowd, Told, found_again};
pub(crate) use mode::{Mode, skip_in};
pub(crate) use route::Route;
pub(crate) use server::{STRICT, Server, with_replica};
pub(crate) use watch::{await_equal, await_own_aof, soon};
