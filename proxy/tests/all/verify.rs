//! What the shop is told is signed, and the code of `docs/verify.md` tells it from what is forged.

use crate::stand::{Response, Stand, eventually, request};
use seckill_testbed::{Part, Place};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use toml::Table;

const TEXT: &str = include_str!("../../../docs/verify.md");
const PHP: &str = include_str!("../../../docs/verify/verify.php");
const NODE: &str = include_str!("../../../docs/verify/verify.js");
const PYTHON: &str = include_str!("../../../docs/verify/verify.py");
const JAVA: &str = include_str!("../../../docs/verify/Verify.java");

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

/// Each reads requests from its standard input: the shop's time, method, target and headers, a line
/// each, with an empty line after the last. Each answers with a line a request. Characters are
/// bytes, as they are in the servers that these languages have.
const PHP_MAIN: &str = r#"
require $argv[1];
foreach (explode("\n\n", trim(stream_get_contents(STDIN))) as $block) {
    $lines = explode("\n", $block);
    [$now, $method, $target] = array_splice($lines, 0, 3);
    $server = ['REQUEST_METHOD' => $method, 'REQUEST_URI' => $target];
    foreach ($lines as $line) {
        [$name, $value] = explode(': ', $line, 2);
        $server['HTTP_' . strtoupper(strtr($name, '-', '_'))] = $value;
    }
    echo json_encode(seckill_verify($server, ['k1' => $argv[2], 'k2' => $argv[3]], (int) $now)), "\n";
}
"#;

const NODE_MAIN: &str = r"
const { verify } = require(process.argv[1]);
const keys = new Map([['k1', process.argv[2]], ['k2', process.argv[3]]]);
for (const block of require('fs').readFileSync(0, 'latin1').trim().split('\n\n')) {
  const [now, method, target, ...lines] = block.split('\n');
  const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s, 2)));
  console.log(verify(method, target, headers, keys, Number(now)));
}
";

const PYTHON_MAIN: &str = r"
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from verify import verify
keys = {'k1': sys.argv[2].encode(), 'k2': sys.argv[3].encode()}
for block in sys.stdin.buffer.read().decode('latin-1').strip().split('\n\n'):
    now, method, target, *lines = block.split('\n')
    headers = dict(line.split(': ', 1) for line in lines)
    print(str(verify(method, target, headers, keys, int(now))).lower())
";

const JAVA_MAIN: &str = r#"
class Main {
    public static void main(String[] arguments) throws Exception {
        var keys = Map.of("k1", arguments[0].getBytes(), "k2", arguments[1].getBytes());
        var all = new String(System.in.readAllBytes(), StandardCharsets.ISO_8859_1).trim();
        for (String block : all.split("\n\n")) {
            String[] lines = block.split("\n");
            var headers = new java.util.TreeMap<String, String>(String.CASE_INSENSITIVE_ORDER);
            for (int at = 3; at < lines.length; at++) {
                headers.put(lines[at].split(": ", 2)[0], lines[at].split(": ", 2)[1]);
            }
            System.out.println(Verify.verify(
                    lines[1], lines[2], headers::get, keys, Long.parseLong(lines[0])));
        }
    }
}
"#;

/// A request as a shop gets it.
#[derive(Clone)]
struct Got {
    now: i64,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Got {
    /// What the sample shop says that it got.
    fn by_shop(answer: &Response) -> Self {
        assert_eq!(answer.status, 201, "{answer:?}");
        let seen = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let Value::Object(told) = &seen["told"] else {
            panic!("{seen}")
        };
        let headers: Vec<_> = told
            .iter()
            .map(|(name, values)| {
                assert_eq!(values.as_array().unwrap().len(), 1, "{name}");
                (name.clone(), text(&values[0]))
            })
            .collect();
        let mut got = Self {
            now: 0,
            method: text(&seen["method"]),
            target: text(&seen["target"]),
            headers,
        };
        got.now = got.header("seckill-timestamp").parse().unwrap();
        got
    }

    fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(own, _)| own == name);
        &header.unwrap_or_else(|| panic!("no {name}")).1
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut got = self.without(name);
        got.headers.push((name.to_owned(), value.to_owned()));
        got
    }

    fn without(&self, name: &str) -> Self {
        let mut got = self.clone();
        got.headers.retain(|(own, _)| own != name);
        got
    }

    fn at(&self, seconds: i64) -> Self {
        Self {
            now: self.now + seconds,
            ..self.clone()
        }
    }
}

