//! How large a layer may get.

use crate::{Invalid, Rule};

/// One GiB in bytes; the product counts layer sizes in these.
pub const GIB: u64 = 1 << 30;
/// Max layer size when nobody says one, in GiB.
pub const DEFAULT_GIB: u32 = 100;
/// Smallest max layer size, in GiB.
pub const MIN_GIB: u32 = 1;
/// Largest max layer size, in GiB (64 TiB: what VHDX, the largest of the common formats, can hold).
pub const MAX_GIB: u32 = 65_536;

/// The size in bytes of a new version's disk, from what was asked (GiB) and the base version's disk (bytes).
///
/// Nothing asked: 100 GiB, or the base's own size when that is larger. Layers are thin, so size alone costs
/// nothing. A disk never shrinks: file systems reach to its end.
pub fn layer_size(asked_gib: Option<u32>, base_bytes: u64) -> Result<u64, Invalid> {
    size_of("max layer size", "the base version's disk", asked_gib, base_bytes)
}

/// The size in bytes of a layered image's disk, from what was asked (GiB) and the OS version's disk (bytes): as for a layer.
pub fn image_size(asked_gib: Option<u32>, os_bytes: u64) -> Result<u64, Invalid> {
    size_of("disk size", "the OS version's disk", asked_gib, os_bytes)
}

fn size_of(what: &str, base: &str, asked_gib: Option<u32>, base_bytes: u64) -> Result<u64, Invalid> {
    let Some(gib) = asked_gib else {
        return Ok((u64::from(DEFAULT_GIB) * GIB).max(base_bytes));
    };
    if !(MIN_GIB..=MAX_GIB).contains(&gib) {
        return Err(Invalid::new(
            Rule::SizeRange,
            format!("The {what} is {gib} GiB: choose a size from {MIN_GIB} to {MAX_GIB} GiB."),
        ));
    }
    let bytes = u64::from(gib) * GIB;
    if bytes < base_bytes {
        let least = base_bytes.div_ceil(GIB);
        return Err(Invalid::new(
            Rule::SmallerThanBase,
            format!("The {what} is {gib} GiB, smaller than {base}: choose {least} GiB or more."),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_what_was_asked_or_the_default_or_the_base() {
        assert_eq!(layer_size(None, 0), Ok(100 * GIB));
        assert_eq!(layer_size(None, 100 * GIB + 512), Ok(100 * GIB + 512));
        assert_eq!(layer_size(Some(1), GIB), Ok(GIB));
        assert_eq!(layer_size(Some(65_536), 0), Ok(65_536 * GIB));
    }

    #[test]
    fn a_size_out_of_range_or_below_the_base_is_refused_with_what_to_choose() {
        let text = |asked, base| layer_size(Some(asked), base).unwrap_err().to_string();
        assert_eq!(text(0, 0), "The max layer size is 0 GiB: choose a size from 1 to 65536 GiB.");
        assert_eq!(text(65_537, 0), "The max layer size is 65537 GiB: choose a size from 1 to 65536 GiB.");
        assert_eq!(
            text(20, 20 * GIB + 1),
            "The max layer size is 20 GiB, smaller than the base version's disk: choose 21 GiB or more."
        );
        assert_eq!(layer_size(Some(20), 21 * GIB).unwrap_err().rule(), Rule::SmallerThanBase);
    }
}
