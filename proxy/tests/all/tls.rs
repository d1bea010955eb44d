//! https: certificates, and HTTP/2.

use crate::process::signal;
use crate::stand::{Stand, eventually, post};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use seckill_testbed::Settings;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use toml::Table;

/// A folder with keys, and the address for https.
struct Https {
    folder: PathBuf,
    address: String,
}

type Issued = CertifiedKey<KeyPair>;

impl Https {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("seckill-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            folder,
            address: free.local_addr().unwrap().to_string(),
        }
    }

    /// Makes a certificate for a host and puts it where the proxy looks for `name`'s.
    fn issue(&self, name: &str, host: &str) -> Issued {
        let issued = generate_simple_self_signed([host.to_owned()]).unwrap();
        self.put(name, &issued, &issued);
        issued
    }

    fn put(&self, name: &str, certificate: &Issued, key: &Issued) {
        fs::write(self.path(name, "pem"), certificate.cert.pem()).unwrap();
        fs::write(self.path(name, "key"), key.signing_key.serialize_pem()).unwrap();
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }

    fn pair(&self, name: &str) -> Table {
        let file =
            |path: &Path| Table::from_iter([("file".to_owned(), path.to_str().unwrap().into())]);
        let mut pair = Table::new();
        pair.insert(
            "certificate".to_owned(),
            file(&self.path(name, "pem")).into(),
        );
        pair.insert("key".to_owned(), file(&self.path(name, "key")).into());
        pair
    }

    fn switch_on(&self, settings: Settings) -> Settings {
        let mut tls = self.pair("main");
        tls.insert("listen".to_owned(), self.address.clone().into());
        settings.with("tls", tls)
    }

    fn connect(&self, host: &str, roots: &[&Issued], alpn: &[&[u8]]) -> Secured {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let client = ClientConnection::new(Arc::new(believing(roots, alpn)), name).unwrap();
        StreamOwned::new(client, stream)
    }

    /// The certificate that is shown to whoever asks for a host.
    fn shown(&self, host: &str, roots: &[&Issued]) -> CertificateDer<'static> {
        let mut secured = self.connect(host, roots, &[]);
        assert_eq!(ask(&mut secured, &post("/seckill/none", "u7")), 404);
        secured.conn.peer_certificates().unwrap()[0].clone()
    }

    /// A connection of HTTP/2.
    async fn h2(&self, root: &Issued) -> (h2::client::SendRequest<bytes::Bytes>, Driver) {
        let stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(believing(&[root], &[b"h2"])));
        let name = ServerName::try_from("shop.test").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        (send, tokio::spawn(async move { connection.await.is_ok() }))
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

type Secured = StreamOwned<ClientConnection, TcpStream>;
type Driver = tokio::task::JoinHandle<bool>;

fn believing(roots: &[&Issued], alpn: &[&[u8]]) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.cert.der().clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|&name| name.to_vec()).collect();
    config
}

/// Asks over HTTP/1.1, and returns the status of an answer that comes in one piece.
fn ask(secured: &mut Secured, request: &str) -> u16 {
    secured.write_all(request.as_bytes()).unwrap();
    let mut buffer = [0; 16 * 1024];
    let length = secured.read(&mut buffer).unwrap();
    let text = str::from_utf8(&buffer[..length]).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn ask_h2(
    send: &mut h2::client::SendRequest<bytes::Bytes>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("https://shop.test{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut ready = send.clone().ready().await.unwrap();
    let (answer, mut sending) = ready
        .send_request(request.body(()).unwrap(), body.is_empty())
        .unwrap();
    if !body.is_empty() {
        // A proxy that has answered does not want the rest.
        let _ = sending.send_data(body.to_owned().into(), true);
    }
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    let mut text = Vec::new();
    let mut rest = answer.into_body();
    while let Some(Ok(part)) = rest.data().await {
        rest.flow_control().release_capacity(part.len()).unwrap();
        text.extend(part);
    }
    (status, String::from_utf8(text).unwrap())
}

fn running<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// How long a connection lives of which the client does not make anything.
fn life(stream: &mut impl Read) -> Duration {
    let since = Instant::now();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return since.elapsed(),
            Ok(_) => {}
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "it is still open");
                return since.elapsed();
            }
        }
    }
}

