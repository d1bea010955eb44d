//! Tokens: a JWT that somebody else has signed says who the buyer is.
//!
//! Which algorithms are believed is the configuration's word, and each key has its own: the token
//! chooses among what is allowed and nothing else.

use crate::config::{Mistakes, within};
use crate::cookie;
use crate::fields::{Fields, plain_text};
use crate::live::{Live, Look};
use crate::problem::Problem;
use crate::secret;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use http::HeaderName;
use http::header::AUTHORIZATION;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation, decode, decode_header,
};
use seckill_daemon::secret::Source;
use seckill_protocol::Uid;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest time that two clocks may differ by.
const LEEWAY_S_MAX: u64 = 300;

/// A point of a curve is two coordinates and a byte.
const P256_BYTES: usize = 65;
const P384_BYTES: usize = 97;

/// The modulus of the shortest RSA key that is still believed, 2048 bits.
const RSA_BYTES_MIN: usize = 256;

/// `[buyer.jwt]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenTable {
    algorithms: Vec<String>,
    secret: Option<Source>,
    pem: Option<Source>,
    jwks: Option<Source>,
    issuer: Option<String>,
    audience: Option<String>,
    #[serde(default = "default_claim")]
    claim: String,
    #[serde(default = "default_leeway_s")]
    leeway_s: u64,
    header: Option<String>,
    cookie: Option<String>,
}

fn default_claim() -> String {
    "sub".to_owned()
}

const fn default_leeway_s() -> u64 {
    5
}

/// The tokens that say who the buyer is.
pub(crate) struct Tokens {
    carrier: Carrier,
    claim: String,
    keys: Arc<Live<Keys>>,
}

/// Where a request has its token.
enum Carrier {
    /// `Authorization: Bearer …`
    Bearer,
    /// The whole of a header.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
}

enum Keys {
    /// One key, whatever the token calls it.
    One(Box<Key>),
    /// The key that the token names.
    Named(BTreeMap<String, Key>),
}

struct Key {
    key: DecodingKey,
    rules: Validation,
}

/// Where the keys come from.
#[derive(Clone, Copy)]
enum Kind {
    Secret,
    Pem,
    Jwks,
}

// === impl Tokens ===

impl Tokens {
    /// Checks the table and reads its keys.
    pub(crate) fn new(table: &TokenTable, mistakes: &mut Mistakes) -> Option<Self> {
        let algorithms = mistakes.note(algorithms(&table.algorithms));
        let carrier = mistakes.note(carrier(table));
        let source = mistakes.note(source(table));
        if table.claim.is_empty() {
            mistakes.add("buyer.jwt.claim: expected the name of a claim".to_owned());
        }
        let leeway = within(
            "buyer.jwt.leeway_s",
            table.leeway_s,
            0..=LEEWAY_S_MAX,
            " seconds",
        );
        mistakes.note(leeway);
        let (kind, at, source) = source?;
        let rules = rules(table, algorithms?);
        let keys = Live::load(vec![(at.to_owned(), source)], move |all| {
            let bytes = all.first().map(Vec::as_slice).unwrap_or_default();
            keys(kind, bytes, &rules).map_err(|reason| format!("{at}: {reason}"))
        });
        Some(Self {
            carrier: carrier?,
            claim: table.claim.clone(),
            keys: Arc::new(mistakes.note(keys)?),
        })
    }

    /// The buyer, as the token has it.
    ///
    /// # Errors
    /// [`Problem`] if there is no token, or it is not to be believed.
    pub(crate) fn identify(&self, headers: &Fields<'_>) -> Result<Uid, Problem> {
        let token = self.carrier.token(headers)?.ok_or(Problem::NoBuyer)?;
        let claims = self.keys.get().believe(token)?;
        uid(claims.get(&self.claim))
    }

    /// Whether browsers send the token along by themselves.
    pub(crate) const fn is_cookie(&self) -> bool {
        matches!(self.carrier, Carrier::Cookie(_))
    }

    /// The keys.
    pub(crate) fn keys(&self) -> Arc<dyn Look> {
        Arc::<Live<Keys>>::clone(&self.keys)
    }
}

fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    let expected = "expected some of \"HS256\", \"HS384\", \"HS512\", \"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\"";
    if names.is_empty() {
        return Err(format!("buyer.jwt.algorithms: {expected}"));
    }
    names
        .iter()
        .map(|name| {
            name.parse()
                .map_err(|_| format!("buyer.jwt.algorithms: {expected}, not {name:?}"))
        })
        .collect()
}

