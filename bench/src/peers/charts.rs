//! Which pictures a comparison makes.

use super::compare::{EDGE, REDIS};
use super::terms::TERMS;
use crate::report::{Part, Report, Row, Shape};
use anyhow::{Context, Result};
use seckill_chart::{Bar, Bars, Tone};
use std::fs;
use std::path::Path;

/// Draws one picture for each of the terms, beside the file that the report is in:
/// `peers-always.svg` …
pub(super) fn draw(report: &Report, file: &Path) -> Result<()> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    for terms in TERMS {
        let parts = report.parts.iter();
        let parts = parts.filter(|part| part.title.ends_with(terms.name));
        let chart = Bars {
            title: "µs of CPU time for a request, edge and Redis together".to_owned(),
            note: format!("{}. {}", terms.name, report.machine),
            legend: vec![(Tone::Plain, "edge"), (Tone::Lost, "Redis")],
            bars: parts.flat_map(bars).collect(),
        };
        let picture = file.with_file_name(format!("{stem}-{}.svg", terms.id));
        fs::write(&picture, chart.svg()?).with_context(|| picture.display().to_string())?;
    }
    Ok(())
}

/// The bars of cases that give the same answer, below a line that says which.
fn bars(part: &Part) -> impl Iterator<Item = Bar> {
    let answer = part.title.split(':').next().unwrap_or_default();
    let head = Bar {
        label: answer.to_owned(),
        stretches: Vec::new(),
        said: String::new(),
    };
    std::iter::once(head).chain(part.rows.iter().map(bar))
}

fn bar(row: &Row) -> Bar {
    let of = |wanted| row.of(wanted).unwrap_or_default();
    let both = of(EDGE) + of(REDIS);
    Bar {
        label: format!("   {}", row.name),
        stretches: vec![(Tone::Plain, of(EDGE)), (Tone::Lost, of(REDIS))],
        said: Shape::Tenths.text(both),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seckill_chart::Machine;

    #[test]
    fn each_terms_have_a_picture_of_their_own_cases() {
        let row = Row::new("nginx + Lua + script")
            .figure(EDGE, 20.0)
            .figure(REDIS, 5.5);
        let report = Report {
            machine: Machine::here(),
            redis_version: "7.0.15".to_owned(),
            nginx_version: None,
            mariadb_version: None,
            quick: true,
            parts: vec![Part {
                title: format!("Accepted: {}", TERMS[0].name),
                rows: vec![row],
            }],
        };
        let folder = tempfile::tempdir().unwrap();
        draw(&report, &folder.path().join("peers.json")).unwrap();
        let picture = |id| fs::read_to_string(folder.path().join(format!("peers-{id}.svg")));
        let always = picture("always").unwrap();
        assert!(
            always.contains("Accepted") && always.contains(">25.5<"),
            "{always}"
        );
        assert!(!picture("rate").unwrap().contains("nginx"));
    }
}
