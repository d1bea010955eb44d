//! Bytes of a sale that were damaged on the way: refused, or a sale whose books add up; never a
//! server that falls.

use crate::common::{Client, Server, accepted, skip_in};
use seckill_testbed::Part;
use std::fs;

/// The end of a dump: two bytes of version, eight of checksum.
const CHECKSUM_BYTES: usize = 8;
const FOOTER_BYTES: usize = 10;

/// What the names of many buyers begin with.
const NAME: &str = "buyer-of-many-";

/// A sale with something of each kind in it.
fn small_sale(client: &mut Client) {
    client.text("SECKILL.CREATE s STOCK 9 SOLD 1 LIMIT 2 HOLD 60000 RATE 1000 NAME Lamp");
    let rids: Vec<String> = (0..5)
        .map(|n| accepted(client.try_(&format!("s buyer-{n} TOKEN token-{n}"))))
        .collect();
    client.text(&format!("SECKILL.CONFIRM s {}", rids[0]));
    client.text(&format!("SECKILL.CANCEL s {}", rids[1]));
    client.text("SECKILL.RESTOCK s 2");
    let epoch = client.info("s", "epoch");
    client.text(&format!("SECKILL.ACK s RELAYED {epoch} 4"));
    client.text(&format!("SECKILL.ACK s STORED {epoch} 2"));
}

fn dump(client: &mut Client) -> Vec<u8> {
    client.query(redis::cmd("DUMP").arg("s"))
}

fn restore(client: &mut Client, payload: &[u8]) -> bool {
    let mut restore = redis::cmd("RESTORE");
    restore.arg("restored").arg(0).arg(payload);
    client.send(&restore).is_ok()
}

/// CRC-64 of Jones (polynomial 0xad93d23594c935a9, bits reflected), as Redis has it.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc: u64, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            let carry = if crc & 1 == 1 {
                0x95ac_9329_ac4b_c9b5
            } else {
                0
            };
            (crc >> 1) ^ carry
        })
    })
}

/// Makes the checksum right again.
pub(crate) fn seal(payload: &mut [u8]) {
    let at = payload.len() - CHECKSUM_BYTES;
    let checksum = crc64(&payload[..at]).to_le_bytes();
    payload[at..].copy_from_slice(&checksum);
}

/// What came in is no sale, or a good one: its books add up, and every command finds its way.
fn is_harmless(client: &mut Client, damage: &str) {
    if client.text("TYPE restored") == "flashsale" {
        let audit = client.audit("restored");
        assert!(audit.starts_with("OK "), "{damage}: {audit}");
        let digest = client.digest("restored");
        for line in [
            "INFO restored",
            "USER restored buyer-1",
            "EVENTS restored",
            "EVENTS restored FORMAT text",
            "TRY restored buyer-1",
            "TRY restored somebody QTY 2",
            "RESTOCK restored 1",
            "CLOSE restored",
        ] {
            // Refused or not: a name or a date may be another one now.
            let _ = client.run(&format!("SECKILL.{line}"));
        }
        let audit = client.audit("restored");
        assert!(audit.starts_with("OK "), "{damage}, {digest}: {audit}");
    }
    client.run("DEL restored").unwrap();
}

fn memory_bytes(client: &mut Client) -> u64 {
    let used = client.server_info("memory", "used_memory");
    used.parse().unwrap()
}

#[test]
fn a_dump_with_any_byte_damaged_is_refused_or_a_sale_whose_books_add_up() {
    skip_in!(Aof, Replica, Cluster: "is about what one server takes in");
    // Freed at once, so that what is left can be counted.
    let lines = ["appendonly no", "lazyfree-lazy-user-del no"];
    let mut server = Server::start_with("module-damage", &lines);
    let mut client = server.client();
    small_sale(&mut client);
    let (mut taken, mut before) = (0, 0);
    for compressed in ["no", "yes"] {
        client.text(&format!("CONFIG SET rdbcompression {compressed}"));
        let whole = dump(&mut client);
        let mut sealed = whole.clone();
        seal(&mut sealed);
        assert_eq!(sealed, whole, "our checksum is Redis's");
        // The first byte says that a module's value follows, and the last ten are not the module's.
        for at in 1..whole.len() - FOOTER_BYTES {
            for mask in [0x01, 0x02, 0x10, 0x40, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] ^= mask;
                seal(&mut damaged);
                let damage = format!("byte {at} with {mask:#x}, compressed: {compressed}");
                if restore(&mut client, &damaged) {
                    taken += 1;
                    is_harmless(&mut client, &damage);
                }
                if before == 0 {
                    before = memory_bytes(&mut client);
                }
            }
        }
    }
    assert!(server.redis_mut().is_running());
    assert!(taken > 0, "a letter of a name may be any other");
    let after = memory_bytes(&mut client);
    assert!(
        after < before + 300_000,
        "{before} bytes before, {after} after"
    );
    assert_eq!(client.server_info("seckill", "seckill_sales"), "1");

    // And whoever opens a sale after that gets an epoch of its own.
    let epochs = [(); 2].map(|()| {
        client.text("SECKILL.CREATE next STOCK 1");
        let epoch = client.info("next", "epoch").parse::<u64>().unwrap();
        client.run("DEL next").unwrap();
        epoch
    });
    assert!(epochs[0] < epochs[1], "{epochs:?}");
}

