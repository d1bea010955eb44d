//! `SECKILL.ALTER`

use super::given::Given;
use crate::error::{Error, Result};
use crate::request::Request;

const EXPECTED: &str = "LIMIT, START, END, HOLD, RATE, USERRATE or NAME";

pub(crate) fn alter(request: &Request<'_>) -> Result<()> {
    if request.args().len() == 0 {
        return Err(Error::Arity);
    }
    let mut args = request.args();
    let mut given = Given::default();
    while let Some(word) = args.next_word() {
        if !given.take(&word, &mut args)? {
            return Err(word.unknown(EXPECTED));
        }
    }
    request.write(
        |sale, _| sale.decide_alter(|options| given.put_into(options)),
        |()| request.reply_ok(),
    )
}
