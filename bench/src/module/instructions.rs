//! How many instructions the server executes for one command.

use super::Scale;
use super::callgrind::Counter;
use super::cases::{CASES, Case, Role};
use super::client::BATCH;
use super::dump::Dump;
use super::sale;
use crate::report::{Measure, Part, Row, Shape};
use crate::say;
use anyhow::{Context, Result};
use seckill_testbed::median;

pub(crate) const OURS: &str = "libseckill.so";

const INSTRUCTIONS: Measure = Measure {
    key: "instructions",
    heading: "instructions",
    shape: Shape::Count,
};
const OF_INCR: Measure = Measure {
    key: "of_incr",
    heading: "÷ INCR",
    shape: Shape::Ratio,
};
const OF_TRY: Measure = Measure {
    key: "of_try",
    heading: "÷ TRY",
    shape: Shape::Ratio,
};
const IN_MODULE: Measure = Measure {
    key: "in_module",
    heading: "in the module",
    shape: Shape::Count,
};
const SPREAD: Measure = Measure {
    key: "spread",
    heading: "spread",
    shape: Shape::Share,
};

/// Decisions before the counted ones, in the same situation.
const WARM_UP: usize = 4 * BATCH;

/// What one decision of a case costs.
struct Cost {
    instructions: f64,
    /// Of these, in the module's own code.
    in_module: f64,
    /// Between the largest and the smallest round, as a share.
    spread: f64,
}

/// Counts every case, without AOF and with it.
pub(crate) fn measure(scale: Scale) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (aof, title) in [
        (false, "Instructions for one decision, without AOF"),
        (true, "Instructions for one decision, AOF on, fsync always"),
    ] {
        let mut counter = Counter::start(aof)?;
        let mut costs = Vec::new();
        for case in CASES.iter().filter(|case| case.aof == aof) {
            say(&format!("counting {}", case.id));
            costs.push((case, cost(&mut counter, case, scale)?));
        }
        parts.push(Part {
            title: title.to_owned(),
            rows: rows(&costs)?,
        });
    }
    Ok(parts)
}

/// Counts a case once.
pub(crate) fn count(counter: &mut Counter, case: &Case, decisions: usize) -> Result<Dump> {
    let mut client = counter.client()?;
    sale::clear(&mut client)?;
    let mut warm_up = (case.prepare)(&mut client, WARM_UP + decisions)?;
    let share = WARM_UP * warm_up.len() / (WARM_UP + decisions);
    let counted = warm_up.split_off(share);
    counter.switch_on()?;
    client.expect(&warm_up, &[case.expected])?;
    let dump = counter.count(|| client.expect(&counted, &[case.expected]));
    counter.switch_off()?;
    dump.with_context(|| case.id)
}

fn cost(counter: &mut Counter, case: &Case, scale: Scale) -> Result<Cost> {
    let decisions = scale.counted as f64;
    let mut totals = Vec::new();
    let mut insides = Vec::new();
    for _ in 0..scale.rounds {
        let dump = count(counter, case, scale.counted)?;
        totals.push(dump.total as f64 / decisions);
        insides.push(dump.in_object(OURS) as f64 / decisions);
    }
    let instructions = median(&mut totals);
    let spread = match (totals.first(), totals.last()) {
        (Some(least), Some(most)) => (most - least) / instructions,
        _ => 0.0,
    };
    Ok(Cost {
        instructions,
        in_module: median(&mut insides),
        spread,
    })
}

fn rows(costs: &[(&Case, Cost)]) -> Result<Vec<Row>> {
    let of = |wanted: &dyn Fn(&Case) -> bool| {
        let found = costs.iter().find(|(case, _)| wanted(case));
        found.map(|(_, cost)| cost.instructions)
    };
    let incr = of(&|case| matches!(case.role, Role::Incr)).context("INCR was not counted")?;
    let row = |(case, cost): &(&Case, Cost)| {
        let row = Row::new(case.name)
            .figure(INSTRUCTIONS, cost.instructions)
            .figure(OF_INCR, cost.instructions / incr);
        let row = match case.role {
            Role::Incr => row,
            Role::Ours(wanted) => row.wanted(wanted),
            Role::Script(ours, wanted) => {
                let ours = of(&|case| case.id == ours).context(ours)?;
                row.figure(OF_TRY, cost.instructions / ours)
                    .wanted(Some(wanted))
            }
        };
        Ok(row
            .figure(IN_MODULE, cost.in_module)
            .figure(SPREAD, cost.spread))
    };
    costs.iter().map(row).collect()
}
