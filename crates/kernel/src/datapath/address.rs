//! Socket addresses and control messages as the octets that the kernel reads and writes.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for either address: the length of a `sockaddr_in6`, the longer of the two.
pub(super) const NAME_ROOM: usize = NAME_LENGTH as usize;

/// The same, as the kernel takes it.
pub(super) const NAME_LENGTH: libc::socklen_t = 28;

const _: () = assert!(NAME_ROOM == size_of::<libc::sockaddr_in6>());

/// Room for the two control messages that are received, what was dropped and how long a segment is: each a header of 16 octets
/// and 32 bits, padded to 8.
pub(super) const CONTROL_ROOM: usize = 48;

/// Where a control message's data begins.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();

/// Family, in host order as the kernel wants it.
#[expect(clippy::cast_possible_truncation, reason = "the two families are 2 and 10")]
const FAMILIES: (u16, u16) = (libc::AF_INET as u16, libc::AF_INET6 as u16);

/// Writes `address` as a `sockaddr_in` or `sockaddr_in6`; returns its length in octets.
pub(super) fn encode(address: &SocketAddr, name: &mut [u8; NAME_ROOM]) -> u32 {
    name.fill(0);
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            name[..2].copy_from_slice(&FAMILIES.0.to_ne_bytes());
            name[4..8].copy_from_slice(&v4.ip().octets());
            16
        }
        SocketAddr::V6(v6) => {
            name[..2].copy_from_slice(&FAMILIES.1.to_ne_bytes());
            name[8..24].copy_from_slice(&v6.ip().octets());
            name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            28
        }
    }
}

/// Reads the address of a sender; `None` for any other family. The flow label is left out, so that addresses compare.
pub(super) fn decode(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    if family == FAMILIES.0 {
        let octets: [u8; 4] = *name.get(4..)?.first_chunk()?;
        Some(SocketAddrV4::new(Ipv4Addr::from(octets), port).into())
    } else if family == FAMILIES.1 {
        let octets: [u8; 16] = *name.get(8..)?.first_chunk()?;
        let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
        Some(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope).into())
    } else {
        None
    }
}

/// How many datagrams the socket has dropped in its life, when the control data says so. The kernel's count has 32 bits
/// and wraps.
pub(super) fn overflow(control: &[u8]) -> Option<u32> {
    message(control, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// How long the datagrams are that came as one message, but for the last; `None`: one came alone.
pub(super) fn segment(control: &[u8]) -> Option<usize> {
    let length = message(control, libc::SOL_UDP, libc::UDP_GRO)?;
    usize::try_from(length).ok().filter(|&length| length > 0)
}

/// The 32 bits of a control message.
fn message(control: &[u8], level: libc::c_int, kind: libc::c_int) -> Option<u32> {
    let mut rest = control;
    loop {
        let length = usize::from_ne_bytes(*rest.first_chunk()?);
        let head =
            [rest.get(8..)?.first_chunk()?, rest.get(12..)?.first_chunk()?].map(|word| i32::from_ne_bytes(*word));
        if head == [level, kind] {
            return Some(u32::from_ne_bytes(*rest.get(CONTROL_HEADER..)?.first_chunk()?));
        }
        if length < CONTROL_HEADER {
            return None;
        }
        rest = rest.get(length.checked_next_multiple_of(size_of::<usize>())?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn addresses_come_back(v6: bool, ip4: [u8; 4], ip6: [u8; 16], port: u16, scope: u32) {
            let address: SocketAddr = match v6 {
                false => SocketAddrV4::new(ip4.into(), port).into(),
                true => SocketAddrV6::new(ip6.into(), port, 0, scope).into(),
            };
            let mut name = [0xff; NAME_ROOM];
            let length = encode(&address, &mut name) as usize;
            assert_eq!(decode(&name[..length]), Some(address));
            assert_eq!(decode(&name[..length - 13]), None);
        }

        #[test]
        fn any_octets_are_read(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            decode(&octets);
            overflow(&octets);
            segment(&octets);
        }
    }

    #[test]
    fn names_are_what_the_system_expects() {
        for text in ["192.0.2.1:1813", "[2001:db8::1%3]:1813"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = [0; NAME_ROOM];
            let length = encode(&address, &mut name);
            let theirs = socket2::SockAddr::from(address);
            // SAFETY: the storage holds `len` octets and lives as long as `theirs`.
            let expected = unsafe { std::slice::from_raw_parts(theirs.as_ptr().cast::<u8>(), theirs.len() as usize) };
            assert_eq!(&name[..length as usize], expected, "{text}");
        }
    }

    #[test]
    fn each_count_is_found_behind_others() {
        let message = |level: i32, kind: i32, value: u32| {
            let mut octets = [0; CONTROL_ROOM / 2];
            octets[..8].copy_from_slice(&20_usize.to_ne_bytes());
            octets[8..12].copy_from_slice(&level.to_ne_bytes());
            octets[12..16].copy_from_slice(&kind.to_ne_bytes());
            octets[16..20].copy_from_slice(&value.to_ne_bytes());
            octets
        };
        let ours = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 7);
        let other = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, 9);
        let gathered = message(libc::SOL_UDP, libc::UDP_GRO, 20);
        assert_eq!(segment(&[ours, gathered].concat()), Some(20));
        assert_eq!(overflow(&[gathered, ours].concat()), Some(7));
        assert_eq!(segment(&ours), None);
        assert_eq!(segment(&message(libc::SOL_UDP, libc::UDP_GRO, 0)), None, "nothing is cut into nothing");
        assert_eq!(overflow(&ours), Some(7));
        assert_eq!(overflow(&[other, ours].concat()), Some(7));
        assert_eq!(overflow(&other), None);
        assert_eq!(overflow(&ours[..19]), None);
        assert_eq!(overflow(&[0; 24]), None);
    }
}
