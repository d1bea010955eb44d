//! A small sale on real servers, which the oracle finds in order; then damage, one at a time, and
//! it finds that, no more and no less.
//!
//! | file | about |
//! | --- | --- |
//! | `stage.rs`, `buyers.rs` | the servers, the sale, and what it takes to damage and mend them |
//! | `mysql.rs`, `kafka.rs`, `module.rs`, `clients.rs` | damage to what each source says |
//! | `program.rs` | the program: its output and its exit codes |
//! | `failover.rs` | a primary that is lost with what its replica did not have |

#[cfg(test)]
mod buyers;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod module;
#[cfg(test)]
mod mysql;
#[cfg(test)]
mod program;
#[cfg(test)]
mod stage;

/// One stage for all, because servers take longer to start than everything else.
#[cfg(test)]
#[test]
fn every_planted_damage_is_found_and_nothing_else() {
    let Some(stage) = stage::Stage::open() else {
        return;
    };
    stage.holds("nothing was damaged");
    mysql::every_damage(&stage);
    kafka::every_damage(&stage);
    module::every_damage(&stage);
    clients::every_damage(&stage);
    program::tells(&stage);
    stage.holds("everything was put back");
}
