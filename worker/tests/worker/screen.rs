//! The dashboard as a browser asks it.

use crate::shop::{Shop, await_true};
use seckill_testbed::{Settings, Worker};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;

/// What opens it.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Somebody at the dashboard of a worker.
pub(crate) struct Screen {
    pub(crate) address: String,
    pub(crate) cookie: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By their names in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// The settings of a shop whose worker has a dashboard.
pub(crate) fn with_token(shop: &Shop) -> Settings {
    let path = shop.place.path().join("dashboard-token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let mut file = toml::Table::new();
    file.insert("file".to_owned(), path.display().to_string().into());
    shop.settings.clone().with("admin.token", file)
}

// === impl Screen ===

impl Screen {
    /// Nobody yet.
    pub(crate) fn of(worker: &Worker) -> Self {
        Self {
            address: worker.admin_address(),
            cookie: None,
        }
    }

    /// Alice, who has the token.
    pub(crate) fn open(worker: &Worker) -> Self {
        let mut screen = Self::of(worker);
        let entered = screen.login("Alice", TOKEN);
        assert_eq!(entered.status, 200, "{entered:?}");
        screen.cookie = Some(entered.cookie());
        await_true("the first look is over", || screen.get("now").status == 200);
        screen
    }

    pub(crate) fn login(&self, name: &str, token: &str) -> Answer {
        let body = serde_json::json!({ "name": name, "token": token });
        self.post("login", &body.to_string())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("/api/{path}"), &[], "")
    }

    /// As the page itself asks.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let headers = [
            ("content-type", "application/json"),
            ("seckill-dashboard", "1"),
            ("origin", &origin),
            ("sec-fetch-site", "same-origin"),
        ];
        self.ask("POST", &format!("/api/{path}"), &headers, body)
    }

    /// What somebody does to a sale.
    pub(crate) fn act(&self, sid: &str, body: &str) -> Answer {
        self.post(&format!("sales/{sid}/act"), body)
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Cookie: other=1; {cookie}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // A body may be compressed: then nobody reads it here.
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status: status.parse().unwrap(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    /// A sale, as it was seen last.
    pub(crate) fn sale(&self, sid: &str) -> Value {
        let now = self.get("now").json();
        let sales = now["sales"].as_array().unwrap();
        let sale = sales.iter().find(|sale| sale["sid"] == sid);
        sale.cloned().unwrap_or_default()
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let body = serde_json::from_str(&self.body);
        body.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Name and value of the cookie that it sets.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.headers["set-cookie"].split(';').next();
        cookie.unwrap().to_owned()
    }
}
