//! One process in the place of another, as docs/operate-proxy.md says it is done.

use crate::process::signal;
use crate::stand::{Client, Stand, eventually, get, post};
use seckill_testbed::{Part, Settings};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A folder for the socket, shorter than the names of such sockets may be.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("seckill-up-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("upgrade.sock")
    }

    fn switch_on(&self, settings: Settings) -> Settings {
        settings.with("upgrade.socket", self.socket().to_str().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that replaces the stand's.
struct Next {
    child: Child,
    log: PathBuf,
}

impl Next {
    fn start(stand: &Stand, number: usize) -> Self {
        Self::start_with(stand, number, None)
    }

    /// Tells what it does at `notify`, as it would tell systemd.
    fn start_with(stand: &Stand, number: usize, notify: Option<&Path>) -> Self {
        let folder = stand.proxy.log().parent().unwrap().to_owned();
        let log = folder.join(format!("next-{number}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_seckill-proxy"))
            .env_remove("SECKILL_REDIS_URL")
            .envs(notify.map(|socket| ("NOTIFY_SOCKET", socket)))
            .arg("--config")
            .arg(folder.join("proxy.toml"))
            .arg("--upgrade")
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who asks again and again, each time on a new connection or always on the same for as long
/// as it is kept; every answer has to be a rejection.
fn ask_on(address: &str, keeps: bool, stop: &AtomicBool, asked: &AtomicU64) {
    let request = post("/seckill/empty", "u7");
    let mut kept: Option<Client> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut client = kept.take().unwrap_or_else(|| Client::connect(address));
        let answer = client.ask(&request);
        assert_eq!(answer.status, 410);
        asked.fetch_add(1, Ordering::Relaxed);
        if keeps && answer.header("connection") == Some("keep-alive") {
            kept = Some(client);
        }
    }
}

#[test]
fn two_upgrades_refuse_nobody_fail_nobody_and_cut_nothing_off() {
    let folder = Folder::new("twice");
    let mut stand = Stand::start_with("upgrade", "forward confirm", |s| folder.switch_on(s));
    stand.create("empty", &["STOCK", "0"]);
    stand.create("1001", &["STOCK", "10"]);
    let address = stand.proxy.address();
    let admin = stand.proxy.admin_address();
    let stop = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let mut nexts: Vec<Next> = Vec::new();
    thread::scope(|scope| {
        let all: Vec<_> = [false, false, true, true]
            .into_iter()
            .map(|keeps| {
                let (address, stop, asked) = (&address, &stop, &asked);
                scope.spawn(move || ask_on(address, keeps, stop, asked))
            })
            .collect();
        for number in 0..2 {
            let mut buyer = Client::connect(&address);
            let uid = format!("buyer{number}");
            buyer.send(&post("/seckill/1001?delay_ms=4000", &uid));
            eventually("accepted", || stand.info("1001", "held") == "1");
            let before = asked.load(Ordering::Relaxed);
            nexts.push(Next::start(&stand, number));
            eventually("the old one is gone", || {
                match nexts.get_mut(number.wrapping_sub(1)) {
                    Some(old) => old.ended().is_some_and(|status| status.success()),
                    None => !stand.proxy.is_running(),
                }
            });
            assert!(asked.load(Ordering::Relaxed) > before);
            let bought = buyer.read();
            assert_eq!(bought.status, 201);
            assert!(buyer.is_closed());
            assert!(
                !all.iter().any(thread::ScopedJoinHandle::is_finished),
                "somebody failed"
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(stand.info("1001", "sold"), "2");
    // What the last one serves, it serves alone, and its counters can be read.
    assert_eq!(stand.buy("empty", "u8").status, 410);
    let ready = Client::connect(&admin).ask(&get("/readyz", ""));
    assert_eq!(ready.status, 200);
    let log = nexts[1].log();
    assert!(log.contains("the process from before leaves"), "{log}");
}

/// A process that somebody else started.
struct Foreign(String);

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.0]).status();
    }
}

#[test]
fn sigusr2_replaces_the_process_within_its_service_and_systemd_hears_of_the_new_one() {
    let folder = Folder::new("usr2");
    let mut stand = Stand::start_with("usr2", "queue", |s| folder.switch_on(s));
    stand.create("empty", &["STOCK", "0"]);
    let socket = folder.0.join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let hear = || {
        let mut bytes = [0; 4096];
        let length = systemd.recv(&mut bytes).expect("a word to systemd");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut first = Next::start_with(&stand, 1, Some(&socket));
    let pid = first.child.id().to_string();
    assert_eq!(hear(), format!("MAINPID={pid}\nREADY=1\n"));
    eventually("the stand's own is gone", || !stand.proxy.is_running());

    let kill = |name: &str, pid: &str| Command::new("kill").args([name, pid]).status();
    assert!(kill("-USR2", &pid).unwrap().success());
    let heard = hear();
    let second = heard
        .strip_prefix("MAINPID=")
        .and_then(|rest| rest.strip_suffix("\nREADY=1\n"));
    let second = Foreign(second.expect(&heard).to_owned());
    assert_ne!(second.0, pid);
    eventually("the first one is gone", || {
        first.ended().is_some_and(|status| status.success())
    });
    assert_eq!(stand.buy("empty", "u7").status, 410);

    // The one that was replaced has said nothing of an end; the one that serves does.
    assert!(kill("-TERM", &second.0).unwrap().success());
    assert_eq!(hear(), "STOPPING=1\n");
}

#[test]
fn sigusr2_without_a_socket_to_hand_over_changes_nothing() {
    let stand = Stand::start("usr2-no-socket", "queue");
    stand.create("empty", &["STOCK", "0"]);
    signal(&stand, "-USR2");
    eventually("it is said", || {
        let log = fs::read_to_string(stand.proxy.log()).unwrap();
        log.contains("SIGUSR2: the configuration has no upgrade.socket")
    });
    assert_eq!(stand.buy("empty", "u7").status, 410);
}

#[test]
fn an_upgrade_that_fails_changes_nothing() {
    let folder = Folder::new("fails");
    let mut stand = Stand::start_with("upgrade-fails", "queue", |s| folder.switch_on(s));
    stand.create("1001", &["STOCK", "0"]);
    let mut kept = stand.client();
    let mut still_there = |stand: &mut Stand| {
        assert_eq!(kept.ask(&post("/seckill/1001", "u7")).status, 410);
        assert_eq!(stand.buy("1001", "u8").status, 410);
        assert!(stand.proxy.is_running());
    };
    // A process that takes the sockets and dies, and one that says something else.
    for said in ["", "other words\n"] {
        let mut new = UnixStream::connect(folder.socket()).unwrap();
        let mut greeting = [0; 7];
        new.read_exact(&mut greeting).unwrap();
        new.write_all(said.as_bytes()).unwrap();
        drop(new);
        still_there(&mut stand);
    }
    eventually("it is told", || {
        stand.log().matches("an upgrade did not come about").count() == 2
    });
    // One whose configuration is wrong does not even ask.
    let config = stand.proxy.log().parent().unwrap().join("proxy.toml");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("\"queue\"", "\"quick\"")).unwrap();
    let mut next = Next::start(&stand, 0);
    eventually("it ends", || next.ended().is_some());
    assert!(next.log().contains("mode: expected"), "{}", next.log());
    still_there(&mut stand);
    // And one that is right comes after all.
    fs::write(&config, good).unwrap();
    let _next = Next::start(&stand, 1);
    eventually("replaced", || !stand.proxy.is_running());
    assert_eq!(stand.buy("1001", "u8").status, 410);
}

#[test]
fn there_has_to_be_somebody_to_replace() {
    let folder = Folder::new("nobody");
    let mut stand = Stand::start_with("upgrade-nobody", "queue", |s| folder.switch_on(s));
    stand.proxy.stop().unwrap();
    let mut next = Next::start(&stand, 0);
    eventually("it ends", || next.ended().is_some());
    let log = next.log();
    assert!(log.contains("start without --upgrade"), "{log}");
    // The old socket is in nobody's way.
    stand.proxy.restart().unwrap();
    let _next = Next::start(&stand, 1);
    eventually("replaced", || !stand.proxy.is_running());
}

#[test]
fn only_the_own_user_can_ask_for_the_sockets() {
    let folder = Folder::new("mode");
    let stand = Stand::start_with("upgrade-mode", "queue", |s| folder.switch_on(s));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0), 0o700);
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    let output = check(&stand);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("upgrade.socket: expected a folder"), "{said}");
    assert!(said.contains("proxy.toml:"), "{said}");
}

