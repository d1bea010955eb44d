//! Looks at everything once a second, whether somebody watches or not: whoever opens the page wants
//! to see what led there.

use super::Dashboard;
use super::counts::Counts;
use super::history::Point;
use super::proxies::{Proxies, Proxy};
use super::sight::{SaleSeen, Seen, Server};
use crate::config::{Broker, Config};
use crate::gate::{Gate, SaleInfo};
use crate::mysql::Session;
use crate::status::{self, Eyes, Look, Row, Topics};
use anyhow::Context;
use mysql_async::prelude::Queryable;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// How long MySQL may take to say which letters somebody has dealt with.
const PATIENCE: Duration = Duration::from_secs(2);

/// One look, and what belongs to it.
struct Sighting {
    look: Look,
    proxies: Vec<Proxy>,
    at_ms: u64,
}

/// Looks from now on, until the program ends.
///
/// # Errors
/// If the servers of the configuration make no clients.
pub(super) fn start(dashboard: &Arc<Dashboard>, proxies: &[String]) -> anyhow::Result<()> {
    let config = &dashboard.config;
    let eyes = Eyes {
        gate: Gate::new(&config.redis).context("redis.url")?,
        session: Session::new(config.mysql.opts.clone()),
        topics: match config.broker {
            Broker::Kafka => Some(Topics::start(&config.kafka)?),
            Broker::None => None,
        },
        sids: Vec::new(),
        count_orders: false,
    };
    let proxies = Proxies::new(proxies);
    // That a server is away stands in what is shown, and the worker's own parts log it.
    let looking = look_on(Arc::clone(dashboard), eyes, proxies);
    tokio::spawn(looking.with_subscriber(NoSubscriber::default()));
    Ok(())
}

async fn look_on(dashboard: Arc<Dashboard>, mut eyes: Eyes, proxies: Proxies) {
    let mut letters = Session::new(dashboard.config.mysql.opts.clone());
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<Sighting> = None;
    loop {
        turns.tick().await;
        let (look, proxies) = tokio::join!(eyes.look(), proxies.look());
        let dead_letters = dead_letters(&dashboard.config, &look, &mut letters).await;
        let now = Sighting {
            look,
            proxies,
            at_ms: unix_ms(),
        };
        let (seen, points) = seen(before.as_ref().unwrap_or(&now), &now, dead_letters);
        dashboard.sight.add(seen, &points);
        before = Some(now);
    }
}

/// Those that nobody has dealt with; `None`: there is no broker, or it does not answer.
async fn dead_letters(config: &Config, look: &Look, session: &mut Session) -> Option<i64> {
    let all = look.kafka.as_ref()?.as_ref().ok()?.dead;
    if all == 0 {
        return Some(0);
    }
    let topic = &config.kafka.dead_topic;
    let counted = session.work(async |conn| {
        let sql = "SELECT COUNT(*) FROM stock_dead_letter WHERE topic = ?";
        Ok(conn.exec_first::<i64, _, _>(sql, (topic,)).await?)
    });
    let done = timeout(PATIENCE, counted).await.ok()?.ok()??;
    Some((all - done).max(0))
}

fn seen(
    before: &Sighting,
    now: &Sighting,
    dead_letters: Option<i64>,
) -> (Seen, BTreeMap<String, Point>) {
    let mut points = BTreeMap::new();
    let mut sales = Vec::new();
    for row in status::rows(&before.look, &now.look) {
        let at_the_edge = edge(&now.proxies, &row.sid);
        let earlier = edge(&before.proxies, &row.sid);
        let info = info(&now.look, &row.sid);
        let mut sale = SaleSeen {
            clock_ms: None,
            options: None,
            reservations: 0,
            tries: at_the_edge,
            at_the_edge,
            a_second: [0.0; _],
            row,
        };
        if let Some(info) = info {
            let tries = Counts::of_module(info).and(&at_the_edge);
            if let Some(was) = self::info(&before.look, &sale.row.sid) {
                let ms = info.now_ms.saturating_sub(was.now_ms);
                let was = Counts::of_module(was).and(&earlier);
                sale.a_second = tries.a_second(&was, Duration::from_millis(ms).as_secs_f64());
            }
            sale.clock_ms = Some(info.now_ms);
            sale.options = Some(info.options.into());
            sale.reservations = info.reservations;
            sale.tries = tries;
            points.insert(
                sale.row.sid.clone(),
                point(now.at_ms, &sale.row, sale.a_second),
            );
        }
        sales.push(sale);
    }
    let kafka = now.look.kafka.as_ref();
    let figures = kafka.and_then(|kafka| kafka.as_ref().ok());
    let seen = Seen {
        looked_ms: now.at_ms,
        redis: Server::of(&now.look.redis),
        mysql: Server::of(&now.look.mysql),
        kafka: kafka.map(Server::of),
        dead_letters,
        messages_behind: figures.map(|figures| figures.behind),
        proxies: now.proxies.clone(),
        sales,
    };
    (seen, points)
}

fn info<'l>(look: &'l Look, sid: &str) -> Option<&'l SaleInfo> {
    look.sale(sid)?.info()
}

fn edge(proxies: &[Proxy], sid: &str) -> Counts {
    let counts = proxies.iter().filter_map(|proxy| proxy.turned_away(sid));
    counts.fold(Counts::default(), Counts::and)
}

fn point(at_ms: u64, row: &Row, rates: [f64; super::counts::VERDICTS.len()]) -> Point {
    let units = row.units.as_ref();
    let behind = row.to_mysql.unwrap_or_default();
    let late = row.without_order.unwrap_or_default();
    Point {
        at_ms,
        rates,
        available: units.map_or(0, |units| units.available),
        held: units.map_or(0, |units| units.held),
        sold: units.map_or(0, |units| units.sold),
        behind: behind.count,
        late_ms: late.ms,
    }
}

pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
