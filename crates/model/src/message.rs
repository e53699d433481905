//! The sentences people read: titles of tasks, and what to do in a packaging machine.
//!
//! Scripts find a machine by the single quotes around its name, so quotes are put around names only.

use crate::LayerKind;

/// The title of the task that makes a layer from a disk.
pub fn creating_layer(kind: LayerKind, layer: &str) -> String {
    match kind {
        LayerKind::Os => format!("Creating OS Layer '{layer}'."),
        LayerKind::Platform => format!("Creating Platform Layer '{layer}'."),
        LayerKind::App => format!("Creating Application Layer '{layer}'."),
    }
}

/// The title of the task that adds a version to a layer.
pub fn adding_version(kind: LayerKind, layer: &str) -> String {
    format!("Adding Version to {} '{layer}'.", kind_words(kind))
}

/// The title of the task that writes a version to a disk image.
pub fn exporting_version(layer: &str, version: &str) -> String {
    format!("Exporting Version '{version}' of Layer '{layer}'.")
}

/// The title of the task that reads a version again and compares it with its digest.
pub fn verifying_version(layer: &str, version: &str) -> String {
    format!("Verifying Version '{version}' of Layer '{layer}'.")
}

/// The title of the task that deletes a version.
pub fn deleting_version(layer: &str, version: &str) -> String {
    format!("Deleting Version '{version}' of Layer '{layer}'.")
}

/// The title of the task that deletes so many old versions of a layer.
pub fn pruning_versions(layer: &str, versions: usize) -> String {
    format!("Deleting {} of Layer '{layer}'.", counted(versions, "Version"))
}

/// The title of the task that deletes a layer with all its versions.
pub fn deleting_layer(kind: LayerKind, layer: &str) -> String {
    format!("Deleting {} '{layer}'.", kind_words(kind))
}

/// The title of the task that publishes an image template.
pub fn publishing_image(template: &str) -> String {
    format!("Publishing Layered Image '{template}'.")
}

/// What is told of a schedule that cannot be run, because the catalog is damaged there.
pub fn unreadable_schedule(schedule: &str) -> String {
    format!(
        "What the versions of the schedule '{schedule}' are made of cannot be read: delete it and create it again."
    )
}

/// What is told of a machine's system, which has our tool or does not take it.
pub fn tools_in_system(is_in: bool) -> String {
    match is_in {
        true => "Shutdown For Finalize was put into the system; it is no part of the version.".to_owned(),
        false => "The system on the disk does not take Shutdown For Finalize: it is on the machine's CD."
            .to_owned(),
    }
}

/// What is told when our tool could not be taken out of what became a version.
pub fn tools_left(why: &str) -> String {
    format!("Shutdown For Finalize could not be taken out of the system, and is in the version: {why}")
}

/// What is told of a disk that was put together before.
pub fn composition_known() -> String {
    "This disk was put together before: it is used again.".to_owned()
}

/// What is told of a disk that was put together: how many layers, paths and conflicts, and how its volume grew (a sentence
/// without a full stop).
pub fn composed(layers: usize, paths: usize, conflicts: usize, grown: &str) -> String {
    let layers = counted(layers, "layer");
    let conflicts = match conflicts {
        0 => "no conflicts".to_owned(),
        n => counted(n, "conflict"),
    };
    let mut grown = grown.to_owned();
    if let Some(first) = grown.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{layers} put on the disk, {} changed, {conflicts}. {grown}.", counted(paths, "path"))
}

/// What is told of an OS version that was made with a platform layer, of which it has nothing.
pub fn without_platform(platform: &str, left_out: usize, conflicts: usize) -> String {
    let conflicts = match conflicts {
        0 => String::new(),
        n => format!(" {} changed by both: look at the list.", counted(n, "path")),
    };
    format!("{} of the platform layer '{platform}' left out.{conflicts}", counted(left_out, "changed path"))
}

/// What is told of a platform or app layer's version.
pub fn captured(entries: u64, excluded: u64) -> String {
    let excluded = match excluded {
        0 => String::new(),
        n => format!(", {n} left out as the exclusions say"),
    };
    format!("{entries} changed paths taken{excluded}.")
}

/// What is told of a machine that runs, of which so many things stand in the way, as the tool in it found.
pub fn checked_live(machine: &str, blocking: usize) -> String {
    let found = match blocking {
        0 => "nothing that stands in the way".to_owned(),
        1 => "one thing that stands in the way".to_owned(),
        n => format!("{n} things that stand in the way"),
    };
    format!(
        "The machine '{machine}' runs: Shutdown For Finalize found {found} when it last looked there. Its disk is examined when it is finalized."
    )
}

