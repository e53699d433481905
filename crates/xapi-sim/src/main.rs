//! `xapi-sim`: the simulator as a program.

use clap::Parser;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use xapi_sim::{Config, Rule, Sim};

/// A XenServer pool that is not there.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where the coordinator listens: an address with or without a port (80).
    #[arg(long, value_name = "ADDRESS[:PORT]", default_value = "127.0.0.1:80", value_parser = address)]
    listen: SocketAddr,
    /// The address of the other host, on the same port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.2")]
    member: IpAddr,
    /// The folder with the state; made if it is missing.
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// Answer HTTPS too, on this port.
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "443")]
    tls: Option<u16>,
    /// VMs only say that they run: no QEMU.
    #[arg(long)]
    no_machines: bool,
    /// Bytes that each storage repository holds.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 30)]
    sr_size: u64,
    /// Milliseconds that a disk stays in use after a transfer.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    detach_delay: u64,
    /// A JSON file with what is to go wrong.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 80));
    bare.or_else(|_| text.parse()).map_err(|_| "not an address, as 127.0.0.1 or 127.0.0.1:8080".to_owned())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xapi-sim: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn faults(file: &Path) -> Result<Vec<Rule>, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let faults = match &arguments.faults {
        Some(file) => {
            faults(file).map_err(|e| format!("the faults in '{}' cannot be read: {e}", file.display()))?
        }
        None => Vec::new(),
    };
    let config = Config {
        hosts: [arguments.listen.ip(), arguments.member],
        port: arguments.listen.port(),
        tls_port: arguments.tls,
        machines: !arguments.no_machines,
        sr_size: arguments.sr_size,
        detach_delay: std::time::Duration::from_millis(arguments.detach_delay),
        login_delay: std::time::Duration::from_secs(2),
        faults,
        ..Config::new(arguments.state)
    };
    let (stop, stopped) = channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(()); // it is stopping already
    })?;
    let sim = Sim::start(config)?;
    let told = format!(
        "coordinator {} {}\nmember      {} {}\nuser root, password 'password'\n",
        sim.url(),
        sim.tls_url(),
        sim.member_url(),
        sim.member_tls_url()
    );
    let _ = std::io::stdout().write_all(told.as_bytes()); // nobody need listen to all of it
    let _ = stopped.recv(); // the handler lives as long as the process
    sim.stop();
    Ok(())
}
