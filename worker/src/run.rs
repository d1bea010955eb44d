//! `run`: puts the parts together, and takes them apart at the end.

use crate::backoff::Backoff;
use crate::config::{Broker, Config};
use crate::delivery::Delivery;
use crate::figures::Figures;
use crate::gate::Gate;
use crate::kafka::{DeadLetters, Producer, create_topics, spawn_consumer};
use crate::mysql::{Session, options};
use crate::options::{Keeper, keep};
use crate::orders::{
    Memory, Offsets, Pulse, Refusals, Stored, Writer, announce_stored, cancel_refused,
};
use crate::relay::{Leases, Relay, Sink};
use crate::schema::{self, Unfit};
use crate::stop::{self, Stop, Stopper};
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

/// Relays and writes orders until SIGTERM or SIGINT.
///
/// # Errors
/// If the schema is not the one that this program knows, or the program cannot be set up.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let (stopper, stop) = stop::pair();
    let signalled = tokio::spawn(async move {
        Stopper::signalled().await?;
        stopper.ask();
        // Kept until the end: whoever waits for the stop looks at it.
        anyhow::Ok(stopper)
    });
    let opts = options(&config.mysql.url)?;
    tokio::select! {
        ready = prepare(&config, &opts) => {
            ready?;
            relay_and_write(config, opts, &stop).await?;
        }
        () = stop.asked() => {}
    }
    drop(signalled.await??);
    info!("stopped");
    Ok(())
}

/// Returns when MySQL and the broker are there and have what we need.
async fn prepare(config: &Config, opts: &Opts) -> anyhow::Result<()> {
    wait_for_schema(opts).await?;
    if config.broker == Broker::Kafka {
        create_topics(&config.kafka).await?;
    }
    Ok(())
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

async fn relay_and_write(config: Config, opts: Opts, stop: &Stop) -> anyhow::Result<()> {
    let session = || Session::new(opts.clone());
    let gate = Gate::new(&config.redis).context("redis.url")?;
    gate.enter().await.context("redis.url")?;
    let gate = Arc::new(gate);
    let figures = Arc::new(Figures::default());
    let stored = Stored::default();
    let refusals = Refusals::default();
    let offsets = Offsets::default();
    let pulse = Pulse::default();
    let keeper = Keeper::default();
    let (intake, deliveries) = mpsc::channel::<Delivery>(DELIVERIES_MAX);

    let (sink, producer, consumer) = match config.broker {
        Broker::None => (Sink::Orders(intake), None, None),
        Broker::Kafka => {
            let producer = Producer::new(&config.kafka)?;
            let topic = config.kafka.topic.clone();
            let sink = Sink::Topic {
                producer: producer.clone(),
                topic,
            };
            let kafka = config.kafka.clone();
            let consumer = spawn_consumer(kafka, intake, offsets.clone(), stop.clone())?;
            (sink, Some(producer), Some(consumer))
        }
    };
    let writer = Writer {
        intake: deliveries,
        session: session(),
        dead_letters: producer
            .clone()
            .map(|producer| DeadLetters::new(producer, config.kafka.dead_topic)),
        offsets,
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

    let news = tokio::spawn({
        let (stored, gate, session) = (stored.clone(), Arc::clone(&gate), session());
        async move { announce_stored(&stored, &gate, session).await }
    });
    let parts = async {
        tokio::join!(
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
    if timeout(LAST_NEWS_PATIENCE, leases.give_back(&gate))
        .await
        .is_err()
    {
        debug!("the leases are not given back: they lapse");
    }
    stored.close();
    if timeout(LAST_NEWS_PATIENCE, news).await.is_err() {
        debug!("the module does not hear of the last commits before the next start");
    }
    tokio::task::spawn_blocking(move || {
        if let Some(producer) = producer {
            producer.flush(FLUSH_PATIENCE);
        }
        // Leaves the group, so that another worker takes over at once.
        consumer.map(JoinHandle::join)
    })
    .await?;
    Ok(())
}
