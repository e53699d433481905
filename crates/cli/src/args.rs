//! The command line.

use crate::terminal::Format;
use crate::{
    audit, certificate, connector, events, image, layer, machine, raw, repository, schedule, serve, task,
    template, token, upload, user, version,
};
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failed, 2 usage, 3 not signed in, 4 not found, 5 conflict, 6 the task failed,
            7 the task needs a person, 8 timed out, 130 interrupted

Environment: SHALE_SERVER, SHALE_TOKEN, SHALE_TOKEN_FILE, SHALE_CA, SHALE_DATA,
             NO_COLOR";

/// Keep operating-system images as layers with versions.
#[derive(Debug, Parser)]
#[command(name = "shale", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub noun: Noun,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// unix:/path/shaled.sock or https://host:port; the server on this computer when left out
    #[arg(long, global = true, env = "SHALE_SERVER", value_name = "URL", help_heading = "Server")]
    pub server: Option<String>,
    /// File with the token for https; the local server's own when left out, or the token in SHALE_TOKEN
    #[arg(long, global = true, env = "SHALE_TOKEN_FILE", value_name = "FILE", help_heading = "Server")]
    pub token_file: Option<PathBuf>,
    /// Certificate (PEM) of the server or of its issuer, for https
    #[arg(long, global = true, env = "SHALE_CA", value_name = "FILE", help_heading = "Server")]
    pub ca: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value_t, help_heading = "Output")]
    pub output: Format,
    /// Print ids only; no progress, no advice
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// No colours, as with NO_COLOR
    #[arg(long, global = true, help_heading = "Output")]
    pub no_color: bool,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// Layers: named things that have versions
    #[command(subcommand)]
    Layer(layer::Verb),
    /// Versions: immutable states of a layer
    #[command(subcommand)]
    Version(version::Verb),
    /// Schedules: versions that scripts make by themselves
    #[command(subcommand)]
    Schedule(schedule::Verb),
    /// Image templates: what layered images are made of
    #[command(subcommand)]
    Template(template::Verb),
    /// Layered images: what templates became
    #[command(subcommand)]
    Image(image::Verb),
    /// Packaging machines: where versions are made
    #[command(subcommand)]
    Machine(machine::Verb),
    /// Tasks: long operations
    #[command(subcommand)]
    Task(task::Verb),
    /// Connector configurations: how to reach a platform
    #[command(subcommand)]
    Connector(connector::Verb),
    /// The repository: where layers are stored
    #[command(subcommand)]
    Repository(repository::Verb),
    /// Files on their way to the server
    #[command(subcommand)]
    Upload(upload::Verb),
    /// Users: who may sign in
    #[command(subcommand)]
    User(user::Verb),
    /// Tokens: for programs
    #[command(subcommand)]
    Token(token::Verb),
    /// Print the code that makes the first administrator in the console
    SetupCode,
    /// The server's certificate
    #[command(subcommand)]
    Certificate(certificate::Verb),
    /// Watch what changes
    Events(events::Watch),
    /// Show who did what
    Audit(audit::Audit),
    /// Let the server look at itself and its host
    Doctor,
    /// Send any request to the API
    Api(raw::Request),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Start the server on this computer
    Serve(serve::Serve),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_shell_gets_a_completion_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "shale", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("finalize") && script.contains("grace-hours"), "{shell}");
        }
    }

    #[test]
    fn commands_of_the_manual_are_accepted() {
        let manual = include_str!("../../../docs/cli.md");
        let mut seen = 0;
        for line in manual.lines().filter_map(|line| line.strip_prefix("$ shale ")) {
            let line = line.split(" | ").next().unwrap_or(line);
            let words =
                std::iter::once("shale").chain(line.split_whitespace().map(|word| word.trim_matches('\'')));
            if let Err(e) = Args::try_parse_from(words) {
                let fine = [clap::error::ErrorKind::DisplayHelp, clap::error::ErrorKind::DisplayVersion];
                assert!(fine.contains(&e.kind()), "{line}\n{e}");
            }
            seen += 1;
        }
        assert!(seen > 40, "only {seen} examples were found");
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        let args = Args::parse_from(["shale", "layer", "list", "-o", "json", "--server", "unix:/s", "-q"]);
        assert!(args.global.output == Format::Json && args.global.quiet);
        assert_eq!(args.global.server.as_deref(), Some("unix:/s"));
    }

    #[test]
    fn a_disk_is_on_the_server_or_sent_to_it() {
        let base = ["shale", "layer", "import", "debian", "--version", "12"];
        let with = |more: &[&'static str]| Args::try_parse_from(base.iter().chain(more)).is_ok();
        assert!(!with(&[]));
        assert!(with(&["--file", "/srv/x"]) && with(&["--upload", "x"]));
        assert!(!with(&["--file", "/srv/x", "--upload", "x"]));
    }

    #[test]
    fn an_export_needs_one_place_to_go() {
        let base = ["shale", "version", "export", "debian", "12", "--format", "raw"];
        let with = |more: &[&'static str]| Args::try_parse_from(base.iter().chain(more)).is_ok();
        assert!(!with(&[]));
        assert!(with(&["--to", "/srv/x"]) && with(&["-O", "-"]));
        assert!(!with(&["--to", "/srv/x", "-O", "-"]));
    }

    #[test]
    fn the_server_gets_its_options_as_they_are() {
        let args = Args::parse_from(["shale", "serve", "--data", "/srv/shale", "--help"]);
        let Noun::Serve(serve) = args.noun else { panic!("{args:?}") };
        assert_eq!(format!("{serve:?}"), "Serve { options: [\"--data\", \"/srv/shale\", \"--help\"] }");
    }
}
