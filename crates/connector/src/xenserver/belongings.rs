//! What of ours is on the pool, and what people made of it: a copy carries all that is written on its original.
//!
//! | | is ours |
//! |---|---|
//! | machine | when `shale:self` is its own UUID |
//! | snapshot of a machine | when that machine is ours |
//! | disk | when it carries our marks, and no machine of others has it |

use std::collections::BTreeMap;

use serde_json::json;

use super::pool::Pool;
use super::record::{self, Vdi, Vm};
use super::{labels, machine};
use crate::{Result, Tag};

/// Machines, and disks that carry our mark, as they were at one moment.
pub(super) struct Belongings {
    owner: Tag,
    /// By reference.
    pub disks: BTreeMap<String, Vdi>,
    /// Everybody's, by reference.
    machines: BTreeMap<String, Vm>,
}

impl Belongings {
    /// What there is now.
    pub fn seen(pool: &Pool) -> Result<Self> {
        let owner = pool.owner()?;
        // Disks first: one that a machine takes in between is known to be taken.
        let mut disks: BTreeMap<String, Vdi> = record::all(pool.call("VDI.get_all_records", &[])?)?;
        disks.retain(|_, vdi| labels::is_owned(&vdi.other_config, &owner));
        let machines = record::all(pool.call("VM.get_all_records", &[])?)?;
        Ok(Self { owner, disks, machines })
    }

    /// Our machines and their snapshots, with their tags; snapshots first.
    pub fn machines(&self) -> Vec<(&str, &Vm, Tag)> {
        let ours = self.machines.iter().filter_map(|(at, vm)| Some((at.as_str(), vm, self.tag_of(vm)?)));
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by_key(|(_, vm, _)| !vm.is_a_snapshot);
        ours
    }

    /// Images that are whole, with their tags. One that somebody made a template of is theirs.
    pub fn images(&self) -> Vec<(&str, &Vm, Tag)> {
        let is_image = |vm: &Vm| !vm.is_a_snapshot && labels::is_image(&vm.other_config);
        self.machines().into_iter().filter(|(_, vm, _)| is_image(vm)).collect()
    }

    /// The image with this tag, also where it was made a template.
    pub fn published(&self, tag: &Tag) -> Option<(&str, &Vm)> {
        let is_it = |vm: &Vm| {
            let config = &vm.other_config;
            !vm.is_a_snapshot
                && labels::is_owned(config, &self.owner)
                && labels::has_tag(config, tag)
                && labels::is_itself(config, &vm.uuid)
        };
        self.machines.iter().find(|(_, vm)| is_it(vm)).map(|(at, vm)| (at.as_str(), vm))
    }

    /// Whether there are snapshots of a machine.
    pub fn has_snapshots(&self, machine: &str) -> bool {
        self.machines.values().any(|vm| vm.is_a_snapshot && vm.snapshot_of == machine)
    }

    fn tag_of(&self, vm: &Vm) -> Option<Tag> {
        let itself = if vm.is_a_snapshot { self.machines.get(&vm.snapshot_of)? } else { vm };
        machine::tag_of(itself, &self.owner)
    }

    /// Packaging disks and their snapshots, with their tags; snapshots first. Those that people copied with a machine are
    /// theirs.
    pub fn packaging_disks(&self) -> Vec<(&str, &Vdi, Tag)> {
        let tagged = self.disks.iter().filter(|(_, vdi)| !self.is_held_by_others(vdi));
        let mut tagged: Vec<_> = tagged
            .filter_map(|(at, vdi)| Some((at.as_str(), vdi, labels::tag(&vdi.other_config)?)))
            .collect();
        tagged.sort_by_key(|(_, vdi, _)| !vdi.is_a_snapshot);
        tagged
    }

    /// The CDs of the machine with this tag, whole or not.
    pub fn cds(&self, tag: &Tag) -> Vec<String> {
        let is_cd = |vdi: &Vdi| vdi.other_config.contains_key(labels::CD) && !vdi.is_a_snapshot;
        let tagged = self.packaging_disks().into_iter().filter(|(_, vdi, found)| found == tag && is_cd(vdi));
        tagged.map(|(reference, _, _)| reference.to_owned()).collect()
    }

    /// Whether a machine has the disk that is neither ours nor a control domain.
    pub fn is_held_by_others(&self, vdi: &Vdi) -> bool {
        let has_it = |vm: &Vm| vm.vbds.iter().any(|vbd| vdi.vbds.contains(vbd));
        self.machines.values().any(|vm| has_it(vm) && !vm.is_control_domain && self.tag_of(vm).is_none())
    }
}

/// The reference of the disk that a machine boots from: that of its device 0.
pub(super) fn boot_disk(pool: &Pool, vm: &Vm) -> Result<Option<String>> {
    for vbd in &vm.vbds {
        let vbd: record::Vbd = record::one(pool.call("VBD.get_record", &[json!(vbd)])?)?;
        if vbd.kind == "Disk" && vbd.userdevice == "0" && vbd.vdi != record::NOTHING {
            return Ok(Some(vbd.vdi));
        }
    }
    Ok(None)
}
