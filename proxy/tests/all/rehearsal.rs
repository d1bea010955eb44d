//! `seckill-load` against a real proxy: what buyers heard is what it told.

use crate::stand::Stand;
use seckill_testbed::{Part, Proxy};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn rehearse(stand: &Stand, words: &[&str]) -> Output {
    rehearse_with(stand, &stand.proxy, words)
}

/// `counts`: whose counts are held against what buyers hear.
fn rehearse_with(stand: &Stand, counts: &Proxy, words: &[&str]) -> Output {
    Command::new(Path::new(env!("CARGO_BIN_EXE_seckill-proxy")).with_file_name("seckill-load"))
        .args(["--url", &stand.proxy.url(), "--sid", "1001"])
        .args(["--admin", &format!("http://{}", counts.admin_address())])
        .args(words)
        .output()
        .unwrap()
}

#[test]
fn a_rehearsal_with_people_and_programs_agrees_with_the_proxys_own_counts() {
    let stand = Stand::start("rehearsal", "queue");
    stand.create("1001", &["STOCK", "50"]);
    let histogram = stand.proxy.log().with_file_name("latencies.hgrm");
    let output = rehearse(
        &stand,
        &[
            "--arrivals",
            "0-100/1s,100/1s,1000/1s",
            "--bots",
            "40",
            "--tries",
            "2",
            "--patience",
            "5",
            "--json",
            "--histogram",
            histogram.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["buyers"], 1150);
    assert_eq!(report["answers"]["accepted"], 50);
    assert_eq!(report["began_anew"], false);
    let compared = report["compared"].as_array().unwrap();
    let of = |code: &str| compared.iter().find(|of| of["code"] == code).unwrap();
    assert_eq!(of("accepted")["told"], 50);
    assert!(of("sold_out")["told"].as_u64().unwrap() > 1000);
    let histogram = fs::read_to_string(histogram).unwrap();
    assert!(histogram.contains("1/(1-Percentile)"), "{histogram}");
    assert!(histogram.contains(&format!(
        "Total count    = {:>12}",
        report["tries"].as_u64().unwrap()
    )));

    // Counts that are another proxy's do not fit.
    let words = ["--buyers", "10", "--buyer-prefix", "late-"];
    let other = rehearse_with(&stand, &stand.second_proxy(), &words);
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(
        said.contains("buyers heard sold_out 30 times, and the proxies told it 0 times"),
        "{said}"
    );
    let table = String::from_utf8_lossy(&other.stdout);
    assert!(table.contains("DIFFERS"), "{table}");
}

#[test]
fn a_rehearsal_says_what_is_wrong_with_its_words() {
    let stand = Stand::start("rehearsal-words", "queue");
    for (words, expected) in [
        (&["--arrivals", "fast"][..], "expected buyers a second"),
        (
            &["--arrivals", "5/1s", "--bots", "101"],
            "expected 0 to 100",
        ),
        (&["--bots", "5"], "--arrivals"),
        (
            &["--arrivals", "5/1s", "--buyers", "5"],
            "cannot be used with",
        ),
    ] {
        let output = rehearse(&stand, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(expected),
            "{said}"
        );
    }
    let output = rehearse(
        &stand,
        &["--arrivals", "5/1s", "--admin", "http://127.0.0.1:1"],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("it is the proxy's [admin] listen"), "{said}");
}
