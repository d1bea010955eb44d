//! The ways to sell a unit, as they are put together, under the article's paths.

use super::answer::{Answer, Failure};
use super::cache::Cache;
use super::limiter::Limiter;
use super::queue::Queue;
use super::store::{self, CONNECTIONS, Store};
use crate::cli::{Parts, ShopOptions};
use crate::rung;
use anyhow::Result;
use axum::extract::{Path, State};
use axum::routing::post;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type Told = Result<Answer, Failure>;

/// MySQL and a limiter.
#[derive(Clone)]
struct Limited {
    store: Store,
    limiter: Limiter,
}

/// MySQL, a limiter and a cache.
#[derive(Clone)]
struct Cached {
    store: Store,
    limiter: Limiter,
    cache: Cache,
}

/// A limiter, a cache and a queue.
#[derive(Clone)]
struct Queued {
    limiter: Limiter,
    cache: Cache,
    queue: Queue,
}

/// Serves until it is told to stop. What it has decides how it sells.
pub(crate) async fn run(options: ShopOptions) -> Result<()> {
    let routes = routes(&options).await?;
    let listener = TcpListener::bind(options.listen).await?;
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => Ok(served?),
        told = until_told() => told,
    }
}

async fn routes(options: &ShopOptions) -> Result<axum::Router> {
    let parts = &options.parts;
    let Some(redis) = redis(parts).await? else {
        let store = Store::connect(&parts.mysql_url, CONNECTIONS).await?;
        return Ok(axum::Router::new()
            .route(rung::WRONG, post(wrong))
            .route(rung::OPTIMISTIC, post(optimistic))
            .with_state(store));
    };
    let limiter = Limiter::new(redis.clone(), options.limit).await?;
    let cache = Cache::new(redis);
    if let Some(brokers) = &parts.kafka_brokers {
        let state = Queued {
            limiter,
            cache,
            queue: Queue::connect(brokers).await?,
        };
        return Ok(one(rung::QUEUED, post(queued), state));
    }
    let store = Store::connect(&parts.mysql_url, CONNECTIONS).await?;
    let state = Limited {
        store: store.clone(),
        limiter: limiter.clone(),
    };
    let limited = one(rung::LIMITED, post(limited), state);
    let state = Cached {
        store,
        limiter,
        cache,
    };
    Ok(limited.merge(one(rung::CACHED, post(cached), state)))
}

/// A router of one route.
fn one<S: Clone + Send + Sync + 'static>(
    path: &str,
    way: axum::routing::MethodRouter<S>,
    state: S,
) -> axum::Router {
    axum::Router::new().route(path, way).with_state(state)
}

/// A connection that many requests share, if there is a Redis.
pub(super) async fn redis(parts: &Parts) -> Result<Option<MultiplexedConnection>> {
    let Some(url) = &parts.redis_url else {
        return Ok(None);
    };
    let client = redis::Client::open(url.as_str())?;
    Ok(Some(client.get_multiplexed_async_connection().await?))
}

pub(super) async fn until_told() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Check, deduct, create.
async fn wrong(State(store): State<Store>, Path(sid): Path<u32>) -> Told {
    let mut connection = store.connection().await?;
    match store::look(&mut connection, sid).await? {
        None => Ok(Answer::Unknown),
        Some(stock) if stock.is_sold_out() => Ok(Answer::SoldOut),
        Some(stock) => Ok(store::buy_blindly(&mut connection, &stock).await?),
    }
}

/// The same, and whoever was overtaken gets nothing.
async fn optimistic(State(store): State<Store>, Path(sid): Path<u32>) -> Told {
    let mut connection = store.connection().await?;
    match store::look(&mut connection, sid).await? {
        None => Ok(Answer::Unknown),
        Some(stock) if stock.is_sold_out() => Ok(Answer::SoldOut),
        Some(stock) => Ok(store::buy_optimistically(&mut connection, &stock).await?),
    }
}

/// The same, for as many as MySQL can bear.
async fn limited(State(shop): State<Limited>, sid: Path<u32>) -> Told {
    if !shop.limiter.lets_pass().await? {
        return Ok(Answer::Limited);
    }
    optimistic(State(shop.store), sid).await
}

/// The same, and MySQL is not asked whether something is left.
async fn cached(State(shop): State<Cached>, Path(sid): Path<u32>) -> Told {
    if !shop.limiter.lets_pass().await? {
        return Ok(Answer::Limited);
    }
    let stock = match shop.cache.look(sid).await? {
        None => return Ok(Answer::Unknown),
        Some(stock) if stock.is_sold_out() => return Ok(Answer::SoldOut),
        Some(stock) => stock,
    };
    let mut connection = shop.store.connection().await?;
    let answer = store::buy_optimistically(&mut connection, &stock).await?;
    if matches!(answer, Answer::Ordered(_)) {
        shop.cache.took(sid).await?;
    }
    Ok(answer)
}

/// The same, and somebody else writes the order, later.
async fn queued(State(shop): State<Queued>, Path(sid): Path<u32>) -> Told {
    if !shop.limiter.lets_pass().await? {
        return Ok(Answer::Limited);
    }
    match shop.cache.look(sid).await? {
        None => Ok(Answer::Unknown),
        Some(stock) if stock.is_sold_out() => Ok(Answer::SoldOut),
        Some(stock) => {
            shop.queue.send(&stock).await?;
            Ok(Answer::Queued)
        }
    }
}
