//! `shale token`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use crate::user::RoleName;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shale_api::{Comment, NewToken, Token, TokenCreated};
use uuid::Uuid;

/// The verbs of `shale token`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the tokens
    List,
    /// Make a token and print its secret, which is not shown again
    Create {
        /// What it is for
        name: String,
        /// What may be done with it
        #[arg(long, value_enum)]
        role: RoleName,
        /// How long it is taken, at most 366
        #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Delete a token: it is refused from now on
    Delete {
        /// Name or id
        token: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Token>(&client.list("/tokens", &[], None)?)?,
        Verb::Create { name, role, days, comment } => {
            let end = Timestamp::now().checked_add(SignedDuration::from_hours(24 * i64::from(days)));
            let end = end.map_err(|_| Failure::usage("That is too long."))?;
            let request = NewToken {
                id: Uuid::now_v7(),
                name,
                role: role.into(),
                expires_at: end.to_string(),
                comment,
            };
            // Not sent again when the answer is lost: the secret would be lost with it.
            let made: TokenCreated = client.post("/tokens", &request)?;
            terminal.report(&made, |made| format!("{}\n", made.secret))?;
            terminal.note(&format!(
                "Keep it: it is not shown again. It is taken until {}.",
                units::time(&made.token.expires_at)
            ));
        }
        Verb::Delete { token, comment } => {
            let token = resolve::token(client, &token)?;
            let _: Value = client.delete(&format!("/tokens/{}", token.id), &Comment { comment })?;
            terminal.note(&format!("The token '{}' is deleted.", token.name));
        }
    }
    Ok(Exit::Ok)
}

impl View for Token {
    const COLUMNS: &'static [&'static str] = &["NAME", "ROLE", "UNTIL", "LAST USED", "MADE BY"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            word(&self.role).into(),
            units::time(&self.expires_at).into(),
            self.last_used_at.as_deref().map(units::time).unwrap_or_default().into(),
            self.created_by.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
            .with("Token", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Role", word(&self.role))
            .with("Taken until", units::time(&self.expires_at))
            .maybe("Last used", self.last_used_at.as_deref().map(units::time))
            .with("Made", format!("{} by {}", units::time(&self.created_at), self.created_by))
            .part("What can be done", actions(&self.actions))
    }
}
