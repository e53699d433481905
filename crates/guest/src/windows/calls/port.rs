//! A serial port that is written to.

use super::{check, wide};
use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use windows_sys::Win32::Devices::Communication::{
    BuildCommDCBW, COMMTIMEOUTS, DCB, SetCommState, SetCommTimeouts,
};

/// What Windows has a port at by itself are 1200 baud of 7 bits.
const SETTINGS: &str = "baud=115200 parity=N data=8 stop=1 xon=off odsr=off octs=off dtr=on rts=on";
/// Milliseconds after which a line that nobody takes counts as not taken.
const PATIENCE: u32 = 10_000;

/// Opens a port; an error where there is none. One that does not take our settings is written to as it is.
pub fn open(path: &Path) -> io::Result<File> {
    // Who sets how a port works must be allowed to read.
    let port = File::options().read(true).write(true).open(path)?;
    let _ = set(&port);
    Ok(port)
}

fn set(port: &File) -> io::Result<()> {
    let settings = wide(SETTINGS);
    let mut block = DCB { DCBlength: size_of::<DCB>() as u32, ..DCB::default() };
    // SAFETY: the settings end with their mark, the block says how large it is, and both live longer than the call.
    check(unsafe { BuildCommDCBW(settings.as_ptr(), &mut block) })?;
    let handle = port.as_raw_handle();
    // SAFETY: the port is open, and the block was filled by Windows.
    check(unsafe { SetCommState(handle, &block) })?;
    let limits = COMMTIMEOUTS { WriteTotalTimeoutConstant: PATIENCE, ..COMMTIMEOUTS::default() };
    // SAFETY: the port is open, and the limits are read during the call.
    check(unsafe { SetCommTimeouts(handle, &limits) })
}
