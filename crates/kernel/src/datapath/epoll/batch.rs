//! The arrays that sendmmsg(2) and recvmmsg(2) take.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

use super::super::address::{CONTROL_ROOM, NAME_LENGTH, NAME_ROOM};
use super::super::outbox::Outbox;
use super::super::{OpenError, RECEIVE_MAX};
use crate::mapping::Mapping;

/// Messages of one socket that one system call sends.
const SEND_BATCH: usize = 64;

/// Datagrams of one socket that one system call receives.
const RECEIVE_BATCH: u8 = 64;

/// Messages of one lane that are under way. They are so only during one call of `send_batch`.
pub(super) struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    slots: Vec<u16>,
}

// SAFETY: the pointers in the headers lead into the outbox of the same engine, are written by `gather` and read by the
// `send` that follows it; on whichever thread the engine is, that is the same one.
unsafe impl Send for SendBatch {}

impl SendBatch {
    pub(super) fn new() -> SendBatch {
        SendBatch { headers: Vec::with_capacity(SEND_BATCH), slots: Vec::with_capacity(SEND_BATCH) }
    }

    /// Takes the oldest messages of a lane.
    pub(super) fn gather(&mut self, outbox: &mut Outbox, socket: u16) {
        self.headers.clear();
        self.slots.clear();
        while self.slots.len() < SEND_BATCH
            && let Some(slot) = outbox.pop_from(socket)
        {
            // SAFETY: the outbox has just written this header for a slot that is under way.
            let header = unsafe { outbox.header(slot).read() };
            self.headers.push(libc::mmsghdr { msg_hdr: header, msg_len: 0 });
            self.slots.push(slot);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of a gathered message.
    pub(super) fn slot(&self, position: usize) -> u16 {
        self.slots[position]
    }

    /// Sends what was gathered; returns how many messages left. An error is about the first.
    pub(super) fn send(&mut self, socket: &Socket) -> io::Result<usize> {
        let count = libc::c_uint::try_from(self.headers.len()).unwrap_or(0);
        // SAFETY: the headers point into slots under way of an outbox that the caller holds; the kernel reads them and
        // keeps nothing after the call. `count` is the length of the vector, at most SEND_BATCH.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Returns the messages from `position` on to their lane, in their order.
    pub(super) fn put_back(&self, outbox: &mut Outbox, position: usize) {
        self.slots[position..].iter().rev().for_each(|slot| outbox.put_back(*slot));
    }
}

/// Where one received datagram is put.
#[repr(C)]
struct Cell {
    data: libc::iovec,
    name: [u8; NAME_ROOM],
    control: [u8; CONTROL_ROOM],
    datagram: [u8; RECEIVE_MAX],
}

/// Datagrams of one socket, received by one call and handed out one by one.
pub(super) struct ReceiveBatch {
    headers: Vec<libc::mmsghdr>,
    cells: Mapping,
    socket: u16,
    received_count: usize,
    taken_count: usize,
}

// SAFETY: the pointers in the headers lead into `cells`, which this value owns wherever it is.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    pub(super) fn new() -> Result<ReceiveBatch, OpenError> {
        let cells = Mapping::anonymous(usize::from(RECEIVE_BATCH) * size_of::<Cell>())?;
        let mut headers = Vec::with_capacity(RECEIVE_BATCH.into());
        for position in 0..RECEIVE_BATCH {
            let cell = cell(&cells, position.into());
            // SAFETY: `cell` is one cell of the mapping, aligned and zeroed; nobody else has a pointer to it yet. Only
            // addresses of its fields are taken.
            let msg_hdr = unsafe {
                (*cell).data = libc::iovec { iov_base: (&raw mut (*cell).datagram).cast(), iov_len: RECEIVE_MAX };
                libc::msghdr {
                    msg_name: (&raw mut (*cell).name).cast(),
                    msg_namelen: 0,
                    msg_iov: &raw mut (*cell).data,
                    msg_iovlen: 1,
                    msg_control: (&raw mut (*cell).control).cast(),
                    msg_controllen: 0,
                    msg_flags: 0,
                }
            };
            headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        Ok(ReceiveBatch { headers, cells, socket: 0, received_count: 0, taken_count: 0 })
    }

    /// Receives into the batch, all of which was taken; `true` when it is full and the socket may have more.
    pub(super) fn fill(&mut self, number: u16, socket: &Socket) -> io::Result<bool> {
        assert!(self.is_empty(), "a batch is taken whole before it is filled again");
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = NAME_LENGTH;
            header.msg_hdr.msg_controllen = CONTROL_ROOM;
        }
        // SAFETY: each header points to its own cell, with the lengths of its fields; the vector is that long. No slice of
        // a cell is alive, as handing one out borrows the batch. The kernel keeps nothing after the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVE_BATCH.into(),
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        self.socket = number;
        self.taken_count = 0;
        self.received_count = 0;
        self.received_count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received_count == RECEIVE_BATCH.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken_count == self.received_count
    }

    /// The position of the next datagram, which is then taken.
    pub(super) fn take(&mut self) -> Option<usize> {
        let position = self.taken_count;
        (position < self.received_count).then(|| {
            self.taken_count += 1;
            position
        })
    }

    /// Drops what is left of a socket.
    pub(super) fn forget(&mut self, number: u16) {
        if self.socket == number {
            self.taken_count = self.received_count;
        }
    }

    /// The socket that was read last.
    pub(super) fn socket(&self) -> u16 {
        self.socket
    }

    /// The sender of a received datagram, as the kernel wrote it.
    pub(super) fn name(&self, position: usize) -> &[u8] {
        let length = self.header(position).msg_hdr.msg_namelen as usize;
        &self.cell(position).name[..length.min(NAME_ROOM)]
    }

    /// The control data of a received datagram.
    pub(super) fn control(&self, position: usize) -> &[u8] {
        let length = self.header(position).msg_hdr.msg_controllen;
        &self.cell(position).control[..length.min(CONTROL_ROOM)]
    }

    /// The octets of a received datagram.
    pub(super) fn datagram(&self, position: usize) -> &[u8] {
        let length = self.header(position).msg_len as usize;
        &self.cell(position).datagram[..length.min(RECEIVE_MAX)]
    }

    /// Whether a received datagram was longer than its room.
    pub(super) fn is_truncated(&self, position: usize) -> bool {
        self.header(position).msg_hdr.msg_flags & libc::MSG_TRUNC != 0
    }

    fn header(&self, position: usize) -> &libc::mmsghdr {
        &self.headers[position]
    }

    fn cell(&self, position: usize) -> &Cell {
        // SAFETY: one cell of the mapping, aligned, initialized by `new` and by the kernel since. It is written only by
        // the kernel during `fill`, which takes `&mut self`.
        unsafe { &*cell(&self.cells, position) }
    }
}

/// The address of one cell.
fn cell(cells: &Mapping, position: usize) -> *mut Cell {
    cells.range(position * size_of::<Cell>(), size_of::<Cell>()).cast()
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SendBatch").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ReceiveBatch").field("received_count", &self.received_count).finish_non_exhaustive()
    }
}
