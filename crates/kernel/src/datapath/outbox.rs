//! Datagrams on their way out: the slots that own their bytes, and a lane per socket in which they queue.
//!
//! A slot is one message of one or more equal datagrams (the last may be shorter):
//!
//! ```text
//!            push             pop                  finish
//!   Free ───────────▶ Queued ─────────▶ UnderWay ─────────▶ Free
//!                       ▲  push joins      │
//!                       └──────────────────┘ put_back; finish, when datagrams are left
//! ```
//!
//! **Who owns the bytes:** while `Free` or `Queued` this table alone, and it writes them; while `UnderWay` whoever popped
//! the slot, usually the kernel, and nobody writes. Only `finish` and `put_back` end that, and the engines call them
//! after the kernel's last word on the message.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use super::address::{self, NAME_ROOM};
use super::{DATAGRAM_MAX, NotQueued, TransmitError};
use crate::mapping::Mapping;

/// Octets that one message can carry: 64 datagrams of 512.
const MESSAGE_ROOM: usize = 32 * 1024;

/// Most datagrams that the kernel cuts out of one message (UDP_MAX_SEGMENTS before Linux 6.9).
const SEGMENTS_MAX: u16 = 64;

/// The longest datagram that is coalesced: what fits into an Ethernet frame behind an IPv6 and a UDP header. Longer ones
/// would need IP fragments, which segmentation cannot make.
const SEGMENT_MAX: usize = 1500 - 40 - 8;

/// From one slot's bytes to the next. One cache line more than the room, so that the beginnings of the slots, which are
/// used most, do not fall onto the same few lines of the cache.
const STRIDE: usize = MESSAGE_ROOM + 64;

const _: () = assert!(MESSAGE_ROOM >= DATAGRAM_MAX && MESSAGE_ROOM < 65_507);

/// What sendmsg(2) is given; the pointers in it lead to its own fields and to the slot's bytes.
#[repr(C)]
struct Envelope {
    header: libc::msghdr,
    data: libc::iovec,
    control: SegmentControl,
    name: [u8; NAME_ROOM],
}

/// The control message that has a message cut into datagrams of equal length.
#[repr(C)]
struct SegmentControl {
    header: libc::cmsghdr,
    segment: u16,
}

/// Its length without the padding behind it.
const SEGMENT_CONTROL: usize = size_of::<libc::cmsghdr>() + size_of::<u16>();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Queued,
    UnderWay,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    state: State,
    socket: u16,
    to: SocketAddr,
    /// Octets of each datagram, except perhaps the last.
    segment: usize,
    /// Octets of all.
    filled: usize,
    datagrams: u16,
    /// After a refusal, the datagram that is sent now, alone.
    single: Option<u16>,
    /// The slot behind this one in its lane.
    next: Option<u16>,
}

/// What a socket has to send, oldest first.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    open: bool,
    coalesce: bool,
    /// It stands in the list of lanes with work; such a lane may be empty by now.
    listed: bool,
    ends: Option<(u16, u16)>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// That many datagrams left.
    Sent(u16),
    /// The whole message was refused as such; its datagrams are queued again, to be sent alone.
    Uncoalesced,
    /// That many datagrams did not leave.
    Failed { socket: u16, to: SocketAddr, datagrams: u16, error: TransmitError },
}

/// All slots and lanes of a datapath.
#[derive(Debug)]
pub(super) struct Outbox {
    slots: Vec<Slot>,
    lanes: Vec<Lane>,
    /// Free slots; the last to come is the first to go, as its bytes are still in the cache.
    free: Vec<u16>,
    /// Lanes with work, each once.
    work: VecDeque<u16>,
    coalesce: bool,
    envelopes: Mapping,
    bytes: Mapping,
}

impl Outbox {
    pub(super) fn new(slot_count: u16, lane_count: u16, coalesce: bool) -> io::Result<Outbox> {
        let unused = Slot {
            state: State::Free,
            socket: 0,
            to: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            segment: 0,
            filled: 0,
            datagrams: 0,
            single: None,
            next: None,
        };
        Ok(Outbox {
            slots: vec![unused; slot_count.into()],
            lanes: vec![Lane::default(); lane_count.into()],
            free: (0..slot_count).rev().collect(),
            work: VecDeque::with_capacity(lane_count.into()),
            coalesce,
            envelopes: Mapping::anonymous(usize::from(slot_count) * size_of::<Envelope>())?,
            bytes: Mapping::anonymous(usize::from(slot_count) * STRIDE)?,
        })
    }