fn carrier(table: &TokenTable) -> Result<Carrier, String> {
    match (&table.header, &table.cookie) {
        (None, None) => Ok(Carrier::Bearer),
        (Some(name), None) => match name.parse() {
            Ok(AUTHORIZATION) => Ok(Carrier::Bearer),
            Ok(name) => Ok(Carrier::Header(name)),
            Err(_) => Err(format!(
                "buyer.jwt.header: expected the name of a header, not {name:?}"
            )),
        },
        (None, Some(name)) => cookie::name("buyer.jwt.cookie", name).map(Carrier::Cookie),
        (Some(_), Some(_)) => {
            Err("buyer.jwt.cookie: expected either header or cookie, not both".to_owned())
        }
    }
}

fn source(table: &TokenTable) -> Result<(Kind, &'static str, Source), String> {
    match (&table.secret, &table.pem, &table.jwks) {
        (Some(secret), None, None) => Ok((Kind::Secret, "buyer.jwt.secret", secret.clone())),
        (None, Some(pem), None) => Ok((Kind::Pem, "buyer.jwt.pem", pem.clone())),
        (None, None, Some(jwks)) => Ok((Kind::Jwks, "buyer.jwt.jwks", jwks.clone())),
        _ => Err("buyer.jwt: expected one of secret, pem and jwks, for example jwks = { file = \"/etc/seckill/jwks.json\" }".to_owned()),
    }
}

fn rules(table: &TokenTable, algorithms: Vec<Algorithm>) -> Validation {
    let mut rules = Validation {
        algorithms,
        leeway: table.leeway_s,
        validate_nbf: true,
        ..Validation::default()
    };
    // Required, and not only compared if they are there.
    let mut required = vec!["exp"];
    if let Some(issuer) = &table.issuer {
        rules.set_issuer(&[issuer]);
        required.push("iss");
    }
    if let Some(audience) = &table.audience {
        rules.set_audience(&[audience]);
        required.push("aud");
    }
    rules.set_required_spec_claims(&required);
    rules
}

fn keys(kind: Kind, bytes: &[u8], rules: &Validation) -> Result<Keys, String> {
    let key = match kind {
        Kind::Secret => DecodingKey::from_secret(secret::shared(bytes)?),
        Kind::Pem => pem(bytes)?,
        Kind::Jwks => return jwks(bytes, rules),
    };
    match Key::new(key, rules) {
        Ok(Some(key)) if key.rules.algorithms == rules.algorithms => Ok(Keys::One(Box::new(key))),
        Ok(_) => Err("this key does not fit all of buyer.jwt.algorithms".to_owned()),
        Err(reason) => Err(reason),
    }
}

fn pem(bytes: &[u8]) -> Result<DecodingKey, String> {
    let expected =
        "expected a public key in PEM, -----BEGIN PUBLIC KEY-----, of RSA, P-256, P-384 or Ed25519";
    let text = bytes.trim_ascii_start();
    // A certificate has other bits first, and a private key does not belong here.
    let is_public = [
        &b"-----BEGIN PUBLIC KEY-----"[..],
        b"-----BEGIN RSA PUBLIC KEY-----",
    ]
    .iter()
    .any(|line| text.starts_with(line));
    if !is_public {
        return Err(expected.to_owned());
    }
    DecodingKey::from_rsa_pem(text)
        .or_else(|_| DecodingKey::from_ec_pem(text))
        .or_else(|_| DecodingKey::from_ed_pem(text))
        .map_err(|_| expected.to_owned())
}

fn jwks(bytes: &[u8], rules: &Validation) -> Result<Keys, String> {
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|error| {
        // Not what stands there: it may be a secret.
        format!(
            "expected a JWK set, {{\"keys\":[…]}}; line {}, column {} is none",
            error.line(),
            error.column()
        )
    })?;
    let alone = set.keys.len() == 1;
    let mut keys = BTreeMap::new();
    for (at, jwk) in set.keys.iter().enumerate() {
        // Sets hold keys for other purposes too.
        let Some(key) = of_jwk(jwk, rules).map_err(|reason| format!("keys[{at}]: {reason}"))?
        else {
            continue;
        };
        let Some(kid) = &jwk.common.key_id else {
            if alone {
                return Ok(Keys::One(Box::new(key)));
            }
            return Err(format!(
                "keys[{at}]: expected a kid, since there are several keys"
            ));
        };
        if keys.insert(kid.clone(), key).is_some() {
            return Err(format!("keys[{at}]: another key has the same kid"));
        }
    }
    if keys.is_empty() {
        return Err("expected a key that fits buyer.jwt.algorithms; there is none".to_owned());
    }
    Ok(Keys::Named(keys))
}

