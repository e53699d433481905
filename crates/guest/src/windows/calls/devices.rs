//! Devices by their class, whether they are there or not: the setup interface and the configuration manager.

use super::{check, narrow};
use std::io;
use std::ptr::{null, null_mut};
use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_Get_DevNode_Status, CM_PROB_NEED_RESTART, CR_NO_SUCH_DEVNODE, CR_SUCCESS, DIF_REMOVE, DN_NEED_RESTART,
    HDEVINFO, SETUP_DI_REGISTRY_PROPERTY, SP_DEVINFO_DATA, SPDRP_DEVICEDESC, SPDRP_FRIENDLYNAME,
    SetupDiCallClassInstaller, SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInfo, SetupDiGetClassDevsW,
    SetupDiGetDeviceInstanceIdW, SetupDiGetDeviceRegistryPropertyW,
};
use windows_sys::Win32::Foundation::ERROR_NO_MORE_ITEMS;
use windows_sys::core::GUID;

/// The class of network adapters.
pub const NETWORK: GUID = GUID::from_u128(0x4d36e972_e325_11ce_bfc1_08002be10318);
/// The classes of what a boot disk hangs on: disks, IDE/ATA controllers, SCSI and RAID controllers, volumes.
pub const DISKS: &[GUID] = &[
    GUID::from_u128(0x4d36e967_e325_11ce_bfc1_08002be10318),
    GUID::from_u128(0x4d36e96a_e325_11ce_bfc1_08002be10318),
    GUID::from_u128(0x4d36e97b_e325_11ce_bfc1_08002be10318),
    GUID::from_u128(0x71a27cdd_812a_11d0_bec7_08002be2092f),
];
/// Most devices of a class that are read.
const DEVICES: u32 = 4096;

/// A device.
#[derive(Debug, PartialEq, Eq)]
pub struct Device {
    /// Its instance's identifier: `PCI\VEN_8086&DEV_100E…\3&267A616A&0&18`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What the machine says of it.
    pub state: State,
}

/// What the machine says of a device that is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Present,
    /// It is there, and wants a restart of the machine.
    WantsRestart,
    /// It is not there.
    Absent,
}

/// A list of devices, freed when it is no longer needed.
struct List(HDEVINFO);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list was made by `open`, and nobody else frees it.
        unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

impl List {
    fn open(class: &GUID) -> io::Result<Self> {
        // SAFETY: the class lives longer than the call; no enumerator and no window are named.
        let list = unsafe { SetupDiGetClassDevsW(class, null(), null_mut(), 0) };
        if list == -1 { Err(io::Error::last_os_error()) } else { Ok(Self(list)) }
    }

    fn devices(&self) -> io::Result<Vec<SP_DEVINFO_DATA>> {
        let mut devices = Vec::new();
        for index in 0..DEVICES {
            let mut device =
                SP_DEVINFO_DATA { cbSize: size_of::<SP_DEVINFO_DATA>() as u32, ..Default::default() };
            // SAFETY: the list is open, and the place says how large it is.
            if let Err(error) = check(unsafe { SetupDiEnumDeviceInfo(self.0, index, &mut device) }) {
                let ended = error.raw_os_error() == Some(ERROR_NO_MORE_ITEMS.cast_signed());
                return if ended { Ok(devices) } else { Err(error) };
            }
            devices.push(device);
        }
        Ok(devices)
    }

    fn about(&self, device: &SP_DEVINFO_DATA) -> io::Result<Device> {
        let mut id = [0; 512];
        // SAFETY: the list is open, the device is of it, the buffer is as long as is said.
        check(unsafe {
            SetupDiGetDeviceInstanceIdW(self.0, device, id.as_mut_ptr(), id.len() as u32, null_mut())
        })?;
        let id = narrow(&id);
        let name =
            [SPDRP_FRIENDLYNAME, SPDRP_DEVICEDESC].into_iter().find_map(|which| self.property(device, which));
        Ok(Device { name: name.unwrap_or_else(|| id.clone()), id, state: state(device) })
    }

    fn property(&self, device: &SP_DEVINFO_DATA, which: SETUP_DI_REGISTRY_PROPERTY) -> Option<String> {
        let mut text = [0_u16; 512];
        let size = size_of_val(&text) as u32;
        // SAFETY: the list is open, the device is of it, the buffer is as long as is said. Texts end with a mark, and
        // the buffer is made of marks.
        let got = unsafe {
            let buffer = text.as_mut_ptr().cast();
            SetupDiGetDeviceRegistryPropertyW(self.0, device, which, null_mut(), buffer, size, null_mut())
        };
        (got != 0).then(|| narrow(&text)).filter(|text| !text.is_empty())
    }
}

fn state(device: &SP_DEVINFO_DATA) -> State {
    let (mut status, mut problem) = (0, 0);
    // SAFETY: the numbers are written to places that live longer than the call.
    match unsafe { CM_Get_DevNode_Status(&mut status, &mut problem, device.DevInst, 0) } {
        CR_NO_SUCH_DEVNODE => State::Absent,
        CR_SUCCESS if status & DN_NEED_RESTART != 0 || problem == CM_PROB_NEED_RESTART => State::WantsRestart,
        _ => State::Present,
    }
}

/// All registered devices of a class.
pub fn list(class: &GUID) -> io::Result<Vec<Device>> {
    let list = List::open(class)?;
    list.devices()?.iter().map(|device| list.about(device)).collect()
}

/// Removes a device from the registry, as Device Manager's "Uninstall device" does.
pub fn remove(class: &GUID, id: &str) -> io::Result<()> {
    let list = List::open(class)?;
    for device in list.devices()? {
        if list.about(&device)?.id == id {
            // SAFETY: the list is open, and the device is of it.
            check(unsafe { SetupDiCallClassInstaller(DIF_REMOVE, list.0, &device) })?;
        }
    }
    Ok(())
}
