//! Which pictures a ladder makes.

use crate::figures::{Climbed, Figures};
use crate::report::Report;
use anyhow::{Context, Result};
use seckill_chart::{Bar, Bars, Tone};
use seckill_load::text;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Draws what a report says, beside the file that it is in: `ladder.json`, `ladder-300-books.svg` …
pub(crate) fn draw(report: &Report, file: &Path) -> Result<()> {
    for buyers in report.crowds() {
        let rungs = report.of(buyers);
        let crowd = format!(
            "{} buyers at once, {} units",
            text::count(buyers.into()),
            text::count(report.stock.into())
        );
        let charts = [
            ("books", books(&rungs, &crowd)),
            ("answers", answers(&rungs, &crowd)),
            ("cpu", cpu(&rungs, &crowd)),
            ("statements", statements(&rungs, &crowd)),
        ];
        for (name, chart) in charts {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let picture = file.with_file_name(format!("{stem}-{buyers}-{name}.svg"));
            fs::write(&picture, chart.svg()?).with_context(|| picture.display().to_string())?;
        }
    }
    Ok(())
}

fn books(rungs: &[&Climbed], crowd: &str) -> Bars {
    let bar = |rung: &&Climbed| {
        let of = |figure: fn(&Figures) -> u64| rung.median_count(figure);
        let oversold = of(|f| f.oversold);
        let wait = Duration::from_secs_f64(rung.median(|f| f.p99_ms) / 1e3);
        Bar {
            label: label(rung),
            stretches: vec![
                (Tone::Good, of(|f| f.orders) - oversold),
                (Tone::Bad, oversold),
                (Tone::Lost, of(|f| f.lost)),
                (Tone::Missing, of(|f| f.undersold)),
            ],
            said: format!(
                "{} answers/s, p99 {}",
                text::rate(rung.median(|f| f.answers_a_second)),
                text::span(wait)
            ),
        }
    };
    Bars {
        title: "What became of the sale".to_owned(),
        note: crowd.to_owned(),
        legend: vec![
            (Tone::Good, "ordered, and there"),
            (Tone::Bad, "oversold"),
            (Tone::Lost, "told yes, no order"),
            (Tone::Missing, "left unsold"),
        ],
        bars: rungs.iter().map(bar).collect(),
    }
}

fn answers(rungs: &[&Climbed], crowd: &str) -> Bars {
    let title = "Answers a second";
    plain(title, rungs, crowd, |rung| {
        rung.median(|f| f.answers_a_second)
    })
}

fn cpu(rungs: &[&Climbed], crowd: &str) -> Bars {
    let title = "µs of CPU time for an answer, of all servers together";
    plain(title, rungs, crowd, |rung| rung.median(|f| f.cpu_us))
}

fn statements(rungs: &[&Climbed], crowd: &str) -> Bars {
    let title = "Statements that reached MySQL";
    plain(title, rungs, crowd, |rung| {
        rung.median_count(|f| f.statements)
    })
}

/// One figure of each rung.
fn plain(title: &str, rungs: &[&Climbed], crowd: &str, figure: fn(&Climbed) -> f64) -> Bars {
    let bar = |rung: &&Climbed| Bar {
        label: label(rung),
        stretches: vec![(Tone::Plain, figure(rung))],
        said: text::rate(figure(rung)),
    };
    Bars {
        title: title.to_owned(),
        note: crowd.to_owned(),
        legend: Vec::new(),
        bars: rungs.iter().map(bar).collect(),
    }
}

fn label(rung: &Climbed) -> String {
    format!("{} {}", rung.rung, rung.name)
}
