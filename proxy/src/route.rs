//! Which requests are buys, and which only look as if they were none.
//!
//! A shop may read a path more generously than it is spelled: decode it twice, fold its case,
//! collapse its slashes. Whatever could mean a guarded path to some shop, but is not spelled as the
//! guard spells it, is neither a buy nor let through: it is refused.

use crate::statuses::Statuses;
use std::fmt;
use std::str::FromStr;

/// How often a path is decoded in search of a guarded one. Nobody decodes more often by mistake,
/// and the bound keeps a path of nothing but `%2525…` from costing its length squared.
const DECODINGS_MAX: usize = 4;

/// The longest sid.
const SID_BYTES_MAX: usize = 64;

/// The segment that comes between a sale and a reservation of it.
const RESERVATIONS: &str = "reservations";

/// The segment after a reservation where the shop says that it is paid for.
const CONFIRMATION: &str = "confirm";

/// The segment after a sale where everybody sees how it stands.
const STATE: &str = "state";

/// The guarded paths.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Route>);

/// One guarded path and what is done with its buys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The path.
    pub(crate) pattern: Pattern,
    /// What is done with an accepted buy.
    pub(crate) mode: Mode,
    /// What a rejected one is answered.
    pub(crate) statuses: Statuses,
    /// Whether everybody may see how many units it has.
    pub(crate) show_units: bool,
}

/// What is done with an accepted buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The proxy answers; the worker writes the order.
    Queue,
    /// It goes on to the shop.
    Forward(Forwarding),
    /// So does everything, and what would have been decided is counted.
    Shadow,
}

/// How a buy goes on to the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forwarding {
    /// What a 2xx makes of the reservation.
    pub(crate) on_success: OnSuccess,
    /// What a 4xx makes of it.
    pub(crate) on_client_error: OnFailure,
    /// What a 5xx makes of it.
    pub(crate) on_server_error: OnFailure,
    /// What it makes of it that the shop does not answer.
    pub(crate) on_timeout: OnFailure,
    /// What is done while Redis does not decide.
    pub(crate) fail: Fail,
}

/// What is done with a buy while Redis does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// The buyer is told to try again.
    Closed,
    /// It goes on to the shop without a reservation.
    Open,
}

/// What becomes of a reservation when the shop answers 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnSuccess {
    /// It stays held: the shop confirms it when it is paid for.
    Hold,
    /// It is confirmed.
    Confirm,
}

/// What becomes of a reservation when the shop does not sell, or nobody knows whether it did. Only
/// the request that made it can cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It stays held until its deadline; the buyer gets it back by asking again.
    Keep,
    /// It is cancelled.
    Cancel,
}

/// A path with one `{sid}` in it, such as `/seckill/{sid}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Segment>);

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Sid,
}

/// What is wrong with a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected a path of plain segments (A-Z a-z 0-9 _ - . ~) of which exactly one is {{sid}}, for example \"/seckill/{{sid}}\""
)]
pub(crate) struct PatternError;

/// What a path is to the proxy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'p> {
    /// The sale `sid`.
    Sale { route: &'p Route, sid: &'p str },
    /// Where everybody sees how the sale `sid` stands.
    State { route: &'p Route, sid: &'p str },
    /// The reservation `rid` of the sale `sid`.
    Reservation { sid: &'p str, rid: &'p str },
    /// Where that reservation is confirmed.
    Confirmation { sid: &'p str, rid: &'p str },
    /// A guarded path, but no sale is called that.
    BadSid,
    /// A guarded path under another spelling.
    Disguised,
    /// The shop's business.
    Elsewhere,
}

/// A place, and the number of the route that it is on; `None` where nobody guards.
pub(crate) struct Found<'p> {
    pub(crate) route: Option<usize>,
    pub(crate) place: Place<'p>,
}

/// What is between the slashes of a path. Paths are short, and a plain search is quickest.
struct Segments<'p>(Option<&'p str>);

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let path = self.0.take()?;
        let Some(slash) = path.bytes().position(|byte| byte == b'/') else {
            return Some(path);
        };
        self.0 = path.get(slash.saturating_add(1)..);
        path.get(..slash)
    }
}

// === impl Routes ===

