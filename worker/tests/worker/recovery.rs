//! `recover`: Redis lost something, or everything, and gets it back.

use crate::shop::{Shop, await_true};
use redis::{Connection, RedisResult, Value};
use seckill_testbed::{Part, Redis, User, Worker};
use std::collections::HashMap;
use std::time::Duration;

/// What a buyer was told, and what became of it.
struct Told {
    uid: String,
    token: String,
    rid: String,
}

impl Shop {
    /// An accepted try with a token.
    fn buy_with_token(&self, uid: &str) -> Told {
        let token = format!("t-{uid}");
        let (verdict, rid): (String, String) = self
            .ask(&["SECKILL.TRY", "1001", uid, "TOKEN", &token])
            .unwrap();
        assert_eq!(verdict, "ACCEPTED", "{uid}");
        Told {
            uid: uid.to_owned(),
            token,
            rid,
        }
    }

    fn set(&self, words: &[&str]) {
        let _: Value = self.ask(words).unwrap();
    }

    /// Buyers of every fate: confirmed, cancelled, expired, refused and held.
    fn every_fate(&self) -> Vec<Told> {
        let told: Vec<Told> = (1..=12)
            .map(|n| self.buy_with_token(&format!("u{n}")))
            .collect();
        self.set(&["SECKILL.CONFIRM", "1001", &told[0].rid]);
        self.set(&["SECKILL.CONFIRM", "1001", &told[1].rid]);
        self.set(&["SECKILL.CANCEL", "1001", &told[2].rid]);
        self.await_stored(1001);
        // One that lapses, and comes back by a late payment; and one that only lapses.
        self.set(&["SECKILL.ALTER", "1001", "HOLD", "1"]);
        let late = self.buy_with_token("late");
        let lapsed = self.buy_with_token("lapsed");
        self.set(&["SECKILL.ALTER", "1001", "HOLD", "600000"]);
        await_true("both have lapsed", || {
            self.books(1001).orders.get("expired") == Some(&2)
        });
        self.set(&["SECKILL.CONFIRM", "1001", &late.rid, "LATE"]);
        let refund = self.ask::<()>(&["SECKILL.CONFIRM", "1001", &lapsed.rid, "REFUND"]);
        assert!(refund.unwrap_err().to_string().contains("GONE"));
        self.await_stored(1001);
        // Somebody sells past us, and gives it back: one order is refused.
        self.query("UPDATE stock SET sale = count, version = version + 1 WHERE id = 1001");
        let refused = self.buy_with_token("refused");
        await_true("it is refused, and cancelled in the module", || {
            self.books(1001).orders.get("refused") == Some(&1)
                && self.query("SELECT * FROM stock_refusal").is_empty()
        });
        self.query(
            "UPDATE stock SET version = version + 1, sale = (SELECT COALESCE(SUM(qty), 0) FROM stock_order
               WHERE sid = 1001 AND status IN ('held', 'confirmed')) WHERE id = 1001",
        );
        self.await_stored(1001);
        told.into_iter().chain([late, lapsed, refused]).collect()
    }

    /// Everybody who was told so has an order and a reservation in the same state, and hears of it
    /// again.
    fn assert_nobody_is_forgotten(&self, told: &[Told]) {
        for Told { uid, token, rid } in told {
            let order = self.query(&format!(
                "SELECT uid, status FROM stock_order WHERE sid = 1001 AND rid = '{rid}'"
            ));
            let reservation: HashMap<String, String> =
                self.ask(&["SECKILL.GET", "1001", rid]).unwrap();
            let status = order[0][1].replace("refused", "cancelled");
            assert_eq!(
                (&order[0][0], &status),
                (uid, &reservation["state"]),
                "{rid}"
            );
            let again: (String, String) = self
                .ask(&["SECKILL.TRY", "1001", uid, "TOKEN", token])
                .unwrap();
            assert_eq!(again, ("DUPLICATE".to_owned(), rid.clone()), "{uid}");
        }
    }

    /// Redis comes up with nothing.
    fn lose_redis(&mut self) {
        self.set(&["FLUSHALL"]);
        self.redis.kill().unwrap();
        std::fs::remove_dir_all(self.redis.data()).unwrap();
        std::fs::create_dir_all(self.redis.data()).unwrap();
        self.redis.restart().unwrap();
        assert!(self.keys().is_empty());
    }

    fn recover(&self, options: &[&str]) -> String {
        let said = self.chore(&[&["recover", "1001"], options].concat());
        said.unwrap()
    }

    fn digest(&self, redis: &Redis) -> Vec<String> {
        let mut connection: Connection = redis.connect(User::Anything).unwrap();
        let mut command = redis::cmd("DEBUG");
        command.arg("DIGEST-VALUE").arg("1001");
        command.query(&mut connection).unwrap()
    }

    /// A replica that has what the primary has now, and gets nothing any more.
    fn replica(&self) -> Redis {
        let replica = Redis::start_replica(&self.place, &self.redis).unwrap();
        await_true("the replica has it", || {
            self.digest(&replica) == self.digest(&self.redis)
        });
        self.set(&["ACL", "SETUSER", "replica", "off"]);
        self.set(&["CLIENT", "KILL", "TYPE", "replica"]);
        replica
    }

    /// Puts the replica in the place of the primary, which is gone.
    fn promote(&mut self, replica: Redis) {
        self.redis.kill().unwrap();
        self.redis = replica;
        self.set(&["REPLICAOF", "NO", "ONE"]);
        self.settings = self
            .settings
            .clone()
            .with("redis.url", self.redis.url(User::Worker));
    }
}

