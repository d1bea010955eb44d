//! `[[route]]`.

use crate::config::Mistakes;
use crate::route::{Fail, Forwarding, Mode, OnFailure, OnSuccess, Pattern, Route, Routes};
use crate::statuses::Statuses;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `[[route]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTable {
    path: String,
    mode: String,
    on_success: Option<String>,
    on_client_error: Option<String>,
    on_server_error: Option<String>,
    on_timeout: Option<String>,
    fail: Option<String>,
    status: Option<BTreeMap<String, u16>>,
    show_units: Option<bool>,
}

/// Checks the tables.
pub(crate) fn routes(tables: &[RouteTable], mistakes: &mut Mistakes) -> Routes {
    if tables.is_empty() {
        mistakes.add(
            "route: expected at least one [[route]]; without one there is nothing to guard"
                .to_owned(),
        );
    }
    let mut routes: Vec<Route> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let pattern = mistakes.note(
            table
                .path
                .parse::<Pattern>()
                .map_err(|error| format!("route[{at}].path: {error}, not {:?}", table.path)),
        );
        let mode = mistakes.note(mode(at, table));
        let (Some(pattern), Some(mode)) = (pattern, mode) else {
            continue;
        };
        if let Some(other) = routes.iter().find(|r| r.pattern.overlaps(&pattern)) {
            mistakes.add(format!(
                "route[{at}].path: {pattern} and {} match the same paths; keep one of them",
                other.pattern
            ));
        }
        let statuses = table.status.as_ref().map(Statuses::new).transpose();
        let statuses = statuses.map_err(|mistake| format!("route[{at}].status.{mistake}"));
        let statuses = mistakes.note(statuses).flatten().unwrap_or_default();
        routes.push(Route {
            pattern,
            mode,
            statuses,
            show_units: table.show_units.unwrap_or(false),
        });
    }
    Routes::new(routes)
}

fn mode(at: usize, table: &RouteTable) -> Result<Mode, String> {
    let only_forward = |key: &str| {
        Err(format!(
            "route[{at}].{key}: only for mode = \"forward\"; in the others no shop's answer decides"
        ))
    };
    match table.mode.as_str() {
        "queue" | "shadow" if table.on_success.is_some() => only_forward("on_success"),
        "queue" | "shadow" if table.on_client_error.is_some() => only_forward("on_client_error"),
        "queue" | "shadow" if table.on_server_error.is_some() => only_forward("on_server_error"),
        "queue" | "shadow" if table.on_timeout.is_some() => only_forward("on_timeout"),
        "queue" | "shadow" if table.fail.as_deref() == Some("open") => only_forward("fail"),
        "shadow" if table.show_units.is_some() => Err(format!(
            "route[{at}].show_units: not for mode = \"shadow\", in which the shop answers everything"
        )),
        "shadow" if table.status.is_some() => Err(format!(
            "route[{at}].status: not for mode = \"shadow\", which rejects nobody"
        )),
        "queue" => fail(at, table).map(|_| Mode::Queue),
        "shadow" => fail(at, table).map(|_| Mode::Shadow),
        "forward" => Ok(Mode::Forward(Forwarding {
            on_success: on_success(at, table)?,
            on_client_error: on_failure(
                &format!("route[{at}].on_client_error"),
                table.on_client_error.as_deref(),
                OnFailure::Cancel,
            )?,
            on_server_error: on_failure(
                &format!("route[{at}].on_server_error"),
                table.on_server_error.as_deref(),
                OnFailure::Keep,
            )?,
            on_timeout: on_failure(
                &format!("route[{at}].on_timeout"),
                table.on_timeout.as_deref(),
                OnFailure::Keep,
            )?,
            fail: fail(at, table)?,
        })),
        other => Err(format!(
            "route[{at}].mode: expected \"queue\", \"forward\" or \"shadow\", not {other:?}"
        )),
    }
}

fn on_success(at: usize, table: &RouteTable) -> Result<OnSuccess, String> {
    match table.on_success.as_deref() {
        None | Some("hold") => Ok(OnSuccess::Hold),
        Some("confirm") => Ok(OnSuccess::Confirm),
        Some(other) => Err(format!(
            "route[{at}].on_success: expected \"hold\" or \"confirm\", not {other:?}"
        )),
    }
}

fn on_failure(key: &str, text: Option<&str>, default: OnFailure) -> Result<OnFailure, String> {
    match text {
        None => Ok(default),
        Some("keep") => Ok(OnFailure::Keep),
        Some("cancel") => Ok(OnFailure::Cancel),
        Some(other) => Err(format!(
            "{key}: expected \"keep\" or \"cancel\", not {other:?}"
        )),
    }
}

fn fail(at: usize, table: &RouteTable) -> Result<Fail, String> {
    match table.fail.as_deref() {
        None | Some("closed") => Ok(Fail::Closed),
        Some("open") => Ok(Fail::Open),
        Some(other) => Err(format!(
            "route[{at}].fail: expected \"closed\" or \"open\", not {other:?}"
        )),
    }
}
