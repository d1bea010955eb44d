//! Where the instructions of one case go.

use super::Scale;
use super::callgrind::Counter;
use super::cases::CASES;
use super::dump::Dump;
use super::instructions;
use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use std::collections::BTreeMap;

/// How many functions are shown.
const TOP: usize = 40;

/// Longer names end in `…`.
const NAME_LENGTH: usize = 72;

/// Counts the case with this id and shows its functions.
pub(crate) fn of(id: &str, scale: Scale) -> Result<String> {
    let case = CASES.iter().find(|case| case.id == id).with_context(|| {
        let ids: Vec<_> = CASES.iter().map(|case| case.id).collect();
        format!("no case {id}; there are {}", ids.join(", "))
    })?;
    let mut counter = Counter::start(case.aof)?;
    let dump = instructions::count(&mut counter, case, scale.counted)?;
    Ok(show(case.name, &dump, scale.counted))
}

/// By program and library, and by function.
fn show(name: &str, dump: &Dump, decisions: usize) -> String {
    let mut objects: BTreeMap<&str, u64> = BTreeMap::new();
    for function in &dump.functions {
        *objects.entry(&function.object).or_default() += function.instructions;
    }
    let mut objects: Vec<_> = objects.into_iter().collect();
    objects.sort_by_key(|(_, instructions)| std::cmp::Reverse(*instructions));

    let share = |instructions: u64| {
        let each = instructions as f64 / decisions as f64;
        let share = instructions as f64 / dump.total as f64 * 100.0;
        [format!("{each:.1}"), format!("{share:.1} %")]
    };
    let mut by_object = table(["instructions", "share", "in"]);
    for (object, instructions) in objects {
        let [each, share] = share(instructions);
        by_object.add_row([each, share, object.to_owned()]);
    }
    let mut by_function = table(["instructions", "share", "function itself"]);
    for function in dump.functions.iter().take(TOP) {
        let [each, share] = share(function.instructions);
        let name = format!("{}  [{}]", shortened(&function.name), function.object);
        by_function.add_row([each, share, name]);
    }
    let total = dump.total as f64 / decisions as f64;
    format!("{name}: {total:.0} instructions a decision\n{by_object}\n{by_function}")
}

fn table(header: [&str; 3]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    for column in table.column_iter_mut().take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LENGTH {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_LENGTH).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::dump::Function;

    #[test]
    fn functions_are_shown_for_one_decision_and_with_their_share() {
        let function = |name: &str, object: &str, instructions| Function {
            name: name.to_owned(),
            object: object.to_owned(),
            instructions,
        };
        let dump = Dump {
            total: 400,
            functions: vec![
                function("decide", "libseckill.so", 300),
                function("call", "redis-server", 100),
            ],
        };
        let shown = show("TRY", &dump, 4);
        assert!(
            shown.starts_with("TRY: 100 instructions a decision\n"),
            "{shown}"
        );
        let line = shown.lines().find(|line| line.contains("decide")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words[1..6],
            ["75.0", "75.0", "%", "decide", "[libseckill.so]"]
        );
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ü".repeat(200)).chars().count(), NAME_LENGTH + 1);
    }
}
