//! Every rung, with few buyers, on real servers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the test ends at its first surprise"
)]

use seckill_testbed::Kafka;
use serde_json::Value;
use std::process::Command;

/// With fewer buyers at once than this, nobody would meet anybody.
const BUYERS: u64 = 60;
const STOCK: u64 = 5;

/// What `run` says with these words.
fn ladder(words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_seckill-ladder"))
        .args(["run", "--json", "--buyers", &BUYERS.to_string()])
        .args(["--stock", &STOCK.to_string(), "--tries", "5"])
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The only round of each rung, by the rung's number.
fn rounds(report: &Value) -> Vec<(u64, &Value)> {
    let rungs = report["rungs"].as_array().unwrap();
    let round = |rung: &Value| rung["rung"].as_u64().unwrap();
    rungs
        .iter()
        .map(|rung| (round(rung), &rung["rounds"][0]))
        .collect()
}

fn count(round: &Value, figure: &str) -> u64 {
    round[figure]
        .as_u64()
        .unwrap_or_else(|| panic!("no {figure} in {round}"))
}

#[test]
fn without_a_lock_more_is_sold_than_there_is() {
    // Buyers who have looked before the first order was written: all of a pool's connections, once
    // they all work at the same time. On a machine that lets them one by one, it takes another sale.
    let oversold = (0..5).any(|_| {
        let report = ladder(&["--only", "0"]);
        let (_, round) = rounds(&report)[0];
        assert_eq!(count(round, "orders"), count(round, "told_yes"), "{round}");
        count(round, "oversold") > 0
    });
    assert!(oversold, "five sales without a lock, and none oversold");
}

#[test]
fn from_the_first_lock_on_nothing_is_oversold_and_the_books_close() {
    let mut only = "1,2,3,4".to_owned();
    if Kafka::or_skip("rungs 5 and 6") {
        only.push_str(",5,6");
    }
    let report = ladder(&["--only", &only]);
    for (rung, round) in rounds(&report) {
        assert_eq!(count(round, "oversold"), 0, "rung {rung}: {round}");
        assert_eq!(
            count(round, "sold"),
            count(round, "orders"),
            "rung {rung}: {round}"
        );
        assert_eq!(count(round, "failed"), 0, "rung {rung}: {round}");
        assert!(count(round, "orders") > 0, "rung {rung}: {round}");
        assert!(count(round, "statements") > 0, "rung {rung}: {round}");
        // Through Kafka, the article's way, a purchase is told before it is one.
        let promised = count(round, "orders") + count(round, "lost");
        assert_eq!(promised, count(round, "told_yes"), "rung {rung}: {round}");
        if rung != 5 {
            assert_eq!(count(round, "lost"), 0, "rung {rung}: {round}");
        }
        if rung == 6 {
            assert_eq!(count(round, "undersold"), 0, "rung {rung}: {round}");
            assert_eq!(count(round, "orders"), STOCK, "rung {rung}: {round}");
        }
    }
}

#[test]
fn a_rung_that_there_is_not_is_named() {
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seckill-ladder"));
        let output = command.arg("run").args(words).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run(&["--only", "7"]).contains("ONLY 7: expected rungs from 0 to 6"));
    assert!(run(&["--buyers", "many"]).contains("\"many\": expected whole numbers"));
}
