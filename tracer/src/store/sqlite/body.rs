//! An incident or a warning as it is kept: its JSON, compressed with a dictionary that holds the words of the
//! contract. Half of it is the names of its fields, which then cost next to nothing. Pure.
use serde::de::DeserializeOwned;

use crate::contract::{Record, json};

/// On disk: stays what it is. Another dictionary needs another [`FORMAT`].
const DICTIONARY: &[u8] = include_bytes!("dictionary.json");
/// The first byte of a body.
const FORMAT: u8 = 1;
/// No incident is larger.
const LARGEST: usize = 4 << 20;

/// The bytes to keep.
pub fn pack(record: &Record) -> Vec<u8> {
    let json = json::to_vec(record);
    let mut out = vec![FORMAT];
    out.extend(lz4_flex::block::compress_prepend_size_with_dict(&json, DICTIONARY));
    out
}

/// What was kept; `None` if a later version kept it, or it is damaged.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    unpack_if(bytes, |_| true)
}

/// The same, and `None` where its JSON is not `wanted`: taking that apart is what takes long.
pub fn unpack_if<T: DeserializeOwned>(
    bytes: &[u8],
    wanted: impl FnOnce(&[u8]) -> bool,
) -> Option<T> {
    let packed = bytes.strip_prefix(&[FORMAT])?;
    let size = u32::from_le_bytes(packed.get(..4)?.try_into().ok()?) as usize;
    if size > LARGEST {
        return None;
    }
    let json = lz4_flex::block::decompress_size_prepended_with_dict(packed, DICTIONARY).ok()?;
    wanted(&json).then(|| json::from_slice(&json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Incident, samples::incident},
        model::cause::CauseKind,
    };

    fn pack(incident: &Incident) -> Vec<u8> {
        super::pack(&Record::from(incident.clone()))
    }

    #[test]
    fn what_was_kept_comes_back() {
        let incident = incident(CauseKind::Sent, 9);
        let packed = pack(&incident);
        assert_eq!(unpack(&packed), Some(incident.clone()));
        let json = serde_json::to_vec(&incident).expect("JSON").len();
        assert!(packed.len() * 2 < json, "{} of {json} bytes", packed.len());
    }

    /// As version 1 of the contract wrote a name that is no UTF-8.
    #[test]
    fn what_version_1_kept_comes_back() {
        let mut incident = incident(CauseKind::Sent, 9);
        let mut json = serde_json::to_value(Record::from(incident.clone())).expect("JSON");
        json["schema"] = 1.into();
        json["victim"]["comm"] = serde_json::json!({ "text": "a\u{fffd}", "bytes": "Yf8=" });
        let mut packed = vec![FORMAT];
        packed.extend(lz4_flex::block::compress_prepend_size_with_dict(
            json.to_string().as_bytes(),
            DICTIONARY,
        ));
        incident.victim.comm.0 = b"a\xff".to_vec();
        assert_eq!(unpack(&packed), Some(incident.clone()));
        assert_eq!(unpack(&pack(&incident)), Some(incident));
    }

    #[test]
    fn damage_is_no_incident() {
        let packed = pack(&incident(CauseKind::Sent, 9));
        for len in 0..packed.len() {
            assert_eq!(unpack::<Incident>(&packed[..len]), None);
        }
        let mut huge = packed.clone();
        huge[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(unpack::<Incident>(&huge), None);
        for i in 0..packed.len() {
            let mut bent = packed.clone();
            bent[i] ^= 0x55;
            let _ = unpack::<Incident>(&bent);
        }
    }
}
