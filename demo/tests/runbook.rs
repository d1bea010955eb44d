//! Every command of docs/runbook.md, as it stands there, in its order, on a system that sells; and what
//! stands there as good is what comes out. What asks systemd or the machine's clock is not typed here.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at its first surprise"
)]

use redis::{Connection, FromRedisValue};
use seckill_testbed::{
    Kafka, MariaDb, Part, Place, Proxy, Redis, SampleShop, Settings, User, Worker, built,
};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// How long until what stands there as good is so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Words with which something to type begins.
const PROGRAMS: [&str; 6] = [
    "$WORKER",
    "$REDIS",
    "seckill-proxy",
    "seckill-load",
    "curl",
    "mariadb",
];

/// One thing to type.
#[derive(Debug)]
struct Line {
    command: String,
    /// What has to be in what it prints, in this order.
    good: Vec<String>,
}

/// The system of the runbook.
struct Shop {
    folder: PathBuf,
    /// Where programs are looked for.
    path: String,
    /// What stands in the runbook, and what it is here.
    here: Vec<(String, String)>,
    redis: Connection,
    proxy: Proxy,
    _parts: (Worker, SampleShop, Redis, Redis, MariaDb, Kafka),
    _place: Place,
}

// === impl Shop ===

impl Shop {
    fn open() -> Self {
        let place = Place::temporary("runbook").unwrap();
        let redis = Redis::start(&place).unwrap();
        let replica = Redis::start_replica(&place, &redis).unwrap();
        let mariadb = MariaDb::start(&place).unwrap();
        let kafka = Kafka::start(&place).unwrap();
        let shop = SampleShop::start(&place).unwrap();
        let settings = Settings::worker(&redis, &mariadb).unwrap().kafka(&kafka);
        Worker::command(&place, &settings, &["migrate"]).unwrap();
        mariadb
            .query("INSERT INTO stock VALUES (1001, 'Brass lamp', 5000, 0, 0)")
            .unwrap();
        let worker = Worker::start(&place, &settings).unwrap();
        let at_proxy = Settings::proxy(&redis)
            .unwrap()
            .with("redis.deadline_ms", 2000)
            .with("shop.upstream", shop.address());
        let proxy = Proxy::start(&place, &at_proxy).unwrap();

        let folder = place.path().join("console");
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        // Who types is the machine's root, whom MariaDB knows by its socket.
        let socket = mariadb.socket();
        let script = format!(
            "#!/bin/sh\nPATH=${{PATH#*:}} exec mariadb --no-defaults --socket={} \"$@\"\n",
            socket.display()
        );
        fs::write(bin.join("mariadb"), script).unwrap();
        fs::set_permissions(bin.join("mariadb"), fs::Permissions::from_mode(0o755)).unwrap();
        let worker_program = built("seckill-worker").unwrap();
        let programs = worker_program.parent().unwrap();
        let system = env::var("PATH").unwrap();
        let path = format!("{}:{}:{system}", bin.display(), programs.display());

        let config =
            |part: &dyn Part, name: &str| part.log().with_file_name(name).display().to_string();
        let url = redis.url(User::Operator);
        let pairs = [
            (
                "$WORKER",
                "seckill-worker --config /etc/seckill/worker.toml".to_owned(),
            ),
            ("$REDIS", format!("redis-cli --no-auth-warning -u {url}")),
            ("/etc/seckill/worker.toml", config(&worker, "worker.toml")),
            ("/etc/seckill/proxy.toml", config(&proxy, "proxy.toml")),
            ("http://127.0.0.1:8080", proxy.url()),
            (
                "http://127.0.0.1:9100",
                format!("http://{}", proxy.admin_address()),
            ),
            (
                "http://127.0.0.1:9102",
                format!("http://{}", worker.admin_address()),
            ),
            // Whoever is told to come again does not wait for a minute here.
            ("--hold 60000", "--hold 5000".to_owned()),
            // Somebody looks, and goes on to something else.
            (
                "status --watch",
                "status --watch & sleep 2; kill $!".to_owned(),
            ),
            // The same crowd, in less time.
            (
                "0-200/10s,200/20s,2000/1s,200/10s",
                "0-200/2s,200/2s,2000/1s,200/2s".to_owned(),
            ),
        ];
        Self {
            folder,
            path,
            here: pairs.map(|(there, here)| (there.to_owned(), here)).to_vec(),
            redis: redis.connect(User::Anything).unwrap(),
            proxy,
            _parts: (worker, shop, redis, replica, mariadb, kafka),
            _place: place,
        }
    }

