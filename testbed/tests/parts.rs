//! Each server starts, dies, and comes back with its data.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use seckill_testbed::{
    Clock, Cluster, Disk, Kafka, MariaDb, Part, Place, Proxy, Redis, SampleShop, Settings, User,
    Worker,
};

#[test]
fn redis_keeps_its_data_over_a_kill() -> Result<()> {
    let place = Place::temporary("redis-kill")?;
    let mut redis = Redis::start(&place)?;
    redis::cmd("SET")
        .arg("a")
        .arg("1")
        .exec(&mut redis.connect(User::Anything)?)?;
    let before = redis.pid();
    redis.kill()?;
    assert!(!redis.is_running());
    redis.restart()?;
    assert_ne!(redis.pid(), before);
    let value: i64 = redis::cmd("GET")
        .arg("a")
        .query(&mut redis.connect(User::Operator)?)?;
    assert_eq!(value, 1);
    Ok(())
}

#[test]
fn a_redis_below_a_tool_is_the_process_that_was_started() -> Result<()> {
    let place = Place::temporary("redis-below")?;
    let mut redis = Redis::start_below(&place, &["nice", "-n", "19"], &["maxclients 77"])?;
    let pid = redis.pid();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    assert!(stat.contains("(redis-server)"), "{stat}");
    assert_eq!(stat.split(' ').nth(18), Some("19"), "{stat}");
    let (_, limit): (String, u32) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxclients")
        .query(&mut redis.connect(User::Anything)?)?;
    assert_eq!(limit, 77);
    redis.kill()?;
    assert!(!redis.is_running());
    Ok(())
}

#[test]
fn a_replica_has_what_its_primary_has() -> Result<()> {
    let place = Place::temporary("redis-replica")?;
    let primary = Redis::start(&place)?;
    let replica = Redis::start_replica(&place, &primary)?;
    let mut connection = primary.connect(User::Anything)?;
    redis::cmd("SET").arg("a").arg("1").exec(&mut connection)?;
    let reached: i64 = redis::cmd("WAIT").arg(1).arg(5000).query(&mut connection)?;
    assert_eq!(reached, 1);
    let value: i64 = redis::cmd("GET")
        .arg("a")
        .query(&mut replica.connect(User::Anything)?)?;
    assert_eq!(value, 1);
    Ok(())
}

#[test]
fn a_cluster_serves_a_key_at_one_node_and_moves_it_to_another() -> Result<()> {
    let place = Place::temporary("redis-cluster")?;
    let cluster = Cluster::start(&place)?;
    let slot = cluster.slot_of("a")?;
    let (old, mut connection) = (
        cluster.owner_of(slot)?,
        cluster.connect("a", User::Anything)?,
    );
    redis::cmd("SET").arg("a").arg(1).exec(&mut connection)?;

    let new = (old + 1) % cluster.nodes().len();
    let open = cluster.open_move(slot, new)?;
    let get = || redis::cmd("GET").arg("a").to_owned();
    let asked = get().query::<i64>(&mut connection).unwrap_err();
    assert_eq!(asked.code(), Some("ASK"));
    assert_eq!(cluster.owner_of(slot)?, old);
    open.close()?;
    let moved = get().query::<i64>(&mut connection).unwrap_err();
    assert_eq!(moved.code(), Some("MOVED"));
    assert_eq!(cluster.owner_of(slot)?, new);
    let mut connection = cluster.connect("a", User::Anything)?;
    assert_eq!(get().query::<i64>(&mut connection)?, 1);
    Ok(())
}

#[test]
fn a_frozen_redis_answers_after_it_is_thawed() -> Result<()> {
    let place = Place::temporary("redis-frozen")?;
    let mut redis = Redis::start(&place)?;
    let mut connection = redis.connect(User::Anything)?;
    redis.freeze()?;
    assert!(redis.is_running());
    connection.set_read_timeout(Some(Duration::from_millis(50)))?;
    assert!(redis::cmd("PING").exec(&mut connection).is_err());
    redis.thaw()?;
    redis::cmd("PING").exec(&mut redis.connect(User::Anything)?)?;
    Ok(())
}

