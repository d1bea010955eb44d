//! A wire between a client and a server that answers each line.

use super::{Trouble, Wire};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes that is not held back.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long nothing has to come before it counts as nothing.
const SILENCE: Duration = Duration::from_millis(300);

/// Answers each line with its own words.
struct Server {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Server {
    async fn start(word: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                        counter.fetch_add(1, SeqCst);
                        let answer = format!("{word} {line}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        line.clear();
                    }
                    stream.write_all(b"bye").await.unwrap();
                });
            }
        });
        Self { port, heard }
    }

    async fn await_heard(&self, lines: usize) {
        let heard = async {
            while self.heard.load(SeqCst) < lines {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, heard).await.unwrap();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(wire: &Wire) -> Self {
        let stream = TcpStream::connect(wire.address()).await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn say(&mut self, words: &str) {
        self.0.write_all(words.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Result<String, ErrorKind> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line))
            .await
            .unwrap();
        read.map(|_| line).map_err(|error| error.kind())
    }

    async fn hears_nothing(&mut self) {
        let mut line = String::new();
        let read = timeout(SILENCE, self.0.read_line(&mut line)).await;
        assert!(read.is_err(), "{read:?} {line}");
    }

    async fn ask(&mut self, words: &str) -> Result<String, ErrorKind> {
        self.say(words).await;
        self.hear().await
    }
}

async fn wire_to(server: &Server) -> Wire {
    let wire = Wire::open().await.unwrap();
    wire.lead_to(server.port);
    wire
}

#[tokio::test]
async fn what_is_said_arrives_in_both_directions_and_so_does_its_end() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.ask("hello\n").await, Ok("one hello\n".to_owned()));
    // Longer than a chunk.
    let long = "x".repeat(300_000);
    let answer = client.ask(&format!("{long}\n")).await.unwrap();
    assert_eq!(answer, format!("one {long}\n"));
    client.0.get_mut().shutdown().await.unwrap();
    let mut rest = String::new();
    client.0.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
}

#[tokio::test]
async fn a_wire_to_nowhere_resets() {
    let wire = Wire::open().await.unwrap();
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    // Nobody listens there.
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    wire.lead_to(port);
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_cut_ends_what_is_there_and_nothing_that_comes() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::Cut);
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.ask("again\n").await, Ok("one again\n".to_owned()));
}

#[tokio::test]
async fn a_wire_that_refuses_ends_what_is_there_and_what_comes_until_it_is_healed() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::Refuse);
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    wire.heal();
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.ask("again\n").await, Ok("one again\n".to_owned()));
}

#[tokio::test]
async fn what_is_held_arrives_when_it_is_over() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::Hold);
    client.say("held\n").await;
    client.hears_nothing().await;
    assert_eq!(server.heard.load(SeqCst), 1);
    wire.heal();
    assert_eq!(client.hear().await, Ok("one held\n".to_owned()));
}

#[tokio::test]
async fn an_answer_that_is_swallowed_was_given_and_its_connection_ends() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::SwallowAnswers);
    client.say("commit\n").await;
    server.await_heard(2).await;
    client.hears_nothing().await;
    // What comes meanwhile is carried out as well.
    client.say("more\n").await;
    server.await_heard(3).await;
    wire.heal();
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    let mut client = Client::connect(&wire).await;
    assert_eq!(client.ask("again\n").await, Ok("one again\n".to_owned()));
}

#[tokio::test]
async fn a_question_that_is_swallowed_never_arrives_and_its_connection_ends() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::SwallowQuestions);
    client.say("lost\n").await;
    client.hears_nothing().await;
    wire.heal();
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
    assert_eq!(server.heard.load(SeqCst), 1);
}

#[tokio::test]
async fn a_connection_on_which_nothing_was_lost_survives_the_swallowing() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    wire.trouble(Trouble::SwallowAnswers);
    sleep(SILENCE).await;
    wire.heal();
    assert_eq!(client.ask("again\n").await, Ok("one again\n".to_owned()));
}

#[tokio::test]
async fn what_is_delayed_arrives_late() {
    let delay = Duration::from_millis(100);
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    wire.trouble(Trouble::Delay(delay));
    let began = Instant::now();
    assert_eq!(client.ask("late\n").await, Ok("one late\n".to_owned()));
    assert!(began.elapsed() >= delay * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_new_target_is_for_new_connections() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let wire = wire_to(&one).await;
    let mut before = Client::connect(&wire).await;
    before.ask("hello\n").await.unwrap();
    wire.lead_to(two.port);
    let mut after = Client::connect(&wire).await;
    assert_eq!(after.ask("hello\n").await, Ok("two hello\n".to_owned()));
    assert_eq!(before.ask("again\n").await, Ok("one again\n".to_owned()));
}

#[tokio::test]
async fn a_wire_that_is_dropped_takes_its_connections_along() {
    let server = Server::start("one").await;
    let wire = wire_to(&server).await;
    let mut client = Client::connect(&wire).await;
    client.ask("hello\n").await.unwrap();
    drop(wire);
    assert_eq!(client.hear().await, Err(ErrorKind::ConnectionReset));
}
