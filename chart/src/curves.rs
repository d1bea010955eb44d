//! Curves: how something grows. Panels two in a row, each on a scale of its own.

use crate::axis::Axis;
use crate::svg::{self, TOP, Tone, WIDTH, escaped};
use seckill_load::text;
use std::fmt::{Error, Write};

const IN_A_ROW: usize = 2;
const APART: f64 = 24.0;
const HEIGHT: f64 = 236.0;

/// Around the field of a panel: what is written beside its axes, above and below it.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 38.0;
const ABOVE: f64 = 44.0;
const BELOW: f64 = 52.0;

/// How high a line of letters is.
const LETTERS: f64 = 14.0;

/// Curves over what grows.
pub struct Curves {
    /// What is shown.
    pub title: String,
    /// What it was measured with.
    pub note: String,
    /// What grows, from left to right by powers of ten.
    pub grows: String,
    /// From left to right and from top to bottom.
    pub panels: Vec<Panel>,
}

/// Curves on one scale.
pub struct Panel {
    /// What is measured, and in what.
    pub title: String,
    /// Whether it is shown by powers of ten, too: a straight line then is proportional growth.
    /// Otherwise the scale begins at zero, and a level line is no growth.
    pub by_powers: bool,
    /// In the order in which they are named.
    pub curves: Vec<Curve>,
}

/// One curve.
pub struct Curve {
    /// What it is of; nothing where it is the only one.
    pub name: String,
    /// Its colour.
    pub tone: Tone,
    /// How large what grows is, and what was measured then.
    pub points: Vec<(f64, f64)>,
}

/// Where a panel draws.
struct Field {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    along: Axis,
    up: Axis,
}

// === impl Curves ===

impl Curves {
    /// The picture.
    ///
    /// # Errors
    /// None that a string makes.
    pub fn svg(&self) -> Result<String, Error> {
        let mut body = String::new();
        let (mut left, mut top) = (0.0, TOP - 8.0);
        let width = (WIDTH - APART) / 2.0;
        for (place, panel) in self.panels.iter().enumerate() {
            if place > 0 && place.is_multiple_of(IN_A_ROW) {
                (left, top) = (0.0, top + HEIGHT);
            }
            panel.draw(&mut body, &self.grows, (left, top), width)?;
            left += width + APART;
        }
        svg::picture(&self.title, &self.note, top + HEIGHT, &body)
    }
}

// === impl Panel ===

impl Panel {
    fn draw(
        &self,
        text: &mut String,
        grows: &str,
        (left, top): (f64, f64),
        width: f64,
    ) -> std::fmt::Result {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let values = points().map(|(_, value)| *value);
        let field = Field {
            left: left + LEFT,
            right: left + width - RIGHT,
            top: top + ABOVE,
            bottom: top + HEIGHT - BELOW,
            along: Axis::powers(points().map(|(size, _)| *size)),
            up: if self.by_powers {
                Axis::powers(values)
            } else {
                Axis::even(values)
            },
        };
        let (title, line) = (escaped(&self.title), top + 14.0);
        writeln!(
            text,
            r#"<text class="head" x="{left}" y="{line:.1}">{title}</text>"#
        )?;
        if self.curves.len() > 1 {
            let names = self.curves.iter();
            let names = names.map(|curve| (curve.tone, curve.name.as_str()));
            svg::legend(text, left, top + 32.0, names)?;
        }
        field.frame(text, grows)?;
        let end = |curve: &Curve| curve.points.last().and_then(|(_, value)| field.y(*value));
        let ends: Vec<f64> = self.curves.iter().filter_map(end).collect();
        for curve in &self.curves {
            curve.draw(text, &field, &ends)?;
        }
        Ok(())
    }
}

// === impl Field ===

impl Field {
    fn x(&self, size: f64) -> Option<f64> {
        let place = self.along.place(size)?;
        Some(self.left + place * (self.right - self.left))
    }

    fn y(&self, value: f64) -> Option<f64> {
        let place = self.up.place(value)?;
        Some(self.bottom - place * (self.bottom - self.top))
    }

