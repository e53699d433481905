//! Who may do what.
//!
//! ```text
//!   reader         sees everything but secrets and people
//!   editor         + layers, versions, templates, images, machines, tasks, uploads; no files on the server's host
//!   approver       + finalizes a version although something is outstanding in its machine
//!   administrator  + connectors, repository, users, tokens, certificate, audit
//! ```
//!
//! One table, by the names that operations have in the API's contract. What is not in it is the administrator's.

use crate::Action;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody who is signed in may do. A greater role may do what a lesser may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Role {
    /// Sees, changes nothing.
    Reader,
    /// Makes layers and versions.
    Editor,
    /// Answers for versions that are finalized although something is outstanding in their machines, too.
    Approver,
    /// May do everything.
    Administrator,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Editor, Self::Approver, Self::Administrator];

    /// As it is written in the API and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Editor => "editor",
            Self::Approver => "approver",
            Self::Administrator => "administrator",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Anybody, signed in or not.
    Nobody,
    /// Those of this role or a greater one.
    Role(Role),
}

/// Who the operation with this name in the API's contract is for.
pub fn need(operation: &str) -> Need {
    let role = match operation {
        "show_session" | "sign_in" | "set_up" => return Need::Nobody,
        "sign_out" | "change_password" => Role::Reader,
        "list_layers" | "show_layer" | "list_versions" | "show_version" => Role::Reader,
        "list_machines" | "show_machine" | "read_serial_log" | "list_machine_files" => Role::Reader,
        "list_tasks" | "show_task" | "list_task_log" | "watch_events" => Role::Reader,
        "read_task_output" | "list_schedules" | "show_schedule" => Role::Reader,
        "create_schedule" | "edit_schedule" | "delete_schedule" | "run_schedule" => Role::Editor,
        "prune_versions" => Role::Editor,
        "list_connectors" | "show_connector" | "list_connector_kinds" => Role::Reader,
        "list_templates" | "show_template" | "show_plan" => Role::Reader,
        "list_images" | "show_image" => Role::Reader,
        "list_uploads" | "show_upload" => Role::Reader,
        "show_repository" | "examine_server" | "show_server" | "show_certificate" => Role::Reader,
        "create_layer" | "edit_layer" | "delete_layer" => Role::Editor,
        "add_version" | "edit_version" | "delete_version" => Role::Editor,
        "create_template" | "edit_template" | "clone_template" => Role::Editor,
        "update_template" | "delete_template" => Role::Editor,
        "publish_image" | "download_image" | "delete_image" => Role::Editor,
        // A disk holds whatever secrets its guest has, so that to take one is more than to see that it is there.
        "finalize_version" | "verify_version" | "export_version" | "download_version" => Role::Editor,
        // A screen takes key strokes, too.
        "power_on_machine" | "shut_down_machine" | "power_off_machine" | "open_screen" => Role::Editor,
        // It reads the machine's disk, and keeps the machine off meanwhile.
        "put_machine_files" | "check_machine" => Role::Editor,
        "cancel_task" | "retry_task" => Role::Editor,
        "create_upload" | "append_upload" | "delete_upload" => Role::Editor,
        "test_connector" => Role::Editor,
        _ => Role::Administrator,
    };
    Need::Role(role)
}

/// The action of a version that takes it although something is outstanding in its machine.
pub const FINALIZE_ANYWAY: &str = "finalize_anyway";

/// Whether somebody with this role may finalize a version although something is outstanding in its machine.
pub fn may_finalize_anyway(role: Role) -> Result<(), String> {
    let needed = needed_for("version", FINALIZE_ANYWAY);
    if role >= needed { Ok(()) } else { Err(lacking(needed, role)) }
}

/// The role that the action of a view needs: `noun` is what is viewed. The same as [`need`] says of the operation.
fn needed_for(noun: &str, action: &str) -> Role {
    match (noun, action) {
        // Whoever takes what is not done answers for all machines that are made of it.
        ("version", FINALIZE_ANYWAY) => Role::Approver,
        ("layer" | "version" | "machine" | "task" | "upload" | "template" | "image" | "schedule", _)
        | ("connector", "test") => Role::Editor,
        _ => Role::Administrator,
    }
}

/// The actions of a view of a `noun` as they are for somebody with this role: what needs a greater one is refused.
pub fn within_role(mut actions: Vec<Action>, noun: &str, role: Role) -> Vec<Action> {
    for action in &mut actions {
        let needed = needed_for(noun, action.name);
        if needed > role {
            action.allowed = false;
            action.reason = Some(lacking(needed, role));
        }
    }
    actions
}

/// What is offered of the server as a whole rather than of one thing, by the names of the operations.
const GENERAL: [&str; 14] = [
    "create_layer",
    "create_template",
    "delete_version",
    "create_upload",
    "open_screen",
    "create_connector",
    "check_repository",
    "collect_garbage",
    "list_users",
    "create_user",
    "list_tokens",
    "create_token",
    "replace_certificate",
    "list_audit",
];

