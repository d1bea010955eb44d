//! The program: what it prints, and how it ends.

use crate::stage::{SID, Stage};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run(stage: &Stage, words: &[&str], record: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill-oracle"));
    command
        .args([SID, "--settle", "0", "--skew", "120000"])
        .args(["--kafka", &stage.kafka.brokers()])
        .args(words)
        .env("SECKILL_REDIS_URL", &stage.sources.redis)
        .env("SECKILL_MYSQL_URL", &stage.sources.mysql);
    if let Some(record) = record {
        command.arg("--record").arg(record);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(crate) fn tells(stage: &Stage) {
    let record = stage.record_path();
    let output = run(stage, &[], Some(&record));
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for word in ["sale 1001", "no_loss", "undersell", "OK"] {
        assert!(table.contains(word), "{table}");
    }
    assert!(!table.contains("BROKEN"), "{table}");

    let output = run(stage, &["--watch", "1"], None);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = text(&output.stdout);
    assert!(
        table.contains("not checked: no clients' records were given"),
        "{table}"
    );
    assert!(table.contains("always"), "{table}");

    stage.db.query("UPDATE stock SET sale = sale + 1").unwrap();
    let output = run(stage, &["--json"], Some(&record));
    stage.mend_mysql();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let broken: Vec<&Value> = report["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["stands"] == "broken")
        .collect();
    assert_eq!(broken.len(), 1, "{report}");
    assert_eq!(broken[0]["name"], "sale");
    assert_eq!(broken[0]["cases"][0]["says"][0]["source"], "mysql");

    could_not_look(stage, &["--topic", "no-such-topic"], "no-such-topic");
    could_not_look(
        stage,
        &["--redis", "redis://127.0.0.1:1/"],
        "cannot connect to Redis",
    );
    could_not_look(
        stage,
        &["--mysql", "mysql://a:b@127.0.0.1:1/c"],
        "cannot connect to MySQL",
    );
    could_not_look(
        stage,
        &["--mysql", "mysql//a:secret@b"],
        "expected mysql://",
    );
    let garbage = stage.with_record("{\"call\":1}\n");
    let garbage = garbage.records.unwrap();
    let output = run(stage, &[], Some(&garbage[0]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("forged.jsonl:1: "),
        "{output:?}"
    );
}

fn could_not_look(stage: &Stage, words: &[&str], why: &str) {
    let output = run(stage, words, None);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains(why) && !said.contains("secret"),
        "{words:?}: {said}"
    );
}