    /// Free slots.
    pub(super) fn room(&self) -> usize {
        self.free.len()
    }

    /// Begins a socket's lane, which is empty.
    pub(super) fn open_lane(&mut self, socket: u16) {
        let lane = &mut self.lanes[usize::from(socket)];
        assert!(!lane.open && lane.ends.is_none(), "a lane opened twice");
        lane.open = true;
        lane.coalesce = self.coalesce;
    }

    /// Ends a socket's lane and drops what is queued in it. What is under way ends with its `finish`.
    pub(super) fn close_lane(&mut self, socket: u16) {
        self.lanes[usize::from(socket)].open = false;
        while let Some(slot) = self.pop_from(socket) {
            self.release(slot);
        }
    }

    /// Copies a datagram into the lane's last message if it fits there, else into a slot of its own.
    pub(super) fn push(&mut self, socket: u16, to: SocketAddr, datagram: &[u8]) -> Result<(), NotQueued> {
        let lane = self.lanes.get(usize::from(socket)).ok_or(NotQueued::Closed)?;
        if !lane.open {
            return Err(NotQueued::Closed);
        }
        if datagram.len() > DATAGRAM_MAX {
            return Err(NotQueued::TooLong);
        }
        if let Some((_, last)) = lane.ends
            && lane.coalesce
            && self.slots[usize::from(last)].takes(to, datagram.len())
        {
            self.append(last, datagram);
            return Ok(());
        }
        let slot = self.free.pop().ok_or(NotQueued::Full)?;
        self.slots[usize::from(slot)] = Slot {
            state: State::Queued,
            socket,
            to,
            segment: datagram.len(),
            filled: 0,
            datagrams: 0,
            single: None,
            next: None,
        };
        self.append(slot, datagram);
        self.link_last(slot);
        Ok(())
    }

    /// Takes the oldest message of some lane with work; it is under way from now on.
    pub(super) fn pop(&mut self) -> Option<u16> {
        loop {
            let socket = *self.work.front()?;
            match self.pop_from(socket) {
                Some(slot) => return Some(slot),
                None => self.take_lane(),
            };
        }
    }

    /// Lanes that may have work.
    pub(super) fn lane_count(&self) -> usize {
        self.work.len()
    }

    /// Takes the lane that has waited longest off the list. What stays in it is sent only after [`Outbox::list_lane`].
    pub(super) fn take_lane(&mut self) -> Option<u16> {
        let socket = self.work.pop_front()?;
        self.lanes[usize::from(socket)].listed = false;
        Some(socket)
    }

    /// Puts a lane back onto the list if it has work and is not on it.
    pub(super) fn list_lane(&mut self, socket: u16) {
        let lane = &mut self.lanes[usize::from(socket)];
        if lane.ends.is_some() && !lane.listed {
            lane.listed = true;
            self.work.push_back(socket);
        }
    }

    /// Takes the oldest message of one lane; it is under way from now on.
    pub(super) fn pop_from(&mut self, socket: u16) -> Option<u16> {
        let lane = &mut self.lanes[usize::from(socket)];
        let (first, last) = lane.ends?;
        let slot = &mut self.slots[usize::from(first)];
        lane.ends = slot.next.take().map(|next| (next, last));
        assert_eq!(slot.state, State::Queued, "a lane holds queued slots only");
        slot.state = State::UnderWay;
        Some(first)
    }

    /// Puts a message that is under way, and was not sent, back to the head of its lane.
    pub(super) fn put_back(&mut self, slot: u16) {
        let socket = self.slots[usize::from(slot)].socket;
        assert_eq!(self.slots[usize::from(slot)].state, State::UnderWay, "only what was popped comes back");
        let lane = &mut self.lanes[usize::from(socket)];
        if !lane.open {
            self.release(slot);
            return;
        }
        self.slots[usize::from(slot)].next = lane.ends.map(|(first, _)| first);
        self.slots[usize::from(slot)].state = State::Queued;
        lane.ends = Some((slot, lane.ends.map_or(slot, |(_, last)| last)));
        self.list_lane(socket);
    }

    /// The socket of a slot.
    pub(super) fn socket(&self, slot: u16) -> u16 {
        self.slots[usize::from(slot)].socket
    }

