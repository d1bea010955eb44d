//! Libraries that show a program another world than the one that is there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

/// A library that is loaded before all others, and the file through which a test tells it what to
/// show.
#[derive(Clone, Debug)]
pub(crate) struct Preload {
    pub(crate) library: PathBuf,
    /// What the library reads the file's path from.
    pub(crate) variable: &'static str,
    pub(crate) file: PathBuf,
}

/// Compiles a source into a library in a folder.
pub(crate) fn compile(source: &str, folder: &Path) -> Result<PathBuf> {
    let name = Path::new(source)
        .file_stem()
        .context("a source has a name")?;
    let library = folder.join(name).with_extension("so");
    let mut compile = Command::new(tools::installed("cc")?);
    compile.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]);
    tools::run(compile.arg("-o").arg(&library).arg(source))?;
    Ok(library)
}

/// What a program needs in its environment to see what these libraries show.
pub(crate) fn environment(preloads: &[Preload]) -> Vec<(&'static str, OsString)> {
    if preloads.is_empty() {
        return Vec::new();
    }
    let mut libraries = OsString::new();
    for preload in preloads {
        if !libraries.is_empty() {
            libraries.push(":");
        }
        libraries.push(&preload.library);
    }
    let file = |preload: &Preload| (preload.variable, preload.file.clone().into());
    let mut environment = vec![("LD_PRELOAD", libraries)];
    environment.extend(preloads.iter().map(file));
    environment
}
