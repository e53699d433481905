//! What an administrator may set for machines in a XenServer or XCP-ng pool.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::trust::Fingerprint;
use crate::{Error, ErrorKind, Field, Input, Result};

/// What can be set, for people.
pub const FIELDS: &[Field] = &[
    Field {
        name: "address",
        label: "Address",
        input: Input::Text,
        required: true,
        default: None,
        help: "Name or IP address of any host of the pool, with a port if it is not 443. The pool's coordinator is found \
               from there, and found again when it changes.",
    },
    Field {
        name: "user",
        label: "User name",
        input: Input::Text,
        required: true,
        default: None,
        help: "A user of the pool with the role VM Admin, or VM Power Admin if memory is to be set here.",
    },
    Field {
        name: "password",
        label: "Password",
        input: Input::Secret,
        required: true,
        default: None,
        help: "The user's password.",
    },
    Field {
        name: "fingerprint",
        label: "Certificate fingerprint",
        input: Input::Text,
        required: false,
        default: Some(""),
        help: "SHA-256 of the host's certificate in hexadecimal. Empty: the certificate must be signed by an authority \
               that this server trusts. The connector's test shows the fingerprint of a certificate that is not.",
    },
    Field {
        name: "template",
        label: "Template",
        input: Input::Found,
        required: true,
        default: None,
        help: "Name or UUID of a template of your own without disks and with at least one network interface. Networks, \
               firmware, folder and tags of machines come from it.",
    },
    Field {
        name: "storage_repository",
        label: "Storage repository",
        input: Input::Found,
        required: true,
        default: None,
        help: "Name or UUID of the storage that disks are kept on.",
    },
    Field {
        name: "https_transfers",
        label: "HTTPS for transfers",
        input: Input::Flag,
        required: false,
        default: Some("true"),
        help: "Whether the contents of disks travel encrypted. Without, they and the session travel in the clear, two to \
               three times as fast.",
    },
    Field {
        name: "memory_mib",
        label: "Memory (MiB)",
        input: Input::Number,
        required: false,
        default: Some("0"),
        help: "Memory of each packaging machine, 128 to 1572864; 0: as the template says.",
    },
    Field {
        name: "cpus",
        label: "CPUs",
        input: Input::Number,
        required: false,
        default: Some("0"),
        help: "CPUs of each packaging machine, 1 to 64; 0: as the template says.",
    },
    Field {
        name: "power_on",
        label: "Power on",
        input: Input::Flag,
        required: false,
        default: Some("true"),
        help: "Whether a packaging machine is powered on as soon as it is made.",
    },
    Field {
        name: "base_disk_cache_gib",
        label: "Base disk cache (GiB)",
        input: Input::Number,
        required: false,
        default: Some("100"),
        help: "How much space base disks that are kept for the next machine may take on the storage. 0: none is kept.",
    },
    Field {
        name: "allow_plain_http",
        label: "Allow plain HTTP",
        input: Input::Flag,
        required: false,
        default: Some("false"),
        help: "Whether an address that begins with http:// is taken. The password then travels in the clear: for test \
               beds only.",
    },
];

/// The configuration of a `xenserver` connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Any host of the pool: `host`, `host:port`, `https://host`.
    pub address: String,
    /// A user of the pool.
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// SHA-256 of the host's certificate in hexadecimal, several divided by commas; empty when it is to be verified.
    pub fingerprint: String,
    /// Name or UUID.
    pub template: String,
    /// Name or UUID.
    pub storage_repository: String,
    /// Whether disks travel by HTTPS.
    pub https_transfers: bool,
    /// Memory of a machine in MiB; 0: as the template says.
    pub memory_mib: u32,
    /// CPUs of a machine; 0: as the template says.
    pub cpus: u32,
    /// Whether a machine is powered on as soon as it is made.
    pub power_on: bool,
    /// Room for base disks in GiB.
    pub base_disk_cache_gib: u32,
    /// Whether `http://` is taken.
    pub allow_plain_http: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: String::new(),
            user: String::new(),
            password: Secret::default(),
            fingerprint: String::new(),
            template: String::new(),
            storage_repository: String::new(),
            https_transfers: true,
            memory_mib: 0,
            cpus: 0,
            power_on: true,
            base_disk_cache_gib: 100,
            allow_plain_http: false,
        }
    }
}

impl Settings {
    /// The settings, if they can be. Template and storage may be missing still: to choose them, one must be connected.
    pub(super) fn checked(self) -> Result<Self> {
        self.address()?;
        self.pins()?;
        if self.user.is_empty() {
            return wrong("user is empty: name a user of the pool".into());
        }
        if self.memory_mib != 0 && !(128..=1_572_864).contains(&self.memory_mib) {
            return wrong(format!("memory_mib is {}; it must be 128 to 1572864, or 0", self.memory_mib));
        }
        if self.cpus > 64 {
            return wrong(format!("cpus is {}; it must be 1 to 64, or 0", self.cpus));
        }
        Ok(self)
    }

    /// Where the pool is asked first.
    pub(super) fn address(&self) -> Result<Address> {
        let address = Address::parse(&self.address)?;
        if !address.tls && !self.allow_plain_http {
            return wrong(format!(
                "address is '{}', over which the password would travel in the clear: use https://",
                self.address
            ));
        }
        Ok(address)
    }

    /// The certificates that are trusted by their fingerprint.
    pub(super) fn pins(&self) -> Result<Vec<Fingerprint>> {
        let listed =
            self.fingerprint.split([',', ';', ' ', '\n']).map(str::trim).filter(|text| !text.is_empty());
        listed.map(Fingerprint::parse).collect()
    }
}

fn wrong<T>(what: String) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings> {
        let base = r#""address":"xen1","user":"root","password":"pw""#;
        serde_json::from_str::<Settings>(&format!("{{{base}{text}}}")).unwrap().checked()
    }

    #[test]
    fn the_fields_told_to_people_are_the_settings_with_their_defaults() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        let told = FIELDS.iter().map(|f| (f.name.to_owned(), f.default.unwrap_or("").to_owned()));
        let text = |value: &serde_json::Value| value.to_string().trim_matches('"').to_owned();
        let real = settings.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value)));
        let sorted = |all: Vec<(String, String)>| std::collections::BTreeMap::from_iter(all);
        assert_eq!(sorted(told.collect()), sorted(real.collect()));
    }

    #[test]
    fn unknown_and_absurd_settings_are_refused() {
        assert!(settings("").is_ok());
        assert!(serde_json::from_str::<Settings>(r#"{"pasword":"x"}"#).is_err());
        for bad in [
            r#","address":"""#,
            r#","user":"""#,
            r#","memory_mib":64"#,
            r#","cpus":65"#,
            r#","fingerprint":"12:34""#,
            r#","address":"http://xen1""#,
        ] {
            let text = format!(r#"{{"address":"xen1","user":"root","password":"pw"{bad}}}"#);
            let parsed = serde_json::from_str::<serde_json::Value>(&text).unwrap();
            let settings: Settings = serde_json::from_value(parsed).unwrap();
            assert_eq!(settings.checked().unwrap_err().kind(), ErrorKind::Unsupported, "{bad}");
        }
        assert!(settings(r#","allow_plain_http":true"#).is_ok());
    }

    #[test]
    fn a_password_is_not_in_what_is_printed_of_settings() {
        let told = format!("{:?}", Settings { password: Secret("hunter2".into()), ..Settings::default() });
        assert!(!told.contains("hunter2") && told.contains("(secret)"), "{told}");
    }
}
