//! The compact form of a batch, as `SECKILL.EVENTS` replies it: one version byte, then postcard.

use crate::EventBatch;

/// Version of the packed form: the first byte of every packed batch.
pub const PACKED_VERSION: u8 = 1;

/// Why bytes are not a packed batch.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// Nothing there.
    #[error("packed events are empty")]
    Empty,
    /// Of a version that this program does not know.
    #[error("packed events of version {0}: this program reads version 1")]
    Version(u8),
    /// Cut, or not packed events.
    #[error("packed events do not read: {0}")]
    Broken(#[from] postcard::Error),
    /// The events' numbers are not consecutive.
    #[error("packed event {found} follows event {previous}: numbers must be consecutive")]
    Gap {
        /// The number before the break.
        previous: u64,
        /// The number after it.
        found: u64,
    },
}

impl EventBatch {
    /// Packs the batch.
    ///
    /// # Errors
    /// None in practice: every field has a packed form.
    pub fn to_packed(&self) -> Result<Vec<u8>, PackedError> {
        Ok(postcard::to_extend(self, vec![PACKED_VERSION])?)
    }

    /// Reads a packed batch.
    ///
    /// # Errors
    /// [`PackedError`] when it is of another version, cut, followed by something else, or its events
    /// are not consecutive.
    pub fn from_packed(bytes: &[u8]) -> Result<Self, PackedError> {
        match bytes.split_first() {
            None => Err(PackedError::Empty),
            Some((&PACKED_VERSION, rest)) => {
                let (batch, rest) = postcard::take_from_bytes::<Self>(rest)?;
                if !rest.is_empty() {
                    return Err(postcard::Error::DeserializeBadEncoding.into());
                }
                match batch.gap() {
                    None => Ok(batch),
                    Some((previous, found)) => Err(PackedError::Gap { previous, found }),
                }
            }
            Some((&version, _)) => Err(PackedError::Version(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Fact, Uid};
    use proptest::prelude::*;

    fn batch(count: u64) -> EventBatch {
        let events = (1..=count)
            .map(|seq| Event {
                seq,
                at: seq * 1000,
                fact: Fact::Accepted {
                    uid: Uid::new(format!("buyer-{seq}").as_bytes()).unwrap(),
                    qty: 1,
                    deadline: None,
                    token: None,
                },
            })
            .collect();
        EventBatch { epoch: 9, events }
    }

    #[test]
    fn a_batch_survives_packing() {
        let batch = batch(3);
        let packed = batch.to_packed().unwrap();
        assert_eq!(EventBatch::from_packed(&packed).unwrap(), batch);
    }

    #[test]
    fn a_cut_or_lengthened_batch_is_refused() {
        let packed = batch(3).to_packed().unwrap();
        for length in 0..packed.len() {
            assert!(
                EventBatch::from_packed(&packed[..length]).is_err(),
                "{length}"
            );
        }
        let longer = [&packed[..], b"x"].concat();
        assert!(EventBatch::from_packed(&longer).is_err());
    }

    #[test]
    fn packed_events_with_a_hole_are_refused() {
        let mut batch = batch(3);
        batch.events.remove(1);
        assert!(matches!(
            EventBatch::from_packed(&batch.to_packed().unwrap()),
            Err(PackedError::Gap {
                previous: 1,
                found: 3
            })
        ));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = EventBatch::from_packed(&bytes);
            let _ = EventBatch::from_json(&bytes);
        }
    }
}
