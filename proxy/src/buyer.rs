//! Who the buyer is: what a trusted peer says in a header, a signed token, or a signed cookie; one
//! of them, as configured, and nobody else.

use crate::config::Mistakes;
use crate::cookie::{CookieTable, SignedCookie};
use crate::fields::Fields;
use crate::live::Look;
use crate::networks::Networks;
use crate::origin::Origins;
use crate::problem::Problem;
use crate::spelling;
use crate::token::{TokenTable, Tokens};
use http::HeaderName;
use seckill_protocol::Uid;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// `[buyer]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuyerTable {
    #[serde(default = "default_from")]
    from: String,
    #[serde(default = "default_header")]
    header: String,
    trusted_peers: Option<Vec<String>>,
    origins: Option<Vec<String>>,
    jwt: Option<TokenTable>,
    cookie: Option<CookieTable>,
}

fn default_from() -> String {
    "header".to_owned()
}

fn default_header() -> String {
    "X-User-Id".to_owned()
}

/// Whose word on the buyer is believed, and where it stands.
pub(crate) struct Buyers {
    proof: Proof,
    /// Where a peer says it; where nobody is asked, it may not say otherwise.
    header: HeaderName,
    origins: Origins,
}

/// A header that says who the buyer is.
type Said<'h> = (&'h str, &'h [u8]);

enum Proof {
    /// The header, from one of these networks.
    Header(Networks),
    Token(Tokens),
    Cookie(SignedCookie),
}

// === impl Buyers ===

impl Buyers {
    /// Checks the table and reads its keys.
    pub(crate) fn new(table: &BuyerTable, mistakes: &mut Mistakes) -> Option<Self> {
        let header = mistakes.note(header(&table.header));
        let origins = mistakes.note(Origins::new(table.origins.as_deref().unwrap_or_default()));
        let proof = match (table.from.as_str(), &table.jwt, &table.cookie) {
            ("header", None, None) => Some(Proof::Header(trusted_peers(
                table.trusted_peers.as_deref().unwrap_or_default(),
                mistakes,
            ))),
            ("jwt", Some(jwt), None) => Tokens::new(jwt, mistakes).map(Proof::Token),
            ("cookie", None, Some(cookie)) => {
                SignedCookie::new(cookie, mistakes).map(Proof::Cookie)
            }
            ("jwt", None, _) => {
                mistakes.add("buyer.jwt: missing; from = \"jwt\" needs it".to_owned());
                None
            }
            ("cookie", _, None) => {
                mistakes.add("buyer.cookie: missing; from = \"cookie\" needs it".to_owned());
                None
            }
            ("header" | "jwt" | "cookie", _, _) => {
                mistakes.add(format!(
                    "buyer.from: only the table of {:?} may be there; one proof is believed, not several",
                    table.from
                ));
                None
            }
            (other, _, _) => {
                mistakes.add(format!(
                    "buyer.from: expected \"header\", \"jwt\" or \"cookie\", not {other:?}"
                ));
                None
            }
        };
        if table.from != "header" && table.trusted_peers.is_some() {
            mistakes.add("buyer.trusted_peers: only for from = \"header\"; what is signed is believed from anywhere".to_owned());
        }
        let buyers = Self {
            proof: proof?,
            header: header?,
            origins: origins?,
        };
        if table.origins.is_some() && !buyers.is_cookie() {
            mistakes.add(
                "buyer.origins: only where a cookie says who buys; nothing else is sent along by itself"
                    .to_owned(),
            );
        }
        Some(buyers)
    }

    /// The buyer of a request that came from `peer` and only looks.
    ///
    /// # Errors
    /// [`Problem::NoBuyer`] if nobody who may says who it is; [`Problem::BadBuyer`] if that is
    /// said twice, or is no uid. Twice, because a peer that appends where it should replace would
    /// let a client choose its name. Other [`Problem`]s if a signature or a time is not good.
    pub(crate) fn identify(
        &self,
        peer: Option<IpAddr>,
        headers: &Fields<'_>,
    ) -> Result<Uid, Problem> {
        let said = self.said(headers)?;
        match &self.proof {
            Proof::Header(trusted) => {
                if !peer.is_some_and(|peer| trusted.contains(peer)) {
                    return Err(Problem::NoBuyer);
                }
                let (_, value) = said
                    .filter(|(name, _)| name.eq_ignore_ascii_case(self.header.as_str()))
                    .ok_or(Problem::NoBuyer)?;
                Uid::new(value).map_err(|_| Problem::BadBuyer)
            }
            Proof::Token(tokens) => unless_denied(tokens.identify(headers)?, said),
            Proof::Cookie(cookie) => unless_denied(cookie.identify(headers)?, said),
        }
    }

    /// The buyer of a request that buys.
    ///
    /// # Errors
    /// Those of [`Self::identify`]; and [`Problem::CrossSite`] if a browser may have been made to
    /// buy by another site.
    pub(crate) fn buying(
        &self,
        peer: Option<IpAddr>,
        headers: &Fields<'_>,
    ) -> Result<Uid, Problem> {
        let uid = self.identify(peer, headers)?;
        if self.is_cookie() {
            self.origins.check(headers)?;
        }
        Ok(uid)
    }

