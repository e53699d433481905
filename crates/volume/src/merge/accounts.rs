//! Users and groups: `/etc/passwd`, `/etc/group`, `/etc/shadow`, `/etc/gshadow`, and their ids.
//!
//! Rules:
//! - A line is known by its first field, and is as the layer left it if the layer changed it, else as it is below.
//! - A group has the members that the layer added besides those it has below, without those that the layer took away.
//! - A user or group that the layer *added* keeps its id unless that is taken below by another one. Then it gets the next
//!   free id of its range (system: 100 to 999, people: from 1000), and what the layer's files say of their owners must be
//!   told the same way: [`Renumbered`].
//! - Names are never changed: two layers that add a user of one name mean the same user.

use std::collections::{BTreeMap, BTreeSet};

use shale_disk::{Error, ErrorKind, Result};

use super::{Records, three_ways};
use crate::delta::{Change, Delta};

/// The four files; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: Vec<u8>,
    /// `/etc/group`.
    pub group: Vec<u8>,
    /// `/etc/shadow`.
    pub shadow: Vec<u8>,
    /// `/etc/gshadow`.
    pub gshadow: Vec<u8>,
}

/// Ids that became others: the layer's to those on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbered {
    /// Users.
    pub users: BTreeMap<u32, u32>,
    /// Groups.
    pub groups: BTreeMap<u32, u32>,
}

/// What a merge makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The files.
    pub accounts: Accounts,
    /// Ids that the layer's entries must be changed to.
    pub renumbered: Renumbered,
    /// Names that both sides changed, to different things.
    pub both: Vec<String>,
}

/// The first id of system accounts that programs' packages add, of people, and behind both.
const SYSTEM: u32 = 100;
const PEOPLE: u32 = 1000;
const NOBODY: u32 = 65534;
const LIMIT: usize = 16 << 20;
/// Field of a group's members, and in its shadow the same.
const MEMBERS: usize = 3;
/// Field of the id, of users and groups; of the user's own group.
const ID: usize = 2;
const OWN_GROUP: usize = 3;

/// Does to `onto` what the layer did to `origin`.
pub fn merge(origin: &Accounts, layer: &Accounts, onto: &Accounts) -> Result<Merged> {
    let origin_groups = lines(&origin.group)?;
    let mut layer_groups = lines(&layer.group)?;
    let onto_groups = lines(&onto.group)?;
    let groups = renumber(&origin_groups, &mut layer_groups, &onto_groups);
    let (origin_users, mut layer_users) = (lines(&origin.passwd)?, lines(&layer.passwd)?);
    let onto_users = lines(&onto.passwd)?;
    let users = renumber(&origin_users, &mut layer_users, &onto_users);
    for (name, line) in &mut layer_users {
        let is_new = !origin_users.iter().any(|(known, _)| known == name);
        if let (true, Some(id)) = (is_new, id(line, OWN_GROUP).and_then(|id| groups.get(&id))) {
            *line = with_field(line, OWN_GROUP, id.to_string().as_bytes());
        }
    }
    let mut both = BTreeSet::new();
    let mut put = |origin: &Records, layer: &Records, onto: &Records, members: Option<usize>| {
        let layer = match members {
            Some(field) => with_members(origin, layer, onto, field),
            None => layer.clone(),
        };
        let (merged, changed) = three_ways(origin, &layer, onto);
        // A group whose members both changed has all of them: no conflict.
        both.extend(changed.into_iter().filter(|_| members.is_none()));
        merged.into_iter().flat_map(|(_, line)| [line, b"\n".to_vec()].concat()).collect::<Vec<u8>>()
    };
    let accounts = Accounts {
        passwd: put(&origin_users, &layer_users, &onto_users, None),
        group: put(&origin_groups, &layer_groups, &onto_groups, Some(MEMBERS)),
        shadow: put(&lines(&origin.shadow)?, &lines(&layer.shadow)?, &lines(&onto.shadow)?, None),
        gshadow: put(
            &lines(&origin.gshadow)?,
            &lines(&layer.gshadow)?,
            &lines(&onto.gshadow)?,
            Some(MEMBERS),
        ),
    };
    let both = both.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()).collect();
    Ok(Merged { accounts, renumbered: Renumbered { users, groups }, both })
}