#[test]
fn the_time_of_day_of_a_redis_follows_its_clock_forwards_and_backwards() -> Result<()> {
    let place = Place::temporary("redis-clock")?;
    let clock = Clock::new(&place)?;
    let mut redis = Redis::start_with_clock(&place, &[], &clock)?;
    let time_us = |redis: &Redis| -> Result<u128> {
        let mut connection = redis.connect(User::Anything)?;
        let (seconds, us): (u128, u128) = redis::cmd("TIME").query(&mut connection)?;
        Ok(seconds * 1_000_000 + us)
    };
    let real_us = || SystemTime::now().duration_since(UNIX_EPOCH);
    let before = real_us()?.as_micros();
    let unset = time_us(&redis)?;
    assert!((before..=real_us()?.as_micros()).contains(&unset));

    clock.set_ms(1_000_000_000_123)?;
    assert_eq!(time_us(&redis)?, 1_000_000_000_123_000);
    clock.advance_ms(3_600_000)?;
    assert_eq!(time_us(&redis)?, 1_000_003_600_123_000);
    clock.advance_ms(-3_600_001)?;
    assert_eq!(time_us(&redis)?, 1_000_000_000_122_000);
    assert_eq!(clock.now_ms()?, 1_000_000_000_122);

    redis.restart()?;
    assert_eq!(time_us(&redis)?, 1_000_000_000_122_000, "over a restart");
    Ok(())
}

#[test]
fn a_clock_can_be_wrong_and_go_on() -> Result<()> {
    let place = Place::temporary("redis-wrong-clock")?;
    let clock = Clock::new(&place)?;
    let redis = Redis::start(&place.with_clock(&clock))?;
    let mut connection = redis.connect(User::Anything)?;
    let mut wrong_by_s = || -> Result<i64> {
        let (seconds, _): (i64, i64) = redis::cmd("TIME").query(&mut connection)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(seconds - i64::try_from(now)?)
    };
    for by_s in [3600, -3600, 0] {
        clock.shift_ms(by_s * 1000)?;
        let found = wrong_by_s()?;
        assert!((found - by_s).abs() <= 2, "{found} s instead of {by_s} s");
    }
    Ok(())
}

#[test]
fn a_redis_on_a_full_disk_answers_no_write_and_comes_back_when_there_is_room() -> Result<()> {
    let place = Place::temporary("redis-full")?;
    let disk = Disk::new(&place)?;
    let mut redis = Redis::start(&place.with_disk(&disk))?;
    let set = |redis: &Redis, value: u32| -> Result<()> {
        let mut connection = redis.connect(User::Anything)?;
        Ok(redis::cmd("SET")
            .arg("key")
            .arg(value)
            .exec(&mut connection)?)
    };
    set(&redis, 1)?;
    disk.set_full(true)?;
    set(&redis, 2).unwrap_err();
    disk.set_full(false)?;
    redis.restart()?;
    let mut connection = redis.connect(User::Anything)?;
    let value: u32 = redis::cmd("GET").arg("key").query(&mut connection)?;
    assert_eq!(value, 1);
    set(&redis, 3)
}

#[test]
fn a_mariadb_on_a_full_disk_refuses_what_needs_room_until_there_is_some() -> Result<()> {
    let place = Place::temporary("mariadb-full")?;
    let disk = Disk::new(&place)?;
    let mariadb = MariaDb::start(&place.with_disk(&disk))?;
    mariadb.query("CREATE TABLE t (a VARCHAR(500))")?;
    let insert = "INSERT INTO t SELECT REPEAT('x', 500) FROM seq_1_to_20000";
    mariadb.query(insert)?;
    disk.set_full(true)?;
    let refusal = mariadb.query(insert).unwrap_err().to_string();
    assert!(refusal.contains("full"), "{refusal}");
    assert_eq!(mariadb.query("SELECT COUNT(*) FROM t")?, [["20000"]]);
    disk.set_full(false)?;
    mariadb.query(insert)?;
    Ok(())
}

#[test]
fn mariadb_keeps_its_data_over_a_kill() -> Result<()> {
    let place = Place::temporary("mariadb-kill")?;
    let mut mariadb = MariaDb::start(&place)?;
    mariadb.query("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (NULL)")?;
    mariadb.kill()?;
    mariadb.restart()?;
    assert_eq!(mariadb.query("SELECT a FROM t")?, [["1"], ["NULL"]]);
    Ok(())
}

#[test]
fn kafka_comes_back_at_the_same_address_after_a_kill() -> Result<()> {
    if !Kafka::or_skip("the restart of Kafka") {
        return Ok(());
    }
    let place = Place::temporary("kafka-kill")?;
    let mut kafka = Kafka::start(&place)?;
    let address = kafka.brokers();
    kafka.kill()?;
    kafka.restart()?;
    assert_eq!(kafka.brokers(), address);
    Ok(())
}