    /// Addresses a message that is under way. The header, and what it points to, stays as it is until `finish` or
    /// `put_back`.
    pub(super) fn header(&mut self, slot: u16) -> *const libc::msghdr {
        let message = self.slots[usize::from(slot)];
        assert_eq!(message.state, State::UnderWay, "only what was popped is addressed");
        let (offset, length) = message.extent();
        let bytes = self.bytes.range(usize::from(slot) * STRIDE + offset, length);
        let is_cut = message.datagrams > 1 && message.single.is_none();
        let mut name = [0; NAME_ROOM];
        let name_length = address::encode(&message.to, &mut name);
        let envelope =
            self.envelopes.range(usize::from(slot) * size_of::<Envelope>(), size_of::<Envelope>()).cast::<Envelope>();
        // SAFETY: the range is one `Envelope` long and aligned, as the mapping is page-aligned and the size a multiple
        // of the alignment. The slot has just been popped or is being sent again, so the kernel holds no pointer into
        // its envelope and nobody else has one: writing it whole is exclusive. The pointers written lead into this
        // envelope and this slot's bytes, which live as long as `self`.
        unsafe {
            envelope.write(Envelope {
                header: libc::msghdr {
                    msg_name: (&raw mut (*envelope).name).cast(),
                    msg_namelen: name_length,
                    msg_iov: &raw mut (*envelope).data,
                    msg_iovlen: 1,
                    msg_control: if is_cut { (&raw mut (*envelope).control).cast() } else { std::ptr::null_mut() },
                    msg_controllen: if is_cut { SEGMENT_CONTROL } else { 0 },
                    msg_flags: 0,
                },
                data: libc::iovec { iov_base: bytes.cast(), iov_len: length },
                control: SegmentControl {
                    header: libc::cmsghdr {
                        cmsg_len: SEGMENT_CONTROL,
                        cmsg_level: libc::SOL_UDP,
                        cmsg_type: libc::UDP_SEGMENT,
                    },
                    // At most DATAGRAM_MAX.
                    segment: u16::try_from(message.segment).unwrap_or(u16::MAX),
                },
                name,
            });
            &raw const (*envelope).header
        }
    }

    /// Takes the kernel's last word on a message: sent, or refused with an errno. Frees the slot unless datagrams of it
    /// are left, which are then queued again.
    pub(super) fn finish(&mut self, slot: u16, errno: Option<i32>) -> Outcome {
        let message = &mut self.slots[usize::from(slot)];
        assert_eq!(message.state, State::UnderWay, "a message ends once");
        let Slot { socket, to, .. } = *message;
        let is_cut = message.datagrams > 1 && message.single.is_none();
        if is_cut && errno.is_some_and(refuses_segments) {
            message.single = Some(0);
            self.lanes[usize::from(socket)].coalesce = false;
            self.put_back(slot);
            return Outcome::Uncoalesced;
        }
        let datagrams = if message.single.is_some() { 1 } else { message.datagrams };
        match message.single.map(|position| position + 1) {
            Some(next) if next < message.datagrams => {
                message.single = Some(next);
                self.put_back(slot);
            }
            _ => self.release(slot),
        }
        match errno {
            None => Outcome::Sent(datagrams),
            Some(errno) => Outcome::Failed { socket, to, datagrams, error: TransmitError::from_errno(errno) },
        }
    }

    fn append(&mut self, slot: u16, datagram: &[u8]) {
        let message = &mut self.slots[usize::from(slot)];
        assert_eq!(message.state, State::Queued, "bytes of a message under way do not change");
        let room = self.bytes.range(usize::from(slot) * STRIDE + message.filled, datagram.len());
        assert!(message.filled + datagram.len() <= MESSAGE_ROOM, "a message within its slot");
        // SAFETY: `room` is as long as the datagram and lies in this slot's stretch of the mapping. The slot is queued,
        // so the kernel has no pointer to it. The caller's slice cannot overlap a mapping that is never lent as a slice.
        unsafe { std::ptr::copy_nonoverlapping(datagram.as_ptr(), room, datagram.len()) };
        message.filled += datagram.len();
        message.datagrams += 1;
    }

    fn link_last(&mut self, slot: u16) {
        let socket = self.slots[usize::from(slot)].socket;
        let lane = &mut self.lanes[usize::from(socket)];
        if let Some((_, last)) = lane.ends {
            self.slots[usize::from(last)].next = Some(slot);
        }
        lane.ends = Some((lane.ends.map_or(slot, |(first, _)| first), slot));
        self.list_lane(socket);
    }

