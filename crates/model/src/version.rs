//! The life of a version.
//!
//! ```text
//!   editing ──MachineReady──▶ finalizable ──FinalizeAsked──▶ finalizing ──Taken──▶ deployable ──DeleteAsked──▶ deleting
//!
//!   editing     ──Imported─────────▶ deployable     a layer's first version needs no machine
//!   finalizing  ──FinalizeRefused──▶ finalizable    something must be mended in the machine
//!   editing, finalizable, finalizing ──GivenUp──▶ deleting
//!   deployable  ──Damaged──────────▶ broken
//!   broken      ──Mended───────────▶ deployable
//!   broken      ──DeleteAsked──────▶ deleting
//! ```
//!
//! A version that is gone has no state: its row is gone too. Whatever is not drawn is refused.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a version is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum VersionState {
    /// Being made: imported, or its packaging machine is set up.
    Editing,
    /// Its packaging machine is ready: a person works in it.
    Finalizable,
    /// What was changed in the packaging machine is checked and taken.
    Finalizing,
    /// Complete and immutable: can be a base, can be exported.
    Deployable,
    /// It cannot be used: damage was found.
    Broken,
    /// Being removed.
    Deleting,
}

/// What can happen to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionEvent {
    /// The import that makes a layer's first version is complete.
    Imported,
    /// The packaging machine stands.
    MachineReady,
    /// A person asked to finalize.
    FinalizeAsked,
    /// Finalize found something that must be mended in the machine first.
    FinalizeRefused,
    /// What was changed is stored.
    Taken,
    /// The job that makes it was cancelled or failed.
    GivenUp,
    /// A person asked to delete it.
    DeleteAsked,
    /// A check found damage.
    Damaged,
    /// A check found the damage gone.
    Mended,
}

impl VersionState {
    /// All states, in the order of a version's life.
    pub const ALL: [Self; 6] =
        [Self::Editing, Self::Finalizable, Self::Finalizing, Self::Deployable, Self::Broken, Self::Deleting];

    /// The state after `event`, or why it cannot happen now.
    pub fn after(self, event: VersionEvent) -> Result<Self, Refusal> {
        use VersionEvent as E;
        match (self, event) {
            (Self::Editing, E::Imported) => Ok(Self::Deployable),
            (Self::Editing, E::MachineReady) => Ok(Self::Finalizable),
            (Self::Finalizable, E::FinalizeAsked) => Ok(Self::Finalizing),
            (Self::Finalizing, E::FinalizeRefused) => Ok(Self::Finalizable),
            (Self::Finalizing, E::Taken) => Ok(Self::Deployable),
            (Self::Editing | Self::Finalizable | Self::Finalizing, E::GivenUp) => Ok(Self::Deleting),
            (Self::Deployable | Self::Broken, E::DeleteAsked) => Ok(Self::Deleting),
            (Self::Deployable, E::Damaged) => Ok(Self::Broken),
            (Self::Broken, E::Mended) => Ok(Self::Deployable),
            (state, event) => Err(Refusal { state, event }),
        }
    }

    /// As it is written in the API and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Editing => "editing",
            Self::Finalizable => "finalizable",
            Self::Finalizing => "finalizing",
            Self::Deployable => "deployable",
            Self::Broken => "broken",
            Self::Deleting => "deleting",
        }
    }

    /// The state written as `text` by [`VersionState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What is going on, to follow "The version '…' ".
    pub(crate) fn predicate(self) -> &'static str {
        match self {
            Self::Editing => "is still being made",
            Self::Finalizable => "is not finalized yet",
            Self::Finalizing => "is being finalized",
            Self::Deployable => "is deployable",
            Self::Broken => "is broken",
            Self::Deleting => "is being deleted",
        }
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event that a state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The state the version is in.
    pub state: VersionState,
    /// What was asked of it.
    pub event: VersionEvent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = match self.event {
            VersionEvent::Imported | VersionEvent::Taken => "it cannot become deployable",
            VersionEvent::MachineReady => "it cannot get a packaging machine",
            VersionEvent::FinalizeAsked => "it cannot be finalized",
            VersionEvent::FinalizeRefused => "it cannot go back to its packaging machine",
            VersionEvent::GivenUp => "it cannot be given up",
            VersionEvent::DeleteAsked => "it cannot be deleted",
            VersionEvent::Damaged => "it cannot be marked as damaged",
            VersionEvent::Mended => "it cannot be marked as mended",
        };
        write!(f, "The version {}: {refused} now.", self.state.predicate())
    }
}

impl std::error::Error for Refusal {}

/// Which version a new one starts from when nobody chooses: the newest deployable one.
/// `versions` are a layer's versions from the oldest to the newest.
pub fn default_base<V: Copy>(versions: impl DoubleEndedIterator<Item = (V, VersionState)>) -> Option<V> {
    versions.rev().find(|(_, state)| *state == VersionState::Deployable).map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [VersionEvent; 9] = [
        VersionEvent::Imported,
        VersionEvent::MachineReady,
        VersionEvent::FinalizeAsked,
        VersionEvent::FinalizeRefused,
        VersionEvent::Taken,
        VersionEvent::GivenUp,
        VersionEvent::DeleteAsked,
        VersionEvent::Damaged,
        VersionEvent::Mended,
    ];

    /// One row per state, one column per event of [`EVENTS`]; `.` is a refusal, a letter the state that follows.
    const TABLE: [(VersionState, &str); 6] = [
        (VersionState::Editing, "PF...X..."),
        (VersionState::Finalizable, "..Z..X..."),
        (VersionState::Finalizing, "...FPX..."),
        (VersionState::Deployable, "......XB."),
        (VersionState::Broken, "......X.P"),
        (VersionState::Deleting, "........."),
    ];

    fn letter(state: VersionState) -> char {
        match state {
            VersionState::Editing => 'E',
            VersionState::Finalizable => 'F',
            VersionState::Finalizing => 'Z',
            VersionState::Deployable => 'P',
            VersionState::Broken => 'B',
            VersionState::Deleting => 'X',
        }
    }

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        for (state, row) in TABLE {
            let found: String = EVENTS.iter().map(|e| state.after(*e).map_or('.', letter)).collect();
            assert_eq!(found, row, "{state}");
        }
    }

    #[test]
    fn the_names_of_states_on_the_wire_are_their_names_in_the_catalog() {
        for state in VersionState::ALL {
            assert_eq!(VersionState::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(VersionState::parse("published"), None);
    }

    #[test]
    fn a_refusal_says_what_the_version_is_doing() {
        let refusal = VersionState::Finalizing.after(VersionEvent::FinalizeAsked).unwrap_err();
        assert_eq!(refusal.to_string(), "The version is being finalized: it cannot be finalized now.");
    }

    #[test]
    fn the_default_base_is_the_newest_deployable_version() {
        use VersionState::*;
        let base = |states: &[VersionState]| default_base(states.iter().copied().enumerate());
        assert_eq!(base(&[]), None);
        assert_eq!(base(&[Editing]), None);
        assert_eq!(base(&[Deployable, Deployable]), Some(1));
        assert_eq!(base(&[Deployable, Deployable, Broken, Finalizable]), Some(1));
    }
}
