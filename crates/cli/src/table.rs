//! Text for people: aligned columns, sheets of labelled values, colours of states.
//!
//! ```text
//! list                                   sheet
//! NAME     KIND  VERSIONS                Name:      debian
//! debian   os    2                       Versions:  2
//! ```
//!
//! Names and notes come from other people and from guests, so no control character of theirs reaches the terminal.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

/// One value, and the colour it may get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Option<AnsiColor>,
}

impl Cell {
    /// A state: green when it ended well, red when it did not, yellow when a person is needed or work goes on.
    pub fn state(text: impl Into<String>) -> Self {
        let text = text.into();
        let style = match text.as_str() {
            "deployable" | "done" | "running" | "ok" => Some(AnsiColor::Green),
            "failed" | "stuck" | "broken" => Some(AnsiColor::Red),
            "action_required" | "waiting" | "warning" | "editing" | "finalizable" | "finalizing" => {
                Some(AnsiColor::Yellow)
            }
            _ => None,
        };
        Self { text, style }
    }

    /// The text, in its colour when `color`.
    pub fn text(&self, color: bool) -> String {
        let text = printable(&self.text);
        match self.style.filter(|_| color) {
            Some(ansi) => {
                let style = Style::new().fg_color(Some(ansi.into()));
                format!("{style}{text}{style:#}")
            }
            None => text,
        }
    }

    fn width(&self) -> usize {
        printable(&self.text).width()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: None }
    }
}

/// Columns under a head.
#[derive(Debug)]
pub struct Table {
    head: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(head: &'static [&'static str]) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds a row with a cell for each column of the head.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The table as lines, each after `indent` spaces.
    pub fn render(&self, color: bool, indent: usize) -> String {
        let head: Vec<Cell> = self.head.iter().map(|&h| Cell::from(h)).collect();
        let widths: Vec<usize> = (0..self.head.len())
            .map(|i| self.rows.iter().chain([&head]).map(|row| row[i].width()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in [&head].into_iter().chain(&self.rows) {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&cell.text(color));
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Labelled values, then tables under titles.
#[derive(Debug, Default)]
pub struct Sheet {
    values: Vec<(&'static str, Cell)>,
    parts: Vec<(&'static str, Table)>,
}

impl Sheet {
    /// Adds a value; one that is empty is left out.
    #[must_use]
    pub fn with(mut self, label: &'static str, cell: impl Into<Cell>) -> Self {
        let cell = cell.into();
        if !cell.text.is_empty() {
            self.values.push((label, cell));
        }
        self
    }

    /// Adds a value that may not be there.
    #[must_use]
    pub fn maybe(self, label: &'static str, cell: Option<impl Into<Cell>>) -> Self {
        match cell {
            Some(cell) => self.with(label, cell),
            None => self,
        }
    }

    /// Adds a table below; an empty one is left out.
    #[must_use]
    pub fn part(mut self, title: &'static str, table: Table) -> Self {
        if !table.rows.is_empty() {
            self.parts.push((title, table));
        }
        self
    }

    /// The sheet as lines.
    pub fn render(&self, color: bool) -> String {
        let widest = self.values.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
        let mut out = String::new();
        for (label, cell) in &self.values {
            let pad = " ".repeat(widest - label.width() + 2);
            out.push_str(&format!("{label}:{pad}{}\n", cell.text(color)));
        }
        for (title, table) in &self.parts {
            out.push_str(&format!("\n{title}:\n{}", table.render(color, 2)));
        }
        out
    }
}

/// `text` on one line without control characters.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// `text` without control characters, its line breaks kept.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_spaces_at_the_end() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(vec!["ウィン".into(), Cell::state("deployable")]);
        table.row(vec!["a-long-name".into(), "".into()]);
        assert_eq!(table.render(false, 0), "NAME         STATE\nウィン       deployable\na-long-name\n");
    }

    #[test]
    fn colour_is_put_only_where_it_is_wanted_and_does_not_shift_columns() {
        let mut table = Table::new(&["STATE", "NAME"]);
        table.row(vec![Cell::state("failed"), "x".into()]);
        assert_eq!(table.render(true, 0), "STATE   NAME\n\u{1b}[31mfailed\u{1b}[0m  x\n");
    }

    #[test]
    fn a_name_cannot_send_control_characters_to_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(vec!["a\u{1b}]0;b\u{7}\nc".into()]);
        assert_eq!(table.render(true, 0), "NAME\na\u{fffd}]0;b\u{fffd} c\n");
    }

    #[test]
    fn a_sheet_leaves_out_what_is_empty() {
        let sheet = Sheet::default()
            .with("Name", "debian")
            .with("Description", "")
            .maybe("Task", None::<String>)
            .with("Versions", "2")
            .part("Steps", Table::new(&["STEP"]));
        assert_eq!(sheet.render(false), "Name:      debian\nVersions:  2\n");
    }
}
