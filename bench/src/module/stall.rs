//! The longest time that one command kept everybody waiting, by the server's own account.

use super::Scale;
use super::client::{BATCH, Batch, Client};
use super::sale::{self, PLENTY, Sale};
use crate::report::{Measure, Part, Row, Shape};
use crate::say;
use anyhow::{Result, bail};
use redis::Value;
use seckill_load::text;
use seckill_testbed::{Place, Redis};

const LONGEST: Measure = Measure {
    key: "longest_ms",
    heading: "longest, ms",
    shape: Shape::Ratio,
};
const OVER_1_MS: Measure = Measure {
    key: "over_1_ms",
    heading: "over 1 ms",
    shape: Shape::Count,
};
const OVER_10_MS: Measure = Measure {
    key: "over_10_ms",
    heading: "over 10 ms",
    shape: Shape::Count,
};

/// The slow log notes what takes longer than 50 µs, and has room for all of it.
const LINES: &[&str] = &[
    "appendonly no",
    "slowlog-log-slower-than 50",
    "slowlog-max-len 10000000",
];

pub(crate) fn measure(scale: Scale) -> Result<Part> {
    let count = scale.stalled;
    let name = text::count(count);
    say(&format!("looking for the longest of {name} commands"));
    let place = Place::temporary("bench-stall")?;
    let redis = Redis::start_with(&place, LINES)?;
    let mut client = Client::of(&redis)?;

    let incr = (0..count).map(|_| redis::cmd("INCR").arg("k").to_owned());
    client.expect(Batch::all(incr, BATCH), &["an integer"])?;
    let mut rows = vec![row(&mut client, "INCR")?];

    let sale = Sale::create(&mut client, "1001", PLENTY)?;
    let tries = (0..count).map(|number| sale.try_by(number));
    client.expect(Batch::all(tries, BATCH), &["ACCEPTED"])?;
    rows.push(row(&mut client, "SECKILL.TRY")?);

    sale::clear(&mut client)?;
    let sale = Sale::create(&mut client, "1001", PLENTY)?;
    sale.fill(&mut client, 0, count)?;
    rows.push(row(&mut client, "SECKILL.MTRY")?);
    Ok(Part {
        title: format!("Longest command while {name} acceptances go in"),
        rows,
    })
}

/// What the slow log has of this command, which is cleared.
fn row(client: &mut Client, command: &str) -> Result<Row> {
    let entries: Vec<Value> = client.run("SLOWLOG GET -1")?;
    let mut times = Vec::new();
    for entry in &entries {
        times.extend(microseconds(entry, command)?);
    }
    client.run::<()>("SLOWLOG RESET")?;
    let over = |limit: i64| times.iter().filter(|time| **time > limit).count() as f64;
    let longest = times.iter().max().copied().unwrap_or(0);
    Ok(Row::new(command)
        .figure(LONGEST, longest as f64 / 1e3)
        .figure(OVER_1_MS, over(1_000))
        .figure(OVER_10_MS, over(10_000)))
}

/// How long an entry's command took, if it is the one that is asked for.
fn microseconds(entry: &Value, command: &str) -> Result<Option<i64>> {
    let Value::Array(fields) = entry else {
        bail!("SLOWLOG GET answers {entry:?}");
    };
    // An entry has its number, its instant, its microseconds, its words, and who sent it.
    let [_, _, Value::Int(time), Value::Array(words), ..] = fields.as_slice() else {
        bail!("SLOWLOG GET answers {fields:?}");
    };
    let name = Value::BulkString(command.as_bytes().to_vec());
    Ok((words.first() == Some(&name)).then_some(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_slow_log_counts_for_its_command() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = Value::Array(vec![
            Value::Int(7),
            Value::Int(1_763_800_000),
            Value::Int(1_250),
            Value::Array(vec![text("SECKILL.TRY"), text("1001"), text("u1")]),
            text("127.0.0.1:40000"),
            text(""),
        ]);
        assert_eq!(microseconds(&entry, "SECKILL.TRY").unwrap(), Some(1_250));
        assert_eq!(microseconds(&entry, "INCR").unwrap(), None);
        assert!(microseconds(&Value::Nil, "INCR").is_err());
    }
}