/// What somebody with this role may do that is no action of one thing: [`GENERAL`], and `name_server_files`.
pub fn general_actions(role: Role) -> Vec<Action> {
    let by_role = GENERAL.map(|operation| match need(operation) {
        Need::Role(needed) if needed > role => Action::of(operation, Err(lacking(needed, role))),
        _ => Action::of(operation, Ok(())),
    });
    let files = Action::of("name_server_files", may_name_server_files(role));
    by_role.into_iter().chain([files]).collect()
}

/// Why somebody with the role `has` may not do what needs another.
pub fn lacking(needs: Role, has: Role) -> String {
    format!("This needs the role {needs}; you have the role {has}: ask an administrator.")
}

/// Whether somebody with this role may name files of the server's host, to import them or to export to them. The server
/// may read and write what nobody else on the host may, so that this is as much as being its administrator.
pub fn may_name_server_files(role: Role) -> Result<(), String> {
    match role {
        Role::Administrator => Ok(()),
        _ => {
            Err("Files on the server are the administrator's: upload the disk, or download it, instead."
                .into())
        }
    }
}

/// What is known of a user.
#[derive(Clone, Debug)]
pub struct UserFacts {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// How many administrators there are.
    pub administrators: usize,
}

impl UserFacts {
    /// `edit`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        vec![
            Action::of("edit", Ok(())),
            Action::of("delete", if self.is_last() { Err(self.last()) } else { Ok(()) }),
        ]
    }

    /// Whether the user may be given this role.
    pub fn may_become(&self, role: Role) -> Result<(), String> {
        if role != Role::Administrator && self.is_last() { Err(self.last()) } else { Ok(()) }
    }

    fn is_last(&self) -> bool {
        self.role == Role::Administrator && self.administrators <= 1
    }

    fn last(&self) -> String {
        format!("'{}' is the only administrator: make another one first.", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_does_not_name_is_the_administrators() {
        for operation in ["", "create_user", "list_users", "list_audit", "replace_certificate", "new_thing"] {
            assert_eq!(need(operation), Need::Role(Role::Administrator), "{operation}");
        }
        assert_eq!(need("list_layers"), Need::Role(Role::Reader));
        assert_eq!(need("sign_in"), Need::Nobody);
    }

    #[test]
    fn an_action_beyond_a_role_is_refused_and_says_which_role_it_needs() {
        let actions = || {
            vec![
                Action { name: "test", allowed: true, reason: None },
                Action { name: "delete", allowed: false, reason: Some("It is in use.".into()) },
            ]
        };
        let as_editor = within_role(actions(), "connector", Role::Editor);
        assert_eq!(as_editor[0], actions()[0]);
        let why = as_editor[1].reason.clone().unwrap();
        assert_eq!(why, "This needs the role administrator; you have the role editor: ask an administrator.");
        assert!(!within_role(actions(), "connector", Role::Reader)[0].allowed);
        assert_eq!(within_role(actions(), "connector", Role::Administrator), actions());
    }

    #[test]
    fn finalizing_anyway_is_a_role_of_its_own_that_grants_nothing_else() {
        for (role, may) in Role::ALL.into_iter().zip([false, false, true, true]) {
            assert_eq!(may_finalize_anyway(role).is_ok(), may, "{role}");
            let action = Action { name: FINALIZE_ANYWAY, allowed: true, reason: None };
            assert_eq!(within_role(vec![action], "version", role)[0].allowed, may, "{role}");
        }
        assert_eq!(
            may_finalize_anyway(Role::Editor).unwrap_err(),
            "This needs the role approver; you have the role editor: ask an administrator."
        );
        for operation in ["create_connector", "create_user", "collect_garbage"] {
            assert_eq!(need(operation), Need::Role(Role::Administrator), "{operation}");
        }
        assert!(may_name_server_files(Role::Approver).is_err());
    }

    #[test]
    fn what_is_no_action_of_one_thing_is_allowed_by_role_and_says_which_role_is_lacking() {
        let allowed = |role| {
            let actions = general_actions(role);
            assert!(actions.iter().all(|action| action.allowed == action.reason.is_none()), "{actions:?}");
            actions.iter().filter(|action| action.allowed).map(|action| action.name).collect::<Vec<_>>()
        };
        assert!(allowed(Role::Reader).is_empty());
        assert_eq!(
            allowed(Role::Editor),
            ["create_layer", "create_template", "delete_version", "create_upload", "open_screen"]
        );
        assert_eq!(allowed(Role::Approver), allowed(Role::Editor));
        assert_eq!(allowed(Role::Administrator).len(), GENERAL.len() + 1);
    }

    #[test]
    fn the_last_administrator_stays() {
        let facts = |role, administrators| UserFacts { name: "ada".into(), role, administrators };
        for (role, administrators, stays) in [
            (Role::Administrator, 1, true),
            (Role::Administrator, 2, false),
            (Role::Editor, 1, false),
            (Role::Reader, 0, false),
        ] {
            let facts = facts(role, administrators);
            assert_eq!(crate::permitted(&facts.actions(), "delete").is_err(), stays, "{facts:?}");
            assert_eq!(facts.may_become(Role::Reader).is_err(), stays, "{facts:?}");
            assert!(facts.may_become(Role::Administrator).is_ok());
        }
    }
}
