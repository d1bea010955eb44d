//! `run`: puts the parts together, and takes them apart at the end.

use crate::admin::Admin;
use crate::backoff::Backoff;
use crate::clock;
use crate::config::{Broker, Config};
use crate::dashboard::Dashboard;
use crate::delivery::Delivery;
use crate::figures::Figures;
use crate::gate::Gate;
use crate::kafka::{DeadLetters, Probe, Producer, create_topics, spawn_consumer};
use crate::log::Log;
use crate::mysql::Session;
use crate::options::{Keeper, keep};
use crate::orders::{
    Memory, Offsets, Pulse, Refusals, Stored, Writer, announce_stored, cancel_refused,
};
use crate::relay::{Leases, Relay, Sink};
use crate::schema::{self, Unfit};
use crate::standing::{Need, Standing};
use crate::stop::{self, Signals, Stop};
use crate::systemd;
use crate::watch::Watch;
use anyhow::{Context, bail};
use mysql_async::Opts;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

/// Deliveries that may wait for the order writer. Each has up to 500 events: enough to fill the
/// next transaction while one is under way.
const DELIVERIES_MAX: usize = 64;

/// How long the last news may take to reach the module at a stop.
const LAST_NEWS_PATIENCE: Duration = Duration::from_secs(2);

/// How long the last messages may take to reach the broker at a stop.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// How long leaving the group may take at a stop: without its broker, the library waits for it.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// What the parts share.
struct Shared {
    gate: Arc<Gate>,
    figures: Arc<Figures>,
    standing: Arc<Standing>,
    stop: Stop,
}

/// Relays and writes orders until SIGTERM or SIGINT.
///
/// # Errors
/// If the schema is not the one that this program knows, or the program cannot be set up.
pub(crate) async fn run(config: Config, log: Log) -> anyhow::Result<()> {
    let (stopper, stop) = stop::pair();
    // It keeps the stopper until the end: whoever waits for the stop looks at it.
    tokio::spawn(Signals::listen()?.obey(stopper));
    let gate = Gate::new(&config.redis).context("redis.url")?;
    let shared = Shared {
        gate: Arc::new(gate),
        figures: Arc::new(Figures::new(log.alarms)?),
        standing: Arc::new(Standing::new()),
        stop: stop.clone(),
    };
    let config = Arc::new(config);
    if let Some(listen) = config.admin.as_ref().map(|admin| admin.listen) {
        let admin = Admin {
            figures: Arc::clone(&shared.figures),
            standing: Arc::clone(&shared.standing),
            level: log.level,
            has_broker: config.broker == Broker::Kafka,
            dashboard: Dashboard::open(&config, &shared.figures)?,
        };
        admin.serve(listen).await?;
    }
    tokio::spawn(watch(&config, &shared)?.run());
    let (figures, standing) = (Arc::clone(&shared.figures), Arc::clone(&shared.standing));
    let telling = tokio::spawn(async move {
        systemd::tell(&figures, &standing, &stop).await;
        standing.lacks(Need::Stopping, &"the process is about to end");
    });
    tokio::select! {
        ready = prepare(&config, &shared.gate) => {
            ready?;
            relay_and_write(&config, shared).await?;
        }
        () = shared.stop.asked() => {}
    }
    // What is quickly done must not end before systemd hears of the end.
    telling.await?;
    info!("stopped");
    Ok(())
}

fn watch(config: &Config, shared: &Shared) -> anyhow::Result<Watch> {
    let session = || Session::new(config.mysql.opts.clone());
    let probe = match config.broker {
        Broker::None => None,
        Broker::Kafka => Some(Probe::new(&config.kafka)?),
    };
    Ok(Watch {
        gate: Arc::clone(&shared.gate),
        sessions: [session(), session()],
        probe,
        figures: Arc::clone(&shared.figures),
        standing: Arc::clone(&shared.standing),
    })
}

/// Returns when MySQL and the broker are there and have what we need.
async fn prepare(config: &Config, gate: &Gate) -> anyhow::Result<()> {
    wait_for_schema(&config.mysql.opts).await?;
    if config.broker == Broker::Kafka {
        create_topics(&config.kafka).await?;
    }
    gate.enter().await.context("redis.url")
}

