//! The whole road, as people walk it: the binary, its commands, its last line.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use seckill_testbed::Kafka;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A sale with all its servers needs the machine for itself.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn demo(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill-demo"));
    for name in ["BUYERS", "STOCK", "TRIES", "BROKER", "CLUSTER", "KILL"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(words).output().unwrap()
}

/// What a run printed; it must have ended well.
fn run(words: &[&str]) -> String {
    let folder = std::env::temp_dir();
    let output = demo(&folder, &[&["run"], words].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap()
}

#[test]
fn the_articles_sale_closes_its_books_without_a_broker() {
    let _machine = one_at_a_time();
    let text = run(&["--buyers", "300", "--stock", "100", "--broker", "none"]);
    assert_eq!(
        last_line(&text),
        "result accepted=100 orders=100 sale=100 oversold=0 lost=0 duplicated=0 audit=ok broker=none"
    );
}

#[test]
fn the_articles_sale_closes_its_books_through_kafka() {
    if !Kafka::or_skip("the sale through Kafka") {
        return;
    }
    let _machine = one_at_a_time();
    let text = run(&["--buyers", "300", "--stock", "100", "--broker", "kafka"]);
    assert_eq!(
        last_line(&text),
        "result accepted=100 orders=100 sale=100 oversold=0 lost=0 duplicated=0 audit=ok broker=kafka"
    );
}

#[test]
fn whatever_is_killed_in_the_middle_the_books_close() {
    let _machine = one_at_a_time();
    let with_kafka = Kafka::or_skip("killing Kafka");
    let mut victims = vec!["worker", "redis", "proxy", "mariadb", "shop"];
    if with_kafka {
        victims.push("kafka");
    }
    let kill = victims.join(" ");
    let broker = if with_kafka { "kafka" } else { "none" };
    let text = run(&[
        "--buyers", "2000", "--stock", "1000", "--broker", broker, "--kill", &kill,
    ]);
    assert_eq!(
        last_line(&text),
        format!(
            "result accepted=1000 orders=1000 sale=1000 oversold=0 lost=0 duplicated=0 audit=ok broker={broker}"
        )
    );
    for victim in victims {
        assert!(
            text.contains(&format!("kill -9 {victim}")),
            "{victim}:\n{text}"
        );
        assert!(
            text.contains(&format!("{victim} was killed: back after")),
            "{victim}:\n{text}"
        );
    }
}

#[test]
fn on_a_cluster_with_two_workers_and_two_proxies_the_books_close_too() {
    let _machine = one_at_a_time();
    let with_kafka = Kafka::or_skip("the cluster's sale through Kafka");
    let broker = if with_kafka { "kafka" } else { "none" };
    let text = run(&[
        "--cluster",
        "--buyers",
        "1000",
        "--stock",
        "500",
        "--broker",
        broker,
        "--kill",
        "worker proxy",
    ]);
    assert_eq!(
        last_line(&text),
        format!(
            "result accepted=500 orders=500 sale=500 oversold=0 lost=0 duplicated=0 audit=ok broker={broker}"
        )
    );
}

#[test]
fn more_units_than_buyers_is_no_failure() {
    let _machine = one_at_a_time();
    let text = run(&[
        "--buyers", "20", "--stock", "100", "--tries", "1", "--broker", "none",
    ]);
    assert_eq!(
        last_line(&text),
        "result accepted=20 orders=20 sale=20 oversold=0 lost=0 duplicated=0 audit=ok broker=none"
    );
}

#[test]
fn a_part_that_is_not_there_cannot_be_killed() {
    let _machine = one_at_a_time();
    let folder = std::env::temp_dir();
    let output = demo(&folder, &["run", "--broker", "none", "--kill", "kafka"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("kafka is to be killed and is not part of this run"),
        "{text}"
    );
}

/// Parts that were started to stay; they go with the test all the same.
struct Up(tempfile::TempDir);

impl Up {
    fn up(&self) -> String {
        let output = demo(self.0.path(), &["up"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Each part's name and pid.
    fn parts(&self) -> Vec<(String, i64)> {
        let folders = fs::read_dir(self.0.path().join(".run")).unwrap();
        folders
            .filter_map(|folder| {
                let folder = folder.unwrap();
                // A command that has run to its end lives nowhere.
                let text = fs::read_to_string(folder.path().join("pid")).ok()?;
                let pid = text.split_whitespace().next().unwrap().parse().unwrap();
                Some((folder.file_name().into_string().unwrap(), pid))
            })
            .collect()
    }

    fn pid(&self, name: &str) -> i64 {
        let parts = self.parts();
        parts.iter().find(|(part, _)| part == name).unwrap().1
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        demo(self.0.path(), &["down"]);
    }
}

/// What a command of `up`'s text prints, pasted into a shell.
fn pasted(text: &str, program: &str) -> String {
    let command = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(program))
        .unwrap();
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command}\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn is_there(pid: i64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn up_heals_what_was_killed_and_down_stops_it() {
    let _machine = one_at_a_time();
    let up = Up(tempfile::tempdir().unwrap());
    let text = up.up();

    assert!(pasted(&text, "curl").starts_with("HTTP/1.1 202"));
    assert!(pasted(&text, "redis-cli").contains("held\n1\n"));
    until("the order is written", || {
        pasted(&text, "mariadb --host").contains("alice\t1\theld")
    });

    // A browser's first page is there, and so is what it consists of.
    let page = text.split("in a browser: ").nth(1).unwrap().trim();
    for path in ["", "seckill/1001", "checkout/1001", "page/buy.js"] {
        let words = ["--silent", "--fail", &format!("{page}{path}")];
        let output = Command::new("curl").args(words).output().unwrap();
        assert!(output.status.success(), "{page}{path}");
    }

    let (redis, proxy, worker) = (up.pid("redis"), up.pid("proxy"), up.pid("worker"));
    for pid in [redis, proxy] {
        assert!(
            Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
        until("it is gone", || !is_there(pid));
    }
    let text = up.up();
    assert_ne!(up.pid("redis"), redis);
    assert_ne!(up.pid("proxy"), proxy);
    assert_eq!(up.pid("worker"), worker, "what runs is left alone");
    let again = pasted(&text, "curl");
    assert!(
        again.starts_with("HTTP/1.1 200") && again.contains("duplicate"),
        "{again}"
    );

    let pids = up.parts();
    assert!(demo(up.0.path(), &["down"]).status.success());
    for (name, pid) in pids {
        assert!(!is_there(pid), "{name}");
    }

    // The data of before, after everything was stopped.
    let text = up.up();
    let again = pasted(&text, "curl");
    assert!(
        again.starts_with("HTTP/1.1 200") && again.contains("duplicate"),
        "{again}"
    );
}
