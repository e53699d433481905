//! Reads and writes file systems in a disk that it is shown over a socket, and can do nothing else.
//!
//! ```text
//!   start ──▶ limits ──▶ filter of system calls ──▶ requests on descriptor 0 ──▶ end, when the socket is closed
//! ```
//!
//! The disk was written by a stranger and is parsed by libraries in C. So before the first byte is read this process
//! gives up everything but its socket and memory: no file can be opened, nothing sent elsewhere, nothing started. A
//! system call outside the list is answered with "not permitted", which the libraries take like any failure. Landlock
//! would add nothing: no call that takes a path is left.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// All memory it may have, in bytes.
const MEMORY: u64 = 256 << 20;
/// The status that says so; the caller knows it.
const NOT_LOCKED: u8 = 5;

#[allow(unsafe_code)]
mod c {
    unsafe extern "C" {
        /// `c/serve.c`: answers requests on descriptor 0 until it is closed.
        pub safe fn files_serve();
    }
}

fn main() -> ExitCode {
    if let Err(e) = lock() {
        eprintln!("shale-files cannot give up its rights, so it does not begin: {e}");
        return ExitCode::from(NOT_LOCKED);
    }
    c::files_serve();
    ExitCode::SUCCESS
}

fn lock() -> Result<(), Box<dyn Error>> {
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    let program: BpfProgram = filter()?.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// Reading and writing the socket, memory that cannot be executed, clocks, and the end.
fn filter() -> Result<SeccompFilter, seccompiler::BackendError> {
    let is = |argument, operation, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)
    };
    let socket = || SeccompRule::new(vec![is(0, SeccompCmpOp::Eq, 0)?]);
    let data = || is(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    let anonymous = libc::MAP_ANONYMOUS as u64;
    let rules = BTreeMap::from([
        (libc::SYS_read, vec![socket()?]),
        (libc::SYS_write, vec![socket()?]),
        (
            libc::SYS_mmap,
            vec![SeccompRule::new(vec![data()?, is(3, SeccompCmpOp::MaskedEq(anonymous), anonymous)?])?],
        ),
        (libc::SYS_mprotect, vec![SeccompRule::new(vec![data()?])?]),
        (libc::SYS_munmap, vec![]),
        (libc::SYS_mremap, vec![]),
        (libc::SYS_madvise, vec![]),
        (libc::SYS_brk, vec![]),
        (libc::SYS_clock_gettime, vec![]),
        (libc::SYS_gettimeofday, vec![]),
        // The C library's sorting asks how much memory there is.
        (libc::SYS_sysinfo, vec![]),
        (libc::SYS_getpid, vec![]),
        (libc::SYS_gettid, vec![]),
        (libc::SYS_futex, vec![]),
        (libc::SYS_sigaltstack, vec![]),
        (libc::SYS_rt_sigreturn, vec![]),
        (libc::SYS_rt_sigprocmask, vec![]),
        (libc::SYS_tgkill, vec![]),
        (libc::SYS_exit, vec![]),
        (libc::SYS_exit_group, vec![]),
    ]);
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let here = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, here)
}
