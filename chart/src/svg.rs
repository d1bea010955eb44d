//! Colours and letters, the same in every picture.

use std::fmt::{Error, Write};

/// How wide a picture is.
pub(crate) const WIDTH: f64 = 760.0;

/// Where what a picture shows begins, below its title and its note.
pub(crate) const TOP: f64 = 64.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.head { font-weight: 600 }
.dim { fill: #59636e; font-size: 12px }
.end { text-anchor: end }
.middle { text-anchor: middle }
.rule { stroke: #d1d9e0 }
.good { fill: #1a7f37 }
.bad { fill: #cf222e }
.lost { fill: #bf8700 }
.missing { fill: #8c959f; fill-opacity: 0.35 }
.plain { fill: #0969da }
polyline { fill: none; stroke-width: 2 }
polyline.good { fill: none; stroke: #1a7f37 }
polyline.bad { fill: none; stroke: #cf222e }
polyline.lost { fill: none; stroke: #bf8700 }
polyline.missing { fill: none; stroke: #8c959f }
polyline.plain { fill: none; stroke: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .dim { fill: #9198a1 }
  .rule { stroke: #3d444d }
  .good { fill: #3fb950 }
  .bad { fill: #f85149 }
  .lost { fill: #d29922 }
  .plain { fill: #4493f8 }
  polyline.good { stroke: #3fb950 }
  polyline.bad { stroke: #f85149 }
  polyline.lost { stroke: #d29922 }
  polyline.plain { stroke: #4493f8 }
}
";

/// What a stretch of a bar or a curve stands for, by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// As it must not be.
    Bad,
    /// What somebody was told and does not have.
    Lost,
    /// What is not there.
    Missing,
    /// One thing, of which nothing is said by its colour.
    Plain,
}

// === impl Tone ===

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Lost => "lost",
            Self::Missing => "missing",
            Self::Plain => "plain",
        }
    }
}

/// A whole picture around its body.
pub(crate) fn picture(title: &str, note: &str, height: f64, body: &str) -> Result<String, Error> {
    let mut text = String::new();
    let title = escaped(title);
    writeln!(
        text,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#
    )?;
    writeln!(text, "<style>\n{STYLE}</style>")?;
    writeln!(text, r#"<text class="title" x="0" y="18">{title}</text>"#)?;
    let note = escaped(note);
    writeln!(text, r#"<text class="dim" x="0" y="38">{note}</text>"#)?;
    text.push_str(body);
    text.push_str("</svg>\n");
    Ok(text)
}

/// What the tones stand for, in a line that begins here.
pub(crate) fn legend<'a>(
    text: &mut String,
    mut x: f64,
    y: f64,
    tones: impl IntoIterator<Item = (Tone, &'a str)>,
) -> std::fmt::Result {
    for (tone, words) in tones {
        let (class, top) = (tone.class(), y - 9.0);
        writeln!(
            text,
            r#"<rect class="{class}" x="{x}" y="{top}" width="10" height="10" rx="2"/>"#
        )?;
        x += 15.0;
        let shown = escaped(words);
        writeln!(text, r#"<text class="dim" x="{x}" y="{y}">{shown}</text>"#)?;
        // About as wide as these letters are.
        x += 7.0 * f64::from(u32::try_from(words.chars().count()).unwrap_or(0)) + 12.0;
    }
    Ok(())
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
