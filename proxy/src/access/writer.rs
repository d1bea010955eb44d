//! Writes the access log, in a thread of its own: a disk may take its time, a buyer does not wait.
//!
//! Lines wait in a queue that is bounded. When it is full, because the disk is slower than the
//! buyers, lines are dropped and counted.

use crate::access::{Line, Target};
use crate::counters::Counters;
use crate::throttle::Throttle;
use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tracing::error;

/// Lines that may wait; some 300 bytes each.
const WAITING_MAX: usize = 8192;

/// At the end: how long the disk may take over what is still waiting.
const PATIENCE: Duration = Duration::from_secs(1);

type Sink = Option<BufWriter<Box<dyn Write + Send>>>;

/// The access log.
pub(crate) struct Log {
    orders: SyncSender<Order>,
    now: Mutex<Option<Target>>,
    next: Arc<Mutex<Option<Sink>>>,
    counters: Arc<Counters>,
    has_ended: Mutex<Receiver<()>>,
}

enum Order {
    /// Write this.
    Line(Vec<u8>),
    /// See whether there is another sink.
    Look,
    /// Write what is there, and stop.
    End,
}

struct Writer {
    orders: Receiver<Order>,
    sink: Sink,
    next: Arc<Mutex<Option<Sink>>>,
    counters: Arc<Counters>,
    trouble: Throttle,
}

// === impl Log ===

impl Log {
    /// Starts the thread, which writes nowhere until [`Self::open`] says where.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(counters: Arc<Counters>) -> io::Result<Self> {
        let (orders, received) = sync_channel(WAITING_MAX);
        let (ended, has_ended) = sync_channel(1);
        let next = Arc::new(Mutex::new(None));
        let writer = Writer {
            orders: received,
            sink: None,
            next: Arc::clone(&next),
            counters: Arc::clone(&counters),
            trouble: Throttle::default(),
        };
        thread::Builder::new()
            .name("access log".to_owned())
            .spawn(move || {
                writer.run();
                // Nobody may wait any more.
                let _ = ended.try_send(());
            })?;
        Ok(Self {
            orders,
            now: Mutex::default(),
            next,
            counters,
            has_ended: Mutex::new(has_ended),
        })
    }

    /// From now on lines go there, or nowhere.
    ///
    /// # Errors
    /// It cannot be opened; then everything stays as it was.
    pub(crate) fn open(&self, target: Option<&Target>) -> io::Result<()> {
        let sink = target.map(Target::open).transpose()?.map(BufWriter::new);
        *lock(&self.now) = target.cloned();
        *lock(&self.next) = Some(sink);
        // A queue that is full need not be told: it is being worked on.
        let _ = self.orders.try_send(Order::Look);
        Ok(())
    }

    /// Opens the file again that is written to, if there is one: it may have another name by now.
    ///
    /// # Errors
    /// It cannot be opened; then everything stays as it was.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let now = lock(&self.now).clone();
        self.open(now.as_ref())
    }

    /// Writes a line some time soon.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let sent = line
            .to_json()
            .is_ok_and(|line| self.orders.try_send(Order::Line(line)).is_ok());
        if !sent {
            self.counters.access_log_dropped.inc();
        }
    }

    /// Waits until everything is written, but not for ever.
    pub(crate) fn end(&self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.orders.try_send(Order::End).is_err() && std::time::Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        match lock(&self.has_ended).recv_timeout(PATIENCE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => error!("the access log's end could not be written"),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Writer ===

impl Writer {
    fn run(mut self) {
        while let Some(order) = self.next_order() {
            self.look();
            match order {
                Order::Line(line) => self.write(&line),
                Order::Look => {}
                Order::End => {
                    self.flush();
                    return;
                }
            }
        }
    }

    /// Before it waits, what was written leaves the buffer.
    fn next_order(&mut self) -> Option<Order> {
        match self.orders.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.flush();
                self.orders.recv().ok()
            }
        }
    }

    fn look(&mut self) {
        let next = lock(&self.next).take();
        if let Some(sink) = next {
            self.flush();
            self.sink = sink;
        }
    }

    fn write(&mut self, line: &[u8]) {
        let Some(sink) = &mut self.sink else { return };
        if let Err(error) = sink.write_all(line) {
            self.counters.access_log_dropped.inc();
            self.tell(&error);
        }
    }

    fn flush(&mut self) {
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink.flush()
        {
            self.tell(&error);
        }
    }

    fn tell(&self, error: &io::Error) {
        if let Some(skipped) = self.trouble.pass() {
            error!(skipped, "the access log cannot be written: {error}");
        }
    }
}
