//! What is measured, on real servers: that it is measured at all, and where it is kept. The figures of
//! a busy machine are nobody's business here.
#![expect(clippy::unwrap_used, reason = "the test ends at its first surprise")]

use seckill_testbed::{Place, Redis, Service, User};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// What `seckill-bench` says with these words.
fn bench(words: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_seckill-bench"))
        .args(words)
        .arg("--json")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_grows_is_measured_at_each_size_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("growth.json");
    let out = file.to_str().unwrap();
    let report = bench(&["growth", "--quick", "--only", "buyers", "--out", out]);

    let rows = report["parts"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{report}");
    for row in rows {
        assert!(row["figures"]["try_us"].as_f64().unwrap() > 0.0, "{row}");
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept, report);
    let page = fs::read_to_string(file.with_extension("md")).unwrap();
    assert!(page.contains("make bench-growth QUICK=1"), "{page}");
    assert!(page.contains("| 100,000 buyers |"), "{page}");
    let picture = fs::read_to_string(folder.path().join("growth-buyers.svg")).unwrap();
    assert_eq!(picture.matches("<circle").count(), 3 * 4, "{picture}");
}

/// The status of an answer.
fn buy(service: &Service, sid: &str, buyer: Option<&str>) -> u16 {
    let mut connection = TcpStream::connect(service.address()).unwrap();
    let buyer = buyer.map_or(String::new(), |buyer| format!("X-User-Id: {buyer}\r\n"));
    write!(
        connection,
        "POST /try/{sid} HTTP/1.1\r\nHost: shop.example\r\n{buyer}Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_service_sells_what_the_script_has_and_keeps_to_its_rules() {
    let place = Place::temporary("bench-service").unwrap();
    let redis = Redis::start_bare(&place).unwrap();
    let mut connection = redis.connect(User::Anything).unwrap();
    let mut set = redis::cmd("SET");
    set.arg("{1001}:stock")
        .arg(2)
        .exec(&mut connection)
        .unwrap();
    let start = |tries| {
        let environment = vec![("BENCH_REDIS_URL", redis.url(User::Anything).into())];
        Service::start(
            &place,
            "seckill-bench",
            &["service", "--tries", tries],
            environment,
        )
    };
    let service = start("0").unwrap();
    assert_eq!(buy(&service, "1001", None), 401);
    assert_eq!(buy(&service, "1001", Some("u1")), 202);
    // His cap, of which the service makes a rejection like any other.
    assert_eq!(buy(&service, "1001", Some("u1")), 429);
    assert_eq!(buy(&service, "1001", Some("u2")), 202);
    assert_eq!(buy(&service, "1001", Some("u3")), 410);
    assert_eq!(buy(&service, "1002", Some("u3")), 410);

    let strict = start("1").unwrap();
    let answers = [(); 3].map(|()| buy(&strict, "1001", Some("u4")));
    assert_eq!(answers, [410, 429, 429], "one try a second");
}
