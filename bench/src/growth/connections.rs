//! More and more connections to one proxy, all of which ask for what is sold out.

use super::Scale;
use super::grown::{Grown, Size, View};
use crate::edge::idle;
use crate::edge::stand::{SID, Stand};
use crate::edge::wrk::Wrk;
use crate::report::{Measure, Shape};
use crate::say;
use anyhow::{Result, ensure};
use seckill_load::text;
use seckill_testbed::account::cpu;
use seckill_testbed::{Part, Proxy};
use std::time::Duration;

pub(super) const KNOWN: Measure =
    Measure::new("known_us", "known to be sold out, µs CPU", Shape::Tenths);
pub(super) const ASKED: Measure =
    Measure::new("asked_us", "Redis is asked, µs CPU of both", Shape::Tenths);
const KNOWN_RATE: Measure = Measure::new("known_a_second", "known, a second", Shape::Count);
const ASKED_RATE: Measure = Measure::new("asked_a_second", "asked, a second", Shape::Count);
const KNOWN_P99: Measure = Measure::new("known_p99_ms", "known, p99, ms", Shape::Ratio);
const ASKED_P99: Measure = Measure::new("asked_p99_ms", "asked, p99, ms", Shape::Ratio);
pub(super) const MEMORY: Measure =
    Measure::new("proxy_mb", "memory of the proxy, MB", Shape::Tenths);

const MB: f64 = 1e6;

/// wrk opens its connections within the time in which it asks: so many a second on a busy machine.
const OPENED_A_SECOND: u64 = 2_000;

const VIEWS: &[View] = &[
    View {
        title: "A rejection, µs of CPU time",
        by_powers: false,
        curves: &[("known to the proxy", KNOWN), ("Redis is asked", ASKED)],
    },
    View {
        title: "Rejections a second",
        by_powers: false,
        curves: &[("known", KNOWN_RATE), ("asked", ASKED_RATE)],
    },
    View {
        title: "99 of 100 are answered within, ms",
        by_powers: true,
        curves: &[("known", KNOWN_P99), ("asked", ASKED_P99)],
    },
    View {
        title: "Memory of the proxy, MB",
        by_powers: false,
        curves: &[("", MEMORY)],
    },
];

/// What one run came to.
struct Cost {
    us: f64,
    a_second: f64,
    p99_ms: f64,
}

pub(super) fn measure(scale: Scale) -> Result<Grown> {
    let stand = Stand::start()?;
    let wrk = Wrk::new()?;
    let mut sizes = Vec::new();
    for &connections in scale.connections {
        say(&format!("{} connections", text::count(connections)));
        let known = cost(&stand, &stand.remembers, &wrk, connections, scale)?;
        let asked = cost(&stand, &stand.asks, &wrk, connections, scale)?;
        let proxy = &stand.remembers;
        let held = idle::held(
            "proxy",
            (proxy.pid(), &proxy.address()),
            "POST /seckill/",
            usize::try_from(connections)?,
        )?;
        let size = Size::new(connections)
            .figure(KNOWN, known.us)
            .figure(ASKED, asked.us)
            .figure(KNOWN_RATE, known.a_second)
            .figure(ASKED_RATE, asked.a_second)
            .figure(KNOWN_P99, known.p99_ms)
            .figure(ASKED_P99, asked.p99_ms)
            .figure(MEMORY, held.with / MB);
        sizes.push(size);
    }
    Ok(Grown {
        id: "connections",
        title: "Connections to one proxy of one thread, all of them asking".to_owned(),
        grows: "connections",
        sizes,
        views: VIEWS,
    })
}

/// The CPU time is that of the proxy and of Redis.
fn cost(stand: &Stand, proxy: &Proxy, wrk: &Wrk, connections: u64, scale: Scale) -> Result<Cost> {
    let spent = || anyhow::Ok(cpu(proxy.pid())? + cpu(stand.redis.pid())?);
    let path = format!("/seckill/{SID}");
    let before = spent()?;
    let seen = wrk.run(
        &proxy.address(),
        "POST",
        &path,
        u32::try_from(connections)?,
        scale.asked + Duration::from_secs(connections / OPENED_A_SECOND),
    )?;
    let took = spent()? - before;
    ensure!(
        seen.requests > 0.0 && seen.rejections == seen.requests,
        "{} of {} answers are rejections",
        seen.rejections,
        seen.requests
    );
    Ok(Cost {
        us: took.as_secs_f64() * 1e6 / seen.requests,
        a_second: seen.requests / seen.seconds,
        p99_ms: seen.p99_ms,
    })
}
