//! The dashboard: how every sale stands, in a browser, and what people do to a sale there.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod.rs` | what it is made of, and its addresses |
//! | `files.rs`, `assets/` | the page itself: HTML, CSS and JavaScript of our own |
//! | `headers.rs` | what a browser may do with any of it |
//! | `login.rs`, `visitor.rs` | who may come in, and who asks |
//! | `answer.rs` | questions and answers in JSON |
//! | `look.rs`, `sight.rs` | looks at everything once a second; what was seen |
//! | `counts.rs`, `history.rs` | verdicts, and the last ten minutes of them: pure |
//! | `proxies.rs` | how the proxies are, and whom they turn away by themselves |
//! | `figures.rs` | shows what was seen |
//! | `funnel.rs` | what became of a sale's orders |
//! | `search.rs`, `records.rs` | one buyer or reservation, and what MySQL has of it |
//! | `act.rs`, `audit.rs` | does something to a sale, and writes down who did |
//!
//! Nobody sees a sale or a buyer without having shown the token of `[admin] token`; without a token
//! in the configuration nobody does. Whatever changes something has to come from the page itself.

mod act;
mod answer;
mod audit;
mod counts;
mod figures;
mod files;
mod funnel;
mod headers;
mod history;
mod login;
mod look;
mod proxies;
mod records;
mod search;
mod sight;
mod visitor;

use crate::config::{Admin, Config};
use crate::figures::Figures;
use crate::gate::Gate;
use crate::mysql::Session;
use anyhow::Context;
use audit::Audit;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{get, post};
use funnel::Funnels;
use login::Logins;
use sight::Sight;
use std::sync::Arc;
use tokio::sync::Mutex;
use tower_http::compression::CompressionLayer;

/// No question needs more.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Everything that the dashboard works with.
pub(crate) struct Dashboard {
    config: Arc<Config>,
    figures: Arc<Figures>,
    logins: Logins,
    sight: Sight,
    /// Gives up where Redis does not answer: somebody waits.
    gate: Gate,
    /// For searches.
    session: Mutex<Session>,
    funnels: Funnels,
    audit: Audit,
    /// Whoever compares or mends holds it.
    reconciling: Mutex<()>,
}

// === impl Dashboard ===

impl Dashboard {
    /// The dashboard that is configured, and looks from now on; `None`: it has no token.
    ///
    /// # Errors
    /// If the servers of the configuration make no clients.
    pub(crate) fn open(
        config: &Arc<Config>,
        figures: &Arc<Figures>,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(Admin {
            listen,
            token: Some(token),
            proxies,
        }) = &config.admin
        else {
            return Ok(None);
        };
        let session = || Session::new(config.mysql.opts.clone());
        let dashboard = Arc::new(Self {
            logins: Logins::new(token.clone(), listen.port()),
            sight: Sight::default(),
            gate: Gate::for_chore(&config.redis).context("redis.url")?,
            session: Mutex::new(session()),
            funnels: Funnels::new(session()),
            audit: Audit::new(session()),
            reconciling: Mutex::default(),
            figures: Arc::clone(figures),
            config: Arc::clone(config),
        });
        look::start(&dashboard, proxies)?;
        Ok(Some(dashboard))
    }
}

/// The pages of a dashboard, or of none.
pub(crate) fn pages(dashboard: Option<Arc<Dashboard>>) -> Router {
    let api = match dashboard {
        Some(dashboard) => Router::new()
            .route("/api/session", get(login::session))
            .route("/api/login", post(login::enter))
            .route("/api/logout", post(login::leave))
            // Of a thousand sales 800 kB a second, and maybe over a phone.
            .route("/api/now", get(figures::now).layer(CompressionLayer::new()))
            .route("/api/sales/{sid}", get(figures::sale))
            .route("/api/sales/{sid}/funnel", get(funnel::show))
            .route("/api/sales/{sid}/search", post(search::search))
            .route("/api/sales/{sid}/act", post(act::on_sale))
            .route("/api/sales/{sid}/audit", get(audit::of_sale))
            .route("/api/stock", get(records::stock))
            .route("/api/reconcile", post(act::reconcile))
            .route("/api/audit", get(audit::show))
            .with_state(dashboard),
        None => Router::new().route("/api/session", get(login::nobody)),
    };
    files::routes()
        .merge(api)
        .route_layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(map_response(headers::secure))
}
