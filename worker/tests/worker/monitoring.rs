//! The alert rules and the Grafana dashboard that ship: they are well-formed, and every figure that
//! they ask for is really there.

use crate::page::get;
use crate::screen::Screen;
use crate::shop::{Shop, await_true};
use seckill_testbed::{Part, Proxy, Settings, Worker};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn shipped(name: &str) -> PathBuf {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("conf");
    conf.join(name)
}

/// Every expression of the Grafana dashboard.
fn expressions() -> Vec<String> {
    let text = std::fs::read_to_string(shipped("grafana/seckill.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The names of our figures in a text, as `/metrics` has them.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words
        .filter(|word| word.starts_with("seckill_worker_") || word.starts_with("seckill_proxy_"));
    ours.map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn promtool(arguments: &[&str], file: &Path) -> Option<()> {
    let checked = Command::new("promtool").args(arguments).arg(file).output();
    let Ok(checked) = checked else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: promtool is not installed: run `make setup`"
        );
        return None;
    };
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{}: {said}", file.display());
    Some(())
}

#[test]
fn prometheus_takes_the_rules_and_every_expression_of_the_dashboard() {
    promtool(
        &["check", "rules"],
        &shipped("prometheus/seckill.rules.yml"),
    );
    let folder = seckill_testbed::Place::temporary("expressions").unwrap();
    let mut rules = "groups:\n- name: g\n  rules:\n".to_owned();
    for (n, expression) in expressions().iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m");
        rules.push_str(&format!("  - record: r{n}\n    expr: {expression:?}\n"));
    }
    let file = folder.path().join("expressions.yml");
    std::fs::write(&file, rules).unwrap();
    promtool(&["check", "rules"], &file);
}

#[test]
fn every_figure_that_is_asked_for_is_there() {
    let mut shop = Shop::open("monitoring");
    shop.sale(1001, 1, &["--hold", "0"]);
    shop.sale(1002, 10, &["--hold", "0"]);
    shop.query("UPDATE stock SET sale = 2 WHERE id = 1002");
    let proxy = Proxy::start(&shop.place, &Settings::proxy(&shop.redis).unwrap()).unwrap();
    let worker = shop.run();
    for buyer in 0..9 {
        buy(&proxy, buyer);
    }
    shop.await_stored(1001);
    shop.db.kill().unwrap();
    shop.buy(1002, 1, 1);
    let metrics = |worker: &Worker| {
        let screen = Screen {
            address: proxy.admin_address(),
            cookie: None,
        };
        get(worker, "/metrics").body + &screen.ask("GET", "/metrics", &[], "").body
    };
    let there = |worker: &Worker| {
        let page = metrics(worker);
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let names = types.filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    await_true("something went wrong, and is counted", || {
        let there = there(&worker);
        let counted = [
            "seckill_worker_retries_total",
            "seckill_worker_alarms_total",
        ];
        counted.iter().all(|name| there.contains(*name))
    });
    let there = there(&worker);
    let rules = std::fs::read_to_string(shipped("prometheus/seckill.rules.yml")).unwrap();
    let asked = names(&(rules + &expressions().join(" ")));
    assert!(asked.len() > 20, "{asked:?}");
    let missing: Vec<&String> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {there:?}");
}

fn buy(proxy: &Proxy, buyer: u32) {
    let screen = Screen {
        address: proxy.address(),
        cookie: None,
    };
    let buyer = format!("u{buyer}");
    screen.ask("POST", "/seckill/1001", &[("x-user-id", &buyer)], "");
}