fn sells_again_after_all_is_lost(mut shop: Shop) {
    let worker = shop.run();
    shop.sale(
        1001,
        40,
        &["--limit", "2", "--hold", "600000", "--rate", "5000"],
    );
    let mut told = shop.every_fate();
    // What a person changes is kept, too.
    shop.set(&["SECKILL.ALTER", "1001", "LIMIT", "3"]);
    await_true("the table has the new limit", || {
        shop.query("SELECT buyer_limit FROM stock_sale WHERE sid = 1001") == [["3"]]
    });
    let before = shop.info(1001);

    shop.lose_redis();
    let said = shop.recover(&[]);
    assert!(said.contains("15 were missing"), "{said}");
    assert!(said.contains("1001: recovered; it is open: "), "{said}");
    let after = shop.info(1001);
    for name in [
        "total",
        "available",
        "held",
        "sold",
        "reservations",
        "limit",
        "hold",
        "rate",
    ] {
        assert_eq!(after[name], before[name], "{name}");
    }
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);

    // The payment that MySQL has among the refunds takes no unit, though there are some.
    let due = shop.query("SELECT rid FROM stock_refund WHERE reason = 'late_payment'");
    let late = shop.ask::<()>(&["SECKILL.CONFIRM", "1001", &due[0][0], "LATE"]);
    assert!(late.unwrap_err().to_string().contains("GONE"));

    // Life goes on: a held reservation of before is paid for, and others buy.
    shop.set(&["SECKILL.CONFIRM", "1001", &told[5].rid]);
    told.push(shop.buy_with_token("new"));
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);
    let said = shop.recover(&[]);
    assert!(
        said.starts_with("1001: nothing is wrong; it is open"),
        "{said}"
    );
    let log = shop.log_of(&worker);
    assert!(!log.contains("cannot be relayed"), "{log}");
}

#[test]
fn a_redis_that_lost_everything_sells_on_without_a_broker() {
    sells_again_after_all_is_lost(Shop::open("lost-all"));
}

#[test]
fn a_redis_that_lost_everything_sells_on_with_kafka() {
    if let Some(shop) = Shop::with_kafka("lost-all-kafka") {
        sells_again_after_all_is_lost(shop);
    }
}

