//! nginx, to compare with: what a shop has in front of itself today.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::programs::listens;
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(20);

/// Where Debian's packages put what is loaded.
const MODULES: &str = "/usr/lib/nginx/modules";
const LUA: [&str; 2] = ["ndk_http_module.so", "ngx_http_lua_module.so"];

/// An nginx of one process.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    port: Port,
}

impl Nginx {
    /// Starts an nginx on a free port with this in its block `http`, where `LISTEN` stands for the
    /// address. `lua` are files of Lua by their names, for which it has the Lua module.
    ///
    /// # Errors
    /// If it is not installed, does not like the configuration, or does not start.
    pub fn start(place: &Place, http: &str, lua: &[(&str, &str)]) -> Result<Self> {
        let home = place.home("nginx")?;
        let port = home.port("port")?;
        let http = http.replace("LISTEN", &port.address());
        let config = configuration(&http, !lua.is_empty())?;
        for (name, text) in lua.iter().chain([&("nginx.conf", config.as_str())]) {
            fs::write(home.folder.join(name), text)?;
        }
        let arguments = ["-e", "stderr", "-c", "nginx.conf", "-p"].map(OsString::from);
        let plan = Plan {
            program: tools::installed("nginx")?,
            arguments: arguments
                .into_iter()
                .chain([home.folder.clone().into()])
                .collect(),
            home,
            environment: Vec::new(),
            ready_within: START_LIMIT,
            probe: listens(&port),
        };
        Ok(Self {
            process: Process::start(place, plan)?,
            port,
        })
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        self.port.address()
    }
}

/// A master would live on without us, or its worker without it: there is none, and the one process
/// does what a worker does.
fn configuration(http: &str, lua: bool) -> Result<String> {
    let mut text = String::new();
    for module in LUA.iter().filter(|_| lua) {
        let path = Path::new(MODULES).join(module);
        let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
        text.push_str(&format!("load_module {};\n", path.display()));
    }
    text.push_str(&format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 65536;
events {{
    worker_connections 32768;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}}}
"
    ));
    Ok(text)
}

impl Seal for Nginx {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Nginx {}
