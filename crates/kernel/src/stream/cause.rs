//! Why a stream ended, from the words of the system.

use std::io;

/// Why a stream ended, or did not begin, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// Nobody listens at the peer's port (ECONNREFUSED).
    Refused,
    /// No route, or the network or neighbour is down.
    Unreachable,
    /// The peer did not answer or acknowledge for long (ETIMEDOUT).
    TimedOut,
    /// The peer has closed it in order.
    Closed,
    /// This box does not let it begin: no such source address or device, no descriptor or memory left, a rule forbids it.
    Local,
    /// The peer has broken it off; or anything else.
    Reset,
}

impl EndCause {
    /// The class of an error, of [`super::Streams::connect`] too.
    pub fn of(error: &io::Error) -> EndCause {
        match (error.raw_os_error(), error.kind()) {
            (Some(libc::ECONNREFUSED), _) => EndCause::Refused,
            (Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN), _) => {
                EndCause::Unreachable
            }
            (Some(libc::ETIMEDOUT), _) => EndCause::TimedOut,
            (
                Some(
                    libc::EADDRNOTAVAIL
                    | libc::EADDRINUSE
                    | libc::EAFNOSUPPORT
                    | libc::EINVAL
                    | libc::ENODEV
                    | libc::EMFILE
                    | libc::ENFILE
                    | libc::ENOBUFS
                    | libc::ENOMEM
                    | libc::EPERM
                    | libc::EACCES,
                ),
                _,
            )
            | (None, io::ErrorKind::QuotaExceeded) => EndCause::Local,
            _ => EndCause::Reset,
        }
    }
}
