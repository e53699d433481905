//! A program as a service: what it and the service control manager tell each other.

use super::{Handle, wide};
use std::io;
use std::ptr::null_mut;
use std::sync::Mutex;
use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_SERVICE_SPECIFIC_ERROR, NO_ERROR, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Services::{
    RegisterServiceCtrlHandlerExW, SERVICE_CONTROL_INTERROGATE, SERVICE_RUNNING, SERVICE_STATUS,
    SERVICE_STATUS_CURRENT_STATE, SERVICE_STATUS_HANDLE, SERVICE_STOPPED, SERVICE_TABLE_ENTRYW,
    SERVICE_WIN32_OWN_PROCESS, SetServiceStatus, StartServiceCtrlDispatcherW,
};
use windows_sys::Win32::System::Threading::{OpenEventW, SYNCHRONIZATION_SYNCHRONIZE, WaitForSingleObject};
use windows_sys::core::PWSTR;

/// What a service does, until it is started: Windows calls a function that takes nothing of ours.
static WORK: Mutex<Option<fn() -> u32>> = Mutex::new(None);

/// Is the service that this program was started as; its end tells the service control manager `work`'s answer, 0 for success.
/// It takes no orders: what is begun is not stopped in the middle, but by a machine that goes off.
pub fn serve(work: fn() -> u32) -> io::Result<()> {
    if let Ok(mut place) = WORK.lock() {
        *place = Some(work);
    }
    // Of a service in a process of its own the name is not looked at.
    let mut name = wide("");
    let service = SERVICE_TABLE_ENTRYW { lpServiceName: name.as_mut_ptr(), lpServiceProc: Some(main) };
    let table = [service, SERVICE_TABLE_ENTRYW::default()];
    // SAFETY: the table ends with an empty entry, and lives as long as the call, which is as long as the service.
    super::check(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

/// Windows calls it on a thread of its own.
unsafe extern "system" fn main(_: u32, _: *mut PWSTR) {
    let mut name = wide("");
    // SAFETY: the name ends with its mark; the function needs no context.
    let handle = unsafe { RegisterServiceCtrlHandlerExW(name.as_mut_ptr(), Some(control), null_mut()) };
    let work = WORK.lock().ok().and_then(|mut work| work.take());
    let Some(work) = work.filter(|_| !handle.is_null()) else { return };
    tell(handle, SERVICE_RUNNING, 0);
    tell(handle, SERVICE_STOPPED, work());
}

unsafe extern "system" fn control(
    order: u32,
    _: u32,
    _: *mut core::ffi::c_void,
    _: *mut core::ffi::c_void,
) -> u32 {
    // Every service must answer this one.
    if order == SERVICE_CONTROL_INTERROGATE { NO_ERROR } else { ERROR_CALL_NOT_IMPLEMENTED }
}

fn tell(handle: SERVICE_STATUS_HANDLE, state: SERVICE_STATUS_CURRENT_STATE, exit: u32) {
    let status = SERVICE_STATUS {
        dwServiceType: SERVICE_WIN32_OWN_PROCESS,
        dwCurrentState: state,
        dwWin32ExitCode: if exit == 0 { NO_ERROR } else { ERROR_SERVICE_SPECIFIC_ERROR },
        dwServiceSpecificExitCode: exit,
        ..SERVICE_STATUS::default()
    };
    // SAFETY: the handle is the one that Windows gave, and the status is read during the call. A manager that does not
    // listen any more is on its way off.
    unsafe { SetServiceStatus(handle, &status) };
}

/// Whether an event is set; `None`: there is none of that name, or it may not be looked at.
pub fn is_set(name: &str) -> Option<bool> {
    let name = wide(name);
    // SAFETY: the name ends with its mark and lives longer than the call.
    let event = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, name.as_ptr()) };
    if event.is_null() {
        return None;
    }
    let event = Handle(event);
    // SAFETY: the event is open.
    Some(unsafe { WaitForSingleObject(event.0, 0) } == WAIT_OBJECT_0)
}
