//! A Redis that is more than one server, or reached over TLS.

use crate::shop::{PATIENCE, Shop, await_true};
use seckill_testbed::{
    Authority, Certificate, Cluster, MariaDb, Part, Place, Redis, Sentinel, Settings, User, Worker,
};
use std::collections::HashMap;
use std::time::Instant;
use toml::Table;

/// What the sentinels call the primary.
const MASTER: &str = "seckill";

fn file(path: &std::path::Path) -> Table {
    let mut table = Table::new();
    table.insert("file".to_owned(), path.display().to_string().into());
    table
}

#[test]
fn a_redis_that_is_asked_over_tls_knows_the_workers_certificate() {
    let mut shop = Shop::empty("servers-tls");
    let authority = Authority::new(&shop.place).unwrap();
    shop.redis = Redis::start_with_tls(&shop.place, &authority).unwrap();
    let Certificate { cert, key } = authority.certify("worker").unwrap();
    let settings = Settings::worker(&shop.redis, &shop.db).unwrap();
    let url = shop.redis.tls_url(User::Worker).unwrap();
    shop.settings = settings
        .with("redis.url", url)
        .with("redis.tls.ca", file(&authority.cert()))
        .with("redis.tls.cert", file(&cert))
        .with("redis.tls.key", file(&key));
    shop.chore(&["migrate"]).unwrap();
    let _worker = shop.run();
    shop.sale(1001, 10, &["--hold", "0"]);
    shop.buy(1001, 1, 5);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

#[test]
fn the_primary_that_sentinels_put_in_the_place_of_a_dead_one_is_followed() {
    let mut shop = Shop::open("servers-sentinel");
    let replica = Redis::start_replica(&shop.place, &shop.redis).unwrap();
    let sentinels: Vec<Sentinel> = (0..3)
        .map(|_| Sentinel::start(&shop.place, MASTER, &shop.redis, 2).unwrap())
        .collect();
    await_true("the sentinels know each other", || {
        let know = |sentinel: &Sentinel| sentinel.knows(MASTER, 1, 2).unwrap();
        sentinels.iter().all(know)
    });
    let addresses: Vec<String> = sentinels.iter().map(Sentinel::address).collect();
    shop.settings = shop
        .settings
        .with("redis.sentinels", addresses)
        .with("redis.master", MASTER);
    let _worker = shop.run();
    shop.sale(1001, 100, &["--hold", "0"]);
    shop.buy(1001, 1, 20);
    shop.await_stored(1001);

    // What is asked from here on is asked of the new primary.
    let mut old = std::mem::replace(&mut shop.redis, replica);
    old.kill().unwrap();
    await_true("the fence has fallen", || {
        shop.info(1001)["state"] == "open" && is_primary(&shop.redis)
    });
    shop.buy(1001, 21, 20);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).live, 40);
    shop.sale(1002, 10, &["--hold", "0"]);
    shop.buy(1002, 1, 3);
    shop.await_stored(1002);
}

fn is_primary(redis: &Redis) -> bool {
    let mut connection = redis.connect(User::Anything).unwrap();
    let info: String = redis::cmd("INFO")
        .arg("replication")
        .query(&mut connection)
        .unwrap();
    info.contains("role:master")
}

/// A shop on a cluster.
struct Town {
    place: Place,
    cluster: Cluster,
    db: MariaDb,
    settings: Settings,
}

impl Town {
    fn open(name: &str) -> Self {
        let place = Place::temporary(name).unwrap();
        let cluster = Cluster::start(&place).unwrap();
        let db = MariaDb::start(&place).unwrap();
        cluster.nodes().for_each(miss_quickly);
        let nodes: Vec<String> = cluster.nodes().map(address).collect();
        let settings = Settings::worker(cluster.node(0).unwrap(), &db).unwrap();
        let town = Self {
            settings: settings.with("redis.cluster", nodes),
            place,
            cluster,
            db,
        };
        town.chore(&["migrate"]);
        town
    }

    fn chore(&self, words: &[&str]) -> String {
        Worker::command(&self.place, &self.settings, words).unwrap()
    }

    fn sale(&self, sid: u32) {
        let row = format!("INSERT INTO stock VALUES ({sid}, 'Lamp', 1000, 0, 0)");
        self.db.query(&row).unwrap();
        let said = self.chore(&["warm", &sid.to_string(), "--hold", "0"]);
        assert!(said.contains("created"), "{said}");
    }

