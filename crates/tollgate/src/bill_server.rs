//! # Bill files to the bill server
//!
//! **Comes in:** a file of bills with its manifest, whole, and where they go. **Goes out:** the file under its final name on the
//! server, then the manifest, and one answer: [`Delivered`] or a [`DeliveryError`] that names the cure. **Never:** a
//! password or a signature to a server whose host key was not judged, an octet of another file overwritten that the server
//! lets be read, a "delivered" while the server has less than the whole file.
//!
//! | | SFTP | TFTP |
//! |---|---|---|
//! | transport | SSH, modern algorithms only | RFC 1350 with options, one block at a time |
//! | on the way | `.<name>.part`, renamed when complete | the final name; the manifest is the mark of completeness |
//! | proof | every write acknowledged, synced where the server can, size asked for | read back and compared octet for octet |
//! | the name is taken | by the same octets: done; else [`DeliveryError::NameTaken`] | the same; what is the beginning of our file is an earlier try; what may be neither read nor overwritten is [`DeliveryError::NameTakenUnseen`] |
//! | the disk is full | the server says so | shows in the comparison: some servers acknowledge what they cannot store |
//! | confidentiality, login | yes | none |
//!
//! A delivery may be broken off at any octet and tried again with the same upload; nothing but `.<name>.part` or the
//! beginning of the file is left by it. The caller does so after a pause of its own; here nothing is repeated
//! but TFTP's packets.
//!
//! **Full, slow:** one upload is in memory, and up to [`sftp::WRITES_UNDER_WAY`] blocks of 32 KiB of it once more. Connecting, each
//! operation, and the whole delivery have a [`Patience`] each; a delivery that is dropped closes its connection.

mod error;
mod host_key;
mod key;
mod sftp;
mod ssh;
mod tftp;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ledger::transfer::{Protocol, Upload};
use model::settings::{BillServer, LocalAaaServer};

pub(crate) use error::{DeliveryError, KeyFault};

/// The server took both files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// And has shown that it has them whole.
    Verified,
    /// And does not let them be read again (TFTP): it acknowledged every block, and that is all that is known.
    Unverified,
}

impl Delivered {
    /// Both are; verified only if both are verified.
    fn and(self, other: Delivered) -> Delivered {
        if self == Delivered::Verified { other } else { Delivered::Unverified }
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For the answer to one request: a step of the login, a block, a rename.
    pub(crate) operation: Duration,
    /// For everything.
    pub(crate) whole: Duration,
}

impl Patience {
    /// The slowest line that is worth waiting for, octets a second.
    const SLOWEST: u64 = 16 * 1024;

    /// 10 s to connect, 30 s for an answer, two minutes and the time that the slowest line needs for the whole. Over TFTP a file
    /// goes there and back, and what an earlier try left is read before.
    pub(crate) fn for_upload(upload: &Upload) -> Patience {
        let octets = upload.octets.len().saturating_add(upload.manifest.len()) as u64;
        let ways = match upload.protocol {
            Protocol::Sftp => 1,
            Protocol::Tftp => 3,
        };
        let whole = Duration::from_secs(120 + ways * octets / Patience::SLOWEST);
        Patience { connect: Duration::from_secs(10), operation: Duration::from_secs(30), whole }
    }
}

/// Brings an upload to the bill server. `known_hosts` is the file that remembers the host keys which were met first.
/// Must be called inside a tokio runtime with time and sockets; spawns tasks that end with it, or 4 s later.
///
/// # Errors
///
/// [`DeliveryError`]: nothing is known to be delivered, and the upload may be tried again as it is.
pub(crate) async fn deliver(
    server: &BillServer,
    settings: &LocalAaaServer,
    known_hosts: &Path,
    upload: &Upload,
) -> Result<Delivered, DeliveryError> {
    deliver_within(Patience::for_upload(upload), server, settings, known_hosts, upload).await
}

/// [`deliver`] with another patience.
pub(crate) async fn deliver_within(
    patience: Patience,
    server: &BillServer,
    settings: &LocalAaaServer,
    known_hosts: &Path,
    upload: &Upload,
) -> Result<Delivered, DeliveryError> {
    let delivery = async {
        match upload.protocol {
            Protocol::Sftp => {
                let session = ssh::connect(patience, server, settings, known_hosts).await?;
                let stored = sftp::deliver(&session, upload).await;
                session.close().await;
                stored
            }
            Protocol::Tftp => tftp::deliver(SocketAddr::from((server.address, settings.tftp_port)), upload).await,
        }
    };
    tokio::time::timeout(patience.whole, delivery).await.map_err(|_| DeliveryError::TimedOut)?
}

#[cfg(test)]
mod tests;