#[test]
fn a_dump_that_ends_too_early_is_refused_wherever_it_ends() {
    skip_in!(Aof, Replica, Cluster: "is about what one server takes in");
    let mut server = Server::start_with("module-short-dump", &["appendonly no"]);
    let mut client = server.client();
    small_sale(&mut client);
    let whole = dump(&mut client);
    let (value, footer) = whole.split_at(whole.len() - FOOTER_BYTES);
    for length in 1..value.len() {
        let mut short = [&value[..length], footer].concat();
        seal(&mut short);
        if restore(&mut client, &short) {
            // Redis reads on in the footer: its two bytes of version may complete a value.
            assert!(length + 2 >= value.len(), "{length} of {}", value.len());
            is_harmless(&mut client, &format!("{length} bytes"));
        }
    }
    assert!(restore(&mut client, &whole));
    assert!(server.redis_mut().is_running());
}

#[test]
fn a_snapshot_that_ends_too_early_is_not_started_from_wherever_it_ends() {
    skip_in!(Aof, Replica, Cluster: "is about what one server starts from");
    let mut server = Server::start_with("module-short-file", &["appendonly no"]);
    let mut client = server.client();
    small_sale(&mut client);
    let buyers: Vec<String> = (0..500).map(|n| format!("{NAME}{n}")).collect();
    client.text("SECKILL.RESTOCK s 500");
    client
        .run(&format!("SECKILL.MTRY s {}", buyers.join(" ")))
        .unwrap();
    let digest = client.digest("s");
    client.text("CONFIG SET rdbcompression no");
    client.text("SAVE");
    let file = server.redis().data().join("dump.rdb");
    let whole = fs::read(&file).unwrap();

    // In the middle of names, that is of blocks: where a block ends too, the server's own check of a
    // file that it cannot read (as of Redis 8.0 and Valkey 8.1) never comes to an end.
    let names = whole.windows(NAME.len()).enumerate();
    let inside = names.filter(|(_, bytes)| *bytes == NAME.as_bytes());
    let inside = inside.map(|(at, _)| at + 2).step_by(20);
    let end = whole.len() - 1 - CHECKSUM_BYTES;
    for length in (0..60).step_by(7).chain(inside).chain(end..whole.len()) {
        server.redis_mut().kill().unwrap();
        fs::write(&file, &whole[..length]).unwrap();
        let error = server.redis_mut().restart().unwrap_err().to_string();
        // Said so, and ended. A fall would be a signal.
        let refused = error.contains("exit status: 1");
        assert!(refused, "{length} of {} bytes: {error}", whole.len());
    }
    fs::write(&file, &whole).unwrap();
    server.redis_mut().restart().unwrap();
    assert_eq!(server.client().digest("s"), digest);
}

#[test]
fn an_aof_that_ends_too_early_is_the_sale_of_a_moment_before() {
    skip_in!(Aof, Replica, Cluster: "is about what one server starts from");
    let mut server = Server::start("module-short-aof");
    small_sale(&mut server.client());
    let digest = server.client().digest("s");
    server.redis_mut().kill().unwrap();
    let files = fs::read_dir(server.redis().data().join("appendonlydir")).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    let file = files
        .find(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .unwrap();
    let whole = fs::read(&file).unwrap();

    let mut last = 0;
    for length in (0..whole.len())
        .step_by(whole.len() / 50)
        .chain([whole.len()])
    {
        server.redis_mut().kill().unwrap();
        fs::write(&file, &whole[..length]).unwrap();
        server.redis_mut().restart().unwrap();
        let mut client = server.client();
        if client.text("TYPE s") == "none" {
            assert_eq!(last, 0, "{length} bytes have less than fewer had");
            continue;
        }
        assert!(client.audit("s").starts_with("OK "), "{length} bytes");
        let head = client.info("s", "head");
        let seq = head.split_once('-').unwrap().1.parse::<u64>().unwrap();
        assert!(seq >= last, "{length} bytes have less than fewer had");
        last = seq;
    }
    assert_eq!(server.client().digest("s"), digest);
}
