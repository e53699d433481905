//! What this process gives up before it sees a byte of a disk.
//!
//! ```text
//!   limits   256 MiB of memory; no file, no process, no core dump
//!   filter   of system calls: its socket, memory that cannot be executed, clocks, the end
//! ```
//!
//! No file can be opened, nothing sent elsewhere, nothing started, nobody signalled. A system call outside the list is answered
//! with "not permitted", which the libraries take like any failure. Landlock would add nothing: no call that takes a path is left.

use std::collections::BTreeMap;
use std::error::Error;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// All memory it may have, in bytes.
const MEMORY: u64 = 256 << 20;

/// Gives up every right of this thread, and of the process what limits can take. An error leaves some of them.
pub fn lock() -> Result<(), Box<dyn Error>> {
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
    let own = u64::from(std::process::id());
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
        // To end itself where something is damaged.
        (libc::SYS_tgkill, vec![SeccompRule::new(vec![is(0, SeccompCmpOp::Eq, own)?])?]),
        (libc::SYS_exit, vec![]),
        (libc::SYS_exit_group, vec![]),
    ]);
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let here = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, here)
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    /// Names the test that starts itself again, as a process that attempts what it is not to do; the variable says how.
    const AGAIN: &str = "lock::tests::whatever_is_attempted_behind_the_lock_is_not_permitted";
    const ATTEMPT: &str = "SHALE_FILES_ATTEMPT";
    /// A path that there is not: a call that gets as far as to look for it says so.
    const NOWHERE: &std::ffi::CStr = c"/nowhere/at-all";

    /// A system call, with what it is given.
    type Call = (&'static str, libc::c_long, [libc::c_long; 6]);

    /// What would do no harm if it were permitted. None of it is refused to one who is not locked in.
    fn calls() -> Vec<Call> {
        let (path, here, nobody) =
            (NOWHERE.as_ptr() as libc::c_long, libc::c_long::from(libc::AT_FDCWD), i64::from(i32::MAX));
        let parent = i64::from(std::os::unix::process::parent_id());
        let anonymous = i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let (exec, read) = (i64::from(libc::PROT_EXEC), i64::from(libc::PROT_READ));
        vec![
            ("a socket", libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0]),
            (
                "two sockets",
                libc::SYS_socketpair,
                [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0],
            ),
            ("to connect", libc::SYS_connect, [0, 0, 0, 0, 0, 0]),
            ("to send", libc::SYS_sendto, [0, path, 0, 0, 0, 0]),
            ("to open a file", libc::SYS_openat, [here, path, 0, 0, 0, 0]),
            (
                "to make a file",
                libc::SYS_openat,
                [here, path, (libc::O_CREAT | libc::O_WRONLY).into(), 0o600, 0, 0],
            ),
            ("a file in memory", libc::SYS_memfd_create, [path, 0, 0, 0, 0, 0]),
            ("to remove a file", libc::SYS_unlinkat, [here, path, 0, 0, 0, 0]),
            ("to go elsewhere", libc::SYS_chdir, [path, 0, 0, 0, 0, 0]),
            ("another program", libc::SYS_execve, [path, 0, 0, 0, 0, 0]),
            // Handlers of signals cannot be shared without memory, so that nothing is started.
            ("another process", libc::SYS_clone, [libc::CLONE_SIGHAND.into(), 0, 0, 0, 0, 0]),
            ("to trace", libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), nobody, 0, 0, 0, 0]),
            ("others' memory", libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0]),
            ("a signal", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
            ("a signal for a thread", libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
            ("to write the output", libc::SYS_write, [1, path, 0, 0, 0, 0]),
            ("to write errors", libc::SYS_write, [2, path, 0, 0, 0, 0]),
            ("to write elsewhere in a file", libc::SYS_pwrite64, [0, path, 0, 0, 0, 0]),
            ("to read another descriptor", libc::SYS_read, [1, path, 0, 0, 0, 0]),
            ("another descriptor", libc::SYS_dup, [0, 0, 0, 0, 0, 0]),
            ("to control the socket", libc::SYS_ioctl, [0, libc::FIONREAD as i64, 0, 0, 0, 0]),
            ("memory that is executed", libc::SYS_mmap, [0, 4096, exec, anonymous, -1, 0]),
            ("a file as memory", libc::SYS_mmap, [0, 4096, read, libc::MAP_PRIVATE.into(), 0, 0]),
            ("to execute memory", libc::SYS_mprotect, [0, 0, exec, 0, 0, 0]),
            ("other limits", libc::SYS_prlimit64, [0, libc::RLIMIT_AS.into(), 0, 0, 0, 0]),
            (
                "to become another",
                libc::SYS_setuid,
                [rustix::process::getuid().as_raw().into(), 0, 0, 0, 0, 0],
            ),
            ("to filter anew", libc::SYS_prctl, [libc::PR_GET_DUMPABLE.into(), 0, 0, 0, 0, 0]),
        ]
    }

    /// Which error it ends with; 0: none.
    fn error((_, number, given): &Call) -> i32 {
        let [a, b, c, d, e, f] = *given;
        // SAFETY: no call in the list writes to memory of this process, but for maps that nothing else uses.
        let answer = unsafe { libc::syscall(*number, a, b, c, d, e, f) };
        if answer == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
    }

    /// Attempts everything, and tells over the socket how each ended, a byte for each.
    fn attempt(how: &str) {
        let calls = calls();
        if how == "locked" {
            lock().unwrap();
        }
        let memory = [0, MEMORY as i64, 0, i64::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), -1, 0];
        let told: Vec<u8> = calls
            .iter()
            .chain([&("too much memory", libc::SYS_mmap, memory)])
            .map(|call| error(call) as u8)
            .collect();
        crate::Socket.write_all(&told).unwrap();
    }

    /// How each of the attempts ended.
    fn attempted(how: &str) -> Vec<u8> {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", AGAIN])
            .env(ATTEMPT, how)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut told = vec![0; calls().len() + 1];
        let heard = ours.read_exact(&mut told);
        child.wait().unwrap();
        heard.unwrap();
        told
    }

    #[test]
    fn whatever_is_attempted_behind_the_lock_is_not_permitted() {
        if let Ok(how) = std::env::var(ATTEMPT) {
            return attempt(&how);
        }
        let (free, locked) = (attempted("free"), attempted("locked"));
        let is_refused = |ended: &u8| i32::from(*ended) == libc::EPERM;
        for ((what, ..), ended) in calls().iter().zip(&locked) {
            assert!(is_refused(ended), "{what}: {ended}");
        }
        // Containers refuse some of it to everybody, such as to trace.
        let proven = free.iter().filter(|ended| !is_refused(ended)).count();
        assert!(proven >= 20, "{free:?}");
        assert_eq!((free.last(), locked.last()), (Some(&0), Some(&(libc::ENOMEM as u8))), "memory");
    }
}
