//! tftpd-hpa with a folder of its own.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Protocol, Server, Way, wait_until};

/// A running in.tftpd.
pub(super) struct Tftpd {
    server: Server,
    directory: tempfile::TempDir,
    pub(super) port: u16,
}

impl Tftpd {
    /// `disk`: size of a file system for the inbox, as mount has it; empty: none. `umask`: of the files that it makes.
    pub(super) fn start(disk: &str, umask: &str) -> Tftpd {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        std::fs::create_dir(&inbox).unwrap();
        for path in [directory.path(), &inbox] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let before = match disk {
            "" => String::new(),
            size => format!("mount -t tmpfs -o size={size},mode=777 tmpfs {}", inbox.display()),
        };
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
            inbox.to_str().unwrap(),
        ];
        let server = Server::start(&before, "/usr/sbin/in.tftpd", &arguments, &directory.path().join("log"));
        let started = Tftpd { server, directory, port };
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

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(super) fn inbox(&self) -> PathBuf {
        self.server.inside(&self.directory.path().join("inbox"))
    }

    pub(super) fn way(&self) -> Way {
        let mut way = Way::new(Protocol::Tftp, PathBuf::new());
        way.settings.tftp_port = self.port;
        way
    }
}
