//! Pages of the admin port.

use seckill_testbed::Worker;
use std::io::{Read, Write};
use std::net::TcpStream;

/// An answer.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn get(worker: &Worker, path: &str) -> Page {
    ask(worker, "GET", path, "")
}

pub(crate) fn put(worker: &Worker, path: &str, body: &str) -> Page {
    ask(worker, "PUT", path, body)
}

fn ask(worker: &Worker, method: &str, path: &str, body: &str) -> Page {
    let address = worker.admin_address();
    let mut stream = TcpStream::connect(&address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = body.to_owned();
    Page { status, body }
}

/// The codes of the reasons for which it is not ready.
pub(crate) fn reasons(worker: &Worker) -> Vec<String> {
    let Page { status, body } = get(worker, "/readyz");
    let page: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["ready"], status == 200, "{page}");
    let reasons = page["reasons"].as_array().unwrap().iter();
    reasons
        .map(|reason| {
            assert!(reason["detail"].is_string(), "{page}");
            reason["code"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// A figure by its name, without `seckill_worker_` and with its labels.
pub(crate) fn figure(worker: &Worker, name: &str) -> Option<f64> {
    let page = get(worker, "/metrics").body;
    let start = format!("seckill_worker_{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.map(|value| value.parse().unwrap())
}
