//! The system calls of a plane, and the one place where its memory becomes words.

#![expect(unsafe_code, reason = "mapping memory and looking at it as words")]

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::time::Duration;

use lanes::sync::AtomicU64;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::words::WORD;

/// A sealed memory that is mapped, as 64-bit atomic words. It is unmapped when this is dropped.
#[derive(Debug)]
pub struct SharedMemory {
    words: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping is no thread's own, and all access goes through atomics.
unsafe impl Send for SharedMemory {}

// SAFETY: as above; `as_ref` is the only access.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps the first `bytes` octets of a memory whose size is sealed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the memory could shrink or is shorter; or what the system says.
    pub fn map(memory: impl AsFd, bytes: usize) -> io::Result<SharedMemory> {
        let memory = memory.as_fd();
        let sealed = rustix::fs::fcntl_get_seals(memory)?.contains(SealFlags::SHRINK);
        if !sealed || bytes == 0 || !bytes.is_multiple_of(WORD) || bytes > size(memory)? {
            return Err(ErrorKind::InvalidInput.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that Rust knows of.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, memory, 0)
        }?;
        let words = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(SharedMemory { words, count: bytes / WORD })
    }
}

impl AsRef<[AtomicU64]> for SharedMemory {
    #[inline]
    fn as_ref(&self) -> &[AtomicU64] {
        // SAFETY: `count` words are mapped at `words`, page-aligned, until `self` is dropped, and cannot vanish, because
        // the file behind them is sealed against shrinking. Any bits are a value of the type, and other processes'
        // plain 64-bit stores are what atomic loads are for.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.count) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the range is the one that was mapped, and no reference into it outlives `self`. Failing leaves it
        // mapped, which harms nobody.
        let _ = unsafe { rustix::mm::munmap(self.words.as_ptr().cast(), self.count * WORD) };
    }
}

/// A memory of this size that cannot be resized.
pub(super) fn create(bytes: usize) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("tollgate-plane", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&memory, bytes as u64)?;
    rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

/// Octets of a memory.
pub(super) fn size(memory: impl AsFd) -> io::Result<usize> {
    let size = rustix::fs::fstat(memory)?.st_size;
    usize::try_from(size).map_err(|_| ErrorKind::InvalidInput.into())
}

/// A random number that is not 0.
pub(super) fn random_epoch() -> io::Result<u64> {
    loop {
        let mut octets = [0; WORD];
        rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty())?;
        let epoch = u64::from_le_bytes(octets);
        if epoch != 0 {
            return Ok(epoch);
        }
    }
}

pub(super) fn eventfd() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Writes an eventfd. It fails only when 2⁶⁴ − 1 kicks were not read, and then whoever sleeps on it is awake.
pub(super) fn kick(eventfd: &OwnedFd) {
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

/// Empties an eventfd; nothing happens when it is empty.
pub(super) fn drain(eventfd: &OwnedFd) {
    let _ = rustix::io::read(eventfd, &mut [0; WORD]);
}

/// Waits until one of these can be read, the time is over, or a signal came.
pub(super) fn wait_for_any(descriptors: &[BorrowedFd<'_>], timeout: Duration) {
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(timeout).ok();
    // Whatever ends it, the caller looks at everything again.
    let _ = rustix::event::poll(&mut polled, timeout.as_ref());
}