impl Routes {
    /// The guarded paths; the first that matches decides.
    pub(crate) const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The guarded paths, in their order.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().map(|route| &route.pattern)
    }

    /// Says what a request's path is. `path` as it came, without the query.
    pub(crate) fn find<'p>(&'p self, path: &'p str) -> Found<'p> {
        let Some(plain) = path.strip_prefix('/') else {
            // `OPTIONS *` and the like name no path.
            return Found::off(Place::Elsewhere);
        };
        for (at, route) in self.0.iter().enumerate() {
            let Some((sid, mut below)) = route.pattern.exactly(plain) else {
                continue;
            };
            let mut next = || below.next();
            let place = match (next(), next(), next(), next()) {
                (None, ..) => Place::Sale { route, sid },
                (Some(STATE), None, ..) if route.mode != Mode::Shadow => {
                    Place::State { route, sid }
                }
                (Some(RESERVATIONS), Some(rid), None, _) => Place::Reservation { sid, rid },
                (Some(RESERVATIONS), Some(rid), Some(CONFIRMATION), None) => {
                    Place::Confirmation { sid, rid }
                }
                _ => continue,
            };
            let place = match (is_sid(sid), &route.mode) {
                (true, _) => place,
                (false, Mode::Shadow) => Place::Elsewhere,
                (false, _) => Place::BadSid,
            };
            return Found {
                route: Some(at),
                place,
            };
        }
        Found::off(if self.is_disguised(path) {
            Place::Disguised
        } else {
            Place::Elsewhere
        })
    }

    fn is_disguised(&self, path: &str) -> bool {
        let mut reading = path.to_owned();
        for _ in 0..=DECODINGS_MAX {
            for with_parameters in [true, false] {
                let segments = resolve(&reading, with_parameters);
                let mut guarded = self.0.iter().filter(|route| route.mode != Mode::Shadow);
                if guarded.any(|route| route.pattern.loosely(&segments)) {
                    return true;
                }
            }
            match decode(&reading) {
                Some(decoded) => reading = decoded,
                None => break,
            }
        }
        false
    }
}

// === impl Found ===

impl<'p> Found<'p> {
    const fn off(place: Place<'p>) -> Self {
        Self { route: None, place }
    }
}

/// Whether a text can be a sid: it becomes a key of Redis and a segment of a path.
fn is_sid(text: &str) -> bool {
    (1..=SID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The segments that a generous server would see: either slash, empty ones dropped, dots
/// resolved, and `;parameters` cut off unless they are part of the name.
fn resolve(path: &str, with_parameters: bool) -> Vec<String> {
    let mut segments = Vec::new();
    for segment in path.split(['/', '\\']) {
        let name = match segment.split_once(';') {
            Some((name, _)) if !with_parameters => name,
            _ => segment,
        };
        match name {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(fold(name)),
        }
    }
    segments
}

/// Lower case as the most generous comparison has it: `K` (the Kelvin sign) is a `k`, too.
fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Percent-decodes once; `None` if there is nothing to decode.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut decoded = false;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
            decoded = true;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    decoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

// === impl Pattern ===

impl Pattern {
    /// The sid and the segments after the pattern, if a path, without its first slash, begins with it
    /// as it is spelled.
    fn exactly<'p>(&self, path: &'p str) -> Option<(&'p str, Segments<'p>)> {
        let mut segments = Segments(Some(path));
        let mut sid = None;
        for own in &self.0 {
            let segment = segments.next()?;
            match own {
                Segment::Sid => sid = Some(segment),
                Segment::Literal(literal) if literal == segment => {}
                Segment::Literal(_) => return None,
            }
        }
        sid.map(|sid| (sid, segments))
    }

    /// Whether folded segments mean this path, or what the proxy answers below it, to somebody.
    fn loosely(&self, segments: &[String]) -> bool {
        let Some((head, tail)) = segments.split_at_checked(self.0.len()) else {
            return false;
        };
        let of_sale = match tail {
            [] => true,
            [state] => state == STATE,
            [reservations, _] => reservations == RESERVATIONS,
            [reservations, _, confirm] => reservations == RESERVATIONS && confirm == CONFIRMATION,
            _ => false,
        };
        of_sale
            && self.0.iter().zip(head).all(|(own, segment)| match own {
                Segment::Sid => true,
                Segment::Literal(literal) => fold(literal) == *segment,
            })
    }

    /// Whether some path matches both, in any spelling.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Segment::Literal(a), Segment::Literal(b)) => fold(a) == fold(b),
                _ => true,
            })
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let segments = text
            .strip_prefix('/')
            .ok_or(PatternError)?
            .split('/')
            .map(|segment| match segment {
                "{sid}" => Ok(Segment::Sid),
                "" | "." | ".." => Err(PatternError),
                literal if literal.bytes().all(is_plain) => {
                    Ok(Segment::Literal(literal.to_owned()))
                }
                _ => Err(PatternError),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if segments.iter().filter(|s| **s == Segment::Sid).count() == 1 {
            Ok(Self(segments))
        } else {
            Err(PatternError)
        }
    }
}

