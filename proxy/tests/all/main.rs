//! The proxy as buyers and shops meet it, with a real Redis, the module and a shop.
//!
//! * `queue`, `forward`: the two modes
//! * `shop`, `shop_tls`: which of its addresses is asked, what is tried again, and how TLS is spoken
//! * `stream`: what passes through while it is being made
//! * `guard`: what gets past the proxy and what does not
//! * `verify`: what the shop can be sure of
//! * `who`: tokens and signed cookies
//! * `wire`: what happens to connections
//! * `limits`: how much one client may ask for
//! * `tls`: https and HTTP/2
//! * `fast`, `page`: what is read without pingora, and that nobody can tell
//! * `convoy`: what happens to many buyers of the same instant
//! * `sold_out`: what is answered without asking Redis, and for how long
//! * `redis_away`: what happens when Redis does not answer
//! * `redis_tls`: who proves to whom who he is
//! * `redis_sentinel`, `redis_cluster`: which server is asked
//! * `redis_wait`: what a replica must have before a buyer is told
//! * `settle`: reservations that are given up or paid for
//! * `client`: where requests come from, and how often
//! * `shadow`: a route that only looks on, and statuses that are the route's own
//! * `admin`: what the proxy says of itself
//! * `access`: what it writes about its requests
//! * `process`: start, check and end of the program
//! * `rehearsal`: `seckill-load` counts as the proxy does
//! * `upgrade`: one process in the place of another
//! * `stand`: what they share
//! * `stub`: shops that do one thing wrong
#![cfg(test)]

mod access;
mod admin;
mod client;
mod convoy;
mod fast;
mod forward;
mod guard;
mod limits;
mod page;
mod process;
mod queue;
mod redis_away;
mod redis_cluster;
mod redis_sentinel;
mod redis_tls;
mod redis_wait;
mod rehearsal;
mod settle;
mod shadow;
mod shop;
mod shop_tls;
mod sold_out;
mod stand;
mod state;
mod stream;
mod stub;
mod tls;
mod upgrade;
mod verify;
mod who;
mod wire;
