//! Bytes in saved streams: base64, for use with `#[serde(with = "base64")]` on bytes, lists of them, and
//! either where it may be absent.
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// What has a form in base64.
pub trait Base64: Sized {
    type Encoded: Serialize + DeserializeOwned;

    fn encode(&self) -> Self::Encoded;

    /// `None` if it is no base64.
    fn decode(encoded: Self::Encoded) -> Option<Self>;
}

impl Base64 for Vec<u8> {
    type Encoded = String;

    fn encode(&self) -> String {
        BASE64_STANDARD.encode(self)
    }

    fn decode(encoded: String) -> Option<Self> {
        BASE64_STANDARD.decode(encoded).ok()
    }
}

impl<T: Base64> Base64 for Vec<T> {
    type Encoded = Vec<T::Encoded>;

    fn encode(&self) -> Self::Encoded {
        self.iter().map(T::encode).collect()
    }

    fn decode(encoded: Self::Encoded) -> Option<Self> {
        encoded.into_iter().map(T::decode).collect()
    }
}

impl<T: Base64> Base64 for Option<T> {
    type Encoded = Option<T::Encoded>;

    fn encode(&self) -> Self::Encoded {
        self.as_ref().map(T::encode)
    }

    fn decode(encoded: Self::Encoded) -> Option<Self> {
        match encoded {
            Some(encoded) => T::decode(encoded).map(Some),
            None => Some(None),
        }
    }
}

/// # Errors
/// Where the serializer fails.
pub fn serialize<T: Base64, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.encode().serialize(serializer)
}

/// # Errors
/// Where it is of another shape, or no base64.
pub fn deserialize<'de, T: Base64, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let encoded = T::Encoded::deserialize(deserializer)?;
    T::decode(encoded).ok_or_else(|| serde::de::Error::custom("it is no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        #[serde(with = "super")]
        args: Option<Vec<Vec<u8>>>,
    }

    #[test]
    fn any_byte_survives() {
        for args in [None, Some(vec![]), Some(vec![vec![0, 255, b'"'], vec![]])] {
            let text = serde_json::to_string(&Sample { args: args.clone() }).expect("json");
            assert_eq!(serde_json::from_str::<Sample>(&text).expect(&text), Sample { args });
        }
        assert!(serde_json::from_str::<Sample>(r#"{"args":["%"]}"#).is_err());
    }
}
