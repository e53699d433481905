//! Which sets of references are the other side of a reference.

/// `to.set` holds every object of `from` whose `field` refers to it.
pub(super) struct Relation {
    pub from: &'static str,
    pub field: &'static str,
    pub to: &'static str,
    pub set: &'static str,
}

const fn relation(from: &'static str, field: &'static str, to: &'static str, set: &'static str) -> Relation {
    Relation { from, field, to, set }
}

pub(super) const RELATIONS: &[Relation] = &[
    relation("VBD", "VM", "VM", "VBDs"),
    relation("VBD", "VDI", "VDI", "VBDs"),
    relation("VIF", "VM", "VM", "VIFs"),
    relation("VIF", "network", "network", "VIFs"),
    relation("VDI", "SR", "SR", "VDIs"),
    relation("VDI", "snapshot_of", "VDI", "snapshots"),
    relation("VM", "snapshot_of", "VM", "snapshots"),
    relation("VM", "parent", "VM", "children"),
    relation("VM", "resident_on", "host", "resident_VMs"),
    relation("PBD", "SR", "SR", "PBDs"),
    relation("PBD", "host", "host", "PBDs"),
    relation("PIF", "network", "network", "PIFs"),
    relation("PIF", "host", "host", "PIFs"),
    relation("console", "VM", "VM", "consoles"),
    relation("task", "subtask_of", "task", "subtasks"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, Kind};

    #[test]
    fn every_relation_is_one_of_the_data_model() {
        for relation in RELATIONS {
            let one = &Facts::get().class(relation.from).field(relation.field).unwrap().kind;
            let many = &Facts::get().class(relation.to).field(relation.set).unwrap().kind;
            assert_eq!(one, &Kind::Ref(relation.to.to_owned()), "{}.{}", relation.from, relation.field);
            let wanted = Kind::Set(Box::new(Kind::Ref(relation.from.to_owned())));
            assert_eq!(many, &wanted, "{}.{}", relation.to, relation.set);
        }
    }
}
