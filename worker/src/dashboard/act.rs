//! Does something to a sale, and writes down who did.

use super::Dashboard;
use super::answer::{Question, answer, bad_question};
use super::audit::Deed;
use super::visitor::{Page, Visitor};
use crate::admin::problem;
use crate::cli;
use crate::gate::Refused;
use crate::mysql::Session;
use crate::options::Given;
use crate::reconcile::compare;
use crate::warm::{Warmed, warm_one};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The bytes of a sale's name.
const SID_BYTES_MAX: usize = 255;

/// What can be done to a sale.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Act {
    Pause {},
    Resume {},
    Close {},
    Restock { delta: i64 },
    Warm(Terms),
}

/// What a new sale allows; what is not given is in `stock_sale`, or the module's default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Terms {
    limit: Option<u64>,
    hold_ms: Option<u64>,
    start_ms: Option<u64>,
    end_ms: Option<u64>,
    rate: Option<u64>,
    user_rate: Option<u64>,
}

/// What is compared, and whether it is mended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reconcile {
    /// `None`: all sales.
    sid: Option<String>,
    apply: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Done {
    outcome: String,
    /// Whether `stock_audit` has it; else only the log.
    audited: bool,
}

/// What `reconcile` says.
#[derive(Serialize)]
struct Compared {
    /// 0: nothing differs; 1: something does; 2: a sale could not be looked at.
    code: i32,
    /// The lines of `reconcile --json`.
    lines: Vec<Value>,
    audited: bool,
}

/// Pauses, resumes, closes, restocks or warms a sale.
pub(super) async fn on_sale(
    State(dashboard): State<Arc<Dashboard>>,
    _: Page,
    visitor: Visitor,
    Path(sid): Path<String>,
    Question(act): Question<Act>,
) -> Response {
    if sid.is_empty() || sid.len() > SID_BYTES_MAX || sid.contains(char::is_control) {
        return bad_question("expected the name of a sale: 1 to 255 bytes");
    }
    let deed = Deed {
        visitor,
        what: act.in_words(),
        sale: Some(sid.clone()),
    };
    // On a task of its own: somebody who closes the page must not cut it off in the middle.
    let done = tokio::spawn(async move {
        let written = dashboard.audit.begin(&deed).await;
        let done = act.carry_out(&dashboard, &sid).await;
        let audited = dashboard.audit.end(&deed, &written, &done).await;
        (done, audited)
    });
    match done.await {
        Ok((Ok(outcome), audited)) => answer(&Done { outcome, audited }),
        Ok((Err(why), _)) => problem(StatusCode::CONFLICT, "Not done", Some(&why)),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", None),
    }
}

/// Compares Redis, Kafka and MySQL, and mends if it is asked to.
pub(super) async fn reconcile(
    State(dashboard): State<Arc<Dashboard>>,
    _: Page,
    visitor: Visitor,
    Question(asked): Question<Reconcile>,
) -> Response {
    let deed = Deed {
        visitor,
        what: match asked.apply {
            true => "reconcile apply".to_owned(),
            false => "reconcile plan".to_owned(),
        },
        sale: asked.sid.clone(),
    };
    let chore = cli::Reconcile {
        sids: asked.sid.into_iter().collect(),
        apply: asked.apply,
        json: true,
    };
    let handle = Handle::current();
    // As for an act; and on a thread of its own, because it looks at every reservation.
    let done = tokio::task::spawn_blocking(move || handle.block_on(run(&dashboard, &deed, &chore)));
    match done.await {
        Ok(response) => response,
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", None),
    }
}

async fn run(dashboard: &Dashboard, deed: &Deed, chore: &cli::Reconcile) -> Response {
    let Ok(_alone) = dashboard.reconciling.try_lock() else {
        let detail = "Somebody compares already: wait until that is over.";
        return problem(StatusCode::CONFLICT, "Not done", Some(detail));
    };
    let written = dashboard.audit.begin(deed).await;
    let mut lines = Vec::new();
    let compared = compare(&dashboard.config, chore, &mut lines).await;
    let lines: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let outcome = match &compared {
        Ok(_) => Ok(summary(&lines)),
        Err(error) => Err(format!("{error:#}")),
    };
    let audited = dashboard.audit.end(deed, &written, &outcome).await;
    match (compared, outcome) {
        (Ok(code), _) => answer(&Compared {
            code,
            lines,
            audited,
        }),
        (_, Err(why) | Ok(why)) => problem(StatusCode::CONFLICT, "Not done", Some(&why)),
    }
}

/// What its last line counts.
fn summary(lines: &[Value]) -> String {
    let number = |name: &str| lines.last().and_then(|line| line.get(name)?.as_u64());
    let number = |name| number(name).unwrap_or(0);
    format!(
        "{} sales, {} clean, {} to mend, {} for a person, {} could not be looked at",
        number("sales"),
        number("clean"),
        number("mendable"),
        number("for_a_person"),
        number("failed")
    )
}

// === impl Act ===

impl Act {
    fn in_words(&self) -> String {
        match self {
            Self::Pause {} => "pause".to_owned(),
            Self::Resume {} => "resume".to_owned(),
            Self::Close {} => "close".to_owned(),
            Self::Restock { delta } => format!("restock {delta:+}"),
            Self::Warm(terms) => format!("warm{}", terms.in_words()),
        }
    }

    /// Does it; the text says what came of it, or why nothing did.
    async fn carry_out(&self, dashboard: &Dashboard, sid: &str) -> Result<String, String> {
        let gate = &dashboard.gate;
        let done = match self {
            Self::Pause {} => gate.pause(sid).await,
            Self::Resume {} => gate.resume(sid).await,
            Self::Close {} => gate.close(sid).await,
            Self::Restock { delta } => gate.restock(sid, *delta).await,
            Self::Warm(terms) => return terms.warm(dashboard, sid).await,
        };
        match done {
            Ok(()) => Ok("done".to_owned()),
            Err(Refused::NoSale) => Err("there is no such sale in Redis".to_owned()),
            Err(refused) => Err(refused.to_string()),
        }
    }
}

// === impl Terms ===

impl Terms {
    fn in_words(&self) -> String {
        let given = [
            ("limit", self.limit),
            ("hold", self.hold_ms),
            ("start", self.start_ms),
            ("end", self.end_ms),
            ("rate", self.rate),
            ("user-rate", self.user_rate),
        ];
        let given = given.into_iter();
        let given = given.filter_map(|(word, n)| n.map(|n| format!(" --{word} {n}")));
        given.collect()
    }

    async fn warm(&self, dashboard: &Dashboard, sid: &str) -> Result<String, String> {
        let given = Given {
            limit: self.limit,
            hold: self.hold_ms,
            start: self.start_ms,
            end: self.end_ms,
            rate: self.rate,
            user_rate: self.user_rate,
            ..Given::default()
        };
        let mut session = Session::new(dashboard.config.mysql.opts.clone());
        match warm_one(&mut session, &dashboard.gate, sid, given).await {
            Ok(warmed @ Warmed::Created { .. }) => Ok(warmed.to_string()),
            Ok(warmed) => Err(warmed.to_string()),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}
