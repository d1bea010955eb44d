//! What the shop is asked: what the client has sent, without what is not for the shop, and with where
//! it comes from.

use crate::client::Introduction;
use crate::fast::Plain;
use crate::proxy::could_be_ours;

/// What is added: `X-Forwarded-…`.
const MORE_BYTES: usize = 192;

/// What is about the connection that it came on: those of RFC 9110, 7.6.1, and what pingora takes
/// away besides. `Connection` itself can name no others here: it says `keep-alive`.
const FOR_US: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// The head of the question.
pub(super) fn head(plain: &Plain<'_>, introduction: Option<&Introduction>) -> Vec<u8> {
    let mut head = Vec::with_capacity(plain.head_length().saturating_add(MORE_BYTES));
    for word in [
        plain.method().as_str(),
        " ",
        plain.target(),
        " HTTP/1.1\r\n",
    ] {
        head.extend_from_slice(word.as_bytes());
    }
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for httparse::Header { name, value } in plain.headers().iter() {
        let is_replaced = introduction.is_some_and(|told| told.replaces(name));
        if !is_replaced && !is_for_us(name) && !could_be_ours(name) {
            line(name, value);
        }
    }
    for (name, value) in introduction.iter().flat_map(|told| told.headers()) {
        line(name, value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn is_for_us(name: &str) -> bool {
    FOR_US.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{ClientTable, Clients};
    use crate::config::Mistakes;
    use crate::networks::Networks;

    #[test]
    fn the_shop_gets_what_is_for_it_and_hears_where_it_comes_from() {
        let request = "GET /a?b=%20 HTTP/1.1\r\nhOsT: shop.test\r\nX-Forwarded-For: 1.1.1.1\r\n\
                       Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
                       TE: trailers\r\nTrailer: X\r\nProxy-Authorization: x\r\n\
                       HTTP2-Settings: x\r\nSeckill-User: u9\r\nseckill_sale: 1\r\n\
                       x_forwarded_proto: https\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n\
                       Cookie: a=b\r\nAccept-Language: de\r\nCookie: c=d\r\n\r\n";
        let plain = Plain::read(request.as_bytes()).unwrap();
        let mut mistakes = Mistakes::default();
        let gateways = Networks::new("", &[], &mut mistakes);
        let clients = Clients::new(&ClientTable::default(), gateways, &mut mistakes);
        let peer = Some("192.0.2.1".parse().unwrap());
        let told = clients.introduction(peer, "http", plain.headers());
        let head = String::from_utf8(head(&plain, told.as_ref())).unwrap();
        assert_eq!(
            head,
            "GET /a?b=%20 HTTP/1.1\r\nhOsT: shop.test\r\nCookie: a=b\r\nAccept-Language: de\r\n\
             Cookie: c=d\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\n\
             x-forwarded-host: shop.test\r\n\r\n"
        );
    }
}