impl Renumbered {
    /// Changes the owners of what a delta puts.
    pub fn apply(&self, delta: &mut Delta) {
        for change in delta.changes.values_mut() {
            let Change::Put(item) = change else { continue };
            item.facts.owner = *self.users.get(&item.facts.owner).unwrap_or(&item.facts.owner);
            item.facts.group = *self.groups.get(&item.facts.group).unwrap_or(&item.facts.group);
        }
    }
}

fn lines(file: &[u8]) -> Result<Records> {
    if file.len() > LIMIT {
        return Err(Error::new(ErrorKind::Unsupported, "a list of users or groups is longer than 16 MiB"));
    }
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(|line| (fields(line)[0].to_vec(), line.to_vec())).collect())
}

fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b':').collect()
}

fn id(line: &[u8], field: usize) -> Option<u32> {
    std::str::from_utf8(fields(line).get(field)?).ok()?.parse().ok()
}

fn with_field(line: &[u8], field: usize, value: &[u8]) -> Vec<u8> {
    let mut fields = fields(line);
    if let Some(place) = fields.get_mut(field) {
        *place = value;
    }
    fields.join(&b':')
}

/// Gives those that the layer added ids that are free in `onto`; a name that is there already has the id it has there.
fn renumber(origin: &Records, layer: &mut Records, onto: &Records) -> BTreeMap<u32, u32> {
    let known: BTreeSet<&Vec<u8>> = origin.iter().map(|(name, _)| name).collect();
    let there: BTreeMap<&Vec<u8>, u32> =
        onto.iter().filter_map(|(name, line)| Some((name, id(line, ID)?))).collect();
    let mut taken: BTreeSet<u32> = there.values().copied().collect();
    taken.extend(layer.iter().filter_map(|(_, line)| id(line, ID)));
    let holders: BTreeMap<u32, &Vec<u8>> = there.iter().map(|(name, id)| (*id, *name)).collect();
    let mut renumbered = BTreeMap::new();
    for (name, line) in layer.iter_mut().filter(|(name, _)| !known.contains(name)) {
        let Some(old) = id(line, ID) else { continue };
        let new = match (there.get(name), holders.get(&old)) {
            (Some(there), _) => *there,
            (None, Some(_)) => free(old, &taken),
            (None, None) => old,
        };
        if new != old {
            taken.insert(new);
            renumbered.insert(old, new);
            *line = with_field(line, ID, new.to_string().as_bytes());
        }
    }
    renumbered
}

/// The next free id of the range that `old` is in.
fn free(old: u32, taken: &BTreeSet<u32>) -> u32 {
    let is_system = old < PEOPLE;
    let range = if is_system { SYSTEM..PEOPLE } else { PEOPLE..NOBODY };
    let next = range.clone().find(|id| !taken.contains(id));
    // A full range: behind all of them.
    next.unwrap_or_else(|| (NOBODY + 2..u32::MAX).find(|id| !taken.contains(id)).unwrap_or(old))
}

