//! What a million buyers in one second take, by the figures of the same run.

use super::grown::Grown;
use super::{buyers, connections, orders, stock};
use crate::report::{Measure, Part, Row, Shape};

const TAKES: Measure = Measure::new("takes", "", Shape::Ratio);

const MILLION: f64 = 1e6;

/// Units that a million buyers come for.
const UNITS: f64 = 10_000.0;

/// Nothing of what was not measured.
pub(super) fn part(all: &[Grown]) -> Part {
    let last = |measure| all.iter().find_map(|grown| grown.largest(measure));
    let middle = |measure| all.iter().find_map(|grown| grown.middle(measure));
    // µs for one, or bytes, come to seconds, or megabytes, for a million.
    let rows = [
        (
            "seconds of Redis's thread, if it is asked by everybody",
            last(buyers::EACH),
        ),
        (
            "cores of proxy and Redis, if it is asked by everybody",
            middle(connections::ASKED),
        ),
        (
            "cores of proxies, for those who come when it is known to be sold out",
            middle(connections::KNOWN),
        ),
        (
            "GB of the proxies' memory, for a connection each",
            connection_bytes(all).map(|bytes| bytes * MILLION / 1e9),
        ),
        (
            "MB of Redis's memory, for 10,000 reservations",
            last(stock::EACH).map(|bytes| bytes * UNITS / 1e6),
        ),
        (
            "seconds until MySQL has the last of 10,000 orders",
            last(orders::RATE).map(|rate| UNITS / rate),
        ),
    ];
    let rows = rows.into_iter();
    let row = |(name, takes): (&str, Option<f64>)| Some(Row::new(name).figure(TAKES, takes?));
    Part {
        title: "What a million buyers in one second take".to_owned(),
        rows: rows.filter_map(row).collect(),
    }
}

/// What one connection more takes of a proxy.
fn connection_bytes(all: &[Grown]) -> Option<f64> {
    let grown = all
        .iter()
        .find(|grown| grown.largest(connections::MEMORY).is_some())?;
    let points = grown.points(connections::MEMORY);
    let ((few, least), (many, most)) = (points.first()?, points.last()?);
    (many > few).then(|| (most - least) * 1e6 / (many - few))
}

#[cfg(test)]
mod tests {
    use super::super::grown::Size;
    use super::*;

    #[test]
    fn what_was_measured_is_multiplied_and_the_rest_left_out() {
        let grown = Grown {
            id: "connections",
            title: "Connections".to_owned(),
            grows: "connections",
            sizes: vec![
                Size::new(10)
                    .figure(connections::KNOWN, 9.0)
                    .figure(connections::MEMORY, 20.0),
                Size::new(1_010)
                    .figure(connections::KNOWN, 8.0)
                    .figure(connections::MEMORY, 35.0),
            ],
            views: &[],
        };
        let rows = part(&[grown]).rows;
        let takes: Vec<_> = rows.iter().filter_map(|row| row.of(TAKES)).collect();
        assert_eq!(takes, [8.5, 15.0]);
    }
}
