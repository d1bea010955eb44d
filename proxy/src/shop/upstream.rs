//! What stands for the shop in the configuration: `host:port`, or a URL.

use crate::shop::address::Address;
use http::uri::Authority;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::{HttpPeer, Scheme};
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// One of them. A name stands for all its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    /// `host:port`, to be looked up.
    pub(super) name: String,
    /// The header `Host` of what it is asked by the proxy itself.
    pub(super) host: String,
    /// The name that its certificate has to have, if it has one.
    server_name: Option<String>,
}

// === impl Upstream ===

impl Upstream {
    /// Reads one, and looks it up.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn new(key: &str, text: &str) -> Result<(Self, Vec<SocketAddr>), String> {
        let expected = "expected host:port or a URL without a path, for example \"127.0.0.1:8000\" or \"https://shop.internal\"";
        let wrong = |why: &str| format!("{key}: {expected}, not {text:?}{why}");
        let upstream = Self::parse(text).ok_or_else(|| wrong(""))?;
        let found: Vec<_> = upstream
            .name
            .to_socket_addrs()
            .map_err(|error| wrong(&format!(" ({error})")))?
            .collect();
        if found.is_empty() {
            return Err(wrong(" (no address)"));
        }
        Ok((upstream, found))
    }

    fn parse(text: &str) -> Option<Self> {
        let (tls, port, url) = if let Some(url) = text.strip_prefix("https://") {
            (true, 443, url)
        } else if let Some(url) = text.strip_prefix("http://") {
            (false, 80, url)
        } else {
            return Some(Self {
                name: text.to_owned(),
                host: text.to_owned(),
                server_name: None,
            });
        };
        let authority: Authority = url.strip_suffix('/').unwrap_or(url).parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host();
        let server_name = host.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(server_name).ok()?;
        Some(Self {
            name: format!("{host}:{}", authority.port_u16().unwrap_or(port)),
            host: authority.to_string(),
            server_name: tls.then(|| server_name.to_owned()),
        })
    }

    /// Whether it speaks TLS.
    pub(super) const fn is_tls(&self) -> bool {
        self.server_name.is_some()
    }

    /// Has a connection made as this upstream wants it.
    pub(super) fn prepare(&self, peer: &mut HttpPeer) {
        // Without a name, the certificate would not be verified at all.
        if let Some(name) = &self.server_name {
            peer.scheme = Scheme::HTTPS;
            peer.sni.clone_from(name);
        }
    }
}

/// Adds what an upstream stands for; an address that two stand for is one. What is known of an
/// address stays known.
pub(super) fn add(
    addresses: &mut Vec<Arc<Address>>,
    upstream: &Upstream,
    found: Vec<SocketAddr>,
    known: &[Arc<Address>],
) {
    for address in found {
        if addresses.iter().any(|own| own.address == address) {
            continue;
        }
        let new = Arc::new(Address::new(address, upstream));
        let known = known.iter().find(|known| known.is_same(&new));
        addresses.push(known.map_or(new, Arc::clone));
    }
}

/// Who may vouch for the shop's certificate, from a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn authorities(file: &Path) -> Result<Arc<CaType>, String> {
    let wrong = |why: &str| {
        let file = file.display();
        format!("shop.ca: expected a file with certificates in PEM, not {file} ({why})")
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("none is in it"));
    }
    let mut authorities = Vec::new();
    for certificate in certificates {
        // Both who take them in later do so while a buyer waits, and one panics at a bad one.
        if X509Certificate::from_der(&certificate).is_err()
            || RootCertStore::empty().add(certificate.clone()).is_err()
        {
            return Err(wrong("one of them cannot be read"));
        }
        authorities.push(WrappedX509::new(certificate.to_vec(), parse_x509));
    }
    Ok(authorities.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(text: &str) -> Option<(String, String, Option<String>)> {
        let upstream = Upstream::parse(text)?;
        Some((upstream.name, upstream.host, upstream.server_name))
    }

    #[test]
    fn a_url_says_whether_to_use_tls_and_may_leave_the_port_out() {
        for (text, name, host, tls) in [
            ("10.0.0.1:8000", "10.0.0.1:8000", "10.0.0.1:8000", None),
            ("http://shop", "shop:80", "shop", None),
            ("http://shop:81/", "shop:81", "shop:81", None),
            ("https://shop", "shop:443", "shop", Some("shop")),
            ("https://shop:8443", "shop:8443", "shop:8443", Some("shop")),
            ("https://[::1]", "[::1]:443", "[::1]", Some("::1")),
        ] {
            let expected = (name.to_owned(), host.to_owned(), tls.map(str::to_owned));
            assert_eq!(upstream(text), Some(expected), "{text}");
        }
        for text in [
            "https://",
            "https://shop/path",
            "https://me:secret@shop",
            "https://a b",
            "http://shop?x",
        ] {
            assert_eq!(upstream(text), None, "{text}");
        }
    }
}
