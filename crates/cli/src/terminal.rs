//! What goes to stdout and stderr, in the form that was asked for.
//!
//! | `-o` | stdout |
//! |---|---|
//! | `table` | for people: aligned columns, sheets, sentences |
//! | `json`, `yaml` | exactly the API's objects; a list is one array with every page |
//! | `name` | names only, one a line |
//!
//! `-q` prints ids only and keeps stderr for errors. Progress and advice go to stderr, so that stdout can be piped.

use crate::failure::{Exit, Failure};
use crate::table::{Cell, Sheet, Table};
use clap::ValueEnum;
use serde::Serialize;
use shale_api::Action;
use std::io::{IsTerminal, Write};

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text for people.
    #[default]
    Table,
    /// The API's objects as JSON.
    Json,
    /// The API's objects as YAML.
    Yaml,
    /// Names only.
    Name,
}

/// How an object is shown.
pub trait View: Serialize {
    /// The columns of a list.
    const COLUMNS: &'static [&'static str];
    /// What `-q` prints.
    fn id(&self) -> String;
    /// What `-o name` prints.
    fn name(&self) -> String;
    /// A cell for each column.
    fn row(&self) -> Vec<Cell>;
    /// The object alone, with all that is worth knowing.
    fn sheet(&self) -> Sheet;
}

/// stdout and stderr.
#[derive(Debug)]
pub struct Terminal {
    /// `-o`.
    pub format: Format,
    /// `-q`.
    pub quiet: bool,
    /// Whether stdout gets colours.
    pub color: bool,
}

impl Terminal {
    /// The process's own stdout and stderr. Colours need a terminal, and neither `--no-color` nor `NO_COLOR`.
    pub fn new(format: Format, quiet: bool, no_color: bool) -> Self {
        let refused = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, quiet, color: !refused && std::io::stdout().is_terminal() }
    }

    /// Whether sentences for people go to stdout.
    pub fn for_people(&self) -> bool {
        self.format == Format::Table && !self.quiet
    }

    /// Prints a list.
    pub fn list<T: View>(&self, items: &[T]) -> Result<(), Failure> {
        let lines =
            |text: fn(&T) -> String| -> String { items.iter().map(|item| text(item) + "\n").collect() };
        let text = match self.format {
            Format::Json => json(&items)?,
            Format::Yaml => yaml(&items)?,
            _ if self.quiet => lines(T::id),
            Format::Name => lines(T::name),
            Format::Table => {
                let mut table = Table::new(T::COLUMNS);
                for item in items {
                    table.row(item.row());
                }
                table.render(self.color, 0)
            }
        };
        self.print(&text)
    }

    /// Prints one object.
    pub fn object<T: View>(&self, item: &T) -> Result<(), Failure> {
        self.answer(item, item, |item| item.sheet())
    }

    /// Prints an answer that is more than one object: `whole` for programs, `main` by id and name, a sheet for people.
    pub fn answer<W: Serialize, T: View>(
        &self,
        whole: &W,
        main: &T,
        sheet: impl FnOnce(&W) -> Sheet,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => json(whole)?,
            Format::Yaml => yaml(whole)?,
            _ if self.quiet => main.id() + "\n",
            Format::Name => main.name() + "\n",
            Format::Table => sheet(whole).render(self.color),
        };
        self.print(&text)
    }

    /// Prints an object that has neither name nor id.
    pub fn report<T: Serialize>(&self, whole: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => json(whole)?,
            Format::Yaml => yaml(whole)?,
            Format::Table | Format::Name => text(whole),
        };
        self.print(&text)
    }

    /// Prints one object of an endless row of them: JSON on one line, YAML as a document of its own.
    pub fn stream<T: View>(&self, item: &T) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => serde_json::to_string(item).map_err(unwritable)? + "\n",
            Format::Yaml => "---\n".to_owned() + &yaml(item)?,
            _ if self.quiet => item.id() + "\n",
            Format::Name => item.name() + "\n",
            Format::Table => {
                let cells: Vec<String> = item.row().iter().map(|cell| cell.text(self.color)).collect();
                cells.join("  ") + "\n"
            }
        };
        self.print(&text)
    }

    /// Prints text to stdout as it is.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Tells a person something that is no part of the answer.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Nothing is lost when there is nobody to read it.
            let _ = writeln!(std::io::stderr().lock(), "{}", crate::table::printable_lines(text));
        }
    }
}

/// The rows of what may be done with an object now, and why the rest may not.
pub fn actions(actions: &[Action]) -> Table {
    let mut table = Table::new(&["ACTION", "NOW", "WHY NOT"]);
    for action in actions {
        let now = if action.allowed { "yes" } else { "no" };
        table.row(vec![
            action.name.as_str().into(),
            now.into(),
            action.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// A word of the API (a state, a kind) as the wire spells it.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(unwritable)? + "\n")
}

fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(value).map_err(unwritable)?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write the answer: {error}"))
}
