//! What RTM_NEWADDR and RTM_DELADDR say.

use std::net::Ipv4Addr;

use super::attribute::Attributes;
use super::{Malformed, positive, u32_at};

/// Octets of the fixed part (`struct ifaddrmsg`).
const BYTES: usize = 8;
/// The family of IPv4.
pub(super) const AF_INET: u8 = 2;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An IPv4 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMessage {
    /// The interface's index, 1 to 2³¹ − 1.
    pub index: u32,
    /// Who is at the other end of it; `None` on an interface that has many at its other end.
    pub peer: Option<Ipv4Addr>,
}

impl AddressMessage {
    /// `None`: the message is of another family.
    pub(super) fn decode(body: &[u8]) -> Result<Option<AddressMessage>, Malformed> {
        let family = body.first().ok_or(Malformed::Body)?;
        let attributes = Attributes::new(body.get(BYTES..).ok_or(Malformed::Body)?);
        if *family != AF_INET {
            return Ok(None);
        }
        let index = positive(u32_at(body, 4).ok_or(Malformed::Body)?)?;
        let (mut address, mut local) = (None, None);
        for attribute in attributes {
            match attribute? {
                (IFA_ADDRESS, value) => address = Some(ipv4(value)?),
                (IFA_LOCAL, value) => local = Some(ipv4(value)?),
                _ => {}
            }
        }
        // Without a peer both are the interface's own.
        let peer = address.filter(|address| local.is_some_and(|local| local != *address));
        Ok(Some(AddressMessage { index, peer }))
    }
}

fn ipv4(value: &[u8]) -> Result<Ipv4Addr, Malformed> {
    value.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets)).ok_or(Malformed::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with these attributes.
    fn body(family: u8, attributes: &[(u16, [u8; 4])]) -> Vec<u8> {
        let mut body = vec![family, 32, 0, 0];
        body.extend(7_u32.to_ne_bytes());
        for (kind, value) in attributes {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        }
        body
    }

    #[test]
    fn the_other_end_of_a_line_is_its_peer() {
        let (ours, theirs) = ([192, 0, 2, 1], [100, 64, 0, 9]);
        let peer = |attributes: &[_]| AddressMessage::decode(&body(AF_INET, attributes)).map(|read| read.unwrap().peer);
        assert_eq!(peer(&[(IFA_LOCAL, ours), (IFA_ADDRESS, theirs)]), Ok(Some(Ipv4Addr::from(theirs))));
        assert_eq!(peer(&[(IFA_ADDRESS, ours), (IFA_LOCAL, ours)]), Ok(None), "a network");
        assert_eq!(peer(&[(IFA_ADDRESS, ours)]), Ok(None));
        assert_eq!(AddressMessage::decode(&body(10, &[])), Ok(None), "another family");
        for length in 0..BYTES {
            assert_eq!(AddressMessage::decode(&body(AF_INET, &[])[..length]), Err(Malformed::Body));
        }
        let mut short = body(AF_INET, &[]);
        short.extend([6, 0, 1, 0, 1, 1]);
        assert!(AddressMessage::decode(&short).is_err());
    }
}
