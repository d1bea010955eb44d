//! What is said of a recovery: lines for a person, or a JSON object for each sale.

use crate::gate::{Put, Sale};
use seckill_protocol::EventId;
use serde::Serialize;
use std::io::Write;

/// Where it is said.
pub(super) struct Report<'a, W> {
    out: &'a mut W,
    json: bool,
}

/// How it stands with a sale in the end.
#[derive(Debug)]
pub(super) struct Outcome {
    sale: Sale,
    /// `None`: nothing was wrong.
    put: Option<Put>,
    /// MySQL's cursor, if nothing was wrong.
    cursor: Option<EventId>,
}

#[derive(Serialize)]
struct Line<'a> {
    sid: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    sale: Option<Figures<'a>>,
    #[serde(flatten)]
    put: Option<PutFigures>,
}

#[derive(Serialize)]
struct Figures<'a> {
    state: &'a str,
    total: u64,
    available: u64,
    held: u64,
    sold: u64,
    reservations: u64,
}

#[derive(Serialize)]
struct PutFigures {
    added: u64,
    moved: u64,
    known: u64,
}

// === impl Outcome ===

impl Outcome {
    /// It was brought back; `put`: what that took.
    pub(super) fn recovered(sale: Sale, put: Option<Put>) -> Self {
        Self {
            sale,
            put: Some(put.unwrap_or_default()),
            cursor: None,
        }
    }

    /// Nothing was wrong.
    pub(super) const fn healthy(sale: Sale, cursor: EventId) -> Self {
        Self {
            sale,
            put: None,
            cursor: Some(cursor),
        }
    }

    fn text(&self) -> String {
        let Sale {
            state,
            total,
            available,
            held,
            sold,
            head,
            ..
        } = &self.sale;
        let units = format!("{available} of {total} units available, {held} held, {sold} sold");
        let hint = match state.as_str() {
            "paused" => "; SECKILL.RESUME sells on",
            _ => "",
        };
        match self.cursor {
            None => format!("recovered; it is {state}: {units}{hint}"),
            Some(cursor) if cursor >= *head => {
                format!("nothing is wrong; it is {state}: {units}{hint}")
            }
            Some(cursor) => format!(
                "nothing is wrong; it is {state}: {units}; MySQL is on its way from {cursor} to \
                 {head}{hint}"
            ),
        }
    }
}

// === impl Report ===

impl<'a, W: Write> Report<'a, W> {
    pub(super) const fn new(out: &'a mut W, json: bool) -> Self {
        Self { out, json }
    }

    /// Says what is happening.
    pub(super) fn say(&mut self, sid: &str, text: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "{sid}: {text}")?;
        self.out.flush()
    }

    /// Says what became of a sale.
    pub(super) fn outcome(
        &mut self,
        sid: &str,
        outcome: &anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        if !self.json {
            let text = match outcome {
                Ok(outcome) => outcome.text(),
                Err(error) => format!("FAILED: {error:#}"),
            };
            return Ok(self.say(sid, &text)?);
        }
        let line = match outcome {
            Ok(Outcome { sale, put, .. }) => Line {
                sid,
                outcome: if put.is_some() {
                    "recovered"
                } else {
                    "healthy"
                },
                error: None,
                sale: Some(Figures {
                    state: &sale.state,
                    total: sale.total,
                    available: sale.available,
                    held: sale.held,
                    sold: sale.sold,
                    reservations: sale.reservations,
                }),
                put: put.map(|put| PutFigures {
                    added: put.added,
                    moved: put.moved,
                    known: put.known,
                }),
            },
            Err(error) => Line {
                sid,
                outcome: "failed",
                error: Some(format!("{error:#}")),
                sale: None,
                put: None,
            },
        };
        writeln!(self.out, "{}", serde_json::to_string(&line)?)?;
        Ok(self.out.flush()?)
    }
}
