//! The twelve octets before every body (RFC 8907 section 4.1).

use super::{ACCOUNTING, HEADER_SIZE, VERSION, layout};

/// What the header's flags say. Bits without a name are ignored when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// None.
    pub const NONE: Flags = Flags(0);
    /// The body is in the clear (`TAC_PLUS_UNENCRYPTED_FLAG`).
    pub const UNENCRYPTED: Flags = Flags(0x01);
    /// The sender would put several sessions on this connection (`TAC_PLUS_SINGLE_CONNECT_FLAG`). Means something in the
    /// first request and the first reply of a connection only.
    pub const SINGLE_CONNECT: Flags = Flags(0x04);

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, flags: Flags) -> Flags {
        Flags(self.0 | flags.0)
    }
}

/// A header, as it stands there. Nothing in it is vouched for by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Major and minor version, four bits each.
    pub version: u8,
    /// Authentication 1, authorization 2, accounting 3.
    pub kind: u8,
    /// 1 in a request, 2 in its reply.
    pub sequence: u8,
    /// Obfuscation and connection.
    pub flags: Flags,
    /// What matches a reply with its request.
    pub session_id: u32,
    /// Octets of the body.
    pub length: u32,
}

impl Header {
    /// The header of an accounting request.
    pub const fn of_request(flags: Flags, session_id: u32, length: u32) -> Header {
        Header { version: VERSION, kind: ACCOUNTING, sequence: 1, flags, session_id, length }
    }

    /// The header that a packet begins with; `None` where there are fewer octets than one has.
    pub fn parse(packet: &[u8]) -> Option<Header> {
        let [version, kind, sequence, flags, a, b, c, d, e, f, g, h] = *packet.first_chunk::<HEADER_SIZE>()?;
        Some(Header {
            version,
            kind,
            sequence,
            flags: Flags(flags),
            session_id: u32::from_be_bytes([a, b, c, d]),
            length: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// The header's octets.
    pub fn octets(&self) -> [u8; HEADER_SIZE] {
        let mut octets = [0; HEADER_SIZE];
        octets[layout::VERSION] = self.version;
        octets[layout::TYPE] = self.kind;
        octets[layout::SEQUENCE] = self.sequence;
        octets[layout::FLAGS] = self.flags.0;
        octets[layout::SESSION_ID].copy_from_slice(&self.session_id.to_be_bytes());
        octets[layout::LENGTH].copy_from_slice(&self.length.to_be_bytes());
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_in_its_place() {
        let octets = [0xc0, 3, 2, 5, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04, 0xff];
        let header = Header::parse(&octets).unwrap();
        let expected = Header { sequence: 2, ..Header::of_request(Flags(5), 0xdead_beef, 0x0102_0304) };
        assert_eq!(header, expected);
        assert_eq!(header.octets(), octets[..12]);
        assert_eq!(Header::parse(&octets[..11]), None);
    }

    #[test]
    fn flags_are_told_apart() {
        let both = Flags::UNENCRYPTED.with(Flags::SINGLE_CONNECT);
        assert_eq!(both, Flags(5));
        assert!(both.has(Flags::SINGLE_CONNECT) && both.has(Flags::UNENCRYPTED) && both.has(both));
        assert!(!Flags::SINGLE_CONNECT.has(both) && !Flags(0xfe).has(Flags::UNENCRYPTED));
    }
}
