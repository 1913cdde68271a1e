//! The ring: connected sockets, a message at a time from each run, replies by multishot receive into shared buffers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fixed, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::{Domain, Protocol, Socket, Type};

use crate::port::{RUN, RUNS};

/// Octets that each socket holds in either direction.
const SOCKET_BUFFER: usize = 4 << 20;
/// Receive buffers, each with room for as many replies as one message can bring.
const BUFFERS: u16 = 1024;
const BUFFER: u32 = 4096;
/// An Accounting-Response without attributes.
const REPLY: usize = 20;
const GROUP: u16 = 0;
/// So many completions are waited for, and no longer than this: waking for each costs more than twice as much.
const TOGETHER: u32 = 32;
const PATIENCE: Duration = Duration::from_millis(1);
/// What a completion belongs to: this and the port, or the number of a run.
const RECEIVE: u64 = 1 << 32;

pub(crate) struct Reply<'a> {
    pub(crate) port: usize,
    pub(crate) octets: &'a [u8],
}

/// One message as the kernel is told of it.
#[repr(C)]
struct Envelope {
    header: libc::msghdr,
    data: libc::iovec,
    control: libc::cmsghdr,
    segment: u16,
}

pub(crate) struct Wire {
    ring: IoUring,
    _sockets: Vec<Socket>,
    envelopes: Vec<Envelope>,
    /// Ring entries on a page of their own, and the buffers.
    entries: Box<[Page]>,
    buffers: Vec<u8>,
    given: u16,
    to_arm: Vec<usize>,
    /// Filled: port, buffer, length.
    filled: Vec<(usize, u16, usize)>,
}

#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

impl Wire {
    pub(crate) fn open(server: SocketAddr, ports: usize, gather: bool) -> io::Result<Wire> {
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_cqsize(8192).build(256)?;
        let sockets: Vec<Socket> = (0..ports).map(|_| socket(server, gather)).collect::<io::Result<_>>()?;
        let descriptors: Vec<i32> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        ring.submitter().register_files(&descriptors)?;
        let pages = usize::from(BUFFERS) * size_of::<BufRingEntry>() / size_of::<Page>();
        let mut wire = Wire {
            ring,
            _sockets: sockets,
            envelopes: (0..ports * RUNS).map(|_| unused()).collect(),
            entries: vec![Page([0; 4096]); pages].into(),
            buffers: vec![0; usize::from(BUFFERS) * BUFFER as usize],
            given: 0,
            to_arm: (0..ports).collect(),
            filled: Vec::new(),
        };
        (0..BUFFERS).for_each(|buffer| wire.give(buffer));
        let at = wire.entries.as_mut_ptr() as u64;
        // SAFETY: the entries fill whole pages, aligned, each names a buffer, and all of it stays in place until the process
        // ends: `main` never drops a wire.
        unsafe { wire.ring.submitter().register_buf_ring_with_flags(at, BUFFERS, GROUP, 0)? };
        Ok(wire)
    }

    /// Queues one message: packets of `segment` octets, one after the other.
    pub(crate) fn send(&mut self, port: usize, run: usize, octets: &[u8], segment: usize) -> io::Result<()> {
        let number = port * RUNS + run;
        let envelope = &mut self.envelopes[number];
        envelope.segment = u16::try_from(segment).unwrap_or(u16::MAX);
        envelope.data = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        envelope.header.msg_iov = &raw mut envelope.data;
        envelope.header.msg_iovlen = 1;
        let is_cut = octets.len() > segment;
        envelope.header.msg_control = if is_cut { (&raw mut envelope.control).cast() } else { ptr::null_mut() };
        envelope.header.msg_controllen = if is_cut { size_of::<libc::cmsghdr>() + size_of::<u16>() } else { 0 };
        let descriptor = Fixed(u32::try_from(port).unwrap_or_default());
        let entry = opcode::SendMsg::new(descriptor, &raw const envelope.header).build().user_data(number as u64);
        self.push(&entry)
    }

