//! The report as a person reads it.

use crate::report::{Case, Invariant, Report, Standing};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::fmt;

/// Cases of one invariant that a person is shown.
const CASES_SHOWN: usize = 3;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            &format!("sale {}", self.sid),
            "what it means",
            "checked",
            "",
        ]);
        for invariant in &self.invariants {
            table.add_row([
                Cell::new(invariant.name),
                Cell::new(invariant.means),
                Cell::new(checked(invariant)).set_alignment(CellAlignment::Right),
                Cell::new(standing(invariant)),
            ]);
        }
        write!(f, "{table}")?;
        for invariant in &self.invariants {
            for note in &invariant.notes {
                write!(f, "\n{}: {note}", invariant.name)?;
            }
        }
        for invariant in self.broken() {
            write!(f, "\n\n{} is BROKEN: {}", invariant.name, invariant.means)?;
            for case in invariant.cases.iter().take(CASES_SHOWN) {
                write!(f, "\n{case}")?;
            }
            let more = invariant.broken.saturating_sub(CASES_SHOWN as u64);
            if more > 0 {
                write!(f, "\n  … and {more} more")?;
            }
        }
        Ok(())
    }
}

fn checked(invariant: &Invariant) -> String {
    match invariant.stands {
        Standing::NotChecked => String::new(),
        Standing::Ok | Standing::Broken => format!("{} {}", invariant.checked, invariant.things),
    }
}

fn standing(invariant: &Invariant) -> String {
    match invariant.stands {
        Standing::Ok => "OK".to_owned(),
        Standing::Broken => format!("BROKEN: {}", invariant.broken),
        Standing::NotChecked => {
            let why = invariant.why.as_deref().unwrap_or("not known why");
            format!("not checked: {why}")
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("  ")?;
        if let Some(rid) = self.rid {
            write!(f, "{rid}")?;
            if let Some(uid) = &self.uid {
                write!(f, " of {uid}")?;
            }
            f.write_str(": ")?;
        } else if let Some(uid) = &self.uid {
            write!(f, "{uid}: ")?;
        }
        f.write_str(&self.what)?;
        for said in &self.says {
            write!(f, "\n    {:<8} {}", said.source.to_string(), said.text)?;
        }
        Ok(())
    }
}