#[test]
fn our_programs_come_back_after_a_kill() -> Result<()> {
    let place = Place::temporary("programs")?;
    let redis = Redis::start(&place)?;
    let mariadb = MariaDb::start(&place)?;
    let settings = Settings::worker(&redis, &mariadb)?;
    Worker::command(&place, &settings, &["migrate"])?;
    let mut worker = Worker::start(&place, &settings)?;
    let mut shop = SampleShop::start(&place)?;
    let settings = Settings::proxy(&redis)?.with("shop.upstream", shop.address());
    let mut proxy = Proxy::start(&place, &settings)?;
    for part in [&mut worker as &mut dyn Part, &mut shop, &mut proxy] {
        part.kill()?;
        assert!(!part.is_running());
        part.restart()?;
        part.stop()?;
        assert!(!part.is_running());
    }
    Ok(())
}

#[test]
fn a_command_that_fails_says_why() -> Result<()> {
    let place = Place::temporary("command")?;
    let redis = Redis::start(&place)?;
    let mariadb = MariaDb::start(&place)?;
    let settings = Settings::worker(&redis, &mariadb)?.with("redis.speed", "high");
    let error = Worker::command(&place, &settings, &["migrate"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("speed"), "{error}");
    Ok(())
}

#[test]
fn a_kept_place_gives_each_server_its_data_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = Place::at(folder.path())?;
    let redis = Redis::start(&place)?;
    redis::cmd("SET")
        .arg("a")
        .arg("1")
        .exec(&mut redis.connect(User::Anything)?)?;
    let mariadb = MariaDb::start(&place)?;
    mariadb.query("CREATE TABLE t AS SELECT 1")?;
    let with_kafka = Kafka::available().is_ok();
    let kafka = with_kafka.then(|| Kafka::start(&place)).transpose()?;
    drop((redis, mariadb, kafka));

    let place = Place::at(folder.path())?;
    assert_eq!(place.running()?, Vec::<String>::new());
    let redis = Redis::start(&place)?;
    let value: i64 = redis::cmd("GET")
        .arg("a")
        .query(&mut redis.connect(User::Anything)?)?;
    assert_eq!(value, 1);
    assert_eq!(MariaDb::start(&place)?.query("SELECT * FROM t")?, [["1"]]);
    if with_kafka {
        Kafka::start(&place)?;
    }
    Ok(())
}

#[test]
fn a_server_that_cannot_start_says_why() -> Result<()> {
    let place = Place::temporary("redis-wrong")?;
    let error = Redis::start_with(&place, &["no-such-option yes"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-option"), "{error}");
    Ok(())
}

#[test]
fn nothing_is_left_of_a_temporary_place() -> Result<()> {
    let place = Place::temporary("left")?;
    let folder = place.path().to_owned();
    let redis = Redis::start(&place)?;
    let process = format!("/proc/{}", redis.pid());
    drop(place);
    assert!(
        folder.exists() && Path::new(&process).exists(),
        "the part keeps its place"
    );
    drop(redis);
    assert!(!folder.exists() && !Path::new(&process).exists());
    Ok(())
}

#[test]
fn a_detached_part_lives_on_and_is_found_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _stop = StopAll(Place::at(folder.path())?);
    let redis = Redis::start(&Place::detached(folder.path())?)?;
    let (pid, url) = (redis.pid(), redis.url(User::Operator));
    drop(redis);

    let mut found = Redis::start(&Place::detached(folder.path())?)?;
    assert_eq!((found.pid(), found.url(User::Operator)), (pid, url.clone()));
    found.kill()?;
    assert!(!found.is_running());
    drop(found);

    let again = Redis::start(&Place::detached(folder.path())?)?;
    assert_ne!(again.pid(), pid);
    assert_eq!(again.url(User::Operator), url);

    let place = Place::at(folder.path())?;
    let error = Redis::start(&place).unwrap_err().to_string();
    assert!(
        error.contains("runs in"),
        "two servers must not share a folder: {error}"
    );
    assert_eq!(place.stop_all()?, ["redis"]);
    assert_eq!(place.running()?, Vec::<String>::new());
    Ok(())
}

/// A test that fails must not leave a detached part behind.
struct StopAll(Place);

impl Drop for StopAll {
    fn drop(&mut self) {
        let _ = self.0.stop_all();
    }
}