/// Waits until MySQL is there, and makes sure of its schema.
async fn wait_for_schema(opts: &Opts) -> anyhow::Result<()> {
    let mut session = Session::new(opts.clone());
    let mut backoff = Backoff::for_server();
    let mut said = false;
    loop {
        match schema::check(&mut session).await {
            Ok(()) => return Ok(()),
            Err(Unfit::Failure(failure)) => {
                if failure.is_misconfigured() {
                    return Err(failure).context("mysql.url");
                }
                if !said {
                    warn!("MySQL is away, starting when it is there: {failure}");
                    said = true;
                }
            }
            Err(unfit) => return Err(unfit.into()),
        }
        sleep(backoff.pause()).await;
    }
}

async fn relay_and_write(config: &Config, shared: Shared) -> anyhow::Result<()> {
    let Shared {
        gate,
        figures,
        standing,
        stop,
    } = shared;
    let session = || Session::new(config.mysql.opts.clone());
    let stored = Stored::default();
    let refusals = Refusals::default();
    let offsets = Offsets::default();
    let pulse = Pulse::default();
    let keeper = Keeper::default();
    let (intake, deliveries) = mpsc::channel::<Delivery>(DELIVERIES_MAX);

    // Not before the topics are there: a producer that has to learn of its topic may send its first
    // messages in another order.
    let producer = match config.broker {
        Broker::None => None,
        Broker::Kafka => {
            clock::watch();
            Some(Producer::new(&config.kafka)?)
        }
    };
    let (sink, consumer) = match producer.clone() {
        None => (Sink::Orders(intake), None),
        Some(producer) => {
            let topic = config.kafka.topic.clone();
            let sink = Sink::Topic { producer, topic };
            let (kafka, figures) = (config.kafka.clone(), Arc::clone(&figures));
            let consumer = spawn_consumer(kafka, intake, offsets.clone(), figures, stop.clone())?;
            (sink, Some(consumer))
        }
    };
    let writer = Writer {
        intake: deliveries,
        session: session(),
        dead_letters: producer
            .clone()
            .map(|producer| DeadLetters::new(producer, config.kafka.dead_topic.clone())),
        offsets: offsets.clone(),
        pulse: pulse.clone(),
        stored: stored.clone(),
        refusals: refusals.clone(),
        figures: Arc::clone(&figures),
        stop: stop.clone(),
        memory: Memory::default(),
    };
    let leases = Arc::new(Leases::new());
    let relay = Relay {
        gate: Arc::clone(&gate),
        sink,
        leases: Arc::clone(&leases),
        stored: stored.clone(),
        figures: Arc::clone(&figures),
        keeper: keeper.clone(),
        sales: AtomicUsize::new(0),
    };
    info!("relaying and writing orders, broker {:?}", config.broker);
    standing.has(Need::Starting);

    let news = tokio::spawn({
        let (stored, gate, session) = (stored.clone(), Arc::clone(&gate), session());
        let offsets = offsets.clone();
        async move { announce_stored(&stored, &gate, &offsets, session).await }
    });
    let queue = async {
        if let Some(producer) = &producer {
            producer.count(&figures).await;
        }
    };
    let parts = async {
        tokio::join!(
            queue,
            relay.run(),
            cancel_refused(&refusals, &gate, session()),
            keep(&keeper, session()),
            figures.report(),
            pulse.watch(),
        )
    };
    // These may be dropped in the middle of anything: they do it again after the next start.
    let parts = async {
        tokio::select! {
            _ = parts => {}
            () = stop.asked() => {}
        }
    };
    // The writer finishes its batch by itself.
    let writing = writer.run();
    tokio::pin!(writing);
    tokio::select! {
        () = parts => writing.await,
        () = &mut writing => {}
    }
    if !stop.is_asked() {
        bail!("the Kafka consumer has ended and nobody delivers to the order writer any more");
    }
    figures.line();
    stored.close();
    let (given, news) = tokio::join!(
        timeout(LAST_NEWS_PATIENCE, leases.give_back(&gate)),
        timeout(LAST_NEWS_PATIENCE, news)
    );
    if given.is_err() {
        debug!("the leases are not given back: they lapse");
    }
    if news.is_err() {
        debug!("the module does not hear of the last commits before the next start");
    }
    let leaving = tokio::task::spawn_blocking(move || {
        if let Some(producer) = producer {
            producer.flush(FLUSH_PATIENCE);
        }
        // Leaves the group, so that another worker takes over at once.
        consumer.map(JoinHandle::join)
    });
    if timeout(LEAVE_PATIENCE, leaving).await.is_err() {
        debug!("the group notices by itself that this worker is gone");
    }
    Ok(())
}
