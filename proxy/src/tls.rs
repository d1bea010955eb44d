//! The listener for https: which certificate is shown, and how long a handshake may take.
//!
//! Certificates are read again when their files change. A pair that does not fit is told in the log,
//! and the one from before stays in force.

use crate::config::{Mistakes, listen, milliseconds};
use crate::live::{Live, Look};
use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use seckill_daemon::secret::Source;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// `[tls]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsTable {
    listen: String,
    certificate: Source,
    key: Source,
    #[serde(default = "default_handshake_ms")]
    handshake_ms: u64,
    #[serde(default, rename = "host")]
    hosts: Vec<HostTable>,
}

/// `[[tls.host]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    name: String,
    certificate: Source,
    key: Source,
}

const fn default_handshake_ms() -> u64 {
    10_000
}

/// The listener for https.
pub(crate) struct Tls {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    acceptor: Acceptor,
    handshake: Duration,
    certificates: Arc<Certificates>,
}

type Pair = Live<Arc<CertifiedKey>>;

/// What is shown to whom.
struct Certificates {
    /// To whoever asks for none of the others.
    default: Arc<Pair>,
    /// By the name that was asked for. A name that begins with `*.` stands for one label more.
    hosts: HashMap<String, Arc<Pair>>,
}

/// Makes one implementation of cryptography the process's. Whoever comes first has chosen, and all
/// choose the same.
pub(crate) fn install_provider() {
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
}

// === impl Tls ===

impl Tls {
    /// Checks the table and reads its certificates.
    pub(crate) fn new(table: &TlsTable, mistakes: &mut Mistakes) -> Option<Self> {
        let address = mistakes.note(listen("tls.listen", &table.listen));
        let handshake = milliseconds("tls.handshake_ms", table.handshake_ms, 100..=60_000);
        let handshake = mistakes.note(handshake);
        let default = mistakes.note(pair("tls", &table.certificate, &table.key));
        let mut hosts = HashMap::new();
        for (at, host) in table.hosts.iter().enumerate() {
            let at = format!("tls.host[{at}]");
            let name = mistakes.note(host_name(&at, &host.name));
            let pair = mistakes.note(pair(&at, &host.certificate, &host.key));
            if let (Some(name), Some(pair)) = (name, pair)
                && hosts.insert(name, pair).is_some()
            {
                mistakes.add(format!("{at}.name: another host has the same"));
            }
        }
        let certificates = Arc::new(Certificates {
            default: default?,
            hosts,
        });
        let config = mistakes.note(server_config(&certificates))?;
        Some(Self {
            listen: address?,
            acceptor: Acceptor::from_server_config(Arc::new(config)),
            handshake: handshake?,
            certificates,
        })
    }

    /// What has to be looked at now and then.
    pub(crate) fn keys(&self) -> Vec<Arc<dyn Look>> {
        let Certificates { default, hosts } = &*self.certificates;
        let look = |pair: &Arc<Pair>| Arc::clone(pair) as Arc<dyn Look>;
        std::iter::once(default)
            .chain(hosts.values())
            .map(look)
            .collect()
    }

    /// Shakes hands. Whether that comes to anything is the client's business; a line in the log for
    /// each who does not speak TLS would be for strangers to fill.
    pub(crate) async fn accept(&self, stream: Stream) -> Option<Stream> {
        let stream = stream.into_any().downcast::<L4Stream>().ok()?;
        let handshake = self.acceptor.tls_handshake(*stream);
        let stream = timeout(self.handshake, handshake).await.ok()?.ok()?;
        Some(Box::new(stream))
    }
}

fn server_config(certificates: &Arc<Certificates>) -> Result<ServerConfig, String> {
    let broken = |error| format!("tls: {error}");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(broken)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificates) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A crowd that comes back resumes without a place for each of them in a table.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(broken)?;
    Ok(config)
}

fn host_name(at: &str, name: &str) -> Result<String, String> {
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let is_name = !bare.is_empty()
        && bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if is_name {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(format!(
            "{at}.name: expected a host's name, for example \"shop.example\" or \"*.shop.example\", not {name:?}"
        ))
    }
}

fn pair(at: &str, certificate: &Source, key: &Source) -> Result<Arc<Pair>, String> {
    let at = [format!("{at}.certificate"), format!("{at}.key")];
    let sources = at
        .clone()
        .into_iter()
        .zip([certificate.clone(), key.clone()]);
    let live = Live::load(sources.collect(), move |contents| {
        let [at_certificate, at_key] = &at;
        let [certificate, key] = contents else {
            return Err(format!("{at_certificate}: nothing was read"));
        };
        certified(certificate, key)
            .map_err(|(of_key, reason)| {
                format!("{}: {reason}", if of_key { at_key } else { at_certificate })
            })
            .map(Arc::new)
    })?;
    Ok(Arc::new(live))
}

/// The pair, if it is one; otherwise whether the key is what is wrong, and why.
fn certified(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, (bool, String)> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| (false, format!("expected a chain in PEM ({error})")))?;
    if chain.is_empty() {
        return Err((
            false,
            "expected a chain in PEM, the server's certificate first; there is none".to_owned(),
        ));
    }
    // What is wrong with a key is not repeated: it could be a part of it.
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| (true, "expected a private key in PEM".to_owned()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                (true, "this key is not the certificate's".to_owned())
            }
            rustls::Error::InvalidCertificate(_) => {
                (false, format!("expected a certificate ({error})"))
            }
            _ => (
                true,
                "expected a private key of a kind that TLS can sign with".to_owned(),
            ),
        },
    )
}

// === impl Certificates ===

impl Certificates {
    fn of(&self, name: &str) -> Option<&Arc<Pair>> {
        let name = name.to_ascii_lowercase();
        let above = name.split_once('.').map(|(_, above)| above);
        self.hosts
            .get(&name)
            .or_else(|| self.hosts.get(&format!("*.{}", above?)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.of(name));
        let pair = named.unwrap_or(&self.default).get();
        Some(Arc::clone(&pair))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
