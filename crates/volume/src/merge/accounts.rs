//! Users and groups: `/etc/passwd`, `/etc/group`, their shadows, `/etc/subuid` and `/etc/subgid`.
//!
//! Rules:
//! - A line is known by its first field, and is as the layer left it if the layer changed it, else as it is below.
//! - A group has the members that the layer added besides those it has below, without those that the layer took away.
//! - A user or group that the layer *added* keeps its id unless that is taken below by another one. Then it gets the next
//!   free id of its range (system: 100 to 999, people: from 1000), and what the layer's files say of their owners, access
//!   lists included, is told the same way: [`Renumbered`].
//! - Names are never changed: two layers that add a user of one name mean the same user, who has the lower one's id.
//! - Ranges of subordinate ids are not moved, since what uses them cannot be found; ranges that overlap are told.

use std::collections::{BTreeMap, BTreeSet};

use shale_disk::Result;

use super::Terms;
use super::records::{Difference, Form, Records, find, joined_list, lines};
use crate::files::{Attributes, Facts};

/// Ids that became others: the layer's to those on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbered {
    /// Users.
    pub users: BTreeMap<u32, u32>,
    /// Groups.
    pub groups: BTreeMap<u32, u32>,
}

/// `/etc/passwd`.
pub struct Passwd;
/// `/etc/group`.
pub struct Group;
/// `/etc/shadow`.
pub struct Shadow;
/// `/etc/gshadow`.
pub struct GroupShadow;
/// `/etc/subuid` and `/etc/subgid`.
pub struct Ranges;

/// The first id of system accounts that programs' packages add, of people, and behind both.
const SYSTEM: u32 = 100;
const PEOPLE: u32 = 1000;
const NOBODY: u32 = 65534;
/// Field of a group's members, and in its shadow the same.
const MEMBERS: usize = 3;
/// Field of the id, of users and groups; of the user's own group.
const ID: usize = 2;
const OWN_GROUP: usize = 3;

impl Form for Group {
    const NAME: &'static str = "group";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(accounts(file))
    }

    fn adapt(&self, difference: &mut Difference, onto: &Records, terms: &mut Terms) {
        terms.renumbered.groups = renumber(&difference.origin, &mut difference.layer, onto);
        join_members(difference, onto);
    }
}

impl Form for Passwd {
    const NAME: &'static str = "passwd";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(accounts(file))
    }

    fn adapt(&self, difference: &mut Difference, onto: &Records, terms: &mut Terms) {
        terms.renumbered.users = renumber(&difference.origin, &mut difference.layer, onto);
        for (name, line) in &mut difference.layer {
            let is_new = find(&difference.origin, name).is_none();
            let group = id(line, OWN_GROUP).and_then(|id| terms.renumbered.groups.get(&id));
            if let (true, Some(id)) = (is_new, group) {
                *line = with_field(line, OWN_GROUP, id.to_string().as_bytes());
            }
        }
    }
}

impl Form for Shadow {
    const NAME: &'static str = "shadow";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(accounts(file))
    }
}

impl Form for GroupShadow {
    const NAME: &'static str = "gshadow";

    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(accounts(file))
    }

    fn adapt(&self, difference: &mut Difference, onto: &Records, _: &mut Terms) {
        join_members(difference, onto);
    }
}

impl Form for Ranges {
    const NAME: &'static str = "id-ranges";

    /// A user can have several ranges, so a line is known by its user and where its range begins.
    fn parse(&self, file: &[u8]) -> Result<Records> {
        Ok(lines(file, |line| fields(line).into_iter().take(2).collect::<Vec<_>>().join(&b':')))
    }