    fn frame(&self, text: &mut String, grows: &str) -> std::fmt::Result {
        let (left, right) = (self.left, self.right);
        for tick in self.up.ticks() {
            let Some(y) = self.y(tick) else { continue };
            writeln!(
                text,
                r#"<line class="rule" x1="{left}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/>"#
            )?;
            let (x, line, said) = (left - 6.0, y + 4.0, short(tick));
            writeln!(
                text,
                r#"<text class="dim end" x="{x}" y="{line:.1}">{said}</text>"#
            )?;
        }
        let line = self.bottom + 16.0;
        for tick in self.along.ticks() {
            let Some(x) = self.x(tick) else { continue };
            let said = short(tick);
            writeln!(
                text,
                r#"<text class="dim middle" x="{x:.1}" y="{line:.1}">{said}</text>"#
            )?;
        }
        let (x, line) = (f64::midpoint(left, right), self.bottom + 34.0);
        let grows = escaped(grows);
        writeln!(
            text,
            r#"<text class="dim middle" x="{x:.1}" y="{line:.1}">{grows}</text>"#
        )
    }
}

// === impl Curve ===

impl Curve {
    /// `ends` are those of all curves: where one is just above this one's, its value stands there.
    fn draw(&self, text: &mut String, field: &Field, ends: &[f64]) -> std::fmt::Result {
        let class = self.tone.class();
        let points = self
            .points
            .iter()
            .filter_map(|(size, value)| Some((field.x(*size)?, field.y(*value)?, *size, *value)));
        let points: Vec<_> = points.collect();
        let line: Vec<String> = points
            .iter()
            .map(|(x, y, ..)| format!("{x:.1},{y:.1}"))
            .collect();
        let line = line.join(" ");
        writeln!(text, r#"<polyline class="{class}" points="{line}"/>"#)?;
        for (x, y, size, value) in &points {
            let (size, value) = (short(*size), short(*value));
            writeln!(
                text,
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3.5"><title>{size}: {value}</title></circle>"#
            )?;
        }
        let Some((x, y, _, value)) = points.last() else {
            return Ok(());
        };
        let is_below_another = ends.iter().any(|end| end < y && y - end < LETTERS);
        let line = if is_below_another {
            y + 4.0 + LETTERS
        } else {
            y - 8.0
        };
        if line > field.bottom {
            // There the sizes stand; the point itself says its value.
            return Ok(());
        }
        let value = short(*value);
        writeln!(
            text,
            r#"<text class="dim middle" x="{x:.1}" y="{line:.1}">{value}</text>"#
        )
    }
}

/// A value beside an axis: whole where it is large, with two digits where it is small.
fn short(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        text::rate(value)
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        let places = (1.0 - value.log10().floor()).clamp(1.0, 6.0);
        let said = format!("{value:.*}", if places > 3.0 { 4 } else { 2 });
        said.trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(by_powers: bool, curves: Vec<Curve>) -> String {
        let chart = Curves {
            title: "Growth".to_owned(),
            note: "of a test".to_owned(),
            grows: "buyers".to_owned(),
            panels: vec![Panel {
                title: "µs a TRY".to_owned(),
                by_powers,
                curves,
            }],
        };
        chart.svg().unwrap()
    }

    fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
        Curve {
            name: name.to_owned(),
            tone: Tone::Plain,
            points: points.to_vec(),
        }
    }

    #[test]
    fn what_does_not_grow_is_level_and_its_scale_begins_at_zero() {
        let svg = picture(false, vec![curve("", &[(100.0, 1.5), (10_000.0, 1.5)])]);
        let line = svg.lines().find(|line| line.contains("<polyline")).unwrap();
        let heights: Vec<_> = line
            .split(['"', ' '])
            .filter_map(|point| point.split_once(','))
            .map(|(_, y)| y)
            .collect();
        assert_eq!(heights.len(), 2, "{line}");
        assert_eq!(heights[0], heights[1], "{line}");
        assert!(
            svg.contains(">0</text>") && svg.contains(">2</text>"),
            "{svg}"
        );
        assert!(svg.contains(">10,000</text>") && svg.contains(">buyers</text>"));
        assert!(svg.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn what_is_nothing_has_no_place_on_a_scale_of_powers() {
        let svg = picture(true, vec![curve("", &[(10.0, 0.0), (100.0, 0.25)])]);
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
    }

    #[test]
    fn several_curves_are_told_apart_by_their_names() {
        let svg = picture(
            false,
            vec![curve("accepted", &[(1.0, 1.0)]), curve("rejected", &[])],
        );
        assert!(svg.contains("accepted") && svg.contains("rejected"));
    }

    #[test]
    fn values_are_as_short_as_they_can_be_read() {
        let said = [0.0, 0.004, 0.25, 1.5, 12.3, 12_345.0].map(short);
        assert_eq!(said, ["0", "0.004", "0.25", "1.5", "12", "12,345"]);
    }
}
