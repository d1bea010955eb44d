//! A small service that asks the script for a unit: one thread, one connection to Redis that is kept
//! and over which everybody's questions are sent at once. What a team writes that has no nginx with
//! Lua. With a throttle, `CL.THROTTLE` says first whether this buyer may try.

use super::terms::DEADLINE_MS;
use crate::cli::ServiceOptions;
use crate::module::Script;
use anyhow::Result;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long Redis may take.
const DEADLINE: Duration = Duration::from_millis(DEADLINE_MS);

/// What is asked.
#[derive(Clone)]
struct Gate {
    redis: MultiplexedConnection,
    /// What Redis calls the script.
    script: Arc<str>,
    /// Tries a second of a buyer, 0: as many as he likes.
    tries: u32,
    /// Whether `CL.THROTTLE` counts them, and not the script.
    has_throttle: bool,
}

/// Serves until it is told to stop.
pub(crate) fn run(options: &ServiceOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = redis::Client::open(options.redis_url.as_str())?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut redis = connecting.await?;
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(Script::TEXT);
        let script: String = load.query_async(&mut redis).await?;
        let gate = Gate {
            redis,
            script: script.into(),
            tries: options.tries,
            has_throttle: options.throttle,
        };
        let routes = axum::Router::new().route("/try/{sid}", post(buy));
        let listener = TcpListener::bind(options.listen).await?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            served = async { axum::serve(listener, routes.with_state(gate)).await } => Ok(served?),
            _ = terminate.recv() => Ok(()),
        }
    })
}

async fn buy(State(gate): State<Gate>, Path(sid): Path<String>, headers: HeaderMap) -> Response {
    let uid = headers.get("x-user-id").and_then(|uid| uid.to_str().ok());
    let Some(uid) = uid else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // The words of nginx's Lua.
    let (status, body) = match gate.verdict(&sid, uid).await.as_deref() {
        Ok("ACCEPTED") => (StatusCode::ACCEPTED, r#"{"status":"queued"}"#),
        Ok("SOLDOUT") => (
            StatusCode::GONE,
            r#"{"title":"Sold out","status":410,"code":"sold_out"}"#,
        ),
        Ok(_) => (
            StatusCode::TOO_MANY_REQUESTS,
            r#"{"title":"Too many tries","status":429,"code":"limited"}"#,
        ),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let content = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, content, body).into_response()
}

// === impl Gate ===

impl Gate {
    async fn verdict(&self, sid: &str, uid: &str) -> redis::RedisResult<String> {
        let mut redis = self.redis.clone();
        let mut tries = self.tries;
        if self.has_throttle {
            let mut throttle = redis::cmd("CL.THROTTLE");
            throttle.arg(format!("{{{sid}}}:rate:{uid}"));
            // Of so many at once one is not counted: that of the moment.
            throttle.arg(tries.saturating_sub(1)).arg(tries).arg(1);
            let said: Vec<i64> = throttle.query_async(&mut redis).await?;
            if said.first() != Some(&0) {
                return Ok("LIMITED".to_owned());
            }
            tries = 0;
        }
        let mut command = redis::cmd("EVALSHA");
        command.arg(&*self.script).arg(5);
        for key in ["stock", "buyers", "holds", "log"] {
            command.arg(format!("{{{sid}}}:{key}"));
        }
        command.arg(format!("{{{sid}}}:rate:{uid}"));
        command.arg(uid).arg(1).arg(1).arg(tries).arg(1000);
        command.arg(900_000);
        let (verdict, _): (String, redis::Value) = command.query_async(&mut redis).await?;
        Ok(verdict)
    }
}
