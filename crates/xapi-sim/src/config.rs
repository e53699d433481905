//! What a simulator is to be like.

use crate::facts::Role;
use crate::fault::Rule;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// Somebody who may log in.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
    /// What they may do.
    pub role: Role,
}

/// What a simulator is to be like. [`Config::new`] fits a test.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies that survives a restart.
    pub state: PathBuf,
    /// The addresses of the two hosts, the first coordinator's first. Both listen on the same port.
    pub hosts: [IpAddr; 2],
    /// The port of HTTP; 0 is any.
    pub port: u16,
    /// The port of HTTPS, if there is to be one; 0 is any.
    pub tls_port: Option<u16>,
    /// Whether VMs really run, in QEMU. Else they only say so.
    pub machines: bool,
    /// How many bytes each storage repository holds.
    pub sr_size: u64,
    /// How long a control domain keeps a disk after its transfer ended.
    pub detach_delay: Duration,
    /// How long a wrong password takes.
    pub login_delay: Duration,
    /// Who may log in. `root` is the local superuser.
    pub users: Vec<User>,
    /// What is to go wrong.
    pub faults: Vec<Rule>,
}

impl Config {
    /// A pool on any free port of 127.0.0.1 and 127.0.0.2, with HTTPS, without QEMU, with 64 GiB in each storage
    /// repository, and with one user for each role, called as the role: their passwords and root's are `password`.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        let user = |name: &str, role| User { name: name.to_owned(), password: "password".to_owned(), role };
        let root = user("root", Role::PoolAdmin);
        Self {
            state: state.into(),
            hosts: [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))],
            port: 0,
            tls_port: Some(0),
            machines: false,
            sr_size: 64 << 30,
            detach_delay: Duration::ZERO,
            login_delay: Duration::ZERO,
            users: std::iter::once(root).chain(Role::ALL.map(|role| user(role.name(), role))).collect(),
            faults: Vec::new(),
        }
    }
}
