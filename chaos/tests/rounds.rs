//! Three rounds, as people run them.

use seckill_testbed::Kafka;
use std::process::Command;

#[test]
fn three_rounds_are_good() {
    if !Kafka::or_skip("rounds of chaos") {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_seckill-chaos"));
    for name in ["ROUNDS", "SEED", "BUYERS"] {
        command.env_remove(name);
    }
    let output = command
        .args(["--rounds", "3", "--seed", "11", "--buyers", "1000"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(text.lines().last(), Some("result rounds=3 bad=0"));
}
