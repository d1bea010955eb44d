//! The answers with which Redis says that it decides nothing at the moment, by their names.

use redis::{ErrorKind, RedisError};

/// Why Redis decides nothing, although it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Refusal {
    /// `READONLY`
    Replica,
    /// `LOADING`
    Loading,
    /// `MASTERDOWN`
    ReplicaAlone,
    /// `CLUSTERDOWN`
    ClusterDown,
    /// `MOVED` or `ASK`
    Elsewhere,
    /// `OOM`
    OutOfMemory,
    /// `BUSY`
    InScript,
    /// `MISCONF`
    DiskFailed,
    /// `NOREPLICAS`
    TooFewReplicas,
    /// `NOPERM`
    NoPermission,
    /// `NOAUTH` or `WRONGPASS`
    NotSignedIn,
    /// `TRYAGAIN`
    OnItsWay,
    /// `ERR unknown command`
    NoModule,
}

// === impl Refusal ===

impl Refusal {
    /// Every one, each at its own number.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Replica,
        Self::Loading,
        Self::ReplicaAlone,
        Self::ClusterDown,
        Self::Elsewhere,
        Self::OutOfMemory,
        Self::InScript,
        Self::DiskFailed,
        Self::TooFewReplicas,
        Self::NoPermission,
        Self::NotSignedIn,
        Self::OnItsWay,
        Self::NoModule,
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = Self::NoModule as usize + 1;

    /// The refusal that an answer is, if it is one.
    pub(crate) fn of(error: &RedisError) -> Option<Self> {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Some(Self::NotSignedIn);
        }
        match error.code()? {
            // Redis has no code of its own for it.
            "ERR" if error.detail()?.starts_with("unknown command") => Some(Self::NoModule),
            code => Self::named(code),
        }
    }

    /// The refusal that an error's code names, if it names one.
    fn named(code: &str) -> Option<Self> {
        Some(match code {
            "READONLY" => Self::Replica,
            "LOADING" => Self::Loading,
            "MASTERDOWN" => Self::ReplicaAlone,
            "CLUSTERDOWN" => Self::ClusterDown,
            "MOVED" | "ASK" => Self::Elsewhere,
            "OOM" => Self::OutOfMemory,
            "BUSY" => Self::InScript,
            "MISCONF" => Self::DiskFailed,
            "NOREPLICAS" => Self::TooFewReplicas,
            "NOPERM" => Self::NoPermission,
            "NOAUTH" | "WRONGPASS" => Self::NotSignedIn,
            "TRYAGAIN" => Self::OnItsWay,
            _ => return None,
        })
    }

    /// Whether it holds for every question, so that asking others is of no use. A server that is
    /// full still takes a confirmation, and one that runs a script still answers at once.
    pub(crate) const fn is_of_all(self) -> bool {
        matches!(
            self,
            Self::Replica
                | Self::Loading
                | Self::ReplicaAlone
                | Self::ClusterDown
                | Self::NotSignedIn
                | Self::NoModule
        )
    }

    /// For the log.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Replica => "it is a replica (READONLY)",
            Self::Loading => "it is loading its data (LOADING)",
            Self::ReplicaAlone => "it is a replica without its primary (MASTERDOWN)",
            Self::ClusterDown => "its cluster is down (CLUSTERDOWN)",
            Self::Elsewhere => "the sale is on another node (MOVED)",
            Self::OutOfMemory => "its memory is full (OOM)",
            Self::InScript => "it is busy with a script (BUSY)",
            Self::DiskFailed => "it cannot write to its disk (MISCONF)",
            Self::TooFewReplicas => "it has too few replicas (NOREPLICAS)",
            Self::NoPermission => "its users.acl does not let this user ask (NOPERM)",
            Self::NotSignedIn => "it does not know this user's password (NOAUTH)",
            Self::OnItsWay => "the sale is on its way to another node (TRYAGAIN)",
            Self::NoModule => "the module is not loaded there (unknown command)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_goes_by_its_name_and_an_answer_about_a_sale_is_none() {
        for name in [
            "READONLY",
            "LOADING",
            "MASTERDOWN",
            "CLUSTERDOWN",
            "MOVED",
            "OOM",
            "BUSY",
            "MISCONF",
            "NOREPLICAS",
            "NOPERM",
            "NOAUTH",
            "TRYAGAIN",
        ] {
            let refusal = Refusal::named(name).unwrap();
            assert!(refusal.words().contains(name), "{name}");
        }
        for name in ["ERR", "NOSALE", "GONE", "WRONGTYPE"] {
            assert_eq!(Refusal::named(name), None, "{name}");
        }
    }

    #[test]
    fn a_server_without_the_module_is_told_from_one_that_dislikes_an_argument() {
        let answer = |detail: &str| {
            let bytes = format!("-ERR {detail}\r\n");
            let answer = redis::parse_redis_value(bytes.as_bytes()).unwrap();
            Refusal::of(&answer.extract_error().unwrap_err())
        };
        let unknown = "unknown command 'SECKILL.TRY', with args beginning with: '7' 'u7'";
        let refusal = answer(unknown).unwrap();
        assert_eq!(refusal, Refusal::NoModule);
        assert!(refusal.is_of_all());
        assert_eq!(answer("QTY: expected at most LIMIT"), None);
    }

    #[test]
    fn what_holds_for_one_question_does_not_stop_the_others() {
        for (name, of_all) in [
            ("READONLY", true),
            ("LOADING", true),
            ("OOM", false),
            ("BUSY", false),
            ("NOPERM", false),
        ] {
            assert_eq!(Refusal::named(name).unwrap().is_of_all(), of_all, "{name}");
        }
    }
}
