//! System calls that are made, and the end of all others (seccomp).
//!
//! The list is of what the daemon, its libraries and the C library use, by subject. What is not on it fails with EPERM; nothing is
//! killed for it, since a bug that asks for more than it may is refused and logged like any other.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::Confined;
use crate::datapath::REGISTERED_LATER;

/// Files and directories, as far as [`confine_files`](super::confine_files) lets them be changed.
const FILES: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_lseek,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Sockets that are open already, and waiting for them.
const SOCKETS: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_io_uring_enter,
    libc::SYS_listen,
    libc::SYS_pipe2,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_select,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
];

/// Memory, threads, time, and questions about oneself.
const OURSELVES: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // With its flags behind a pointer no filter can judge it; it has one of its own, which sends callers to clone(2).
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // A session source is a packet plane inside the daemon, and has its memory from here.
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_time,
    libc::SYS_times,
    libc::SYS_uname,
];

/// `PR_SET_VMA` of prctl(2): the C library names its memory.
const PR_SET_VMA: i32 = 0x5356_4d41;

/// `SIOCGIFNAME` of netdevice(7): the name of an interface.
const SIOCGIFNAME: u64 = 0x8910;

/// From now on all threads of the process make only the system calls of the list, and those that are made of arguments only with
/// some: sockets of the Internet, of Unix and of the kernel's own news (no raw packets); threads and no processes; memory that is
/// written to or executed, never both; maps of eBPF that are read; rings that are open already.
///
/// # Errors
/// Of seccomp(2), where the kernel has it; nothing is confined then.
pub fn confine_calls() -> io::Result<Confined> {
    install(seccompiler::apply_filter_all_threads)
}

/// As [`confine_calls`], of this thread and those that it starts.
#[cfg(test)]
pub(super) fn confine_calls_of_thread() -> io::Result<Confined> {
    install(seccompiler::apply_filter)
}

fn install(apply: fn(&[seccompiler::sock_filter]) -> seccompiler::Result<()>) -> io::Result<Confined> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(Confined::Not) };
    let programs = no_clone3(machine).and_then(|first| Ok([first, listed(machine)?])).map_err(io::Error::other)?;
    for program in programs {
        match apply(&program) {
            Ok(()) => {}
            // EINVAL, ENOSYS: the kernel was made without filters.
            Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
            {
                return Ok(Confined::Not);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(Confined::Whole)
}

/// clone3(2) is none of this kernel's, so that the C library starts threads by clone(2), whose flags can be read.
fn no_clone3(machine: TargetArch) -> Result<BpfProgram, BackendError> {
    let none = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new([(libc::SYS_clone3, Vec::new())].into(), SeccompAction::Allow, none, machine)?.try_into()
}

fn listed(machine: TargetArch) -> Result<BpfProgram, BackendError> {
    let whole = [FILES, SOCKETS, OURSELVES].into_iter().flatten().map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = whole.collect();
    rules.extend(judged()?);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, machine)?.try_into()
}

/// System calls that depend on what they are asked. Of the rules of each, one has to be met.
fn judged() -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    let thread = bits(libc::CLONE_VM | libc::CLONE_THREAD);
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(bits);
    let questions = [libc::FIONBIO, libc::FIONREAD, libc::TCGETS, libc::TIOCGWINSZ, libc::SIOCGIFINDEX, SIOCGIFNAME];
    let own = SeccompCondition::new(0, Length::Dword, Is::Eq, 0)?;
    let is_question = SeccompCondition::new(2, Length::Qword, Is::Eq, 0)?;
    Ok(vec![
        (libc::SYS_socket, one_of(0, &families)?),
        (libc::SYS_socketpair, one_of(0, &[bits(libc::AF_UNIX)])?),
        (libc::SYS_clone, vec![rule(0, Is::MaskedEq(thread), thread)?]),
        // The user database of systemd asks which capabilities there are.
        (
            libc::SYS_prctl,
            one_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_CAPBSET_READ, PR_SET_VMA].map(bits))?,
        ),
        // The own limits are read; somebody else's, and new ones, are none of ours.
        (libc::SYS_prlimit64, vec![SeccompRule::new(vec![own, is_question])?]),
        // abort(3) signals the process itself, and nobody signals another.
        (libc::SYS_tgkill, one_of(0, &[std::process::id().into()])?),
        (libc::SYS_ioctl, one_of(1, &questions)?),
        (libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?, without(2, libc::PROT_WRITE)?]),
        (libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]),
        // To look up one entry, to open what is pinned, to ask what it is, to look up many.
        (libc::SYS_bpf, one_of(0, &[1, 7, 15, 24])?),
        (libc::SYS_io_uring_register, one_of(1, &REGISTERED_LATER.map(u64::from))?),
    ])
}

/// The argument is one of these.
fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|value| rule(argument, Is::Eq, *value)).collect()
}

/// The argument has none of these bits.
fn without(argument: u8, unwanted: i32) -> Result<SeccompRule, BackendError> {
    rule(argument, Is::MaskedEq(bits(unwanted)), 0)
}

/// The argument, an integer of 32 bits to the kernel, compares so.
fn rule(argument: u8, how: Is, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, Length::Dword, how, value)?])
}

fn bits(flags: i32) -> u64 {
    u64::from(flags.cast_unsigned())
}
