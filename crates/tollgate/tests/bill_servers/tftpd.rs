//! tftpd-hpa with a folder of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use super::{Inbox, Server, free_port, wait_until};

/// A running in.tftpd.
pub(crate) struct Tftpd {
    server: Server,
    _directory: tempfile::TempDir,
    pub(crate) port: u16,
    inbox: Inbox,
}

impl Tftpd {
    /// Starts it and waits until it answers. `disk`: size of a file system for the inbox, as mount has it; empty: none. `umask`: of the files that it makes.
    pub(crate) fn start(disk: &str, umask: &str) -> Tftpd {
        let directory = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(directory.path(), 0o777, disk);
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        // One without privileges keeps to the permissions of files.
        let arguments = [
            "-L",
            "-c",
            "-p",
            "-U",
            umask,
            "-u",
            "nobody",
            "-B",
            "8192",
            "--address",
            &address,
            "-s",
            inbox.path.to_str().unwrap(),
        ];
        let server = Server::start(&inbox.mount, "/usr/sbin/in.tftpd", &arguments, &directory.path().join("log"));
        let started = Tftpd { server, _directory: directory, port, inbox };
        started.wait();
        started
    }

    fn wait(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        wait_until("in.tftpd answers", || {
            // ERROR: there is no such file.
            socket.send_to(b"\0\x01ready?\0octet\0", self.address()).unwrap();
            socket.recv(&mut [0; 600]).is_ok()
        });
    }

    /// Where it waits for requests.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where uploads arrive.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.inbox.seen_through(&self.server)
    }
}