/// What to do in a machine whose script did not end well, and that was kept.
pub fn script_failed(machine: &str) -> String {
    format!(
        "The script in the machine '{machine}' did not end well. The machine is as it left it: look at the output, mend it there and \
         run Shutdown For Finalize, then finalize; or cancel, and the machine is deleted."
    )
}

/// Why a version was given up whose script did not end well. `why` is a sentence.
pub fn script_discarded(script: &str, why: &str) -> String {
    format!("The script '{script}' did not end well, and its machine was deleted. {why}")
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The title of the task that checks the repository.
pub const CHECKING_REPOSITORY: &str = "Checking the Repository.";
/// The title of the task that removes from the repository what nothing uses.
pub const COLLECTING_GARBAGE: &str = "Removing Unused Data from the Repository.";

fn kind_words(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Os => "Operating System Layer",
        LayerKind::Platform => "Platform Layer",
        LayerKind::App => "Application Layer",
    }
}

/// What a person does next when the packaging machine `machine` stands in `place` (in the platform's own words,
/// without quotes of its own). `powered_on` is what was seen, not what was hoped for.
pub fn packaging_instruction(machine: &str, place: &str, powered_on: bool) -> String {
    let next = if powered_on {
        "It has been powered on: log in and install your updates or applications."
    } else {
        "It has not been powered on. Power on this virtual machine to install your updates or applications."
    };
    format!(
        "The Packaging Disk has been published. The virtual machine '{machine}' can be found in '{place}'. {next} \
         When the installation is complete, power off the virtual machine before clicking Finalize on the Action bar: \
         Shutdown For Finalize in it checks it and does so."
    )
}

/// Why finalizing stopped: `count` things stand in its way.
pub fn outstanding(count: usize) -> String {
    let what = if count == 1 {
        "One thing is outstanding".to_owned()
    } else {
        format!("{count} things are outstanding")
    };
    format!(
        "{what} in the packaging machine. Start it, do what is said, and shut it down with Shutdown For Finalize."
    )
}

/// What an examination of a disk came to, in a line.
pub fn examined(blocking: usize, warnings: usize) -> String {
    match (blocking, warnings) {
        (0, 0) => "Nothing is outstanding.".to_owned(),
        (0, 1) => "Nothing is outstanding; 1 warning.".to_owned(),
        (0, _) => format!("Nothing is outstanding; {warnings} warnings."),
        _ => format!("Finalized anyway: {} outstanding.", blocking),
    }
}

/// Why a packaging machine cannot be checked now. `heard`: it runs, and whether what Shutdown For Finalize tells there is heard.
pub fn not_checked(machine: &str, heard: Option<bool>) -> String {
    match heard {
        Some(true) => format!(
            "The machine '{machine}' runs, and Shutdown For Finalize has told nothing there yet: run it. The machine's disk is checked \
             once it is off."
        ),
        Some(false) => format!(
            "The machine '{machine}' runs, and its platform has no channel by which it could tell what is outstanding: run Shutdown For \
             Finalize there, which shows it. The machine's disk is checked once it is off."
        ),
        None => format!("The disk of the machine '{machine}' cannot be looked at now."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_people_know() {
        for (found, expected) in [
            (publishing_image("X"), "Publishing Layered Image 'X'."),
            (
                adding_version(LayerKind::Os, "Win2012OS"),
                "Adding Version to Operating System Layer 'Win2012OS'.",
            ),
            (adding_version(LayerKind::Platform, "X"), "Adding Version to Platform Layer 'X'."),
            (creating_layer(LayerKind::Os, "X"), "Creating OS Layer 'X'."),
            (creating_layer(LayerKind::App, "X"), "Creating Application Layer 'X'."),
            (creating_layer(LayerKind::Platform, "X"), "Creating Platform Layer 'X'."),
            (deleting_layer(LayerKind::Os, "X"), "Deleting Operating System Layer 'X'."),
            (deleting_version("X", "1"), "Deleting Version '1' of Layer 'X'."),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_instruction_says_truthfully_whether_the_machine_runs() {
        assert_eq!(
            packaging_instruction("win-2016-10-18_15-29-40.061", "this server", true),
            "The Packaging Disk has been published. The virtual machine 'win-2016-10-18_15-29-40.061' can be found in \
             'this server'. It has been powered on: log in and install your updates or applications. When the \
             installation is complete, power off the virtual machine before clicking Finalize on the Action bar: \
             Shutdown For Finalize in it checks it and does so."
        );
        let off = packaging_instruction("m", "here", false);
        assert!(off.contains("It has not been powered on. Power on this virtual machine"), "{off}");
        assert!(!off.contains("It has been powered on"), "{off}");
    }
}