/// The service has a user of its own, and whoever types the check has another one.
#[test]
fn root_can_check_for_the_user_of_the_service() {
    let folder = Folder::new("root");
    let stand = Stand::start_with("upgrade-root", "queue", |s| folder.switch_on(s));
    let nobody = Some(65_534);
    if chown(&folder.0, nobody, nobody).is_err() {
        return; // Who is not root does not check for others.
    }
    assert!(check(&stand).status.success());
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!check(&stand).status.success());
    // systemd makes it at the start, and a check leaves nothing in its way.
    fs::remove_dir_all(&folder.0).unwrap();
    assert!(check(&stand).status.success());
    assert!(!folder.0.exists());
}

fn check(stand: &Stand) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seckill-proxy"))
        .env_remove("SECKILL_REDIS_URL")
        .arg("--config")
        .arg(stand.proxy.log().parent().unwrap().join("proxy.toml"))
        .arg("--test")
        .output()
        .unwrap()
}

#[test]
fn a_newcomer_at_the_last_moment_is_still_served() {
    let folder = Folder::new("newcomer");
    let mut stand = Stand::start_with("upgrade-newcomer", "queue", |s| folder.switch_on(s));
    stand.create("1001", &["STOCK", "0"]);
    // Somebody who has connected, and asks when the old process is closing.
    let mut connected = TcpStream::connect(stand.proxy.address()).unwrap();
    thread::sleep(Duration::from_millis(100));
    let since = Instant::now();
    signal(&stand, "-QUIT");
    thread::sleep(Duration::from_millis(300));
    connected
        .write_all(post("/seckill/1001", "u7").as_bytes())
        .unwrap();
    let mut answer = String::new();
    connected.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 410"), "{answer}");
    eventually("the end", || !stand.proxy.is_running());
    assert!(since.elapsed() < Duration::from_secs(4));
}
