//! The module against a model of it: the same random commands at the same readings of the clock, and
//! every reply compared, to the last field, millisecond and word of an error.
//!
//! The model is written from docs/design.md and not from the code that it checks. Each run takes
//! another seed. To repeat one that failed:
//!
//! ```sh
//! cargo build --release -p seckill-module   # a test does not build the library that Redis loads
//! SECKILL_SEED=1234 cargo test --release -p seckill-module --test model
//! ```
//!
//! What it prints has the seed, the number of the command at which the two parted, and the commands
//! on that sale before it. `SECKILL_COMMANDS` says how many commands there are, 250000 if nothing
//! does: less stops the same run earlier, much more is for a night.
//!
//! | file | idea |
//! | --- | --- |
//! | `sale.rs` | the rules of a sale, as plainly as they can be written |
//! | `rates.rs` | what only the node knows of it: counters and rates |
//! | `shown.rs` | what it shows of itself |
//! | `node.rs`, `words.rs` | the commands: what they do, and what is wrong with them |
//! | `reply.rs` | a reply in one form, whoever gave it |
//! | `random.rs` | which commands, and how the clock moves |

#[cfg(test)]
mod node;
#[cfg(test)]
mod random;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod reply;
#[cfg(test)]
mod sale;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod words;

#[cfg(test)]
mod tests {
    use crate::node::{Node, TEXT};
    use crate::random::Random;
    use crate::reply::Reply;
    use redis::{Cmd, Connection, ConnectionLike, Value};
    use seckill_testbed::{Clock, Place, Redis, User};
    use std::collections::{BTreeMap, VecDeque};
    use std::time::Duration;
    use std::{env, fmt};

    const COMMANDS: usize = 250_000;
    const FIRST_MS: u64 = 1_763_800_000_000;
    /// How many commands on the same sale are shown before the one that went wrong.
    const SHOWN: usize = 20;
    /// How many commands on any sale are kept, to find those among them.
    const KEPT: usize = 2000;

    /// For reading the whole AOF again on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What a run of the usual length must have seen, or it has looked at nothing.
    const SEEN: [&str; 15] = [
        "ACCEPTED",
        "DUPLICATE",
        "ENDED",
        "ERR",
        "GONE",
        "LIMITED",
        "NORESERVATION",
        "NOSALE",
        "NOSTOCK",
        "NOTSTARTED",
        "OK",
        "PAUSED",
        "SOLDOUT",
        "WRONGTYPE",
        "expired",
    ];

    struct Step {
        now: u64,
        words: Vec<Vec<u8>>,
        expected: Reply,
    }

    impl Step {
        /// The next command, and what the model answers.
        fn next(random: &mut Random, node: &mut Node) -> Self {
            let words = random.command(node);
            let expected = node.call(&words);
            let now = node.now;
            Self {
                now,
                words,
                expected,
            }
        }
    }

    impl fmt::Display for Step {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at {}", self.now)?;
            self.words
                .iter()
                .try_for_each(|word| write!(f, " \"{}\"", word.escape_ascii()))
        }
    }

    #[test]
    fn the_module_answers_every_command_as_the_model_does() {
        let seed = variable("SECKILL_SEED").unwrap_or_else(|| fastrand::u64(1..1_000_000_000));
        let commands = variable("SECKILL_COMMANDS").unwrap_or(COMMANDS);
        println!("SECKILL_SEED={seed} SECKILL_COMMANDS={commands}");

        let place = Place::temporary("module-model").unwrap();
        let clock = Clock::new(&place).unwrap();
        clock.set_ms(FIRST_MS).unwrap();
        // What a disk takes is no part of the answers.
        let redis = Redis::start_with_clock(&place, &["appendfsync no"], &clock).unwrap();
        let mut connection = redis.connect(User::Anything).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        redis::cmd("SET")
            .arg(TEXT)
            .arg("x")
            .exec(&mut connection)
            .unwrap();

        let mut random = Random::new(seed);
        let mut node = Node::default();
        node.now = FIRST_MS;
        let mut seen = BTreeMap::new();
        let mut before: VecDeque<Step> = VecDeque::new();
        let mut sent = 0;
        while sent < commands {
            node.now = random.clock(&node);
            clock.set_ms(node.now).unwrap();
            let count = random.batch().min(commands - sent);
            let steps: Vec<Step> = (0..count)
                .map(|_| Step::next(&mut random, &mut node))
                .collect();
            let replies = send(&mut connection, &steps);
            for (step, reply) in steps.into_iter().zip(replies) {
                sent += 1;
                if reply != step.expected {
                    let told = tell(&before, &step, &reply);
                    panic!("SECKILL_SEED={seed}, command {sent}\n{told}");
                }
                tally(&reply, &mut seen);
                before.push_back(step);
                if before.len() > KEPT {
                    before.pop_front();
                }
            }
        }
        println!("{seen:?}");
        for word in SEEN {
            let enough = commands < COMMANDS || seen.contains_key(word);
            assert!(enough, "SECKILL_SEED={seed}: {word} never came");
        }
    }

    fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
        let text = env::var(name).ok()?;
        let number = text.parse().ok();
        Some(number.unwrap_or_else(|| panic!("{name} must be a number, got {text:?}")))
    }

    /// Sends commands in one go, and returns their replies.
    fn send(connection: &mut Connection, steps: &[Step]) -> Vec<Reply> {
        let mut bytes = Vec::new();
        for step in steps {
            let mut command = Cmd::new();
            command.arg(&step.words);
            bytes.extend(command.get_packed_command());
        }
        let replies = connection.req_packed_commands(&bytes, 0, steps.len());
        let replies: Vec<Value> = replies.unwrap();
        let pairs = replies.into_iter().zip(steps);
        pairs
            .map(|(value, step)| Reply::from_server(value, &step.words[0]))
            .collect()
    }

    /// What somebody needs to understand a difference.
    fn tell(before: &VecDeque<Step>, step: &Step, reply: &Reply) -> String {
        let same =
            |past: &&Step| past.words.get(1) == step.words.get(1) || past.words[0] == b"DEBUG";
        let mut shown: Vec<_> = before.iter().filter(same).rev().take(SHOWN).collect();
        shown.reverse();
        let shown = shown
            .into_iter()
            .map(|past| format!("{past}\n  {:?}\n", past.expected));
        format!(
            "{}{step}\n  model:  {:?}\n  module: {reply:?}",
            shown.collect::<String>(),
            step.expected
        )
    }

    /// How often each verdict, each code of an error and so on came.
    fn tally(reply: &Reply, seen: &mut BTreeMap<String, usize>) {
        let text = match reply {
            Reply::List(items) => return items.iter().for_each(|item| tally(item, seen)),
            Reply::Word(text) | Reply::Text(text) | Reply::Error(text) => text,
            _ => return,
        };
        let word = text.split(' ').next().unwrap_or_default();
        if SEEN.contains(&word) {
            *seen.entry(word.to_owned()).or_default() += 1;
        }
    }
}
