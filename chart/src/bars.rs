//! Bars below each other, on one scale.

use crate::svg::{self, TOP, Tone, escaped};
use std::fmt::{Error, Write};

const BARS: f64 = 380.0;
const GAP: f64 = 8.0;
const ROW: f64 = 26.0;
const THICK: f64 = 16.0;

/// About as wide as one letter of a label is.
const LETTER: f64 = 7.0;
const LABELS_LEAST: f64 = 130.0;

/// Where the line of the legend stands.
const LEGEND: f64 = 56.0;

/// Bars below each other, on one scale.
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// What it was measured with.
    pub note: String,
    /// What the tones stand for; none where there is one.
    pub legend: Vec<(Tone, &'static str)>,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar.
pub struct Bar {
    /// Before its beginning.
    pub label: String,
    /// What it is made of.
    pub stretches: Vec<(Tone, f64)>,
    /// Behind its end.
    pub said: String,
}

// === impl Bars ===

impl Bars {
    /// The picture.
    ///
    /// # Errors
    /// None that a string makes.
    pub fn svg(&self) -> Result<String, Error> {
        let mut height = TOP;
        let mut body = String::new();
        let most = self.bars.iter().map(Bar::length).fold(0.0, f64::max);
        let unit = if most > 0.0 { BARS / most } else { 0.0 };
        let left = self.labels();
        svg::legend(&mut body, left, LEGEND, self.legend.iter().copied())?;
        for bar in &self.bars {
            bar.draw(&mut body, left, height, unit)?;
            height += ROW;
        }
        svg::picture(&self.title, &self.note, height + GAP, &body)
    }

    /// How much room the longest label takes.
    fn labels(&self) -> f64 {
        let letters = self.bars.iter().map(|bar| bar.label.chars().count()).max();
        let letters = u32::try_from(letters.unwrap_or_default()).unwrap_or_default();
        LABELS_LEAST.max(f64::from(letters) * LETTER)
    }
}

// === impl Bar ===

impl Bar {
    fn length(&self) -> f64 {
        self.stretches.iter().map(|(_, length)| length).sum()
    }

    fn draw(&self, text: &mut String, left: f64, top: f64, unit: f64) -> std::fmt::Result {
        let line = top + THICK - 3.0;
        let label = escaped(&self.label);
        writeln!(text, r#"<text x="0" y="{line:.1}">{label}</text>"#)?;
        let mut x = left;
        for (tone, length) in &self.stretches {
            let (class, width) = (tone.class(), length * unit);
            if width > 0.0 {
                writeln!(
                    text,
                    r#"<rect class="{class}" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{THICK}"/>"#
                )?;
            }
            x += width;
        }
        x += GAP;
        let said = escaped(&self.said);
        writeln!(
            text,
            r#"<text class="dim" x="{x:.1}" y="{line:.1}">{said}</text>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_stretches() {
        let bar = |good, bad| Bar {
            label: "a & b".to_owned(),
            stretches: vec![(Tone::Good, good), (Tone::Bad, bad)],
            said: "told \"yes\"".to_owned(),
        };
        let chart = Bars {
            title: "Bars".to_owned(),
            note: "of a test".to_owned(),
            legend: vec![(Tone::Good, "right"), (Tone::Bad, "wrong")],
            bars: vec![bar(50.0, 50.0), bar(25.0, 0.0)],
        };
        let svg = chart.svg().unwrap();
        assert_eq!(svg.matches(r#"width="190.0""#).count(), 2, "{svg}");
        assert_eq!(svg.matches(r#"width="95.0""#).count(), 1, "{svg}");
        assert!(svg.contains("a &amp; b") && svg.contains("told &quot;yes&quot;"));
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}
