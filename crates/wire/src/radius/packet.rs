//! Reading a packet: everything that can be wrong with its shape is found once, in [`Packet::parse`]; what a
//! [`Packet`] answers after that needs no further check.

use std::fmt;

use super::attribute::{Attributes, Type, VendorAttributes};
use super::{Authenticator, Code, HEADER_SIZE, PACKET_SIZE_MAX, layout};

/// A well-formed packet that borrows the datagram it came in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Exactly Length octets, header included; the attributes behind the header fit exactly.
    octets: &'a [u8],
}

/// Why a datagram is not a packet. Such a datagram is silently discarded (RFC 2865 section 3) and counted by
/// [`as_str`](ParseError::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseError {
    /// Fewer octets than a header has, or than the Length field promises.
    Truncated,
    /// The Length field is below 20.
    Undersized,
    /// The Length field is above 4,096.
    Oversized,
    /// An attribute's length is below 2, or it reaches beyond the packet.
    Malformed,
}

impl ParseError {
    /// Every reason, for a table of counters.
    pub const ALL: [ParseError; 4] =
        [ParseError::Truncated, ParseError::Undersized, ParseError::Oversized, ParseError::Malformed];

    /// A word for counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            ParseError::Truncated => "truncated",
            ParseError::Undersized => "undersized",
            ParseError::Oversized => "oversized",
            ParseError::Malformed => "malformed",
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for ParseError {}

impl<'a> Packet<'a> {
    /// Takes a datagram for a packet. Octets beyond Length are padding and ignored (RFC 2865 section 3).
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        let Some(header) = datagram.first_chunk::<HEADER_SIZE>() else { return Err(ParseError::Truncated) };
        let length = usize::from(u16::from_be_bytes([header[layout::LENGTH.start], header[layout::LENGTH.end - 1]]));
        if length < HEADER_SIZE {
            return Err(ParseError::Undersized);
        }
        if length > PACKET_SIZE_MAX {
            return Err(ParseError::Oversized);
        }
        let octets = datagram.get(..length).ok_or(ParseError::Truncated)?;
        Attributes::of_run(&octets[HEADER_SIZE..]).check()?;
        Ok(Packet { octets })
    }

    /// The kind of packet.
    pub fn code(&self) -> Code {
        Code(self.octets[layout::CODE])
    }

    /// What matches a reply with its request.
    pub fn identifier(&self) -> u8 {
        self.octets[layout::IDENTIFIER]
    }

    /// The Request or Response Authenticator, as it stands there; not verified.
    pub fn authenticator(&self) -> &'a Authenticator {
        let (_, rest) = self.octets.split_at(layout::AUTHENTICATOR.start);
        rest.first_chunk().unwrap_or(&[0; 16])
    }

    /// The whole packet, without padding: 20–4,096 octets.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The attributes as they are on the wire.
    pub fn attribute_run(&self) -> &'a [u8] {
        &self.octets[HEADER_SIZE..]
    }

    /// The attributes in order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of_run(self.attribute_run())
    }

    /// The value of the first attribute of this type.
    pub fn find(&self, kind: Type) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// The attributes inside every Vendor-Specific (26), in order (RFC 2865 section 5.26).
    pub fn vendor_attributes(&self) -> VendorAttributes<'a> {
        VendorAttributes::of(self.attributes())
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("code", &self.code().0)
            .field("identifier", &self.identifier())
            .field("length", &self.octets.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::attribute::huawei;

    /// A header with this length field, then `rest`.
    fn datagram(length: u16, rest: &[u8]) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        [&[4, 7, high, low][..], &[0xaa; 16], rest].concat()
    }

    #[test]
    fn refuses_by_name() {
        let table: &[(&str, Vec<u8>, ParseError)] = &[
            ("nothing", vec![], ParseError::Truncated),
            ("19 octets", datagram(20, &[])[..19].to_vec(), ParseError::Truncated),
            ("Length beyond the datagram", datagram(21, &[]), ParseError::Truncated),
            ("Length 19", datagram(19, &[]), ParseError::Undersized),
            ("Length 4097", datagram(4097, &[0; 5000]), ParseError::Oversized),
            ("one octet of attribute", datagram(21, &[1]), ParseError::Malformed),
            ("attribute length 0", datagram(22, &[1, 0]), ParseError::Malformed),
            ("attribute length 1", datagram(22, &[1, 1]), ParseError::Malformed),
            ("attribute into the padding", datagram(22, &[1, 3, 65]), ParseError::Malformed),
        ];
        for (what, octets, expected) in table {
            assert_eq!(Packet::parse(octets), Err(*expected), "{what}");
        }
    }

    #[test]
    fn reads_what_stands_there() {
        let octets = datagram(28, &[1, 5, b'b', b'o', b'b', 1, 3, b'x', 0xff, 0xff]);
        let packet = Packet::parse(&octets).unwrap();
        assert_eq!((packet.code(), packet.identifier()), (Code::ACCOUNTING_REQUEST, 7));
        assert_eq!(packet.authenticator(), &[0xaa; 16]);
        assert_eq!(packet.octets().len(), 28);
        assert_eq!(packet.attributes().count(), 2);
        assert_eq!(packet.find(Type::USER_NAME), Some(&b"bob"[..]));
        assert_eq!(packet.find(Type::CLASS), None);
    }

    #[test]
    fn takes_the_largest() {
        let mut octets = datagram(4096, &[]);
        octets.extend([25, 254].into_iter().chain([0; 252]).cycle().take(4076 - 12));
        octets.extend([25, 12].into_iter().chain([0; 10]));
        assert_eq!(octets.len(), 4096);
        assert_eq!(Packet::parse(&octets).unwrap().attributes().count(), 17);
    }

    #[test]
    fn finds_vendor_attributes_in_any_packing() {
        let two = [26, 15, 0, 0, 7, 219, 138, 4, b'i', b's', 26, 5, b'a', b'b', b'c'];
        let other = [26, 9, 0, 0, 0, 9, 1, 3, b'z'];
        let torn = [26, 10, 0, 0, 7, 219, 138, 9, 1, 2];
        let short = [26, 5, 0, 0, 7];
        let run = [&two[..], &other, &torn, &short].concat();
        let octets = datagram(20 + u16::try_from(run.len()).unwrap(), &run);
        let packet = Packet::parse(&octets).unwrap();
        let found: Vec<_> = packet.vendor_attributes().map(|a| (a.kind.vendor, a.kind.number, a.value)).collect();
        assert_eq!(found, [(2011, 138, &b"is"[..]), (2011, 26, b"abc"), (9, 1, b"z")]);
        assert_eq!(
            packet.vendor_attributes().find(|a| a.kind == huawei::CONNECT_ID).map(|a| a.value),
            Some(&b"abc"[..])
        );
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(mut octets in prop::collection::vec(any::<u8>(), 0..300), sane in any::<bool>()) {
            if let (true, Ok(length), Some(field)) = (sane, u16::try_from(octets.len()), octets.get_mut(2..4)) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            if let Ok(packet) = Packet::parse(&octets) {
                let again: Vec<u8> = packet.attributes()
                    .flat_map(|a| [&[a.kind.0, u8::try_from(a.value.len() + 2).unwrap()], a.value].concat())
                    .collect();
                prop_assert_eq!(packet.attribute_run(), &again[..]);
                for attribute in packet.vendor_attributes() {
                    prop_assert!(attribute.value.len() <= 253 - 6);
                }
            }
        }
    }
}
