//! The engine as far as the link goes: it answers HELLO, maps what came with it, and hands out the engine's half.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plane::client::SharedMemory;
use plane::hello::{Answer, HELLO_BYTES, HELLO_DESCRIPTORS, Hello, Welcome};
use plane::{EventScratch, Next, PlaneReader, Region};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix};
use rustix::net::{SocketFlags, SocketType};

/// How long a test waits for the other side before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn listen(path: &Path) -> OwnedFd {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&socket, 4).unwrap();
    socket
}

pub(crate) fn accept(listener: &OwnedFd) -> OwnedFd {
    assert!(readable(listener, PATIENCE), "nobody connects");
    rustix::net::accept(listener).unwrap()
}

/// One linked plane with one shard.
pub(crate) struct Linked {
    pub(crate) hello: Hello,
    pub(crate) region: Arc<Region<SharedMemory>>,
    pub(crate) reader: PlaneReader<SharedMemory>,
    /// Kept open: closing it ends the link.
    _socket: OwnedFd,
    pub(crate) engine_bell: OwnedFd,
    pub(crate) plane_bell: OwnedFd,
    scratch: EventScratch,
}

/// Hears a HELLO on a new connection and accepts it.
pub(crate) fn welcome(socket: OwnedFd) -> Linked {
    let (octets, descriptors) = receive(&socket).unwrap();
    let hello = Hello::decode(&octets).unwrap();
    let [memory, engine_bell, plane_bell] = descriptors.try_into().unwrap();
    let words = SharedMemory::map(&memory, usize::try_from(hello.memory_bytes).unwrap()).unwrap();
    let region = Region::open(words, hello.epoch, 1).unwrap();
    answer(&socket, Welcome::new(Answer::Accepted));
    let reader = region.reader(0).unwrap();
    Linked { hello, region, reader, _socket: socket, engine_bell, plane_bell, scratch: EventScratch::default() }
}

pub(crate) fn answer(socket: &OwnedFd, welcome: Welcome) {
    rustix::net::send(socket, &welcome.encode(), SendFlags::NOSIGNAL).unwrap();
}

pub(crate) fn receive(socket: &OwnedFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut octets = [0; 2 * HELLO_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HELLO_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut octets)];
    let received = rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            descriptors.extend(more);
        }
    }
    Ok((octets[..received.bytes].to_vec(), descriptors))
}

pub(crate) fn readable(descriptor: &OwnedFd, timeout: Duration) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&Timespec::try_from(timeout).unwrap())).unwrap() > 0
}

pub(crate) fn kick(bell: &OwnedFd) {
    rustix::io::write(bell, &1u64.to_ne_bytes()).unwrap();
}

impl Linked {
    /// Waits for the next event of a ring, as a shard does, and makes a line of it.
    pub(crate) fn next(&mut self, ring: usize) -> String {
        loop {
            match self.reader.rings_mut()[ring].next_event(&mut self.scratch, |_| true).unwrap() {
                Next::Event(delivery) => return format!("{:?}", delivery.event),
                Next::Refused(refused) => return format!("{refused:?}"),
                Next::Nothing => {}
            }
            if self.reader.about_to_sleep(false) {
                assert!(readable(&self.engine_bell, PATIENCE), "no event came");
                // This engine has one shard, so it may empty the bell.
                rustix::io::read(&self.engine_bell, &mut [0; 8]).unwrap();
                self.reader.awake();
            }
        }
    }

    /// All that was read is durable now.
    pub(crate) fn durable(&mut self) {
        for ring in self.reader.rings_mut() {
            ring.publish_consumed(ring.cursor());
        }
        self.kick_plane();
    }

    pub(crate) fn kick_plane(&self) {
        if self.region.plane_needs_kick() {
            kick(&self.plane_bell);
        }
    }
}
