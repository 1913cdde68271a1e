//! What the kernel is asked.

use super::address::AF_INET;
use super::{HEADER_BYTES, RTM_GETADDR, RTM_GETLINK, RTM_GETSTATS, RTM_NEWLINK, STATS_LINK_64};

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;

const IFF_UP: u32 = 0x1;

const IFLA_EXT_MASK: u16 = 29;
/// Statistics are not asked for (RTEXT_FILTER_SKIP_STATS): a sweep brings them for less.
const SKIP_STATISTICS: u32 = 1 << 3;

/// Octets of [`dump_statistics`].
pub const DUMP_STATISTICS_BYTES: usize = HEADER_BYTES + 12;

/// Octets of [`dump_links`].
pub const DUMP_LINKS_BYTES: usize = HEADER_BYTES + 16 + 8;

/// Octets of [`get_link`].
pub const GET_LINK_BYTES: usize = HEADER_BYTES + 16;

/// Asks for the statistics of every interface (RTM_GETSTATS): the answers are [`Body::Statistics`](super::Body::Statistics),
/// then [`Body::Done`](super::Body::Done).
pub fn dump_statistics(sequence: u32) -> [u8; DUMP_STATISTICS_BYTES] {
    let mut out = request(RTM_GETSTATS, NLM_F_DUMP, sequence);
    out[HEADER_BYTES + 8..].copy_from_slice(&(1_u32 << (STATS_LINK_64 - 1)).to_ne_bytes());
    out
}

/// Asks for every interface (RTM_GETLINK) without its statistics: the answers are [`Body::NewLink`](super::Body::NewLink),
/// then [`Body::Done`](super::Body::Done).
pub fn dump_links(sequence: u32) -> [u8; DUMP_LINKS_BYTES] {
    let mut out = request(RTM_GETLINK, NLM_F_DUMP, sequence);
    let attribute = &mut out[HEADER_BYTES + 16..];
    attribute[..2].copy_from_slice(&8_u16.to_ne_bytes());
    attribute[2..4].copy_from_slice(&IFLA_EXT_MASK.to_ne_bytes());
    attribute[4..].copy_from_slice(&SKIP_STATISTICS.to_ne_bytes());
    out
}

/// Asks for one interface (RTM_GETLINK), statistics included: the answer is [`Body::NewLink`](super::Body::NewLink), or
/// [`Body::Answer`](super::Body::Answer) with an error. For a few of many interfaces that is less than a dump.
pub fn get_link(sequence: u32, index: u32) -> [u8; GET_LINK_BYTES] {
    let mut out = request(RTM_GETLINK, 0, sequence);
    out[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&index.to_ne_bytes());
    out
}

/// Octets of [`dump_addresses`].
pub const DUMP_ADDRESSES_BYTES: usize = HEADER_BYTES + 8;

/// Octets of [`set_down`].
pub const SET_DOWN_BYTES: usize = HEADER_BYTES + 16;

/// Asks for the IPv4 addresses of every interface (RTM_GETADDR): the answers are
/// [`Body::NewAddress`](super::Body::NewAddress), then [`Body::Done`](super::Body::Done).
pub fn dump_addresses(sequence: u32) -> [u8; DUMP_ADDRESSES_BYTES] {
    let mut out = request(RTM_GETADDR, NLM_F_DUMP, sequence);
    out[HEADER_BYTES] = AF_INET;
    out
}

/// Has an interface set down (RTM_NEWLINK without IFF_UP): the answer is [`Body::Answer`](super::Body::Answer).
pub fn set_down(sequence: u32, index: u32) -> [u8; SET_DOWN_BYTES] {
    let mut out = request(RTM_NEWLINK, NLM_F_ACK, sequence);
    out[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&index.to_ne_bytes());
    // What is to change; that it stays clear in the flags before it says to what.
    out[HEADER_BYTES + 12..].copy_from_slice(&IFF_UP.to_ne_bytes());
    out
}

/// A request of which all but the header is zero.
fn request<const BYTES: usize>(kind: u16, flags: u16, sequence: u32) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    #[expect(clippy::cast_possible_truncation, reason = "a request has some forty octets")]
    let length = BYTES as u32;
    out[..4].copy_from_slice(&length.to_ne_bytes());
    out[4..6].copy_from_slice(&kind.to_ne_bytes());
    out[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    out[8..12].copy_from_slice(&sequence.to_ne_bytes());
    out
}