fn is_there(program: &str, arguments: &[&str], sign: &str) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| {
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains(sign)
        })
}

/// What the code of each language that is on this machine says of the requests.
fn verdicts(folder: &Path, requests: &[Got]) -> Vec<(&'static str, Vec<bool>)> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (php, js, py) = (
        file("verify.php", PHP),
        file("verify.js", NODE),
        file("verify.py", PYTHON),
    );
    // The launcher of single files starts the first class of its file.
    let (imports, class): (Vec<&str>, Vec<&str>) =
        JAVA.lines().partition(|line| line.starts_with("import "));
    let java = format!("{}\n{JAVA_MAIN}\n{}", imports.join("\n"), class.join("\n"));
    let java = file("Main.java", &java);
    let languages = [
        (
            "php",
            is_there("php", &["-r", "echo 7;"], "7"),
            vec!["-r", PHP_MAIN, "--", &php],
        ),
        (
            "node",
            is_there("node", &["--version"], "v"),
            vec!["-e", NODE_MAIN, &js],
        ),
        (
            "python3",
            is_there("python3", &["--version"], "Python 3"),
            vec!["-B", "-c", PYTHON_MAIN, &py],
        ),
        (
            "java",
            is_there("java", &["--list-modules"], "jdk.compiler"),
            vec![&java],
        ),
    ];
    let mut all = Vec::new();
    for (program, there, arguments) in languages {
        if there {
            all.push((program, ask(program, &arguments, requests)));
        } else {
            // Past the test's own captured output, so that it is seen.
            let mut stderr = std::io::stderr();
            writeln!(
                stderr,
                "skipped: docs/verify in {program}: it is not on this machine"
            )
            .unwrap();
        }
    }
    all
}

fn ask(program: &str, arguments: &[&str], requests: &[Got]) -> Vec<bool> {
    let mut input = String::new();
    for Got {
        now,
        method,
        target,
        headers,
    } in requests
    {
        input.push_str(&format!("{now}\n{method}\n{target}\n"));
        for (name, value) in headers {
            input.push_str(&format!("{name}: {value}\n"));
        }
        input.push('\n');
    }
    let mut child = Command::new(program)
        .args(arguments)
        .args([SECRET, OTHER_SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect()
}

fn stand(name: &str, folder: &Path, by: &str) -> Stand {
    let key = |name: &str, secret: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("{secret}\n")).unwrap();
        format!("{name} = {{ file = '{}' }}", path.display())
    };
    let signing = format!(
        "by = '{by}'\n[keys]\n{}\n{}",
        key("k1", SECRET),
        key("k2", OTHER_SECRET)
    );
    let signing: Table = signing.parse().unwrap();
    let stand = Stand::start_with(name, "forward confirm", |settings| {
        settings.with("shop.signing", signing.clone())
    });
    stand.create("1001", &["STOCK", "100", "LIMIT", "0"]);
    stand
}

fn buy(stand: &Stand, target: &str, uid: &str, more: &[(&str, &str)]) -> Response {
    let headers = [&[("X-User-Id", uid)], more].concat();
    stand.client().ask(&request("POST", target, &headers, ""))
}

