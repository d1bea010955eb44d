//! What a machine says of itself.

use serde::{Deserialize, Serialize};
use std::{fmt, fs};

/// Where something was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// How many threads can run at once.
    pub cores: usize,
    /// What else ran when it began: the load average of a minute.
    pub load: f64,
    /// Its version.
    pub kernel: String,
    /// Its model.
    pub processor: String,
}

// === impl Machine ===

impl Machine {
    /// This machine. What it does not say of itself stays empty.
    #[must_use]
    pub fn here() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let load = read("/proc/loadavg");
        let processors = read("/proc/cpuinfo");
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.trim_start_matches([' ', '\t', ':']).to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cores,
            load,
            kernel,
            processor,
        } = self;
        write!(
            f,
            "{cores} cores of {processor}, Linux {kernel}, load {load:.1} before it began"
        )
    }
}
