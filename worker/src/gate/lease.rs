//! Which worker relays a sale.

use super::{Gate, Refused};
use std::time::Duration;

/// What the module says of a sale's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leased {
    /// Who has it, if anybody.
    pub(crate) holder: Option<String>,
    /// For how long still.
    pub(crate) left: Duration,
    /// Who else has asked for it lately.
    pub(crate) rival: Option<String>,
}

// === impl Gate ===

impl Gate {
    /// Asks for the lease of a sale; it is granted if nobody else has it. A span of zero gives it
    /// back.
    pub(crate) async fn lease(
        &self,
        sid: &str,
        worker: &str,
        span: Duration,
    ) -> Result<Leased, Refused> {
        let mut command = self.command("SECKILL.LEASE", sid);
        command
            .arg(worker)
            .arg(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let (holder, left_ms, rival) = self.ask(&command).await?;
        Ok(Leased {
            holder,
            left: Duration::from_millis(left_ms),
            rival,
        })
    }
}
