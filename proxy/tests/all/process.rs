//! The program: its start, its check, its end.

use crate::stand::{Stand, eventually, post};
use seckill_testbed::Part;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

const SHIPPED: &str = include_str!("../../../conf/proxy.toml");

pub(crate) fn proxy(folder: &Path, config: &str, more: &[&str]) -> Output {
    let path = folder.join("checked.toml");
    fs::write(&path, config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_seckill-proxy"))
        .env_remove("SECKILL_REDIS_URL")
        .env("SECKILL_K1", "0123456789abcdef0123456789abcdef")
        .arg("--config")
        .arg(&path)
        .args(more)
        .output()
        .unwrap()
}

/// Sends a signal, `-TERM`.
pub(crate) fn signal(stand: &Stand, name: &str) {
    let pid = stand.proxy.pid().to_string();
    let status = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_check_says_what_a_start_would_say() {
    let place = seckill_testbed::Place::temporary("check").unwrap();
    let folder = place.path();
    let good = proxy(folder, SHIPPED, &["--test"]);
    assert!(good.status.success(), "{good:?}");

    let bad = SHIPPED
        .replace("0.0.0.0:8080", "everywhere")
        .replace("mode = \"queue\"", "mode = \"quick\"");
    let line = |start: &str, mistake: &str| {
        let at = bad.lines().position(|line| line.starts_with(start));
        format!("checked.toml:{}: {mistake}", at.unwrap() + 1)
    };
    for more in [&["--test"][..], &[]] {
        let output = proxy(folder, &bad, more);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        for expected in [
            &line("listen = ", "listen: expected"),
            &line("mode = \"quick\"", "route[0].mode: expected"),
        ] {
            assert!(said.contains(expected.as_str()), "{expected}: {said}");
        }
    }
    let unknown = proxy(folder, &format!("colour = 1\n{SHIPPED}"), &["--test"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(
        said.contains("checked.toml:1: unknown field `colour`"),
        "{said}"
    );
}

#[test]
fn a_check_tries_the_addresses_and_leaves_those_that_are_in_use() {
    let place = seckill_testbed::Place::temporary("addresses").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let with = |address: &str| SHIPPED.replace("0.0.0.0:8080", address);
    let used = proxy(place.path(), &with(&address), &["--test"]);
    assert!(used.status.success(), "{used:?}");
    let strange = proxy(place.path(), &with("192.0.2.1:8080"), &["--test"]);
    let said = String::from_utf8(strange.stderr).unwrap();
    let line = SHIPPED
        .lines()
        .position(|line| line.starts_with("listen = "));
    let expected = format!("checked.toml:{}: listen: cannot listen", line.unwrap() + 1);
    assert!(
        !strange.status.success() && said.contains(&expected),
        "{said}"
    );
}

#[test]
fn a_check_fits_keys_to_certificates() {
    let place = seckill_testbed::Place::temporary("pairs").unwrap();
    let folder = place.path();
    let issue = |name: &str| {
        let issued = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
        fs::write(folder.join(format!("{name}.pem")), issued.cert.pem()).unwrap();
        let key = issued.signing_key.serialize_pem();
        fs::write(folder.join(format!("{name}.key")), key).unwrap();
    };
    issue("one");
    issue("two");
    fs::write(folder.join("empty"), "").unwrap();
    let check = |certificate: &str, key: &str| {
        let folder = folder.display();
        let tls = format!(
            "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {{ file = \"{folder}/{certificate}\" }}\n\
             key = {{ file = \"{folder}/{key}\" }}\n[redis]"
        );
        let config = SHIPPED.replace("[redis]", &tls);
        let output = proxy(place.path(), &config, &["--test"]);
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    };
    let (fits, said) = check("one.pem", "one.key");
    assert!(fits, "{said}");
    for (certificate, key, expected) in [
        ("one.pem", "two.key", "tls.key: this key is not the"),
        ("one.pem", "one.pem", "tls.key: expected a private key"),
        ("empty", "one.key", "tls.certificate: expected a chain"),
        ("one.pem", "nowhere", "tls.key: cannot read"),
    ] {
        let (fits, said) = check(certificate, key);
        assert!(!fits && said.contains(expected), "{certificate}: {said}");
        assert!(said.contains("checked.toml:"), "{said}");
    }
}

#[test]
fn the_configuration_is_printed_with_its_defaults_and_without_its_passwords() {
    let place = seckill_testbed::Place::temporary("print").unwrap();
    let folder = place.path();
    let config = SHIPPED.replace("proxy:proxy@", "proxy:hunter2@");
    let output = proxy(folder, &config, &["--print-config"]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.contains("hunter2"), "{printed}");
    let table: toml::Table = printed.parse().unwrap();
    assert_eq!(table["redis"]["deadline_ms"].as_integer(), Some(250));
    assert_eq!(table["limits"]["head_count"].as_integer(), Some(100));
    // It can be read again, and then says the same.
    let again = proxy(folder, &printed, &["--print-config"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), printed);
}

#[test]
fn a_check_reads_the_secrets_too_and_tells_none() {
    let place = seckill_testbed::Place::temporary("secrets").unwrap();
    let folder = place.path();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", "0123456789abcdef0123456789abcdef\n");
    let short = file("short", "hunter2\n");
    let private = file("private", "-----BEGIN PRIVATE KEY-----\nhunter2\n");
    let certificate = file("certificate", "-----BEGIN CERTIFICATE-----\nhunter2\n");
    let jwks = file("jwks", "{\"keys\":[{\"kty\":\"hunter2\"}]}");
    let (start, _) = SHIPPED.split_once("[buyer]").unwrap();
    let (_, rest) = SHIPPED.split_once("[[route]]").unwrap();
    let check = |shop: &str, buyer: &str| {
        let config = format!("{start}\n{shop}\n[buyer]\n{buyer}\n[[route]]{rest}");
        let output = proxy(folder, &config, &["--test"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("hunter2"), "{said}");
        (output.status.success(), said)
    };
    let header = "trusted_peers = [\"::1/128\"]";
    let signing = |key: &str| format!("[shop.signing]\nby = \"k1\"\nkeys.k1 = {key}");
    let cookie = |key: &str| format!("from = \"cookie\"\n[buyer.cookie.keys]\nk1 = {key}");
    let jwt = |rest: &str| format!("from = \"jwt\"\n[buyer.jwt]\n{rest}");
    let at = |path: &str| format!("{{ file = \"{path}\" }}");
    for (shop, buyer) in [
        (signing(&at(&good)), header.to_owned()),
        (signing("{ env = \"SECKILL_K1\" }"), cookie(&at(&good))),
        (
            String::new(),
            jwt(&format!("algorithms = [\"HS256\"]\nsecret = {}", at(&good))),
        ),
    ] {
        let (fits, said) = check(&shop, &buyer);
        assert!(fits, "{shop} {buyer}: {said}");
    }
    for (shop, buyer, expected) in [
        (
            signing(&at(&short)),
            header.to_owned(),
            "shop.signing.keys.k1: expected a secret of at least 32 bytes",
        ),
        (
            signing(&at("/nowhere/k1")),
            header.to_owned(),
            "shop.signing.keys.k1: cannot read /nowhere/k1",
        ),
        (
            signing(&at(&good)).replace("\"k1\"", "\"k2\""),
            header.to_owned(),
            "shop.signing.by: expected",
        ),
        (
            signing("{ env = \"SECKILL_UNSET\" }"),
            header.to_owned(),
            "shop.signing.keys.k1: cannot read SECKILL_UNSET",
        ),
        (
            String::new(),
            cookie(&at(&short)),
            "buyer.cookie.keys.k1: expected a secret of at least 32 bytes",
        ),
        (
            String::new(),
            "from = \"cookie\"\ncookie.keys = {}".to_owned(),
            "buyer.cookie.keys: expected at least one",
        ),
        (
            String::new(),
            jwt(&format!("algorithms = []\nsecret = {}", at(&good))),
            "buyer.jwt.algorithms: expected",
        ),
        (
            String::new(),
            jwt(&format!("algorithms = [\"none\"]\nsecret = {}", at(&good))),
            "buyer.jwt.algorithms: expected",
        ),
        (
            String::new(),
            jwt(&format!("algorithms = [\"RS256\"]\nsecret = {}", at(&good))),
            "buyer.jwt.secret: this key does not fit",
        ),
        (
            String::new(),
            jwt(&format!("algorithms = [\"RS256\"]\npem = {}", at(&private))),
            "buyer.jwt.pem: expected a public key",
        ),
        (
            String::new(),
            jwt(&format!(
                "algorithms = [\"RS256\"]\npem = {}",
                at(&certificate)
            )),
            "buyer.jwt.pem: expected a public key",
        ),
        (
            String::new(),
            jwt(&format!("algorithms = [\"RS256\"]\njwks = {}", at(&jwks))),
            "buyer.jwt.jwks: expected a",
        ),
        (
            String::new(),
            jwt("algorithms = [\"RS256\"]"),
            "buyer.jwt: expected one of secret, pem and jwks",
        ),
        (
            String::new(),
            "from = \"jwt\"".to_owned(),
            "buyer.jwt: missing",
        ),
        (
            String::new(),
            "from = \"guess\"".to_owned(),
            "buyer.from: expected",
        ),
        (
            String::new(),
            format!("{header}\n{}", cookie(&at(&good))),
            "buyer.trusted_peers: only for",
        ),
    ] {
        let (fits, said) = check(&shop, &buyer);
        assert!(!fits && said.contains(expected), "{shop} {buyer}: {said}");
    }
    // A secret that stands in the configuration itself is refused for standing there.
    for (shop, buyer) in [
        (
            signing("\"0123456789abcdef0123456789abcdef\""),
            header.to_owned(),
        ),
        (
            String::new(),
            cookie("\"0123456789abcdef0123456789abcdef\""),
        ),
    ] {
        let (fits, said) = check(&shop, &buyer);
        let line = "a secret does not stand in the configuration itself";
        assert!(!fits && said.contains(line), "{said}");
        assert!(
            said.contains("checked.toml:") && !said.contains("0123"),
            "{said}"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_a_reason_and_not_a_panic() {
    let place = seckill_testbed::Place::temporary("taken").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = proxy(
        place.path(),
        &SHIPPED.replace("0.0.0.0:8080", &address),
        &[],
    );
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );
}

#[test]
fn a_start_is_one_line_and_rejections_are_none() {
    let stand = Stand::start("lines", "queue");
    stand.create("1001", &["STOCK", "0"]);
    for buyer in 0..100 {
        assert_eq!(stand.buy("1001", &format!("u{buyer}")).status, 410);
        stand.client().send("garbage\r\n\r\n");
    }
    let log = fs::read_to_string(stand.proxy.log()).unwrap();
    assert!(log.contains("seckill-proxy starts"), "{log}");
    assert!(log.contains("/seckill/{sid} (queue)"), "{log}");
    assert!(log.lines().count() <= 2, "{log}");
}

#[test]
fn sigterm_lets_a_purchase_finish_and_nobody_new_in() {
    let mut stand = Stand::start("sigterm", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let mut idle = stand.client();
    assert_eq!(idle.ask(&post("/seckill/none", "u7")).status, 404);
    let mut client = stand.client();
    client.send(&post("/seckill/1001?delay_ms=1000", "u7"));
    eventually("accepted", || stand.info("1001", "held") == "1");
    let since = Instant::now();
    signal(&stand, "-TERM");
    assert!(idle.is_closed_within(Duration::from_secs(1)));
    let answer = client.read();
    assert_eq!(answer.status, 201);
    assert_eq!(stand.info("1001", "sold"), "1");
    eventually("the end", || !stand.proxy.is_running());
    assert!(since.elapsed() < Duration::from_secs(6));
}

#[test]
fn sigint_is_quick_and_sighup_harmless() {
    let mut stand = Stand::start("signals", "queue");
    stand.create("1001", &["STOCK", "10"]);
    for _ in 0..3 {
        signal(&stand, "-HUP");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(stand.buy("1001", "u7").status, 202);
    let since = Instant::now();
    signal(&stand, "-INT");
    eventually("the end", || !stand.proxy.is_running());
    assert!(since.elapsed() < Duration::from_secs(2));
}

#[test]
fn sighup_changes_what_it_can_and_tells_the_rest() {
    let stand = Stand::start("renew", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let mut kept = stand.client();
    assert_eq!(kept.ask(&post("/seckill/1001", "u1")).status, 201);
    let mut busy = stand.client();
    busy.send(&post("/seckill/1001?delay_ms=1000", "u2"));
    eventually("accepted", || stand.info("1001", "held") == "1");

    let route = "path = \"/seckill/{sid}\"\nmode = \"queue\"";
    let route: toml::Table = route.parse().unwrap();
    stand.renew(|s| {
        s.with("route", vec![route.clone()])
            .with("redis.deadline_ms", 77)
    });
    eventually("read again", || stand.log().contains("was read again"));
    assert!(stand.log().contains("redis: changed, and takes a restart"));
    assert_eq!(kept.ask(&post("/seckill/1001", "u3")).status, 202);
    assert_eq!(
        busy.read().status,
        201,
        "what has begun goes on as it began"
    );

    stand.renew(|s| {
        s.with("route", vec![route])
            .with("shop.upstream", "nowhere")
    });
    eventually("refused", || {
        stand.log().contains("shop.upstream: expected")
    });
    assert_eq!(kept.ask(&post("/seckill/1001", "u4")).status, 202);
}
