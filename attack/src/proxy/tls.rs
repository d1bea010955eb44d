//! The proxy's secure door.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use seckill_testbed::{Authority, Place, Settings};
use toml::Table;

use super::case::Attacker;
use super::client;

/// A connection, secure or not.
pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Where the door is, and whom it is believed by.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) address: String,
    root: CertificateDer<'static>,
}

// === impl Tls ===

impl Tls {
    /// Makes a certificate, and tells the proxy of it and of a door.
    pub(crate) fn switch_on(place: &Place, settings: Settings) -> Result<(Self, Settings)> {
        let authority = Authority::new(place)?;
        let issued = authority.certify("proxy")?;
        // Free now, and taken by the proxy a moment later.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let text = format!(
            "listen = {address:?}\nhandshake_ms = 1500\ncertificate.file = {:?}\nkey.file = {:?}\n",
            issued.cert, issued.key
        );
        let table: Table = text.parse()?;
        let root = CertificateDer::from_pem_file(authority.cert())
            .context("the authority's certificate")?;
        Ok((Self { address, root }, settings.with("tls", table)))
    }

    /// Connects, and offers protocols.
    pub(crate) fn open(
        &self,
        attacker: Attacker,
        protocols: &[&[u8]],
    ) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1")?;
        let session = ClientConnection::new(Arc::new(config), name)?;
        Ok(StreamOwned::new(
            session,
            client::open(attacker, &self.address)?,
        ))
    }
}
