//! A Redis Cluster of three primaries: each sale is sold where its slot is.

use crate::stand::{Client, Over, Response, eventually, field_of, get, post, query, settings};
use redis::Value;
use seckill_testbed::{Cluster, Part, Place, Proxy, User};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

struct Stand {
    place: Place,
    cluster: Cluster,
    proxy: Proxy,
    /// A sale of each node.
    sids: Vec<String>,
}

fn start(name: &str, stock: &str) -> Stand {
    let place = Place::temporary(name).unwrap();
    let cluster = Cluster::start(&place).unwrap();
    let seeds: Vec<String> = cluster
        .nodes()
        .map(|node| format!("127.0.0.1:{}", node.port()))
        .collect();
    let first = cluster.node(0).unwrap();
    let settings = settings(first, "queue")
        .with("redis.cluster", seeds)
        .with("redis.remember_ms", 60_000);
    let proxy = Proxy::start(&place, &settings).unwrap();
    let sids: Vec<String> = (0..cluster.nodes().len())
        .map(|node| {
            let mut sids = (1001..).map(|sid: u32| sid.to_string());
            let is_there =
                |sid: &String| cluster.owner_of(cluster.slot_of(sid).unwrap()).unwrap() == node;
            sids.find(is_there).unwrap()
        })
        .collect();
    let stand = Stand {
        place,
        cluster,
        proxy,
        sids,
    };
    for sid in &stand.sids {
        stand.on_node::<()>(sid, &["SECKILL.CREATE", sid, "STOCK", stock]);
    }
    stand
}

impl Stand {
    /// At the node that has the sale.
    fn on_node<T: redis::FromRedisValue>(&self, sid: &str, words: &[&str]) -> T {
        query(
            &mut self.cluster.connect(sid, User::Anything).unwrap(),
            words,
        )
    }

    fn set_everywhere(&self, key: &str, value: &str) {
        for node in self.cluster.nodes() {
            let mut connection = node.connect(User::Anything).unwrap();
            query::<()>(&mut connection, &["CONFIG", "SET", key, value]);
        }
    }

    fn buy(&self, sid: &str, uid: &str) -> Response {
        Client::connect(&self.proxy.address()).ask(&post(&format!("/seckill/{sid}"), uid))
    }

    fn held(&self, sid: &str) -> u64 {
        let info: Vec<Value> = self.on_node(sid, &["SECKILL.INFO", sid]);
        field_of(&info, "held").parse().unwrap()
    }
}

#[test]
fn every_node_sells_its_sales_and_is_heard_of() {
    let stand = start("cluster", "1");
    for sid in &stand.sids {
        assert_eq!(stand.buy(sid, "u1").status, 202, "{sid}");
        let again = stand.buy(sid, "u1");
        assert_eq!(
            (again.status, again.text("status")),
            (200, "duplicate".to_owned())
        );
        let path = again.header("location").unwrap();
        let looked_up = Client::connect(&stand.proxy.address()).ask(&get(path, "u1"));
        assert_eq!(looked_up.text("rid"), again.text("rid"));
    }
    let answered = |sid: &str| {
        let name =
            format!("seckill_proxy_edge_rejections_total{{sale=\"{sid}\",verdict=\"sold_out\"}}");
        let page = Client::connect(&stand.proxy.admin_address()).ask(&get("/metrics", ""));
        let count = page.body.lines().find_map(|line| line.strip_prefix(&*name));
        count.is_some_and(|count| count.trim() != "0")
    };
    for sid in &stand.sids {
        eventually("sold out is remembered", || {
            assert_eq!(stand.buy(sid, "u2").status, 410);
            answered(sid)
        });
    }
    // The proxy listens to one of the three.
    for sid in &stand.sids {
        stand.on_node::<()>(sid, &["SECKILL.RESTOCK", sid, "1"]);
        eventually("news of the restock", || stand.buy(sid, "u3").status == 202);
    }
}

