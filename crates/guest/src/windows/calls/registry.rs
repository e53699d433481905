//! The registry: the machine's part of it (`HKEY_LOCAL_MACHINE`), as 64-bit programs see it. It is read, and keys are removed.

use super::{narrow, wide};
use std::io;
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_PATH_NOT_FOUND, ERROR_SUCCESS,
};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_READ, KEY_WOW64_64KEY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ,
    RegCloseKey, RegDeleteTreeW, RegEnumValueW, RegFlushKey, RegOpenKeyExW, RegQueryValueExW,
};

/// Longest name of a value, with its end mark.
const NAME: usize = 16384;
/// Most that a value is let to be, in bytes.
const LIMIT: usize = 16 << 20;
/// Most values of a key that are read.
const VALUES: u32 = 4096;

/// An open key.
pub struct Key(HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key was opened by `open`, and nobody else closes it.
        unsafe { RegCloseKey(self.0) };
    }
}

/// A value's kind and bytes.
type Value = (u32, Vec<u8>);

fn failed(error: u32) -> io::Error {
    io::Error::from_raw_os_error(error.cast_signed())
}

/// Removes a key with all that is in it. One that is not there is fine.
pub fn remove(path: &str) -> io::Result<()> {
    let path = wide(path);
    // SAFETY: the path ends with its mark and lives longer than the call.
    match unsafe { RegDeleteTreeW(HKEY_LOCAL_MACHINE, path.as_ptr()) } {
        ERROR_SUCCESS | ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => Ok(()),
        error => Err(failed(error)),
    }
}

impl Key {
    /// Opens a key, if it is there.
    pub fn open(path: &str) -> io::Result<Option<Self>> {
        let path = wide(path);
        let mut key = null_mut();
        let access = KEY_READ | KEY_WOW64_64KEY;
        // SAFETY: the path ends with its mark; the key is written to a place that lives longer than the call.
        match unsafe { RegOpenKeyExW(HKEY_LOCAL_MACHINE, path.as_ptr(), 0, access, &mut key) } {
            ERROR_SUCCESS => Ok(Some(Self(key))),
            ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => Ok(None),
            error => Err(failed(error)),
        }
    }

    /// Returns once what was changed in the hive of this key is on the disk.
    pub fn flush(&self) -> io::Result<()> {
        // SAFETY: the key is open.
        match unsafe { RegFlushKey(self.0) } {
            ERROR_SUCCESS => Ok(()),
            error => Err(failed(error)),
        }
    }

    /// Whether there is a value of this name.
    pub fn has(&self, name: &str) -> io::Result<bool> {
        Ok(self.value(name)?.is_some())
    }

    /// A number, if it is there and is one.
    pub fn number(&self, name: &str) -> io::Result<Option<u32>> {
        let number = |(kind, bytes): Value| {
            let bytes = <[u8; 4]>::try_from(bytes).ok().filter(|_| kind == REG_DWORD)?;
            Some(u32::from_le_bytes(bytes))
        };
        Ok(self.value(name)?.and_then(number))
    }

    /// A text, if it is there and is one.
    pub fn text(&self, name: &str) -> io::Result<Option<String>> {
        Ok(self.value(name)?.and_then(|value| text(&value)))
    }

    /// A list of texts; empty if it is not there, or is something else. Texts in the middle may be empty.
    pub fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        let Some((REG_MULTI_SZ, bytes)) = self.value(name)? else { return Ok(Vec::new()) };
        let units = units(&bytes);
        let mut texts: Vec<_> = units.split(|unit| *unit == 0).map(String::from_utf16_lossy).collect();
        // Each text ends with a mark, and the list with one more: what follows them is no text.
        for _ in 0..2 {
            if texts.last().is_some_and(String::is_empty) {
                texts.pop();
            }
        }
        Ok(texts)
    }

    /// All values that are texts, with their names.
    pub fn values(&self) -> io::Result<Vec<(String, String)>> {
        let mut values = Vec::new();
        for index in 0..VALUES {
            let mut name = vec![0; NAME];
            let mut length = NAME as u32;
            // SAFETY: the buffer of the name is as long as is said; nothing else is asked for.
            let got = unsafe {
                RegEnumValueW(
                    self.0,
                    index,
                    name.as_mut_ptr(),
                    &mut length,
                    null(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                )
            };
            match got {
                ERROR_SUCCESS => {}
                ERROR_NO_MORE_ITEMS => break,
                error => return Err(failed(error)),
            }
            let name = narrow(&name);
            let value = self.value(&name)?.and_then(|value| text(&value)).unwrap_or_default();
            values.push((name, value));
        }
        Ok(values)
    }

    fn value(&self, name: &str) -> io::Result<Option<Value>> {
        let name = wide(name);
        let mut bytes = vec![0; 1024];
        loop {
            let (mut kind, mut length) = (0, bytes.len() as u32);
            // SAFETY: the name ends with its mark, the buffer is as long as is said, the rest lives longer.
            let got = unsafe {
                RegQueryValueExW(self.0, name.as_ptr(), null(), &mut kind, bytes.as_mut_ptr(), &mut length)
            };
            match got {
                ERROR_SUCCESS => {
                    bytes.truncate(length as usize);
                    return Ok(Some((kind, bytes)));
                }
                ERROR_FILE_NOT_FOUND => return Ok(None),
                ERROR_MORE_DATA if bytes.len() < LIMIT => bytes.resize(bytes.len() * 4, 0),
                error => return Err(failed(error)),
            }
        }
    }
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn text((kind, bytes): &Value) -> Option<String> {
    [REG_SZ, REG_EXPAND_SZ].contains(kind).then(|| narrow(&units(bytes)))
}
