//! What the end of the program says to whoever started it.
//!
//! | code | means | starting again |
//! | --- | --- | --- |
//! | 0 | done, or stopped by a signal | |
//! | 1 | something failed that may succeed later | helps, maybe |
//! | 2 | the command line or the configuration is wrong, or a server does not know the password | does not help |
//! | 3 | the tables of MySQL are not those that this program knows | does not help: `migrate`, or another version |

use crate::config::Mistakes;
use crate::mysql::Failure;
use crate::schema::Unfit;
use redis::{ErrorKind, RedisError};

const FAILED: u8 = 1;
const MISCONFIGURED: u8 = 2;
const UNFIT_SCHEMA: u8 = 3;

/// The code of a program that ends with this error.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    let refused = error.downcast_ref::<RedisError>();
    let refused = refused.is_some_and(|error| error.kind() == ErrorKind::AuthenticationFailed);
    let failure = error.downcast_ref::<Failure>();
    if error.is::<Mistakes>() || refused || failure.is_some_and(Failure::is_misconfigured) {
        MISCONFIGURED
    } else if error.is::<Unfit>() {
        UNFIT_SCHEMA
    } else {
        FAILED
    }
}
