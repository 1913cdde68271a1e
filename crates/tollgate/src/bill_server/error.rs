//! What can go wrong on the way to the bill server, by what an operator can do about it.

use std::fmt;
use std::io;

use ledger::tftp::ErrorCode;
use russh_sftp::protocol::StatusCode;

use super::host_key::Fingerprint;

/// Why an upload is not known to be delivered. The text names the cure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DeliveryError {
    /// SFTP without user, password and port.
    NoLogin,
    /// No connection, or none to the port.
    Unreachable(io::ErrorKind),
    /// The server has a key that nothing is known of.
    HostKeyUnknown {
        /// Its fingerprint.
        found: Fingerprint,
    },
    /// The server has another key than the pinned or the remembered one.
    HostKeyChanged {
        /// What was pinned or remembered.
        expected: Fingerprint,
        /// What the server has.
        found: Fingerprint,
    },
    /// What was configured as a fingerprint is none.
    BadPin,
    /// The file of remembered host keys cannot be read or written, or its line for this server is damaged.
    KnownHosts(io::ErrorKind),
    /// The server offers old algorithms only.
    NoCommonAlgorithm,
    /// The configured private key cannot be used.
    KeyFile(KeyFault),
    /// The server does not take the user with this password or key.
    LoginRefused,
    /// The server has no SFTP.
    NoSftp,
    /// The connection ended in the middle.
    Cut,
    /// An answer, or the end, did not come in time.
    TimedOut,
    /// The remote disk is full.
    NoSpace,
    /// The remote user may not write there.
    Denied,
    /// A file of that name is there, and it is another one.
    NameTaken,
    /// A file of that name is there that may not be overwritten, and the server does not let it be read (TFTP): it may be an
    /// earlier try.
    NameTakenUnseen,
    /// The file is there whole; a file of the manifest's name is there as well, and it is another one.
    ManifestTaken,
    /// The server acknowledged everything and has something else: a shorter file, most often.
    Incomplete,
    /// The file name cannot be sent.
    BadName,
    /// The SFTP server reports a failure.
    SftpFailure(StatusCode),
    /// The TFTP server reports a failure.
    TftpFailure(ErrorCode),
    /// The server does not keep to the protocol.
    Protocol,
}

/// What is wrong with a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// The file cannot be read.
    Unreadable(io::ErrorKind),
    /// It is no private key in OpenSSH's format.
    NotAKey,
    /// It has a passphrase, and nobody is there to type it.
    Encrypted,
    /// Its kind is not supported; RSA is one of those.
    Unsupported,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeliveryError::NoLogin => f.write_str("SFTP needs a user, a password and a port: configure them with bill-server"),
            DeliveryError::Unreachable(kind) => {
                write!(f, "cannot connect: {kind}; check the address and the port, and that the server runs")
            }
            DeliveryError::HostKeyUnknown { found } => write!(
                f,
                "the host key is not known: {found}; compare it with the server's own, then configure \
                 bill-server host-key {found}"
            ),
            DeliveryError::HostKeyChanged { expected, found } => write!(
                f,
                "the host key is {found}, and {expected} was expected: somebody may be between; if the server got a \
                 new key, configure bill-server host-key {found}"
            ),
            DeliveryError::BadPin => {
                f.write_str("the configured host key is no fingerprint: it must be SHA256: and 43 characters of Base64")
            }
            DeliveryError::KnownHosts(kind) => write!(
                f,
                "the file of remembered host keys cannot be used: {kind}; repair it, or pin the key with bill-server host-key"
            ),
            DeliveryError::NoCommonAlgorithm => f.write_str(
                "no algorithm in common: the server needs an Ed25519 or ECDSA host key and ciphers of this century's second decade",
            ),
            DeliveryError::KeyFile(fault) => write!(f, "the private key cannot be used: {fault}"),
            DeliveryError::LoginRefused => {
                f.write_str("the login was refused: check user, password and key, and what the server allows")
            }
            DeliveryError::NoSftp => f.write_str("the server has no SFTP subsystem: switch it on there"),
            DeliveryError::Cut => f.write_str("the connection was cut"),
            DeliveryError::TimedOut => f.write_str("the server does not answer in time"),
            DeliveryError::NoSpace => f.write_str("the server's disk is full: make room there"),
            DeliveryError::Denied => f.write_str("the server does not let us write: check permissions there"),
            DeliveryError::NameTaken => {
                f.write_str("another file has that name on the server: move it away, or change the bill-server filename")
            }
            DeliveryError::NameTakenUnseen => f.write_str(
                "a file of that name is on the server, which lets it be neither read nor overwritten: allow files to be \
                 read there, or use SFTP",
            ),
            DeliveryError::ManifestTaken => {
                f.write_str("another file has the manifest's name on the server: move it away, or change the bill-server filename")
            }
            DeliveryError::Incomplete => f.write_str(
                "the server acknowledged the file and does not have it whole: its disk may be full",
            ),
            DeliveryError::BadName => f.write_str("the file name cannot be sent: change the bill-server filename"),
            DeliveryError::SftpFailure(code) => write!(f, "the SFTP server says: {code}; see its log"),
            DeliveryError::TftpFailure(code) => write!(f, "the TFTP server says: {code}; see its log"),
            DeliveryError::Protocol => f.write_str("the server does not keep to the protocol: check that the port is the right one"),
        }
    }
}

impl DeliveryError {
    /// The same, when it was met at the manifest: then the bills are there already.
    pub(super) fn at_manifest(self) -> DeliveryError {
        if self == DeliveryError::NameTaken { DeliveryError::ManifestTaken } else { self }
    }
}

impl std::error::Error for DeliveryError {}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFault::Unreadable(kind) => write!(f, "{kind}; check the path of bill-server key-file"),
            KeyFault::NotAKey => {
                f.write_str("it is no private key in the format of OpenSSH; ssh-keygen -t ed25519 makes one")
            }
            KeyFault::Encrypted => f.write_str("it has a passphrase; ssh-keygen -p takes it off"),
            KeyFault::Unsupported => f.write_str("its kind is not supported; ssh-keygen -t ed25519 makes one that is"),
        }
    }
}
