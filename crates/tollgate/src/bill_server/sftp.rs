//! Files over SFTP (version 3, draft-ietf-secsh-filexfer-02, with OpenSSH's extensions where the server has them):
//! under a temporary name, synced, measured, renamed.

use std::sync::Arc;

use ledger::transfer::Upload;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::extensions;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::task::JoinSet;

use super::ssh::Session;
use super::{Delivered, DeliveryError};

/// Blocks that wait for their acknowledgement.
pub(super) const WRITES_UNDER_WAY: usize = 16;
/// Octets in a block: what every server takes (section 3 of the draft).
const BLOCK: usize = 32 * 1024;

/// What a server can do beyond version 3.
struct Abilities {
    sync: bool,
    free_space: bool,
}

/// Brings both files there, the manifest last.
pub(super) async fn deliver(session: &Session, upload: &Upload) -> Result<Delivered, DeliveryError> {
    let sftp = &session.sftp;
    let version = sftp.init().await.map_err(plain)?;
    let has = |name| version.extensions.contains_key(name);
    let abilities = Abilities { sync: has(extensions::FSYNC), free_space: has(extensions::STATVFS) };
    let [bills, manifest] = upload.files();
    place(sftp, &abilities, bills).await?;
    place(sftp, &abilities, manifest).await.map_err(DeliveryError::at_manifest)?;
    Ok(Delivered::Verified)
}

async fn place(
    sftp: &Arc<RawSftpSession>,
    abilities: &Abilities,
    (name, octets): (&str, &[u8]),
) -> Result<(), DeliveryError> {
    if is_there(sftp, name, octets).await? { Ok(()) } else { store(sftp, abilities, name, octets).await }
}

/// Whether the final name has these very octets already. Another file there is an error.
async fn is_there(sftp: &RawSftpSession, name: &str, octets: &[u8]) -> Result<bool, DeliveryError> {
    let attributes = match sftp.stat(name).await {
        Ok(found) => found.attrs,
        Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(false),
        Err(error) => return Err(plain(error)),
    };
    if attributes.size != Some(octets.len() as u64) {
        return Err(DeliveryError::NameTaken);
    }
    let handle = sftp.open(name, OpenFlags::READ, FileAttributes::empty()).await.map_err(plain)?.handle;
    let is_same = is_same(sftp, &handle, octets).await;
    sftp.close(handle).await.map_err(plain)?;
    if is_same? { Ok(true) } else { Err(DeliveryError::NameTaken) }
}

async fn is_same(sftp: &RawSftpSession, handle: &str, octets: &[u8]) -> Result<bool, DeliveryError> {
    let mut at = 0;
    while at < octets.len() {
        let length = BLOCK.min(octets.len() - at);
        let asked = u32::try_from(length).unwrap_or(u32::MAX);
        let data = match sftp.read(handle, at as u64, asked).await {
            Ok(data) => data.data,
            Err(Error::Status(status)) if status.status_code == StatusCode::Eof => return Ok(false),
            Err(error) => return Err(plain(error)),
        };
        // A server may send less than was asked for, but not nothing.
        if data.is_empty() || octets.get(at..at + data.len()) != Some(&data[..]) {
            return Ok(false);
        }
        at += data.len();
    }
    Ok(true)
}

/// Writes a file that is not there. What an earlier try has left under the temporary name goes.
async fn store(
    sftp: &Arc<RawSftpSession>,
    abilities: &Abilities,
    name: &str,
    octets: &[u8],
) -> Result<(), DeliveryError> {
    let part = format!(".{name}.part");
    let written = match write(sftp, abilities, &part, octets).await {
        Ok(()) => measure(sftp, &part, octets.len() as u64).await,
        Err(error) => Err(explain(sftp, abilities, error).await),
    };
    if let Err(error) = written {
        // It takes room that may be wanted. Where the connection is gone the next try overwrites it.
        if !matches!(error, DeliveryError::Cut | DeliveryError::TimedOut | DeliveryError::Protocol) {
            let _ = sftp.remove(&part).await;
        }
        return Err(error);
    }
    match sftp.rename(&part, name).await {
        Ok(_) => Ok(()),
        Err(error) if is_alone(&error) => Err(plain(error)),
        // Version 3 never renames onto a file: somebody was faster.
        Err(error) if is_there(sftp, name, octets).await? => {
            tracing::debug!("{name} was there before it was renamed: {error}");
            let _ = sftp.remove(&part).await;
            Ok(())
        }
        Err(error) => Err(plain(error)),
    }
}