fn sells_again_after_the_last_seconds_are_lost(mut shop: Shop) {
    let worker = shop.run();
    shop.sale(1001, 40, &["--limit", "2", "--hold", "600000"]);
    let mut told = shop.every_fate();
    let replica = shop.replica();
    // The last seconds: nobody but the primary and MySQL hears of them.
    told.extend(["v1", "v2", "v3", "v4"].map(|uid| shop.buy_with_token(uid)));
    shop.set(&["SECKILL.CONFIRM", "1001", &told[4].rid]);
    shop.set(&["SECKILL.CANCEL", "1001", &told[5].rid]);
    shop.set(&["SECKILL.CONFIRM", "1001", &told[16].rid]);
    shop.set(&["SECKILL.RESTOCK", "1001", "7"]);
    shop.await_stored(1001);
    shop.promote(replica);
    let verdict: (String, i64) = shop.ask(&["SECKILL.TRY", "1001", "w1"]).unwrap();
    assert_eq!(verdict.0, "PAUSED");
    // While it is fenced, somebody pays, and units are added.
    let payer = told[6].rid.clone();
    let pays = |shop: &Shop| {
        let paid: RedisResult<String> = shop.ask(&["SECKILL.CONFIRM", "1001", &payer]);
        paid.map_err(|error| error.code().map(str::to_owned))
    };
    assert_eq!(pays(&shop), Err(Some("FENCED".to_owned())));
    shop.set(&["SECKILL.RESTOCK", "1001", "3"]);
    drop(worker);
    let _worker = shop.run();

    let said = shop.recover(&[]);
    assert_eq!(pays(&shop), Ok("OK".to_owned()));
    assert!(said.contains("4 were missing, 2 were behind"), "{said}");
    assert!(said.contains("1001: recovered; it is open: "), "{said}");
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    assert_eq!(shop.books(1001).stock.0, 50);
    told.push(shop.buy_with_token("w1"));
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);
    let said = shop.recover(&[]);
    assert!(said.starts_with("1001: nothing is wrong"), "{said}");
}

#[test]
fn a_primary_that_lost_its_last_seconds_sells_on_without_a_broker() {
    sells_again_after_the_last_seconds_are_lost(Shop::open("lost-seconds"));
}

#[test]
fn a_primary_that_lost_its_last_seconds_sells_on_with_kafka() {
    if let Some(shop) = Shop::with_kafka("lost-seconds-kafka") {
        sells_again_after_the_last_seconds_are_lost(shop);
    }
}

#[test]
fn what_only_kafka_has_is_written_before_redis_is_filled() {
    let Some(mut shop) = Shop::with_kafka("lost-all-topic") else {
        return;
    };
    let mut worker = shop.run();
    shop.sale(1001, 40, &["--hold", "600000"]);
    let mut told = vec![shop.buy_with_token("u1")];
    shop.await_stored(1001);
    // MySQL is away, and Kafka takes what comes.
    shop.db.kill().unwrap();
    told.extend(["u2", "u3", "u4"].map(|uid| shop.buy_with_token(uid)));
    await_true("Kafka has it", || {
        let info = shop.info(1001);
        info["relayed"] == info["head"]
    });
    worker.kill().unwrap();
    shop.db.restart().unwrap();
    shop.lose_redis();
    let refusal = shop.chore(&["recover", "1001", "--wait", "1"]).unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("Kafka has it up to"), "{refusal}");
    assert!(refusal.contains("seckill-worker run"), "{refusal}");
    assert!(shop.keys().is_empty(), "nothing is half done");

    worker.restart().unwrap();
    let said = shop.recover(&[]);
    assert!(said.contains("4 were missing"), "{said}");
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);
}

