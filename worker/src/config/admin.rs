//! `[admin]`: where the worker can be asked how it is, and who may see the dashboard there.

use super::Mistakes;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use seckill_daemon::secret::Source;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;

/// Who could try a million a second would need longer than a sale lasts.
const TOKEN_CHARS_MIN: usize = 16;

/// `[admin]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminTable {
    listen: String,
    token: Option<Source>,
    #[serde(default)]
    proxies: Vec<String>,
}

/// Where the worker itself can be asked how it is.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    /// What opens the dashboard; without it, nothing does.
    pub(crate) token: Option<Token>,
    /// The admin addresses of the proxies, `host:port`.
    pub(crate) proxies: Vec<String>,
}

/// What opens the dashboard. Only its hash is kept, so that all are equally long.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

// === impl Admin ===

impl Admin {
    /// Checks the table.
    pub(super) fn new(table: AdminTable, mistakes: &mut Mistakes) -> Option<Self> {
        let listen = mistakes.note(listen(&table.listen));
        let token = table.token.map(|source| token(&source));
        let token = mistakes.note(token.transpose());
        let proxies = mistakes.note(proxies(table.proxies));
        Some(Self {
            listen: listen?,
            token: token?,
            proxies: proxies?,
        })
    }
}

/// An address and a port to listen on.
fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "admin.listen: expected an address and a port, for example \"127.0.0.1:9102\", not {text:?}"
        )
    })
}

fn token(source: &Source) -> Result<Token, String> {
    let text = source.password("admin.token")?;
    if text.chars().count() < TOKEN_CHARS_MIN {
        return Err(format!(
            "admin.token: expected at least {TOKEN_CHARS_MIN} characters, such as from openssl rand -hex 16"
        ));
    }
    Ok(Token::new(&text))
}

fn proxies(all: Vec<String>) -> Result<Vec<String>, String> {
    for (index, text) in all.iter().enumerate() {
        let place = text.rsplit_once(':').filter(|(host, port)| {
            let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
            is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if place.is_none() {
            return Err(format!(
                "admin.proxies[{index}]: expected host:port, the [admin] listen of a proxy, not {text:?}"
            ));
        }
    }
    Ok(all)
}

// === impl Token ===

impl Token {
    fn new(text: &str) -> Self {
        Self(hash(text))
    }

    /// Whether it is this one; how long it takes does not say how much of it is right.
    pub(crate) fn is(&self, text: &str) -> bool {
        verify_slices_are_equal(&self.0, &hash(text)).is_ok()
    }
}

fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Admin, String> {
        let table = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut mistakes = Mistakes::default();
        Admin::new(table, &mut mistakes).ok_or_else(|| mistakes.to_string())
    }

    #[test]
    fn only_the_token_itself_is_it() {
        let token = Token::new("0123456789abcdef");
        assert!(token.is("0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
        ] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(read("listen = '127.0.0.1:1'").unwrap().token.is_none());
        for (text, named) in [
            ("listen = 'here'", "admin.listen: expected an address"),
            (
                "listen = '[::1]:1'\ntoken = 'hunter2hunter2hunter2'",
                "a secret does not stand in the configuration",
            ),
            (
                "listen = '[::1]:1'\ntoken = { file = '/dev/null' }",
                "admin.token: is empty",
            ),
            (
                "listen = '[::1]:1'\nproxies = ['h:1', 'http://h:1/']",
                "admin.proxies[1]: expected host:port",
            ),
        ] {
            let mistake = read(text).expect_err(text);
            assert!(mistake.contains(named), "{text}: {mistake}");
        }
    }
}
