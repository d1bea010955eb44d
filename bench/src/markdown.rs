//! A report for the documents: what they say of figures is made, and never typed.

use crate::report::{Part, Report};
use crate::table::measures;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Writes the tables beside the file that the report is in, with what made them: `growth.md` for
/// `growth.json`.
pub(crate) fn write(report: &Report, target: &str, file: &Path) -> Result<()> {
    let page = file.with_extension("md");
    let text = of(report, target)?;
    fs::write(&page, text).with_context(|| page.display().to_string())
}

fn of(report: &Report, target: &str) -> Result<String> {
    let mut text = String::new();
    let quick = if report.quick { " QUICK=1" } else { "" };
    writeln!(text, "# The figures of `make {target}`\n")?;
    writeln!(
        text,
        "Made by `make {target}{quick}` on {}. {}\n",
        report.machine,
        servers(report)
    )?;
    for part in &report.parts {
        writeln!(text, "## {}\n\n{}", part.title, table(part))?;
    }
    Ok(text.trim_end().to_owned() + "\n")
}

fn servers(report: &Report) -> String {
    let others = [
        ("nginx", &report.nginx_version),
        ("MariaDB", &report.mariadb_version),
    ];
    let others = others.into_iter().filter_map(|(name, version)| {
        let version = version.as_ref()?;
        Some(format!(", {name} {version}"))
    });
    format!(
        "Redis {}{}.",
        report.redis_version,
        others.collect::<String>()
    )
}

fn table(part: &Part) -> String {
    let measures = measures(part);
    let noted = part.rows.iter().any(|row| row.note.is_some());
    let mut heads = vec![""];
    heads.extend(measures.iter().map(|measure| measure.heading));
    let mut rules = vec!["---"];
    rules.extend(measures.iter().map(|_| "---:"));
    if noted {
        heads.push("");
        rules.push("---");
    }
    let mut lines = vec![line(&heads), line(&rules)];
    for row in &part.rows {
        let mut cells = vec![row.name.clone()];
        cells.extend(measures.iter().map(|measure| {
            let value = row.of(*measure);
            value.map_or(String::new(), |value| measure.shape.text(value))
        }));
        cells.extend(noted.then(|| row.note.unwrap_or_default().to_owned()));
        lines.push(line(&cells));
    }
    lines.concat()
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| cell.as_ref().replace('|', "\\|"))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Measure, Row, Shape};

    #[test]
    fn a_table_has_a_column_for_each_measure_and_one_for_words() {
        const COST: Measure = Measure {
            key: "us",
            heading: "µs",
            shape: Shape::Tenths,
        };
        let part = Part {
            title: "Cost".to_owned(),
            rows: vec![
                Row::new("TRY").figure(COST, 1.25),
                Row::new("a | b").note("words"),
            ],
        };
        let expected = "\
|  | µs |  |
| --- | ---: | --- |
| TRY | 1.2 |  |
| a \\| b |  | words |
";
        assert_eq!(table(&part), expected);
    }
}