async fn write(sftp: &Arc<RawSftpSession>, abilities: &Abilities, part: &str, octets: &[u8]) -> Result<(), Error> {
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
    let handle = sftp.open(part, flags, FileAttributes::empty()).await?.handle;
    let mut written = write_blocks(sftp, &handle, octets).await;
    if written.is_ok() && abilities.sync {
        written = sftp.fsync(&handle).await.map(drop);
    }
    if written.as_ref().is_err_and(is_alone) {
        return written;
    }
    // A server may keep its complaint for the end.
    let closed = sftp.close(handle).await.map(drop);
    written.and(closed)
}

/// Whether nobody is there to be asked more.
fn is_alone(error: &Error) -> bool {
    !matches!(error, Error::Status(_))
}

async fn write_blocks(sftp: &Arc<RawSftpSession>, handle: &str, octets: &[u8]) -> Result<(), Error> {
    let mut under_way = JoinSet::new();
    for (number, block) in octets.chunks(BLOCK).enumerate() {
        if under_way.len() >= WRITES_UNDER_WAY {
            settle(&mut under_way).await?;
        }
        let (sftp, handle, block) = (sftp.clone(), handle.to_owned(), block.to_vec());
        let offset = (number * BLOCK) as u64;
        under_way.spawn(async move { sftp.write(handle, offset, block).await.map(drop) });
    }
    while !under_way.is_empty() {
        settle(&mut under_way).await?;
    }
    Ok(())
}

/// Waits for one block.
async fn settle(under_way: &mut JoinSet<Result<(), Error>>) -> Result<(), Error> {
    match under_way.join_next().await {
        Some(Ok(written)) => written,
        // The runtime is going down.
        Some(Err(_)) => Err(Error::Timeout),
        None => Ok(()),
    }
}

async fn measure(sftp: &RawSftpSession, part: &str, size: u64) -> Result<(), DeliveryError> {
    let found = sftp.stat(part).await.map_err(plain)?.attrs.size;
    if found == Some(size) { Ok(()) } else { Err(DeliveryError::Incomplete) }
}

/// Version 3 has no code for a full disk: a plain failure is looked into.
async fn explain(sftp: &RawSftpSession, abilities: &Abilities, error: Error) -> DeliveryError {
    let failure = plain(error);
    if failure == DeliveryError::SftpFailure(StatusCode::Failure) && abilities.free_space {
        // A block is left where the last one did not fit, at most.
        if sftp.statvfs(".").await.is_ok_and(|found| found.blocks_avail == 0 || found.inodes_avail == 0) {
            return DeliveryError::NoSpace;
        }
    }
    failure
}

fn plain(error: Error) -> DeliveryError {
    match error {
        Error::Status(status) => match status.status_code {
            StatusCode::PermissionDenied => DeliveryError::Denied,
            StatusCode::NoConnection | StatusCode::ConnectionLost => DeliveryError::Cut,
            code => DeliveryError::SftpFailure(code),
        },
        Error::Timeout => DeliveryError::TimedOut,
        // The library says so when its channel has ended.
        Error::IO(_) | Error::UnexpectedBehavior(_) => DeliveryError::Cut,
        Error::Limited(_) | Error::UnexpectedPacket => DeliveryError::Protocol,
    }
}
