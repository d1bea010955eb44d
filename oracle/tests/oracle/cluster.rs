//! A Redis Cluster: whichever node is named, the one that has the sale is asked.

use crate::stage::SID;
use seckill_oracle::{Sources, look};
use seckill_testbed::{Cluster, MariaDb, Place, Settings, User, Worker};
use tokio::runtime::Runtime;

#[test]
fn any_node_of_a_cluster_leads_to_the_sale() {
    let place = Place::temporary("oracle-cluster").unwrap();
    let cluster = Cluster::start(&place).unwrap();
    let db = MariaDb::start(&place).unwrap();
    let settings = Settings::worker(cluster.node(0).unwrap(), &db).unwrap();
    Worker::command(&place, &settings, &["migrate"]).unwrap();
    let mut owner = cluster.connect(SID, User::Operator).unwrap();
    for question in [
        redis::cmd("SECKILL.CREATE").arg(&[SID, "STOCK", "3"]),
        redis::cmd("SECKILL.TRY").arg(&[SID, "u1"]),
    ] {
        question.exec(&mut owner).unwrap();
    }
    let runtime = Runtime::new().unwrap();
    for node in cluster.nodes() {
        let sources = Sources {
            redis: node.url(User::Operator),
            key_prefix: String::new(),
            mysql: db.url(),
            kafka: None,
            records: None,
        };
        let seen = runtime.block_on(look(&sources, SID)).unwrap();
        let module = seen.module.unwrap();
        assert_eq!(module.info.held, 1);
        assert_eq!(module.reservations[0].uid, "u1");
        assert_eq!(module.log.len(), 2, "{:?}", module.log);
    }
}
