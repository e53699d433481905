//! Files on their way to the server.

use crate::Action;

/// What is known of an upload.
#[derive(Clone, Debug)]
pub struct UploadFacts {
    /// The file's name.
    pub name: String,
    /// Its length.
    pub size: u64,
    /// How much of it is there.
    pub received: u64,
    /// Whether an import reads it.
    pub in_use: bool,
}

impl UploadFacts {
    /// `append`, `use`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let Self { name, size, received, .. } = self;
        let append = match received >= size {
            true => Err(format!("'{name}' is complete.")),
            false => Ok(()),
        };
        let complete = match received >= size {
            true => Ok(()),
            false => Err(format!("Of '{name}', {received} of {size} bytes are there: send the rest first.")),
        };
        let free = match self.in_use {
            true => Err(format!("'{name}' is being imported: wait until that has ended, or cancel it.")),
            false => Ok(()),
        };
        vec![
            Action::of("append", append.and(free.clone())),
            Action::of("use", complete.and(free.clone())),
            Action::of("delete", free),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_used_when_it_is_complete_and_stays_while_it_is_in_use() {
        for (received, in_use, expected) in [
            (0, false, vec!["append", "delete"]),
            (9, false, vec!["append", "delete"]),
            (10, false, vec!["use", "delete"]),
            (10, true, vec![]),
        ] {
            let facts = UploadFacts { name: "disk.vhd".into(), size: 10, received, in_use };
            let allowed: Vec<_> = facts
                .actions()
                .into_iter()
                .filter(|action| action.allowed)
                .map(|action| action.name)
                .collect();
            assert_eq!(allowed, expected, "{facts:?}");
        }
    }
}