    fn clashes(&self, merged: &Records) -> Vec<String> {
        let range = |(_, line): &(Vec<u8>, Vec<u8>)| {
            let (start, count) = (id(line, 1)?, id(line, 2)?);
            Some((start, start.checked_add(count)?, String::from_utf8_lossy(fields(line)[0]).into_owned()))
        };
        let mut ranges: Vec<_> = merged.iter().filter_map(range).collect();
        ranges.sort();
        let overlap = |pair: &[(u32, u32, String)]| {
            (pair[0].1 > pair[1].0).then(|| (pair[0].2.clone(), pair[1].2.clone()))
        };
        let told = |(a, b): (String, String)| format!("the ranges of {a} and {b}, which overlap");
        ranges.windows(2).filter_map(overlap).map(told).collect()
    }
}

impl Renumbered {
    /// Whether no id became another.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Changes the owners of an entry, and those that its access lists name.
    pub fn apply(&self, facts: &mut Facts, attributes: &mut Attributes) {
        facts.owner = *self.users.get(&facts.owner).unwrap_or(&facts.owner);
        facts.group = *self.groups.get(&facts.group).unwrap_or(&facts.group);
        for name in ["system.posix_acl_access", "system.posix_acl_default"] {
            if let Some(list) = attributes.get_mut(name.as_bytes()) {
                self.apply_to_list(list);
            }
        }
    }

    /// An access list as ext keeps it: a version of 1 (32 bits), then for each entry 16 bits of tag, 16 of permission, and
    /// where the tag is that of a certain user or group 32 bits of id. (Linux: `fs/ext4/acl.h`.)
    fn apply_to_list(&self, list: &mut [u8]) {
        const USER: u16 = 2;
        const GROUP: u16 = 8;
        let Some((version, mut rest)) = list.split_first_chunk_mut::<4>() else { return };
        if u32::from_le_bytes(*version) != 1 {
            return;
        }
        while let Some((head, after)) = rest.split_first_chunk_mut::<4>() {
            let ids = match u16::from_le_bytes([head[0], head[1]]) {
                USER => &self.users,
                GROUP => &self.groups,
                _ => {
                    rest = after;
                    continue;
                }
            };
            let Some((id, after)) = after.split_first_chunk_mut::<4>() else { return };
            if let Some(new) = ids.get(&u32::from_le_bytes(*id)) {
                *id = new.to_le_bytes();
            }
            rest = after;
        }
    }
}