#[test]
fn the_published_code_takes_what_the_proxy_signed_and_nothing_that_is_forged() {
    let place = Place::temporary("verify").unwrap();
    let stand = stand("signed", place.path(), "k1");
    let got = Got::by_shop(&buy(
        &stand,
        "/seckill/1001?qty=2&from=%2Fa",
        "Žofie 7",
        &[],
    ));
    assert_eq!(got.header("seckill-user"), "Žofie 7");
    assert_eq!(got.target, "/seckill/1001?qty=2&from=%2Fa");
    let plain = Got::by_shop(&buy(&stand, "/seckill/1001", "u7", &[]));
    let whole = Got::by_shop(&buy(
        &stand,
        "http://shop.test/seckill/1001?qty=3",
        "u7",
        &[],
    ));
    assert_eq!(whole.target, "/seckill/1001?qty=3");
    let forging = [
        ("Seckill-Signature", "v1=k1:00"),
        ("Seckill_Timestamp", "1"),
        (
            "Connection",
            "Seckill-Signature, Seckill-Timestamp, Seckill-User",
        ),
    ];
    let tried = Got::by_shop(&buy(&stand, "/seckill/1001", "u7", &forging));

    let signature = got.header("seckill-signature").to_owned();
    assert!(signature.starts_with("v1=k1:"), "{signature}");
    let mac = signature.strip_prefix("v1=k1:").unwrap();
    let flipped = if mac.starts_with('0') { "1" } else { "0" };
    let mut requests = vec![
        (true, got.clone()),
        (true, plain),
        (true, whole),
        (true, tried),
        (true, got.at(300)),
        (true, got.at(-300)),
        (false, got.at(301)),
        (false, got.at(-301)),
        (false, got.without("seckill-signature")),
        (false, got.without("seckill-timestamp")),
        (false, got.without("seckill-user")),
        (
            false,
            Got {
                method: "PUT".to_owned(),
                ..got.clone()
            },
        ),
        (
            false,
            Got {
                target: "/seckill/1001?qty=3".to_owned(),
                ..got.clone()
            },
        ),
    ];
    for (name, value) in [
        ("seckill-sale", "1002"),
        ("seckill-user", "mallory"),
        ("seckill-reservation", "1-1"),
        ("seckill-quantity", "99"),
        ("seckill-timestamp", "soon"),
        ("seckill-timestamp", ""),
        ("seckill-signature", ""),
        ("seckill-signature", mac),
        ("seckill-signature", &format!("v1={mac}")),
        ("seckill-signature", &format!("v2=k1:{mac}")),
        ("seckill-signature", &format!("v1=k2:{mac}")),
        ("seckill-signature", &format!("v1=k3:{mac}")),
        ("seckill-signature", &format!("v1=constructor:{mac}")),
        (
            "seckill-signature",
            &format!("v1=k1:{flipped}{}", &mac[1..]),
        ),
        ("seckill-signature", &format!("v1=k1:{}", &mac[..62])),
        ("seckill-signature", "v1=k1:"),
        ("seckill-signature", "v1=k1:ž"),
    ] {
        requests.push((false, got.with(name, value)));
    }
    let (expected, requests): (Vec<bool>, Vec<Got>) = requests.into_iter().unzip();
    for (language, verdicts) in verdicts(place.path(), &requests) {
        assert_eq!(verdicts, expected, "{language}");
    }
}

#[test]
fn the_text_shows_the_code_that_is_tested() {
    for (language, code) in [
        ("php", PHP),
        ("js", NODE),
        ("python", PYTHON),
        ("java", JAVA),
    ] {
        assert!(
            TEXT.contains(&format!("```{language}\n{code}```\n")),
            "{language}"
        );
    }
}

#[test]
fn the_key_that_signs_is_the_one_that_is_named_and_can_be_exchanged() {
    let place = Place::temporary("named").unwrap();
    let stand = stand("exchange", place.path(), "k2");
    let got = || Got::by_shop(&buy(&stand, "/seckill/1001", "u7", &[]));
    let before = got();
    assert!(before.header("seckill-signature").starts_with("v1=k2:"));
    let is_good = |got: &Got| {
        let all = verdicts(place.path(), std::slice::from_ref(got));
        all.iter().all(|(_, verdicts)| verdicts == &[true])
    };
    assert!(is_good(&before));
    // What is no secret is not taken, and what is one is.
    let key = place.path().join("k2");
    fs::write(&key, "short").unwrap();
    let log = || fs::read_to_string(Part::log(&stand.proxy)).unwrap();
    eventually("said", || log().contains("shop.signing.keys.k2: expected"));
    assert!(is_good(&got()));
    fs::write(&key, SECRET).unwrap();
    eventually("another signature", || {
        let mut now = got();
        let mac = now.header("seckill-signature").replace("k2", "k1");
        now = now.with("seckill-signature", &mac);
        is_good(&now)
    });
}

#[test]
fn nothing_is_signed_unless_configured() {
    let stand = Stand::start("unsigned", "forward confirm");
    stand.create("1001", &["STOCK", "10"]);
    let seen = buy(&stand, "/seckill/1001", "u7", &[]).json();
    let Value::Object(told) = &seen["told"] else {
        panic!("{seen}")
    };
    let mut names: Vec<_> = told.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "seckill-quantity",
            "seckill-reservation",
            "seckill-sale",
            "seckill-user"
        ]
    );
}
