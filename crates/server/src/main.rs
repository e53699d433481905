//! The `shaled` program: `serve` runs the server, `export-disk` is the process that serves a disk to a machine,
//! `openapi` prints the API's contract.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use shale_server::app::App;
use shale_server::place::Place;
use shale_server::{export_disk, http, requests, sweep, tend};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Shale's server: manages operating-system images as layers with versions.
#[derive(Parser)]
#[command(name = "shaled", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(Serve),
    /// Serve one version to a packaging machine by NBD (started by the server itself).
    ExportDisk(export_disk::Args),
    /// Print the API's OpenAPI document.
    Openapi,
}

#[derive(clap::Args)]
struct Serve {
    /// Where all data is kept [default: /var/lib/shale for root, else ~/.local/share/shale].
    #[arg(long, env = "SHALE_DATA")]
    data: Option<PathBuf>,
    /// Address for HTTPS; "none" for the unix socket only.
    #[arg(long, env = "SHALE_LISTEN", default_value = "127.0.0.1:8443")]
    listen: String,
}

/// How long platforms may take to end our sessions when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Serve(args) => serve(args),
        Command::ExportDisk(args) => export_disk::run(&args),
        Command::Openapi => {
            println!("{}", serde_json::to_string_pretty(&http::document())?);
            Ok(())
        }
    }
}

/// The data directory when none is given.
fn default_data() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/shale".into());
    }
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    home("XDG_DATA_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".local/share")))
        .map(|share| share.join("shale"))
        .context("no data directory: give one with --data")
}

fn serve(args: Serve) -> Result<()> {
    let filter = EnvFilter::try_from_env("SHALE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let listen: Option<SocketAddr> = match args.listen.as_str() {
        "none" => None,
        address => {
            Some(address.parse().with_context(|| format!("{address} is no address such as 127.0.0.1:8443"))?)
        }
    };
    let data = args.data.map_or_else(default_data, Ok)?;
    let place = Place::hold(&data).map_err(shown)?;
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let app = App::open(place, program, Box::new(shale_connector::open)).await.map_err(shown)?;
        app.engine.launch_open().await.map_err(shown)?;
        tokio::spawn(sweep::forever(app.world.clone()));
        tokio::spawn(tend::forever(app.clone()));
        tokio::spawn(requests::clear_uploads(app.clone()));
        tokio::spawn(requests::run_schedules(app.clone()));
        tokio::spawn(requests::keep_retention(app.clone()));
        let socket = app.world.place.socket();
        let token = app.world.place.root().join("token");
        let ready = move |doors: http::Doors| {
            // All at once: whoever waits for a line of it may read no further. Nobody may read it at all.
            let _ = std::io::stdout().write_all(welcome(&socket, &token, &doors).as_bytes());
        };
        let world = app.world.clone();
        let served = http::serve(app, listen, ready, stopped()).await.map_err(shown);
        // A platform that does not answer keeps its session, which ends by itself.
        let ended = tokio::task::spawn_blocking(move || world.disconnect());
        let _ = tokio::time::timeout(FAREWELL, ended).await;
        served
    })?;
    // Steps that still run are cut off here, as a crash would: they go on at the next start.
    runtime.shutdown_background();
    Ok(())
}

/// What is printed once the server can be reached.
fn welcome(socket: &Path, token: &Path, doors: &http::Doors) -> String {
    let mut lines = vec![
        format!("shaled {} is ready.", env!("CARGO_PKG_VERSION")),
        format!("  on this host   SHALE_SERVER=unix:{}", socket.display()),
    ];
    let https = doors.https.as_ref();
    if let Some((address, _)) = https {
        lines.push(format!(
            "  by HTTPS       https://{address}/api/v1   (bearer token in {})",
            token.display()
        ));
        lines.push(format!("  console        https://{address}/"));
    }
    if let Some(code) = &doors.setup_code {
        lines.push(format!("  set-up code    {code}   (makes the first administrator, within 30 minutes)"));
    }
    lines.extend(https.map(|(_, fingerprint)| format!("  certificate    SHA-256 {fingerprint}")));
    lines.join("\n") + "\n"
}

/// An error with its causes, as one text.
fn shown(error: shale_server::error::Error) -> anyhow::Error {
    anyhow::anyhow!(shale_server::error::chain(&error))
}

/// Until somebody asks the server to stop.
async fn stopped() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