    fn redis<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (command, arguments) = words.split_first().unwrap();
        redis::cmd(command)
            .arg(arguments)
            .query(&mut self.redis)
            .unwrap()
    }

    fn bash(&self, command: &str) -> (bool, String) {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Types it, and where something is to come out, looks until it does: orders are on their way.
    fn run(&self, line: &Line) -> String {
        let mut command = line.command.clone();
        for (there, here) in &self.here {
            command = command.replace(there, here);
        }
        let since = Instant::now();
        loop {
            let (worked, said) = self.bash(&command);
            if worked && shows(&said, &line.good) {
                return said;
            }
            let may_be_late = ["status", "dead list", "reconcile", "curl", "SECKILL.AUDIT"];
            let waits = may_be_late.iter().any(|word| command.contains(word));
            assert!(
                waits && since.elapsed() < PATIENCE,
                "{}\nis to say {:?}, and said:\n{said}",
                line.command,
                line.good
            );
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// The letter about this sale, as soon as it lies there.
    fn letter_of(&self, sid: &str) -> String {
        let list = Line {
            command: "$WORKER dead list".to_owned(),
            good: vec![sid.to_owned()],
        };
        let said = self.run(&list);
        let line = said.lines().find(|line| line.contains(sid)).unwrap();
        let words = line.split_whitespace();
        let id = |word: &&str| {
            word.split_once(':')
                .is_some_and(|(p, _)| p.parse::<u8>().is_ok())
        };
        words.into_iter().find(id).expect(line).to_owned()
    }

    fn run_all(&self, chapter: &str) {
        let lines = lines(chapter);
        assert!(lines.len() > 5, "{lines:?}");
        for line in &lines {
            self.run(line);
        }
    }
}

/// Whether the words are there in their order; `…` stands for anything.
fn shows(said: &str, good: &[String]) -> bool {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = said.as_str();
    good.iter().flat_map(|words| words.split('…')).all(|word| {
        let found = rest.find(word.trim());
        rest = found.and_then(|at| rest.get(at..)).unwrap_or_default();
        found.is_some()
    })
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Everything that there is to type in a chapter.
fn lines(chapter: &str) -> Vec<Line> {
    let start = RUNBOOK.find(&format!("\n## {chapter}\n")).expect(chapter);
    let text = RUNBOOK.get(start + 4..).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let mut lines = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (&mut block, line.starts_with("```")) {
            (None, true) => block = Some(String::new()),
            (Some(_), true) => {
                let script = block.take().unwrap().replace("\\\n", "");
                lines.extend(script.lines().map(|command| Line {
                    command: command.to_owned(),
                    good: Vec::new(),
                }));
            }
            (Some(script), false) => *script += &format!("{line}\n"),
            (None, false) => {
                let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
                let (typed, good) = match cells.as_slice() {
                    [number, command, good] if number.trim().parse::<u8>().is_ok() => {
                        (quoted(command), quoted(good))
                    }
                    _ => (quoted(line), Vec::new()),
                };
                let typed = typed.into_iter().filter(|text| is_typed(text));
                lines.extend(typed.map(|command| Line {
                    command,
                    good: good.clone(),
                }));
            }
        }
    }
    lines
}

fn is_typed(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    PROGRAMS.contains(&first) && words.next().is_some() && !text.contains('…')
}

#[test]
fn every_command_of_the_runbook_does_what_it_says() {
    if !Kafka::or_skip("the commands of the runbook") {
        return;
    }
    let mut shop = Shop::open();
    shop.run_all("Before");

    // The evening: somebody buys, and somebody else has written something into the topic.
    shop.redis::<()>(&["SECKILL.ALTER", "1001", "START", "0", "USERRATE", "0"]);
    let answer = shop.bash(&format!(
        "curl -sS -X POST -H 'X-User-Id: u7' {}/seckill/1001",
        shop.proxy.url()
    ));
    let rid = answer.1.split('"').nth(7).expect(&answer.1).to_owned();
    shop.here.push(("1763800000000-42".to_owned(), rid));
    // Two sales of what nobody has in stock: their news cannot become orders.
    for (there, sid) in [("0:12", "4711"), ("0:13", "4712")] {
        shop.redis::<()>(&["SECKILL.CREATE", sid, "STOCK", "1"]);
        let letter = shop.letter_of(sid);
        shop.here.push((there.to_owned(), letter));
    }
    shop.run_all("During");
    shop.run_all("After");
    assert!(Path::new(&shop.folder).join("sale-1001.tsv").exists());
}
