//! The server of a test, as its mode wants it.

use super::lease::Lease;
use super::watch::{self, Watch};
use super::{Client, Mode, Route};
use redis::Connection;
use seckill_testbed::{Cluster, Part, Place, Redis, User};
use std::thread;

/// A server, and where it lives.
pub(crate) struct Server {
    pub(crate) place: Place,
    host: Host,
}

enum Host {
    Own(Box<Own>),
    Cluster(Lease),
}

/// A server for one test alone.
struct Own {
    redis: Redis,
    replica: Option<Redis>,
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// With more lines of configuration.
    pub(crate) fn start_with(name: &str, lines: &[&str]) -> Self {
        let place = Place::temporary(name).unwrap();
        let host = if Mode::now() == Mode::Cluster {
            assert!(
                lines.is_empty(),
                "a cluster is shared: skip this test there"
            );
            Host::Cluster(Lease::take())
        } else {
            let redis = Redis::start_with(&place, lines).unwrap();
            let replica = (Mode::now() == Mode::Replica).then(|| follower(&place, &redis));
            Host::Own(Box::new(Own { redis, replica }))
        };
        Self { place, host }
    }

    /// The one server that a test starts, kills and looks into.
    pub(crate) fn redis(&self) -> &Redis {
        match &self.host {
            Host::Own(own) => &own.redis,
            Host::Cluster(_) => panic!("a cluster has many servers: skip this test there"),
        }
    }

    pub(crate) fn redis_mut(&mut self) -> &mut Redis {
        match &mut self.host {
            Host::Own(own) => &mut own.redis,
            Host::Cluster(_) => panic!("a cluster has many servers: skip this test there"),
        }
    }

    /// The cluster that a test moves slots in.
    pub(crate) fn cluster(&self) -> &Cluster {
        match &self.host {
            Host::Own(_) => panic!("this is one server: skip this test in other modes"),
            Host::Cluster(lease) => lease.cluster(),
        }
    }

    pub(crate) fn cluster_mut(&mut self) -> &mut Cluster {
        match &mut self.host {
            Host::Own(_) => panic!("this is one server: skip this test in other modes"),
            Host::Cluster(lease) => lease.cluster_mut(),
        }
    }

    /// A client that may do anything.
    pub(crate) fn client(&self) -> Client {
        self.client_as(User::Anything)
    }

    pub(crate) fn client_as(&self, user: User) -> Client {
        Client::new(self.route(user), self.watch())
    }

    pub(crate) fn route(&self, user: User) -> Route {
        match &self.host {
            Host::Own(own) => Route::to([&own.redis], user),
            Host::Cluster(lease) => Route::to(lease.cluster().nodes(), user),
        }
    }

    /// A connection to the server that has the key.
    pub(crate) fn connect_to(&self, key: &str) -> Connection {
        match &self.host {
            Host::Own(own) => own.redis.connect(User::Anything).unwrap(),
            Host::Cluster(lease) => lease.cluster().connect(key, User::Anything).unwrap(),
        }
    }

    fn watch(&self) -> Watch {
        match &self.host {
            Host::Own(own) => match &own.replica {
                Some(replica) => Watch::follow(&own.redis, replica),
                None if Mode::now() == Mode::Aof => Watch::reload(&own.redis),
                None => Watch::Nothing,
            },
            Host::Cluster(_) => Watch::Nothing,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Host::Own(own) = &mut self.host
            && let Some(replica) = &mut own.replica
            && !thread::panicking()
        {
            assert!(replica.is_running(), "the replica has died");
            watch::all_equal(&own.redis, replica);
        }
    }
}

pub(super) fn follower(place: &Place, primary: &Redis) -> Redis {
    Redis::start_replica(place, primary).unwrap()
}
