//! The formats by name.

use std::fmt;
use std::str::FromStr;

use crate::{Error, error::unsupported};

/// A disk format. The text names are stable: API, CLI and configuration use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Bytes as they are.
    Raw,
    /// VHD, dynamic (on reading also differencing).
    Vhd,
    /// VHD, fixed: the bytes and a footer.
    VhdFixed,
    /// VHDX, dynamic.
    Vhdx,
    /// VMDK, monolithicSparse.
    Vmdk,
    /// VMDK, streamOptimized: compressed, what OVA holds.
    VmdkStream,
    /// qcow2, plain clusters.
    Qcow2,
    /// qcow2, zstd clusters.
    Qcow2Compressed,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] = [
        Self::Raw,
        Self::Vhd,
        Self::VhdFixed,
        Self::Vhdx,
        Self::Vmdk,
        Self::VmdkStream,
        Self::Qcow2,
        Self::Qcow2Compressed,
    ];

    /// The stable text name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::VhdFixed => "vhd-fixed",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::VmdkStream => "vmdk-stream",
            Self::Qcow2 => "qcow2",
            Self::Qcow2Compressed => "qcow2-compressed",
        }
    }

    /// The file extension people expect, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd | Self::VhdFixed => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk | Self::VmdkStream => "vmdk",
            Self::Qcow2 | Self::Qcow2Compressed => "qcow2",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|f| f.name()).collect();
            unsupported(format!("no disk format is called '{s}': choose one of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_formats_and_others_are_refused() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert!("vdi".parse::<Format>().unwrap_err().to_string().contains("vhd-fixed"));
    }
}
