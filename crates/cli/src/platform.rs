//! What platforms want to be told, and settings that are tried before they are stored: secrets are asked for without
//! being shown, a certificate is trusted once a person has said so.

use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, word};
use serde_json::{Map, Value};
use shale_api::{
    Check, Choice, ConnectorField, ConnectorKind, ConnectorTest, FieldInput, Fix, Page, TryConnector,
};
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A file longer than this is no setting.
const SETTING_LIMIT: u64 = 64 << 10;

/// All kinds of platforms that the server knows.
pub fn kinds(client: &Client) -> Result<Vec<ConnectorKind>, Failure> {
    client.list("/connector-kinds", &[], None)
}

/// One kind, if the server knows it.
pub fn kind(client: &Client, name: &str) -> Result<Option<ConnectorKind>, Failure> {
    Ok(kinds(client)?.into_iter().find(|kind| kind.kind == name))
}

/// Settings as the kind wants them: numbers and truth values where it wants those, text elsewhere, whatever the text
/// looks like. What a kind that is not known wants is guessed.
pub fn typed(kind: Option<&ConnectorKind>, set: Vec<(String, String)>) -> Map<String, Value> {
    let input = |key: &str| {
        let fields = kind.map(|kind| kind.fields.as_slice()).unwrap_or_default();
        fields.iter().find(|field| field.name == key).map(|field| field.input)
    };
    let value = |key: &str, text: String| match (input(key), serde_json::from_str(&text)) {
        (
            Some(FieldInput::Number | FieldInput::Flag) | None,
            Ok(parsed @ (Value::Number(_) | Value::Bool(_))),
        ) => parsed,
        _ => Value::String(text),
    };
    set.into_iter().map(|(key, text)| (key.clone(), value(&key, text))).collect()
}

/// Whether a person sits at the terminal and may be asked.
pub fn may_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Adds what `--set-file` names: the text of a file, or of stdin (`-`), without the end of its last line.
pub fn read_files(settings: &mut Map<String, Value>, files: Vec<(String, PathBuf)>) -> Result<(), Failure> {
    for (key, path) in files {
        let mut text = String::new();
        let read = match path == Path::new("-") {
            true => std::io::stdin().take(SETTING_LIMIT).read_to_string(&mut text),
            false => std::fs::File::open(&path).and_then(|f| f.take(SETTING_LIMIT).read_to_string(&mut text)),
        };
        read.map_err(|e| Failure::io(format!("cannot read {}", path.display()), &e))?;
        settings.insert(key, Value::String(text.trim_end_matches(['\n', '\r']).to_owned()));
    }
    Ok(())
}

/// Asks for the secrets that must be given and are not there.
pub fn ask_secrets(kind: &ConnectorKind, settings: &mut Map<String, Value>) -> Result<(), Failure> {
    let is_missing = |field: &&ConnectorField| {
        field.input == FieldInput::Secret && field.required && !settings.contains_key(&field.name)
    };
    let missing: Vec<_> = kind.fields.iter().filter(is_missing).collect();
    for field in missing {
        let text = rpassword::prompt_password(format!("{}: ", field.label))
            .map_err(|e| Failure::io(format!("cannot read the {}", field.label), &e))?;
        settings.insert(field.name.clone(), Value::String(text));
    }
    Ok(())
}

/// Tries settings on the server. What a person agrees to mend is set, and tried again.
pub fn try_out(
    client: &Client,
    connector_id: Option<Uuid>,
    kind: &str,
    settings: &mut Map<String, Value>,
) -> Result<ConnectorTest, Failure> {
    loop {
        let wanted =
            TryConnector { connector_id, kind: kind.into(), settings: Value::Object(settings.clone()) };
        let test: ConnectorTest = client.post("/connectors/test", &wanted)?;
        match agreed_fix(&test.checks)? {
            Some(fix) => settings.insert(fix.field, Value::String(fix.value)),
            None => return Ok(test),
        };
    }
}

/// The first fix that the person at the terminal agrees to.
pub fn agreed_fix(checks: &[Check]) -> Result<Option<Fix>, Failure> {
    if !may_ask() {
        return Ok(None);
    }
    for fix in checks.iter().filter_map(|check| check.fix.clone()) {
        if says_yes(&fix.question)? {
            return Ok(Some(fix));
        }
    }
    Ok(None)
}

