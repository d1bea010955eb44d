//! Other statuses than the usual ones, for shops whose pages expect them.

use crate::problem::Problem;
use http::StatusCode;
use std::collections::BTreeMap;

/// The codes whose status can be another: those that a sale's course brings about.
const CODES: [&str; 7] = [
    "client_limited",
    "ended",
    "limited",
    "not_started",
    "paused",
    "sold_out",
    "unavailable",
];

/// Statuses by the codes of rejections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statuses(Vec<(String, StatusCode)>);

// === impl Statuses ===

impl Statuses {
    /// Checks a table.
    ///
    /// # Errors
    /// What is wrong with it, beginning with the code.
    pub(crate) fn new(table: &BTreeMap<String, u16>) -> Result<Self, String> {
        let checked = table.iter().map(|(code, &status)| {
            if !CODES.contains(&code.as_str()) {
                return Err(format!("{code}: expected one of {}", CODES.join(", ")));
            }
            // With a 2xx or 3xx a rejection would look like a purchase.
            match StatusCode::from_u16(status) {
                Ok(status) if status.is_client_error() || status.is_server_error() => {
                    Ok((code.clone(), status))
                }
                _ => Err(format!(
                    "{code}: expected a status from 400 to 599, not {status}"
                )),
            }
        });
        checked.collect::<Result<_, _>>().map(Self)
    }

    /// The status of a rejection.
    pub(crate) fn of(&self, problem: Problem) -> StatusCode {
        let code = problem.code();
        let other = self.0.iter().find(|(own, _)| own == code);
        other.map_or_else(|| problem.status(), |&(_, status)| status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(code: &str, status: u16) -> Result<Statuses, String> {
        Statuses::new(&BTreeMap::from([(code.to_owned(), status)]))
    }

    #[test]
    fn a_status_can_be_another_and_the_body_says_so() {
        let statuses = statuses("sold_out", 429).unwrap();
        let sold_out = Problem::SoldOut { wait_ms: None };
        let status = statuses.of(sold_out);
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            sold_out.body(status),
            r#"{"type":"about:blank","title":"Sold out","status":429,"code":"sold_out"}"#
        );
        assert_eq!(statuses.of(Problem::Ended), StatusCode::GONE);
    }

    #[test]
    fn a_rejection_never_looks_like_a_purchase() {
        for (code, status, expected) in [
            ("sold_out", 200, "400 to 599"),
            ("sold_out", 303, "400 to 599"),
            ("sold_out", 600, "400 to 599"),
            ("sold_out", 1, "400 to 599"),
            ("bad_buyer", 400, "expected one of"),
        ] {
            let mistake = statuses(code, status).unwrap_err();
            assert!(mistake.contains(expected), "{mistake}");
        }
    }
}
