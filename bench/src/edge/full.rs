//! Each case under full load: CPU time, rate and waiting, and the ratios that are wanted.

use super::Scale;
use super::stand::Stand;
use super::wrk::{self, CONNECTIONS, Seen, Wrk};
use crate::report::{Measure, Part as Table, Row, Shape, Wanted};
use anyhow::{Context, Result, ensure};
use seckill_testbed::account::cpu;
use seckill_testbed::median;
use std::iter::zip;
use std::time::Duration;

const EDGE: Measure = Measure::new("edge_us", "edge, µs CPU", Shape::Tenths);
const REDIS: Measure = Measure::new("redis_us", "Redis, µs CPU", Shape::Tenths);
const BUSY: Measure = Measure::new("busy", "edge busy", Shape::Share);
const RATE: Measure = Measure::new("requests_a_second", "requests a second", Shape::Count);
const P50: Measure = Measure::new("p50_ms", "p50, ms", Shape::Ratio);
const P99: Measure = Measure::new("p99_ms", "p99, ms", Shape::Ratio);

const CPU_RATIO: Measure = Measure::new("cpu", "CPU", Shape::Ratio);
const RATE_RATIO: Measure = Measure::new("rate", "requests a second", Shape::Ratio);
const P99_RATIO: Measure = Measure::new("p99", "p99", Shape::Ratio);

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Nginx,
    Remembers,
    Asks,
}

/// One way to be answered.
struct Case {
    name: &'static str,
    edge: Edge,
    method: &'static str,
    path: &'static str,
    is_rejection: bool,
}

/// In the order in which they are shown; [`ratios`] names them by their places.
const CASES: [Case; 7] = [
    Case {
        name: "nginx, return 429",
        edge: Edge::Nginx,
        method: "POST",
        path: "/bare/1001",
        is_rejection: true,
    },
    Case {
        name: "nginx + Lua, from a shared dict",
        edge: Edge::Nginx,
        method: "POST",
        path: "/told/1001",
        is_rejection: true,
    },
    Case {
        name: "nginx + Lua + script in Redis, rejected",
        edge: Edge::Nginx,
        method: "POST",
        path: "/try/1001",
        is_rejection: true,
    },
    Case {
        name: "proxy, rejected by Redis",
        edge: Edge::Asks,
        method: "POST",
        path: "/seckill/1001",
        is_rejection: true,
    },
    Case {
        name: "proxy, known to be sold out",
        edge: Edge::Remembers,
        method: "POST",
        path: "/seckill/1001",
        is_rejection: true,
    },
    Case {
        name: "nginx, proxy_pass",
        edge: Edge::Nginx,
        method: "GET",
        path: "/page",
        is_rejection: false,
    },
    Case {
        name: "proxy, passed to the shop",
        edge: Edge::Remembers,
        method: "GET",
        path: "/page",
        is_rejection: false,
    },
];

const BARE: usize = 0;
const DICT: usize = 1;
const SCRIPT: usize = 2;
const ASKED: usize = 3;
const KNOWN: usize = 4;
const NGINX_PASS: usize = 5;
const PASS: usize = 6;

/// One run of one case.
#[derive(Clone, Copy)]
struct Run {
    edge_us: f64,
    redis_us: f64,
    busy: f64,
    seen: Seen,
}

pub(crate) fn measure(stand: &Stand, scale: Scale) -> Result<Vec<Table>> {
    let wrk = Wrk::new()?;
    let rounds = wrk::rounds(scale.rounds, scale.length, |length| {
        let runs = CASES.iter().map(|case| {
            let run = run(stand, &wrk, case, length);
            run.with_context(|| case.name)
        });
        runs.collect::<Result<Vec<Run>>>()
    })?;
    Ok(vec![figures(&rounds), ratios(&rounds)])
}

