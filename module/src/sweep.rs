//! After a promotion: every sale that was inherited begins its new epoch, whether somebody asks for it
//! or not.
//!
//! A command on a sale does the same first of all; but a node that is promoted, written down as a
//! primary and killed before anybody asked would come back and know nothing of its promotion.

use crate::api::{self, Found, RawContext, Scan};
use crate::request::Request;
use std::ffi::c_void;
use std::time::Duration;

/// Between two steps others are served.
const PAUSE: Duration = Duration::from_millis(1);

/// While a failover is under way.
const PATIENCE: Duration = Duration::from_millis(20);

/// Begins a walk over all sales.
pub(crate) fn begin(context: RawContext) {
    api::after(context, Duration::ZERO, step, Scan::new());
}

unsafe extern "C" fn step(context: RawContext, data: *mut c_void) {
    let mut scan = api::take_scan(data);
    if !api::may_write(context) {
        return;
    }
    if api::replicas_are_paused() {
        api::after(context, PATIENCE, step, scan);
        return;
    }
    match scan.step(context) {
        Found::End => {}
        Found::Sales(sales) => {
            for sale in &sales {
                Request::of_key(context, sale.as_raw()).inherit();
            }
            api::after(context, PAUSE, step, scan);
        }
    }
}
