//! The service manager's notification socket: one datagram of text to the path in `NOTIFY_SOCKET` (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `state`, such as `READY=1`, to the service manager. `Ok(false)` when there is none to tell.
///
/// # Errors
/// When the socket that the manager named cannot be reached, or its name is no Unix socket address.
pub fn sd_notify(state: &str) -> io::Result<bool> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(name) => notify(&name, state).map(|()| true),
        None => Ok(false),
    }
}

/// Sends `state` to the socket `name`: a path, or `@` and an abstract name.
fn notify(name: &OsStr, state: &str) -> io::Result<()> {
    let manager = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &manager).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn check(address: &SocketAddr, name: &OsStr) {
        let manager = UnixDatagram::bind_addr(address).unwrap();
        notify(name, "READY=1").unwrap();
        let mut text = [0; 16];
        let length = manager.recv(&mut text).unwrap();
        assert_eq!(&text[..length], b"READY=1");
    }

    #[test]
    fn the_manager_is_told_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        check(&SocketAddr::from_pathname(&path).unwrap(), path.as_os_str());

        let unique = format!("tollgate-notify-{}", std::process::id());
        check(&SocketAddr::from_abstract_name(&unique).unwrap(), &OsString::from(format!("@{unique}")));
    }

    #[test]
    fn names_that_are_no_socket_are_refused() {
        for name in ["", "relative", "/nonexistent/socket", "@tollgate-nobody-listens"] {
            assert!(notify(OsStr::new(name), "READY=1").is_err(), "{name}");
        }
    }
}
