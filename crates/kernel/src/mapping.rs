//! A range of mapped memory, unmapped on drop: the one place that calls mmap(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// Mapped memory of fixed place and size, page-aligned and zero at first. It hands out raw pointers only; who may read
/// or write through them is each user's argument.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to the thread that made it, and `Mapping` itself never reads or writes
// through its base.
unsafe impl Send for Mapping {}
// SAFETY: as above: a shared `Mapping` gives out addresses and touches nothing.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `length` octets of private zeroed memory; pages become resident when they are first touched.
    pub(crate) fn anonymous(length: usize) -> io::Result<Mapping> {
        // SAFETY: a null hint with MAP_ANONYMOUS makes a new range and replaces none.
        unsafe { Mapping::new(length, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1) }
    }

    /// The first `length` octets of the object behind `descriptor`, shared with whoever else has it mapped.
    pub(crate) fn shared(descriptor: BorrowedFd<'_>, length: usize) -> io::Result<Mapping> {
        // SAFETY: a null hint makes a new range and replaces none; the mapping keeps the object alive by itself.
        unsafe { Mapping::new(length, libc::MAP_SHARED, descriptor.as_raw_fd()) }
    }

    /// # Safety
    /// `flags` must not contain `MAP_FIXED`.
    unsafe fn new(length: usize, flags: libc::c_int, descriptor: libc::c_int) -> io::Result<Mapping> {
        // SAFETY: without MAP_FIXED the kernel picks a range that is in no use, so no other memory changes.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, descriptor, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { base, length })
    }

    /// Lets memory that is touched here and there become resident in small pages only, whatever the system prefers. Where it
    /// knows no others, nothing changes.
    pub(crate) fn prefer_small_pages(&self) {
        // SAFETY: the advice covers this mapping and changes none of its contents.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.length, libc::MADV_NOHUGEPAGE) };
    }

    /// Octets in the mapping.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The address of the `length` octets from `offset` on, which are asserted to lie inside.
    pub(crate) fn range(&self, offset: usize, length: usize) -> *mut u8 {
        assert!(offset <= self.length && length <= self.length - offset, "a range outside its mapping");
        // SAFETY: `offset` is at most the length of the mapping, so the sum stays within the same allocation or one
        // past its end.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range came from mmap in `new` and is unmapped once, here. Owners that lent pointers to the kernel
        // keep the mapping until the kernel has given them back.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}
