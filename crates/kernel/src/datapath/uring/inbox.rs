//! Receive buffers: a ring of them that the kernel takes from, one group for all sockets.
//!
//! ```text
//! one mapping:  │ ring entries, 16 octets each │ buffer 0 │ buffer 1 │ …
//! one buffer:   │ head 16 │ sender 28 │ control 48 │ message 65572 │        laid out by the kernel, = 65664
//! ```
//!
//! A buffer takes the longest message, 64 KiB of datagrams that were put together; most are short and touch one page of it. It is
//! two lines longer than that, for buffers a power of two apart would share the same few places of each cache.
//!
//! **Who owns a buffer:** the kernel from `give` until a completion names the buffer, we from then until the next `give`.
//! The ring entries belong to us except for what lies between the kernel's head and our tail, which it reads.

use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::super::OpenError;
use super::super::address::{self, CONTROL_ROOM, NAME_LENGTH, NAME_ROOM};
use super::opened::Segments;
use super::setup;
use crate::mapping::Mapping;

/// The kernel's number for the only group of buffers.
pub(super) const GROUP: u16 = 0;

/// What the kernel puts before the sender's address: four 32-bit fields (io_uring_recvmsg_out).
const HEAD: usize = 16;

/// Octets of one buffer.
const BUFFER: usize = BUFFER_LENGTH as usize;

/// The same, as the kernel takes it.
const BUFFER_LENGTH: u32 = 65_664;

/// The longest message: what an IPv4 packet can carry.
const MESSAGE_MAX: usize = 65_535;

const _: () = assert!(BUFFER >= FIELDS + MESSAGE_MAX && BUFFER.is_multiple_of(64));

/// What stands before the message.
const FIELDS: usize = HEAD + NAME_ROOM + CONTROL_ROOM;

/// The fields of a filled buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received<'buffer> {
    pub(super) name: &'buffer [u8],
    pub(super) control: &'buffer [u8],
    pub(super) message: &'buffer [u8],
    /// The message was longer than the buffer.
    pub(super) truncated: bool,
}

impl<'buffer> Received<'buffer> {
    /// The head holds the lengths of name, control data and message, and the flags of recvmsg(2); the fields follow, each
    /// in room of fixed length.
    fn parse(octets: &'buffer [u8]) -> Option<Received<'buffer>> {
        let (head, fields) = octets.split_first_chunk::<HEAD>()?;
        let word = |position: usize| Some(u32::from_ne_bytes(*head[position * 4..].first_chunk()?));
        let (name, fields) = fields.split_at_checked(NAME_ROOM)?;
        let (control, message) = fields.split_at_checked(CONTROL_ROOM)?;
        let name_length = usize::try_from(word(0)?).ok()?;
        let control_length = usize::try_from(word(1)?).ok()?;
        Some(Received {
            name: name.get(..name_length)?,
            control: control.get(..control_length)?,
            message,
            truncated: word(3)? & libc::MSG_TRUNC.unsigned_abs() != 0,
        })
    }

    /// The datagrams in it.
    pub(super) fn segments(&self) -> Segments {
        Segments::of(self.message.len(), address::segment(self.control), self.truncated)
    }
}

/// The buffers, and the header that tells the kernel how to lay a message out in one.
pub(super) struct Inbox {
    memory: Mapping,
    /// A power of two.
    buffer_count: u16,
    /// Entries given so far, modulo 2^16; what the kernel knows as the tail.
    given: u16,
    /// Read by the kernel when a receive is submitted. It has lengths only and points to nothing. Boxed, as submissions
    /// hold its address.
    layout: Box<libc::msghdr>,
}

impl Inbox {
    /// Allocates the buffers and registers them with the ring behind `submitter`.
    pub(super) fn register(submitter: &Submitter<'_>, buffer_count: u16) -> Result<Inbox, OpenError> {
        let memory = Mapping::anonymous(usize::from(buffer_count) * (size_of::<BufRingEntry>() + BUFFER))?;
        memory.prefer_small_pages();
        let layout = libc::msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: NAME_LENGTH,
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
            (*entry).set_len(BUFFER_LENGTH);
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

    /// What the kernel has put into a buffer, `length` octets in all, that was not given back yet; `None` when it is not
    /// as the layout says.
    pub(super) fn read(&self, buffer: u16, length: usize) -> Option<Received<'_>> {
        // SAFETY: a completion has named the buffer and it was not given since, so the kernel does not write to it; we
        // write to buffers nowhere. It was zeroed at first, so every octet is initialized. The reference ends before
        // the next `give`, which takes `&mut self`.
        let octets = unsafe { std::slice::from_raw_parts(self.buffer(buffer), length.min(BUFFER)) };
        Received::parse(octets)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn any_buffer_is_read(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(received) = Received::parse(&octets) {
                assert_eq!(received.message.len(), octets.len() - FIELDS);
            }
        }
    }

    #[test]
    fn the_fields_stand_where_the_kernel_puts_them() {
        let words = [16_u32, 48, 90_000, libc::MSG_TRUNC.unsigned_abs()];
        let mut octets: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        octets.extend([1; NAME_ROOM]);
        octets.extend([2; CONTROL_ROOM]);
        octets.extend([3; 5]);
        let expected = Received { name: &[1; 16], control: &[2; 48], message: &[3; 5], truncated: true };
        assert_eq!(Received::parse(&octets), Some(expected));
        octets[0] = 29;
        assert_eq!(Received::parse(&octets), None, "a name longer than its room");
        assert_eq!(Received::parse(&octets[..FIELDS - 1]), None);
    }
}
