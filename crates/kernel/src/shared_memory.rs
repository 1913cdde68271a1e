//! Memory shared with a packet plane: a memfd (memfd_create(2)) that can neither shrink nor grow, as 64-bit atomics.
//!
//! The other side is another process and may write any octet at any time. So nothing here is ever a plain reference to
//! data: the region is a slice of [`AtomicU64`], and every load may return anything. What the seals give is that a load
//! never faults: the region cannot become shorter under us.

use std::error::Error;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::slice;
use std::sync::atomic::AtomicU64;

use crate::mapping::Mapping;

/// A region's length is a multiple of this many octets: the page of every x86 and most other machines.
pub const PAGE: usize = 4096;

/// What a region must be sealed with before it is mapped.
const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// Why a descriptor is not mapped. A refused descriptor is closed.
#[derive(Debug)]
pub enum MapError {
    /// It is not plain shared memory: a file, a device, or huge pages, whose faults can fail later.
    NotSharedMemory,
    /// It may still be resized, so that reading it could end the process.
    Unsealed,
    /// Its length in octets is zero, no multiple of [`PAGE`], or above the limit that the caller gave.
    Length(u64),
    /// The kernel refused: out of address space, or the region is sealed against writing.
    Io(io::Error),
}

impl fmt::Display for MapError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapError::NotSharedMemory => write!(out, "the descriptor is not a memfd on ordinary pages"),
            MapError::Unsealed => write!(out, "the memory is not sealed against shrinking and growing"),
            MapError::Length(length) => write!(out, "a shared memory of {length} octets is not acceptable"),
            MapError::Io(error) => write!(out, "the memory cannot be mapped: {error}"),
        }
    }
}

impl Error for MapError {}

impl From<io::Error> for MapError {
    fn from(error: io::Error) -> MapError {
        MapError::Io(error)
    }
}

/// A sealed region, mapped for reading and writing; unmapped on drop. The plane's own mapping and the octets in it
/// outlive us.
#[derive(Debug)]
pub struct SharedMemory {
    mapping: Mapping,
    descriptor: OwnedFd,
}

impl SharedMemory {
    /// Maps the whole region behind `descriptor` when it is sealed and at most `length_max` octets long.
    ///
    /// # Errors
    /// [`MapError`] says what is wrong with it.
    pub fn map(descriptor: OwnedFd, length_max: usize) -> Result<SharedMemory, MapError> {
        // The order matters: the kernel answers the question about seals by itself, while whoever serves a file system may let
        // the others wait; and only after the seals are known to be set does the length stay what is read here.
        check_seals(descriptor.as_fd())?;
        check_kind(descriptor.as_fd())?;
        let octets = file_length(descriptor.as_fd())?;
        let length = usize::try_from(octets).map_err(|_| MapError::Length(octets))?;
        if length == 0 || !length.is_multiple_of(PAGE) || length > length_max {
            return Err(MapError::Length(octets));
        }
        let mapping = Mapping::shared(descriptor.as_fd(), length)?;
        Ok(SharedMemory { mapping, descriptor })
    }

    /// Makes a new zeroed region of `length` octets, sealed, for planes that live in this process and for tests.
    ///
    /// # Errors
    /// As [`SharedMemory::map`]; `Length` when `length` is zero or no multiple of [`PAGE`].
    pub fn create(length: usize) -> Result<SharedMemory, MapError> {
        let descriptor = create_memfd()?;
        let size = libc::off_t::try_from(length).map_err(|_| MapError::Length(length as u64))?;
        // SAFETY: an open descriptor and integers.
        let sealed = unsafe {
            libc::ftruncate(descriptor.as_raw_fd(), size) == 0
                && libc::fcntl(descriptor.as_raw_fd(), libc::F_ADD_SEALS, SEALS | libc::F_SEAL_SEAL) == 0
        };
        if !sealed {
            return Err(io::Error::last_os_error().into());
        }
        SharedMemory::map(descriptor, length)
    }

    /// Octets in the region.
    pub fn length(&self) -> usize {
        self.mapping.length()
    }
}

