//! Names of FAT: long ones, in UTF-16, and the short one for DOS that every entry has.
//!
//! ```text
//!   short   eleven bytes, "SHIMX64 EFI"; two bits say that its parts are shown in small letters
//!   long    kept where the name is none that DOS can have, or has both kinds of letters; the short one is then made up: SHIMX6~1
//! ```
//!
//! A short name's bytes above 127 are of a code page that is not told; 437 is taken, as Linux does it.

/// Units of UTF-16 that a name has at most.
pub(super) const LONGEST: usize = 255;
/// Bits of an entry: the name, or the ending, is shown in small letters.
const SMALL_BASE: u8 = 0x08;
const SMALL_ENDING: u8 = 0x10;

const CODE_PAGE: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The eleven bytes.
pub(super) type Short = [u8; 11];

/// A short name as it is shown.
pub(super) fn shown(short: &Short, bits: u8) -> Vec<u16> {
    let part = |bytes: &[u8], small: bool| -> Vec<u16> {
        let length = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        let letter = |byte: &u8| match byte {
            0x80.. => CODE_PAGE.chars().nth(usize::from(byte - 0x80)).map_or(0xfffd, |c| c as u16),
            byte if small => u16::from(byte.to_ascii_lowercase()),
            byte => u16::from(*byte),
        };
        bytes[..length].iter().map(letter).collect()
    };
    let mut bytes = *short;
    // 0xe5 in front would say that the entry is gone.
    if bytes[0] == 0x05 {
        bytes[0] = 0xe5;
    }
    let mut name = part(&bytes[..8], bits & SMALL_BASE != 0);
    let ending = part(&bytes[8..], bits & SMALL_ENDING != 0);
    if !ending.is_empty() {
        name.push(u16::from(b'.'));
        name.extend(ending);
    }
    name
}

