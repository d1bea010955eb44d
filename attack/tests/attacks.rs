//! A few seconds of each attack, always the same; `make fuzz` goes on from elsewhere and for longer.

use std::io::Write;
use std::time::Duration;

use seckill_attack::{Plan, Report, module, proxy, worker};

const SECONDS: u64 = 8;

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        time: Duration::from_secs(SECONDS),
        case: None,
    }
}

/// Nothing was found, and of everything that is counted something was done.
fn assert_nothing_found(report: &Report) {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.concat());
    for (what, count) in &report.counts {
        assert!(*count > 0 || what.contains("nobody"), "{what}: none");
    }
}

#[test]
fn the_proxy_stands_bytes_that_nobody_should_send() {
    assert_nothing_found(&proxy::attack(plan(1)).unwrap());
}

#[test]
fn the_module_stands_commands_that_nobody_should_send() {
    assert_nothing_found(&module::attack(plan(1)).unwrap());
}

#[test]
fn the_worker_stands_a_topic_that_anybody_writes_to() {
    if let Err(reason) = worker::available() {
        // Past the test harness, which keeps to itself what a test that passes prints.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: the attack on the worker: {reason}"
        );
        return;
    }
    assert_nothing_found(&worker::attack(plan(1)).unwrap());
}
