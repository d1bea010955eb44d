//! What the tests share: Redis, shop and proxy on free ports, and a client that speaks HTTP by
//! hand, so that a test sees what is on the wire and not what a library makes of it.

use crate::process::signal;
use redis::{Connection, FromRedisValue};
use seckill_testbed::{Part, Place, Proxy, Redis, SampleShop, Settings, User};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use toml::Table;

/// Longer than anything that works, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) shop: SampleShop,
    pub(crate) proxy: Proxy,
    place: Place,
    settings: Settings,
}

impl Stand {
    /// One route, `/seckill/{sid}`.
    pub(crate) fn start(name: &str, mode: &str) -> Self {
        Self::start_with(name, mode, |settings| settings)
    }

    pub(crate) fn start_with(
        name: &str,
        mode: &str,
        change: impl Fn(Settings) -> Settings,
    ) -> Self {
        let place = Place::temporary(name).unwrap();
        let redis = Redis::start(&place).unwrap();
        Self::around(place, redis, mode, change)
    }

    /// With a Redis of its own kind.
    pub(crate) fn around(
        place: Place,
        redis: Redis,
        mode: &str,
        change: impl Fn(Settings) -> Settings,
    ) -> Self {
        let shop = SampleShop::start(&place).unwrap();
        let settings = change(settings(&redis, mode).with("shop.upstream", shop.address()));
        let proxy = Proxy::start(&place, &settings).unwrap();
        Self {
            redis,
            shop,
            proxy,
            place,
            settings,
        }
    }

    /// Another proxy for the same sales.
    pub(crate) fn second_proxy(&self) -> Proxy {
        Proxy::start(&self.place, &self.settings).unwrap()
    }

    /// Changes the configuration and has it read again.
    pub(crate) fn renew(&self, change: impl FnOnce(Settings) -> Settings) {
        let settings = change(self.settings.clone());
        self.proxy.rewrite(&settings).unwrap();
        signal(self, "-HUP");
    }

    /// What the proxy wrote into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.proxy.log()).unwrap()
    }

    /// One of the proxy's counters; 0 if it has not counted that yet.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let page = self.admin("/metrics");
        let line = page.body.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// A page of the proxy's own.
    pub(crate) fn admin(&self, path: &str) -> Response {
        Client::connect(&self.proxy.admin_address()).ask(&get(path, ""))
    }

    /// How often a command was called, and how often it was refused before that.
    pub(crate) fn calls(&self, command: &str) -> (u64, u64) {
        let stats: String = self.redis(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:");
        let line = stats.lines().find_map(|line| line.strip_prefix(&start));
        let number = |name: &str| {
            let mut fields = line?.split(',');
            let value = fields.find_map(|field| field.strip_prefix(name))?;
            value.trim().parse().ok()
        };
        let [calls, refused] = ["calls=", "rejected_calls="].map(number);
        (calls.unwrap_or(0), refused.unwrap_or(0))
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.proxy.address())
    }

    /// A buy by one buyer on a connection of its own.
    pub(crate) fn buy(&self, sid: &str, uid: &str) -> Response {
        self.client().ask(&post(&format!("/seckill/{sid}"), uid))
    }

    pub(crate) fn redis<T: FromRedisValue>(&self, words: &[&str]) -> T {
        query(&mut self.redis.connect(User::Anything).unwrap(), words)
    }

    pub(crate) fn create(&self, sid: &str, options: &[&str]) {
        let words = [&["SECKILL.CREATE", sid], options].concat();
        self.redis::<()>(&words);
    }

    /// A field of `SECKILL.GET`.
    pub(crate) fn reservation(&self, sid: &str, rid: &str, field: &str) -> String {
        let reply: Vec<redis::Value> = self.redis(&["SECKILL.GET", sid, rid]);
        field_of(&reply, field)
    }

    /// A field of `SECKILL.INFO`.
    pub(crate) fn info(&self, sid: &str, field: &str) -> String {
        let reply: Vec<redis::Value> = self.redis(&["SECKILL.INFO", sid]);
        field_of(&reply, field)
    }

    /// How often the shop saw a checkout of each reservation.
    pub(crate) fn orders(&self) -> Value {
        Client::connect(&self.shop.address())
            .ask(&get("/orders", ""))
            .json()
    }
}