/// The layer's groups with the members that they have in `onto`, with those the layer added and without those it removed.
fn with_members(origin: &Records, layer: &Records, onto: &Records, field: usize) -> Records {
    let find =
        |records: &Records, name: &[u8]| records.iter().rev().find(|(known, _)| known == name).cloned();
    let members = |line: Option<(Vec<u8>, Vec<u8>)>| -> Vec<Vec<u8>> {
        let Some((_, line)) = line else { return Vec::new() };
        let list = fields(&line).get(field).map(|list| list.to_vec()).unwrap_or_default();
        list.split(|byte| *byte == b',').filter(|member| !member.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let merge = |(name, line): &(Vec<u8>, Vec<u8>)| {
        let (old, new) = (members(find(origin, name)), members(Some((name.clone(), line.clone()))));
        let mut all: Vec<Vec<u8>> = members(find(onto, name));
        all.retain(|member| new.contains(member) || !old.contains(member));
        let added: Vec<_> = new.into_iter().filter(|m| !old.contains(m) && !all.contains(m)).collect();
        all.extend(added);
        let is_there = find(onto, name).is_some();
        let line = if is_there { with_field(line, field, &all.join(&b',')) } else { line.clone() };
        (name.clone(), line)
    };
    layer.iter().map(merge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{Body, Item};
    use crate::files::{Attributes, Facts, Kind};
    use crate::known::Known;

    fn accounts(passwd: &str, group: &str) -> Accounts {
        let shadow: String = passwd
            .lines()
            .map(|line| format!("{}:!:19000::::::\n", line.split(':').next().unwrap()))
            .collect();
        Accounts { passwd: passwd.into(), group: group.into(), shadow: shadow.into(), gshadow: Vec::new() }
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:ann\n";

    #[test]
    fn two_layers_that_add_users_of_one_id_both_have_their_users() {
        let origin = accounts(PASSWD, GROUP);
        let first = accounts(&format!("{PASSWD}web:x:110:115::/:/x\n"), &format!("{GROUP}web:x:115:\n"));
        let second = accounts(&format!("{PASSWD}db:x:110:115::/:/x\n"), &format!("{GROUP}db:x:115:\n"));
        let below = merge(&origin, &first, &origin).unwrap();
        assert_eq!((&below.accounts, &below.renumbered), (&first, &Renumbered::default()));
        let both = merge(&origin, &second, &below.accounts).unwrap();
        assert_eq!(text(&both.accounts.passwd), format!("{PASSWD}web:x:110:115::/:/x\ndb:x:100:100::/:/x\n"));
        assert_eq!(text(&both.accounts.group), format!("{GROUP}web:x:115:\ndb:x:100:\n"));
        assert!(text(&both.accounts.shadow).ends_with("web:!:19000::::::\ndb:!:19000::::::\n"));
        assert_eq!(both.renumbered.users, BTreeMap::from([(110, 100)]));
        assert_eq!(both.renumbered.groups, BTreeMap::from([(115, 100)]));
        assert!(both.both.is_empty());
        let again = merge(&origin, &second, &both.accounts).unwrap();
        assert_eq!((again.accounts, again.renumbered), (both.accounts, both.renumbered), "twice is once");
    }

    #[test]
    fn members_of_a_group_are_put_together() {
        let origin = accounts(PASSWD, "adm:x:4:ann,old\n");
        let layer = accounts(PASSWD, "adm:x:4:ann,web\n");
        let onto = accounts(PASSWD, "adm:x:4:ann,old,bob\n");
        let merged = merge(&origin, &layer, &onto).unwrap();
        assert_eq!(text(&merged.accounts.group), "adm:x:4:ann,bob,web\n");
        assert!(merged.both.is_empty());
    }

    #[test]
    fn a_user_that_both_changed_is_the_layers_and_is_told() {
        let shell = |shell: &str| accounts(&format!("root:x:0:0:root:/root:{shell}\n"), GROUP);
        let merged = merge(&shell("/bin/sh"), &shell("/bin/bash"), &shell("/bin/zsh")).unwrap();
        assert_eq!(merged.both, ["root"]);
        assert!(text(&merged.accounts.passwd).ends_with("/bin/bash\n"));
    }

    #[test]
    fn owners_follow_their_new_ids() {
        let facts = Facts { owner: 110, group: 115, ..Facts::default() };
        let item = Item { kind: Kind::Folder, facts, attributes: Attributes::new(), body: Body::Kept };
        let mut delta =
            Delta { kind: Known::Ext, changes: BTreeMap::from([(b"srv".to_vec(), Change::Put(item))]) };
        let map = |old, new| BTreeMap::from([(old, new)]);
        Renumbered { users: map(110, 100), groups: map(7, 8) }.apply(&mut delta);
        let Some(Change::Put(item)) = delta.changes.get(&b"srv"[..]) else { panic!() };
        assert_eq!((item.facts.owner, item.facts.group), (100, 115));
    }
}
