//! Small files that somebody else writes: what is under a name may be anything, and may change while it is looked at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::{Map, Value};

/// Octets of a file.
const FILE_MAX: u64 = 64 << 10;

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Stamp {
        let (device, inode, length) = (metadata.dev(), metadata.ino(), metadata.len());
        Stamp { device, inode, length, modified: metadata.modified().ok() }
    }
}

/// What was found under a name.
pub(crate) enum Found {
    /// As it was.
    Same,
    /// A file that has changed.
    Text(Stamp, Vec<u8>),
    /// No regular file.
    NoFile(Stamp),
}

/// Reads what is under a path, if it has changed. Nothing is waited for, whatever it is; of a file that grows no more is read than
/// one may have; and a link is no file, for it may lead to what only this user can read.
pub(crate) fn find(path: &Path, before: Option<Stamp>) -> io::Result<Found> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY).bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            let stamp = Stamp::of(&fs::symlink_metadata(path)?);
            return Ok(if before == Some(stamp) { Found::Same } else { Found::NoFile(stamp) });
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let stamp = Stamp::of(&metadata);
    if before == Some(stamp) {
        return Ok(Found::Same);
    }
    if !metadata.is_file() {
        return Ok(Found::NoFile(stamp));
    }
    let mut text = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut text)?;
    Ok(Found::Text(stamp, text))
}

/// The object that is written there.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if text.len() as u64 > FILE_MAX {
        return Err(format!("it has more than {FILE_MAX} octets"));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