#[test]
fn a_recovery_that_is_cut_off_is_finished_by_the_next() {
    let mut shop = Shop::open("cut-off");
    let mut worker = shop.run();
    shop.sale(1001, 40, &["--limit", "2", "--hold", "600000"]);
    let told = shop.every_fate();
    shop.lose_redis();
    worker.stop().unwrap();
    // As far as it comes without a worker.
    let refusal = shop.chore(&["recover", "1001", "--wait", "0"]).unwrap_err();
    let refusal = refusal.to_string();
    assert!(refusal.contains("everything is put back"), "{refusal}");
    assert!(refusal.contains("recover again"), "{refusal}");
    let verdict: (String, i64) = shop.ask(&["SECKILL.TRY", "1001", "w1"]).unwrap();
    assert_eq!(verdict.0, "PAUSED");

    // Cut off right after the sale was made, with a worker that is faster than the rest.
    shop.set(&["DEL", "1001"]);
    shop.set(&[
        "SECKILL.CREATE",
        "1001",
        "STOCK",
        "0",
        "PAUSED",
        "LIMIT",
        "2",
        "HOLD",
        "600000",
    ]);
    worker.restart().unwrap();
    await_true("the worker has seen it", || {
        shop.log_of(&worker)
            .contains("ALARM: sale 1001 stands still")
    });
    // Cut off anywhere: Redis dies under it, and comes back.
    for cut_after_ms in [20, 40, 60, 100] {
        let (place, settings, redis) = (&shop.place, &shop.settings, &mut shop.redis);
        std::thread::scope(|scope| {
            let recover = || Worker::command(place, settings, &["recover", "1001"]);
            let running = scope.spawn(recover);
            std::thread::sleep(Duration::from_millis(cut_after_ms));
            redis.kill().unwrap();
            redis.restart().unwrap();
            // Whether it came through, the next one finds out.
            let _ = running.join().unwrap();
        });
        let said = shop.recover(&[]);
        assert!(said.contains("; it is open"), "{cut_after_ms}: {said}");
        shop.assert_books_close(1001);
        shop.set(&["DEL", "1001"]);
    }
    shop.recover(&[]);
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);
    // A person sold on by hand before everything was there.
    shop.query("UPDATE stock_sale SET recovering = TRUE");
    let said = shop.recover(&[]);
    assert!(
        said.contains("0 were missing, 0 were behind, 15 were there"),
        "{said}"
    );
    assert!(said.contains("recovered; it is open"), "{said}");
    shop.assert_books_close(1001);
    let said = shop.recover(&["--json"]);
    assert!(
        said.starts_with(r#"{"sid":"1001","outcome":"healthy","state":"open","total":40,"#),
        "{said}"
    );
}

#[test]
fn a_closed_sale_that_was_lost_comes_back_closed() {
    let mut shop = Shop::open("lost-closed");
    let _worker = shop.run();
    shop.sale(1001, 5, &["--hold", "600000"]);
    let rids = shop.buy(1001, 1, 2);
    shop.set(&["SECKILL.CLOSE", "1001"]);
    await_true("the table knows", || {
        shop.query("SELECT closed FROM stock_sale WHERE sid = 1001") == [["1"]]
    });
    shop.await_stored(1001);
    shop.lose_redis();
    let said = shop.recover(&[]);
    assert!(said.contains("recovered; it is closed"), "{said}");
    shop.set(&["SECKILL.CONFIRM", "1001", &rids[0]]);
    shop.await_stored(1001);
    shop.assert_books_close(1001);
}

/// An old backup, put in the place of what Redis had.
#[test]
fn a_redis_that_was_set_back_gets_what_it_lacks() {
    let shop = Shop::open("set-back");
    let mut worker = shop.run();
    shop.sale(1001, 20, &["--limit", "2", "--hold", "600000"]);
    let mut told = vec![shop.buy_with_token("u1"), shop.buy_with_token("u2")];
    shop.set(&["SECKILL.CONFIRM", "1001", &told[0].rid]);
    shop.await_stored(1001);
    let backup: Vec<u8> = shop.ask(&["DUMP", "1001"]).unwrap();
    told.push(shop.buy_with_token("u3"));
    shop.set(&["SECKILL.CANCEL", "1001", &told[1].rid]);
    shop.await_stored(1001);
    worker.stop().unwrap();
    shop.set(&["DEL", "1001"]);
    let mut restore = redis::cmd("RESTORE");
    restore.arg("1001").arg(0).arg(backup);
    let mut connection: Connection = shop.redis.connect(User::Anything).unwrap();
    restore.exec(&mut connection).unwrap();
    worker.restart().unwrap();

    let said = shop.recover(&[]);
    assert!(said.contains("1001: Redis was set back to"), "{said}");
    assert!(said.contains("1 were missing, 1 were behind"), "{said}");
    assert!(said.contains("1001: recovered; it is open: "), "{said}");
    told.push(shop.buy_with_token("u4"));
    shop.await_stored(1001);
    shop.assert_books_close(1001);
    shop.assert_nobody_is_forgotten(&told);
}

