//! The buyer's page of the sample shop in a real browser, in both modes: somebody waits for the start,
//! buys and pays; somebody else comes when all is gone, and gets what another did not pay for. With
//! `SECKILL_PICTURES` it keeps pictures in that folder.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use redis::{Connection, FromRedisValue};
use seckill_testbed::{Browser, MariaDb, Place, Redis, Settings, Storefront, User, Worker};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longer than any hold in here, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long the sale lets its first buyer wait, ms: he has to see it.
const BEFORE_MS: u128 = 15_000;

/// The holds of those who do not pay, ms.
const HOLD_MS: &str = "20000";

/// For how long the proxy shows everybody what it has seen of a sale.
const SEEN: Duration = Duration::from_secs(1);

const ENTER: &str = "\u{e007}";

/// Everything that a buyer needs, and his window.
struct Evening {
    browser: Browser,
    redis: Connection,
    front: Storefront,
    pictures: Option<PathBuf>,
    _worker: Worker,
    _mariadb: MariaDb,
    _redis: Redis,
    _place: Place,
}

// === impl Evening ===

impl Evening {
    fn open(name: &str) -> Self {
        let place = Place::temporary(name).unwrap();
        let redis = Redis::start(&place).unwrap();
        let mariadb = MariaDb::start(&place).unwrap();
        let settings = Settings::worker(&redis, &mariadb).unwrap();
        Worker::command(&place, &settings, &["migrate"]).unwrap();
        mariadb
            .query("INSERT INTO stock VALUES (1001, 'One very good kettle', 2, 0, 0)")
            .unwrap();
        let proxy = Settings::proxy(&redis)
            .unwrap()
            .with("redis.deadline_ms", 2000);
        Self {
            front: Storefront::start(&place, &proxy).unwrap(),
            browser: Browser::start(&place).unwrap(),
            redis: redis.connect(User::Anything).unwrap(),
            pictures: std::env::var_os("SECKILL_PICTURES").map(PathBuf::from),
            _worker: Worker::start(&place, &settings).unwrap(),
            _mariadb: mariadb,
            _redis: redis,
            _place: place,
        }
    }

    fn redis<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (command, arguments) = words.split_first().unwrap();
        let mut command = redis::cmd(command);
        command.arg(arguments).query(&mut self.redis).unwrap()
    }

    /// What the module counts.
    fn units(&mut self) -> String {
        self.redis(&["SECKILL.AUDIT", "1001"])
    }

    fn visit(&self, path: &str) {
        let url = format!("{}{path}", self.front.proxy.url());
        self.browser.open(&url).unwrap();
    }

    /// When what the proxy has told everybody is no longer told.
    fn looks_again(&self, path: &str) {
        thread::sleep(SEEN);
        self.visit(path);
    }

    /// Waits until somebody sees this text there.
    fn sees(&self, selector: &str, text: &str) {
        self.browser.await_text(selector, text, PATIENCE).unwrap();
    }

    /// Clicks as soon as the button says so.
    fn button(&self, text: &str) {
        let selector = format!("//button[not(@hidden)][.='{text}']");
        self.browser.await_click(&selector, PATIENCE).unwrap();
    }

    fn timer(&self) -> String {
        self.browser.text("#timer").unwrap()
    }

    /// The clock moves.
    fn runs(&self) {
        let (before, deadline) = (self.timer(), Instant::now() + PATIENCE);
        while self.timer() == before {
            assert!(Instant::now() < deadline, "the clock stands at {before}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The same browser, and nothing in it that says who used it before.
    fn becomes_another_buyer(&self) {
        self.browser
            .run("localStorage.clear(); return null")
            .unwrap();
        self.browser
            .tool("Network.clearBrowserCookies", &json!({}))
            .unwrap();
    }

    /// One picture on a phone, and one at a laptop in the dark; and nothing is wider than the phone.
    fn picture(&self, name: &str) {
        for (device, width, height, phone, scheme) in [
            ("phone", 390, 844, true, "light"),
            ("desktop", 1280, 760, false, "dark"),
        ] {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
            });
            let media =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            let browser = &self.browser;
            browser
                .tool("Emulation.setDeviceMetricsOverride", &size)
                .unwrap();
            browser.tool("Emulation.setEmulatedMedia", &media).unwrap();
            let wide = "return document.documentElement.scrollWidth - window.innerWidth";
            let wide = browser.run(wide).unwrap();
            assert!(wide.as_i64() <= Some(0), "{name} is wider than a {device}");
            if let Some(folder) = &self.pictures {
                std::fs::create_dir_all(folder).unwrap();
                let file = folder.join(format!("{name}-{device}-{scheme}.png"));
                std::fs::write(file, browser.picture().unwrap()).unwrap();
            }
        }
    }
}

fn in_ms(ms: u128) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_millis() + ms).to_string()
}