#[test]
fn a_slot_that_moves_under_its_buyers_costs_nobody_anything() {
    let stand = start("slot-move", "1000000");
    let sid = stand.sids.first().unwrap().as_str();
    let is_over = AtomicBool::new(false);
    let had: Mutex<HashMap<String, String>> = Mutex::default();
    thread::scope(|scope| {
        let over = Over(&is_over);
        for buyer in 0..4 {
            let (stand, is_over, had) = (&stand, &is_over, &had);
            scope.spawn(move || {
                let mut client = Client::connect(&stand.proxy.address());
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let uid = format!("u{buyer}-{number}");
                    let answer = client.ask(&post(&format!("/seckill/{sid}"), &uid));
                    assert_eq!(answer.status, 202, "{answer:?}");
                    had.lock().unwrap().insert(uid, answer.text("rid"));
                }
            });
        }
        thread::sleep(Duration::from_millis(300));
        let count = || had.lock().unwrap().len();
        let slot = stand.cluster.slot_of(sid).unwrap();
        for to in [1, 2] {
            // The sale is with the new node; the old one answers for the slot.
            let open = stand.cluster.open_move(slot, to).unwrap();
            let before = count();
            eventually("bought ahead of the slot", || count() > before + 50);
            open.close().unwrap();
            let before = count();
            eventually("bought at the new node", || count() > before + 50);
        }
        drop(over);
    });
    let had = had.into_inner().unwrap();
    assert_eq!(stand.held(sid), u64::try_from(had.len()).unwrap());
    for (uid, rid) in had.iter().take(100) {
        assert_eq!(stand.buy(sid, uid).text("rid"), *rid);
    }
}

#[test]
fn a_node_that_dies_stops_its_own_sales_and_no_others() {
    let mut stand = start("node-dies", "1000000");
    stand.set_everywhere("cluster-require-full-coverage", "no");
    let sids = stand.sids.clone();
    for sid in &sids {
        assert_eq!(stand.buy(sid, "before").status, 202);
    }
    // Any of them: the news, too, come from one of the three.
    for dead in 0..3 {
        stand.cluster.node_mut(dead).unwrap().kill().unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            for (node, sid) in sids.iter().enumerate() {
                let answer = stand.buy(sid, &format!("u{dead}-{number}"));
                let expected: &[u16] = if node == dead { &[503] } else { &[202] };
                assert!(
                    expected.contains(&answer.status),
                    "{dead} {node}: {answer:?}"
                );
            }
        }
        stand.cluster.node_mut(dead).unwrap().restart().unwrap();
        stand.cluster.await_agreement().unwrap();
        eventually("it sells again", || {
            stand.buy(sids.get(dead).unwrap(), "before").status == 200
        });
    }
    for sid in &sids {
        assert_eq!(stand.buy(sid, "before").text("status"), "duplicate");
    }
}

#[test]
fn the_replica_that_takes_over_from_a_dead_node_is_asked_in_its_place() {
    let mut stand = start("takes-over", "100");
    stand.set_everywhere("cluster-node-timeout", "1000");
    let sid = stand.sids.first().unwrap().clone();
    let replica = stand.cluster.start_replica(&stand.place, 0).unwrap();
    let mut connection = replica.connect(User::Anything).unwrap();
    query::<()>(
        &mut connection,
        &["CONFIG", "SET", "cluster-node-timeout", "1000"],
    );
    query::<()>(&mut connection, &["READONLY"]);
    let answer = stand.buy(&sid, "u1");
    assert_eq!(answer.status, 202);
    eventually("the replica has it", || {
        let info: Vec<Value> = query(&mut connection, &["SECKILL.INFO", &sid]);
        field_of(&info, "held") == "1"
    });
    stand.cluster.node_mut(0).unwrap().kill().unwrap();
    assert_eq!(stand.buy(&sid, "u2").status, 503);
    // Whoever takes over sells nothing until somebody has compared his copy.
    eventually("the replica is asked", || {
        stand.buy(&sid, "u2").text("code") == "paused"
    });
    query::<()>(&mut connection, &["SECKILL.RESUME", &sid]);
    eventually("it sells", || {
        [200, 202].contains(&stand.buy(&sid, "u2").status)
    });
    assert_eq!(stand.buy(&sid, "u1").text("rid"), answer.text("rid"));
}
