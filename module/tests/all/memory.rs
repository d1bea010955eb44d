//! A server's memory: given back with a sale, and full in the middle of one.

use crate::common::{Client, Server, accepted, skip_in, soon};
use redis::Value;

const MIB: u64 = 1 << 20;

fn used_bytes(client: &mut Client) -> u64 {
    client.server_info("memory", "used_memory").parse().unwrap()
}

/// A command with this many buyers, whose uids begin with `prefix`.
fn many(prefix: &str, buyers: usize) -> String {
    let uids: Vec<String> = (0..buyers).map(|n| format!("{prefix}-{n}")).collect();
    format!("SECKILL.MTRY s {}", uids.join(" "))
}

#[test]
fn every_way_to_delete_a_sale_gives_its_memory_back() {
    skip_in!(Replica: "a primary keeps what it sent, and that takes memory too");
    skip_in!(Cluster: "looks at one server's memory");
    let server = Server::start("module-delete");
    let mut client = server.client();
    let mut epoch = 0;
    for delete in [
        "FLUSHALL SYNC",
        "FLUSHALL ASYNC",
        "FLUSHDB",
        "UNLINK s",
        "DEL s",
    ] {
        let before = used_bytes(&mut client);
        client.text("SECKILL.CREATE s STOCK 100000");
        let began = client.info("s", "epoch").parse::<u64>().unwrap();
        assert!(began > epoch, "a sale after another is another one");
        epoch = began;
        for round in 0..10 {
            client.run(&many(&round.to_string(), 10_000)).unwrap();
        }
        let full = used_bytes(&mut client);
        assert!(
            full > before + 2 * MIB,
            "{delete}: {before} bytes before, {full} with a sale"
        );

        client.run(delete).unwrap();
        assert!(client.error("SECKILL.TRY s u1").starts_with("NOSALE"));
        for field in ["sales", "events_pending", "memory_bytes"] {
            let field = format!("seckill_{field}");
            soon(&format!("{delete}: {field}"), || {
                client.server_info("seckill", &field) == "0"
            });
        }
        soon(&format!("{delete}: used_memory"), || {
            used_bytes(&mut client) < before + MIB / 2
        });
    }
}

#[test]
fn the_memory_of_a_large_sale_is_freed_while_others_are_served() {
    skip_in!(Aof: "what loads its AOF deletes once more");
    skip_in!(Cluster: "looks at one server's threads");
    let server = Server::start("module-lazy");
    let mut client = server.client();
    // The last is what `conf/redis.conf` makes of DEL.
    for delete in ["FLUSHALL ASYNC", "UNLINK s", "DEL s"] {
        client.text("SECKILL.CREATE s STOCK 50000");
        client.run(&many("u", 50_000)).unwrap();
        let freed = |client: &mut Client| {
            let freed = client.server_info("memory", "lazyfreed_objects");
            freed.parse::<u64>().unwrap()
        };
        let before = freed(&mut client);
        client.run(delete).unwrap();
        soon(delete, || freed(&mut client) == before + 1);
    }
}

#[test]
fn a_server_that_is_full_in_the_middle_of_a_sale_does_nothing_by_halves() {
    skip_in!(Aof, Cluster: "fills one server up");
    let server = Server::start("module-full-sale");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 1000000");
    let rids: Vec<String> = (0..3)
        .map(|n| accepted(client.try_(&format!("s first-{n} TOKEN t"))))
        .collect();
    let limit = used_bytes(&mut client) + MIB;
    client.text(&format!("CONFIG SET maxmemory {limit}"));
    let sold = (0..1000).position(|round| {
        let reply = client.run(&many(&format!("b{round}"), 50));
        reply.is_err_and(|error| error.to_string().contains("OOM"))
    });
    let sold = 3 + 50 * sold.expect("a megabyte is full at some time");
    let books = format!(
        "OK total=1000000 available={} held={sold} sold=0 reservations={sold}",
        1_000_000 - sold
    );
    let full = client.digest("s");
    for line in ["SECKILL.TRY s late", &many("late", 2)] {
        assert!(client.error(line).starts_with("OOM"), "{line}");
    }
    assert_eq!(client.digest("s"), full, "what is refused changes nothing");
    assert_eq!(client.audit("s"), books);
    assert_eq!(
        client.run("SECKILL.USER s late").unwrap(),
        Value::Array(vec![])
    );

    // What was sold is served on, and so are the operator and the worker.
    let epoch = client.info("s", "epoch");
    let [first, second, _] = &rids[..] else {
        panic!()
    };
    for line in [
        &format!("CONFIRM s {first}"),
        &format!("CANCEL s {second}"),
        &format!("ACK s STORED {epoch} 100"),
        "PAUSE s",
        "RESTOCK s -7",
        "RESTOCK s 7",
        "RESUME s",
    ] {
        assert_eq!(client.text(&format!("SECKILL.{line}")), "OK", "{line}");
    }
    client.run("SECKILL.EVENTS s").unwrap();
    client.run(&format!("SECKILL.GET s {first}")).unwrap();
    let available = 1_000_000 - sold + 1;
    let books = format!(
        "OK total=1000000 available={available} held={} sold=1 reservations={sold}",
        sold - 2
    );
    assert_eq!(client.audit("s"), books);

    let digest = client.digest("s");
    client.text("DEBUG RELOAD");
    assert_eq!(
        client.digest("s"),
        digest,
        "saved while the server was full"
    );
    client.text("CONFIG SET maxmemory 0");
    accepted(client.try_("s late"));
}

#[test]
fn what_is_kept_of_buyers_rates_is_given_back_when_it_no_longer_matters() {
    skip_in!(Aof, Replica, Cluster: "counts what one server keeps, and loses it in a reload");
    let server = Server::start("module-rates");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 0 LIMIT 0 RATE 1 USERRATE 10 BURST 10");
    client.text("SECKILL.RESTOCK s 1000000");
    let usage = |client: &mut Client| client.text("MEMORY USAGE s").parse::<u64>().unwrap();
    let before = usage(&mut client);
    // All but one are refused by the sale's rate, and have used up one of their own tries.
    client.run(&many("u", 50_000)).unwrap();
    let full = usage(&mut client);
    assert!(full > before + 50_000 * 16, "{before} before, {full} after");
    soon("a try's interval passes", || {
        client.run("SECKILL.EVENTS s").unwrap();
        usage(&mut client) < before + 4096
    });
    let said = client.server_info("seckill", "seckill_memory_bytes");
    assert_eq!(
        said.parse::<u64>().unwrap(),
        usage(&mut client) - overhead(&mut client)
    );
}

/// What Redis adds to a value of ours for `MEMORY USAGE`: its key and its entry.
fn overhead(client: &mut Client) -> u64 {
    let usage: u64 = client.text("MEMORY USAGE s").parse().unwrap();
    let ours: u64 = client.info("s", "memory").parse().unwrap();
    usage - ours
}
