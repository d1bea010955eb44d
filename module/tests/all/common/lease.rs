//! Clusters, handed from test to test: one takes seconds to agree, and most tests only milliseconds.

use redis::Cmd;
use seckill_testbed::{Cluster, Place, User};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

struct Pool {
    idle: Vec<Cluster>,
    /// Tests that have a cluster now. With the last of them the idle ones end.
    leases: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    idle: Vec::new(),
    leases: 0,
});

/// A cluster that is empty and nobody else's for the time of a test.
pub(crate) struct Lease(Option<Cluster>);

impl Lease {
    pub(crate) fn take() -> Self {
        let idle = {
            let mut pool = pool();
            pool.leases += 1;
            pool.idle.pop()
        };
        let start = || Cluster::start(&Place::temporary("module-cluster")?);
        Self(Some(idle.unwrap_or_else(|| start().unwrap())))
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.0.as_ref().unwrap()
    }

    pub(crate) fn cluster_mut(&mut self) -> &mut Cluster {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // After a failure nobody knows what it is like; and its logs are to stay.
        let cluster = self.0.take().filter(|_| !thread::panicking());
        if let Some(cluster) = &cluster {
            for node in cluster.nodes() {
                let mut connection = node.connect(User::Anything).unwrap();
                Cmd::new().arg("FLUSHALL").exec(&mut connection).unwrap();
            }
        }
        let mut pool = pool();
        pool.idle.extend(cluster);
        pool.leases -= 1;
        if pool.leases == 0 {
            pool.idle.clear();
        }
    }
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}
