//! A replica takes over: fenced, under new names, and the old primary comes back behind it.

use crate::common::{Client, accepted, await_equal, skip_in, with_replica};
use seckill_protocol::Verdict;
use seckill_testbed::Part;

#[test]
fn a_promoted_replica_is_fenced_until_mysql_has_the_new_epoch() {
    skip_in!(Replica, Cluster: "has a primary and a replica of its own");
    let (mut server, replica) = with_replica("module-promotion");
    let mut primary = server.client();
    primary.text("SECKILL.CREATE s STOCK 5");
    let rid = accepted(primary.try_("s u1 TOKEN t"));
    let old: u64 = primary.info("s", "epoch").parse().unwrap();
    let mut copy = Client::of(&replica);
    await_equal(&mut primary, &mut copy, "s");
    server.redis_mut().kill().unwrap();
    copy.text("REPLICAOF NO ONE");

    assert_eq!(copy.try_("s u2"), Verdict::Paused);
    assert_eq!(copy.info("s", "state"), "fenced");
    assert_eq!(
        copy.try_("s u1 TOKEN t"),
        Verdict::Duplicate(rid.parse().unwrap()),
        "who asks again is still answered"
    );
    let new: u64 = copy.info("s", "epoch").parse().unwrap();
    assert!(new > old);
    let lines: Vec<String> = redis::from_redis_value(
        copy.run(&format!("SECKILL.EVENTS s AFTER {old} 2 FORMAT text"))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].ends_with(&format!("epoch previous={old}-2")),
        "{lines:?}"
    );

    copy.text(&format!("SECKILL.ACK s STORED {old} 2"));
    assert_eq!(
        copy.try_("s u2"),
        Verdict::Paused,
        "MySQL has not compared yet"
    );
    copy.text(&format!("SECKILL.ACK s STORED {new} 1"));
    assert!(accepted(copy.try_("s u2")).starts_with(&format!("{new}-")));
    assert!(copy.audit("s").starts_with("OK total=5 available=3 held=2"));
}
