//! `shale user` and `shale setup-code`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::password::PasswordFrom;
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use shale_api::{Comment, EditUser, NewUser, Role, SetupCode, User};
use uuid::Uuid;

/// What somebody may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleName {
    /// See
    Reader,
    /// Make layers and versions, too
    Editor,
    /// Finalize a version although something is outstanding in its machine, too
    Approver,
    /// Everything
    Administrator,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Reader => Self::Reader,
            RoleName::Editor => Self::Editor,
            RoleName::Approver => Self::Approver,
            RoleName::Administrator => Self::Administrator,
        }
    }
}

/// The verbs of `shale user`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the users
    List,
    /// Show a user and what can be done with them now
    Show {
        /// Name or id
        user: String,
    },
    /// Make a user
    Create {
        /// Their name
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleName,
        #[command(flatten)]
        password: PasswordFrom,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Change a user's name or role
    Edit {
        /// Name or id
        user: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// New role
        #[arg(long, value_enum)]
        role: Option<RoleName>,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Give a user a new password; their sessions end
    Password {
        /// Name or id
        user: String,
        #[command(flatten)]
        password: PasswordFrom,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Delete a user; their sessions end
    Delete {
        /// Name or id
        user: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<User>(&client.list("/users", &[], None)?)?,
        Verb::Show { user } => terminal.object(&resolve::user(client, &user)?)?,
        Verb::Create { name, role, password, comment } => {
            let password = password.read_new()?;
            let request = NewUser { id: Uuid::now_v7(), name, role: role.into(), password, comment };
            terminal.object::<User>(&client.create("/users", &request)?)?;
        }
        Verb::Edit { user, name, role, comment } => {
            if name.is_none() && role.is_none() {
                return Err(Failure::usage("Nothing to change: give --name or --role."));
            }
            let edit = EditUser { name, role: role.map(Role::from), password: None, comment };
            edit_user(client, terminal, &user, &edit)?;
        }
        Verb::Password { user, password, comment } => {
            let password = Some(password.read_new()?);
            edit_user(client, terminal, &user, &EditUser { password, comment, ..EditUser::default() })?;
        }
        Verb::Delete { user, comment } => {
            let user = resolve::user(client, &user)?;
            let _: Value = client.delete(&format!("/users/{}", user.id), &Comment { comment })?;
            terminal.note(&format!("The user '{}' is deleted.", user.name));
        }
    }
    Ok(Exit::Ok)
}

fn edit_user(client: &Client, terminal: &Terminal, user: &str, edit: &EditUser) -> Result<(), Failure> {
    let id = resolve::user(client, user)?.id;
    terminal.object::<User>(&client.patch(&format!("/users/{id}"), edit)?)
}

/// Shows the code that makes the first administrator in the console.
pub fn setup_code(client: &Client, terminal: &Terminal) -> Outcome {
    let code: SetupCode = client.post("/setup/code", &json!({}))?;
    terminal.report(&code, |code| format!("{}\n", code.code))?;
    terminal.note(&format!("It is taken until {}.", units::time(&code.expires_at)));
    Ok(Exit::Ok)
}

impl View for User {
    const COLUMNS: &'static [&'static str] = &["NAME", "ROLE", "LAST SIGN-IN", "MADE"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let seen = self.last_login_at.as_deref().map(units::time).unwrap_or_default();
        vec![
            self.name.clone().into(),
            word(&self.role).into(),
            seen.into(),
            units::time(&self.created_at).into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
            .with("User", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Role", word(&self.role))
            .with("Made", units::time(&self.created_at))
            .maybe("Last sign-in", self.last_login_at.as_deref().map(units::time))
            .part("What can be done", actions(&self.actions))
    }
}