/// MySQL takes no row for a buyer, whose reservation is cancelled only after the takeover.
#[test]
fn a_refusal_without_a_row_that_redis_has_lost_is_put_back() {
    let mut shop = Shop::open("lost-refusal");
    let worker = shop.run();
    shop.sale(1001, 20, &["--hold", "600000"]);
    shop.query("ALTER TABLE stock_order ADD CONSTRAINT nobody CHECK (uid IS NULL OR uid <> 'u2')");
    let told = vec![shop.buy_with_token("u1")];
    let refused = shop.buy_with_token("u2");
    let replica = shop.replica();
    let state = |shop: &Shop| {
        let found: HashMap<String, String> =
            shop.ask(&["SECKILL.GET", "1001", &refused.rid]).unwrap();
        found["state"].clone()
    };
    await_true("MySQL has refused it", || state(&shop) == "cancelled");
    shop.await_stored(1001);
    shop.promote(replica);
    drop(worker);
    let _worker = shop.run();
    assert_eq!(state(&shop), "held", "the copy does not know");
    let said = shop.recover(&[]);
    assert!(said.contains("1001: recovered; it is open: "), "{said}");
    assert_eq!(state(&shop), "cancelled");
    shop.await_stored(1001);
    shop.assert_nobody_is_forgotten(&told);
    let available = &shop.info(1001)["available"];
    assert_eq!(available, "19");
}

#[test]
fn what_cannot_be_recovered_is_said_and_left_as_it_is() {
    let mut shop = Shop::open("no-recovery");
    shop.stock(1001, 10, 0);
    let refusal = |shop: &Shop, words: &[&str]| {
        let refusal = shop.chore(&[&["recover"], words].concat()).unwrap_err();
        refusal.to_string()
    };
    let never = refusal(&shop, &["1001", "404", "lamp"]);
    assert!(never.contains("1001: FAILED: Redis has no such sale, and MySQL has nothing of one"));
    assert!(
        never.contains("404: FAILED: there is no row with id 404"),
        "{never}"
    );
    assert!(
        never.contains("lamp: FAILED: the sale's name is no stock.id"),
        "{never}"
    );
    assert!(never.contains("3 of 3 sales are not recovered"), "{never}");

    let mut worker = shop.run();
    shop.chore(&["warm", "1001"]).unwrap();
    shop.buy(1001, 1, 3);
    shop.await_stored(1001);
    let said = shop.recover(&[]);
    assert_eq!(
        said,
        "1001: nothing is wrong; it is open: 7 of 10 units available, 3 held, 0 sold\n"
    );
    // Redis is set back, and sells other things under the same numbers.
    let head = shop.info(1001)["head"].clone();
    worker.stop().unwrap();
    let (epoch, _) = head.split_once('-').unwrap();
    shop.buy(1001, 4, 1);
    shop.query("UPDATE stock_cursor SET seq = 9 WHERE sid = 1001");
    let back = refusal(&shop, &["1001"]);
    assert!(back.contains("Redis was set back"), "{back}");
    assert!(back.contains("is in no order"), "{back}");
    assert_eq!(shop.info(1001)["state"], "paused");
    shop.query("UPDATE stock_cursor SET seq = 5 WHERE sid = 1001");

    // Another fact under a number that MySQL knows, in a copy that took over.
    let replica = shop.replica();
    shop.promote(replica);
    shop.set(&["SECKILL.TRY", "1001", "u9"]);
    let previous = shop.info(1001)["head"].clone();
    assert!(!previous.starts_with(epoch), "it has a new epoch");
    shop.query(&format!(
        "UPDATE stock_cursor SET epoch = {epoch}, seq = 7 WHERE sid = 1001"
    ));
    let other = refusal(&shop, &["1001"]);
    assert!(other.contains("nothing is put back: event"), "{other}");
    // Another fact that is in no log any more.
    shop.query(&format!(
        "INSERT INTO stock_order (sid, epoch, seq, uid, status, deadline)
           VALUES (1001, {epoch}, 5, 'u4', 'held', 9999999999999);
         DELETE FROM stock_order WHERE uid = 'u3'"
    ));
    let other = refusal(&shop, &["1001"]);
    assert!(other.contains("by MySQL's books"), "{other}");
    assert_eq!(shop.info(1001)["state"], "fenced");

    // All is lost, the options too.
    shop.lose_redis();
    shop.query("DELETE FROM stock_sale");
    let unknown = refusal(&shop, &["1001"]);
    assert!(unknown.contains("nobody has kept its options"), "{unknown}");
    assert!(shop.keys().is_empty());
}