    /// At the node that has the sale, which may be a replica that has taken over.
    fn buy(node: &Redis, sid: u32, first: u32, buyers: u32) {
        let mut connection = node.connect(User::Proxy).unwrap();
        for buyer in first..first + buyers {
            let mut ask = redis::cmd("SECKILL.TRY");
            ask.arg(sid).arg(format!("u{buyer}"));
            let (verdict, _): (String, String) = ask.query(&mut connection).unwrap();
            assert_eq!(verdict, "ACCEPTED", "{sid} u{buyer}");
        }
    }

    fn await_orders(&self, sid: u32, orders: u32) {
        let count =
            format!("SELECT COUNT(DISTINCT uid), COUNT(*) FROM stock_order WHERE sid = {sid}");
        let sale = format!("SELECT sale FROM stock WHERE id = {sid}");
        let orders = orders.to_string();
        await_true(&format!("sale {sid} has {orders} orders"), || {
            self.db.query(&count).unwrap() == [[orders.clone(), orders.clone()]]
                && self.db.query(&sale).unwrap() == [[orders.clone()]]
        });
    }

    fn node_of(&self, sid: u32) -> usize {
        let slot = self.cluster.slot_of(&sid.to_string()).unwrap();
        self.cluster.owner_of(slot).unwrap()
    }
}

/// A dead node's replica takes over after a second.
fn miss_quickly(node: &Redis) {
    let mut connection = node.connect(User::Anything).unwrap();
    let words = ["SET", "cluster-node-timeout", "1000"];
    redis::cmd("CONFIG")
        .arg(&words)
        .exec(&mut connection)
        .unwrap();
}

fn address(node: &Redis) -> String {
    format!("127.0.0.1:{}", node.port())
}

fn info(node: &Redis, sid: u32) -> HashMap<String, String> {
    let mut connection = node.connect(User::Anything).unwrap();
    let mut ask = redis::cmd("SECKILL.INFO");
    ask.arg(sid).query(&mut connection).unwrap_or_default()
}

#[test]
fn the_sales_of_every_node_are_relayed_while_slots_move_and_a_replica_takes_over() {
    let mut town = Town::open("servers-cluster");
    let replica = town.cluster.start_replica(&town.place, 0).unwrap();
    miss_quickly(&replica);
    let worker = Worker::start(&town.place, &town.settings).unwrap();
    let sids: Vec<u32> = (1..=9).collect();
    for &sid in &sids {
        town.sale(sid);
        Town::buy(town.cluster.node(town.node_of(sid)).unwrap(), sid, 1, 10);
    }
    let homes: Vec<usize> = sids.iter().map(|&sid| town.node_of(sid)).collect();
    assert!((0..3).all(|node| homes.contains(&node)), "{homes:?}");
    for &sid in &sids {
        town.await_orders(sid, 10);
    }

    // A sale moves from the second node to the third; the old node says ASK, and then MOVED.
    let moved = *sids.iter().find(|&&sid| town.node_of(sid) == 1).unwrap();
    let slot = town.cluster.slot_of(&moved.to_string()).unwrap();
    let open = town.cluster.open_move(slot, 2).unwrap();
    let mut ahead = town.cluster.node(2).unwrap().connect(User::Proxy).unwrap();
    let mut both = redis::pipe();
    both.cmd("ASKING").ignore();
    both.cmd("SECKILL.TRY").arg(moved).arg("ahead");
    let ((verdict, _),): ((String, String),) = both.query(&mut ahead).unwrap();
    assert_eq!(verdict, "ACCEPTED");
    town.await_orders(moved, 11);
    open.close().unwrap();
    Town::buy(town.cluster.node(2).unwrap(), moved, 11, 10);
    town.await_orders(moved, 21);

    // The first node dies, and its replica has all that MySQL has: the fence falls by itself.
    let lost: Vec<u32> = sids
        .iter()
        .copied()
        .filter(|&sid| town.node_of(sid) == 0)
        .collect();
    town.cluster.node_mut(0).unwrap().kill().unwrap();
    let since = Instant::now();
    for &sid in &lost {
        await_true(&format!("sale {sid} sells again"), || {
            info(&replica, sid)
                .get("state")
                .is_some_and(|state| state == "open")
        });
        Town::buy(&replica, sid, 11, 10);
        town.await_orders(sid, 20);
    }
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    let log = std::fs::read_to_string(worker.log()).unwrap();
    assert!(!log.contains("ALARM"), "{log}");
}
