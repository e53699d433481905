//! The XenAPI's records, as far as they are used. Integers come as decimal text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// The reference that refers to nothing.
pub(super) const NOTHING: &str = "OpaqueRef:NULL";

/// Keys and values.
pub(super) type Map = BTreeMap<String, String>;

/// Records by reference, as `get_all_records` answers them.
pub(super) fn all<T: DeserializeOwned>(value: Value) -> Result<BTreeMap<String, T>> {
    serde_json::from_value(value).map_err(unread)
}

/// One record.
pub(super) fn one<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(unread)
}

fn unread(e: serde_json::Error) -> Error {
    Error::new(ErrorKind::Io, "the pool sent a record that is not understood").with_source(e)
}

fn integer<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<i64, D::Error> {
    use serde::de::Error as _;
    match Value::deserialize(from)? {
        Value::String(text) => text.parse().map_err(D::Error::custom),
        Value::Number(number) => number.as_i64().ok_or_else(|| D::Error::custom("no 64-bit integer")),
        other => Err(D::Error::custom(format!("{other} is no integer"))),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PoolRecord {
    pub uuid: String,
    pub name_label: String,
    pub master: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Host {
    pub name_label: String,
    pub address: String,
    pub software_version: Map,
    #[serde(rename = "API_version_major", deserialize_with = "integer")]
    pub api_major: i64,
    #[serde(rename = "API_version_minor", deserialize_with = "integer")]
    pub api_minor: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sr {
    pub uuid: String,
    pub name_label: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub content_type: String,
    pub shared: bool,
    pub is_tools_sr: bool,
    pub allowed_operations: Vec<String>,
    #[serde(deserialize_with = "integer")]
    pub physical_size: i64,
    #[serde(deserialize_with = "integer")]
    pub physical_utilisation: i64,
}

impl Sr {
    /// Free bytes; none when the storage does not tell.
    pub fn free(&self) -> Option<u64> {
        (self.physical_size > 0)
            .then(|| (self.physical_size - self.physical_utilisation).max(0).unsigned_abs())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pbd {
    #[serde(rename = "SR")]
    pub sr: String,
    pub currently_attached: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    pub name_label: String,
    pub purpose: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vif {
    pub network: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vbd {
    #[serde(rename = "VDI")]
    pub vdi: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub userdevice: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vdi {
    pub uuid: String,
    pub name_label: String,
    #[serde(rename = "SR")]
    pub sr: String,
    pub other_config: Map,
    pub is_a_snapshot: bool,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(deserialize_with = "integer")]
    pub virtual_size: i64,
    #[serde(deserialize_with = "integer")]
    pub physical_utilisation: i64,
    pub cbt_enabled: bool,
    #[serde(rename = "VBDs")]
    pub vbds: Vec<String>,
}

impl Vdi {
    /// Bytes as the guest sees them.
    pub fn size(&self) -> u64 {
        self.virtual_size.max(0).unsigned_abs()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Vm {
    pub uuid: String,
    pub name_label: String,
    pub power_state: String,
    pub is_a_template: bool,
    pub is_default_template: bool,
    pub is_a_snapshot: bool,
    pub snapshot_of: String,
    pub is_control_domain: bool,
    pub resident_on: String,
    pub other_config: Map,
    pub tags: Vec<String>,
    #[serde(rename = "VBDs")]
    pub vbds: Vec<String>,
    #[serde(rename = "VIFs")]
    pub vifs: Vec<String>,
    pub consoles: Vec<String>,
    pub metrics: String,
    #[serde(rename = "HVM_boot_policy")]
    pub boot_policy: String,
    #[serde(rename = "HVM_boot_params")]
    pub boot_params: Map,
    #[serde(deserialize_with = "integer")]
    pub memory_static_min: i64,
    #[serde(deserialize_with = "integer")]
    pub memory_static_max: i64,
    #[serde(rename = "VCPUs_max", deserialize_with = "integer")]
    pub cpus: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VmMetrics {
    pub start_time: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Console {
    pub protocol: String,
    pub location: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Task {
    pub status: String,
    pub result: String,
    pub error_info: Vec<String>,
    pub name_description: String,
    pub other_config: Map,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionRecord {
    pub is_local_superuser: bool,
    pub rbac_permissions: Vec<String>,
}

/// Where a disk is served by NBD.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NbdPlace {
    pub exportname: String,
    pub address: String,
    #[serde(deserialize_with = "integer")]
    pub port: i64,
    pub cert: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_text_and_as_numbers_and_fields_may_be_missing() {
        let vdi: Vdi = one(serde_json::json!({"virtual_size": "9223372036854775807", "unknown": 1})).unwrap();
        assert_eq!((vdi.size(), vdi.physical_utilisation, vdi.cbt_enabled), (i64::MAX as u64, 0, false));
        let vdi: Vdi = one(serde_json::json!({"virtual_size": 512, "physical_utilisation": "-1"})).unwrap();
        assert_eq!((vdi.size(), vdi.physical_utilisation), (512, -1));
        assert!(one::<Vdi>(serde_json::json!({"virtual_size": "much"})).is_err());
    }

    #[test]
    fn storage_that_does_not_tell_its_size_has_no_free_space_to_tell() {
        let sr =
            |physical_size, physical_utilisation| Sr { physical_size, physical_utilisation, ..Sr::default() };
        assert_eq!([sr(100, 40).free(), sr(100, 140).free(), sr(-1, -1).free()], [Some(60), Some(0), None]);
    }
}
