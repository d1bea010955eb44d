//! A shop that browsers can buy from, and the proxy before it: they share the keys of `docs/shop.md`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::{Table, Value};

use crate::place::Place;
use crate::programs::{Proxy, SampleShop};
use crate::settings::Settings;
use crate::tools;

/// What the shop and its proxy share: who buys, who has granted it, who says that it is paid for.
const KEYS: [&str; 3] = ["buyer", "signing", "callback"];

/// A shop whose buyers have a cookie that it has signed, behind a proxy with `/seckill/{sid}` in mode
/// `queue` and `/checkout/{sid}` in mode `forward`.
#[derive(Debug)]
pub struct Storefront {
    /// The shop.
    pub shop: SampleShop,
    /// Where browsers go.
    pub proxy: Proxy,
}

// === impl Storefront ===

impl Storefront {
    /// Starts both. The settings say which Redis decides; its shop, its routes and who buys are set
    /// here.
    ///
    /// # Errors
    /// If one was not built or does not start.
    pub fn start(place: &Place, settings: &Settings) -> Result<Self> {
        let reserved = Proxy::reserve(place, "page")?;
        let keys = keys(reserved.folder())?;
        let shop = SampleShop::start_behind(place, &reserved.address(), &keys)?;
        let settings = settings
            .clone()
            .with("shop.upstream", shop.address())
            .with("shop.signing", signing(&keys))
            .with("shop.callback", keyring(&keys, "callback"))
            .with("buyer", cookie(&keys))
            .with(
                "route",
                vec![route("seckill", "queue"), route("checkout", "forward")],
            );
        let proxy = reserved.start(place, &settings)?;
        Ok(Self { shop, proxy })
    }
}

/// The folder with the keys, each made once.
fn keys(folder: &Path) -> Result<PathBuf> {
    let keys = folder.join("keys");
    fs::create_dir_all(&keys)?;
    for name in KEYS {
        let file = keys.join(name);
        if !file.exists() {
            fs::write(file, tools::random_password()?)?;
        }
    }
    Ok(keys)
}

fn keyring(keys: &Path, name: &str) -> Table {
    let file = keys.join(name).display().to_string();
    let source = Table::from_iter([("file".to_owned(), Value::from(file))]);
    let ring = Table::from_iter([("k1".to_owned(), Value::from(source))]);
    Table::from_iter([("keys".to_owned(), Value::from(ring))])
}

fn signing(keys: &Path) -> Table {
    let mut table = keyring(keys, "signing");
    table.insert("by".to_owned(), "k1".into());
    table
}

fn cookie(keys: &Path) -> Table {
    let cookie = keyring(keys, "buyer");
    Table::from_iter([
        ("from".to_owned(), Value::from("cookie")),
        ("cookie".to_owned(), Value::from(cookie)),
    ])
}

fn route(name: &str, mode: &str) -> Table {
    Table::from_iter([
        ("path".to_owned(), Value::from(format!("/{name}/{{sid}}"))),
        ("mode".to_owned(), Value::from(mode)),
        ("show_units".to_owned(), Value::from(true)),
    ])
}
