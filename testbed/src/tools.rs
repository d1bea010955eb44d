//! Where programs, shipped files and caches are.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The folder for what is slow to make and the same each time.
pub(crate) fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    base.or_else(home)
        .unwrap_or_else(env::temp_dir)
        .join("seckill")
}

/// A program or library that this workspace builds, next to the one that is running.
///
/// # Errors
/// If it was not built.
pub fn built(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("SECKILL_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let mut folder = env::current_exe().context("where is the running program?")?;
            folder.pop();
            // Tests run from a folder of their own below the one of the programs.
            if folder.ends_with("deps") {
                folder.pop();
            }
            folder
        }
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "{} is missing: run `make build` (and tests with --release), or set SECKILL_BIN_DIR",
            path.display()
        );
    }
    Ok(path)
}

/// A server or tool that the system provides. Servers live where not everybody's `PATH` leads.
pub(crate) fn installed(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not installed: run `make setup`"))
}

/// The Redis to test with: the one at the path in `REDIS_SERVER`, or the system's.
pub(crate) fn redis_server() -> Result<PathBuf> {
    match env::var_os("REDIS_SERVER") {
        Some(path) => redis_server_at(&path),
        None => installed("redis-server"),
    }
}

fn redis_server_at(path: &OsStr) -> Result<PathBuf> {
    // A server is started in a folder of its own. A link stays one: what a server is called says
    // to some of them what they are.
    let path = path::absolute(path).context("REDIS_SERVER is empty")?;
    ensure!(
        path.is_file(),
        "REDIS_SERVER is {}, which is no file",
        path.display()
    );
    Ok(path)
}

/// The text of a file that ships in `conf/`.
pub(crate) fn shipped(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("conf")
        .join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs a program to its end and returns what it wrote; anything but success is an error with that
/// text in it.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(OsStr::new("program"));
    let name = name.to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {name}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name} ended with {}:\n{stdout}{stderr}", output.status);
    }
    Ok(format!("{stdout}{stderr}"))
}

/// Takes from a command the variables that would change its settings behind a test's back.
pub(crate) fn without_our_variables(command: &mut Command) {
    command
        .env_remove("SECKILL_REDIS_URL")
        .env_remove("SECKILL_MYSQL_URL");
}

/// 128 random bits as text, for a password.
pub(crate) fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_server_that_is_no_file_is_named() {
        for (path, expected) in [("/no/such/server", "/no/such/server"), ("", "empty")] {
            let error = redis_server_at(OsStr::new(path)).unwrap_err().to_string();
            assert!(error.contains("REDIS_SERVER is"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
