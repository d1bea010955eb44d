//! Mode `forward`: the shop answers, and its answer decides over the reservation.

use crate::stand::{
    Client, Response, Stand, eventually, field_of, get, post, query, request, settings,
};
use seckill_testbed::{Part, Place, Proxy, Redis};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The reservation that the first acceptance made.
fn rid(stand: &Stand, sid: &str) -> String {
    let events: Vec<String> = stand.redis(&["SECKILL.EVENTS", sid, "FORMAT", "text"]);
    let accepted = events.iter().find(|event| event.contains(" accepted "));
    let (id, _) = accepted.unwrap().split_once(' ').unwrap();
    id.to_owned()
}

#[test]
fn the_shop_is_told_who_bought_what() {
    let stand = Stand::start("told", "forward confirm");
    stand.create("1001", &["STOCK", "10", "LIMIT", "5"]);
    let headers = [
        ("X-User-Id", "Žofie 7"),
        ("Seckill-User", "forged"),
        ("Seckill_Quantity", "99"),
        ("Connection", "Seckill-Reservation, Seckill-User"),
    ];
    let asked = request("POST", "/seckill/1001?qty=2", &headers, "size=large");
    let answer = stand.client().ask(&asked);
    assert_eq!(answer.status, 201);
    let rid = answer.text("reservation");
    assert_eq!(answer.text("sale"), "1001");
    assert_eq!(answer.text("user"), "Žofie 7");
    assert_eq!(answer.text("quantity"), "2");
    assert_eq!(stand.reservation("1001", &rid, "state"), "confirmed");
    assert_eq!(stand.reservation("1001", &rid, "uid"), "Žofie 7");
    assert_eq!(stand.info("1001", "sold"), "2");
}

#[test]
fn the_shops_answer_decides_over_the_reservation() {
    for (on_success, status, state, available) in [
        ("confirm", 200, "confirmed", "9"),
        ("confirm", 201, "confirmed", "9"),
        ("confirm", 303, "held", "9"),
        ("confirm", 402, "cancelled", "10"),
        ("confirm", 409, "cancelled", "10"),
        ("confirm", 500, "held", "9"),
        ("confirm", 503, "held", "9"),
        ("hold", 201, "held", "9"),
        ("hold", 409, "cancelled", "10"),
        ("hold", 500, "held", "9"),
    ] {
        let stand = Stand::start("decides", &format!("forward {on_success}"));
        stand.create("1001", &["STOCK", "10"]);
        let asked = post(&format!("/seckill/1001?answer={status}"), "u7");
        let answer = stand.client().ask(&asked);
        assert_eq!(answer.status, status);
        // By the time that the buyer knows, Redis knows.
        let rid = answer.text("reservation");
        let now = stand.reservation("1001", &rid, "state");
        assert_eq!(now, state, "{on_success} {status}");
        assert_eq!(stand.info("1001", "available"), available);
    }
}

#[test]
fn a_rejection_never_reaches_the_shop() {
    let stand = Stand::start("rejected", "forward confirm");
    stand.create("1001", &["STOCK", "1"]);
    assert_eq!(stand.buy("1001", "u1").status, 201);
    for buyer in 2..10 {
        let answer = stand.buy("1001", &format!("u{buyer}"));
        assert_eq!(answer.problem(), (410, "sold_out".to_owned()));
    }
    assert_eq!(stand.orders().as_object().unwrap().len(), 1);
}

#[test]
fn who_asks_again_gets_the_same_reservation_and_a_no_to_that_cancels_nothing() {
    let stand = Stand::start("again", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let buy = |answer: u16| -> Response {
        let path = format!("/seckill/1001?answer={answer}");
        stand.client().ask(&post(&path, "u7"))
    };
    let first = buy(500);
    let rid = first.text("reservation");
    assert_eq!(stand.reservation("1001", &rid, "state"), "held");
    let no = buy(409);
    assert_eq!(no.text("reservation"), rid);
    assert_eq!(stand.reservation("1001", &rid, "state"), "held");
    let yes = buy(201);
    assert_eq!(yes.text("reservation"), rid);
    assert_eq!(stand.reservation("1001", &rid, "state"), "confirmed");
    assert_eq!(stand.info("1001", "sold"), "1");
}

#[test]
fn a_repetition_is_for_the_units_of_the_first_request() {
    let stand = Stand::start("units", "forward");
    stand.create("1001", &["STOCK", "10", "LIMIT", "5"]);
    let buy = |qty: u32| {
        let headers = [("X-User-Id", "u7"), ("Idempotency-Key", "k1")];
        let path = format!("/seckill/1001?qty={qty}");
        stand.client().ask(&request("POST", &path, &headers, ""))
    };
    assert_eq!(buy(1).text("quantity"), "1");
    assert_eq!(buy(5).text("quantity"), "1");
    assert_eq!(stand.info("1001", "held"), "1");
}

#[test]
fn the_shop_is_not_asked_to_sell_what_was_given_back() {
    let stand = Stand::start("gone", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let buy = |key: &str, answer: u16| {
        let headers = [("X-User-Id", "u7"), ("Idempotency-Key", key)];
        let path = format!("/seckill/1001?answer={answer}");
        stand.client().ask(&request("POST", &path, &headers, ""))
    };
    assert_eq!(buy("k1", 402).status, 402);
    let again = buy("k1", 201);
    assert_eq!(again.problem(), (409, "reservation_gone".to_owned()));
    assert_eq!(buy("k2", 201).status, 201);
    assert_eq!(stand.info("1001", "sold"), "1");
}

#[test]
fn the_shop_is_asked_about_a_reservation_by_one_request_at_a_time() {
    let stand = Stand::start("turns", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let path = "/seckill/1001?delay_ms=1500&answer=402";
            stand.client().ask(&post(path, "u7"))
        });
        eventually("the first is accepted", || {
            stand.info("1001", "held") == "1"
        });
        let second = stand.buy("1001", "u7");
        assert_eq!(second.problem(), (409, "in_progress".to_owned()));
        assert!(matches!(second.retry_after_s(), Some(1..=2)), "{second:?}");
        assert_eq!(slow.join().unwrap().status, 402);
    });
    assert_eq!(stand.buy("1001", "u7").status, 201);
    assert_eq!(stand.info("1001", "sold"), "1");
}