fn says_yes(question: &str) -> Result<bool, Failure> {
    let mut stderr = std::io::stderr().lock();
    let question = crate::table::printable_lines(question);
    let mut answer = String::new();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let read = asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    read.map_err(|e| Failure::io("cannot ask", &e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What the platform has for those settings that name something on it.
pub fn choices(client: &Client, wanted: &TryConnector, terminal: &Terminal) -> Result<(), Failure> {
    let found: Page<Choice> = client.post("/connectors/choices", wanted)?;
    terminal.list(&found.items)
}

/// The kind of this name; a usage failure that names the others where there is none.
pub fn known(client: &Client, name: &str) -> Result<ConnectorKind, Failure> {
    let kinds = kinds(client)?;
    let names: Vec<_> = kinds.iter().map(|kind| kind.kind.clone()).collect();
    kinds.into_iter().find(|kind| kind.kind == name).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("There is no kind '{name}'; there are: {}.", names.join(", ")))
    })
}

/// What layered images have to do with connectors of a kind.
fn images(kind: &ConnectorKind) -> &'static str {
    match (kind.takes_images, kind.boots_images) {
        (true, true) => "published, booted and checked",
        (true, false) => "published",
        (false, true) => "booted and checked",
        (false, false) => "",
    }
}

impl View for ConnectorKind {
    const COLUMNS: &'static [&'static str] = &["KIND", "PLATFORM", "IMAGES", "MUST BE SET"];

    fn id(&self) -> String {
        self.kind.clone()
    }

    fn name(&self) -> String {
        self.kind.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let required = self.fields.iter().filter(|field| field.required).map(|field| field.name.as_str());
        let required = required.collect::<Vec<_>>().join(" ");
        vec![self.kind.clone().into(), self.label.clone().into(), images(self).into(), required.into()]
    }

    fn sheet(&self) -> Sheet {
        let mut table = Table::new(&["SETTING", "INPUT", "MUST", "DEFAULT", "WHAT IT IS"]);
        for field in &self.fields {
            let input = match field.options.is_empty() {
                true => word(&field.input),
                false => field.options.join("|"),
            };
            table.row(vec![
                field.name.clone().into(),
                input.into(),
                if field.required { "yes" } else { "no" }.into(),
                field.default.clone().unwrap_or_default().into(),
                field.help.clone().into(),
            ]);
        }
        Sheet::default()
            .with("Kind", self.kind.clone())
            .with("Platform", self.label.clone())
            .with("Images", images(self))
            .part("Settings", table)
    }
}

impl View for Choice {
    const COLUMNS: &'static [&'static str] = &["SETTING", "VALUE", "NAME", "DETAIL"];

    fn id(&self) -> String {
        self.value.clone()
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let cells = [&self.field, &self.value, &self.label, &self.detail];
        cells.map(|text| text.clone().into()).into()
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("Setting", self.field.clone()).with("Value", self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(name: &str, input: FieldInput) -> ConnectorField {
        let (label, help) = (name.to_owned(), String::new());
        ConnectorField {
            name: name.into(),
            label,
            input,
            options: vec![],
            required: true,
            default: None,
            help,
        }
    }

    #[test]
    fn a_password_of_digits_is_text_and_what_is_to_be_a_number_is_one() {
        let fields = [
            ("password", FieldInput::Secret),
            ("memory_mib", FieldInput::Number),
            ("template", FieldInput::Found),
        ];
        let fields = fields.map(|(name, input)| field(name, input)).to_vec();
        let kind = ConnectorKind {
            kind: "pool".into(),
            label: "Pool".into(),
            takes_images: true,
            boots_images: false,
            fields,
        };
        let set = || {
            [("password", "12345"), ("memory_mib", "4096"), ("template", "2019"), ("other", "true")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec()
        };
        let typed_set = Value::Object(typed(Some(&kind), set()));
        let expected = json!({ "password": "12345", "memory_mib": 4096, "template": "2019", "other": true });
        assert_eq!(typed_set, expected);
        assert_eq!(typed(None, set())["memory_mib"], 4096);
    }
}
