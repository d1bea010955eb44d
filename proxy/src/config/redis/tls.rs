//! `[redis.tls]`: whom to believe that it is Redis, and how the proxy proves who it is.

use crate::config::Mistakes;
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use seckill_daemon::secret::Source;
use serde::Deserialize;

/// `[redis.tls]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsTable {
    ca: Option<Source>,
    cert: Option<Source>,
    key: Option<Source>,
}

/// The server with the certificates of the table.
pub(super) fn secured(
    server: ConnectionInfo,
    table: Option<TlsTable>,
    mistakes: &mut Mistakes,
) -> Option<ConnectionInfo> {
    let Some(table) = table else {
        return Some(server);
    };
    if !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
        mistakes.add("redis.tls: only with a redis.url that begins with rediss://".to_owned());
        return None;
    }
    let certificates = mistakes.note(certificates(&table))?;
    let client = Client::build_with_tls(server, certificates);
    let client = mistakes.note(client.map_err(|error| format!("redis.tls: {error}")))?;
    Some(client.get_connection_info().clone())
}

fn certificates(table: &TlsTable) -> Result<TlsCertificates, String> {
    let root_cert = read("ca", table.ca.as_ref())?;
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &root_cert {
        for certificate in chain("ca", pem)? {
            let added = roots.add(certificate);
            added.map_err(|error| mistake("ca", &format!("not that of an authority: {error}")))?;
        }
    }
    let cert = read("cert", table.cert.as_ref())?;
    let key = read("key", table.key.as_ref())?;
    let client_tls = match (cert, key) {
        (None, None) => None,
        (Some(_), None) => return Err(mistake("key", "missing; cert needs it")),
        (None, Some(_)) => return Err(mistake("cert", "missing; key needs it")),
        (Some(client_cert), Some(client_key)) => {
            let certificates = chain("cert", &client_cert)?;
            let private = PrivateKeyDer::from_pem_slice(&client_key);
            let private =
                private.map_err(|_| mistake("key", "expected a private key as PEM text"))?;
            // Nobody would tell before the first connection that they do not belong together.
            ClientConfig::builder()
                .with_root_certificates(roots)
                .with_client_auth_cert(certificates, private)
                .map_err(|error| mistake("key", &format!("not the key of cert: {error}")))?;
            Some(ClientTlsConfig {
                client_cert,
                client_key,
            })
        }
    };
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}

fn read(key: &str, source: Option<&Source>) -> Result<Option<Vec<u8>>, String> {
    let read = source.map(Source::read).transpose();
    read.map_err(|error| mistake(key, &error))
}

fn chain(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(mistake(key, "expected a certificate as PEM text")),
    }
}

fn mistake(key: &str, what: &str) -> String {
    format!("redis.tls.{key}: {what}")
}
