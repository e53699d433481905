//! What an unattended machine tells, made into text for people: pure, and bounded, since a guest may write anything.
//!
//! ```text
//!   bytes of the port, or of the record on the disk ─▶ lines ─▶ text to keep ─┐
//!                                                         └────▶ how it ended ─┴─▶ Story
//! ```

use shale_guest::decide::Finding;
use shale_guest::script::{Line, Lines, Outcome};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Most text that is kept, in bytes: a guest's own tool tells at most half of it.
pub const KEPT: usize = 8 << 20;
/// How much of the text's end is told where a person is asked.
const TAIL: usize = 2000;
/// Longest text of a guest's that is told as why it failed, in characters.
const WHY: usize = 1000;
/// How much of the end of a port's log is looked at for what was said last, in bytes.
const END: u64 = 1 << 20;

/// How a run ended, as the machine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Well or not.
    pub outcome: Outcome,
    /// Why, for people.
    pub text: String,
}

/// What is known of a run.
#[derive(Debug, Default)]
pub struct Story {
    lines: Lines,
    /// All that was told, as text.
    text: String,
    /// Whether the machine told anything.
    pub began: bool,
    /// Whether the machine is on its way off, to be started again.
    pub restarting: bool,
    /// How it ended, once it has.
    pub ended: Option<Ended>,
    /// When the machine was last checked, and what was outstanding then.
    pub checked: Option<(jiff::Timestamp, Vec<Finding>)>,
}

impl Story {
    /// What the end of a port's log tells, for what was said last.
    pub fn at_the_end_of(log: &Path) -> io::Result<Self> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut bytes = Vec::new();
        file.take(END).read_to_end(&mut bytes)?;
        let mut story = Self::default();
        story.take(&bytes);
        Ok(story)
    }

    /// Takes more of what the machine told.
    pub fn take(&mut self, bytes: &[u8]) {
        for line in self.lines.take(bytes) {
            self.line(line);
        }
    }

    /// All that was told.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The end of it, from the beginning of a line.
    pub fn tail(&self) -> &str {
        let mut from = self.text.len().saturating_sub(TAIL);
        if from > 0 {
            from = self.text.as_bytes()[from..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(from, |at| from + at + 1);
            while !self.text.is_char_boundary(from) {
                from += 1;
            }
        }
        &self.text[from..]
    }

    /// The last line that says something.
    pub fn last_line(&self) -> Option<&str> {
        self.tail().lines().rev().map(str::trim).find(|line| !line.is_empty())
    }

    fn line(&mut self, line: Line) {
        self.began = true;
        self.restarting = matches!(line, Line::Restarting { .. });
        match line {
            Line::Began { script, start: 1, .. } => self.say(&format!("{script} begins.")),
            Line::Began { start, .. } => self.say(&format!("The machine has started again (start {start}).")),
            // Lines of Windows end with both.
            Line::Output { text } => self.add(&text.replace("\r\n", "\n")),
            Line::Note { text } => self.say(&text),
            Line::Checked { at, findings } => {
                for finding in &findings {
                    self.say(&finding.message);
                }
                if findings.is_empty() {
                    self.say("Nothing is outstanding.");
                }
                self.checked = Some((at, findings));
            }
            Line::Restarting { text, restarts } => {
                self.say(&format!("Restart {restarts}: {text}"));
            }
            Line::Ended { outcome, text, .. } => {
                self.say(&text);
                let text = text.chars().take(WHY).collect();
                self.ended.get_or_insert(Ended { outcome, text });
            }
        }
    }

    /// A line of ours, told apart from what the script prints.
    fn say(&mut self, text: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.add("\n");
        }
        self.add(&format!("== {}\n", text.replace('\n', " ")));
    }

    fn add(&mut self, text: &str) {
        if self.text.len() + text.len() <= KEPT {
            self.text.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[Line]) -> Story {
        let mut story = Story::default();
        for line in lines {
            let mut bytes = serde_json::to_vec(line).unwrap();
            bytes.push(b'\n');
            story.take(&bytes);
        }
        story
    }

    fn output(text: &str) -> Line {
        Line::Output { text: text.into() }
    }

    fn ended(outcome: Outcome) -> Line {
        Line::Ended { outcome, exit_code: None, text: "That was it.".into() }
    }

    #[test]
    fn a_run_is_told_in_order_and_what_is_ours_apart_from_what_the_script_prints() {
        let story = told(&[
            Line::Began { run: "r".into(), script: "setup.sh".into(), start: 1 },
            output("Unpacking x\r\nprogress 10%"),
            Line::Restarting { text: "It is wanted.".into(), restarts: 1 },
            Line::Began { run: "r".into(), script: "setup.sh".into(), start: 2 },
            Line::Checked { at: jiff::Timestamp::UNIX_EPOCH, findings: Vec::new() },
            ended(Outcome::Done),
        ]);
        assert_eq!(
            story.text(),
            "== setup.sh begins.\nUnpacking x\nprogress 10%\n== Restart 1: It is wanted.\n\
             == The machine has started again (start 2).\n== Nothing is outstanding.\n== That was it.\n"
        );
        assert_eq!(story.ended.unwrap().outcome, Outcome::Done);
    }

    #[test]
    fn the_first_end_counts() {
        let story = told(&[ended(Outcome::Failed), ended(Outcome::Done)]);
        assert_eq!(story.ended.unwrap().outcome, Outcome::Failed);
    }

    #[test]
    fn a_guest_that_tells_without_end_fills_nothing_and_its_end_is_still_seen() {
        let long = output(&"é".repeat(20_000));
        let mut lines = vec![long; 300];
        lines.push(ended(Outcome::Failed));
        let story = told(&lines);
        assert!(story.text().len() <= KEPT);
        assert!(story.ended.is_some());
        assert!(story.tail().len() <= TAIL);
    }

    #[test]
    fn the_tail_begins_with_a_line() {
        let lines: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let story = told(&[output(&lines)]);
        assert!(story.tail().starts_with("line ") && story.tail().ends_with("line 499\n"));
        assert_eq!(story.last_line(), Some("line 499"));
        assert_eq!(told(&[]).last_line(), None);
    }
}
