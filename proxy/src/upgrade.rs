//! One program in the place of another without a moment in which nobody listens.
//!
//! The new process asks the old one, over a socket in a folder that only their user can enter, for the
//! listening sockets themselves. It says when it serves, and only then the old one leaves; if it never
//! does, nothing has happened. Connections that wait to be accepted belong to the listening socket and
//! not to a process, so that none of them is lost: two processes that each listen on a socket of their
//! own (`SO_REUSEPORT`) would lose those that wait at the one that goes.

use crate::sockets::{Socket, Sockets};
use anyhow::{Context, bail, ensure};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use serde::Deserialize;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// What the message with the sockets begins with; what follows is their addresses, a line each.
const GREETING: &str = "seckill-proxy upgrade 1";

/// The new process serves.
const SERVING: &[u8] = b"serving\n";

/// The old process has heard it.
const LEAVING: &[u8] = b"leaving\n";

/// More listening sockets than a proxy has, and more bytes than their addresses.
const SOCKETS_MAX: usize = 16;
const BYTES_MAX: usize = 2048;

/// How long the old process waits for the new one to serve, and the new one for each word.
const START_PATIENCE: Duration = Duration::from_secs(30);
const WORD_PATIENCE: Duration = Duration::from_secs(5);

/// `[upgrade]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpgradeTable {
    socket: PathBuf,
}

/// What the new process was given, and whom to tell that it serves.
pub(crate) struct Inheritance {
    old: UnixStream,
    sockets: Vec<Socket>,
}

/// Checks the table.
///
/// # Errors
/// The path is not one that says by itself where it is.
pub(crate) fn socket(table: &UpgradeTable) -> Result<PathBuf, String> {
    let path = &table.socket;
    if path.is_absolute() && path.parent().is_some() {
        Ok(path.clone())
    } else {
        Err(format!(
            "upgrade.socket: expected an absolute path, for example \"/run/seckill/upgrade.sock\", not {:?}",
            path.display().to_string()
        ))
    }
}

/// Says whether a start would find the folder of `path` in order, or could make it. Root may look
/// for the service's own user, whose name it does not know (`DynamicUser=` in the unit).
///
/// # Errors
/// The folder is another user's, or others may enter it.
pub(crate) fn check_folder(path: &Path) -> anyhow::Result<()> {
    let folder = folder_of(path)?;
    if !geteuid().is_root() {
        return make_folder(path);
    }
    if folder.exists() {
        let found = look_at(folder)?;
        ensure!(is_closed(&found), not_private(folder));
    }
    Ok(())
}

/// Whoever can connect gets the shop's door: makes sure that this is only the own user.
///
/// # Errors
/// The folder of `path` is another user's, or others may enter it.
fn make_folder(path: &Path) -> anyhow::Result<()> {
    let folder = folder_of(path)?;
    if !folder.exists() {
        let shown = folder.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("upgrade.socket: cannot make the folder {shown}"))?;
    }
    let found = look_at(folder)?;
    let ours = found.uid() == geteuid().as_raw();
    ensure!(ours && is_closed(&found), not_private(folder));
    Ok(())
}

fn folder_of(path: &Path) -> anyhow::Result<&Path> {
    path.parent().context("upgrade.socket: has no folder")
}

fn look_at(folder: &Path) -> anyhow::Result<Metadata> {
    let shown = folder.display();
    fs::metadata(folder)
        .with_context(|| format!("upgrade.socket: cannot look at the folder {shown}"))
}

/// Whether nobody but its user can enter a folder.
fn is_closed(folder: &Metadata) -> bool {
    folder.mode() & 0o077 == 0
}

fn not_private(folder: &Path) -> String {
    let shown = folder.display();
    format!(
        "upgrade.socket: expected a folder of this user's that nobody else can enter (chmod 700), which {shown} is not"
    )
}