/// The short name that says all of a name but the size of its letters; `None`: there is none.
pub(super) fn plain(name: &[u16]) -> Option<Short> {
    let bytes: Vec<u8> = name.iter().map(|unit| u8::try_from(*unit).ok()).collect::<Option<_>>()?;
    let mut parts = bytes.split(|byte| *byte == b'.');
    let (base, ending) = (parts.next()?, parts.next());
    let fits =
        |part: &[u8], most| (1..=most).contains(&part.len()) && part.iter().all(|byte| is_plain(*byte));
    if parts.next().is_some() || !fits(base, 8) || !ending.is_none_or(|ending| fits(ending, 3)) {
        return None;
    }
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    let ending = ending.unwrap_or_default();
    short[8..8 + ending.len()].copy_from_slice(ending);
    short.make_ascii_uppercase();
    Some(short)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

/// Whether these bytes can be a short name; they may come from a layer.
pub(super) fn is_short(short: &Short) -> bool {
    let is_letter =
        |byte: &u8| *byte >= b' ' && !byte.is_ascii_lowercase() && !b"\"*+,./:;<=>?[\\]|\x7f".contains(byte);
    let first = short[0] == 0x05 || (is_letter(&short[0]) && short[0] != b' ' && short[0] != 0xe5);
    first && short[1..].iter().all(is_letter)
}

/// Whether an entry can be given this name.
pub(super) fn is_allowed(name: &[u16]) -> bool {
    let is_letter = |unit: &u16| *unit >= 32 && !(*unit < 128 && b"\"*/:<>?\\|\x7f".contains(&(*unit as u8)));
    let last = name.last().copied().unwrap_or_default();
    (1..=LONGEST).contains(&name.len())
        && name.iter().all(is_letter)
        && last != u16::from(b'.')
        && last != u16::from(b' ')
}

/// A short name for a name, that is not `taken`. `None`: a million are.
pub(super) fn made_up(name: &[u16], taken: impl Fn(&Short) -> bool) -> Option<Short> {
    if let Some(short) = plain(name).filter(|short| !taken(short)) {
        return Some(short);
    }
    let letters = |units: &[u16], most: usize| -> Vec<u8> {
        let kept = units.iter().filter(|unit| **unit != 32 && **unit != u16::from(b'.'));
        let letter = |unit: &u16| match u8::try_from(*unit) {
            Ok(byte) if is_plain(byte) => byte.to_ascii_uppercase(),
            _ => b'_',
        };
        kept.map(letter).take(most).collect()
    };
    let dot = name.iter().rposition(|unit| *unit == u16::from(b'.')).filter(|at| *at > 0);
    let (base, ending) = dot.map_or((name, &[][..]), |at| (&name[..at], &name[at + 1..]));
    let (base, ending) = (letters(base, 8), letters(ending, 3));
    (1..1_000_000u32).find_map(|number| {
        let tail = format!("~{number}");
        let length = base.len().min(8 - tail.len());
        let mut short = [b' '; 11];
        short[..length].copy_from_slice(&base[..length]);
        short[length..length + tail.len()].copy_from_slice(tail.as_bytes());
        short[8..8 + ending.len()].copy_from_slice(&ending);
        (!taken(&short)).then_some(short)
    })
}

/// A name as it is looked for: letters of both sizes are one.
pub(super) fn folded(name: &[u16]) -> Vec<u16> {
    let upper = |unit: &u16| {
        let mut upper = char::from_u32(u32::from(*unit)).into_iter().flat_map(char::to_uppercase);
        match (upper.next(), upper.next()) {
            (Some(one), None) => u16::try_from(one as u32).unwrap_or(*unit),
            _ => *unit,
        }
    };
    name.iter().map(upper).collect()
}

/// What ties a long name to its short one.
pub(super) fn checksum(short: &Short) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(name: &str) -> Vec<u16> {
        name.encode_utf16().collect()
    }

    #[test]
    fn short_names_are_those_that_windows_makes() {
        let made = |name: &str| String::from_utf8(made_up(&wide(name), |_| false).unwrap().to_vec()).unwrap();
        assert_eq!(made("BOOTX64.EFI"), "BOOTX64 EFI");
        assert_eq!(made("shimx64.efi"), "SHIMX64 EFI");
        assert_eq!(made("grubx64-signed.efi"), "GRUBX6~1EFI");
        assert_eq!(made(".config"), "CONFIG~1   ");
        assert_eq!(made("a.b.conf"), "AB~1    CON");
        assert_eq!(made("Gruß an.alle"), "GRU_AN~1ALL");
        let taken = |short: &Short| short.starts_with(b"LONGNA~") && short[7] < b'9';
        assert_eq!(&made_up(&wide("long name"), taken).unwrap(), b"LONGNA~9   ");
        assert!(made_up(&wide("long name"), |_| true).is_none());
    }

    #[test]
    fn a_short_name_is_shown_with_the_letters_its_bits_say() {
        let text = |short: &Short, bits| String::from_utf16(&shown(short, bits)).unwrap();
        assert_eq!(text(b"EFI        ", 0), "EFI");
        assert_eq!(text(b"GRUB    CFG", 0x18), "grub.cfg");
        assert_eq!(text(b"GRUB    CFG", 0x08), "grub.CFG");
        assert_eq!(text(b"\x05\x81A     TXT", 0), "σüA.TXT");
        assert_eq!(CODE_PAGE.chars().count(), 128);
        assert_eq!(checksum(b"ABCDEFGHIJK"), 0xa4);
    }

    proptest! {
        #[test]
        fn a_name_made_up_is_a_short_name_and_a_plain_one_says_the_name(
            name in prop_oneof!["[ -~]{1,20}", "\\PC{1,20}", "[a-zA-Z0-9]{1,8}(\\.[a-zA-Z0-9]{1,3})?"],
        ) {
            let name = wide(&name);
            if is_allowed(&name) {
                let short = made_up(&name, |short| Some(*short) == plain(&name)).unwrap();
                prop_assert!(is_short(&short), "{:?}", short);
                if let Some(short) = plain(&name) {
                    prop_assert_eq!(folded(&shown(&short, 0)), folded(&name));
                }
            }
        }
    }
}
