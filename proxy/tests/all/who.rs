//! Who buys: what tokens and signed cookies prove, and what they do not.

use crate::process::signal;
use crate::stand::{Response, Stand, eventually, request};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use seckill_testbed::{Part, Place};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use toml::Table;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A folder for keys that outlives the proxy's start.
struct Folder(Place);

impl Folder {
    fn new() -> Self {
        Self(Place::temporary("keys").unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file as a careful person would: it is all there at once.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let (path, draft) = (self.path(name), self.path("draft"));
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A sale of 1000 in mode `queue`, where this table says who buys.
fn stand(name: &str, buyer: &str) -> Stand {
    let buyer: Table = buyer.parse().unwrap();
    let stand = Stand::start_with(name, "queue", |settings| {
        settings.with("buyer", buyer.clone())
    });
    stand.create("1001", &["STOCK", "1000", "LIMIT", "0"]);
    stand
}

fn buy(stand: &Stand, headers: &[(&str, &str)]) -> Response {
    let asked = request("POST", "/seckill/1001", headers, "");
    stand.client().ask(&asked)
}

fn buy_with(stand: &Stand, token: &str) -> Response {
    buy(stand, &[("Authorization", &format!("Bearer {token}"))])
}

/// Whom the reservation of an accepted buy belongs to.
fn owner(stand: &Stand, answer: &Response) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    stand.reservation("1001", &answer.text("rid"), "uid")
}

/// A key that signs, and what a proxy knows of it.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    pem: String,
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn public_pem(key: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    pem("PUBLIC KEY", key.as_der().unwrap().as_ref())
}

impl Signer {
    fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        let private = pem("PRIVATE KEY", private.as_ref());
        Self {
            algorithm: Algorithm::RS256,
            key: EncodingKey::from_rsa_pem(private.as_bytes()).unwrap(),
            pem: public_pem(pair.public_key()),
        }
    }

    fn ec() -> Self {
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let private = EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, private.as_ref()).unwrap();
        Self {
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(private.as_ref()),
            pem: public_pem(pair.public_key()),
        }
    }

    fn ed() -> Self {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(private.as_ref()),
            pem: public_pem(pair.public_key()),
        }
    }

    fn secret(secret: &str) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            key: EncodingKey::from_secret(secret.as_bytes()),
            pem: String::new(),
        }
    }

    fn token(&self, claims: &Value) -> String {
        self.token_of(&Header::new(self.algorithm), claims)
    }

    fn token_named(&self, kid: &str, claims: &Value) -> String {
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(self.algorithm)
        };
        self.token_of(&header, claims)
    }

    fn token_of(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    /// The public key as a member of a set.
    fn jwk(&self, kid: &str) -> Value {
        let pem = self.pem.as_bytes();
        let key = match self.algorithm {
            Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
            Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
            _ => DecodingKey::from_ed_pem(pem),
        };
        let jwk = Jwk::from_decoding_key(&key.unwrap(), Some(self.algorithm)).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    }
}

fn of(uid: &str) -> Value {
    json!({ "sub": uid, "exp": now_s() + 300 })
}

fn bad_token() -> (u16, String) {
    (401, "bad_token".to_owned())
}

#[test]
fn a_token_says_who_buys() {
    let folder = Folder::new();
    for (algorithm, signer, source) in [
        ("HS256", Signer::secret(SECRET), "secret"),
        ("RS256", Signer::rsa(), "pem"),
        ("ES256", Signer::ec(), "pem"),
        ("EdDSA", Signer::ed(), "pem"),
    ] {
        let text = if source == "secret" {
            SECRET
        } else {
            &signer.pem
        };
        let path = folder.write(algorithm, format!("{text}\n"));
        let stand = stand(
            "token",
            &format!(
                "from = 'jwt'\n[jwt]\nalgorithms = ['{algorithm}']\n{source} = {{ file = '{path}' }}"
            ),
        );
        let token = signer.token(&of("Žofie"));
        let bought = buy_with(&stand, &token);
        assert_eq!(owner(&stand, &bought), "Žofie", "{algorithm}");
        // Whose it is, he may look at.
        let bearer = format!("bearer {token}");
        let location = bought.header("location").unwrap();
        let look =
            |headers: &[(&str, &str)]| stand.client().ask(&request("GET", location, headers, ""));
        assert_eq!(look(&[("Authorization", &bearer)]).status, 200);
        let other = format!("Bearer {}", signer.token(&of("u8")));
        assert_eq!(
            look(&[("Authorization", &other)]).problem(),
            (404, "unknown_reservation".to_owned())
        );
        // A header is nobody's word here, whoever sets it.
        for headers in [
            &[][..],
            &[("X-User-Id", "u7")],
            &[("Authorization", "Basic dTc6cHc=")],
            &[("Authorization", token.as_str())],
        ] {
            let refused = buy(&stand, headers);
            assert_eq!(refused.problem(), (401, "no_buyer".to_owned()));
        }
        assert_eq!(stand.info("1001", "tries"), "1");
    }
}

