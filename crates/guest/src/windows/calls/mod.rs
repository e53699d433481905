//! The C interface of Windows, wrapped: each function here makes one question or order of it, and decides nothing.

pub mod devices;
pub mod domain;
pub mod drives;
pub mod interrupts;
pub mod port;
pub mod registry;
pub mod services;

use std::io;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_FILE_NOT_FOUND, GetLastError, HANDLE, INVALID_HANDLE_VALUE, LUID,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    SE_SHUTDOWN_NAME, TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
};
use windows_sys::Win32::Storage::FileSystem::{
    GetDiskFreeSpaceExW, MOVEFILE_DELAY_UNTIL_REBOOT, MoveFileExW,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Shutdown::{
    EWX_FORCEIFHUNG, EWX_POWEROFF, EWX_REBOOT, EXIT_WINDOWS_FLAGS, ExitWindowsEx, SHTDN_REASON_FLAG_PLANNED,
    SHTDN_REASON_MAJOR_OPERATINGSYSTEM,
};
use windows_sys::Win32::System::SystemInformation::GetSystemWindowsDirectoryW;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenMutexW, OpenProcessToken, SYNCHRONIZATION_SYNCHRONIZE,
};
use windows_sys::Win32::UI::Shell::IsUserAnAdmin;

/// A process.
pub struct Process {
    /// Its program's name, in small letters.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The number of the one that started it, which may have ended.
    pub parent: u32,
}

/// A handle that is closed when it is no longer needed.
struct Handle(HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle was opened by whoever made this, and nobody else closes it.
        unsafe { CloseHandle(self.0) };
    }
}

/// A text as Windows takes it: UTF-16, with an end mark.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A text as Windows gives it, to its end mark.
fn narrow(text: &[u16]) -> String {
    let end = text.iter().position(|unit| *unit == 0).unwrap_or(text.len());
    String::from_utf16_lossy(&text[..end])
}

/// An error if the function said so with a 0.
fn check(done: i32) -> io::Result<()> {
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The folder of Windows: `C:\Windows`.
pub fn windows_folder() -> PathBuf {
    let mut buffer = [0; 260];
    // SAFETY: the buffer is as long as is said.
    let length = unsafe { GetSystemWindowsDirectoryW(buffer.as_mut_ptr(), buffer.len() as u32) };
    if length == 0 || length as usize >= buffer.len() {
        return PathBuf::from(r"C:\Windows");
    }
    PathBuf::from(narrow(&buffer))
}

/// Whether the program runs as an administrator, with that right in force.
pub fn is_administrator() -> bool {
    // SAFETY: the function takes nothing and has no conditions.
    unsafe { IsUserAnAdmin() != 0 }
}

/// All processes.
pub fn processes() -> io::Result<Vec<Process>> {
    // SAFETY: the function takes numbers only.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let snapshot = Handle(snapshot);
    let mut entry = PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..Default::default() };
    let mut processes = Vec::new();
    // SAFETY: the snapshot is open, and the entry says how large it is.
    check(unsafe { Process32FirstW(snapshot.0, &mut entry) })?;
    loop {
        let name = narrow(&entry.szExeFile).to_lowercase();
        processes.push(Process { name, id: entry.th32ProcessID, parent: entry.th32ParentProcessID });
        // SAFETY: as above.
        if unsafe { Process32NextW(snapshot.0, &mut entry) } == 0 {
            return Ok(processes);
        }
    }
}

/// Whether some process has this mutex.
pub fn mutex_exists(name: &str) -> io::Result<bool> {
    let name = wide(name);
    // SAFETY: the name ends with its mark and lives longer than the call.
    let mutex = unsafe { OpenMutexW(SYNCHRONIZATION_SYNCHRONIZE, 0, name.as_ptr()) };
    if !mutex.is_null() {
        drop(Handle(mutex));
        return Ok(true);
    }
    // SAFETY: the function takes nothing and has no conditions.
    match unsafe { GetLastError() } {
        ERROR_FILE_NOT_FOUND => Ok(false),
        error => Err(io::Error::from_raw_os_error(error.cast_signed())),
    }
}

/// The size of a volume and what is free of it, in bytes.
pub fn space(drive: &str) -> io::Result<(u64, u64)> {
    let drive = wide(drive);
    let (mut size, mut free) = (0, 0);
    // SAFETY: the name ends with its mark; the numbers are written to places that live longer than the call.
    check(unsafe { GetDiskFreeSpaceExW(drive.as_ptr(), null_mut(), &mut size, &mut free) })?;
    Ok((size, free))
}

/// Has a file deleted when Windows starts next: one that runs cannot be deleted before.
pub fn delete_at_next_start(path: &str) -> io::Result<()> {
    let path = wide(path);
    // SAFETY: the path ends with its mark and lives longer than the call; no new name is what asks for this.
    check(unsafe { MoveFileExW(path.as_ptr(), null(), MOVEFILE_DELAY_UNTIL_REBOOT) })
}

/// Begins to shut Windows down, wholly (not to the half-sleep that starts fast), and to power the machine off. Programs
/// may still save their work; those that hang are ended.
pub fn shut_down() -> io::Result<()> {
    leave(EWX_POWEROFF)
}

/// Begins to restart Windows, in the same way.
pub fn restart() -> io::Result<()> {
    leave(EWX_REBOOT)
}

fn leave(how: EXIT_WINDOWS_FLAGS) -> io::Result<()> {
    let mut token = null_mut();
    // SAFETY: the process's own handle needs no closing; the token is written to a place that lives longer.
    check(unsafe {
        OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &mut token)
    })?;
    let token = Handle(token);
    let mut id = LUID::default();
    // SAFETY: the name is Windows' own constant; the number is written to a place that lives longer.
    check(unsafe { LookupPrivilegeValueW(null(), SE_SHUTDOWN_NAME, &mut id) })?;
    let privilege = LUID_AND_ATTRIBUTES { Luid: id, Attributes: SE_PRIVILEGE_ENABLED };
    let privileges = TOKEN_PRIVILEGES { PrivilegeCount: 1, Privileges: [privilege] };
    // SAFETY: the token is open, and there is as much of the list as it says. What was before is not asked for.
    check(unsafe { AdjustTokenPrivileges(token.0, 0, &privileges, 0, null_mut(), null_mut()) })?;
    let reason = SHTDN_REASON_MAJOR_OPERATINGSYSTEM | SHTDN_REASON_FLAG_PLANNED;
    // SAFETY: the function takes numbers only.
    check(unsafe { ExitWindowsEx(how | EWX_FORCEIFHUNG, reason) })
}
