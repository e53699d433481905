//! `shale connector`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::platform;
use crate::resolve;
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, actions};
use crate::units;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use shale_api::{
    Check, CheckOutcome, Comment, Connector, ConnectorKind, ConnectorTest, EditConnector, FieldInput,
    NewConnector, TryConnector,
};
use std::path::PathBuf;
use uuid::Uuid;

/// The verbs of `shale connector`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the connector configurations
    List,
    /// Show a connector configuration and what can be done with it now
    Show {
        /// Name or id
        connector: String,
    },
    /// Make a connector configuration
    ///
    /// Settings of a platform on the network are tried first. Secrets that are left out, and whether a certificate is to
    /// be trusted, are asked for at the terminal.
    Add {
        /// Its name
        name: String,
        /// Kind of platform, see `shale connector kinds`
        #[arg(long)]
        kind: String,
        /// A setting of the kind
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// A setting whose value stands in a file (- is stdin): for passwords
        #[arg(long, value_name = "KEY=FILE", value_parser = setting_file)]
        set_file: Vec<(String, PathBuf)>,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Change a connector configuration
    Edit {
        /// Name or id
        connector: String,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// A setting to change
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// A setting whose value stands in a file (- is stdin): for passwords
        #[arg(long, value_name = "KEY=FILE", value_parser = setting_file)]
        set_file: Vec<(String, PathBuf)>,
        /// A setting to remove, so that its default holds again
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Delete a connector configuration that nothing uses
    Delete {
        /// Name or id
        connector: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Test whether the platform can be used
    Test {
        /// Name or id
        connector: String,
    },
    /// List the kinds of platforms, or show what one wants to be told
    Kinds {
        /// The kind
        kind: Option<String>,
    },
    /// List what a platform has for those settings that name something on it
    Choices {
        /// Name or id of a stored configuration
        #[arg(required_unless_present = "kind", conflicts_with = "kind")]
        connector: Option<String>,
        /// Kind of platform, for settings that are not stored
        #[arg(long)]
        kind: Option<String>,
        /// A setting of the kind
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// A setting whose value stands in a file (- is stdin): for passwords
        #[arg(long, value_name = "KEY=FILE", value_parser = setting_file)]
        set_file: Vec<(String, PathBuf)>,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Connector>(&client.list("/connectors", &[], None)?)?,
        Verb::Show { connector } => terminal.object(&resolve::connector(client, &connector)?)?,
        Verb::Add { name, kind, set, set_file, comment } => {
            let known = platform::kind(client, &kind)?;
            let mut settings = platform::typed(known.as_ref(), set);
            platform::read_files(&mut settings, set_file)?;
            if let Some(known) = &known {
                prepare(client, terminal, known, &mut settings)?;
            }
            let settings = Value::Object(settings);
            let request = NewConnector { id: Uuid::now_v7(), name, kind, settings, comment };
            terminal.object::<Connector>(&client.create("/connectors", &request)?)?;
        }
        Verb::Edit { connector, name, set, set_file, unset, comment } => {
            let found = resolve::connector(client, &connector)?;
            let known = if set.is_empty() { None } else { platform::kind(client, &found.kind)? };
            let mut changes = platform::typed(known.as_ref(), set);
            platform::read_files(&mut changes, set_file)?;
            changes.extend(unset.into_iter().map(|key| (key, Value::Null)));
            if name.is_none() && changes.is_empty() {
                return Err(Failure::usage("Nothing to change: give --name, --set or --unset."));
            }
            let id = found.id;
            let settings = (!changes.is_empty()).then_some(Value::Object(changes));
            let edit = EditConnector { name, settings, comment };
            terminal.object::<Connector>(&client.patch(&format!("/connectors/{id}"), &edit)?)?;
        }
        Verb::Delete { connector, comment } => {
            let connector = resolve::connector(client, &connector)?;
            let _: Value = client.delete(&format!("/connectors/{}", connector.id), &Comment { comment })?;
            terminal.note(&format!("The connector configuration '{}' is deleted.", connector.name));
        }
        Verb::Test { connector } => {
            let id = resolve::connector(client, &connector)?.id;
            let path = format!("/connectors/{id}");
            let mut test: ConnectorTest = client.post(&format!("{path}/test"), &json!({}))?;
            while let Some(fix) = platform::agreed_fix(&test.checks)? {
                let settings = Some(json!({ fix.field: fix.value }));
                let comment = "Agreed to after a test.".into();
                let _: Connector = client.patch(&path, &EditConnector { settings, comment, name: None })?;
                test = client.post(&format!("{path}/test"), &json!({}))?;
            }
            terminal.report(&test, |test| checks(&test.checks, terminal.color))?;
            return Ok(if test.ok { Exit::Ok } else { Exit::Failed });
        }
        Verb::Kinds { kind: None } => terminal.list(&platform::kinds(client)?)?,
        Verb::Kinds { kind: Some(kind) } => terminal.object(&platform::known(client, &kind)?)?,
        Verb::Choices { connector, kind, set, set_file } => {
            let stored = connector.map(|connector| resolve::connector(client, &connector)).transpose()?;
            let (connector_id, kind, settings) = match stored {
                Some(stored) => (Some(stored.id), stored.kind, stored.settings),
                None => (None, kind.unwrap_or_default(), json!({})),
            };
            let mut settings: Map<String, Value> = settings.as_object().cloned().unwrap_or_default();
            let known = if set.is_empty() { None } else { platform::kind(client, &kind)? };
            settings.extend(platform::typed(known.as_ref(), set));
            platform::read_files(&mut settings, set_file)?;
            let wanted = TryConnector { connector_id, kind, settings: Value::Object(settings) };
            platform::choices(client, &wanted, terminal)?;
        }
    }
    Ok(Exit::Ok)
}

/// Completes settings at the terminal, and tells what a test of them finds wrong. A kind without secrets is on this
/// host: nothing needs to be asked.
fn prepare(
    client: &Client,
    terminal: &Terminal,
    kind: &ConnectorKind,
    settings: &mut Map<String, Value>,
) -> Result<(), Failure> {
    if !kind.fields.iter().any(|field| field.input == FieldInput::Secret) {
        return Ok(());
    }
    if platform::may_ask() {
        platform::ask_secrets(kind, settings)?;
    }
    let test = platform::try_out(client, None, &kind.kind, settings)?;
    if !test.ok {
        terminal.note("Not all is as it must be yet; change it with `shale connector edit`:");
        let failed: Vec<Check> =
            test.checks.into_iter().filter(|check| check.outcome == CheckOutcome::Failed).collect();
        terminal.note(&checks(&failed, false));
    }
    Ok(())
}

/// `key=file`.
fn setting_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((key, file)) if !key.is_empty() && !file.is_empty() => Ok((key.to_owned(), file.into())),
        _ => Err("write it as KEY=FILE".into()),
    }
}