/// What stands for itself in a path and needs no escape.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::Sid => f.write_str("/{sid}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, route) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", route.pattern, route.mode)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue => f.write_str("queue"),
            Self::Shadow => f.write_str("shadow"),
            Self::Forward(how) => write!(f, "forward{how}"),
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.on_success {
            OnSuccess::Hold => ", hold",
            OnSuccess::Confirm => ", confirm",
        })?;
        if self.on_client_error == OnFailure::Keep {
            f.write_str(", keeps at 4xx")?;
        }
        if self.on_server_error == OnFailure::Cancel {
            f.write_str(", cancels at 5xx")?;
        }
        if self.on_timeout == OnFailure::Cancel {
            f.write_str(", cancels without an answer")?;
        }
        f.write_str(match self.fail {
            Fail::Closed => "",
            Fail::Open => ", fails open",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIRM: Mode = Mode::Forward(Forwarding {
        on_success: OnSuccess::Confirm,
        on_client_error: OnFailure::Cancel,
        on_server_error: OnFailure::Keep,
        on_timeout: OnFailure::Keep,
        fail: Fail::Closed,
    });

    impl Routes {
        fn place<'p>(&'p self, path: &'p str) -> Place<'p> {
            self.find(path).place
        }
    }

    fn routes() -> Routes {
        let route = |path: &str, mode| Route {
            pattern: path.parse().unwrap(),
            mode,
            statuses: Statuses::default(),
            show_units: false,
        };
        Routes::new(vec![
            route("/seckill/{sid}", Mode::Queue),
            route("/shop/{sid}/buy", CONFIRM),
            route("/trial/{sid}", Mode::Shadow),
        ])
    }

    #[test]
    fn a_sale_and_its_reservations_are_found() {
        let routes = routes();
        assert_eq!(
            routes.place("/seckill/1001"),
            Place::Sale {
                route: &routes.0[0],
                sid: "1001"
            }
        );
        assert_eq!(
            routes.place("/shop/a_B-9/buy"),
            Place::Sale {
                route: &routes.0[1],
                sid: "a_B-9"
            }
        );
        assert_eq!(
            routes.place("/seckill/1001/reservations/7-1"),
            Place::Reservation {
                sid: "1001",
                rid: "7-1"
            }
        );
        assert_eq!(
            routes.place("/seckill/1001/state"),
            Place::State {
                route: &routes.0[0],
                sid: "1001"
            }
        );
        assert_eq!(
            routes.place("/seckill/1001/reservations/7-1/confirm"),
            Place::Confirmation {
                sid: "1001",
                rid: "7-1"
            }
        );
    }

    #[test]
    fn what_is_not_guarded_is_the_shops_business() {
        let routes = routes();
        for path in [
            "/",
            "*",
            "/seckill",
            "/seckill/1001/pictures/1",
            "/seckill/1001/reviews",
            "/seckill/style.css/1",
            "/shop/1001",
            "/shop/1001/buy/now",
            "/100%25/of/it",
            "/a//b",
            "/seckiller/1001",
            "/Trial/1001",
            "/trial//1001",
            "/trial/a.b",
            "/trial/1001/state",
        ] {
            assert_eq!(routes.place(path), Place::Elsewhere, "{path}");
        }
    }

    #[test]
    fn a_name_that_is_no_sid_is_not_asked_about() {
        let routes = routes();
        let long = format!("/seckill/{}", "x".repeat(65));
        for path in [
            "/seckill/",
            "/seckill/a.b",
            "/seckill/%31001",
            "/seckill/1001;v=2",
            "/seckill/..",
            "/shop//buy",
            long.as_str(),
        ] {
            assert_eq!(routes.place(path), Place::BadSid, "{path}");
        }
    }

    #[test]
    fn a_guarded_path_under_another_spelling_is_not_let_through() {
        let routes = routes();
        for path in [
            "/SECKILL/1001",
            "/seckill/1001/",
            "//seckill/1001",
            "/seckill//1001",
            "/./seckill/1001",
            "/a/../seckill/1001",
            "/a/%2e%2e/seckill/1001",
            "/%73eckill/1001",
            "/%2573eckill/1001",
            "/%252573eckill/1001",
            "/seckill%2f1001",
            "/seckill%252F1001",
            "/seckill\\1001",
            "/seckill%5c1001",
            "/seckill;jsessionid=1/1001",
            "/x/..;/seckill/1001",
            "/sec%E2%84%AAill/1001",
            "/seckill/1001%2freservations/7-1",
            "/seckill/1001/Reservations/7-1",
            "/seckill/1001/State",
            "/seckill/1001/reservations/7-1/Confirm",
            "/seckill/1001/reservations/7-1//confirm",
            "/shop/1001/BUY",
            "/shop/1001/buy/",
        ] {
            assert!(
                matches!(routes.place(path), Place::Disguised | Place::BadSid),
                "{path}: {:?}",
                routes.place(path)
            );
        }
    }

    #[test]
    fn a_path_of_endless_escapes_costs_no_more_than_its_length() {
        let path = format!("/%{}", "25".repeat(100_000));
        assert_eq!(routes().place(&path), Place::Elsewhere);
    }

    #[test]
    fn a_pattern_names_the_sid_exactly_once() {
        for text in [
            "",
            "seckill/{sid}",
            "/seckill",
            "/{sid}/{sid}",
            "/seckill/{sid}/",
            "/seckill//{sid}",
            "/../{sid}",
            "/a b/{sid}",
            "/seckill/{id}",
            "/seckill/x{sid}",
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError), "{text}");
        }
        let pattern: Pattern = "/shop/{sid}/buy".parse().unwrap();
        assert_eq!(pattern.to_string(), "/shop/{sid}/buy");
    }
}
