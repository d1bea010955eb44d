//! Any traffic, the same in every run, under the eye of whatever mode the tests run in.

use crate::common::{Client, Server, accepted};
use seckill_protocol::{ReservationId, Verdict};

/// Sends so many commands of all kinds to a sale: buyers who ask again, payments in and out of time,
/// units that come and go.
pub(crate) fn any_traffic(client: &mut Client, sid: &str, commands: usize) {
    client.text(&format!(
        "SECKILL.CREATE {sid} STOCK 50 LIMIT 3 HOLD 40 USERRATE 100 BURST 3"
    ));
    let mut rids = Vec::new();
    let mut random = Random(42);
    for _ in 0..commands {
        let line = match random.below(12) {
            0..=5 => {
                let (buyer, qty, token) = (random.below(40), 1 + random.below(3), random.below(50));
                let line = format!("{sid} u{buyer} QTY {qty} TOKEN t{token}");
                if let Verdict::Accepted(rid) = client.try_(&line) {
                    rids.push(rid);
                }
                continue;
            }
            6 => format!("SECKILL.CONFIRM {sid} {} LATE", random.of(&rids)),
            7 => format!("SECKILL.CANCEL {sid} {}", random.of(&rids)),
            8 => format!("SECKILL.RESTOCK {sid} -{}", random.below(3)),
            9 => format!("SECKILL.RESTOCK {sid} {}", random.below(3)),
            10 => {
                let (first, second) = (random.below(40), random.below(40));
                format!("SECKILL.MTRY {sid} u{first} u{second}")
            }
            _ => format!("SECKILL.EVENTS {sid}"),
        };
        // Many of these are refused, each for a good reason.
        let _ = client.run(&line);
    }
}

/// A cheap generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        let Self(state) = self;
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (*state >> 33) % bound
    }

    fn of(&mut self, rids: &[ReservationId]) -> String {
        let index = self.below(rids.len().max(1) as u64);
        let rid = rids.get(usize::try_from(index).unwrap());
        rid.map_or("1-1".to_owned(), ToString::to_string)
    }
}

#[test]
fn the_books_of_a_sale_add_up_after_any_traffic() {
    let server = Server::start("module-traffic");
    let mut client = server.client();
    any_traffic(&mut client, "s", 1500);
    assert!(client.audit("s").starts_with("OK "));
    let held = client.info("s", "held").parse::<u64>().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    client.run("SECKILL.EVENTS s").unwrap();
    assert_eq!(client.info("s", "held"), "0", "{held} were held");
    assert!(client.audit("s").starts_with("OK "));
}

#[test]
fn a_try_in_a_transaction_or_a_script_is_one_like_any_other() {
    let server = Server::start("module-script");
    let mut client = server.client();
    client.text("SECKILL.CREATE s STOCK 10");
    for line in [
        "MULTI",
        "SECKILL.TRY s u1",
        "SECKILL.MTRY s u1 u2",
        "SECKILL.RESTOCK s 1",
        "EXEC",
    ] {
        client.run(line).unwrap();
    }
    let twice = "redis.call('SECKILL.TRY', KEYS[1], 'u3') \
                 return redis.call('SECKILL.TRY', KEYS[1], 'u3')[1]";
    let mut script = redis::cmd("EVAL");
    script.arg(twice).arg(1).arg("s");
    assert_eq!(client.query::<String>(&script), "DUPLICATE");
    accepted(client.try_("s u4"));
    assert_eq!(
        client.audit("s"),
        "OK total=11 available=7 held=4 sold=0 reservations=4"
    );
}
