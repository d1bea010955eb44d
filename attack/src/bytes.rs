//! Damage to bytes.

use fastrand::Rng;

/// Bytes that mean something to somebody who parses.
const SIGNS: &[u8] =
    b"\0\t\n\r \"#%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x01\x0b\x0c\x7f\x80\xc0\xff09azAZ";

/// Changes one thing.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(0..=bytes.len());
    let sign = random.choice(SIGNS).copied().unwrap_or_default();
    match random.u8(0..9) {
        0 | 1 => bytes.insert(at, sign),
        2 => set(bytes, at, |_| sign),
        3 => {
            let bit = random.u8(0..8);
            set(bytes, at, |byte| byte ^ (1 << bit));
        }
        4 if at < bytes.len() => drop(bytes.remove(at)),
        5 => bytes.truncate(at),
        6 => {
            // Says a part again, at once or elsewhere.
            let end = bytes.len().min(at + random.usize(1..=64));
            let part = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = random.usize(0..=bytes.len());
            bytes.splice(to..to, part);
        }
        7 => {
            let end = bytes.len().min(at + random.usize(1..=16));
            bytes.drain(at..end);
        }
        _ => set(bytes, at, |byte| byte.wrapping_add(1)),
    }
}

fn set(bytes: &mut [u8], at: usize, change: impl Fn(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

/// Where `part` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