#[test]
fn the_configuration_chooses_the_algorithm_and_not_the_token() {
    let folder = Folder::new();
    let signer = Signer::rsa();
    let path = folder.write("rsa.pem", &signer.pem);
    let stand = stand(
        "algorithm",
        &format!("from = 'jwt'\n[jwt]\nalgorithms = ['RS256']\npem = {{ file = '{path}' }}"),
    );
    let good = signer.token(&of("u7"));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, mac) = rest.split_once('.').unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let confused = EncodingKey::from_secret(signer.pem.as_bytes());
    for token in [
        // No signature at all.
        format!("{}.{body}.", part(json!({ "alg": "none", "typ": "JWT" }))),
        format!("{}.{body}.{mac}", part(json!({ "alg": "none" }))),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        // The public key as the secret of another algorithm.
        encode(&Header::new(Algorithm::HS256), &of("u7"), &confused).unwrap(),
        // The right key, by an algorithm that is not listed.
        signer.token_of(&Header::new(Algorithm::RS512), &of("u7")),
        signer.token_of(&Header::new(Algorithm::PS256), &of("u7")),
        // The right signature under another text.
        format!("{head}.{}.{mac}", part(of("u8"))),
        // Somebody else's key.
        Signer::rsa().token(&of("u7")),
        "u7".to_owned(),
        "..".to_owned(),
    ] {
        let refused = buy_with(&stand, &token);
        assert_eq!(refused.problem(), bad_token(), "{token}");
        assert_eq!(
            refused.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
    }
    assert_eq!(stand.info("1001", "tries"), "0");
    assert_eq!(owner(&stand, &buy_with(&stand, &good)), "u7");
}

#[test]
fn a_token_counts_in_its_time_and_in_this_shop() {
    let folder = Folder::new();
    let path = folder.write("secret", SECRET);
    let stand = stand(
        "time",
        &format!(
            "from = 'jwt'\n[jwt]\nalgorithms = ['HS256']\nsecret = {{ file = '{path}' }}\n\
             issuer = 'https://id.example'\naudience = 'shop'\nleeway_s = 20"
        ),
    );
    let signer = Signer::secret(SECRET);
    let now = now_s();
    let with = |name: &str, value: Value| {
        let mut claims = json!({
            "sub": "u7", "exp": now + 300, "iss": "https://id.example", "aud": "shop",
        });
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        buy_with(&stand, &signer.token(&claims))
    };
    for (name, value) in [
        ("exp", json!(now - 5)),
        ("nbf", json!(now + 5)),
        ("aud", json!(["other", "shop"])),
        ("more", json!({ "is": "ignored" })),
    ] {
        assert_eq!(owner(&stand, &with(name, value.clone())), "u7", "{value}");
    }
    assert_eq!(
        with("exp", json!(now - 60)).problem(),
        (401, "expired_token".to_owned())
    );
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("nbf", json!(now + 60)),
        ("nbf", json!("soon")),
        ("iss", Value::Null),
        ("iss", json!("https://id.example.evil.example")),
        ("iss", json!(7)),
        ("aud", Value::Null),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("sub", Value::Null),
        ("sub", json!(["u7"])),
        ("sub", json!(1.5)),
    ] {
        let refused = with(name, value.clone());
        assert_eq!(refused.problem(), bad_token(), "{name}: {value}");
    }
    for uid in ["", "a\nb", &"x".repeat(129)] {
        let refused = with("sub", json!(uid));
        assert_eq!(refused.problem(), (400, "bad_buyer".to_owned()), "{uid:?}");
    }
}