#[test]
fn a_buy_by_https_is_a_buy_with_either_version_of_http() {
    let https = Https::new("versions");
    let root = https.issue("main", "shop.test");
    let stand = Stand::start_with("tls-versions", "queue", |s| https.switch_on(s));
    stand.create("1001", &["STOCK", "2"]);
    let mut secured = https.connect("shop.test", &[&root], &[b"http/1.1"]);
    assert_eq!(ask(&mut secured, &post("/seckill/1001", "u1")), 202);
    assert_eq!(ask(&mut secured, &post("/seckill/1001", "u1")), 200);
    // What goes to the shop on the same connection.
    assert_eq!(ask(&mut secured, &crate::stand::get("/echo", "")), 200);

    running(async {
        let (mut send, _driver) = https.h2(&root).await;
        let user = |uid| [("x-user-id", uid)];
        for (method, path, uid, body, status) in [
            ("POST", "/seckill/1001", "u2", "a=b", 202),
            ("POST", "/seckill/1001", "u3", "a=b", 410),
            ("POST", "/seckill/1001", "u3", "", 410),
            ("POST", "/seckill/1001", "", "", 401),
            ("POST", "/SECKILL/1001", "u3", "", 400),
            ("PUT", "/seckill/1001", "u3", "", 405),
            ("POST", "/echo", "u3", "a=b", 200),
        ] {
            let answer = ask_h2(&mut send, method, path, &user(uid), body).await;
            assert_eq!(answer.0, status, "{method} {path} {uid}: {answer:?}");
        }
        let (_, echo) = ask_h2(&mut send, "GET", "/echo", &[], "").await;
        let echo: serde_json::Value = serde_json::from_str(&echo).unwrap();
        assert_eq!(echo["headers"]["x-forwarded-proto"][0], "https");
        assert_eq!(echo["headers"]["host"][0], "shop.test");
        let many: Vec<_> = (0..50)
            .map(|at| {
                let mut send = send.clone();
                tokio::spawn(async move {
                    let uid = format!("many{at}");
                    ask_h2(
                        &mut send,
                        "POST",
                        "/seckill/1001",
                        &[("x-user-id", &uid)],
                        "",
                    )
                    .await
                })
            })
            .collect();
        for one in many {
            assert_eq!(one.await.unwrap().0, 410);
        }
    });
    assert_eq!(stand.info("1001", "held"), "2");
}

