//! The files of a plan that several layers change, put together before anything is written.
//!
//! ```text
//!   Plan::merged ─▶ what is there: a lower layer's content, or the disk's ─▶ rule by rule, layer by layer ─▶ Made, in the plan
//!                                                                               └─▶ ids that became others ─▶ owners
//! ```

use shale_disk::{Error, ErrorKind, Result};

use crate::apply::{Contents, Made};
use crate::delta::{Body, Change, Content, Item};
use crate::diff::{by_its_rule, whole};
use crate::files::{Files, Kind, show};
use crate::known::Known;
use crate::merge::{self, Rule, Terms};
use crate::plan::{Part, Plan, Planned};
use crate::tree::Tree;

/// What putting together made, and what people should know of it.
pub(crate) struct Together {
    /// The content of the files, one more layer behind those of the plan.
    pub made: Made,
    /// Path, layer, and what of the file it changed otherwise than what is there.
    pub both: Vec<(Vec<u8>, usize, String)>,
    /// Path, and why it stays as it is.
    pub stayed: Vec<(Vec<u8>, String)>,
    /// Of each layer.
    pub terms: Vec<Terms>,
}

/// Puts the merged files of `plan` together, and changes the owners of entries as ids did. `files` and `base` are what is on the
/// disk; `only_known` as in [`Terms`].
pub(crate) fn put_together(
    plan: &mut Plan,
    files: &mut Files,
    base: &Tree,
    layers: &mut [&mut dyn Contents],
    only_known: bool,
) -> Result<Together> {
    let terms = vec![Terms { only_known, ..Terms::default() }; layers.len()];
    let mut together = Together { made: Made::default(), both: Vec::new(), stayed: Vec::new(), terms };
    let merged = std::mem::take(&mut plan.merged);
    for (path, parts) in &merged {
        let Some(planned @ Planned { change: Change::Put(item), .. }) = plan.changes.get(path) else {
            continue;
        };
        let about = |e: Error| {
            let text = format!("'/{}' cannot be put together from what its layers did to it", show(path));
            Error::new(e.kind(), text).with_source(e)
        };
        let is_below = matches!(item.body, Body::Merged { .. });
        let mut source = Source { files, base, layers, plan };
        let made = source
            .onto(path, planned, item, parts)
            .and_then(|onto| together.merge(path, onto, parts, &mut source));
        match made {
            Ok(bytes) => {
                let content = together.made.keep(bytes);
                plan.replace(path, layers.len(), content);
            }
            Err(e) if e.kind() != ErrorKind::Io && may_stay(files.kind(), parts) => {
                together.stayed.push((path.clone(), e.to_string()));
                if is_below {
                    plan.changes.remove(path);
                }
            }
            Err(e) => return Err(about(e)),
        }
    }
    plan.merged = merged;
    plan.merged.retain(|path, _| plan.changes.contains_key(path));
    for planned in plan.changes.values_mut() {
        let renumbered = &together.terms[planned.layer].renumbered;
        if let Change::Put(item) = &mut planned.change
            && !renumbered.is_empty()
        {
            renumbered.apply(&mut item.facts, &mut item.attributes);
        }
    }
    Ok(together)
}

fn may_stay(kind: Known, parts: &[Part]) -> bool {
    parts.iter().all(|part| merge::named(kind, &part.rule).is_some_and(Rule::may_stay))
}

impl Together {
    fn merge(
        &mut self,
        path: &[u8],
        mut onto: Vec<u8>,
        parts: &[Part],
        source: &mut Source,
    ) -> Result<Vec<u8>> {
        for part in parts {
            let rule = merge::named(source.files.kind(), &part.rule).ok_or_else(|| {
                let text = format!(
                    "a layer uses the rule '{}', which this program does not know: use a newer one",
                    part.rule
                );
                Error::new(ErrorKind::Unsupported, text)
            })?;
            if onto.len() as u64 > rule.limit() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("it is larger than {} MiB", rule.limit() >> 20),
                ));
            }
            let difference = source.content(&part.difference)?;
            let merged = rule.merge(onto.into(), &difference, &mut self.terms[part.layer])?;
            self.both.extend(merged.both.into_iter().map(|what| (path.to_vec(), part.layer, what)));
            onto = merged.bytes;
        }
        Ok(onto)
    }
}

/// Where content comes from.
struct Source<'a, 'l> {
    files: &'a mut Files,
    base: &'a Tree,
    layers: &'a mut [&'l mut dyn Contents],
    plan: &'a Plan,
}

/// Longest content that is read whole.
const LIMIT: u64 = 512 << 20;

impl Source<'_, '_> {
    /// The file as it is without those who merge into it.
    fn onto(&mut self, path: &[u8], planned: &Planned, item: &Item, parts: &[Part]) -> Result<Vec<u8>> {
        let content = match &item.body {
            Body::New(streams) => streams.get(&b""[..]),
            Body::Filled(streams) => streams.get(&b""[..]).and_then(Option::as_ref),
            _ => None,
        };
        if let Some(content) = content {
            return self.content(content);
        }
        let path = planned.from.as_deref().unwrap_or(path);
        match self.base.0.get(path) {
            Some(entry)
                if entry.kind == Kind::File && entry.streams.iter().all(|stream| stream.size <= LIMIT) =>
            {
                match parts.first().and_then(|part| merge::named(self.files.kind(), &part.rule)) {
                    Some(rule) => by_its_rule(self.files, self.base, path, entry, rule),
                    None => whole(self.files, entry),
                }
            }
            Some(_) => Err(Error::new(ErrorKind::Unsupported, "it is no file, or too large")),
            None => Ok(Vec::new()),
        }
    }

    /// A content that a layer keeps, checked.
    fn content(&mut self, content: &Content) -> Result<Vec<u8>> {
        let damaged = || {
            Error::new(
                ErrorKind::Corrupt,
                "its content in the layer is not what was kept: check the repository",
            )
        };
        if content.ranges.is_empty() && content.size <= LIMIT {
            return Ok(vec![0; content.size as usize]);
        }
        let (layer, offset) = *self.plan.kept.get(&content.digest).ok_or_else(damaged)?;
        if content.size > LIMIT {
            return Err(Error::new(ErrorKind::Unsupported, "it is too large"));
        }
        let layer = self.layers.get_mut(layer).ok_or_else(damaged)?;
        let content = Content { offset, ..content.clone() };
        let mut data = vec![0; content.length() as usize];
        layer.read(&content, 0, &mut data)?;
        if *blake3::hash(&data).as_bytes() != content.digest {
            return Err(damaged());
        }
        let mut bytes = vec![0; content.size as usize];
        let mut rest = &data[..];
        for range in &content.ranges {
            let (part, after) = rest.split_at((range.end - range.start) as usize);
            bytes[range.start as usize..range.end as usize].copy_from_slice(part);
            rest = after;
        }
        Ok(bytes)
    }
}
