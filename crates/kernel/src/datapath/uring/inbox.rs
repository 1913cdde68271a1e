//! Receive buffers: a ring of them that the kernel takes from, one group for all sockets.
//!
//! ```text
//! one mapping:  │ ring entries, 16 octets each │ buffer 0 │ buffer 1 │ …
//! one buffer:   │ head 16 │ sender 28 │ control 24 │ datagram 4540 │        laid out by the kernel, = 4608
//! ```
//!
//! **Who owns a buffer:** the kernel from `give` until a completion names the buffer, we from then until the next `give`.
//! The ring entries belong to us except for what lies between the kernel's head and our tail, which it reads.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::{BufRingEntry, RecvMsgOut};

use super::super::address::{CONTROL_ROOM, NAME_ROOM};
use super::super::{OpenError, RECEIVE_MAX};
use super::setup;
use crate::mapping::Mapping;

/// The kernel's number for the only group of buffers.
pub(super) const GROUP: u16 = 0;

/// What the kernel puts before the sender's address: four 32-bit fields (io_uring_recvmsg_out).
const HEAD: usize = 16;

/// Octets of one buffer.
const BUFFER: usize = HEAD + NAME_ROOM + CONTROL_ROOM + RECEIVE_MAX;

const _: () = assert!(BUFFER == 4608 && BUFFER.is_multiple_of(64));

/// The buffers, and the header that tells the kernel how to lay a datagram out in one.
pub(super) struct Inbox {
    memory: Mapping,
    /// A power of two.
    buffer_count: u16,
    /// Entries given so far, modulo 2^16; what the kernel knows as the tail.
    given: u16,
    /// Read by the kernel when a receive is submitted, and by us to find the fields of a buffer. It has lengths only and
    /// points to nothing. Boxed, as submissions hold its address.
    layout: Box<libc::msghdr>,
}

impl Inbox {
    /// Allocates the buffers and registers them with the ring behind `submitter`.
    pub(super) fn register(submitter: &Submitter<'_>, buffer_count: u16) -> Result<Inbox, OpenError> {
        let memory = Mapping::anonymous(usize::from(buffer_count) * (size_of::<BufRingEntry>() + BUFFER))?;
        let layout = libc::msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: NAME_ROOM as u32,
            msg_iov: std::ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: std::ptr::null_mut(),
            msg_controllen: CONTROL_ROOM,
            msg_flags: 0,
        };
        let ring_length = usize::from(buffer_count) * size_of::<BufRingEntry>();
        let ring = memory.range(0, ring_length);
        let mut inbox = Inbox { memory, buffer_count, given: 0, layout: Box::new(layout) };
        for buffer in 0..buffer_count {
            inbox.give(buffer);
        }
        // SAFETY: the ring entries stand at the page-aligned start of a mapping that has room for `buffer_count` of
        // them, each filled with a buffer of the same mapping. The mapping lives in `Inbox`, which the engine keeps
        // until no request can use the group any more.
        unsafe { submitter.register_buf_ring_with_flags(ring as u64, buffer_count, GROUP, 0) }
            .map_err(setup::missing)?;
        Ok(inbox)
    }

    /// The address of the layout, for submissions. It does not move while the inbox lives.
    pub(super) fn layout(&self) -> *const libc::msghdr {
        &raw const *self.layout
    }

    /// Gives a buffer to the kernel, which may write into it at once.
    pub(super) fn give(&mut self, buffer: u16) {
        let entry = self.entry(self.given & (self.buffer_count - 1));
        let address = self.buffer(buffer) as u64;
        // SAFETY: `entry` lies in the mapping, aligned. The kernel reads entries from its head up to our tail only, and
        // this one is at the tail: there are as many entries as buffers and this buffer is not among the given ones, so
        // the kernel has consumed whatever stood here. The setters leave the last two octets alone, which in the first
        // entry are the tail.
        unsafe {
            (*entry).set_addr(address);
            (*entry).set_len(BUFFER as u32);
            (*entry).set_bid(buffer);
        }
        self.given = self.given.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, two-aligned; the kernel only reads it, and we access it only here.
        // The release makes the entry visible before the tail that covers it.
        unsafe {
            let tail = BufRingEntry::tail(self.entry(0)).cast_mut();
            AtomicU16::from_ptr(tail).store(self.given, Ordering::Release);
        }
    }

    /// The datagram in a buffer that the kernel has filled with `length` octets, head and all, and that was not given
    /// back yet; `None` when it is not as the layout says.
    pub(super) fn read(&self, buffer: u16, length: usize) -> Option<RecvMsgOut<'_>> {
        // SAFETY: a completion has named the buffer and it was not given since, so the kernel does not write to it; we
        // write to buffers nowhere. It was zeroed at first, so every octet is initialized. The reference ends before
        // the next `give`, which takes `&mut self`.
        let octets = unsafe { std::slice::from_raw_parts(self.buffer(buffer), length.min(BUFFER)) };
        RecvMsgOut::parse(octets, &self.layout).ok()
    }

    fn entry(&self, position: u16) -> *mut BufRingEntry {
        let offset = usize::from(position) * size_of::<BufRingEntry>();
        self.memory.range(offset, size_of::<BufRingEntry>()).cast()
    }

    fn buffer(&self, buffer: u16) -> *mut u8 {
        let ring_length = usize::from(self.buffer_count) * size_of::<BufRingEntry>();
        self.memory.range(ring_length + usize::from(buffer) * BUFFER, BUFFER)
    }
}
