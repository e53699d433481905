//! QEMU's command line.
//!
//! ```text
//!   virtio-blk ── disk: qcow2 overlay.qcow2 ── backing: nbd disk.sock (read-only, the export)
//!                 discard, detect-zeroes: unmap         reconnects; requests wait
//! ```
//!
//! The CD drive is an old IDE one: every Windows has its driver, and so have kernels that are cut down for clouds, which
//! know neither AHCI nor USB.
//!
//! The backing is given here and not left to the name in the overlay's header, so that the connection is made with
//! a reconnect delay. A finished shutdown means that the changes are in the overlay: QEMU flushes it when it ends.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::firmware::Uefi;
use crate::Tag;

/// How long the guest's reads wait for an export that went away, before they fail and the guest is paused.
const RECONNECT_SECONDS: u32 = 300;

/// All that a machine is started with.
pub(super) struct Plan {
    pub(super) tag: Tag,
    pub(super) name: String,
    pub(super) memory_mib: u32,
    pub(super) cpus: u32,
    pub(super) is_kvm: bool,
    /// The firmware and the machine's own variables; none for BIOS.
    pub(super) uefi: Option<(Uefi, PathBuf)>,
    pub(super) overlay: PathBuf,
    /// What is in the CD drive when it starts.
    pub(super) cd: Option<PathBuf>,
    pub(super) disk_socket: PathBuf,
    pub(super) qmp_socket: PathBuf,
    pub(super) vnc_socket: PathBuf,
    pub(super) serial_log: PathBuf,
    /// Of the second serial port.
    pub(super) port_log: PathBuf,
    /// Port of 127.0.0.1 that leads to the guest's port 22.
    pub(super) ssh_port: Option<u16>,
}

/// Whether a command line is that of the machine with this tag.
pub(super) fn is_machine(args: &[String], tag: &Tag) -> bool {
    args.windows(2).any(|pair| pair[0] == "-uuid" && pair[1] == tag.as_str())
}

const FORWARD: &str = "hostfwd=tcp:127.0.0.1:";

/// The SSH port that a running machine was started with.
pub(super) fn ssh_port(args: &[String]) -> Option<u16> {
    args.iter().find_map(|arg| arg.split_once(FORWARD)?.1.split_once('-')?.0.parse().ok())
}

/// The arguments after the program.
pub(super) fn arguments(plan: &Plan) -> Vec<String> {
    let mut args = Arguments(Vec::new());
    identity(&mut args, plan);
    computer(&mut args, plan);
    disk(&mut args, plan);
    cd(&mut args, plan);
    devices(&mut args, plan);
    args.0
}

struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, option: &str) {
        self.0.push(option.to_owned());
    }
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

