//! What things may be called.
//!
//! Every function takes what a person typed, without a change, and answers with a sentence when a rule is broken.
//! A name is never a path: names end up in file names, machine names and messages.

use std::fmt;

/// The rule that a value breaks: stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Nothing was given.
    Required,
    /// It is longer than allowed.
    TooLong,
    /// It is shorter than allowed.
    TooShort,
    /// It is too easily guessed.
    Guessable,
    /// It holds a control character.
    ControlCharacter,
    /// It starts or ends with a blank (or, a file name, with a dot).
    Untrimmed,
    /// It is a path, or a part of one.
    Path,
    /// It holds a character that a file name cannot have on every system.
    Character,
    /// It is a name that Windows keeps for a device.
    Reserved,
    /// Another one in the same place has it.
    Taken,
    /// The size is out of range.
    SizeRange,
    /// The size is smaller than the base version's disk.
    SmallerThanBase,
}

/// A value that breaks a rule. `Display` is a sentence for the person who typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    rule: Rule,
    text: String,
}

impl Invalid {
    /// A broken `rule`; `text` says what is wrong and what to do, in whole sentences.
    pub fn new(rule: Rule, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }

    /// Which rule is broken.
    pub fn rule(&self) -> Rule {
        self.rule
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Invalid {}

/// Longest name of a layer, a version or a connector configuration, in characters.
const NAME_CHARACTERS: usize = 100;
/// Longest name of a packaging disk, in bytes: the machine's name adds 24, a format's extension up to 6, and file
/// systems stop at 255; hypervisors' own limits are lower.
const FILE_NAME_BYTES: usize = 100;
/// Longest name of a file that is sent, in bytes.
const SENT_NAME_BYTES: usize = 200;
/// Fewest characters of a password.
const PASSWORD_CHARACTERS: usize = 12;
/// Longest password, in bytes: hashing takes longer the longer it is.
const PASSWORD_BYTES: usize = 1_024;
/// Longest description, in characters.
const DESCRIPTION_CHARACTERS: usize = 2_000;
/// Longest comment, in characters.
const COMMENT_CHARACTERS: usize = 2_000;

/// Checks a layer's name. `taken` says whether another layer of its kind has it.
pub fn layer_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("layer name", name)?;
    unique("layer", name, taken)
}

/// Checks a version's name. `taken` says whether another version of the layer has it.
pub fn version_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("version", name)?;
    unique("version of this layer", name, taken)
}

/// Checks an image template's name. `taken` says whether another one has it. Images, and their files, are named after it, so that
/// it must be a name that files can have.
pub fn template_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("image template's name", name)?;
    file_name_of("image template's name", name, SENT_NAME_BYTES)?;
    unique("image template", name, taken)
}

/// Checks a connector configuration's name. `taken` says whether another one has it.
pub fn connector_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("connector configuration's name", name)?;
    unique("connector configuration", name, taken)
}

/// Checks a user's name. `taken` says whether another user has it, in whatever case.
pub fn user_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("user name", name)?;
    unique("user", name, taken)
}

/// Checks an API token's name. `taken` says whether another token has it.
pub fn token_name(name: &str, taken: bool) -> Result<(), Invalid> {
    name_of("token's name", name)?;
    unique("token", name, taken)
}

/// Checks a new password of the user `name`. There is no rule about kinds of characters: length is what counts
/// (NIST SP 800-63B, 5.1.1.2).
pub fn password(password: &str, name: &str) -> Result<(), Invalid> {
    let (least, most) = (PASSWORD_CHARACTERS, PASSWORD_BYTES);
    if password.chars().count() < least {
        let text = format!("The password is too short: use at least {least} characters, such as four words.");
        return Err(Invalid::new(Rule::TooShort, text));
    }
    if password.len() > most {
        return Err(Invalid::new(
            Rule::TooLong,
            format!("The password is longer than {most} bytes: shorten it."),
        ));
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|c| Some(c) == first) || password.to_lowercase() == name.to_lowercase() {
        let text = "The password is one character over and over, or the user's name: use something else.";
        return Err(Invalid::new(Rule::Guessable, text));
    }
    Ok(())
}

/// Checks the name of a file that is sent: a name that any system's disks and CDs can hold.
pub fn file_name(name: &str) -> Result<(), Invalid> {
    file_name_of("file name", name, SENT_NAME_BYTES)
}

