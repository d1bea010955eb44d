//! What `reconcile` prints, and with what code it ends.

use super::plan::{Difference, Mend, Plan};
use console::style;
use serde::Serialize;
use std::io::Write;

/// Something differs.
const DIFFERS: i32 = 1;

/// A sale, or all, could not be looked at.
pub(super) const COULD_NOT_LOOK: i32 = 2;

/// Differences of one sale that a person is shown; a program gets all of them.
const SHOWN_MAX: usize = 40;

/// What came out so far.
pub(super) struct Report {
    json: bool,
    apply: bool,
    totals: Totals,
}

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Totals {
    kind: &'static str,
    sales: usize,
    clean: usize,
    /// Differences that `--apply` mends.
    mendable: usize,
    /// Whether they were mended.
    applied: bool,
    for_a_person: usize,
    on_their_way: usize,
    failed: usize,
}

#[derive(Serialize)]
struct Failed<'a> {
    kind: &'static str,
    sid: &'a str,
    reason: &'a str,
}

// === impl Report ===

impl Report {
    pub(super) fn new(json: bool, apply: bool) -> Self {
        let totals = Totals {
            kind: "summary",
            applied: apply,
            ..Totals::default()
        };
        Self {
            json,
            apply,
            totals,
        }
    }

    pub(super) fn sale(
        &mut self,
        out: &mut impl Write,
        sid: &str,
        plan: &Plan,
    ) -> anyhow::Result<()> {
        let Plan {
            differences,
            on_their_way,
        } = plan;
        self.totals.sales += 1;
        self.totals.clean += usize::from(differences.is_empty());
        self.totals.mendable += plan.steps().count();
        self.totals.for_a_person += plan.for_persons();
        self.totals.on_their_way += on_their_way;
        if self.json {
            for difference in differences {
                writeln!(out, "{}", difference.json(sid)?)?;
            }
            return Ok(());
        }
        if differences.is_empty() {
            return Ok(());
        }
        writeln!(out, "sale {sid}")?;
        for difference in differences.iter().take(SHOWN_MAX) {
            self.difference(out, difference)?;
        }
        if differences.len() > SHOWN_MAX {
            let more = differences.len() - SHOWN_MAX;
            writeln!(out, "  … and {more} more; --json shows all")?;
        }
        Ok(())
    }

    fn difference(&self, out: &mut impl Write, difference: &Difference) -> anyhow::Result<()> {
        let Difference { what, mend } = difference;
        match mend {
            Mend::Step(step) => {
                let done = if self.apply { "done" } else { "--apply" };
                writeln!(out, "  {what}")?;
                writeln!(out, "    {} {step}", style(format!("{done}:")).green())?;
            }
            Mend::Person(commands) => {
                writeln!(out, "  {what}")?;
                writeln!(out, "    {}", style("for a person:").yellow())?;
                for command in commands {
                    writeln!(out, "      {command}")?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn trouble(
        &mut self,
        out: &mut impl Write,
        sid: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        self.totals.sales += 1;
        self.totals.failed += 1;
        if self.json {
            let kind = "failed";
            let line = serde_json::to_string(&Failed { kind, sid, reason })?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "sale {sid}\n  could not be looked at: {reason}")?;
        }
        Ok(())
    }

    /// Writes the last line.
    pub(super) fn end(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let totals = &self.totals;
        if self.json {
            writeln!(out, "{}", serde_json::to_string(totals)?)?;
            return Ok(());
        }
        let mut parts = vec![
            format!("{} sales", totals.sales),
            format!("{} clean", totals.clean),
        ];
        let mended = if self.apply { "mended" } else { "for --apply" };
        for (count, what) in [
            (totals.mendable, mended),
            (totals.for_a_person, "for a person"),
            (totals.on_their_way, "on their way and not judged"),
            (totals.failed, "could not be looked at"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        writeln!(out, "{}", parts.join(", "))?;
        Ok(())
    }

    pub(super) fn exit_code(&self) -> i32 {
        let Totals {
            mendable,
            for_a_person,
            failed,
            ..
        } = self.totals;
        let left = for_a_person + if self.apply { 0 } else { mendable };
        match (failed, left) {
            (0, 0) => 0,
            (0, _) => DIFFERS,
            _ => COULD_NOT_LOOK,
        }
    }
}