#[test]
fn hanging_up_does_not_undo_a_purchase() {
    let stand = Stand::start("hangup", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let mut client = stand.client();
    client.send(&post("/seckill/1001?delay_ms=700", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    client.stream.shutdown(Shutdown::Both).unwrap();
    drop(client);
    eventually("confirmed", || stand.info("1001", "sold") == "1");
    let rid = rid(&stand, "1001");
    assert_eq!(stand.orders(), json!({ format!("1001 {rid}"): 1 }));
}

#[test]
fn tearing_the_connection_down_leaves_the_units_to_the_buyer() {
    let stand = Stand::start("reset", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let mut client = stand.client();
    client.send(&post("/seckill/1001?delay_ms=700", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    reset(client.stream);
    thread::sleep(Duration::from_millis(1500));
    let rid = rid(&stand, "1001");
    let state = stand.reservation("1001", &rid, "state");
    assert!(["held", "confirmed"].contains(&&*state), "{state}");
    let again = stand.buy("1001", "u7");
    assert_eq!(again.status, 201);
    assert_eq!(again.text("reservation"), rid);
    assert_eq!(stand.info("1001", "sold"), "1");
    assert_eq!(stand.info("1001", "available"), "9");
}

/// Closes so that the other side gets a reset and not a farewell.
fn reset(stream: TcpStream) {
    let socket = redis::io::tcp::socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_shop_that_is_down_costs_nobody_his_units() {
    let mut stand = Stand::start("down", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    stand.shop.kill().unwrap();
    let answer = stand.buy("1001", "u7");
    assert_eq!(answer.problem(), (502, "shop_unavailable".to_owned()));
    assert!(matches!(answer.retry_after_s(), Some(1..=2)), "{answer:?}");
    let rid = rid(&stand, "1001");
    assert_eq!(stand.reservation("1001", &rid, "state"), "held");
    stand.shop.restart().unwrap();
    let again = stand.buy("1001", "u7");
    assert_eq!(again.status, 201);
    assert_eq!(again.text("reservation"), rid);
    assert_eq!(stand.info("1001", "sold"), "1");
}

#[test]
fn a_confirmation_that_redis_did_not_answer_is_made_up_for() {
    let mut stand = Stand::start_with("late", "forward confirm", |settings| {
        settings.with("redis.deadline_ms", 50)
    });
    stand.create("1001", &["STOCK", "10"]);
    let mut client = stand.client();
    client.send(&post("/seckill/1001?delay_ms=500", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    stand.redis.freeze().unwrap();
    let since = Instant::now();
    assert_eq!(client.read().status, 201);
    assert!(since.elapsed() < Duration::from_secs(2));
    thread::sleep(Duration::from_millis(1500));
    stand.redis.thaw().unwrap();
    eventually("confirmed", || stand.info("1001", "sold") == "1");
}

/// A shop that closes every connection after one answer without having said so: whoever uses it
/// again at that moment cannot know whether his request arrived.
fn rude_shop() -> (String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (posts, kept) = (Arc::default(), Arc::default());
    let counters: (Arc<AtomicUsize>, Arc<AtomicUsize>) = (Arc::clone(&posts), Arc::clone(&kept));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (posts, kept) = counters.clone();
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                if head.starts_with("post") {
                    posts.fetch_add(1, Ordering::Relaxed);
                    if !head.contains("connection: close") {
                        kept.fetch_add(1, Ordering::Relaxed);
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
                // Closed at once or a moment later: before, while or after it is used again.
                thread::sleep(Duration::from_micros((head.len() as u64 * 37) % 900));
            });
        }
    });
    (address, posts, kept)
}

#[test]
fn a_purchase_is_sent_once_over_a_connection_that_cannot_be_stale() {
    let (address, posts, kept) = rude_shop();
    let place = Place::temporary("stale").unwrap();
    let redis = Redis::start(&place).unwrap();
    let settings = settings(&redis, "forward confirm").with("shop.upstream", address);
    let proxy = Proxy::start(&place, &settings).unwrap();
    let mut operator = redis.connect(seckill_testbed::User::Anything).unwrap();
    query::<()>(&mut operator, &["SECKILL.CREATE", "1001", "STOCK", "300"]);
    let mut client = Client::connect(&proxy.address());
    for buyer in 0..300 {
        // Leaves a connection in the proxy's pool that is about to be closed.
        assert_eq!(client.ask(&get("/", "")).status, 201);
        let bought = client.ask(&post("/seckill/1001", &format!("u{buyer}")));
        assert_eq!(bought.status, 201, "{buyer}");
    }
    assert_eq!(posts.load(Ordering::Relaxed), 300);
    assert_eq!(kept.load(Ordering::Relaxed), 0);
    let info: Vec<redis::Value> = query(&mut operator, &["SECKILL.INFO", "1001"]);
    assert_eq!(field_of(&info, "sold"), "300");
}
