//! Reads what callgrind has counted: the instructions that each function has executed itself.
//!
//! The format is described in valgrind's manual, "Callgrind Format Specification". Of it, only what
//! callgrind writes here is read: one event, no jumps.

use anyhow::{Context, Result, ensure};
use std::collections::HashMap;

/// What was executed between two moments.
pub(crate) struct Dump {
    pub(crate) total: u64,
    /// The most expensive first.
    pub(crate) functions: Vec<Function>,
}

/// A function, and what it executed itself; what it called has lines of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The file name of the program or library.
    pub(crate) object: String,
    pub(crate) instructions: u64,
}

/// A name is written once and is a number from then on: `(12) name`, then `(12)`.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Dump {
    pub(crate) fn read(text: &str) -> Result<Self> {
        let (mut objects, mut functions) = (Names::default(), Names::default());
        let (mut object, mut function) = (String::new(), String::new());
        let mut counts: HashMap<(String, String), u64> = HashMap::new();
        let mut in_call = false;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("ob=") {
                object = objects.resolve(name);
            } else if let Some(name) = line.strip_prefix("cob=") {
                objects.resolve(name);
            } else if let Some(name) = line.strip_prefix("fn=") {
                function = functions.resolve(name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                functions.resolve(name);
            } else if line.starts_with("calls=") {
                in_call = true;
            } else if line.starts_with(['+', '-', '*'])
                || line.starts_with(|c: char| c.is_ascii_digit())
            {
                // The line after `calls=` is what the called function cost.
                if !std::mem::take(&mut in_call) {
                    let cost = line.split(' ').nth(1).context("a line without a cost")?;
                    let cost: u64 = cost.parse().with_context(|| line.to_owned())?;
                    *counts
                        .entry((object.clone(), function.clone()))
                        .or_default() += cost;
                }
            }
        }
        Self::of(counts, stated_total(text)?)
    }

    fn of(counts: HashMap<(String, String), u64>, total: u64) -> Result<Self> {
        let mut functions: Vec<_> = counts
            .into_iter()
            .map(|((object, name), instructions)| {
                let object = file_name(&object).to_owned();
                Function {
                    name,
                    object,
                    instructions,
                }
            })
            .collect();
        functions.sort_by(|a, b| {
            b.instructions
                .cmp(&a.instructions)
                .then(a.name.cmp(&b.name))
        });
        let sum: u64 = functions.iter().map(|function| function.instructions).sum();
        ensure!(
            sum == total,
            "callgrind says {total} instructions, and its functions have {sum}"
        );
        Ok(Self { total, functions })
    }

    /// What the code of one program or library executed itself.
    pub(crate) fn in_object(&self, object: &str) -> u64 {
        let inside = self
            .functions
            .iter()
            .filter(|function| function.object == object);
        inside.map(|function| function.instructions).sum()
    }
}

impl Names {
    fn resolve(&mut self, text: &str) -> String {
        match text.split_once(' ') {
            Some((number, name)) => {
                self.0.insert(number.to_owned(), name.to_owned());
                name.to_owned()
            }
            None => self.0.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        }
    }
}

fn file_name(path: &str) -> &str {
    match path.rsplit('/').next().unwrap_or_default() {
        // Debian has the server in this file, and `redis-server` is a link to it.
        "redis-check-rdb" => "redis-server",
        name => name,
    }
}

/// The last line: the sum of what stands above it. The `summary` in the head also counts what was
/// under way when counting began.
fn stated_total(text: &str) -> Result<u64> {
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "));
    let total = total.context("callgrind's file says no total")?;
    total.parse().with_context(|| total.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two functions of two objects; the first calls the second, whose name comes up there first.
    const TEXT: &str = "\
# callgrind format
version: 1
cmd:  redis-server
part: 2

positions: line
events: Ir
summary: 127

ob=(5) /usr/bin/redis-check-rdb
fl=(45) server.c
fn=(1) processCommand
65 40
+1 20
cob=(6) /usr/lib/redis/modules/libseckill.so
cfi=(46) try.rs
cfn=(2) seckill::try_
calls=3 51
* 60
-2 10

ob=(6)
fl=(46)
fn=(2)
51 35
fi=(47) hash.rs
7 25

totals: 130
";

    #[test]
    fn a_function_has_what_it_executed_itself() {
        let dump = Dump::read(TEXT).unwrap();
        assert_eq!(dump.total, 130);
        let function = |name: &str, object: &str, instructions| Function {
            name: name.to_owned(),
            object: object.to_owned(),
            instructions,
        };
        assert_eq!(
            dump.functions,
            [
                function("processCommand", "redis-server", 70),
                function("seckill::try_", "libseckill.so", 60),
            ]
        );
        assert_eq!(dump.in_object("libseckill.so"), 60);
        assert_eq!(dump.in_object("libc.so.6"), 0);
    }

    #[test]
    fn functions_that_do_not_add_up_to_the_total_are_an_error() {
        let text = TEXT.replace("totals: 130", "totals: 131");
        assert!(Dump::read(&text).is_err());
        let text = TEXT.replace("totals: 130\n", "");
        assert!(Dump::read(&text).is_err());
    }
}