fn accounts(file: &[u8]) -> Records {
    lines(file, |line| fields(line)[0].to_vec())
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

/// Gives the layer's groups the members that they have in `onto`, with those the layer added and without those it removed.
fn join_members(difference: &mut Difference, onto: &Records) {
    let members = |line: &[u8]| fields(line).get(MEMBERS).copied().unwrap_or_default().to_vec();
    for (name, line) in &mut difference.layer {
        let Some(there) = find(onto, name) else { continue };
        let origin = find(&difference.origin, name);
        let old = origin.map(|line| members(line)).unwrap_or_default();
        let all = joined_list(&old, &members(line), &members(there), b',');
        *line = with_field(line, MEMBERS, &all);
        // Only members differ: nothing is lost.
        let bare = |line: &[u8]| with_field(line, MEMBERS, b"");
        if bare(line) == bare(there) || origin.is_some_and(|origin| bare(origin) == bare(there)) {
            difference.joined.insert(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::records::tests::merged;
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:ann\n";

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn two_layers_that_add_users_of_one_id_both_have_their_users() {
        let group = |added: &str| format!("{GROUP}{added}");
        let passwd = |added: &str| format!("{PASSWD}{added}");
        let difference = |rule: &dyn Rule, origin: &str, now: String| {
            rule.difference(origin.as_bytes(), now.as_bytes(), None).unwrap()
        };
        let groups = difference(&Group, GROUP, group("db:x:115:\n"));
        let users = difference(&Passwd, PASSWD, passwd("db:x:110:115::/:/x\n"));
        let below = (group("web:x:115:\n"), passwd("web:x:110:115::/:/x\n"));
        let mut terms = Terms::default();
        let groups_now = Group.merge(below.0.as_bytes().into(), &groups, &mut terms).unwrap();
        assert_eq!(text(&groups_now.bytes), group("web:x:115:\ndb:x:100:\n"));
        let users_now = Passwd.merge(below.1.as_bytes().into(), &users, &mut terms).unwrap();
        assert_eq!(text(&users_now.bytes), passwd("web:x:110:115::/:/x\ndb:x:100:100::/:/x\n"));
        assert_eq!(terms.renumbered.users, BTreeMap::from([(110, 100)]));
        assert_eq!(terms.renumbered.groups, BTreeMap::from([(115, 100)]));
        assert!(groups_now.both.is_empty() && users_now.both.is_empty());
        let mut again = Terms::default();
        assert_eq!(Group.merge((&groups_now.bytes).into(), &groups, &mut again).unwrap(), groups_now);
        assert_eq!(
            Passwd.merge((&users_now.bytes).into(), &users, &mut again).unwrap(),
            users_now,
            "twice is once"
        );
        assert_eq!(again, terms);
    }

    #[test]
    fn members_of_a_group_are_put_together() {
        let (group, both) = merged(&Group, "adm:x:4:ann,old\n", "adm:x:4:ann,web\n", "adm:x:4:ann,old,bob\n");
        assert_eq!((&group[..], both), ("adm:x:4:ann,bob,web\n", vec![]));
        let (group, both) = merged(&Group, "adm:x:4:ann\n", "adm:y:4:ann\n", "adm:z:4:ann,bob\n");
        assert_eq!((&group[..], both), ("adm:y:4:ann,bob\n", vec!["adm".to_owned()]));
    }

    #[test]
    fn a_user_that_both_changed_is_the_layers_and_is_told() {
        let shell = |shell: &str| format!("root:x:0:0:root:/root:{shell}\n");
        let (passwd, both) = merged(&Passwd, &shell("/bin/sh"), &shell("/bin/bash"), &shell("/bin/zsh"));
        assert_eq!((passwd, both), (shell("/bin/bash"), vec!["root".to_owned()]));
    }

    #[test]
    fn ranges_of_subordinate_ids_that_overlap_are_told() {
        let (ranges, both) =
            merged(&Ranges, "", "web:100000:65536\n", "ann:100000:65536\nbob:165536:65536\n");
        assert_eq!(ranges, "ann:100000:65536\nbob:165536:65536\nweb:100000:65536\n");
        assert_eq!(both, ["the ranges of ann and web, which overlap"]);
    }

    #[test]
    fn owners_and_access_lists_follow_their_new_ids() {
        let mut facts = Facts { owner: 110, group: 115, ..Facts::default() };
        let entry = |tag: u8, id: &[u8]| [&[tag, 0, 6, 0], id].concat();
        let list = |user: u8, group: u8| {
            let user = entry(2, &[user, 0, 0, 0]);
            [
                vec![1, 0, 0, 0],
                entry(1, &[]),
                user,
                entry(4, &[]),
                entry(8, &[group, 0, 0, 0]),
                entry(32, &[]),
            ]
            .concat()
        };
        let name = b"system.posix_acl_access".to_vec();
        let mut attributes = Attributes::from_iter([(&name[..], list(110, 7))]);
        let map = |old, new| BTreeMap::from([(old, new)]);
        let renumbered = Renumbered { users: map(110, 100), groups: map(7, 8) };
        renumbered.apply(&mut facts, &mut attributes);
        assert_eq!((facts.owner, facts.group), (100, 115));
        assert_eq!(attributes.get(&name[..]).unwrap(), list(100, 8));
        let mut cut = Attributes::from_iter([(&name[..], vec![1, 0, 0, 0, 2, 0, 6])]);
        renumbered.apply(&mut facts, &mut cut);
        assert_eq!(cut.get(&name[..]).unwrap(), [1, 0, 0, 0, 2, 0, 6]);
    }
}
