//! A crowd against a small shop that answers as the proxy does.
//!
//! The whole road, with the real proxy, is tested in `demo/`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the shop stops the test at its first surprise"
)]

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use seckill_load::{Arrivals, LoadError, Plan, Progress, run};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

/// One unit a buyer, as long as there are units.
#[derive(Default)]
struct Shop {
    stock: u64,
    /// Nobody gets an answer before that.
    asleep_until: Option<Instant>,
    /// Every how manieth question gets a 503; 0: none.
    silent_every: u64,
    questions: u64,
    keys: HashSet<(String, String)>,
    rids: HashMap<String, u64>,
}

type Shared = Arc<Mutex<Shop>>;

async fn buy(
    State(shop): State<Shared>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    let asleep_until = shop.lock().unwrap().asleep_until;
    if let Some(then) = asleep_until {
        sleep_until(then).await;
    }
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (uid, key) = (header("x-user-id"), header("idempotency-key"));
    let mut shop = shop.lock().unwrap();
    shop.questions += 1;
    if shop.silent_every > 0 && shop.questions.is_multiple_of(shop.silent_every) {
        let body = r#"{"status":503,"code":"unavailable"}"#;
        return (StatusCode::SERVICE_UNAVAILABLE, body.to_owned());
    }
    shop.keys.insert((uid.clone(), key));
    let told = |seq: u64, status: &str| {
        format!(r#"{{"sid":"{sid}","rid":"7-{seq}","status":"{status}"}}"#)
    };
    if let Some(seq) = shop.rids.get(&uid) {
        return (StatusCode::OK, told(*seq, "duplicate"));
    }
    let seq = u64::try_from(shop.rids.len()).unwrap() + 1;
    if seq > shop.stock {
        let body = r#"{"status":410,"code":"sold_out"}"#;
        return (StatusCode::GONE, body.to_owned());
    }
    shop.rids.insert(uid, seq);
    (StatusCode::ACCEPTED, told(seq, "queued"))
}

async fn open(shop: Shop) -> (String, Shared) {
    let shop = Arc::new(Mutex::new(shop));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/seckill/{sid}", post(buy))
        .with_state(Arc::clone(&shop));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, shop)
}

fn plan(url: String, buyers: u32) -> Plan {
    Plan {
        url,
        buyers,
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_buyer_keeps_what_he_was_told() {
    let (url, shop) = open(Shop {
        stock: 100,
        ..Shop::default()
    })
    .await;
    let progress = Arc::new(Progress::default());
    let outcome = run(&plan(url, 300), &progress).await.unwrap();

    assert_eq!(outcome.tries, 900);
    assert_eq!(outcome.answers.accepted, 100);
    assert_eq!(outcome.answers.duplicate, 200);
    assert_eq!(outcome.answers.sold_out, 600);
    assert_eq!((outcome.given_up, outcome.unanswered_total()), (0, 0));
    assert_eq!(outcome.reservations(), 100);
    let shop = shop.lock().unwrap();
    assert_eq!(shop.keys.len(), 900, "each try has a key of its own");
    for told in &outcome.told {
        assert_eq!(told.rid.0.seq, shop.rids[told.uid.as_str()]);
        assert_eq!((told.accepted, told.duplicate), (1, 2));
    }
    let seen = progress.read();
    assert_eq!((seen.connected, seen.tries, seen.reserved), (300, 900, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_without_an_answer_is_asked_again_with_the_same_key() {
    let (url, shop) = open(Shop {
        stock: 10,
        silent_every: 3,
        ..Shop::default()
    })
    .await;
    let outcome = run(&plan(url, 50), &Arc::default()).await.unwrap();

    assert_eq!(outcome.answers.accepted, 10);
    assert_eq!(outcome.answers.duplicate + outcome.answers.sold_out, 140);
    assert_eq!(outcome.given_up, 0);
    assert_eq!(outcome.unanswered["status 503"], outcome.unanswered_total());
    let shop = shop.lock().unwrap();
    assert_eq!(shop.questions, 150 + outcome.unanswered_total());
    assert_eq!(shop.keys.len(), 150, "asking again is the same try");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_gives_up_when_no_answer_ever_comes() {
    let (url, _) = open(Shop {
        silent_every: 1,
        ..Shop::default()
    })
    .await;
    let plan = Plan {
        patience: Duration::from_millis(100),
        tries: 1,
        ..plan(url, 5)
    };
    let outcome = run(&plan, &Arc::default()).await.unwrap();
    assert_eq!(outcome.given_up, 5);
    assert!(outcome.unanswered_total() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_buyers_begin_together() {
    let (url, _) = open(Shop {
        stock: 1000,
        ..Shop::default()
    })
    .await;
    let progress = Arc::new(Progress::default());
    let outcome = run(&plan(url, 2000), &progress).await.unwrap();
    assert_eq!(outcome.answers.accepted, 1000);
    assert_eq!(outcome.unanswered_total(), 0);
    assert_eq!(progress.read().connected, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_at_his_time_has_waited_since_then_and_a_slow_shop_holds_nobody_back() {
    let asleep_until = Instant::now() + Duration::from_millis(1500);
    let (url, _) = open(Shop {
        stock: 40,
        asleep_until: Some(asleep_until),
        ..Shop::default()
    })
    .await;
    let arrivals: Arrivals = "40/1s".parse().unwrap();
    let plan = Plan {
        arrivals: Some(arrivals.clone()),
        tries: 5,
        ..plan(url, arrivals.count())
    };
    let progress = Arc::new(Progress::default());
    let outcome = run(&plan, &progress).await.unwrap();
    assert_eq!(progress.read().connected, 40);
    assert_eq!(outcome.answers.accepted, 40);
    assert_eq!(outcome.tries, 40, "who has a unit asks for no other one");
    // The last one came half a second before the shop woke up, the others earlier.
    assert!(outcome.latencies.min() >= 400_000, "{:?}", outcome.latency);
    assert!(outcome.latency.max >= 1_300_000, "{:?}", outcome.latency);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_use_all_their_tries_and_people_give_up_when_it_is_over() {
    let (url, shop) = open(Shop {
        stock: 1000,
        ..Shop::default()
    })
    .await;
    let arrivals: Arrivals = "100/1s".parse().unwrap();
    let plan = Plan {
        arrivals: Some(arrivals.clone()),
        bots_percent: 20,
        tries: 7,
        ..plan(url, arrivals.count())
    };
    let outcome = run(&plan, &Arc::default()).await.unwrap();
    assert_eq!(outcome.answers.accepted, 100);
    assert_eq!(outcome.answers.duplicate, 20 * 6);
    assert_eq!(shop.lock().unwrap().questions, outcome.tries);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_said_before_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = run(&plan(url, 1), &Arc::default()).await.unwrap_err();
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");
}
