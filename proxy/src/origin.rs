//! Whether a buy comes from the shop's own pages.
//!
//! A browser sends a cookie along with whatever request another site makes it send. It also says
//! where the request comes from, and no page can change that: in `Sec-Fetch-Site`, and in `Origin`.
//! What says neither is no browser of the last years, and nobody's cookie but its own.

use crate::fields::{Fields, plain_text};
use crate::problem::Problem;

/// The pages that may send a buyer's cookie along with a buy, besides the shop's own.
pub(crate) struct Origins(Vec<String>);

// === impl Origins ===

impl Origins {
    /// Origins as browsers write them: `https://www.shop.example`.
    ///
    /// # Errors
    /// One of them is none.
    pub(crate) fn new(origins: &[String]) -> Result<Self, String> {
        for (at, origin) in origins.iter().enumerate() {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let plain = |host: &str| {
                !host.is_empty()
                    && !host.contains(['/', '?', '#', '@', '*', ' '])
                    && host == host.to_ascii_lowercase()
            };
            if !host.is_some_and(plain) {
                return Err(format!(
                    "buyer.origins[{at}]: expected scheme and host in lower case, for example \"https://www.shop.example\", not {origin:?}"
                ));
            }
        }
        Ok(Self(origins.to_vec()))
    }

    /// Lets a request through that comes from here, or from no page.
    ///
    /// # Errors
    /// [`Problem::CrossSite`] if it comes from elsewhere, or contradicts itself.
    pub(crate) fn check(&self, headers: &Fields<'_>) -> Result<(), Problem> {
        let origin = one(headers, "origin")?;
        if let Some(origin) = origin
            && self.0.iter().any(|own| own == origin)
        {
            return Ok(());
        }
        let here = match one(headers, "sec-fetch-site")? {
            None | Some("same-origin" | "none") => true,
            Some(_) => false,
        };
        let ours = match origin {
            None => true,
            Some(origin) => is_of(origin, one(headers, "host")?.unwrap_or_default()),
        };
        if here && ours {
            Ok(())
        } else {
            Err(Problem::CrossSite)
        }
    }
}

fn one<'h>(headers: &Fields<'h>, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.all(name).map(plain_text);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Some(value)), None) => Ok(Some(value)),
        _ => Err(Problem::CrossSite),
    }
}

/// Whether a page of this origin and a request to this host are of one site. Not its scheme: what
/// is https for buyers is often http here.
fn is_of(origin: &str, host: &str) -> bool {
    let (site, port) = match origin.split_once("://") {
        Some(("https", site)) => (site, ":443"),
        Some(("http", site)) => (site, ":80"),
        _ => return false,
    };
    // Browsers leave their scheme's port out of both; others may not.
    let host = host.strip_suffix(port).unwrap_or(host);
    !site.is_empty() && site.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;
    use http::{HeaderMap, HeaderValue};

    fn check(pairs: &[(&'static str, &'static str)]) -> bool {
        let origins = Origins::new(&["https://www.shop.example".to_owned()]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("shop.example"));
        for &(name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        origins.check(&Fields::from(&headers)).is_ok()
    }

    #[test]
    fn the_shops_own_pages_and_programs_may_buy() {
        for pairs in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://shop.example")],
            &[("origin", "http://shop.example")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://shop.example"),
            ],
            &[
                ("sec-fetch-site", "same-site"),
                ("origin", "https://www.shop.example"),
            ],
        ] {
            assert!(check(pairs), "{pairs:?}");
        }
    }

    #[test]
    fn other_sites_may_not() {
        for pairs in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://shop.example"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example"),
            ],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("origin", "https://evil.example")],
            &[("origin", "https://shop.example.evil.example")],
            &[("origin", "https://shop.example:8443")],
            &[("origin", "https://shop.example:80")],
            &[("origin", "null")],
            &[("origin", "")],
            &[
                ("origin", "https://shop.example"),
                ("origin", "https://evil.example"),
            ],
        ] {
            assert!(!check(pairs), "{pairs:?}");
        }
    }

    #[test]
    fn a_port_counts_unless_it_is_the_schemes() {
        assert!(is_of("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(is_of("https://shop.example", "Shop.example:443"));
        assert!(is_of("http://[::1]:8080", "[::1]:8080"));
        assert!(!is_of("http://127.0.0.1:8080", "127.0.0.1:8081"));
        assert!(!is_of("https://shop.example", "shop.example:80"));
        assert!(!is_of("https://", ""));
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for bad in [
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "https://*.example",
            "https://",
            "null",
        ] {
            assert!(Origins::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
