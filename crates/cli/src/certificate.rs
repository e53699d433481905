//! `shale certificate`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::table::Sheet;
use crate::terminal::Terminal;
use crate::units;
use clap::Subcommand;
use shale_api::{Certificate, ReplaceCertificate};
use std::path::{Path, PathBuf};

/// The verbs of `shale certificate`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the server's certificate
    Show,
    /// Replace the server's certificate, without a restart
    Replace {
        /// PEM file: the certificate, then those between it and its root
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// PEM file: its private key, not encrypted
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    let certificate: Certificate = match verb {
        Verb::Show => client.get("/certificate")?,
        Verb::Replace { certificate, key, comment } => {
            let request = ReplaceCertificate { certificate: read(&certificate)?, key: read(&key)?, comment };
            client.put("/certificate", &request)?
        }
    };
    terminal.report(&certificate, |certificate| sheet(certificate).render(terminal.color))?;
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::io(format!("cannot read {}", path.display()), &e))
}

fn sheet(certificate: &Certificate) -> Sheet {
    Sheet::default()
        .with("Subject", certificate.subject.clone())
        .with("For", certificate.names.join(", "))
        .with("SHA-256", certificate.fingerprint.clone())
        .with("Valid from", units::time(&certificate.not_before))
        .with("Valid until", units::time(&certificate.not_after))
        .with("Issued by", if certificate.self_made { "itself" } else { "an authority" })
        .maybe("Warning", certificate.warning.clone())
}
