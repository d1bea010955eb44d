//! Sizes, what was measured at each, and the picture of it.

use crate::report::{Figures, Measure, Part, Row};
use anyhow::{Context, Result};
use seckill_chart::{Curve, Curves, Machine, Panel, Tone};
use seckill_load::text;
use seckill_testbed::median;
use std::fs;
use std::path::Path;

/// What there is more and more of, and what that costs.
pub(super) struct Grown {
    /// For the name of a file.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What the sizes are numbers of.
    pub(super) grows: &'static str,
    pub(super) sizes: Vec<Size>,
    pub(super) views: &'static [View],
}

/// What was measured at one size.
pub(super) struct Size {
    pub(super) size: u64,
    row: Row,
}

/// What is shown together, on one scale.
pub(super) struct View {
    pub(super) title: &'static str,
    /// Whether it is shown by powers of ten: for what is in proportion to the size.
    pub(super) by_powers: bool,
    pub(super) curves: &'static [(&'static str, Measure)],
}

/// Of the first curve of a view, the second and the third.
const TONES: [Tone; 3] = [Tone::Plain, Tone::Lost, Tone::Good];

// === impl Size ===

impl Size {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            row: Row::new(text::count(size)),
        }
    }

    pub(super) fn figure(mut self, measure: Measure, value: f64) -> Self {
        self.row = self.row.figure(measure, value);
        self
    }
}

// === impl Grown ===

impl Grown {
    /// A row for each size.
    pub(super) fn part(&self) -> Part {
        let row = |size: &Size| Row {
            figures: Figures(size.row.figures.0.clone()),
            ..Row::new(format!("{} {}", size.row.name, self.grows))
        };
        Part {
            title: self.title.clone(),
            rows: self.sizes.iter().map(row).collect(),
        }
    }

    /// Draws it beside the file that the report is in: `growth-buyers.svg` for `growth.json`.
    pub(super) fn draw(&self, machine: &Machine, file: &Path) -> Result<()> {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let picture = file.with_file_name(format!("{stem}-{}.svg", self.id));
        let chart = Curves {
            title: self.title.clone(),
            note: machine.to_string(),
            grows: self.grows.to_owned(),
            panels: self.views.iter().map(|view| self.panel(view)).collect(),
        };
        fs::write(&picture, chart.svg()?).with_context(|| picture.display().to_string())
    }

    fn panel(&self, view: &View) -> Panel {
        let curves = view.curves.iter().zip(TONES);
        let curve = |(&(name, measure), tone): (&(&'static str, Measure), Tone)| Curve {
            name: name.to_owned(),
            tone,
            points: self.points(measure),
        };
        Panel {
            title: view.title.to_owned(),
            by_powers: view.by_powers,
            curves: curves.map(curve).collect(),
        }
    }

    /// The figure at the largest size that has it.
    pub(super) fn largest(&self, measure: Measure) -> Option<f64> {
        let mut sizes = self.sizes.iter().rev();
        sizes.find_map(|size| size.row.of(measure))
    }

    /// The figure in the middle of those at all sizes.
    pub(super) fn middle(&self, measure: Measure) -> Option<f64> {
        let points = self.points(measure).into_iter();
        let mut values: Vec<f64> = points.map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| median(&mut values))
    }

    /// Where there is such a figure.
    pub(super) fn points(&self, measure: Measure) -> Vec<(f64, f64)> {
        let sizes = self.sizes.iter();
        let point = |size: &Size| Some((size.size as f64, size.row.of(measure)?));
        sizes.filter_map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Shape;

    const COST: Measure = Measure::new("us", "µs", Shape::Ratio);
    const OTHER: Measure = Measure::new("s", "s", Shape::Ratio);

    #[test]
    fn a_picture_has_a_point_where_there_is_a_figure() {
        let grown = Grown {
            id: "orders",
            title: "Orders".to_owned(),
            grows: "orders",
            sizes: vec![
                Size::new(1_000).figure(COST, 1.0).figure(OTHER, 0.5),
                Size::new(100_000).figure(COST, 1.0),
            ],
            views: &[
                View {
                    title: "µs",
                    by_powers: false,
                    curves: &[("", COST)],
                },
                View {
                    title: "s",
                    by_powers: true,
                    curves: &[("", OTHER)],
                },
            ],
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("growth.json");
        grown.draw(&Machine::here(), &file).unwrap();
        let svg = fs::read_to_string(folder.path().join("growth-orders.svg")).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        let part = grown.part();
        let names: Vec<_> = part.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["1,000 orders", "100,000 orders"]);
    }
}
