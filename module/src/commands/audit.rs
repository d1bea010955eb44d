//! `SECKILL.AUDIT`

use crate::error::{Result, c_text};
use crate::request::Request;

pub(crate) fn audit(request: &Request<'_>) -> Result<()> {
    request.args().end()?;
    request.read(|entry| {
        let figures = entry.sale.audit()?;
        request.reply_word(&c_text(&format!(
            "OK total={} available={} held={} sold={} reservations={}",
            figures.total, figures.available, figures.held, figures.sold, figures.reservations
        )));
        Ok(())
    })
}
