//! Image templates and layered images: their states, what may be done with them, how an image is called.
//!
//! ```text
//!   template  publishable ◀─▶ not_publishable      told by its parts, never stored
//!   image     publishing ──▶ published ──▶ gone    a task that fails takes the row away
//! ```

use crate::Action;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether an image template can be published now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum TemplateState {
    /// All its parts are deployable.
    Publishable,
    /// Something stands in the way.
    NotPublishable,
}

/// Where a layered image is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ImageState {
    /// A task is making it.
    Publishing,
    /// It is complete.
    Published,
}

impl ImageState {
    /// As it is written in the API and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Published => "published",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Publishing, Self::Published].into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for ImageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of an image template.
#[derive(Clone, Debug, Default)]
pub struct TemplateFacts {
    /// Its name.
    pub name: String,
    /// Why it cannot be published now, a sentence with what to do; `None`: it can be.
    pub obstacle: Option<String>,
    /// Whether one of its parts has a newer deployable version.
    pub has_newer: bool,
}

impl TemplateFacts {
    /// Whether it can be published.
    pub fn state(&self) -> TemplateState {
        if self.obstacle.is_none() { TemplateState::Publishable } else { TemplateState::NotPublishable }
    }

    /// `publish`, `edit`, `clone`, `update`, `delete`. An image has nothing to do with its template once it is published, so
    /// that nothing keeps a template from being changed or deleted.
    pub fn actions(&self) -> Vec<Action> {
        let newest = match self.has_newer {
            true => Ok(()),
            false => Err(format!("Every part of the image template '{}' is its newest version.", self.name)),
        };
        vec![
            Action::of("publish", self.obstacle.clone().map_or(Ok(()), Err)),
            Action::of("edit", Ok(())),
            Action::of("clone", Ok(())),
            Action::of("update", newest),
            Action::of("delete", Ok(())),
        ]
    }
}

/// What is known of a layered image.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ImageState,
}

impl ImageFacts {
    /// `download`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let published = |hint: &str| match self.state {
            ImageState::Published => Ok(()),
            ImageState::Publishing => {
                Err(format!("The layered image '{}' is still being published: {hint}.", self.name))
            }
        };
        vec![
            Action::of("download", published("wait until its task has ended")),
            Action::of("delete", published("cancel its task instead")),
        ]
    }
}

/// The name of an image: `<template>-yyyy-MM-dd_HH-mm-ss`. `time` is written so; `taken` tells names that other images have:
/// of several that are published in one second, the later ones are numbered.
pub fn image_name(template: &str, time: &str, taken: impl Fn(&str) -> bool) -> String {
    let first = format!("{template}-{time}");
    let numbered = (2u32..).map(|number| format!("{first}_{number}"));
    std::iter::once(first.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permitted;

    #[test]
    fn a_template_can_be_published_unless_something_stands_in_the_way() {
        let facts = TemplateFacts { name: "Desk".into(), ..TemplateFacts::default() };
        assert_eq!(facts.state(), TemplateState::Publishable);
        assert_eq!(permitted(&facts.actions(), "publish"), Ok(()));
        let why = permitted(&facts.actions(), "update").unwrap_err();
        assert_eq!(why, "Every part of the image template 'Desk' is its newest version.");
        let facts = TemplateFacts { obstacle: Some("No.".into()), has_newer: true, ..facts };
        assert_eq!(facts.state(), TemplateState::NotPublishable);
        assert_eq!(permitted(&facts.actions(), "publish"), Err("No.".into()));
        for name in ["edit", "clone", "update", "delete"] {
            assert_eq!(permitted(&facts.actions(), name), Ok(()), "{name}");
        }
    }

    #[test]
    fn an_image_that_is_being_published_is_cancelled_not_deleted() {
        let facts = |state| ImageFacts { name: "x".into(), state };
        let why = permitted(&facts(ImageState::Publishing).actions(), "delete").unwrap_err();
        assert_eq!(why, "The layered image 'x' is still being published: cancel its task instead.");
        assert_eq!(permitted(&facts(ImageState::Published).actions(), "download"), Ok(()));
    }

    #[test]
    fn images_of_one_second_have_names_of_their_own() {
        let taken = ["a-2026-01-02_03-04-05", "a-2026-01-02_03-04-05_2"];
        let name = image_name("a", "2026-01-02_03-04-05", |name| taken.contains(&name));
        assert_eq!(name, "a-2026-01-02_03-04-05_3");
        assert_eq!(image_name("b", "2026-01-02_03-04-05", |_| false), "b-2026-01-02_03-04-05");
    }
}
