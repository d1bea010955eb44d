//! The shipped users have what they need and are refused the rest.

use crate::common::{Client, Server, accepted, skip_in};
use seckill_testbed::User;

fn refused(client: &mut Client, lines: &[&str]) {
    for line in lines {
        let error = client.error(line);
        assert!(error.starts_with("NOPERM"), "{line}: {error}");
    }
}

#[test]
fn each_process_may_do_its_own_work_and_nothing_else() {
    let server = Server::start("module-users");
    let mut operator = server.client_as(User::Operator);
    let mut proxy = server.client_as(User::Proxy);
    let mut worker = server.client_as(User::Worker);
    let mut metrics = server.client_as(User::Metrics);

    worker.text("SECKILL.CREATE s STOCK 3");
    let rid = accepted(proxy.try_("s u1"));
    proxy.text(&format!("SECKILL.CONFIRM s {rid}"));
    worker.run("SECKILL.EVENTS s").unwrap();
    // From its dashboard.
    worker.run("SECKILL.RESTOCK s 1").unwrap();
    worker.run("SECKILL.USER s u1").unwrap();
    worker.run("SECKILL.RESERVATIONS s").unwrap();
    worker.run("SECKILL.LEASE s w 1000").unwrap();
    worker.run("SCAN 0 TYPE flashsale").unwrap();
    assert!(
        worker
            .error("SECKILL.RESTORE s UNITS 9 0")
            .starts_with("ERR the sale is neither fenced nor paused")
    );
    worker.audit("s");
    operator.text("SECKILL.PAUSE s");
    operator.audit("s");
    operator.info("s", "state");
    assert!(
        operator
            .error("SECKILL.RESTORE s UNITS 0 0")
            .starts_with("ERR ")
    );
    metrics.info("s", "state");
    metrics.text("INFO seckill");
    metrics.run("SCAN 0 TYPE flashsale").unwrap();

    refused(
        &mut proxy,
        &[
            "SECKILL.CREATE t STOCK 1",
            "SECKILL.RESTOCK s 1",
            "SECKILL.RESTORE s UNITS 9 0",
            "SECKILL.APPLY s x",
            "DEL s",
            "FLUSHALL",
            "CONFIG GET *",
            "KEYS *",
        ],
    );
    refused(
        &mut worker,
        &[
            "SECKILL.TRY s u2",
            "SECKILL.ALTER s LIMIT 9",
            "SECKILL.APPLY s x",
            "DEL s",
            "FLUSHALL",
            "CONFIG GET *",
        ],
    );
    refused(
        &mut operator,
        &["SECKILL.APPLY s x", "FLUSHALL", "DEBUG SLEEP 0"],
    );
    refused(
        &mut metrics,
        &[
            "SECKILL.TRY s u2",
            "SECKILL.USER s u1",
            "SECKILL.RESERVATIONS s",
            "SECKILL.GET s 1-1",
            "SECKILL.EVENTS s",
            "SECKILL.AUDIT s",
            "SECKILL.PAUSE s",
            "GET s",
            "DEL s",
            "CONFIG GET *",
            "CLIENT LIST",
        ],
    );
}

#[test]
fn nobody_is_somebody_without_a_name_and_a_password() {
    skip_in!(Cluster: "looks at one server");
    let server = Server::start("module-nobody");
    let url = format!("redis://127.0.0.1:{}/", server.redis().port());
    let client = redis::Client::open(url).unwrap();
    let mut nobody = client.get_connection().unwrap();
    for words in [
        &["PING"][..],
        &["SECKILL.TRY", "s", "u1"],
        &["AUTH", "default", ""],
        &["AUTH", ""],
        &["HELLO", "3", "AUTH", "default", "default"],
    ] {
        let refused = redis::Cmd::new().arg(words).exec(&mut nobody).unwrap_err();
        let code = refused.code().unwrap_or_default();
        assert!(
            ["NOAUTH", "WRONGPASS", "ERR"].contains(&code),
            "{words:?}: {refused}"
        );
    }
}
