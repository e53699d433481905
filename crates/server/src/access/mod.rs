//! How people and programs prove who they are.
//!
//! ```text
//!   first start   set-up code ──▶ first administrator          (setup_code; printed, never stored)
//!   browser       name, password ──argon2id──▶ session ──▶ cookie __Host-shale, X-Shale-CSRF
//!   program       shale_… ──▶ token
//!   this host     unix socket, or the token in the data directory
//! ```
//!
//! The catalog holds hashes of passwords and digests of cookies and tokens: a copy of it lets nobody in.

mod password;
mod secret;
mod setup_code;
mod throttle;

pub use password::Passwords;
pub use secret::{csrf_of, digest, new_secret, new_token, same};
pub use setup_code::SetupCode;
pub use throttle::{Key, Throttle};

use crate::app::App;
use crate::catalog::{SessionRow, TokenRow};
use crate::feed::Change;
use crate::requests::{Actor, Identity};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often a stream that stays open asks whether the one who watches is still signed in.
const ASKED: Duration = Duration::from_secs(15);

/// What a running server keeps to let people in.
#[derive(Default)]
pub struct Access {
    /// Hashes and compares passwords.
    pub passwords: Passwords,
    /// Slows those down who guess.
    pub throttle: Throttle,
    setup: Mutex<Option<SetupCode>>,
}

impl Access {
    /// The code that makes the first administrator; a new one where there is none that is still taken.
    pub fn setup_code(&self) -> crate::error::Result<SetupCode> {
        let mut held = self.setup.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref().filter(|code| code.is_valid()) {
            Some(code) => Ok(code.clone()),
            None => Ok(held.insert(SetupCode::new()?).clone()),
        }
    }

    /// Whether `text` is the code, and it is still taken.
    pub fn is_setup_code(&self, text: &str) -> bool {
        let held = self.setup.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|code| code.is_valid() && code.fits(text))
    }

    /// The code is of no more use.
    pub fn forget_setup_code(&self) {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Returns when `actor` is not let in any more (signed out, deleted, expired) or has another role. For streams, which outlast
/// their request and tell what a role may do.
pub async fn signed_out(app: App, actor: Actor) {
    let (_, mut told) = app.feed.watch(None);
    loop {
        // Time ends sessions and tokens without a word.
        let _ = tokio::time::timeout(ASKED, told_of(&actor, &mut told)).await;
        // A catalog that does not answer ends no stream.
        if let Ok(false) = is_known(&app, &actor).await {
            return;
        }
    }
}

/// Returns when something is told of `actor`, or was missed.
async fn told_of(actor: &Actor, told: &mut Receiver<Change>) {
    loop {
        match told.recv().await {
            Ok(change) if !actor.is(change.kind, change.id) => {}
            Err(RecvError::Closed) => std::future::pending().await,
            Ok(_) | Err(RecvError::Lagged(_)) => return,
        }
    }
}

async fn is_known(app: &App, actor: &Actor) -> crate::error::Result<bool> {
    let mut tx = app.world.catalog.read().await?;
    Ok(match &actor.identity {
        Identity::Server | Identity::Host => true,
        Identity::Session { digest, .. } => {
            SessionRow::get(&mut tx, digest).await?.is_some_and(|(_, user)| user.role == actor.role)
        }
        Identity::Token(id) => {
            let now = crate::catalog::now();
            TokenRow::get(&mut tx, *id).await?.is_some_and(|token| token.expires_at > now)
        }
    })
}
