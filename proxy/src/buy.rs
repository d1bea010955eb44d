//! What a buy asks for: for whom, how many units, and under which token.

use crate::body;
use crate::desk::Asked;
use crate::fields::Fields;
use crate::problem::Problem;
use crate::site::Site;
use crate::spelling;
use seckill_protocol::{TOKEN_BYTES_MAX, Uid};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

const OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
];

/// What a buy asks for.
pub(crate) struct Wanted<'a> {
    /// For whom.
    pub(crate) uid: Uid,
    /// So many units.
    pub(crate) qty: u32,
    /// What names the buy when it is asked again.
    pub(crate) token: Option<&'a [u8]>,
}

/// Reads a buy.
///
/// # Errors
/// Why the module need not be asked.
pub(crate) fn wanted<'a>(site: &Site, asked: &Asked<'a>) -> Result<Wanted<'a>, Problem> {
    site.clients.admit(asked.peer, asked.headers)?;
    let wanted = Wanted {
        uid: site.buyers.buying(asked.peer, asked.headers)?,
        qty: quantity(asked.query)?,
        token: token(asked.headers)?,
    };
    if body::is_too_large(asked.headers) {
        return Err(Problem::BodyTooLarge);
    }
    Ok(wanted)
}

/// The units that `?qty=` asks for; 1 if it does not say.
///
/// # Errors
/// [`Problem::BadQuantity`] unless it is said at most once, as a plain number from 1 on.
fn quantity(query: Option<&str>) -> Result<u32, Problem> {
    let mut values =
        query
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| match pair.split_once('=') {
                Some(("qty", value)) => Some(value),
                None if pair == "qty" => Some(""),
                _ => None,
            });
    match (values.next(), values.next()) {
        (None, _) => Ok(1),
        (Some(value), None) if value.bytes().all(|b| b.is_ascii_digit()) => value
            .parse()
            .ok()
            .filter(|&units| units > 0)
            .ok_or(Problem::BadQuantity),
        _ => Err(Problem::BadQuantity),
    }
}

/// The token that names this buy when it is asked again, from `Idempotency-Key`.
///
/// # Errors
/// [`Problem::BadIdempotencyKey`] unless it is said at most once, as 1 to 128 visible ASCII
/// characters.
fn token<'h>(headers: &Fields<'h>) -> Result<Option<&'h [u8]>, Problem> {
    let mut values = headers.all(IDEMPOTENCY_KEY);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None)
            if (1..=TOKEN_BYTES_MAX).contains(&value.len())
                && value.iter().all(u8::is_ascii_graphic) =>
        {
            Ok(Some(value))
        }
        _ => Err(Problem::BadIdempotencyKey),
    }
}

/// Whether a header asks a framework behind the proxy to see another method than the one that
/// was checked here.
pub(crate) fn overrides_method(headers: &Fields<'_>) -> bool {
    let overrides = |name| OVERRIDES.iter().any(|own| spelling::is_same(name, own));
    headers.iter().any(|field| overrides(field.name))
}

/// Whether a connection is to become something in which nobody sees a buy any more. `h2c`, with
/// which some clients begin everywhere, is a wish that no server need fulfil, and never reaches the
/// shop.
pub(crate) fn upgrades(headers: &Fields<'_>) -> bool {
    headers.all("upgrade").any(|value| {
        value
            .split(|&byte| byte == b',')
            .any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::UPGRADE;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn one_unit_unless_said_otherwise() {
        assert_eq!(quantity(None), Ok(1));
        assert_eq!(quantity(Some("")), Ok(1));
        assert_eq!(quantity(Some("from=mail")), Ok(1));
        assert_eq!(quantity(Some("from=mail&qty=3")), Ok(3));
        assert_eq!(quantity(Some("qty=4294967295")), Ok(u32::MAX));
    }

    #[test]
    fn a_quantity_that_could_be_read_two_ways_is_refused() {
        for query in [
            "qty=0",
            "qty=",
            "qty",
            "qty=-1",
            "qty=+1",
            "qty=1.5",
            "qty=%31",
            "qty=4294967296",
            "qty=1&qty=2",
            "qty=1&qty",
        ] {
            assert_eq!(quantity(Some(query)), Err(Problem::BadQuantity), "{query}");
        }
    }

    fn key(values: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_short_visible_ascii_and_said_once() {
        assert_eq!(token(&Fields::from(&key(&[]))), Ok(None));
        assert_eq!(
            token(&Fields::from(&key(&[b"4f-1"]))),
            Ok(Some(&b"4f-1"[..]))
        );
        assert_eq!(
            token(&Fields::from(&key(&[&[b'x'; 128]]))),
            Ok(Some(&[b'x'; 128][..]))
        );
        for bad in [&b""[..], b"a b", b"\xc5\xbd", &[b'x'; 129]] {
            assert_eq!(
                token(&Fields::from(&key(&[bad]))),
                Err(Problem::BadIdempotencyKey)
            );
        }
        assert_eq!(
            token(&Fields::from(&key(&[b"a", b"a"]))),
            Err(Problem::BadIdempotencyKey)
        );
    }

    #[test]
    fn a_method_in_a_header_is_noticed_in_any_spelling() {
        for name in [
            "x-http-method-override",
            "x_http_method",
            "x-method_override",
            "x.http-method.override",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("POST"));
            assert!(overrides_method(&Fields::from(&headers)), "{name}");
        }
        assert!(!overrides_method(&Fields::from(&key(&[b"a"]))));
    }

    #[test]
    fn only_the_upgrade_that_everybody_ignores_is_ignored() {
        for (value, upgrades) in [
            ("websocket", true),
            ("h2c, websocket", true),
            ("", true),
            ("h2c", false),
            ("H2C , h2c", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(UPGRADE, HeaderValue::from_static(value));
            assert_eq!(
                super::upgrades(&Fields::from(&headers)),
                upgrades,
                "{value}"
            );
        }
        assert!(!super::upgrades(&Fields::from(&HeaderMap::new())));
    }
}