#[test]
fn a_token_for_somebody_else_is_refused_where_no_audience_is_configured_too() {
    let folder = Folder::new();
    let path = folder.write("secret", SECRET);
    let stand = stand(
        "audience",
        &format!("from = 'jwt'\n[jwt]\nalgorithms = ['HS256']\nsecret = {{ file = '{path}' }}"),
    );
    let mut claims = of("u7");
    claims["iss"] = json!("anybody who has the key");
    let signer = Signer::secret(SECRET);
    assert_eq!(
        owner(&stand, &buy_with(&stand, &signer.token(&claims))),
        "u7"
    );
    claims["aud"] = json!("the bank");
    let refused = buy_with(&stand, &signer.token(&claims));
    assert_eq!(refused.problem(), bad_token());
}

#[test]
fn a_token_names_its_key_and_an_unknown_name_is_refused() {
    let folder = Folder::new();
    let (rsa, ec, ed) = (Signer::rsa(), Signer::ec(), Signer::ed());
    let mut for_encryption = Signer::rsa().jwk("box");
    for_encryption["use"] = json!("enc");
    let unheard_of = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AA" });
    let keys = json!({ "keys": [
        rsa.jwk("r1"), ec.jwk("e1"), ed.jwk("d1"), for_encryption, unheard_of,
    ]});
    let path = folder.write("jwks.json", keys.to_string());
    let stand = stand(
        "kid",
        &format!(
            "from = 'jwt'\n[jwt]\nalgorithms = ['RS256', 'ES256']\njwks = {{ file = '{path}' }}"
        ),
    );
    for (kid, signer) in [("r1", &rsa), ("e1", &ec)] {
        let token = signer.token_named(kid, &of(kid));
        assert_eq!(owner(&stand, &buy_with(&stand, &token)), kid);
    }
    let demanding = Header {
        kid: Some("r1".to_owned()),
        crit: Some(vec!["exp".to_owned()]),
        ..Header::new(Algorithm::RS256)
    };
    for token in [
        rsa.token_named("r2", &of("u7")),
        rsa.token_named("e1", &of("u7")),
        ec.token_named("r1", &of("u7")),
        rsa.token_named("", &of("u7")),
        rsa.token(&of("u7")),
        // In the set, but of no algorithm that is listed.
        ed.token_named("d1", &of("u7")),
        rsa.token_named("box", &of("u7")),
        rsa.token_named("pq", &of("u7")),
        rsa.token_of(&demanding, &of("u7")),
    ] {
        assert_eq!(buy_with(&stand, &token).problem(), bad_token(), "{token}");
    }
}

fn log(stand: &Stand) -> String {
    fs::read_to_string(stand.proxy.log()).unwrap()
}

#[test]
fn new_keys_come_into_force_while_buyers_buy_and_broken_ones_never() {
    let folder = Folder::new();
    let (old, new) = (Signer::ec(), Signer::ec());
    let set = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let path = folder.write("jwks.json", set(&[old.jwk("old")]));
    let stand = stand(
        "again",
        &format!("from = 'jwt'\n[jwt]\nalgorithms = ['ES256']\njwks = {{ file = '{path}' }}"),
    );
    let by_old = old.token_named("old", &of("u7"));
    let by_new = new.token_named("new", &of("u8"));
    let status = |token: &str| buy_with(&stand, token).status;
    assert_eq!((status(&by_old), status(&by_new)), (202, 401));

    folder.write("jwks.json", set(&[old.jwk("old"), new.jwk("new")]));
    eventually("the new key is known", || status(&by_new) == 202);
    assert_eq!(status(&by_old), 202);

    let lines = |what: &str| log(&stand).lines().filter(|l| l.contains(what)).count();
    for broken in ["{\"keys\":[", "{\"keys\":[]}"] {
        let said = lines("stay in force");
        folder.write("jwks.json", broken);
        eventually("said", || lines("stay in force") == said + 1);
        assert_eq!((status(&by_old), status(&by_new)), (202, 202));
    }
    assert!(log(&stand).contains("buyer.jwt.jwks: expected a JWK set"));
    fs::remove_file(&path).unwrap();
    eventually("said", || lines("buyer.jwt.jwks: cannot read") == 1);
    assert_eq!((status(&by_old), status(&by_new)), (202, 202));

    folder.write("jwks.json", set(&[new.jwk("new")]));
    signal(&stand, "-HUP");
    eventually("the old key is gone", || status(&by_old) == 401);
    assert_eq!(status(&by_new), 202);
    // Who asks is answered, also when nothing is new.
    let said = lines("the configuration was read again");
    signal(&stand, "-HUP");
    eventually("answered", || {
        lines("the configuration was read again") == said + 1
    });
}