/// `key=value`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".into()),
    }
}

/// The lines of a test, each with what to do about it.
pub fn checks(checks: &[Check], color: bool) -> String {
    let mut table = Table::new(&["CHECK", "OUTCOME", "DETAIL", "WHAT TO DO"]);
    for check in checks {
        table.row(vec![
            check.name.clone().into(),
            Cell::state(crate::terminal::word(&check.outcome)),
            check.detail.clone().into(),
            check.hint.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(color, 0)
}

fn settings_line(settings: &Value) -> String {
    match settings {
        Value::Object(map) => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let parts: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
            parts.join(" ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl View for Connector {
    const COLUMNS: &'static [&'static str] = &["NAME", "KIND", "SETTINGS"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![self.name.clone().into(), self.kind.clone().into(), settings_line(&self.settings).into()]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
            .with("Connector", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Kind", self.kind.clone())
            .with("Settings", settings_line(&self.settings))
            .with("Secrets that are set", self.secrets.join(" "))
            .with("Made", units::time(&self.created_at))
            .with("Changed", units::time(&self.updated_at))
            .part("What can be done", actions(&self.actions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_key_and_whatever_stands_behind_the_first_sign() {
        assert_eq!(setting("text=a=b").unwrap(), ("text".into(), "a=b".into()));
        assert_eq!(setting("empty=").unwrap(), ("empty".into(), String::new()));
        assert!(setting("memory_mib").is_err());
        assert!(setting("=1").is_err());
    }
}