/// Checks a description. It may be empty, and have lines.
pub fn description(text: &str) -> Result<(), Invalid> {
    free_text("description", text, DESCRIPTION_CHARACTERS)
}

/// Checks a comment. It may be empty, and have lines.
pub fn comment(text: &str) -> Result<(), Invalid> {
    free_text("comment", text, COMMENT_CHARACTERS)
}

/// Checks a packaging disk's file name: it must work on Linux, on Windows and as the first part of a machine's name.
pub fn packaging_disk_file_name(name: &str) -> Result<(), Invalid> {
    file_name_of("packaging disk file name", name, FILE_NAME_BYTES)
}

fn file_name_of(what: &str, name: &str, limit: usize) -> Result<(), Invalid> {
    not_empty(what, name)?;
    if name.len() > limit {
        let text = format!("The {what} has {} bytes: shorten it to {limit}.", name.len());
        return Err(Invalid::new(Rule::TooLong, text));
    }
    no_control(what, name)?;
    not_a_path(what, name)?;
    if let Some(bad) = name.chars().find(|c| r#"<>:"|?*'"#.contains(*c)) {
        let text = format!("The {what} '{name}' contains {bad}: leave out < > : \" | ? * and quotes.");
        return Err(Invalid::new(Rule::Character, text));
    }
    if name.trim() != name || name.starts_with('.') || name.ends_with('.') {
        let text = format!("The {what} '{name}' starts or ends with a blank or a dot: remove it.");
        return Err(Invalid::new(Rule::Untrimmed, text));
    }
    if is_device(name) {
        let text = format!("The {what} '{name}' is the name of a device on Windows: choose another one.");
        return Err(Invalid::new(Rule::Reserved, text));
    }
    Ok(())
}

/// Windows takes these for devices, in any case, with any extension.
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|n| {
        matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

/// The rules of a name that people see and type: a layer's, a version's.
fn name_of(what: &str, name: &str) -> Result<(), Invalid> {
    not_empty(what, name)?;
    at_most(what, name, NAME_CHARACTERS)?;
    no_control(what, name)?;
    if name.trim() != name {
        let text = format!("The {what} '{name}' starts or ends with a blank: remove it.");
        return Err(Invalid::new(Rule::Untrimmed, text));
    }
    not_a_path(what, name)
}

fn not_empty(what: &str, name: &str) -> Result<(), Invalid> {
    if name.trim().is_empty() {
        return Err(Invalid::new(Rule::Required, format!("The {what} is missing: enter one.")));
    }
    Ok(())
}

fn at_most(what: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    let count = text.chars().count();
    if count > limit {
        return Err(Invalid::new(
            Rule::TooLong,
            format!("The {what} has {count} characters: shorten it to {limit}."),
        ));
    }
    Ok(())
}

fn no_control(what: &str, name: &str) -> Result<(), Invalid> {
    if name.chars().any(is_invisible) {
        let text =
            format!("The {what} contains a line break, a tab or another control character: remove it.");
        return Err(Invalid::new(Rule::ControlCharacter, text));
    }
    Ok(())
}

/// Control characters, and those that only turn the direction of what is shown around them: with these, a name
/// reads as another one.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn not_a_path(what: &str, name: &str) -> Result<(), Invalid> {
    if name.contains(['/', '\\']) || name == "." || name == ".." {
        let text = format!(
            "The {what} '{name}' looks like a path: use a name without / and \\, other than . and .."
        );
        return Err(Invalid::new(Rule::Path, text));
    }
    Ok(())
}

fn unique(what: &str, name: &str, taken: bool) -> Result<(), Invalid> {
    if taken {
        let text = format!("There is already a {what} named '{name}': choose another name.");
        return Err(Invalid::new(Rule::Taken, text));
    }
    Ok(())
}