fn identity(args: &mut Arguments, plan: &Plan) {
    args.put("-name", format!("guest={}", escaped(&plan.name)));
    args.put("-uuid", plan.tag.as_str());
    args.flag("-no-user-config");
    args.flag("-nodefaults");
    args.put("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    args.put("-msg", "timestamp=on");
    args.put("-qmp", format!("unix:{},server=on,wait=off", escaped(plan.qmp_socket.display())));
}

fn computer(args: &mut Arguments, plan: &Plan) {
    let (accelerator, cpu) = if plan.is_kvm { ("kvm", "host") } else { ("tcg,thread=multi", "max") };
    let mut machine = "q35".to_owned();
    if let Some((uefi, variables)) = &plan.uefi {
        machine.push_str(",pflash0=firmware,pflash1=variables");
        let flash = |name: &str, path: &PathBuf, read_only: bool| {
            json!({ "node-name": name, "driver": "raw", "read-only": read_only,
                    "file": { "driver": "file", "filename": path } })
        };
        args.put_json("-blockdev", &flash("firmware", &uefi.code, true));
        args.put_json("-blockdev", &flash("variables", variables, false));
    }
    args.put("-machine", machine);
    args.put("-accel", accelerator);
    args.put("-cpu", cpu);
    args.put("-m", format!("{}M", plan.memory_mib));
    args.put("-smp", plan.cpus.to_string());
}

fn disk(args: &mut Arguments, plan: &Plan) {
    args.put_json(
        "-blockdev",
        &json!({ "node-name": "origin", "driver": "nbd", "read-only": true,
                 "server": { "type": "unix", "path": plan.disk_socket },
                 "reconnect-delay": RECONNECT_SECONDS }),
    );
    args.put_json(
        "-blockdev",
        &json!({ "node-name": "disk", "driver": "qcow2", "backing": "origin",
                 "discard": "unmap", "detect-zeroes": "unmap",
                 "file": { "driver": "file", "filename": plan.overlay, "discard": "unmap" } }),
    );
    // An error stops the machine instead of reaching the guest: a full disk can be mended and the guest goes on.
    args.put("-device", "virtio-blk-pci,drive=disk,bootindex=0,werror=stop,rerror=stop");
}

/// Name of the CD drive in QEMU.
pub(super) const CD: &str = "cd";

fn cd(args: &mut Arguments, plan: &Plan) {
    args.put("-device", "piix3-ide,id=ide");
    let mut drive = format!("ide-cd,id={CD},bus=ide.0");
    if let Some(image) = &plan.cd {
        let file = json!({ "driver": "file", "filename": image });
        args.put_json(
            "-blockdev",
            &json!({ "node-name": "files", "driver": "raw", "read-only": true, "file": file }),
        );
        drive.push_str(",drive=files");
    }
    args.put("-device", drive);
}

fn devices(args: &mut Arguments, plan: &Plan) {
    let forward = plan.ssh_port.map(|port| format!(",{FORWARD}{port}-:22")).unwrap_or_default();
    args.put("-netdev", format!("user,id=net{forward}"));
    // No boot ROM: the machine starts from its disk or not at all.
    args.put("-device", "virtio-net-pci,netdev=net,romfile=");
    args.put("-device", "virtio-rng-pci");
    for (port, log) in [("serial", &plan.serial_log), ("port", &plan.port_log)] {
        args.put("-chardev", format!("file,id={port},append=on,path={}", escaped(log.display())));
        args.put("-serial", format!("chardev:{port}"));
    }
    args.put("-vga", "std");
    args.put("-vnc", format!("unix:{}", escaped(plan.vnc_socket.display())));
    // A tablet knows absolute positions, without which a pointer seen by VNC drifts.
    args.put("-device", "qemu-xhci");
    args.put("-device", "usb-tablet");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            tag: Tag::parse("0198b2c4-0000-7000-8000-000000000001").unwrap(),
            name: "disk-2026".to_owned(),
            memory_mib: 512,
            cpus: 3,
            is_kvm: false,
            uefi: None,
            overlay: "/m/overlay.qcow2".into(),
            cd: None,
            disk_socket: "/m/disk.sock".into(),
            qmp_socket: "/m/qmp.sock".into(),
            vnc_socket: "/m/vnc.sock".into(),
            serial_log: "/m/serial.log".into(),
            port_log: "/m/port.log".into(),
            ssh_port: Some(40022),
        }
    }

    fn value<'a>(args: &'a [String], option: &str) -> &'a str {
        &args[args.iter().position(|a| a == option).unwrap() + 1]
    }

    #[test]
    fn a_machine_is_known_by_its_whole_tag_behind_uuid() {
        let (plan, args) = (plan(), arguments(&plan()));
        assert!(is_machine(&args, &plan.tag));
        let other = Tag::parse("0198b2c4-0000-7000-8000-000000000002").unwrap();
        assert!(!is_machine(&args, &other));
        let viewer = ["tail".to_owned(), format!("/m/{}/serial.log", plan.tag)];
        assert!(!is_machine(&viewer, &plan.tag));
    }

    #[test]
    fn the_ssh_port_is_read_back_from_the_command_line() {
        assert_eq!(ssh_port(&arguments(&plan())), Some(40022));
        assert_eq!(ssh_port(&arguments(&Plan { ssh_port: None, ..plan() })), None);
    }

    #[test]
    fn commas_in_names_and_paths_do_not_become_options() {
        let args =
            arguments(&Plan { name: "a,process=b".into(), vnc_socket: "/x,y/vnc.sock".into(), ..plan() });
        assert_eq!(value(&args, "-name"), "guest=a,,process=b");
        assert_eq!(value(&args, "-vnc"), "unix:/x,,y/vnc.sock");
    }

    #[test]
    fn every_machine_has_a_cd_drive_and_what_lies_in_it_is_there_from_the_start() {
        let drive = |plan: &Plan| arguments(plan).into_iter().find(|arg| arg.starts_with("ide-cd")).unwrap();
        assert_eq!(drive(&plan()), "ide-cd,id=cd,bus=ide.0");
        let full = Plan { cd: Some("/m/a,b/cd.iso".into()), ..plan() };
        assert_eq!(drive(&full), "ide-cd,id=cd,bus=ide.0,drive=files");
        let image = arguments(&full).into_iter().find(|arg| arg.contains("cd.iso")).unwrap();
        assert!(
            image.contains(r#""filename":"/m/a,b/cd.iso""#) && image.contains(r#""read-only":true"#),
            "{image}"
        );
    }

    #[test]
    fn only_uefi_brings_flash() {
        assert!(!arguments(&plan()).iter().any(|a| a.contains("pflash")));
        let uefi = Uefi { code: "/code.fd".into(), new_variables: "/vars.fd".into() };
        let args = arguments(&Plan { uefi: Some((uefi, "/m/efi-variables.fd".into())), ..plan() });
        assert_eq!(value(&args, "-machine"), "q35,pflash0=firmware,pflash1=variables");
        assert!(!args.iter().any(|a| a.contains("/vars.fd")), "the shared variables are never opened");
    }
}