    /// Submits, and waits for a completion if it is to.
    pub(crate) fn wait(&mut self, wait: bool) -> io::Result<()> {
        for port in std::mem::take(&mut self.to_arm) {
            let descriptor = Fixed(u32::try_from(port).unwrap_or_default());
            let entry = opcode::RecvMulti::new(descriptor, GROUP).build().user_data(RECEIVE | port as u64);
            self.push(&entry)?;
        }
        self.enter(wait && self.filled.is_empty())?;
        self.reap();
        Ok(())
    }

    /// Hands the next replies over, at most as many as are verified together. False: there are none.
    pub(crate) fn take(&mut self, mut hand_over: impl FnMut(&[Reply<'_>])) -> bool {
        let filled = std::mem::take(&mut self.filled);
        let replies: Vec<Reply<'_>> = filled
            .iter()
            .flat_map(|&(port, buffer, length)| {
                let at = usize::from(buffer) * BUFFER as usize;
                self.buffers[at..at + length].chunks_exact(REPLY).map(move |octets| Reply { port, octets })
            })
            .collect();
        replies.chunks(RUN).for_each(&mut hand_over);
        let any = !replies.is_empty();
        drop(replies);
        filled.iter().for_each(|&(_, buffer, _)| self.give(buffer));
        any
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what an entry points to (an envelope, the packets of its run) stays in place until the process ends, and is
        // written again only when the run was answered or given up, long after the kernel has copied it.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.enter(false)?;
        }
        Ok(())
    }

    fn enter(&mut self, wait: bool) -> io::Result<()> {
        let queued = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
        let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
        let patience = Timespec::from(PATIENCE);
        let arguments = SubmitArgs::new().timespec(&patience);
        // SAFETY: EXT_ARG says that the argument is what `SubmitArgs` is, which lives until the call returns; what is queued
        // has the guarantees given in `push`.
        match unsafe { self.ring.submitter().enter(queued, if wait { TOGETHER } else { 0 }, flags, Some(&arguments)) } {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::ETIME)) => Err(error),
            _ => Ok(()),
        }
    }

    fn reap(&mut self) {
        for entry in self.ring.completion() {
            let (data, result) = (entry.user_data(), entry.result());
            if data & RECEIVE == 0 {
                assert!(result >= 0, "a message did not leave: {}", io::Error::from_raw_os_error(-result));
                continue;
            }
            let port = usize::try_from(data & !RECEIVE).unwrap_or_default();
            if let (Some(buffer), Ok(length)) = (cqueue::buffer_select(entry.flags()), usize::try_from(result)) {
                self.filled.push((port, buffer, length));
            }
            if !cqueue::more(entry.flags()) {
                self.to_arm.push(port);
            }
        }
    }

    /// Gives a buffer to the kernel.
    fn give(&mut self, buffer: u16) {
        let first = self.entries.as_mut_ptr().cast::<BufRingEntry>();
        let address = &raw mut self.buffers[usize::from(buffer) * BUFFER as usize];
        // SAFETY: the position is below the number of entries that the pages hold; the kernel reads an entry only when the
        // tail has passed it, and buffers that are given are read by nobody here. The tail lies in the first entry, aligned.
        unsafe {
            let entry = first.add(usize::from(self.given % BUFFERS));
            (*entry).set_addr(address as u64);
            (*entry).set_len(BUFFER);
            (*entry).set_bid(buffer);
            self.given = self.given.wrapping_add(1);
            AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()).store(self.given, Ordering::Release);
        }
    }
}

fn socket(server: SocketAddr, gather: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    benches::hold_much(&socket)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.connect(&server.into())?;
    if gather {
        benches::gather(&socket)?;
    }
    Ok(socket)
}

fn unused() -> Envelope {
    Envelope {
        header: libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        },
        data: libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 },
        control: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<u16>(),
            cmsg_level: libc::SOL_UDP,
            cmsg_type: libc::UDP_SEGMENT,
        },
        segment: 0,
    }
}
