//! `shale`: the command line. It speaks the HTTP API and knows nothing else of Shale.
//!
//! ```text
//!  args ──▶ layer version template image machine task connector repository user token …               a file for each noun
//!                │                              │
//!                │ resolve  name → object       │ wait ── progress, needs, interrupt
//!                ▼                              ▼
//!             client ── address, unix, sse   terminal ── table, units                  failure: exit codes
//! ```
//!
//! What may be done is the server's to say: its `actions` are shown, and no rule of it is repeated here.

mod address;
mod args;
mod audit;
mod certificate;
mod client;
mod connector;
mod doctor;
mod download;
mod events;
mod exec;
mod failure;
mod finding;
mod image;
mod interrupt;
mod layer;
mod machine;
mod needs;
mod packaging;
mod password;
mod platform;
mod progress;
mod publish;
mod raw;
mod repository;
mod resolve;
mod schedule;
mod serve;
mod sse;
mod table;
mod task;
mod template;
mod terminal;
mod token;
mod unattended;
mod units;
#[cfg(unix)]
mod unix;
mod upload;
mod user;
mod version;
mod wait;

use args::{Args, Global, Noun};
use clap::{CommandFactory, Parser};
use client::{Access, Client};
use failure::{Exit, Outcome};
use std::process::ExitCode;
use terminal::Terminal;

fn main() -> ExitCode {
    let exit = run(Args::parse()).unwrap_or_else(|failure| {
        // When stderr is closed too there is only the exit code left to tell.
        let _ = failure.print(&mut std::io::stderr().lock());
        failure.exit
    });
    ExitCode::from(exit as u8)
}

fn run(args: Args) -> Outcome {
    match &args.noun {
        Noun::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "shale", &mut script);
            std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
            return Ok(Exit::Ok);
        }
        Noun::Serve(serve) => return serve::run(serve),
        _ => {}
    }
    let terminal = Terminal::new(args.global.output, args.global.quiet, args.global.no_color);
    let client = Client::new(access(args.global))?;
    match args.noun {
        Noun::Layer(verb) => layer::run(verb, &client, &terminal),
        Noun::Version(verb) => version::run(verb, &client, &terminal),
        Noun::Schedule(verb) => schedule::run(verb, &client, &terminal),
        Noun::Template(verb) => template::run(verb, &client, &terminal),
        Noun::Image(verb) => image::run(verb, &client, &terminal),
        Noun::Machine(verb) => machine::run(verb, &client, &terminal),
        Noun::Task(verb) => task::run(verb, &client, &terminal),
        Noun::Connector(verb) => connector::run(verb, &client, &terminal),
        Noun::Repository(verb) => repository::run(verb, &client, &terminal),
        Noun::Upload(verb) => upload::run(verb, &client, &terminal),
        Noun::User(verb) => user::run(verb, &client, &terminal),
        Noun::Token(verb) => token::run(verb, &client, &terminal),
        Noun::SetupCode => user::setup_code(&client, &terminal),
        Noun::Certificate(verb) => certificate::run(verb, &client, &terminal),
        Noun::Events(watch) => events::run(&watch, &client, &terminal),
        Noun::Audit(audit) => audit::run(&audit, &client, &terminal),
        Noun::Doctor => doctor::run(&client, &terminal),
        Noun::Api(request) => raw::run(&request, &client, &terminal),
        Noun::Completion { .. } | Noun::Serve(_) => Ok(Exit::Ok),
    }
}

/// What the environment does not say by itself must be repeated in commands that are suggested.
fn access(global: Global) -> Access {
    let from_environment = std::env::var("SHALE_SERVER").ok() == global.server;
    let command = match &global.server {
        Some(server) if !from_environment => format!("shale --server {}", needs::quoted(server)),
        _ => "shale".into(),
    };
    Access {
        server: global.server,
        token: std::env::var("SHALE_TOKEN").ok().filter(|token| !token.trim().is_empty()),
        token_file: global.token_file,
        ca: global.ca,
        command,
    }
}