    /// The networks whose word on the buyer is believed.
    pub(crate) fn gateways(&self) -> Networks {
        match &self.proof {
            Proof::Header(trusted) => trusted.clone(),
            Proof::Token(_) | Proof::Cookie(_) => Networks::default(),
        }
    }

    /// The keys, if it takes any.
    pub(crate) fn keys(&self) -> Option<Arc<dyn Look>> {
        match &self.proof {
            Proof::Header(_) => None,
            Proof::Token(tokens) => Some(tokens.keys()),
            Proof::Cookie(cookie) => Some(cookie.keys()),
        }
    }

    /// Whether browsers send by themselves what says who buys.
    const fn is_cookie(&self) -> bool {
        match &self.proof {
            Proof::Header(_) => false,
            Proof::Token(tokens) => tokens.is_cookie(),
            Proof::Cookie(_) => true,
        }
    }

    /// What the header says, in whatever spelling; nothing is how many gateways say "not signed
    /// in".
    ///
    /// # Errors
    /// [`Problem::BadBuyer`] if it is there twice.
    fn said<'h>(&self, headers: &Fields<'h>) -> Result<Option<Said<'h>>, Problem> {
        let mut all = headers
            .iter()
            .map(|field| (field.name, field.value))
            .filter(|(name, _)| spelling::is_same(name, self.header.as_str()));
        match (all.next(), all.next()) {
            (said, None) => Ok(said.filter(|(_, value)| !value.is_empty())),
            _ => Err(Problem::BadBuyer),
        }
    }
}

/// The proven buyer, unless the header names another: the shop behind might believe that.
fn unless_denied(uid: Uid, said: Option<Said<'_>>) -> Result<Uid, Problem> {
    match said {
        Some((_, value)) if value != uid.as_bytes() => Err(Problem::BadBuyer),
        _ => Ok(uid),
    }
}

fn header(name: &str) -> Result<HeaderName, String> {
    name.parse()
        .map_err(|_| format!("buyer.header: expected the name of a header, not {name:?}"))
}

fn trusted_peers(texts: &[String], mistakes: &mut Mistakes) -> Networks {
    if texts.is_empty() {
        mistakes.add("buyer.trusted_peers: expected at least one network, for example \"127.0.0.1/32\"; without one nobody can buy".to_owned());
    }
    Networks::new("buyer.trusted_peers", texts, mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    const GATEWAY: &str = "10.1.2.3";

    fn identify_by(peer: &str, headers: &[(&'static str, &[u8])]) -> Result<String, Problem> {
        let buyers = Buyers {
            proof: Proof::Header(Networks::new(
                "",
                &["10.0.0.0/8".to_owned()],
                &mut Mistakes::default(),
            )),
            header: HeaderName::from_static("x-user-id"),
            origins: Origins::new(&[]).unwrap(),
        };
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        buyers
            .identify(Some(peer.parse().unwrap()), &Fields::from(&all))
            .map(|uid| uid.to_string())
    }

    fn identify(peer: &str, values: &[&[u8]]) -> Result<String, Problem> {
        let headers: Vec<_> = values.iter().map(|value| ("x-user-id", *value)).collect();
        identify_by(peer, &headers)
    }

    #[test]
    fn a_trusted_peer_names_the_buyer() {
        assert_eq!(identify(GATEWAY, &[b"u7"]), Ok("u7".to_owned()));
        assert_eq!(identify("::ffff:10.1.2.3", &[b"u7"]), Ok("u7".to_owned()));
        assert_eq!(
            identify(GATEWAY, &["Žofie".as_bytes()]),
            Ok("Žofie".to_owned())
        );
    }

    #[test]
    fn nobody_else_does() {
        assert_eq!(identify("192.0.2.1", &[b"u7"]), Err(Problem::NoBuyer));
        assert_eq!(identify(GATEWAY, &[]), Err(Problem::NoBuyer));
        assert_eq!(identify(GATEWAY, &[b""]), Err(Problem::NoBuyer));
        assert_eq!(
            identify_by(GATEWAY, &[("x_user_id", b"u7")]),
            Err(Problem::NoBuyer)
        );
    }

    #[test]
    fn a_name_said_twice_or_unfit_is_refused() {
        assert_eq!(identify(GATEWAY, &[b"u7", b"u8"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[b"u7", b"u7"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[b"\xff"]), Err(Problem::BadBuyer));
        assert_eq!(identify(GATEWAY, &[&[b'x'; 129]]), Err(Problem::BadBuyer));
        for name in ["x_user_id", "x-user_id", "x.user.id"] {
            let headers = [("x-user-id", &b"u7"[..]), (name, b"u8")];
            assert_eq!(identify_by(GATEWAY, &headers), Err(Problem::BadBuyer));
        }
    }
}
