//! Events, as the relay and the order writer receive them.

use seckill_protocol::EventBatch;

/// Reads bytes as packed events and as a message. What is accepted comes out again as it went in.
pub fn events(bytes: &[u8]) {
    if let Ok(batch) = EventBatch::from_packed(bytes) {
        comes_out_again(&batch);
    }
    if let Ok((sid, batch)) = EventBatch::from_json(bytes) {
        comes_out_again(&batch);
        let json = batch.to_json(&sid).unwrap();
        assert_eq!(EventBatch::from_json(&json).unwrap(), (sid, batch));
    }
}

/// Packs a batch and unpacks it, and sends it as a message: both give the same batch.
pub(crate) fn comes_out_again(batch: &EventBatch) {
    let packed = batch.to_packed().unwrap();
    assert_eq!(&EventBatch::from_packed(&packed).unwrap(), batch);
    let json = batch.to_json("1001").unwrap();
    let (sid, read) = EventBatch::from_json(&json).unwrap();
    assert_eq!((&*sid, &read), ("1001", batch));
}
