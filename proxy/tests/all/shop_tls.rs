//! A shop that speaks TLS: it is asked only if its certificate is good.

use crate::stand::{Stand, get, post};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use seckill_testbed::Place;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use toml::Table;

struct Shop {
    port: u16,
    /// The PEM file of who vouches for it.
    ca: String,
    asked: Arc<AtomicUsize>,
    _place: Place,
}

impl Shop {
    /// Answers 201 to everything, with a certificate for this name.
    fn start(name: &str) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();

        let place = Place::temporary("shop-tls").unwrap();
        let file = place.path().join("ca.pem");
        fs::write(&file, ca_pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while matches!(stream.read(&mut byte), Ok(1)) {
                        head.push(byte[0]);
                        if head.ends_with(b"\r\n\r\n") {
                            counter.fetch_add(1, Ordering::Relaxed);
                            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
                            let _ = stream.write_all(answer);
                        }
                    }
                });
            }
        });
        Self {
            port,
            ca: file.to_str().unwrap().to_owned(),
            asked,
            _place: place,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn stand(&self, more: &str) -> Stand {
        let url = format!("https://localhost:{}", self.port);
        let table: Table = format!("upstream = {url:?}\n{more}").parse().unwrap();
        Stand::start_with("shop-tls", "forward confirm", |settings| {
            settings.with("shop", table.clone())
        })
    }
}

#[test]
fn a_shop_with_a_good_certificate_is_asked_over_tls() {
    let shop = Shop::start("localhost");
    let stand = shop.stand(&format!("ca = {:?}", shop.ca));
    stand.create("1001", &["STOCK", "10"]);
    for _ in 0..3 {
        assert_eq!(stand.client().ask(&get("/page", "")).status, 201);
    }
    assert_eq!(stand.client().ask(&post("/seckill/1001", "u7")).status, 201);
    assert_eq!(stand.info("1001", "sold"), "1");
    assert_eq!(shop.asked(), 4);
}

#[test]
fn a_shop_that_nobody_vouches_for_is_told_nothing() {
    let (shop, other) = (Shop::start("localhost"), Shop::start("shop.test"));
    for (shop, more) in [
        // The machine's authorities do not know it.
        (&shop, String::new()),
        // Another authority than its own.
        (&shop, format!("ca = {:?}", other.ca)),
        // A certificate for another name.
        (&other, format!("ca = {:?}", other.ca)),
    ] {
        let stand = shop.stand(&more);
        stand.create("1001", &["STOCK", "10"]);
        let answer = stand.client().ask(&get("/page", ""));
        assert_eq!(answer.problem(), (502, "shop_unavailable".to_owned()));
        let answer = stand.buy("1001", "u7");
        assert_eq!(answer.problem(), (502, "shop_unavailable".to_owned()));
        assert_eq!(shop.asked(), 0, "{more}");
    }
}

#[test]
fn checks_use_tls_too() {
    let shop = Shop::start("localhost");
    let health = format!(
        "ca = {:?}\n[health]\npath = \"/health\"\nevery_ms = 100",
        shop.ca
    );
    let stand = shop.stand(&health);
    crate::stand::eventually("checked", || shop.asked() >= 3);
    // Nobody listens at localhost's other address, if it has one.
    assert!(
        !stand
            .log()
            .contains(&format!("address=127.0.0.1:{}", shop.port))
    );
}