/// The shipped settings with one route, and with patience for a machine that does ten other things.
pub(crate) fn settings(redis: &Redis, mode: &str) -> Settings {
    let (mode, on_success) = mode.split_once(' ').unwrap_or((mode, ""));
    let mut route = Table::new();
    route.insert("path".to_owned(), "/seckill/{sid}".into());
    route.insert("mode".to_owned(), mode.into());
    if !on_success.is_empty() {
        route.insert("on_success".to_owned(), on_success.into());
    }
    Settings::proxy(redis)
        .unwrap()
        .with("redis.deadline_ms", 1000)
        .with("route", vec![route])
}

pub(crate) fn query<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> T {
    let (command, arguments) = words.split_first().unwrap();
    redis::cmd(command)
        .arg(arguments)
        .query(connection)
        .unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// A value of a reply that is a map.
pub(crate) fn field_of(reply: &[redis::Value], name: &str) -> String {
    let at = reply
        .chunks(2)
        .find(|pair| redis::from_redis_value::<String>(pair[0].clone()).unwrap() == name);
    redis::from_redis_value(at.unwrap()[1].clone()).unwrap()
}

/// Buyers who all ask before the first reads his answer, each on a connection of his own.
pub(crate) fn crowd(address: &str, requests: &[String]) -> Vec<Response> {
    let connect = |request| (Client::connect(address), request);
    let mut buyers: Vec<(Client, &String)> = requests.iter().map(connect).collect();
    for (client, request) in &mut buyers {
        client.send(request);
    }
    buyers.iter_mut().map(|(client, _)| client.read()).collect()
}

/// The Unix time in milliseconds, so long from now.
pub(crate) fn in_ms(ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now + Duration::from_millis(ms)).as_millis().to_string()
}

/// Ends what goes on beside a test, also when the test fails.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn post(path: &str, uid: &str) -> String {
    request("POST", path, &[("X-User-Id", uid)], "")
}

pub(crate) fn get(path: &str, uid: &str) -> String {
    request("GET", path, &[("X-User-Id", uid)], "")
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: shop.test\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn ask(&mut self, request: &str) -> Response {
        self.send(request);
        self.read()
    }

    pub(crate) fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).unwrap();
    }

    pub(crate) fn read(&mut self) -> Response {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more(), "closed in the middle of a head");
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response {
            status,
            head,
            body: String::new(),
        };
        if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.unread.len() < length {
                assert!(self.more(), "closed in the middle of a body");
            }
            let body = self.unread.drain(..length).collect();
            response.body = String::from_utf8(body).unwrap();
        }
        response
    }

    /// Whether the other side closes, as opposed to waiting for more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.is_closed_within(Duration::from_millis(500))
    }

    pub(crate) fn is_closed_within(&mut self, limit: Duration) -> bool {
        assert!(self.unread.is_empty(), "more than one answer");
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let mut byte = [0];
        let closed = match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => panic!("an answer that nobody asked for"),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        closed
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let length = self.stream.read(&mut buffer).unwrap();
        self.unread.extend(&buffer[..length]);
        length > 0
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn text(&self, field: &str) -> String {
        match &self.json()[field] {
            Value::String(text) => text.clone(),
            other => panic!("{field} is {other}: {self:?}"),
        }
    }

    /// Status and stable code of a rejection, which is a problem and must not be cached.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.json()["status"], self.status, "{self:?}");
        (self.status, self.text("code"))
    }

    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.header("retry-after").map(|text| text.parse().unwrap())
    }
}
