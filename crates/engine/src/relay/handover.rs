//! What one shard hands to another: a request that came to it and is the other's to take, and how far each is with a NAS that
//! has gone, in octets for the ring between them.
//!
//! ```text
//!   0     kind
//!   1     family of the address, 4 or 6
//!   2     port, 2 octets
//!   4     token, 4 octets
//!   8     address, 16 octets
//!   24    the packet
//! ```

use std::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;

/// Octets before the packet.
pub(super) const HEAD: usize = 24;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request about a session of the other shard.
    Request,
    /// A NAS has gone, as this request says; the other shard is to say when its sessions there have ended.
    Gone,
    /// That is so, and durable.
    Ended,
}

/// What stands before the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) from: SocketAddr,
    /// Of [`Kind::Gone`] and [`Kind::Ended`]: which.
    pub(super) token: u32,
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD] {
        let kind = match self.kind {
            Kind::Request => 1,
            Kind::Gone => 2,
            Kind::Ended => 3,
        };
        let mut octets = ArrayVec::<u8, HEAD>::new();
        octets.push(kind);
        octets.push(if self.from.is_ipv4() { 4 } else { 6 });
        octets.extend(self.from.port().to_be_bytes());
        octets.extend(self.token.to_be_bytes());
        match self.from.ip() {
            IpAddr::V4(address) => octets.extend(address.octets()),
            IpAddr::V6(address) => octets.extend(address.octets()),
        }
        let mut head = [0; HEAD];
        head[..octets.len()].copy_from_slice(&octets);
        head
    }

    /// The head and the packet behind it; `None`: it is none of ours.
    pub(super) fn decode(octets: &[u8]) -> Option<(Head, &[u8])> {
        let (head, packet) = octets.split_first_chunk::<HEAD>()?;
        let kind = match head[0] {
            1 => Kind::Request,
            2 => Kind::Gone,
            3 => Kind::Ended,
            _ => return None,
        };
        let port = u16::from_be_bytes([head[2], head[3]]);
        let token = u32::from_be_bytes(*head[4..].first_chunk()?);
        let ip = match head[1] {
            4 => IpAddr::from(*head[8..].first_chunk::<4>()?),
            _ => IpAddr::from(*head[8..].first_chunk::<16>()?),
        };
        Some((Head { kind, from: SocketAddr::new(ip, port), token }, packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_arrives() {
        for from in ["192.0.2.1:1813", "[2001:db8::1]:65535"] {
            for kind in [Kind::Request, Kind::Gone, Kind::Ended] {
                let head = Head { kind, from: from.parse().unwrap(), token: 0x0102_0304 };
                let octets = [&head.encode()[..], b"packet"].concat();
                assert_eq!(Head::decode(&octets), Some((head, &b"packet"[..])));
            }
        }
        assert_eq!(Head::decode(&[0; 40]), None);
        assert_eq!(Head::decode(&[1; 23]), None);
    }
}
