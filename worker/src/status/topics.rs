//! Kafka's figures from a thread of their own: its calls block, and an end of the program does not
//! wait for them.

use crate::config::Kafka;
use crate::kafka::{TopicFigures, TopicLook};
use std::sync::mpsc;
use std::thread;
use tokio::sync::oneshot;

type Answer = oneshot::Sender<Result<TopicFigures, String>>;

/// Asks the thread. Clones ask the same one.
#[derive(Clone)]
pub(crate) struct Topics(mpsc::Sender<Answer>);

// === impl Topics ===

impl Topics {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the settings make no client, or the operating system gives no thread.
    pub(crate) fn start(kafka: &Kafka) -> anyhow::Result<Self> {
        let look = TopicLook::new(kafka)?;
        let (questions, answers) = mpsc::channel::<Answer>();
        let name = "kafka-look".to_owned();
        thread::Builder::new().name(name).spawn(move || {
            for answer in answers {
                // Who stopped waiting meanwhile has asked again.
                if !answer.is_closed() {
                    let figures = look.figures().map_err(|error| error.to_string());
                    let _ = answer.send(figures);
                }
            }
        })?;
        Ok(Self(questions))
    }

    pub(crate) async fn figures(&self) -> Result<TopicFigures, String> {
        let (answer, figures) = oneshot::channel();
        let asked = self.0.send(answer).is_ok();
        match figures.await {
            Ok(figures) if asked => figures,
            _ => Err("the thread that asks it has ended".to_owned()),
        }
    }
}
