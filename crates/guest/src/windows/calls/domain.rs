//! Membership of a domain.

use super::narrow;
use std::io;
use std::ptr::{null, null_mut};
use windows_sys::Win32::NetworkManagement::NetManagement::{
    NetApiBufferFree, NetGetJoinInformation, NetSetupDomainName,
};

/// Longest name of a domain that is read, in units of UTF-16: Windows itself takes no longer one.
const NAME: usize = 256;

/// The domain that the machine is a member of. Nothing is sent for it: Windows looks into its own policy, the same that is on its
/// disk as `SECURITY\Policy\PolPrDm…`, which an administrator may not read.
pub fn membership() -> io::Result<Option<String>> {
    let (mut name, mut status) = (null_mut(), 0);
    // SAFETY: no server is named; both are written to places that live longer than the call.
    let error = unsafe { NetGetJoinInformation(null(), &mut name, &mut status) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    if name.is_null() {
        return Ok(None);
    }
    let mut units = Vec::new();
    for at in 0..NAME {
        // SAFETY: the text ends with a mark, and nothing behind that is read.
        match unsafe { *name.add(at) } {
            0 => break,
            unit => units.push(unit),
        }
    }
    // SAFETY: it was allocated by the call above, and is not used any more.
    unsafe { NetApiBufferFree(name.cast()) };
    Ok((status == NetSetupDomainName).then(|| narrow(&units)))
}
