//! Figures, what was wanted of them, and the document they make.

use crate::table;
use anyhow::{Context, Result};
use seckill_chart::Machine;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::io::Write;
use std::path::Path;
use std::{fmt, fs};

/// Everything that one run has measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) redis_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nginx_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mariadb_version: Option<String>,
    pub(crate) quick: bool,
    pub(crate) parts: Vec<Part>,
}

/// Rows that belong together.
#[derive(Serialize)]
pub(crate) struct Part {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// One thing that was measured, in one or more respects.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figures: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<Judged>,
    /// What no figure says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<&'static str>,
}

/// Figures in the order in which they are shown.
pub(crate) struct Figures(pub(crate) Vec<(Measure, f64)>);

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    /// In the document.
    pub(crate) key: &'static str,
    /// In the table.
    pub(crate) heading: &'static str,
    pub(crate) shape: Shape,
}

// === impl Measure ===

impl Measure {
    pub(crate) const fn new(key: &'static str, heading: &'static str, shape: Shape) -> Self {
        Self {
            key,
            heading,
            shape,
        }
    }
}

/// How a figure is written for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Whole, with its thousands apart.
    Count,
    /// With one place.
    Tenths,
    /// With two places.
    Ratio,
    /// A share, as per cent with two places.
    Share,
}

/// The bound that a figure should keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

/// A bound, the figure that it is about, and whether it is kept.
#[derive(Serialize)]
pub(crate) struct Judged {
    bound: String,
    measured: f64,
    met: bool,
}

// === impl Row ===

impl Row {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            figures: Figures(Vec::new()),
            wanted: None,
            note: None,
        }
    }

    pub(crate) fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    pub(crate) fn figure(mut self, measure: Measure, value: f64) -> Self {
        self.figures.0.push((measure, value));
        self
    }

    /// One of its figures.
    pub(crate) fn of(&self, measure: Measure) -> Option<f64> {
        let mut figures = self.figures.0.iter();
        let figure = figures.find(|(of, _)| *of == measure);
        figure.map(|(_, value)| *value)
    }

    /// Judges the figure that was added last.
    pub(crate) fn wanted(mut self, wanted: Option<Wanted>) -> Self {
        let last = self.figures.0.last();
        if let (Some(wanted), Some((measure, measured))) = (wanted, last) {
            self.wanted = Some(Judged {
                bound: wanted.text(measure.shape),
                measured: *measured,
                met: wanted.is_met_by(*measured),
            });
        }
        self
    }
}

// === impl Figures ===

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (measure, value) in &self.0 {
            map.serialize_entry(measure.key, value)?;
        }
        map.end()
    }
}

// === impl Shape ===

impl Shape {
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Count => seckill_load::text::rate(value),
            Self::Tenths => format!("{value:.1}"),
            Self::Ratio => format!("{value:.2}"),
            Self::Share => format!("{:.2} %", value * 100.0),
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self, shape: Shape) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", shape.text(bound)),
            Self::AtLeast(bound) => format!("≥ {}", shape.text(bound)),
        }
    }
}

// === impl Judged ===

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met { "met" } else { "missed" };
        write!(f, "{} {verdict}", self.bound)
    }
}

/// Prints a report, for a person or for a machine, and keeps it in a file if one is named.
pub(crate) fn publish(report: &Report, file: Option<&Path>, json: bool) -> Result<()> {
    let document = serde_json::to_string_pretty(report)?;
    if let Some(file) = file {
        fs::write(file, format!("{document}\n")).with_context(|| file.display().to_string())?;
    }
    let shown = if json { document } else { table::of(report) };
    Ok(writeln!(std::io::stdout(), "{shown}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATIO: Measure = Measure {
        key: "of_incr",
        heading: "÷ INCR",
        shape: Shape::Ratio,
    };

    #[test]
    fn a_bound_is_met_or_missed_by_the_figure_before_it() {
        let row = |wanted| Row::new("TRY").figure(RATIO, 1.25).wanted(Some(wanted));
        let said = |wanted| row(wanted).wanted.unwrap().to_string();
        assert_eq!(said(Wanted::AtMost(1.3)), "≤ 1.30 met");
        assert_eq!(said(Wanted::AtMost(1.2)), "≤ 1.20 missed");
        assert_eq!(said(Wanted::AtLeast(1.25)), "≥ 1.25 met");
        assert_eq!(said(Wanted::AtLeast(10.0)), "≥ 10.00 missed");
    }

    #[test]
    fn the_document_names_each_figure() {
        let row = Row::new("TRY")
            .figure(RATIO, 1.25)
            .wanted(Some(Wanted::AtMost(1.2)));
        assert_eq!(
            serde_json::to_value(&row).unwrap(),
            serde_json::json!({
                "name": "TRY",
                "figures": {"of_incr": 1.25},
                "wanted": {"bound": "≤ 1.20", "measured": 1.25, "met": false},
            })
        );
    }
}