fn run(stand: &Stand, wrk: &Wrk, case: &Case, length: Duration) -> Result<Run> {
    let (address, edge) = match case.edge {
        Edge::Nginx => (stand.nginx.address(), 3),
        Edge::Remembers => (stand.remembers.address(), 1),
        Edge::Asks => (stand.asks.address(), 2),
    };
    let spent = || -> Result<Vec<Duration>> { stand.pids().into_iter().map(cpu).collect() };
    let before = spent()?;
    let seen = wrk.run(&address, case.method, case.path, CONNECTIONS, length)?;
    let after = spent()?;
    ensure!(seen.requests > 0.0, "nothing was answered");
    let expected = if case.is_rejection {
        seen.requests
    } else {
        0.0
    };
    ensure!(
        seen.rejections == expected,
        "{} of {} answers are rejections",
        seen.rejections,
        seen.requests
    );
    let took: Vec<f64> = zip(before, after)
        .map(|(before, after)| (after - before).as_secs_f64())
        .collect();
    let of = |place: usize| took.get(place).copied().unwrap_or_default();
    Ok(Run {
        edge_us: of(edge) / seen.requests * 1e6,
        redis_us: of(0) / seen.requests * 1e6,
        busy: of(edge) / seen.seconds,
        seen,
    })
}

fn figures(rounds: &[Vec<Run>]) -> Table {
    let rows = CASES.iter().enumerate().map(|(case, Case { name, .. })| {
        let of = |figure: fn(&Run) -> f64| middle(rounds, |runs| runs.get(case).map(figure));
        Row::new(*name)
            .figure(EDGE, of(|run| run.edge_us))
            .figure(REDIS, of(|run| run.redis_us))
            .figure(BUSY, of(|run| run.busy))
            .figure(RATE, of(|run| run.seen.requests / run.seen.seconds))
            .figure(P50, of(|run| run.seen.p50_ms))
            .figure(P99, of(|run| run.seen.p99_ms))
    });
    Table {
        title: "One request, 100 connections".to_owned(),
        rows: rows.collect(),
    }
}

fn ratios(rounds: &[Vec<Run>]) -> Table {
    let together = |run: &Run| run.edge_us + run.redis_us;
    let edge = |run: &Run| run.edge_us;
    let rate = |run: &Run| run.seen.requests / run.seen.seconds;
    let p99 = |run: &Run| run.seen.p99_ms;
    let row = |name: &str, measure, wanted, (one, other), figure: &dyn Fn(&Run) -> f64| {
        let of = |runs: &Vec<Run>| Some(figure(runs.get(one)?) / figure(runs.get(other)?));
        Row::new(name)
            .figure(measure, middle(rounds, of))
            .wanted(wanted)
    };
    let at_most = |bound| Some(Wanted::AtMost(bound));
    let at_least = |bound| Some(Wanted::AtLeast(bound));
    let rows = vec![
        row(
            "rejected by Redis ÷ nginx + Lua + script, edge and Redis",
            CPU_RATIO,
            at_most(0.2),
            (ASKED, SCRIPT),
            &together,
        ),
        row(
            "rejected by Redis ÷ nginx + Lua + script",
            RATE_RATIO,
            at_least(3.0),
            (ASKED, SCRIPT),
            &rate,
        ),
        row(
            "rejected by Redis ÷ nginx + Lua + script",
            P99_RATIO,
            at_most(1.0),
            (ASKED, SCRIPT),
            &p99,
        ),
        row(
            "known to be sold out ÷ nginx's return 429",
            CPU_RATIO,
            at_most(1.0),
            (KNOWN, BARE),
            &edge,
        ),
        row(
            "known to be sold out ÷ nginx + Lua's shared dict",
            CPU_RATIO,
            at_most(0.85),
            (KNOWN, DICT),
            &edge,
        ),
        row(
            "known to be sold out ÷ nginx's return 429",
            P99_RATIO,
            at_most(1.0),
            (KNOWN, BARE),
            &p99,
        ),
        row(
            "passed to the shop ÷ nginx's proxy_pass",
            CPU_RATIO,
            at_most(1.3),
            (PASS, NGINX_PASS),
            &edge,
        ),
        row(
            "passed to the shop ÷ nginx's proxy_pass",
            P99_RATIO,
            None,
            (PASS, NGINX_PASS),
            &p99,
        ),
    ];
    Table {
        title: "Beside nginx in the same round".to_owned(),
        rows,
    }
}

/// The median of all rounds.
fn middle(rounds: &[Vec<Run>], figure: impl Fn(&Vec<Run>) -> Option<f64>) -> f64 {
    median(&mut rounds.iter().filter_map(figure).collect::<Vec<_>>())
}