fn free_text(what: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    at_most(what, text, limit)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let text = format!("The {what} contains a control character: remove it.");
        return Err(Invalid::new(Rule::ControlCharacter, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_not_endless_and_not_the_name() {
        for (word, rule) in [
            ("", Some(Rule::TooShort)),
            ("elevenchars", Some(Rule::TooShort)),
            ("twelve chars", None),
            ("ääääääääääöö", None),
            ("aaaaaaaaaaaaaaa", Some(Rule::Guessable)),
            ("Administrator", Some(Rule::Guessable)),
        ] {
            let broken = password(word, "administrator").err().map(|invalid| invalid.rule());
            assert_eq!(broken, rule, "{word}");
        }
        assert_eq!(password(&"long ".repeat(300), "a").unwrap_err().rule(), Rule::TooLong);
    }

    fn broken(result: Result<(), Invalid>) -> Option<Rule> {
        result.err().map(|invalid| {
            let text = invalid.to_string();
            assert!(
                text.starts_with(char::is_uppercase) && text.ends_with('.') || text.ends_with(".."),
                "{text}"
            );
            invalid.rule()
        })
    }

    #[test]
    fn names_of_layers_and_versions_keep_the_rules() {
        let long = "ä".repeat(100);
        let too_long = "ä".repeat(101);
        let table: &[(&str, Option<Rule>)] = &[
            ("Win2012OS", None),
            ("Debian 12, Büro", None),
            ("1.0", None),
            ("...", None),
            ("x", None),
            (&long, None),
            (&too_long, Some(Rule::TooLong)),
            ("", Some(Rule::Required)),
            (" \t", Some(Rule::Required)),
            ("a\nb", Some(Rule::ControlCharacter)),
            ("a\u{0}b", Some(Rule::ControlCharacter)),
            ("gnp\u{202e}exe", Some(Rule::ControlCharacter)),
            (" a", Some(Rule::Untrimmed)),
            ("a\u{a0}", Some(Rule::Untrimmed)),
            (".", Some(Rule::Path)),
            ("..", Some(Rule::Path)),
            ("a/b", Some(Rule::Path)),
            ("../etc/passwd", Some(Rule::Path)),
            ("a\\b", Some(Rule::Path)),
        ];
        for (name, rule) in table {
            assert_eq!(broken(layer_name(name, false)), *rule, "{name:?}");
            assert_eq!(broken(version_name(name, false)), *rule, "{name:?}");
            assert_eq!(broken(connector_name(name, false)), *rule, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_taken_is_refused_by_name() {
        assert_eq!(
            version_name("1.0", true).unwrap_err().to_string(),
            "There is already a version of this layer named '1.0': choose another name."
        );
        assert_eq!(broken(layer_name("Win", true)), Some(Rule::Taken));
        assert_eq!(broken(connector_name("here", true)), Some(Rule::Taken));
    }

    #[test]
    fn a_packaging_disk_file_name_works_on_every_system() {
        let long = "a".repeat(100);
        let too_long = "ä".repeat(51);
        let table: &[(&str, Option<Rule>)] = &[
            ("win2012-patched", None),
            ("My Platform Layer", None),
            ("debian-12.5", None),
            ("console", None),
            ("COM10", None),
            ("nullable", None),
            (&long, None),
            (&too_long, Some(Rule::TooLong)),
            ("", Some(Rule::Required)),
            ("   ", Some(Rule::Required)),
            ("a\u{7f}", Some(Rule::ControlCharacter)),
            ("a/b", Some(Rule::Path)),
            ("..\\b", Some(Rule::Path)),
            (".", Some(Rule::Path)),
            ("..", Some(Rule::Path)),
            ("c:disk", Some(Rule::Character)),
            ("what?", Some(Rule::Character)),
            ("it's", Some(Rule::Character)),
            (" a", Some(Rule::Untrimmed)),
            ("a ", Some(Rule::Untrimmed)),
            ("a.", Some(Rule::Untrimmed)),
            (".hidden", Some(Rule::Untrimmed)),
            ("con", Some(Rule::Reserved)),
            ("NUL.vhd", Some(Rule::Reserved)),
            ("Aux .txt", Some(Rule::Reserved)),
            ("lpt9", Some(Rule::Reserved)),
            ("COM³", Some(Rule::Reserved)),
        ];
        for (name, rule) in table {
            assert_eq!(broken(packaging_disk_file_name(name)), *rule, "{name:?}");
        }
    }

    #[test]
    fn descriptions_and_comments_have_lines_and_a_limit() {
        for check in [description, comment] {
            assert_eq!(broken(check("")), None);
            assert_eq!(broken(check("one\r\n\ttwo")), None);
            assert_eq!(broken(check(&"ä".repeat(2_000))), None);
            assert_eq!(broken(check(&"ä".repeat(2_001))), Some(Rule::TooLong));
            assert_eq!(broken(check("a\u{1b}[31m")), Some(Rule::ControlCharacter));
        }
    }
}
