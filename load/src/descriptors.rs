//! A connection is a file descriptor, and a crowd needs many.

use rlimit::Resource;

/// What a program holds besides its connections: standard streams, the runtime, libraries.
const RESERVED: u64 = 64;

/// The system allows fewer open files than the crowd needs.
#[derive(Debug, thiserror::Error)]
#[error(
    "{buyers} buyers need {needed} open files and {allowed} are allowed: ask for fewer buyers, or \
     raise the limit (`ulimit -Hn {needed}`, LimitNOFILE= in a systemd unit)"
)]
pub struct TooFewDescriptors {
    buyers: u32,
    needed: u64,
    allowed: u64,
}

/// Raises the soft limit of open files as far as `buyers` need it.
pub(crate) fn allow(buyers: u32) -> Result<(), TooFewDescriptors> {
    let needed = u64::from(buyers) + RESERVED;
    // A failure to read or raise a limit shows in the comparison.
    let allowed =
        rlimit::increase_nofile_limit(needed.max(soft_limit())).unwrap_or_else(|_| soft_limit());
    if allowed < needed {
        return Err(TooFewDescriptors {
            buyers,
            needed,
            allowed,
        });
    }
    Ok(())
}

/// Raises it as far as the system lets us: nobody knows how many of those who come one after the other
/// will be there at one time. One for whom there is none has no connection.
pub(crate) fn allow_most() {
    // What it was before has to do then.
    drop(rlimit::increase_nofile_limit(u64::MAX));
}

fn soft_limit() -> u64 {
    Resource::NOFILE.get_soft().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_that_the_system_cannot_hold_is_told_before_it_starts() {
        assert!(allow(1).is_ok());
        if soft_limit() < u64::from(u32::MAX) {
            let error = allow(u32::MAX).unwrap_err().to_string();
            assert!(error.contains("4294967359 open files"), "{error}");
        }
    }
}