fn of_jwk(jwk: &Jwk, rules: &Validation) -> Result<Option<Key>, String> {
    let signs = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    // What is called P-521 or X25519 is no key of any algorithm that could be listed.
    let known = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => {
            matches!(ec.curve, EllipticCurve::P256 | EllipticCurve::P384)
        }
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519,
        AlgorithmParameters::RSA(_) | AlgorithmParameters::OctetKey(_) => true,
        _ => false,
    };
    if !signs || !known {
        return Ok(None);
    }
    let mut rules = rules.clone();
    if let Some(only) = &jwk.common.key_algorithm {
        rules
            .algorithms
            .retain(|&algorithm| KeyAlgorithm::from(algorithm) == *only);
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|_| "expected base64url".to_owned())?;
    Key::new(key, &rules)
}

// === impl Key ===

impl Key {
    /// A key with those of the algorithms that it is made for, if any.
    ///
    /// # Errors
    /// It is no key.
    fn new(key: DecodingKey, rules: &Validation) -> Result<Option<Self>, String> {
        let mut rules = rules.clone();
        let length = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        rules.algorithms.retain(|algorithm| {
            algorithm.family() == key.family()
                && match algorithm {
                    Algorithm::ES256 => length == P256_BYTES,
                    Algorithm::ES384 => length == P384_BYTES,
                    _ => true,
                }
        });
        if rules.algorithms.is_empty() {
            return Ok(None);
        }
        check(&key)?;
        Ok(Some(Self { key, rules }))
    }
}

/// Finds out now, and not at the first buyer, whether a key is one.
fn check(key: &DecodingKey) -> Result<(), String> {
    // Shorter ones would be refused at every token.
    let rsa = "expected an RSA key of at least 2048 bits";
    let parses = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8], no: &str| {
        ParsedPublicKey::new(algorithm, bytes)
            .map(drop)
            .map_err(|_| no.to_owned())
    };
    match (key.family(), key.kind()) {
        (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(bytes)) => {
            secret::shared(bytes).map(drop)
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(bytes)) => {
            let curve: &'static dyn VerificationAlgorithm = if bytes.len() == P256_BYTES {
                &ECDSA_P256_SHA256_FIXED
            } else {
                &ECDSA_P384_SHA384_FIXED
            };
            parses(curve, bytes, "expected a point of its curve")
        }
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(bytes)) => {
            parses(&ED25519, bytes, "expected an Ed25519 key")
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(bytes))
            if bytes.len() > RSA_BYTES_MIN =>
        {
            parses(&RSA_PKCS1_2048_8192_SHA256, bytes, rsa)
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e })
            if n.len() >= RSA_BYTES_MIN =>
        {
            RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .map(drop)
                .map_err(|_| rsa.to_owned())
        }
        _ => Err(rsa.to_owned()),
    }
}

// === impl Carrier ===

impl Carrier {
    /// The token, if there is one.
    ///
    /// # Errors
    /// [`Problem::BadBuyer`] if there are two.
    fn token<'h>(&self, headers: &Fields<'h>) -> Result<Option<&'h str>, Problem> {
        match self {
            Self::Cookie(name) => cookie::only(headers, name),
            Self::Header(name) => only(headers, name.as_str()),
            Self::Bearer => {
                let value = only(headers, "authorization")?;
                Ok(value.and_then(|value| {
                    let (scheme, token) = value.split_once(' ')?;
                    scheme
                        .eq_ignore_ascii_case("bearer")
                        .then(|| token.trim_ascii())
                }))
            }
        }
    }
}

fn only<'h>(headers: &Fields<'h>, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        // A comma is how two headers become one on the way; no token has any.
        (Some(value), None) if !value.contains(&b',') => plain_text(value)
            .map(|value| Some(value).filter(|value| !value.is_empty()))
            .ok_or(Problem::BadToken { expired: false }),
        _ => Err(Problem::BadBuyer),
    }
}

// === impl Keys ===

impl Keys {
    fn believe(&self, token: &str) -> Result<Map<String, Value>, Problem> {
        let refused = Problem::BadToken { expired: false };
        let header = decode_header(token).map_err(|_| refused)?;
        if header.crit.is_some() {
            // It demands what nobody here understands.
            return Err(refused);
        }
        let Key { key, rules } = match self {
            Self::One(key) => key,
            Self::Named(keys) => header.kid.and_then(|kid| keys.get(&kid)).ok_or(refused)?,
        };
        decode(token, key, rules)
            .map(|token| token.claims)
            .map_err(|error| Problem::BadToken {
                expired: matches!(error.kind(), ErrorKind::ExpiredSignature),
            })
    }
}

/// Many number their users.
fn uid(claim: Option<&Value>) -> Result<Uid, Problem> {
    let text = match claim {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return Err(Problem::BadToken { expired: false }),
    };
    Uid::new(text.as_bytes()).map_err(|_| Problem::BadBuyer)
}
