//! Connections on which nothing happens any more.

use super::Scale;
use super::stand::{SID, Stand};
use crate::report::{Measure, Part as Table, Row, Shape, Wanted};
use crate::say;
use anyhow::{Context, Result, ensure};
use seckill_testbed::Part;
use seckill_testbed::account::resident;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const BEFORE: Measure = Measure::new("before_mb", "before, MB", Shape::Tenths);
const WITH: Measure = Measure::new("with_mb", "with them, MB", Shape::Tenths);
const EACH: Measure = Measure::new("bytes_each", "bytes for each", Shape::Count);

const MB: f64 = 1e6;

pub(super) fn measure(stand: &Stand, scale: Scale) -> Result<Table> {
    let count = scale.idle_connections;
    say(&format!("{count} connections without a request"));
    let proxy = (stand.remembers.pid(), stand.remembers.address());
    let nginx = (stand.nginx.pid(), stand.nginx.address());
    let rows = vec![
        row("nginx", nginx, "POST /told/", count)?,
        row("proxy", proxy, "POST /seckill/", count)?.wanted(Some(Wanted::AtMost(200.0))),
    ];
    Ok(Table {
        title: format!("{count} idle connections, each after one rejection"),
        rows,
    })
}

fn row(name: &str, (pid, address): (u32, String), start: &str, count: usize) -> Result<Row> {
    let Held { before, with } = held(name, (pid, &address), start, count)?;
    Ok(Row::new(name)
        .figure(EACH, (with - before) / count as f64)
        .figure(BEFORE, before / MB)
        .figure(WITH, with / MB))
}

/// What a server has in use, in bytes.
pub(crate) struct Held {
    pub(crate) before: f64,
    /// With so many connections on which nothing happens any more.
    pub(crate) with: f64,
}

/// Opens so many connections, asks once over each, and looks at the server.
pub(crate) fn held(
    name: &str,
    (pid, address): (u32, &str),
    start: &str,
    count: usize,
) -> Result<Held> {
    let before = resident(pid)? as f64;
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let mut connection = TcpStream::connect(address).context(name.to_owned())?;
        write!(
            connection,
            "{start}{SID} HTTP/1.1\r\nHost: shop.example\r\nX-User-Id: u{number}\r\n\r\n"
        )?;
        connections.push(connection);
    }
    for connection in &mut connections {
        let mut answer = [0; 1024];
        let length = connection.read(&mut answer)?;
        ensure!(length > 0, "{name} has closed a connection");
    }
    thread::sleep(Duration::from_millis(500));
    Ok(Held {
        before,
        with: resident(pid)? as f64,
    })
}