/// From the first visitor to the last unit, at a page that sells in this mode.
fn evening(mode: &str, path: &str) {
    if !Browser::or_skip("the buyer's page in a browser") {
        return;
    }
    let mut evening = Evening::open(&format!("shop-{mode}"));
    evening.redis::<()>(&[
        "SECKILL.CREATE",
        "1001",
        "STOCK",
        "2",
        "START",
        &in_ms(BEFORE_MS),
    ]);

    // When it starts is seen before anybody asks.
    evening.visit(path);
    evening.sees("#headline", "Flash sale");
    evening.sees("#label", "It starts in");
    evening.runs();
    evening.picture("0-upcoming");
    // By keyboard: the button is the first thing that one comes to behind the shop's name.
    evening.browser.press("\u{e004}\u{e004}").unwrap();
    evening.browser.press(ENTER).unwrap();
    evening.sees("#headline", "It has not started yet");
    evening.sees("#label", "It starts in");
    evening.runs();
    let focused = evening.browser.run("return document.activeElement.id");
    assert_eq!(focused.unwrap(), "other", "who goes by keyboard goes on");
    evening.picture("1-not-started");
    // Nobody has to press anything at the start.
    evening.sees("#headline", "You have it");
    evening.sees("#label", "Pay within");
    evening.sees("#timer", "14:");
    evening.runs();
    evening.sees("#note", "Your order is written");
    evening.picture("2-pay-within");
    // Whoever loads the page again has the same one, and so does who asks again with its key.
    evening.visit(path);
    evening.sees("#headline", "You have it");
    let lost = "const name = `purchase ${location.pathname}`; \
         const purchase = JSON.parse(localStorage.getItem(name)); \
         delete purchase.rid; localStorage.setItem(name, JSON.stringify(purchase)); return null";
    evening.browser.run(lost).unwrap();
    evening.visit(path);
    evening.sees("#headline", "You have it");
    assert_eq!(
        evening.units(),
        "OK total=2 available=1 held=1 sold=0 reservations=1"
    );
    evening.button("Pay now");
    evening.sees("#headline", "Paid");
    evening.picture("3-paid");
    assert_eq!(
        evening.units(),
        "OK total=2 available=1 held=0 sold=1 reservations=1"
    );

    // The last unit is with somebody who does not pay, and everybody else waits for it.
    evening.becomes_another_buyer();
    evening.visit(path);
    evening.sees("#detail", "1 is left");
    evening.redis::<()>(&["SECKILL.ALTER", "1001", "HOLD", HOLD_MS]);
    let (_, his): (String, String) = evening.redis(&["SECKILL.TRY", "1001", "somebody"]);
    let pay =
        format!("return fetch('/pay{path}/{his}', {{ method: 'POST' }}).then((a) => a.status)");
    let paid = evening.browser.run(&pay).unwrap();
    assert_eq!(paid, 404, "nobody pays for what is not his");
    evening.looks_again(path);
    evening.sees(
        "#detail",
        "One is still held for a buyer who has not paid yet",
    );
    evening.button("Get me the next one");
    evening.sees("#headline", "Sold out for now");
    evening.sees(
        "#detail",
        "One is still held for a buyer who has not paid yet",
    );
    evening.runs();
    evening.picture("4-sold-out");
    evening.sees("#headline", "You have it");
    evening.sees("#timer", "00:");
    // He does not pay either.
    evening.sees("#headline", "The time to pay is over");
    evening.picture("5-too-late");
    evening.button("Try again");
    evening.sees("#headline", "You have it");
    evening.button("Give it back");
    evening.sees("#headline", "You do not have it any more");
    evening.button("Try again");
    evening.sees("#headline", "You have it");
    evening.button("Pay now");
    evening.sees("#headline", "Paid");

    evening.becomes_another_buyer();
    evening.looks_again(path);
    evening.sees("#headline", "Sold out");
    evening.sees("#detail", "All of them are sold");
    evening.redis::<()>(&["SECKILL.PAUSE", "1001"]);
    evening.looks_again(path);
    evening.button("Buy now");
    evening.sees("#headline", "The sale is paused");
    evening.redis::<()>(&["SECKILL.RESUME", "1001"]);
    evening.sees("#headline", "Sold out");
    evening.sees("#detail", "All of them are sold");
    assert!(
        evening
            .units()
            .starts_with("OK total=2 available=0 held=0 sold=2")
    );
    // The shop had one checkout for each reservation, and only in the mode that has any.
    let orders = shop(&evening, &[], "/orders");
    let orders: BTreeMap<String, u64> = serde_json::from_str(&orders).unwrap();
    assert_eq!(orders.len(), if mode == "forward" { 4 } else { 0 });
    // Whoever comes around the proxy gets nothing.
    let forged = [
        "--request",
        "POST",
        "--header",
        "Seckill-Sale: 1001",
        "--header",
        "Seckill-Reservation: 1-1",
    ];
    let answer = shop(&evening, &forged, "/checkout/1001");
    assert_eq!(answer, "not the proxy's word\n");

    let complaints = evening.browser.complaints().unwrap();
    // A browser counts each answer of 4xx among what went wrong; scripts and styles were not refused.
    let refused = |line: &&String| !line.contains("the server responded with a status of");
    assert_eq!(complaints.iter().find(refused), None);
}

/// The shop, asked around the proxy.
fn shop(evening: &Evening, words: &[&str], path: &str) -> String {
    let url = format!("http://{}{path}", evening.front.shop.address());
    let mut curl = Command::new("curl");
    let output = curl.args(["--silent"]).args(words).arg(url).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn buyers_wait_buy_pay_and_get_what_others_did_not_pay_for_in_mode_queue() {
    evening("queue", "/seckill/1001");
}

#[test]
fn and_in_mode_forward_where_the_shop_answers() {
    evening("forward", "/checkout/1001");
}
