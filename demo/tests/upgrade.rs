//! Every part is replaced in the middle of a sale, as docs/upgrade.md says it is done.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at its first surprise"
)]

use seckill_testbed::{
    Cluster, Kafka, MariaDb, Part, Place, Proxy, Redis, SampleShop, Settings, User, Worker,
};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const SID: &str = "1001";

/// How long buyers, servers and books may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What buyers heard.
#[derive(Default)]
struct Heard {
    /// Reservations by buyer.
    accepted: Mutex<BTreeMap<String, String>>,
    over: AtomicBool,
}

impl Heard {
    fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Buyers who come one after the other, each until he has a unit. Nobody may be left without an
    /// answer: a replacement refuses no connection and cuts none off.
    fn buy(&self, address: &str, name: &str) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let uid = format!("{name}-{number}");
            let since = Instant::now();
            loop {
                assert!(since.elapsed() < PATIENCE, "{uid} does not get through");
                let answer = ask(address, &uid).unwrap();
                let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
                // A purchase whose answer was late is told when its buyer asks again.
                if head.starts_with("HTTP/1.1 202") || head.starts_with("HTTP/1.1 200") {
                    let rid = between(body, "\"rid\":\"", "\"").expect(body);
                    let before = self
                        .accepted
                        .lock()
                        .unwrap()
                        .insert(uid.clone(), rid.to_owned());
                    assert_eq!(before, None);
                    break;
                }
                assert!(head.starts_with("HTTP/1.1 503"), "{answer}");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Waits until more buyers have got a unit: the sale goes on.
    fn await_more(&self, step: &str) {
        let wanted = self.count() + 20;
        let since = Instant::now();
        while self.count() < wanted {
            assert!(since.elapsed() < PATIENCE, "{step}: nobody buys any more");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn ask(address: &str, uid: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /seckill/{SID} HTTP/1.1\r\nHost: shop\r\nX-User-Id: {uid}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// Says that it is over, also when an assertion fails: whoever waits for it is joined then.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts again what ends, as systemd does with Redis.
fn keep_alive(nodes: &[Mutex<Box<dyn Part + Send>>], over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for node in nodes {
            let mut node = node.lock().unwrap();
            if !node.is_running() {
                node.restart().unwrap();
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn upgrade_redis(url: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/upgrade-redis.sh");
    let output = Command::new(script).arg(url).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

#[test]
fn every_part_is_replaced_in_the_middle_of_a_sale_and_nobody_loses_anything() {
    if !Kafka::or_skip("an upgrade in the middle of a sale") {
        return;
    }
    let place = Place::temporary("upgrade").unwrap();
    let mariadb = MariaDb::start(&place).unwrap();
    let kafka = Kafka::start(&place).unwrap();
    let cluster = Cluster::start(&place).unwrap();
    let replicas: Vec<Redis> = (0..cluster.nodes().len())
        .map(|primary| cluster.start_replica(&place, primary).unwrap())
        .collect();
    let node = |redis: &Redis| format!("127.0.0.1:{}", redis.port());
    let nodes: Vec<String> = cluster.nodes().map(node).collect();
    let url = cluster.node(0).unwrap().url(User::Anything);

    let first = cluster.node(0).unwrap();
    let settings = Settings::worker(first, &mariadb)
        .unwrap()
        .kafka(&kafka)
        .with("redis.cluster", nodes.clone());
    Worker::command(&place, &settings, &["migrate"]).unwrap();
    let insert = format!(
        "INSERT INTO stock (id, name, count, sale, version) VALUES ({SID}, 'a thing', 1000000, 0, 0)"
    );
    mariadb.query(&insert).unwrap();
    Worker::command(&place, &settings, &["warm", SID, "--hold", "900000"]).unwrap();
    let mut workers: Vec<Worker> = (0..2)
        .map(|_| Worker::start(&place, &settings).unwrap())
        .collect();
    let shop = SampleShop::start(&place).unwrap();
    let sockets = tempfile::Builder::new().prefix("up-").tempdir().unwrap();
    let mut proxies: Vec<Proxy> = (0..2)
        .map(|number| {
            let socket = sockets.path().join(format!("{number}/upgrade.sock"));
            let settings = Settings::proxy(first)
                .unwrap()
                .with("redis.cluster", nodes.clone())
                .with("shop.upstream", shop.address())
                .with("upgrade.socket", socket.to_str().unwrap());
            Proxy::start(&place, &settings).unwrap()
        })
        .collect();

    let redis: Vec<Mutex<Box<dyn Part + Send>>> = cluster
        .into_parts()
        .chain(replicas.into_iter().map(|replica| Box::new(replica) as _))
        .map(Mutex::new)
        .collect();
    let pids = || -> Vec<u32> {
        redis
            .iter()
            .map(|node| node.lock().unwrap().pid())
            .collect()
    };
    let started = pids();
    let heard = Arc::new(Heard::default());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| keep_alive(&redis, &over));
        let _over = AtTheEnd(&over);
        let buyers: Vec<_> = (0..4)
            .map(|number| {
                let heard = Arc::clone(&heard);
                let address = proxies[number % 2].address();
                thread::spawn(move || heard.buy(&address, &format!("b{number}")))
            })
            .collect();
        heard.await_more("the sale");
        for proxy in &mut proxies {
            let old = proxy.pid();
            proxy.replace().unwrap();
            assert_ne!(proxy.pid(), old);
            heard.await_more("a proxy was replaced");
        }
        for worker in &mut workers {
            worker.restart().unwrap();
            heard.await_more("a worker was replaced");
        }
        let said = upgrade_redis(&url);
        assert!(said.ends_with("every node was restarted\n"), "{said}");
        heard.await_more("Redis was replaced");
        heard.over.store(true, Ordering::Relaxed);
        for buyer in buyers {
            buyer.join().unwrap();
        }
    });
    assert!(
        started.iter().zip(pids()).all(|(old, new)| *old != new),
        "a node was left out"
    );

    let accepted = heard.accepted.lock().unwrap();
    let since = Instant::now();
    loop {
        let count = mariadb
            .query(&format!(
                "SELECT COUNT(*) FROM stock_order WHERE sid = {SID}"
            ))
            .unwrap();
        if count[0][0] == accepted.len().to_string() {
            break;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{count:?} orders of {} accepted buyers",
            accepted.len()
        );
        thread::sleep(Duration::from_millis(100));
    }
    let rows = mariadb
        .query(&format!(
            "SELECT uid, rid FROM stock_order WHERE sid = {SID} AND status = 'held'"
        ))
        .unwrap();
    let orders: BTreeMap<String, String> = rows
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    assert_eq!(
        orders, *accepted,
        "each with the reservation that he was told"
    );
    let sale = mariadb
        .query(&format!("SELECT sale FROM stock WHERE id = {SID}"))
        .unwrap();
    assert_eq!(sale[0][0], accepted.len().to_string());
}
