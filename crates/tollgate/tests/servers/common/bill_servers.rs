//! Bill servers, and the configuration of a box that knows them.

#[path = "../../bill_servers/mod.rs"]
mod servers;

pub(crate) use servers::free_port;
pub(crate) use servers::open_ssh::{OpenSsh, Plan};
use servers::open_ssh::{PASSWORD, USER};
pub(crate) use servers::tftpd::Tftpd;

impl OpenSsh {
    /// The configuration of a box that knows this server: the user's password is wrong, its key is right.
    pub(crate) fn lines(&self, file_name: &str) -> String {
        let (port, key) = (self.port, self.path("ed25519"));
        format!(
            " bill-server 127.0.0.1 filename {file_name} user-name {USER} password cipher {PASSWORD}x {port}\n \
             bill-server key-file {}\n",
            key.display()
        )
    }

    /// The command for a box that knows this server and its user's password.
    pub(crate) fn command(&self, file_name: &str) -> String {
        format!("bill-server 127.0.0.1 filename {file_name} user-name {USER} password cipher {PASSWORD} {}", self.port)
    }

    /// The user of this server.
    pub(crate) fn user(&self) -> &'static str {
        USER
    }

    /// The fingerprint of a key which this host has not.
    pub(crate) fn another_fingerprint(&self) -> String {
        self.fingerprint_of("ecdsa")
    }
}

impl Tftpd {
    /// The configuration of a box that knows this server.
    pub(crate) fn lines(&self, file_name: &str) -> String {
        format!(" bill-server 127.0.0.1 filename {file_name}\n bill-server tftp-port {}\n", self.port)
    }
}
