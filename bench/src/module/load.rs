//! How long a server that starts needs to read a sale from its snapshot.

use super::Scale;
use super::client::Client;
use super::sale::{PLENTY, Sale, Script};
use crate::report::{Measure, Part, Row, Shape, Wanted};
use crate::say;
use anyhow::{Context, Result};
use seckill_load::text;
use seckill_testbed::{Part as _, Place, Redis, median};
use std::fs;
use std::path::Path;
use std::time::Instant;

const RATE: Measure = Measure {
    key: "loaded_a_second",
    heading: "loaded a second",
    shape: Shape::Count,
};
const LOAD: Measure = Measure {
    key: "load_seconds",
    heading: "load, s",
    shape: Shape::Ratio,
};
const SAVE: Measure = Measure {
    key: "save_seconds",
    heading: "SAVE, s",
    shape: Shape::Ratio,
};
const FILE: Measure = Measure {
    key: "file_bytes",
    heading: "bytes in the file",
    shape: Shape::Tenths,
};

/// What it calls a snapshot and an append-only file, which has parts with names of their own.
const FILES: [&str; 2] = ["disk", "append only file"];

/// How often the server starts again.
const STARTS: usize = 3;

/// Only what a snapshot has is loaded.
const NO_AOF: &[&str] = &["appendonly no"];

/// A snapshot, and how long it took to write and to read.
pub(crate) struct Loaded {
    pub(crate) load_seconds: f64,
    pub(crate) save_seconds: f64,
    pub(crate) file_bytes: u64,
}

pub(crate) fn measure(scale: Scale) -> Result<Part> {
    let (many, fewer) = (scale.deep, scale.filled);
    let [many_named, fewer_named] = [many, fewer].map(text::count);
    say(&format!("loading a sale of {many_named} reservations"));
    let ours = loaded(|client| Sale::create(client, "1001", PLENTY)?.fill(client, 0, many))?;
    say(&format!(
        "loading the script's keys with {fewer_named} reservations"
    ));
    let script = loaded(|client| Script::create(client, fewer)?.fill(client, fewer))?;
    let row = |name: String, loaded: &Loaded, count: u64, wanted| {
        let count = count as f64;
        Row::new(name)
            .figure(RATE, count / loaded.load_seconds)
            .wanted(wanted)
            .figure(LOAD, loaded.load_seconds)
            .figure(SAVE, loaded.save_seconds)
            .figure(FILE, loaded.file_bytes as f64 / count)
    };
    Ok(Part {
        title: "RDB, for one reservation".to_owned(),
        rows: vec![
            row(
                format!("sale of {many_named}"),
                &ours,
                many,
                Some(Wanted::AtLeast(3_000_000.0)),
            ),
            row(format!("Lua script, {fewer_named}"), &script, fewer, None),
        ],
    })
}

/// Fills a server, saves, and starts it again and again.
pub(crate) fn loaded(fill: impl FnOnce(&mut Client) -> Result<()>) -> Result<Loaded> {
    let place = Place::temporary("bench-load")?;
    let mut redis = Redis::start_with(&place, NO_AOF)?;
    let mut client = Client::of(&redis)?;
    fill(&mut client)?;
    let began = Instant::now();
    client.run::<()>("SAVE")?;
    let save_seconds = began.elapsed().as_secs_f64();
    let (_, folder): (String, String) = client.run("CONFIG GET dir")?;
    let file_bytes = fs::metadata(Path::new(&folder).join("dump.rdb"))?.len();

    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        redis.restart()?;
        seconds.push(load_seconds(&fs::read_to_string(redis.log())?)?);
    }
    Ok(Loaded {
        load_seconds: median(&mut seconds),
        save_seconds,
        file_bytes,
    })
}

/// What the server says about its last start.
pub(crate) fn load_seconds(log: &str) -> Result<f64> {
    let said = log.lines().rev().find_map(|line| {
        let (_, from) = line.split_once("DB loaded from ")?;
        let (file, seconds) = from.strip_suffix(" seconds")?.split_once(": ")?;
        FILES.contains(&file).then_some(seconds)
    });
    let said = said.context("the server's log does not say how long it loaded")?;
    Ok(said.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_start_counts() {
        let log = "\
7:M 24 Nov 2025 13:42:00.000 * Loading RDB produced by version 7.0.15
7:M 24 Nov 2025 13:42:01.000 * DB loaded from disk: 1.250 seconds
8:M 24 Nov 2025 13:42:02.000 * DB loaded from disk: 1.375 seconds
8:M 24 Nov 2025 13:42:02.000 * Ready to accept connections
";
        assert_eq!(load_seconds(log).unwrap(), 1.375);
        let log = "\
8:M 24 Nov 2025 13:42:01.000 * DB loaded from incr file appendonly.aof.1.incr.aof: 1.250 seconds
8:M 24 Nov 2025 13:42:02.000 * DB loaded from append only file: 2.500 seconds
8:M 24 Nov 2025 13:42:02.000 * Opening AOF incr file appendonly.aof.1.incr.aof on server start
";
        assert_eq!(load_seconds(log).unwrap(), 2.5);
        assert!(load_seconds("nothing").is_err());
    }
}