#[test]
fn the_claim_and_the_place_of_a_token_are_configured() {
    let folder = Folder::new();
    let path = folder.write("secret", SECRET);
    let signer = Signer::secret(SECRET);
    let token = signer.token(&json!({ "sub": "u7", "uid": 4711, "exp": now_s() + 300 }));
    let bearer = format!("Bearer {token}");
    let cookie = format!("theme=dark; session={token}; a=b");
    for (place, header) in [
        ("header = 'X-Token'", ("X-Token", token.as_str())),
        ("header = 'authorization'", ("Authorization", &bearer)),
        ("cookie = 'session'", ("Cookie", &cookie)),
    ] {
        let stand = stand(
            "place",
            &format!(
                "from = 'jwt'\n[jwt]\nalgorithms = ['HS256']\nclaim = 'uid'\n{place}\n\
                 secret = {{ file = '{path}' }}"
            ),
        );
        assert_eq!(owner(&stand, &buy(&stand, &[header])), "4711");
        for other in [
            ("X-Token", token.as_str()),
            ("Authorization", &bearer),
            ("Cookie", &cookie),
        ] {
            if other != header {
                let refused = buy(&stand, &[other]);
                assert_eq!(refused.problem(), (401, "no_buyer".to_owned()), "{place}");
            }
        }
        // What a browser sends along by itself counts only from the shop's own pages.
        let elsewhere = buy(&stand, &[header, ("Sec-Fetch-Site", "cross-site")]);
        if header.0 == "Cookie" {
            assert_eq!(elsewhere.problem(), (403, "cross_site".to_owned()));
        } else {
            assert_eq!(owner(&stand, &elsewhere), "4711");
        }
    }
}

#[test]
fn who_says_two_things_is_refused() {
    let folder = Folder::new();
    let path = folder.write("secret", SECRET);
    let signer = Signer::secret(SECRET);
    let one = signer.token(&of("u7"));
    let bearer = format!("Bearer {one}");
    let other = format!("Bearer {}", signer.token(&of("u8")));
    let joined = format!("{bearer}, {other}");
    let jwt =
        format!("from = 'jwt'\n[jwt]\nalgorithms = ['HS256']\nsecret = {{ file = '{path}' }}");
    let in_jwt = stand("two", &jwt);
    let in_cookie = stand("cookies", &format!("{jwt}\ncookie = 'session'"));
    let twice = format!("session={one}; session={one}");
    let once = format!("session={one}");
    let authorization = ("Authorization", bearer.as_str());
    let cookie = ("Cookie", once.as_str());
    for (stand, headers) in [
        (&in_jwt, &[authorization, authorization][..]),
        (&in_jwt, &[authorization, ("Authorization", &other)]),
        (
            &in_jwt,
            &[authorization, ("authorization", "Basic dTc6cHc=")],
        ),
        (&in_jwt, &[("Authorization", &joined)]),
        (&in_jwt, &[authorization, ("X-User-Id", "u8")]),
        (&in_jwt, &[authorization, ("X_User_Id", "u8")]),
        (
            &in_jwt,
            &[authorization, ("X-User-Id", "u7"), ("x-user-id", "u7")],
        ),
        (&in_cookie, &[("Cookie", &twice)]),
        (&in_cookie, &[cookie, cookie]),
        (&in_cookie, &[cookie, ("Cookie", "session=")]),
        (&in_cookie, &[cookie, ("X-User-Id", "u8")]),
    ] {
        let refused = buy(stand, headers);
        assert_eq!(
            refused.problem(),
            (400, "bad_buyer".to_owned()),
            "{headers:?}"
        );
    }
    for (stand, headers) in [
        (&in_jwt, &[authorization, ("X-User-Id", "u7")][..]),
        (&in_jwt, &[authorization, ("X-User-Id", "")]),
        (&in_cookie, &[cookie, ("Cookie", "a=b")]),
    ] {
        assert_eq!(owner(stand, &buy(stand, headers)), "u7", "{headers:?}");
    }
}

