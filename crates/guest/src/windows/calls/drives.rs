//! Drives, by their letters.

use super::{narrow, wide};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use windows_sys::Win32::Storage::FileSystem::{GetLogicalDrives, GetVolumeInformationW};
use windows_sys::Win32::System::Diagnostics::Debug::{SEM_FAILCRITICALERRORS, SetErrorMode};

/// The roots of all drives: `C:\`.
pub fn all() -> Vec<PathBuf> {
    // SAFETY: the function takes nothing and has no conditions.
    let letters = unsafe { GetLogicalDrives() };
    let there = (0..26u8).filter(|at| letters >> at & 1 == 1);
    there.map(|at| PathBuf::from(format!(r"{}:\", char::from(b'A' + at)))).collect()
}

/// From now on a drive without anything in it is an error, and no question to whoever sits at the screen: at a service's nobody does.
pub fn ask_nobody() {
    // SAFETY: the function takes a number, and has no conditions.
    unsafe { SetErrorMode(SEM_FAILCRITICALERRORS) };
}

/// What the volume in a drive is called; `None`: there is none.
pub fn label(root: &Path) -> Option<String> {
    let root = wide(root.to_str()?);
    let mut label = [0; 64];
    // SAFETY: the root ends with its mark, the buffer is as long as is said, nothing else is asked for.
    let got = unsafe {
        GetVolumeInformationW(
            root.as_ptr(),
            label.as_mut_ptr(),
            label.len() as u32,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            0,
        )
    };
    (got != 0).then(|| narrow(&label))
}
