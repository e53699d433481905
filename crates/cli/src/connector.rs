//! `shale connector`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::resolve;
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, actions};
use crate::units;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use shale_api::{Check, Comment, Connector, ConnectorTest, EditConnector, NewConnector};
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
    Add {
        /// Its name
        name: String,
        /// Kind of platform, such as local
        #[arg(long)]
        kind: String,
        /// A setting of the kind; numbers, true and false are taken as such
        #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, Value)>,
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
        set: Vec<(String, Value)>,
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
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Connector>(&client.list("/connectors", &[], None)?)?,
        Verb::Show { connector } => terminal.object(&resolve::connector(client, &connector)?)?,
        Verb::Add { name, kind, set, comment } => {
            let settings = Value::Object(set.into_iter().collect());
            let request = NewConnector { id: Uuid::now_v7(), name, kind, settings, comment };
            terminal.object::<Connector>(&client.create("/connectors", &request)?)?;
        }
        Verb::Edit { connector, name, set, unset, comment } => {
            let mut changes: Map<String, Value> = set.into_iter().collect();
            changes.extend(unset.into_iter().map(|key| (key, Value::Null)));
            if name.is_none() && changes.is_empty() {
                return Err(Failure::usage("Nothing to change: give --name, --set or --unset."));
            }
            let id = resolve::connector(client, &connector)?.id;
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
            let test: ConnectorTest = client.post(&format!("/connectors/{id}/test"), &json!({}))?;
            terminal.report(&test, |test| checks(&test.checks, terminal.color))?;
            return Ok(if test.ok { Exit::Ok } else { Exit::Failed });
        }
    }
    Ok(Exit::Ok)
}

/// `key=value`; the value is JSON where it reads as a number, a truth value or null, else text.
fn setting(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            let value = match serde_json::from_str(value) {
                Ok(parsed @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => parsed,
                _ => Value::String(value.to_owned()),
            };
            Ok((key.to_owned(), value))
        }
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
            .with("Made", units::time(&self.created_at))
            .with("Changed", units::time(&self.updated_at))
            .part("What can be done", actions(&self.actions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_numbers_truth_values_or_text() {
        let value = |text| setting(text).unwrap().1;
        assert_eq!(setting("memory_mib=4096").unwrap(), ("memory_mib".into(), json!(4096)));
        assert_eq!(value("forward_ssh=true"), json!(true));
        assert_eq!(value("accelerator=tcg"), json!("tcg"));
        assert_eq!(value("name={\"a\":1}"), json!("{\"a\":1}"));
        assert_eq!(value("empty="), json!(""));
        assert_eq!(value("text=a=b"), json!("a=b"));
        assert!(setting("memory_mib").is_err());
        assert!(setting("=1").is_err());
    }
}