    fn release(&mut self, slot: u16) {
        self.slots[usize::from(slot)].state = State::Free;
        self.free.push(slot);
    }
}

impl Slot {
    /// Whether a datagram of `length` octets to `to` can join this message.
    fn takes(&self, to: SocketAddr, length: usize) -> bool {
        let is_open = self.filled == usize::from(self.datagrams) * self.segment;
        is_open
            && self.single.is_none()
            && self.datagrams < SEGMENTS_MAX
            && (1..=self.segment).contains(&length)
            && self.segment <= SEGMENT_MAX
            && self.filled + length <= MESSAGE_ROOM
            && self.to == to
    }

    /// What of the slot's bytes is sent now: offset and length.
    fn extent(&self) -> (usize, usize) {
        match self.single {
            None => (0, self.filled),
            Some(position) => {
                let offset = usize::from(position) * self.segment;
                (offset, self.segment.min(self.filled - offset))
            }
        }
    }
}

/// Whether an error may mean that only the cutting was refused: EIO from a device without checksum offload, EINVAL and
/// EMSGSIZE for a path whose packets are too small for the segment, the others from kernels and drivers without it.
fn refuses_segments(errno: i32) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    /// What `Limits` says about memory.
    #[test]
    fn a_slot_is_as_large_as_documented() {
        assert!(STRIDE + size_of::<Envelope>() + size_of::<Slot>() + size_of::<u16>() <= 33_026);
    }

    fn to(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    fn outbox(slot_count: u16, lane_count: u16) -> Outbox {
        let mut outbox = Outbox::new(slot_count, lane_count, true).unwrap();
        (0..lane_count).for_each(|socket| outbox.open_lane(socket));
        outbox
    }

    /// The octets that the kernel would read for a slot, and the length it would cut them to.
    fn carried(outbox: &mut Outbox, slot: u16) -> (Vec<u8>, Option<u16>) {
        let header = outbox.header(slot);
        // SAFETY: the header was just written, with one vector over bytes of the slot and perhaps one control message.
        unsafe {
            let data = *(*header).msg_iov;
            let control = (*header).msg_control.cast::<SegmentControl>();
            let segment = (!control.is_null()).then(|| (*control).segment);
            (std::slice::from_raw_parts(data.iov_base.cast(), data.iov_len).to_vec(), segment)
        }
    }

    #[test]
    fn equal_datagrams_share_a_message() {
        // Lengths pushed to one destination → messages as (octets, datagrams).
        for (lengths, expected) in [
            (vec![300; 3], vec![(900, 3)]),
            (vec![300, 300, 200], vec![(800, 3)]),
            (vec![300, 200, 200], vec![(500, 2), (200, 1)]),
            (vec![200, 300], vec![(200, 1), (300, 1)]),
            (vec![100; 65], vec![(6400, 64), (100, 1)]),
            (vec![1452; 23], vec![(1452 * 22, 22), (1452, 1)]),
            (vec![1453; 2], vec![(1453, 1), (1453, 1)]),
            (vec![4096], vec![(4096, 1)]),
            (vec![0, 0], vec![(0, 1), (0, 1)]),
            (vec![5, 0], vec![(5, 1), (0, 1)]),
        ] {
            let mut outbox = outbox(80, 1);
            for length in &lengths {
                outbox.push(0, to(1), &vec![7; *length]).unwrap();
            }
            let mut messages = Vec::new();
            while let Some(slot) = outbox.pop() {
                let (bytes, segment) = carried(&mut outbox, slot);
                let Outcome::Sent(datagrams) = outbox.finish(slot, None) else { panic!("sent") };
                assert_eq!(segment.is_some(), datagrams > 1);
                messages.push((bytes.len(), datagrams));
            }
            assert_eq!(messages, expected, "{lengths:?}");
            assert_eq!(outbox.room(), 80);
        }
    }

    #[test]
    fn other_sockets_and_destinations_stay_apart() {
        let mut outbox = outbox(8, 2);
        for (socket, port) in [(0, 1), (1, 1), (0, 1), (1, 1), (0, 2), (0, 1)] {
            outbox.push(socket, to(port), &[socket.to_le_bytes()[0]; 10]).unwrap();
        }
        let mut messages = Vec::new();
        while let Some(slot) = outbox.pop() {
            messages.push((outbox.socket(slot), carried(&mut outbox, slot).0.len()));
        }
        assert_eq!(messages, [(0, 20), (0, 10), (0, 10), (1, 20)]);
    }

    #[test]
    fn a_refused_message_is_sent_one_by_one_and_in_order() {
        let mut outbox = outbox(2, 1);
        for (value, length) in [(1, 100), (2, 100), (3, 60)] {
            outbox.push(0, to(1), &vec![value; length]).unwrap();
        }
        let slot = outbox.pop().unwrap();
        assert_eq!(outbox.finish(slot, Some(libc::EIO)), Outcome::Uncoalesced);
        outbox.push(0, to(1), &[4; 60]).unwrap();

        let mut sent = Vec::new();
        while let Some(slot) = outbox.pop() {
            let (bytes, segment) = carried(&mut outbox, slot);
            assert_eq!(segment, None);
            let errno = (bytes[0] == 2).then_some(libc::EMSGSIZE);
            match outbox.finish(slot, errno) {
                Outcome::Sent(1) => sent.push((bytes[0], bytes.len())),
                Outcome::Failed { socket: 0, to: failed, datagrams: 1, error: TransmitError::TooLong } => {
                    assert_eq!(failed, to(1));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent, [(1, 100), (3, 60), (4, 60)]);
        assert_eq!(outbox.room(), 2);
    }

    #[test]
    fn a_refused_push_changes_nothing() {
        let mut outbox = outbox(1, 1);
        assert_eq!(outbox.push(0, to(1), &[0; 4097]), Err(NotQueued::TooLong));
        assert_eq!(outbox.push(1, to(1), &[0]), Err(NotQueued::Closed));
        outbox.push(0, to(1), &[1; 10]).unwrap();
        assert_eq!(outbox.push(0, to(2), &[2; 10]), Err(NotQueued::Full));
        outbox.push(0, to(1), &[3; 10]).unwrap();
        let slot = outbox.pop().unwrap();
        assert_eq!(carried(&mut outbox, slot), ([[1; 10], [3; 10]].concat(), Some(10)));
        outbox.close_lane(0);
        assert_eq!(outbox.room(), 0, "under way although closed");
        outbox.put_back(slot);
        assert_eq!((outbox.room(), outbox.pop()), (1, None));
        assert_eq!(outbox.push(0, to(1), &[0]), Err(NotQueued::Closed));
    }

    proptest! {
        /// Whatever is pushed, refused, put back and sent in any mix comes out once, whole and in its socket's order.
        #[test]
        fn nothing_is_lost_doubled_or_mixed(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 1..300)) {
            let mut outbox = outbox(6, 3);
            let mut pushed = vec![Vec::new(); 3];
            let mut sent = vec![Vec::new(); 3];
            let mut serial = 0_u32;
            let send = |outbox: &mut Outbox, sent: &mut Vec<Vec<(u16, u32)>>, verdict: u8| {
                let Some(slot) = outbox.pop() else { return };
                let (bytes, segment) = carried(outbox, slot);
                match verdict % 4 {
                    0 => outbox.put_back(slot),
                    1 if segment.is_some() => {
                        assert_eq!(outbox.finish(slot, Some(libc::EINVAL)), Outcome::Uncoalesced);
                    }
                    _ => {
                        let socket = usize::from(outbox.socket(slot));
                        let length = segment.map_or(bytes.len(), usize::from);
                        let datagrams = bytes.chunks(length).map(|datagram| {
                            let serial = u32::from_le_bytes(*datagram.first_chunk().unwrap());
                            (u16::try_from(datagram.len()).unwrap(), serial)
                        });
                        sent[socket].extend(datagrams);
                        outbox.finish(slot, None);
                    }
                }
            };
            for (action, length, port) in steps {
                if action % 3 < 2 {
                    let socket = u16::from(action / 3 % 3);
                    let mut datagram = vec![0; 4 + usize::from(length % 3)];
                    datagram[..4].copy_from_slice(&serial.to_le_bytes());
                    if outbox.push(socket, to(u16::from(port % 2)), &datagram).is_ok() {
                        pushed[usize::from(socket)].push((u16::try_from(datagram.len()).unwrap(), serial));
                        serial += 1;
                    }
                } else {
                    send(&mut outbox, &mut sent, length);
                }
            }
            while outbox.lane_count() > 0 {
                send(&mut outbox, &mut sent, 2);
            }
            assert_eq!(sent, pushed);
            assert_eq!(outbox.room(), 6);
        }
    }
}
