//! rtnetlink messages (rtnetlink(7)), as far as interfaces and their statistics go: octets ↔ messages.
//!
//! A datagram of the kernel carries messages, each filled up to a multiple of four octets:
//!
//! ```text
//!   0 length (32)   with these 16            an attribute:
//!   4 type (16)                                0 length (16)   with these 4
//!   6 flags (16)                               2 type (16)
//!   8 sequence (32) the request's, else 0      4 value
//!  12 port (32)
//!  16 body: a fixed part, then attributes
//! ```
//!
//! Everything is in the byte order of the machine, and nothing is aligned. Any octets are borne: what makes no sense is
//! [`Malformed`], and the rest of its datagram is given up, for nothing says where it would go on.

mod address;
mod attribute;
mod link;
mod request;

pub use address::AddressMessage;
pub use link::LinkMessage;
pub use request::{DUMP_ADDRESSES_BYTES, SET_DOWN_BYTES, dump_addresses, set_down};
pub use request::{DUMP_LINKS_BYTES, DUMP_STATISTICS_BYTES, GET_LINK_BYTES, dump_links, dump_statistics, get_link};

use model::counters::Totals;

use attribute::Attributes;

/// The multicast group that hears of interfaces that come, change and go (RTNLGRP_LINK).
pub const GROUP_LINK: u32 = 1;

/// The multicast group that hears of IPv4 addresses of interfaces (RTNLGRP_IPV4_IFADDR).
pub const GROUP_IPV4_ADDRESS: u32 = 5;

/// Most octets of a datagram of the kernel: dumps come in pieces of 32 KiB, and what is told of one interface is shorter.
pub const DATAGRAM_BYTES_MAX: usize = 65_536;

const HEADER_BYTES: usize = 16;

const NLM_F_DUMP_INTR: u16 = 0x10;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWSTATS: u16 = 92;
const RTM_GETSTATS: u16 = 94;

/// The bit of the request's mask, and the attribute of the answer (IFLA_STATS_LINK_64).
const STATS_LINK_64: u16 = 1;
/// Octets of the fixed part of a message of statistics (`struct if_stats_msg`).
const STATS_BYTES: usize = 12;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The sequence number of the request that it answers; 0 when nobody asked.
    pub sequence: u32,
    /// What is dumped changed meanwhile, so that the dump may lack something (NLM_F_DUMP_INTR).
    pub interrupted: bool,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// An interface is there, or has changed (RTM_NEWLINK).
    NewLink(LinkMessage<'a>),
    /// An interface is gone (RTM_DELLINK).
    DelLink(LinkMessage<'a>),
    /// What an interface has counted (RTM_NEWSTATS).
    Statistics {
        /// The interface's index.
        index: u32,
        /// What it has counted; *in* is what it received.
        totals: Totals,
    },
    /// An interface has an IPv4 address (RTM_NEWADDR).
    NewAddress(AddressMessage),
    /// An interface has lost an IPv4 address (RTM_DELADDR).
    DelAddress(AddressMessage),
    /// A dump is complete, or broke off with this number of errno(3).
    Done(i32),
    /// A request is answered: 0, or a number of errno(3).
    Answer(i32),
    /// The kernel has lost messages (NLMSG_OVERRUN).
    Overrun,
    /// Nothing that is asked for here.
    Other,
}

/// Octets that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A message that is shorter than its header, or longer than what came.
    Length,
    /// A body that is shorter than its fixed part.
    Body,
    /// An attribute that is shorter than its header, or longer than its message.
    Attribute,
    /// An interface's index that is not positive, a name that is missing, or a value that is too short.
    Value,
}

/// The messages of one datagram, in order; an error is the last item.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

/// The messages of one datagram.
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Result<Message<'a>, Malformed>> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.split().and_then(decode);
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

impl<'a> Messages<'a> {
    /// Cuts the next message off, without what fills it up.
    fn split(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u32_at(self.rest, 0).and_then(|length| usize::try_from(length).ok()).ok_or(Malformed::Length)?;
        if length < HEADER_BYTES {
            return Err(Malformed::Length);
        }
        let (message, rest) = split_padded(self.rest, length).ok_or(Malformed::Length)?;
        self.rest = rest;
        Ok(message)
    }
}

fn decode(message: &[u8]) -> Result<Message<'_>, Malformed> {
    let (kind, sequence) = (u16_at(message, 4).ok_or(Malformed::Length)?, u32_at(message, 8).ok_or(Malformed::Length)?);
    let body = message.get(HEADER_BYTES..).ok_or(Malformed::Length)?;
    let body = match kind {
        RTM_NEWLINK => LinkMessage::decode(body)?.map_or(Body::Other, Body::NewLink),
        RTM_DELLINK => LinkMessage::decode(body)?.map_or(Body::Other, Body::DelLink),
        RTM_NEWADDR => AddressMessage::decode(body)?.map_or(Body::Other, Body::NewAddress),
        RTM_DELADDR => AddressMessage::decode(body)?.map_or(Body::Other, Body::DelAddress),
        RTM_NEWSTATS => statistics(body)?,
        NLMSG_ERROR => Body::Answer(errno(body).ok_or(Malformed::Body)?),
        // Old kernels end a dump with a header alone.
        NLMSG_DONE => Body::Done(errno(body).unwrap_or(0)),
        NLMSG_OVERRUN => Body::Overrun,
        _ => Body::Other,
    };
    let flags = u16_at(message, 6).ok_or(Malformed::Length)?;
    Ok(Message { sequence, interrupted: flags & NLM_F_DUMP_INTR != 0, body })
}

fn statistics(body: &[u8]) -> Result<Body<'_>, Malformed> {
    let index = positive(u32_at(body, 4).ok_or(Malformed::Body)?)?;
    let attributes = Attributes::new(body.get(STATS_BYTES..).ok_or(Malformed::Body)?);
    for attribute in attributes {
        let (kind, value) = attribute?;
        if kind == STATS_LINK_64 {
            return Ok(Body::Statistics { index, totals: link_totals(value).ok_or(Malformed::Value)? });
        }
    }
    Ok(Body::Other)
}

/// The first four numbers of `struct rtnl_link_stats64`: packets in, packets out, octets in, octets out.
fn link_totals(value: &[u8]) -> Option<Totals> {
    let [in_packets, out_packets, in_octets, out_octets] = [0, 8, 16, 24].map(|at| u64_at(value, at));
    Some(Totals { in_octets: in_octets?, in_packets: in_packets?, out_octets: out_octets?, out_packets: out_packets? })
}

/// An interface's index, which the kernel keeps in a signed number.
fn positive(index: u32) -> Result<u32, Malformed> {
    if index == 0 || i32::try_from(index).is_err() { Err(Malformed::Value) } else { Ok(index) }
}

/// The number of errno(3) at the beginning of a body, where the kernel puts its negative.
fn errno(body: &[u8]) -> Option<i32> {
    u32_at(body, 0).map(|number| number.cast_signed().wrapping_neg())
}

/// The first `length` octets, and what stands behind them and their filling. The last one may lack its filling.
fn split_padded(octets: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (item, rest) = octets.split_at_checked(length)?;
    let filling = length.next_multiple_of(4) - length;
    Some((item, rest.get(filling..).unwrap_or_default()))
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests;
