//! One connection through a wire.

use super::flow::{Flow, State};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

const CHUNK_BYTES: usize = 1 << 16;

/// Both ends of a connection.
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
}

/// The connection is to be reset: it was cut, or something was lost on it.
struct Broken;

/// Which of the two directions.
type Direction = fn(&State) -> Flow;

// === impl Connection ===

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        // What is delayed is delayed by us. A socket that cannot do this is about to end anyway.
        drop(client.set_nodelay(true));
        drop(server.set_nodelay(true));
        Self { client, server }
    }

    /// Passes on what is said until both have said all, or the connection breaks.
    pub(super) async fn run(mut self, state: watch::Receiver<State>) {
        let cuts = state.borrow().cuts;
        let cut = cut(state.clone(), cuts);
        let (client_reads, client_writes) = self.client.split();
        let (server_reads, server_writes) = self.server.split();
        let there = pass(client_reads, server_writes, state.clone(), |state| {
            state.questions
        });
        let back = pass(server_reads, client_writes, state, |state| state.answers);
        let ended = tokio::select! {
            ended = async { tokio::try_join!(there, back) } => ended.map(drop),
            () = cut => Err(Broken),
        };
        if ended.is_err() {
            reset(&self.client);
            reset(&self.server);
        }
    }
}

/// Has a socket end with a reset when it is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // What cannot be reset is closed, and its peer hears of that as well.
    drop(stream.set_zero_linger());
}

/// Waits until all connections of before are cut, or the wire is gone.
async fn cut(mut state: watch::Receiver<State>, cuts: u64) {
    drop(state.wait_for(|state| state.cuts > cuts).await);
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    direction: Direction,
) -> Result<(), Broken> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await.map_err(|_| Broken)?;
        let said = chunk.get(..read).ok_or(Broken)?;
        late(&state).await;
        let flow = until(&mut state, |state| direction(state) != Flow::Held).await?;
        if direction(&flow) == Flow::Swallowed {
            // Those who talk notice nothing until it is over, except that nobody answers. The end
            // of what is said is lost like the rest.
            return swallow(&mut from, &mut chunk, &mut state, direction).await;
        }
        if said.is_empty() {
            return to.shutdown().await.map_err(|_| Broken);
        }
        to.write_all(said).await.map_err(|_| Broken)?;
    }
}

/// Reads what is said and forgets it, until that is over; then the connection has a hole.
async fn swallow(
    from: &mut ReadHalf<'_>,
    chunk: &mut [u8],
    state: &mut watch::Receiver<State>,
    direction: Direction,
) -> Result<(), Broken> {
    let forget = async { while from.read(chunk).await.is_ok_and(|read| read > 0) {} };
    let over = async { drop(until(state, |state| direction(state) != Flow::Swallowed).await) };
    tokio::pin!(over);
    tokio::select! {
        () = forget => over.await,
        () = &mut over => {}
    }
    Err(Broken)
}

async fn late(state: &watch::Receiver<State>) {
    let delay = state.borrow().delay;
    if delay > Duration::ZERO {
        tokio::time::sleep(delay).await;
    }
}

async fn until(
    state: &mut watch::Receiver<State>,
    is_so: impl FnMut(&State) -> bool,
) -> Result<State, Broken> {
    state
        .wait_for(is_so)
        .await
        .map(|state| *state)
        .map_err(|_| Broken)
}