#[test]
fn what_comes_in_frames_has_the_same_limits() {
    let https = Https::new("frames");
    let root = https.issue("main", "shop.test");
    let stand = Stand::start_with("tls-frames", "queue", |s| {
        https
            .switch_on(s)
            .with("limits.uri_bytes", 200)
            .with("limits.head_count", 20)
            .with("limits.head_bytes", 2000)
            .with("limits.body_bytes", 1000)
    });
    stand.create("1001", &["STOCK", "2"]);
    running(async {
        let (mut send, _driver) = https.h2(&root).await;
        let long = "x".repeat(300);
        let path = format!("/echo?{long}");
        let answer = ask_h2(&mut send, "GET", &path, &[], "").await;
        assert_eq!((answer.0, answer.1.contains("uri_too_long")), (414, true));
        let many: Vec<String> = (0..30).map(|at| format!("x-{at}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        let answer = ask_h2(&mut send, "GET", "/echo", &many, "").await;
        assert_eq!((answer.0, answer.1.contains("head_too_large")), (431, true));
        let longer = "x".repeat(3000);
        let answer = ask_h2(&mut send, "GET", "/echo", &[("x-long", &longer)], "").await;
        assert_eq!(answer.0, 431);
        let answer = ask_h2(
            &mut send,
            "POST",
            "/echo",
            &[("content-length", "3000")],
            &longer,
        )
        .await;
        assert_eq!((answer.0, answer.1.contains("body_too_large")), (413, true));
        let answer = ask_h2(&mut send, "GET", "/echo", &[], "").await;
        assert_eq!(answer.0, 200);
    });
}

#[test]
fn a_certificate_changes_with_its_files_and_never_to_a_broken_one() {
    let https = Https::new("renew");
    let first = https.issue("main", "shop.test");
    let stand = Stand::start_with("tls-renew", "queue", |s| https.switch_on(s));
    let mut kept = https.connect("shop.test", &[&first], &[]);
    assert_eq!(ask(&mut kept, &post("/seckill/none", "u7")), 404);
    let second = https.issue("main", "shop.test");
    let both = [&first, &second];
    eventually("the second is shown", || {
        https.shown("shop.test", &both) == *second.cert.der()
    });
    assert_eq!(ask(&mut kept, &post("/seckill/none", "u7")), 404);

    https.put("main", &second, &first);
    eventually("it is told", || {
        stand
            .log()
            .contains("tls.key: this key is not the certificate's")
    });
    assert_eq!(https.shown("shop.test", &both), *second.cert.der());
    signal(&stand, "-HUP");
    eventually("it is told by its line, too", || {
        let log = stand.log();
        let told = "the configuration from before stays in force";
        log.contains("proxy.toml:") && log.contains(told)
    });
    assert_eq!(https.shown("shop.test", &both), *second.cert.der());
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let https = Https::new("names");
    let main = https.issue("main", "shop.test");
    let other = https.issue("other", "other.test");
    let wild = https.issue("wild", "*.wild.test");
    let mut hosts = vec![https.pair("other"), https.pair("wild")];
    hosts[0].insert("name".to_owned(), "other.test".into());
    hosts[1].insert("name".to_owned(), "*.wild.test".into());
    let _stand = Stand::start_with("tls-names", "queue", |s| {
        https.switch_on(s).with("tls.host", hosts.clone())
    });
    let roots = [&main, &other, &wild];
    for (host, issued) in [
        ("shop.test", &main),
        ("other.test", &other),
        ("a.wild.test", &wild),
    ] {
        assert_eq!(https.shown(host, &roots), *issued.cert.der(), "{host}");
    }
}

#[test]
fn who_never_finishes_a_beginning_is_cut_off() {
    let https = Https::new("slow");
    let root = https.issue("main", "shop.test");
    let stand = Stand::start_with("tls-slow", "queue", |s| {
        https
            .switch_on(s)
            .with("tls.handshake_ms", 500)
            .with("limits.head_ms", 500)
            .with("limits.keepalive_ms", 2500)
    });
    // Nothing at all; TLS and then nothing; HTTP/2 and then nothing.
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut silent = TcpStream::connect(&https.address).unwrap();
            silent
                .set_read_timeout(Some(Duration::from_secs(8)))
                .unwrap();
            let life = life(&mut silent);
            assert!((400..2200).contains(&life.as_millis()), "{life:?}");
        });
        scope.spawn(|| {
            let mut silent = https.connect("shop.test", &[&root], &[b"h2"]);
            silent.write_all(b"PRI * HT").unwrap();
            let life = life(&mut silent);
            assert!((400..2200).contains(&life.as_millis()), "{life:?}");
        });
        scope.spawn(|| {
            running(async {
                let (_send, driver) = https.h2(&root).await;
                let since = Instant::now();
                let _ = tokio::time::timeout(Duration::from_secs(8), driver)
                    .await
                    .unwrap();
                let life = since.elapsed();
                assert!(life > Duration::from_secs(2), "{life:?}");
            });
        });
    });
    // A line for each of them would be theirs to fill the log with.
    let log = stand.log();
    assert!(log.lines().count() <= 2, "{log}");
}

#[test]
fn a_stop_lets_http_2_finish_and_then_go() {
    let https = Https::new("stop");
    let root = https.issue("main", "shop.test");
    let mut stand = Stand::start_with("tls-stop", "forward confirm", |s| https.switch_on(s));
    stand.create("1001", &["STOCK", "10"]);
    running(async {
        let (_idle, idle_driver) = https.h2(&root).await;
        let (mut send, driver) = https.h2(&root).await;
        let mut busy = send.clone();
        let buying = tokio::spawn(async move {
            let path = "/seckill/1001?delay_ms=1500";
            ask_h2(&mut busy, "POST", path, &[("x-user-id", "u7")], "").await
        });
        assert_eq!(ask_h2(&mut send, "GET", "/echo", &[], "").await.0, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(&stand, "-TERM");
        let limit = Duration::from_secs(1);
        tokio::time::timeout(limit, idle_driver)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(buying.await.unwrap().0, 201);
        tokio::time::timeout(limit, driver).await.unwrap().unwrap();
    });
    let since = Instant::now();
    eventually("the end", || {
        !seckill_testbed::Part::is_running(&mut stand.proxy)
    });
    assert!(since.elapsed() < Duration::from_secs(3));
}