/// Hands `sockets` to whoever may have them and asks at `path`, from a thread of its own, until one
/// has told that it serves; then `replaced` is told.
///
/// # Errors
/// Nobody can be listened to at `path`.
pub(crate) fn offer(
    path: &Path,
    sockets: Arc<Sockets>,
    replaced: Arc<Notify>,
) -> anyhow::Result<()> {
    make_folder(path)?;
    // The old process listens there until it leaves: its socket is put aside in one step.
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)
        .and_then(|listener| fs::rename(&fresh, path).map(|()| listener))
        .with_context(|| format!("upgrade.socket: cannot listen at {}", path.display()))?;
    std::thread::Builder::new()
        .name("upgrade".to_owned())
        .spawn(move || {
            for asked in listener.incoming() {
                match asked
                    .map_err(Into::into)
                    .and_then(|new| hand_over(&new, &sockets))
                {
                    Ok(pid) => {
                        info!(pid, "another process serves now; this one leaves");
                        replaced.notify_one();
                        return;
                    }
                    Err(error) => {
                        warn!("an upgrade did not come about, and this process stays: {error:#}");
                    }
                }
            }
        })?;
    Ok(())
}

/// Hands the sockets over, and returns the pid of whoever serves with them.
fn hand_over(new: &UnixStream, sockets: &Sockets) -> anyhow::Result<i32> {
    let who = socket_peercred(new)?;
    ensure!(
        who.uid == geteuid() || who.uid.is_root(),
        "user {} asked for the sockets",
        who.uid.as_raw()
    );
    new.set_write_timeout(Some(WORD_PATIENCE))?;
    new.set_read_timeout(Some(START_PATIENCE))?;
    let all = sockets.copies()?;
    ensure!(
        !all.is_empty() && all.len() <= SOCKETS_MAX,
        "there are {} sockets to hand over",
        all.len()
    );
    let mut text = GREETING.to_owned();
    for (name, _) in &all {
        text.push('\n');
        text.push_str(name);
    }
    let fds: Vec<_> = all.iter().map(|(_, listener)| listener.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = sendmsg(
        new,
        &[IoSlice::new(text.as_bytes())],
        &mut rights,
        SendFlags::NOSIGNAL,
    )?;
    ensure!(sent == text.len(), "the list of sockets is too long");
    hear(new, SERVING).context("the new process does not serve")?;
    // From here on the new process counts on it.
    let mut new = new;
    if let Err(error) = new.write_all(LEAVING) {
        warn!("the new process serves, and did not wait for the answer: {error}");
    }
    Ok(who.pid.as_raw_nonzero().get())
}

fn hear(from: &UnixStream, word: &[u8]) -> io::Result<()> {
    let mut heard = vec![0; word.len()];
    let mut from = from;
    from.read_exact(&mut heard)?;
    if heard == word {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

// === impl Inheritance ===

impl Inheritance {
    /// Asks the process that listens at `path` for its sockets.
    ///
    /// # Errors
    /// Nobody is there, or not somebody to take anything from.
    pub(crate) fn ask(path: &Path) -> anyhow::Result<Self> {
        make_folder(path)?;
        let shown = path.display();
        let old = UnixStream::connect(path).with_context(|| {
            format!("--upgrade: no proxy answers at {shown}, so that there is none to replace; start without --upgrade")
        })?;
        old.set_read_timeout(Some(WORD_PATIENCE))?;
        let sockets = receive(&old).with_context(|| format!("--upgrade: {shown}"))?;
        Ok(Self { old, sockets })
    }

    /// The sockets, once.
    pub(crate) fn take(&mut self) -> Vec<Socket> {
        std::mem::take(&mut self.sockets)
    }

    /// Tells the old process that this one serves.
    pub(crate) fn serves(&self) {
        let mut old = &self.old;
        let told = old.write_all(SERVING).and_then(|()| hear(old, LEAVING));
        match told {
            Ok(()) => info!("the process from before leaves"),
            Err(error) => warn!(
                "the process from before does not say that it leaves ({error}): see whether it runs"
            ),
        }
    }
}

fn receive(old: &UnixStream) -> anyhow::Result<Vec<Socket>> {
    let mut bytes = [0; BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        old,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut rights,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            fds.extend(all);
        }
    }
    let text = bytes.get(..received.bytes).unwrap_or_default();
    let mut lines = std::str::from_utf8(text)?.lines();
    let greeting = lines.next().unwrap_or_default();
    if greeting != GREETING {
        bail!("expected {GREETING:?} from the old process, not {greeting:?}");
    }
    let names: Vec<&str> = lines.collect();
    ensure!(
        names.len() == fds.len(),
        "got {} sockets for {} addresses",
        fds.len(),
        names.len()
    );
    let named = names.into_iter().map(str::to_owned);
    Ok(named.zip(fds.into_iter().map(TcpListener::from)).collect())
}
