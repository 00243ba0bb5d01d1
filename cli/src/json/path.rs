//! Paths as JSON.

use std::path::Path;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::text::escape;

/// A string, or for a path that is not UTF-8 an object with its bytes.
#[derive(Debug)]
pub(crate) enum JsonPath {
    Text(String),
    Bytes(Vec<u8>),
}

impl JsonPath {
    pub(crate) fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_encoded_bytes().to_vec()),
        }
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("text", &escape::bytes(bytes))?;
                map.serialize_entry("bytes", &escape::hex(bytes))?;
                map.end()
            }
        }
    }
}
