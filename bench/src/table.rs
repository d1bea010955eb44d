//! A report for a person: one table for each part.

use crate::report::{Measure, Part, Report};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// How wide a table with words is.
const WIDTH: u16 = 120;

/// The tables of a report, below each other.
pub(crate) fn of(report: &Report) -> String {
    let parts = report.parts.iter().map(|part| {
        let title = &part.title;
        format!("{title}\n{}\n", table(part))
    });
    parts.collect::<Vec<_>>().join("\n")
}

/// What is measured of some row, in the order in which the rows bring it up.
pub(crate) fn measures(part: &Part) -> Vec<Measure> {
    let mut measures: Vec<Measure> = Vec::new();
    for (measure, _) in part.rows.iter().flat_map(|row| &row.figures.0) {
        if !measures.contains(measure) {
            measures.push(*measure);
        }
    }
    measures
}

/// A column for each measure.
fn table(part: &Part) -> Table {
    let measures = measures(part);
    let noted = part.rows.iter().any(|row| row.note.is_some());
    let judged = part.rows.iter().any(|row| row.wanted.is_some());

    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    let mut header = vec![""];
    header.extend(measures.iter().map(|measure| measure.heading));
    header.extend(judged.then_some("wanted"));
    header.extend(noted.then_some(""));
    if noted {
        // Words are broken into lines, which figures never are.
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(WIDTH);
    }
    table.set_header(header);
    for row in &part.rows {
        let mut cells = vec![row.name.clone()];
        cells.extend(measures.iter().map(|measure| {
            let value = row.of(*measure);
            value.map_or(String::new(), |value| measure.shape.text(value))
        }));
        let wanted = row.wanted.as_ref().map(ToString::to_string);
        cells.extend(judged.then(|| wanted.unwrap_or_default()));
        cells.extend(noted.then(|| row.note.unwrap_or_default().to_owned()));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1).take(measures.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Row, Shape, Wanted};

    #[test]
    fn a_row_leaves_a_column_empty_that_is_not_its_own() {
        let cost = Measure {
            key: "instructions",
            heading: "instructions",
            shape: Shape::Count,
        };
        let ratio = Measure {
            key: "of_incr",
            heading: "÷ INCR",
            shape: Shape::Ratio,
        };
        let part = Part {
            title: "One command".to_owned(),
            rows: vec![
                Row::new("INCR").figure(cost, 3490.2),
                Row::new("TRY")
                    .figure(cost, 4000.0)
                    .figure(ratio, 1.146)
                    .wanted(Some(Wanted::AtMost(1.2))),
            ],
        };
        let expected = "\
┌─────────────────────────────────────────┐
│        instructions   ÷ INCR   wanted   │
╞═════════════════════════════════════════╡
│ INCR          3,490                     │
│ TRY           4,000     1.15 ≤ 1.20 met │
└─────────────────────────────────────────┘";
        let lines = table(&part).to_string();
        let trimmed = |text: &str| -> Vec<Vec<String>> {
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
            text.lines()
                .map(words)
                .filter(|line: &Vec<_>| line.len() > 1)
                .collect()
        };
        assert_eq!(trimmed(&lines), trimmed(expected), "{lines}");
    }
}
