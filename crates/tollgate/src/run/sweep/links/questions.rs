//! Questions to rtnetlink, each of which is answered before the next.

use std::io;
use std::time::Duration;

use kernel::netlink::{Family, NetlinkSocket, Received};
use plane::netlink::{self, Body};

/// Octets of answers that wait; the kernel writes the next piece of a dump when there is room.
const BUFFER: usize = 1 << 20;
/// How long the kernel may take for one piece.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where questions are asked.
pub(crate) struct Questions {
    socket: NetlinkSocket,
    sequence: u32,
    room: Box<[u8]>,
}

/// Whether more answers are to come.
pub(crate) enum Reads {
    On,
    Over,
}

impl Questions {
    pub(crate) fn open() -> io::Result<Questions> {
        let room = vec![0; netlink::DATAGRAM_BYTES_MAX].into_boxed_slice();
        Ok(Questions { socket: socket()?, sequence: 0, room })
    }

    /// Asks what `request` makes of the question's number, and hands on what is answered, up to the end or the last one that is
    /// wanted. `false`: what a dump tells of changed meanwhile (NLM_F_DUMP_INTR), so that it may lack something.
    ///
    /// # Errors
    /// What the kernel answers, or that it did not.
    pub(crate) fn ask<Request: AsRef<[u8]>>(
        &mut self,
        request: impl FnOnce(u32) -> Request,
        take: impl FnMut(Body<'_>) -> Reads,
    ) -> io::Result<bool> {
        // What nobody asked for has the number 0.
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let request = request(self.sequence);
        let asked = self.socket.send(request.as_ref()).and_then(|()| self.answers(take));
        if asked.is_err() {
            // On this one a dump may have broken off, and then it takes no other one.
            self.socket = socket()?;
        }
        asked
    }

    fn answers(&mut self, mut take: impl FnMut(Body<'_>) -> Reads) -> io::Result<bool> {
        let mut is_whole = true;
        loop {
            let octets = match self.socket.receive(&mut self.room)? {
                Received::Datagram(octets) => octets,
                Received::Lost => return Err(io::ErrorKind::OutOfMemory.into()),
                Received::Nothing if self.socket.wait(PATIENCE)? => continue,
                Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
            };
            for message in netlink::messages(&self.room[..octets]) {
                let message = message.map_err(|_| io::ErrorKind::InvalidData)?;
                if message.sequence != self.sequence {
                    continue;
                }
                is_whole &= !message.interrupted;
                match message.body {
                    Body::Done(0) => return Ok(is_whole),
                    Body::Done(errno @ 1..) | Body::Answer(errno @ 1..) => {
                        return Err(io::Error::from_raw_os_error(errno));
                    }
                    body => match take(body) {
                        Reads::On => {}
                        Reads::Over => return Ok(is_whole),
                    },
                }
            }
        }
    }
}

fn socket() -> io::Result<NetlinkSocket> {
    NetlinkSocket::open(Family::Route, BUFFER)
}
