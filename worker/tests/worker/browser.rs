//! The dashboard in a real browser: somebody warms a sale, watches it sell out, restocks and pauses
//! it, and looks for a buyer. With `SECKILL_PICTURES` it keeps pictures in that folder.

use crate::poison::NOT_U3;
use crate::screen::{TOKEN, with_token};
use crate::shop::{PATIENCE, Shop};
use seckill_testbed::{Browser, Proxy, Settings, User, Worker};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Enter, and the key that leads on.
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";

/// A window, and where its pictures go.
struct Window {
    browser: Browser,
    pictures: Option<PathBuf>,
}

// === impl Window ===

impl Window {
    /// The dashboard of this worker, at its door.
    fn open(shop: &Shop, worker: &Worker) -> Self {
        let browser = Browser::start(&shop.place).unwrap();
        let door = format!("http://{}/", worker.admin_address());
        browser.open(&door).unwrap();
        Self {
            browser,
            pictures: std::env::var_os("SECKILL_PICTURES").map(PathBuf::from),
        }
    }

    /// Waits until somebody sees this text there.
    fn sees(&self, selector: &str, text: &str) {
        self.browser.await_text(selector, text, PATIENCE).unwrap();
    }

    /// Clicks as soon as it can be clicked on.
    fn click(&self, selector: &str) {
        self.browser.await_click(selector, PATIENCE).unwrap();
    }

    fn button(&self, text: &str) {
        self.click(&format!("//button[not(@hidden)][starts-with(., '{text}')]"));
    }

    /// The last button of the dialog that is open.
    fn yes(&self) {
        self.click("dialog[open] button.main");
    }

    fn fill(&self, selector: &str, text: &str) {
        self.browser.await_fill(selector, text, PATIENCE).unwrap();
    }

    fn value(&self, script: &str) -> Value {
        self.browser.run(script).unwrap()
    }

    /// Pictures at a laptop and on a phone, in light and dark.
    fn picture(&self, name: &str) {
        let Some(folder) = &self.pictures else { return };
        std::fs::create_dir_all(folder).unwrap();
        for (device, width, height, phone) in
            [("desktop", 1366, 900, false), ("phone", 390, 844, true)]
        {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone,
            });
            self.browser
                .tool("Emulation.setDeviceMetricsOverride", &size)
                .unwrap();
            for scheme in ["light", "dark"] {
                self.scheme(scheme);
                // The charts are drawn anew.
                thread::sleep(Duration::from_millis(1500));
                let file = folder.join(format!("{name}-{device}-{scheme}.png"));
                std::fs::write(file, self.browser.picture().unwrap()).unwrap();
            }
        }
        self.browser
            .tool("Emulation.clearDeviceMetricsOverride", &json!({}))
            .unwrap();
        self.scheme("light");
    }

    fn scheme(&self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": feature });
        self.browser
            .tool("Emulation.setEmulatedMedia", &media)
            .unwrap();
    }

    /// Nothing is wider than the window.
    fn fits(&self) {
        let narrow = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        self.browser
            .tool("Emulation.setDeviceMetricsOverride", &narrow)
            .unwrap();
        let wide = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(self.value(wide).as_i64() <= Some(0), "wider than a phone");
        self.browser
            .tool("Emulation.clearDeviceMetricsOverride", &json!({}))
            .unwrap();
    }
}

/// Sends the crowd home when nobody watches any more, also when the watcher was disappointed.
struct Home<'a>(&'a AtomicBool);

impl Drop for Home<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Buyers who come as long as somebody watches: each wants one unit, and some pay.
fn crowd(shop: &Shop, proxy: &Proxy, sid: &str, stop: &AtomicBool) {
    let mut redis = shop.redis.connect(User::Proxy).unwrap();
    let window = crate::screen::Screen {
        address: proxy.address(),
        cookie: None,
    };
    let path = format!("/seckill/{sid}");
    for buyer in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let uid = format!("buyer-{buyer}");
        let answer = window.ask("POST", &path, &[("x-user-id", &uid)], "");
        let answer: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if let Some(rid) = answer["rid"].as_str()
            && buyer % 3 != 0
        {
            let mut pay = redis::cmd("SECKILL.CONFIRM");
            let _ = pay.arg(sid).arg(rid).exec(&mut redis);
        }
        thread::sleep(Duration::from_millis(25));
    }
}

