//! Purchases and rejections by turns, and what they cost.

use super::Scale;
use super::stand::{Edge, PLENTY, SOLD_OUT, Stand};
use crate::edge::wrk::{self, CONNECTIONS, Seen, Wrk};
use crate::report::{Measure, Part as Table, Row, Shape};
use anyhow::{Context, Result, ensure};
use seckill_testbed::account::cpu;
use seckill_testbed::{Part, Redis, median};
use std::time::Duration;

const RATE: Measure = Measure::new("a_second", "a second", Shape::Count);
pub(super) const EDGE: Measure = Measure::new("edge_us", "edge, µs CPU", Shape::Tenths);
pub(super) const REDIS: Measure = Measure::new("redis_us", "Redis, µs CPU", Shape::Tenths);
const BOTH: Measure = Measure::new("both_us", "both, µs CPU", Shape::Tenths);
const OF_OURS: Measure = Measure::new("cpu_of_ours", "CPU ÷ this system's", Shape::Ratio);
const LEAST: Measure = Measure::new("cpu_of_ours_least", "least", Shape::Ratio);
const MOST: Measure = Measure::new("cpu_of_ours_most", "most", Shape::Ratio);
const RATE_OF_OURS: Measure = Measure::new("rate_of_ours", "rate ÷ this system's", Shape::Ratio);
const P50: Measure = Measure::new("p50_ms", "p50, ms", Shape::Ratio);
const P99: Measure = Measure::new("p99_ms", "p99, ms", Shape::Ratio);
const OTHER: Measure = Measure::new("other", "other answers", Shape::Share);

/// One way to be answered.
struct Case<'a> {
    name: &'static str,
    edge: &'a dyn Edge,
    redis: &'a Redis,
    path: String,
}

/// One run of one case.
#[derive(Clone, Copy)]
struct Run {
    edge_us: f64,
    redis_us: f64,
    /// Answers of the kind that is asked for.
    a_second: f64,
    /// The share of others: Redis did not answer in time, or a buyer came twice, by chance.
    other: f64,
    seen: Seen,
}

/// Cases that give the same answer. The last one is this system.
struct Group<'a> {
    name: &'static str,
    cases: Vec<Case<'a>>,
    is_rejection: bool,
}

pub(super) fn measure_peers(stand: &Stand, scale: Scale) -> Result<Vec<Table>> {
    let groups = groups(stand);
    let wrk = Wrk::new()?;
    let rounds = wrk::rounds(scale.rounds, scale.length, |length| {
        let of_group = |group: &Group<'_>| {
            let runs = group.cases.iter().map(|case| {
                let run = run(&wrk, case, group.is_rejection, length);
                run.with_context(|| format!("{}, {}", group.name, case.name))
            });
            runs.collect::<Result<Vec<Run>>>()
        };
        groups.iter().map(of_group).collect::<Result<Vec<_>>>()
    })?;
    let tables = groups.iter().enumerate().map(|(place, group)| {
        let of_group = rounds.iter().filter_map(|round| round.get(place));
        let of_group: Vec<&[Run]> = of_group.map(Vec::as_slice).collect();
        Table {
            title: format!("{}: {}", group.name, stand.terms.name),
            rows: rows(group, &of_group),
        }
    });
    Ok(tables.collect())
}

fn groups<'a>(stand: &'a Stand) -> [Group<'a>; 3] {
    let asked = |sid: &str, ours: &'a dyn Edge| {
        let path = format!("/try/{sid}");
        let mut cases = vec![
            Case {
                name: "nginx + Lua + script",
                edge: &stand.nginx.0,
                redis: &stand.nginx.1,
                path: path.clone(),
            },
            Case {
                name: "service + script",
                edge: &stand.service.0,
                redis: &stand.service.1,
                path: path.clone(),
            },
        ];
        if let Some((service, redis)) = &stand.throttled {
            cases.push(Case {
                name: "service + CL.THROTTLE + script",
                edge: service,
                redis,
                path,
            });
        }
        cases.push(Case {
            name: "this system",
            edge: ours,
            redis: &stand.module,
            path: format!("/seckill/{sid}"),
        });
        cases
    };
    let known = vec![
        Case {
            name: "nginx + Lua, shared dict",
            edge: &stand.nginx.0,
            redis: &stand.nginx.1,
            path: format!("/told/{SOLD_OUT}"),
        },
        Case {
            name: "this system",
            edge: &stand.remembers,
            redis: &stand.module,
            path: format!("/seckill/{SOLD_OUT}"),
        },
    ];
    [
        Group {
            name: "Accepted",
            cases: asked(PLENTY, &stand.remembers),
            is_rejection: false,
        },
        Group {
            name: "Sold out, by asking Redis",
            cases: asked(SOLD_OUT, &stand.asks),
            is_rejection: true,
        },
        Group {
            name: "Sold out, and the edge knows it",
            cases: known,
            is_rejection: true,
        },
    ]
}

fn run(wrk: &Wrk, case: &Case<'_>, is_rejection: bool, length: Duration) -> Result<Run> {
    let spent = || anyhow::Ok((cpu(case.edge.pid())?, cpu(case.redis.pid())?));
    let before = spent()?;
    let seen = wrk.run(&case.edge.at(), "POST", &case.path, CONNECTIONS, length)?;
    let after = spent()?;
    let given = if is_rejection {
        seen.rejections
    } else {
        seen.requests - seen.rejections
    };
    ensure!(
        given * 2.0 > seen.requests,
        "{} of {} answers are rejections",
        seen.rejections,
        seen.requests
    );
    let us = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / given
    };
    Ok(Run {
        edge_us: us(before.0, after.0),
        redis_us: us(before.1, after.1),
        a_second: given / seen.seconds,
        other: (seen.requests - given) / seen.requests,
        seen,
    })
}

fn rows(group: &Group<'_>, rounds: &[&[Run]]) -> Vec<Row> {
    let both = |run: &Run| run.edge_us + run.redis_us;
    let rate = |run: &Run| run.a_second;
    let rows = group.cases.iter().enumerate().map(|(place, case)| {
        let of = |figure: &dyn Fn(&Run) -> f64| -> Vec<f64> {
            let runs = rounds.iter().filter_map(|runs| runs.get(place));
            runs.map(figure).collect()
        };
        // Within a round, so that a neighbour who takes a core for a while meets both.
        let of_ours = |figure: &dyn Fn(&Run) -> f64| -> Vec<f64> {
            let ratio = |runs: &&[Run]| Some(figure(runs.get(place)?) / figure(runs.last()?));
            rounds.iter().filter_map(ratio).collect()
        };
        let mut cpu = of_ours(&both);
        let middle = median(&mut cpu);
        let bound = |value: Option<&f64>| value.copied().unwrap_or_default();
        Row::new(case.name)
            .figure(RATE, median(&mut of(&rate)))
            .figure(EDGE, median(&mut of(&|run| run.edge_us)))
            .figure(REDIS, median(&mut of(&|run| run.redis_us)))
            .figure(BOTH, median(&mut of(&both)))
            .figure(OF_OURS, middle)
            .figure(LEAST, bound(cpu.first()))
            .figure(MOST, bound(cpu.last()))
            .figure(RATE_OF_OURS, median(&mut of_ours(&rate)))
            .figure(P50, median(&mut of(&|run| run.seen.p50_ms)))
            .figure(P99, median(&mut of(&|run| run.seen.p99_ms)))
            .figure(OTHER, median(&mut of(&|run| run.other)))
    });
    rows.collect()
}
