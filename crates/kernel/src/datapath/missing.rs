//! Why io_uring is not there, and what would cure it.

use std::fmt;
use std::fs;
use std::io;

/// What an administrator may have set: 0 on, 1 for a group only, 2 off.
const SWITCH: &str = "/proc/sys/kernel/io_uring_disabled";

/// What stands between us and io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The system call does not exist (ENOSYS): an old kernel, one built without it, or a filter that hides it.
    NotInKernel,
    /// The kernel has an io_uring without multishot receive into provided buffers, which came with Linux 6.0.
    TooOld,
    /// The sysctl `kernel.io_uring_disabled` has the given value.
    SwitchedOff(u8),
    /// A seccomp filter or security module denies it (EPERM, EACCES).
    Denied,
    /// The limit on locked memory is too low for the rings (ENOMEM).
    LockedMemory,
    /// Anything else; with the number of errno(3).
    Other(i32),
}

impl Missing {
    /// Finds the cause of an error from setting a ring up.
    pub(super) fn from_error(error: &io::Error) -> Missing {
        let switch = || fs::read_to_string(SWITCH).ok()?.trim().parse().ok();
        Missing::from_errno(error.raw_os_error().unwrap_or(0), switch)
    }

    fn from_errno(errno: i32, switch: impl FnOnce() -> Option<u8>) -> Missing {
        match errno {
            libc::ENOSYS => Missing::NotInKernel,
            libc::EINVAL => Missing::TooOld,
            libc::EPERM | libc::EACCES => match switch() {
                Some(value) if value > 0 => Missing::SwitchedOff(value),
                _ => Missing::Denied,
            },
            libc::ENOMEM => Missing::LockedMemory,
            other => Missing::Other(other),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::NotInKernel => write!(
                out,
                "the kernel has no io_uring (ENOSYS); run Linux 6.0 or later, built with CONFIG_IO_URING and not hidden \
                 by a seccomp profile"
            ),
            Missing::TooOld => write!(out, "this kernel's io_uring is too old; run Linux 6.0 or later"),
            Missing::SwitchedOff(1) => write!(
                out,
                "io_uring is kept for a group (kernel.io_uring_disabled = 1); add this user to the group in \
                 kernel.io_uring_group, or run: sysctl kernel.io_uring_disabled=0"
            ),
            Missing::SwitchedOff(value) => write!(
                out,
                "io_uring is switched off (kernel.io_uring_disabled = {value}); to allow it run: sysctl \
                 kernel.io_uring_disabled=0"
            ),
            Missing::Denied => write!(
                out,
                "io_uring is denied (EPERM) by a seccomp filter or security module; allow the system calls \
                 io_uring_setup, io_uring_enter and io_uring_register in its profile"
            ),
            Missing::LockedMemory => write!(
                out,
                "the limit on locked memory is too low for io_uring (ENOMEM); raise it with LimitMEMLOCK=64M in the \
                 service unit, or ulimit -l 65536"
            ),
            Missing::Other(errno) => {
                write!(out, "io_uring cannot be set up: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_has_its_cause() {
        for (errno, switch, expected, cure) in [
            (libc::ENOSYS, None, Missing::NotInKernel, "6.0"),
            (libc::EINVAL, None, Missing::TooOld, "6.0"),
            (libc::EPERM, Some(2), Missing::SwitchedOff(2), "sysctl kernel.io_uring_disabled=0"),
            (libc::EPERM, Some(1), Missing::SwitchedOff(1), "kernel.io_uring_group"),
            (libc::EPERM, Some(0), Missing::Denied, "seccomp"),
            (libc::EPERM, None, Missing::Denied, "seccomp"),
            (libc::EACCES, None, Missing::Denied, "seccomp"),
            (libc::ENOMEM, None, Missing::LockedMemory, "LimitMEMLOCK"),
            (libc::EMFILE, None, Missing::Other(libc::EMFILE), "open files"),
        ] {
            let cause = Missing::from_errno(errno, || switch);
            assert_eq!(cause, expected);
            let sentence = cause.to_string();
            assert!(sentence.contains(cure), "{sentence}");
            assert!(!sentence.contains("  ") && !sentence.contains('\n'), "{sentence}");
        }
    }
}