/// A cookie as a shop would make it.
fn signed(kid: &str, secret: &str, uid: &str, expires: i64) -> String {
    let uid = URL_SAFE_NO_PAD.encode(uid);
    let text = format!("v1.{kid}.{uid}.{expires}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
    format!("seckill_buyer={text}.{mac}")
}

#[test]
fn a_signed_cookie_says_who_buys_until_it_expires() {
    let folder = Folder::new();
    let (k1, k2) = (folder.write("k1", SECRET), folder.write("k2", OTHER_SECRET));
    let stand = stand(
        "cookie",
        &format!(
            "from = 'cookie'\n[cookie.keys]\nk1 = {{ file = '{k1}' }}\nk2 = {{ file = '{k2}' }}"
        ),
    );
    let buy = |cookie: &str| buy(&stand, &[("Cookie", &format!("a=b; {cookie}"))]);
    let later = now_s() + 300;
    let good = signed("k1", SECRET, "Žofie", later);
    assert_eq!(owner(&stand, &buy(&good)), "Žofie");
    let other = signed("k2", OTHER_SECRET, "u8", later);
    assert_eq!(owner(&stand, &buy(&other)), "u8");

    assert_eq!(
        buy(&signed("k1", SECRET, "u7", now_s() - 1)).problem(),
        (401, "expired_cookie".to_owned())
    );
    for bad in [
        "seckill_buyer=u7".to_owned(),
        signed("k1", OTHER_SECRET, "u7", later),
        signed("k2", SECRET, "u7", later),
        signed("k3", SECRET, "u7", later),
        good.replace(&later.to_string(), &(later + 1).to_string()),
    ] {
        assert_eq!(buy(&bad).problem(), (401, "bad_cookie".to_owned()), "{bad}");
    }
    assert_eq!(buy("").problem(), (401, "no_buyer".to_owned()));
    assert_eq!(
        buy(&format!("{good}; {other}")).problem(),
        (400, "bad_buyer".to_owned())
    );

    // The first key is found out.
    folder.write("k1", "a new secret in place of the one that got out");
    eventually("the old key is gone", || buy(&good).status == 401);
    assert_eq!(buy(&other).status, 202);
}

#[test]
fn a_cookie_buys_from_the_shops_own_pages_only() {
    let folder = Folder::new();
    let k1 = folder.write("k1", SECRET);
    let stand = stand(
        "pages",
        &format!(
            "from = 'cookie'\norigins = ['https://www.shop.test']\n\
             [cookie.keys]\nk1 = {{ file = '{k1}' }}"
        ),
    );
    let cookie = signed("k1", SECRET, "u7", now_s() + 300);
    let cookie = ("Cookie", cookie.as_str());
    for headers in [
        &[cookie][..],
        &[cookie, ("Sec-Fetch-Site", "same-origin")],
        &[cookie, ("Origin", "https://shop.test")],
        &[
            cookie,
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "https://www.shop.test"),
        ],
    ] {
        assert_eq!(buy(&stand, headers).status, 202, "{headers:?}");
    }
    let tries = stand.info("1001", "tries");
    for headers in [
        &[cookie, ("Sec-Fetch-Site", "cross-site")][..],
        &[cookie, ("Sec-Fetch-Site", "same-site")],
        &[cookie, ("Origin", "https://evil.test")],
        &[cookie, ("Origin", "https://shop.test.evil.test")],
        &[cookie, ("Origin", "null")],
        &[
            cookie,
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "https://evil.test"),
        ],
    ] {
        let refused = buy(&stand, headers);
        assert_eq!(
            refused.problem(),
            (403, "cross_site".to_owned()),
            "{headers:?}"
        );
    }
    assert_eq!(stand.info("1001", "tries"), tries);
    // Looking changes nothing, and other sites cannot read the answer.
    let bought = buy(&stand, &[cookie]);
    let look = [cookie, ("Sec-Fetch-Site", "cross-site")];
    let asked = request("GET", bought.header("location").unwrap(), &look, "");
    assert_eq!(stand.client().ask(&asked).status, 200);
}
