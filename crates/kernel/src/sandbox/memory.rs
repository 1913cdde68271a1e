//! Memory that nobody else reads.

use std::io;

/// From now on no core dump is written, whatever `RLIMIT_CORE` and `core_pattern` say, and no other process of this user may trace
/// this one or read its memory (PR_SET_DUMPABLE of prctl(2)). The superuser still may.
///
/// # Errors
/// Those of prctl(2) and setrlimit(2).
pub fn keep_memory_private() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call reads one `rlimit` from the place that it is given.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let unused: libc::c_ulong = 0;
    // SAFETY: the call takes integers.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, unused, unused, unused, unused) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