#[test]
fn a_sale_is_warmed_watched_restocked_paused_and_searched_in_a_browser() {
    if !Browser::or_skip("the dashboard in a browser") {
        return;
    }
    let shop = Shop::open("browser");
    shop.query(
        "INSERT INTO stock VALUES (1001, 'Brass lamp', 120, 0, 0), (1002, 'Tea pot', 40, 0, 0)",
    );
    let proxy = Proxy::start(&shop.place, &Settings::proxy(&shop.redis).unwrap()).unwrap();
    let settings = with_token(&shop).with("admin.proxies", vec![proxy.admin_address()]);
    let worker = shop.run_with(&settings);
    let window = Window::open(&shop, &worker);
    window.sees("h1", "Seckill");
    window.picture("login");
    window.fill("#name", "Alice");
    window.fill("#token", "not the token of anybody");
    window.button("Log in");
    window.sees(".wrong", "not the token");
    // By keyboard: the wrong token is selected, so that typing replaces it.
    window.fill("#token", &format!("{TOKEN}{ENTER}"));
    window.sees("#who", "Alice");
    let refused = window.browser.complaints().unwrap();
    assert!(
        refused.iter().all(|line| line.contains("401")),
        "{refused:?}"
    );

    window.button("Warm a sale");
    window.fill("#ask-sid", "1001");
    window.fill("#ask-limit", "2");
    window.yes();
    window.sees("h1", "Brass lamp");
    window.sees(".hero .state", "open");
    window.sees(".big .available dd", "120");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _home = Home(&stop);
        scope.spawn(|| crowd(&shop, &proxy, "1001", &stop));
        window.sees(".hero .state", "sold out");
        window.sees(".big .available dd", "0");
        window.sees(".funnel", "sold out");
        window.picture("sale");
        window.fits();

        window.button("Restock");
        window.fill("#ask-delta", "500");
        window.yes();
        window.sees("#said", "+500 units");
        window.sees(".hero .state", "open");

        window.button("Pause");
        // Escape leaves everything as it is.
        window.browser.press(ESCAPE).unwrap();
        window.sees("body:not(:has(dialog))", "Brass lamp");
        window.sees(".hero .state", "open");
        window.button("Pause");
        window.picture("pause");
        window.yes();
        window.sees(".hero .state", "paused");
    });

    window.fill("#search", &format!("buyer-1{ENTER}"));
    window.sees(".reservation", "buyer-1");
    window.sees(".history", "granted");
    window.sees(".audit", "restock +500");
    window.picture("search");
    window.button("Reconcile");
    window.sees("dialog .compared", "Nothing differs");
    window.button("Done");

    // All sales, by keyboard: the way from the top to the first sale and into it.
    window.click("nav a");
    window.sees(".sales", "Brass lamp");
    window.picture("sales");
    window.fits();
    window.value("document.activeElement.blur(); window.scrollTo(0, 0)");
    for step in 0.. {
        let focused = window.value("return document.activeElement.className");
        if focused == "sale" {
            break;
        }
        assert!(step < 30, "the way to a sale by keyboard ends at {focused}");
        window.browser.press(TAB).unwrap();
    }
    let ring = window.value("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(ring, "solid", "who goes by keyboard sees where he is");
    window.browser.press(ENTER).unwrap();
    window.sees("h1", "Brass lamp");
    window.button("Resume");
    window.yes();
    window.sees(".hero .state", "open");
    window.click("nav a[data-page='audit']");
    window.sees(".audit", "resume");
    window.sees(".audit", "reconcile plan");
    window.picture("audit");
    window.button("Log out");
    window.sees("form", "Log in");
    assert_eq!(
        window.browser.complaints().unwrap(),
        [""; 0],
        "no script or style was refused"
    );
}

#[test]
fn a_dead_letter_is_seen_in_a_browser_until_somebody_deals_with_it() {
    if !Browser::or_skip("dead letters in a browser") {
        return;
    }
    let Some(shop) = Shop::with_kafka("browser-dead") else {
        return;
    };
    let worker = shop.run_with(&with_token(&shop));
    shop.sale(1001, 10, &["--hold", "60000"]);
    shop.query(NOT_U3);
    shop.buy(1001, 1, 5);
    let window = Window::open(&shop, &worker);
    window.fill("#name", "Alice");
    window.fill("#token", &format!("{TOKEN}{ENTER}"));
    let letters = "[data-name='Dead letters']";
    window.sees(&format!("{letters}.bad dd"), "1");
    window.sees(".troubles", "seckill-worker dead list");
    window.picture("dead");
    shop.chore(&["dead", "drop", "0:0"]).unwrap();
    window.sees(&format!("{letters}:not(.bad) dd"), "0");
}
