//! Socket options that no crate has a name for.

use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;

/// Sets an option that is one integer.
pub(crate) fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    const LENGTH: libc::socklen_t = 4;
    const { assert!(size_of::<libc::c_int>() == LENGTH as usize) };
    // SAFETY: an open descriptor and one integer of this frame, read before the call returns.
    let status = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), LENGTH) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