impl AsRef<[AtomicU64]> for SharedMemory {
    fn as_ref(&self) -> &[AtomicU64] {
        let length = self.mapping.length();
        let base = self.mapping.range(0, length).cast::<AtomicU64>();
        // SAFETY: the mapping is page-aligned, lives as long as `self`, and holds `length / 8` words. Every word is
        // reached through an atomic only, here and in the slice's users, so writes of the other process are no data
        // race in this one. The seals keep all of it backed by memory.
        unsafe { slice::from_raw_parts(base, length / size_of::<AtomicU64>()) }
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// A fresh memfd that can be sealed.
fn create_memfd() -> io::Result<OwnedFd> {
    // SAFETY: the name is a constant that ends with a zero.
    let descriptor = unsafe { libc::memfd_create(c"tollgate".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Accepts memory on ordinary pages only. Huge pages are refused: a hole punched into them may not be filled again, and
/// the next load would fault.
fn check_kind(descriptor: BorrowedFd<'_>) -> Result<(), MapError> {
    let mut system = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the call fills the structure, which is read only when it says so.
    let kind = unsafe {
        if libc::fstatfs(descriptor.as_raw_fd(), system.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error().into());
        }
        system.assume_init().f_type
    };
    if kind == libc::TMPFS_MAGIC { Ok(()) } else { Err(MapError::NotSharedMemory) }
}

/// Accepts what can neither shrink nor grow any more.
fn check_seals(descriptor: BorrowedFd<'_>) -> Result<(), MapError> {
    // SAFETY: an open descriptor and a command without argument.
    match unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GET_SEALS) } {
        -1 => Err(MapError::NotSharedMemory),
        seals if seals & SEALS == SEALS => Ok(()),
        _ => Err(MapError::Unsealed),
    }
}

/// The length of the object in octets.
fn file_length(descriptor: BorrowedFd<'_>) -> io::Result<u64> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call fills the structure, which is read only when it says so.
    let length = unsafe {
        if libc::fstat(descriptor.as_raw_fd(), status.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        status.assume_init().st_size
    };
    Ok(length.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::sync::atomic::Ordering;

    fn memfd(length: u64, seals: libc::c_int) -> OwnedFd {
        let file = File::from(create_memfd().unwrap());
        file.set_len(length).unwrap();
        // SAFETY: an open descriptor and integers.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
        file.into()
    }

    #[test]
    fn both_sides_see_the_same_words() {
        let ours = SharedMemory::create(2 * PAGE).unwrap();
        let theirs = SharedMemory::map(ours.as_fd().try_clone_to_owned().unwrap(), 2 * PAGE).unwrap();
        assert_eq!(ours.as_ref().len(), 2 * PAGE / 8);
        assert_eq!(theirs.length(), 2 * PAGE);
        ours.as_ref()[0].store(7, Ordering::Release);
        ours.as_ref()[1023].store(u64::MAX, Ordering::Release);
        drop(ours);
        assert_eq!(theirs.as_ref()[0].load(Ordering::Acquire), 7);
        assert_eq!(theirs.as_ref()[1023].load(Ordering::Acquire), u64::MAX);
    }

    #[test]
    fn a_mapped_region_keeps_its_length() {
        let memory = SharedMemory::create(PAGE).unwrap();
        let peer = File::from(memory.as_fd().try_clone_to_owned().unwrap());
        assert!(peer.set_len(0).is_err());
        assert!(peer.set_len(1 << 20).is_err());
    }

    #[test]
    fn what_could_fault_later_is_refused() {
        let both = SEALS;
        let file = OwnedFd::from(File::open("/proc/self/exe").unwrap());
        let (pipe, _other) = io::pipe().unwrap();
        for (name, descriptor, expected) in [
            ("unsealed", memfd(4096, 0), "Unsealed"),
            ("may grow", memfd(4096, libc::F_SEAL_SHRINK), "Unsealed"),
            ("may shrink", memfd(4096, libc::F_SEAL_GROW), "Unsealed"),
            ("empty", memfd(0, both), "Length(0)"),
            ("no whole pages", memfd(4097, both), "Length(4097)"),
            ("too long", memfd(3 * 4096, both), "Length(12288)"),
            ("read-only", memfd(4096, both | libc::F_SEAL_WRITE), "Io("),
            ("a file", file, "NotSharedMemory"),
            ("a pipe", pipe.into(), "NotSharedMemory"),
        ] {
            let refusal = format!("{:?}", SharedMemory::map(descriptor, 2 * PAGE).unwrap_err());
            assert!(refusal.starts_with(expected), "{name}: {refusal}");
        }
        assert!(matches!(SharedMemory::create(0), Err(MapError::Length(0))));
    }
}
