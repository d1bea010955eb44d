//! A value on its way from one server to another (`DUMP`, `RESTORE`), damaged so that nobody notices
//! before the module does.

use fastrand::Rng;

use crate::bytes::mutate;

/// The end of a dump: two bytes of version, eight of checksum.
const FOOTER_BYTES: usize = 10;

/// A damaged copy with a checksum that is right again.
pub(super) fn damaged(dump: &[u8], random: &mut Rng) -> Vec<u8> {
    let (value, footer) = dump.split_at(dump.len().saturating_sub(FOOTER_BYTES));
    // The first byte says that a value of a module follows, and of which, the next nine.
    let (name, payload) = value.split_at(value.len().min(10));
    let mut payload = payload.to_vec();
    if random.bool() {
        // Of a single bit the module notices least.
        let at = random.usize(..payload.len().max(1));
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= 1 << random.u8(..8);
        }
    } else {
        for _ in 0..random.usize(1..=3) {
            mutate(&mut payload, random);
        }
    }
    let version = footer.get(..2).unwrap_or_default();
    let mut damaged = [name, &payload, version].concat();
    damaged.extend(crc64(&damaged).to_le_bytes());
    damaged
}

/// CRC-64 of Jones (polynomial 0xad93d23594c935a9, bits reflected), as Redis has it.
fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc: u64, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            let carry = if crc & 1 == 1 {
                0x95ac_9329_ac4b_c9b5
            } else {
                0
            };
            (crc >> 1) ^ carry
        })
    })
}
