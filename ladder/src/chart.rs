//! Bars as SVG, for the documents: to be read in light and in dark.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 130.0;
const BARS: f64 = 380.0;
const GAP: f64 = 8.0;
const TOP: f64 = 64.0;
const ROW: f64 = 26.0;
const THICK: f64 = 16.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.dim { fill: #59636e; font-size: 12px }
.good { fill: #1a7f37 }
.bad { fill: #cf222e }
.lost { fill: #bf8700 }
.missing { fill: #8c959f; fill-opacity: 0.35 }
.plain { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .dim { fill: #9198a1 }
  .good { fill: #3fb950 }
  .bad { fill: #f85149 }
  .lost { fill: #d29922 }
  .plain { fill: #4493f8 }
}
";

/// What a stretch of a bar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Lost,
    Missing,
    Plain,
}

/// Bars below each other, on one scale.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) note: String,
    /// What the tones stand for; none where there is one.
    pub(crate) legend: Vec<(Tone, &'static str)>,
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) stretches: Vec<(Tone, f64)>,
    /// Behind its end.
    pub(crate) said: String,
}

// === impl Tone ===

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Lost => "lost",
            Self::Missing => "missing",
            Self::Plain => "plain",
        }
    }
}

// === impl Chart ===

impl Chart {
    /// The picture.
    pub(crate) fn svg(&self) -> Result<String, std::fmt::Error> {
        let mut height = TOP;
        let mut body = String::new();
        let most = self.bars.iter().map(Bar::length).fold(0.0, f64::max);
        let unit = if most > 0.0 { BARS / most } else { 0.0 };
        for bar in &self.bars {
            bar.draw(&mut body, height, unit)?;
            height += ROW;
        }
        height += GAP;
        let mut text = String::new();
        let title = escaped(&self.title);
        writeln!(
            text,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#
        )?;
        writeln!(text, "<style>\n{STYLE}</style>")?;
        writeln!(text, r#"<text class="title" x="0" y="18">{title}</text>"#)?;
        let note = escaped(&self.note);
        writeln!(text, r#"<text class="dim" x="0" y="38">{note}</text>"#)?;
        self.draw_legend(&mut text)?;
        text.push_str(&body);
        text.push_str("</svg>\n");
        Ok(text)
    }

    fn draw_legend(&self, text: &mut String) -> std::fmt::Result {
        let mut x = LABELS;
        for (tone, words) in &self.legend {
            let class = tone.class();
            writeln!(
                text,
                r#"<rect class="{class}" x="{x}" y="47" width="10" height="10" rx="2"/>"#
            )?;
            x += 15.0;
            let words = escaped(words);
            writeln!(text, r#"<text class="dim" x="{x}" y="56">{words}</text>"#)?;
            // About as wide as these letters are.
            x += 7.0 * f64::from(u32::try_from(words.len()).unwrap_or(0)) + 12.0;
        }
        Ok(())
    }
}

// === impl Bar ===

impl Bar {
    fn length(&self) -> f64 {
        self.stretches.iter().map(|(_, length)| length).sum()
    }

    fn draw(&self, text: &mut String, top: f64, unit: f64) -> std::fmt::Result {
        let line = top + THICK - 3.0;
        let label = escaped(&self.label);
        writeln!(text, r#"<text x="0" y="{line:.1}">{label}</text>"#)?;
        let mut x = LABELS;
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
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
        let chart = Chart {
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
