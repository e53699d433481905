//! Fixed words in the contract: fields that are texts in the types, so that a client outlives a new word, and whose
//! words of today the OpenAPI document lists.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn one_of(what: &str, words: &[&str]) -> Object {
    ObjectBuilder::new()
        .description(Some(what))
        .schema_type(Type::String)
        .enum_values(Some(words.iter().copied()))
        .build()
}

pub(crate) fn task_state() -> Object {
    one_of(
        "Where the task is.",
        &["pending", "running", "action_required", "canceling", "done", "failed", "canceled", "stuck"],
    )
}

pub(crate) fn run_outcome() -> Object {
    one_of(
        "What became of the run.",
        &[
            "refused",
            "missed",
            "pending",
            "running",
            "action_required",
            "canceling",
            "done",
            "failed",
            "canceled",
            "stuck",
        ],
    )
}

pub(crate) fn step_state() -> Object {
    one_of("Where the step is.", &["pending", "running", "waiting", "done", "failed", "undoing", "undone"])
}

pub(crate) fn firmware() -> Object {
    one_of("What the disk boots with.", &["bios", "uefi"])
}

pub(crate) fn disk_format() -> Object {
    one_of(
        "The image's format.",
        &["raw", "vhd", "vhd-fixed", "vhdx", "vmdk", "vmdk-stream", "qcow2", "qcow2-compressed"],
    )
}

pub(crate) fn generalize() -> Object {
    one_of("Whether what makes a machine itself is taken out of the image.", &["none", "generalize"])
}

pub(crate) fn plan_action() -> Object {
    one_of("What happens at the path.", &["added", "replaced", "described", "merged", "removed"])
}

pub(crate) fn event_kind() -> Object {
    one_of(
        "What changed; `reset` when the gap is too old to fill: read all again. Of `user` and `token`, who is no administrator is told \
         only of themselves.",
        &[
            "task",
            "layer",
            "version",
            "connector",
            "template",
            "image",
            "machine",
            "schedule",
            "upload",
            "user",
            "token",
            "reset",
        ],
    )
}

pub(crate) fn change() -> Object {
    one_of(
        "`deleted`: it is gone. `changed`: look again; also while it is being deleted. The same may be told more than once.",
        &["changed", "deleted"],
    )
}
