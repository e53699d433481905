//! QEMU's command line.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Settings;
use super::host::{Firmware, has_kvm};

/// Name of the CD drive.
pub(super) const CD: &str = "cd";
/// The serial log in a machine's folder.
pub(super) const SERIAL_LOG: &str = "serial.log";

struct Arguments(Vec<String>);

impl Arguments {
    fn put(&mut self, option: &str, value: impl Into<String>) {
        self.0.extend([option.to_owned(), value.into()]);
    }

    fn put_json(&mut self, option: &str, value: &Value) {
        self.put(option, value.to_string());
    }
}

/// QEMU separates options by commas; one in a value is doubled.
fn escaped(value: impl std::fmt::Display) -> String {
    value.to_string().replace(',', ",,")
}

/// The arguments after the program.
pub(super) fn arguments(settings: &Settings, firmware: &Firmware, vnc: &Path) -> Vec<String> {
    let mut args = Arguments(Vec::new());
    args.put("-name", format!("guest={}", escaped(&settings.name)));
    args.put("-uuid", settings.uuid.to_string());
    args.0.extend(["-no-user-config", "-nodefaults"].map(str::to_owned));
    args.put("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    args.put("-qmp", "stdio");
    if settings.paused {
        args.0.push("-S".to_owned());
    }
    computer(&mut args, settings, firmware);
    drives(&mut args, settings);
    network(&mut args, settings);
    let serial = settings.folder.join(SERIAL_LOG);
    args.put("-chardev", format!("file,id=serial,append=on,path={}", escaped(serial.display())));
    args.put("-serial", "chardev:serial");
    args.put("-vga", "std");
    args.put("-vnc", format!("unix:{}", escaped(vnc.display())));
    // A tablet knows absolute positions, without which a pointer seen by VNC drifts.
    args.put("-device", "qemu-xhci");
    args.put("-device", "usb-tablet");
    args.put("-device", "virtio-rng-pci");
    args.0
}

fn computer(args: &mut Arguments, settings: &Settings, firmware: &Firmware) {
    let mut machine = "q35".to_owned();
    if let Firmware::Uefi { code, variables } = firmware {
        machine.push_str(",pflash0=firmware,pflash1=variables");
        let flash = |name: &str, path: &PathBuf, read_only: bool| {
            json!({ "node-name": name, "driver": "raw", "read-only": read_only,
                    "file": { "driver": "file", "filename": path } })
        };
        args.put_json("-blockdev", &flash("firmware", code, true));
        args.put_json("-blockdev", &flash("variables", variables, false));
    }
    let (accelerator, cpu) = if has_kvm() { ("kvm", "host") } else { ("tcg,thread=multi", "max") };
    args.put("-machine", machine);
    args.put("-accel", accelerator);
    args.put("-cpu", cpu);
    args.put("-m", format!("{}M", (settings.memory >> 20).max(1)));
    args.put("-smp", settings.cpus.max(1).to_string());
}

fn drives(args: &mut Arguments, settings: &Settings) {
    let first_disk = u32::from(settings.cd_first);
    for ((number, drive), boot) in settings.disks.iter().enumerate().zip(first_disk..) {
        // What the guest trims, or fills with zeros, becomes a hole of the file.
        let node = json!({ "node-name": format!("disk{number}"), "driver": "raw", "read-only": drive.read_only,
                           "discard": "unmap", "detect-zeroes": if drive.read_only { "off" } else { "unmap" },
                           "file": { "driver": "file", "filename": drive.path, "discard": "unmap" } });
        args.put_json("-blockdev", &node);
        args.put("-device", format!("virtio-blk-pci,drive=disk{number},bootindex={boot}"));
    }
    let mut cd = format!("ide-cd,id={CD}");
    if let Some(medium) = &settings.cd {
        args.put_json(
            "-blockdev",
            &json!({ "node-name": "medium", "driver": "raw", "read-only": true,
                     "file": { "driver": "file", "filename": medium } }),
        );
        cd.push_str(",drive=medium");
    }
    let boot = if settings.cd_first { 0 } else { settings.disks.len() };
    args.put("-device", format!("{cd},bootindex={boot}"));
}

fn network(args: &mut Arguments, settings: &Settings) {
    for (number, mac) in settings.nics.iter().enumerate() {
        let mut netdev = format!("user,id=net{number}");
        for forward in settings.forwards.iter().filter(|_| number == 0) {
            netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest));
        }
        args.put("-netdev", netdev);
        // No boot ROM: the machine starts from its disks or not at all.
        args.put("-device", format!("virtio-net-pci,netdev=net{number},mac={},romfile=", escaped(mac)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Drive, Forward};
    use super::*;

    fn settings() -> Settings {
        Settings {
            name: "a,process=b".to_owned(),
            uuid: uuid::Uuid::nil(),
            memory: (512 << 20) + 5,
            cpus: 2,
            uefi: false,
            disks: ["/a.raw", "/b.raw"].map(|path| Drive { path: path.into(), read_only: false }).to_vec(),
            cd: None,
            cd_first: false,
            nics: vec!["02:00:00:00:00:01".to_owned(), "02:00:00:00:00:02".to_owned()],
            forwards: vec![Forward { host: 4022, guest: 22 }, Forward { host: 4080, guest: 80 }],
            folder: "/m,n".into(),
            paused: false,
        }
    }

    /// The values of an option that hold `part`.
    fn with<'a>(args: &'a [String], option: &str, part: &str) -> Vec<&'a str> {
        let values = args.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].as_str());
        values.filter(|value| value.contains(part)).collect()
    }

    #[test]
    fn commas_in_names_and_paths_do_not_become_options() {
        let args = arguments(&settings(), &Firmware::Bios, Path::new("/x,y/vnc"));
        assert_eq!(with(&args, "-name", ""), ["guest=a,,process=b"]);
        assert_eq!(with(&args, "-vnc", ""), ["unix:/x,,y/vnc"]);
        assert_eq!(with(&args, "-chardev", ""), ["file,id=serial,append=on,path=/m,,n/serial.log"]);
        assert_eq!(with(&args, "-m", ""), ["512M"]);
    }

    #[test]
    fn the_cd_is_tried_last_unless_it_is_to_be_first() {
        let args = arguments(&settings(), &Firmware::Bios, Path::new("/vnc"));
        assert_eq!(with(&args, "-device", "ide-cd"), ["ide-cd,id=cd,bootindex=2"]);
        assert_eq!(with(&args, "-device", "drive=disk0"), ["virtio-blk-pci,drive=disk0,bootindex=0"]);
        let first = Settings { cd: Some("/cd.iso".into()), cd_first: true, ..settings() };
        let args = arguments(&first, &Firmware::Bios, Path::new("/vnc"));
        assert_eq!(with(&args, "-device", "ide-cd"), ["ide-cd,id=cd,drive=medium,bootindex=0"]);
        assert_eq!(with(&args, "-device", "drive=disk1"), ["virtio-blk-pci,drive=disk1,bootindex=2"]);
    }

    #[test]
    fn ports_are_forwarded_behind_the_first_card_only() {
        let args = arguments(&settings(), &Firmware::Bios, Path::new("/vnc"));
        assert_eq!(
            with(&args, "-netdev", ""),
            ["user,id=net0,hostfwd=tcp:127.0.0.1:4022-:22,hostfwd=tcp:127.0.0.1:4080-:80", "user,id=net1"]
        );
    }

    #[test]
    fn only_uefi_brings_flash() {
        let args = arguments(&settings(), &Firmware::Bios, Path::new("/vnc"));
        assert!(!args.iter().any(|a| a.contains("pflash")));
        let uefi = Firmware::Uefi { code: "/code.fd".into(), variables: "/m/vars.fd".into() };
        let args = arguments(&settings(), &uefi, Path::new("/vnc"));
        assert_eq!(with(&args, "-machine", ""), ["q35,pflash0=firmware,pflash1=variables"]);
    }
}
