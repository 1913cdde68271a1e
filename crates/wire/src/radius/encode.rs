//! Writing a packet, or a run of attributes for later, into the caller's buffer.
//!
//! A session's attributes that never change are encoded once, as a run ([`Encoder::run`]); each of its packets is
//! then a header, that run copied ([`Encoder::raw`]), and the few attributes that differ. Nothing is checked twice:
//! what did not fit is remembered and told by [`Encoder::finish`].

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use model::domain::Terms;
use model::event::Prefix;
use model::settings::OptionalAttribute;

use super::attribute::{Attribute, Attributes, Type, VendorAttributes, VendorType, huawei};
use super::{Authenticator, Code, HEADER_SIZE, PACKET_SIZE_MAX, VALUE_SIZE_MAX, layout};

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeError {
    /// The attributes do not fit into the buffer, or into the 4,096 octets that a packet may have.
    Overflow,
    /// A value has more octets than an attribute can carry: 253, or 247 inside Vendor-Specific.
    ValueTooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::Overflow => "the packet is full",
            EncodeError::ValueTooLong => "the value is too long for an attribute",
        })
    }
}

impl std::error::Error for EncodeError {}

/// Writes attributes one behind the other. Attributes with an empty value are left out, as RFC 2865 section 5
/// demands.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// At most [`PACKET_SIZE_MAX`] octets.
    buffer: &'a mut [u8],
    length: usize,
    with_header: bool,
    error: Option<EncodeError>,
}

impl<'a> Encoder<'a> {
    /// Begins a packet. Its authenticator is zero until it is signed.
    #[inline]
    pub fn packet(buffer: &'a mut [u8], code: Code, identifier: u8) -> Encoder<'a> {
        let mut encoder = Encoder::run(buffer);
        encoder.with_header = true;
        let mut header = [0; HEADER_SIZE];
        header[layout::CODE] = code.0;
        header[layout::IDENTIFIER] = identifier;
        encoder.fixed(header);
        encoder
    }

    /// Begins a run of attributes without a header.
    #[inline]
    pub fn run(buffer: &'a mut [u8]) -> Encoder<'a> {
        let size = buffer.len().min(PACKET_SIZE_MAX);
        Encoder { buffer: &mut buffer[..size], length: 0, with_header: false, error: None }
    }

    /// Sets the authenticator: an unpredictable one in Status-Server, the request's while a reply is signed.
    /// Has no effect on a run.
    pub fn authenticator(&mut self, authenticator: &Authenticator) -> &mut Self {
        if let (true, Some(place)) = (self.with_header, self.buffer.get_mut(layout::AUTHENTICATOR)) {
            place.copy_from_slice(authenticator);
        }
        self
    }

    /// Attributes that are encoded already.
    #[inline]
    pub fn raw(&mut self, run: &[u8]) -> &mut Self {
        match self.buffer.get_mut(self.length..).and_then(|room| room.get_mut(..run.len())) {
            Some(place) => {
                place.copy_from_slice(run);
                self.length += run.len();
            }
            None => self.fail(EncodeError::Overflow),
        }
        self
    }

    /// A session's own attributes as packets tell them on its terms: the user's name in its form, and not what is left out.
    #[inline]
    pub fn raw_on(&mut self, terms: &Terms, run: &[u8]) -> &mut Self {
        if terms.left_out.is_empty() && !terms.without_domain {
            return self.raw(run);
        }
        for attribute in Attributes::of_run(run) {
            match optional(attribute) {
                Some(optional) if terms.left_out.has(optional) => {}
                _ if attribute.kind == Type::USER_NAME => {
                    self.attribute(Attribute { value: terms.user_name(attribute.value), ..attribute });
                }
                _ => {
                    self.attribute(attribute);
                }
            }
        }
        self
    }

    /// A 32-bit integer, or a time in epoch seconds.
    #[inline]
    pub fn u32(&mut self, kind: Type, value: u32) -> &mut Self {
        let [a, b, c, d] = value.to_be_bytes();
        self.fixed([kind.0, 6, a, b, c, d])
    }

    /// The low 32 bits of `value` as `low`, the high ones as `gigawords` (RFC 2869 sections 5.1 and 5.2). The
    /// latter is sent when zero too, so that the packet's length does not depend on the count.
    #[inline]
    pub fn u64(&mut self, low: Type, gigawords: Type, value: u64) -> &mut Self {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        self.fixed([low.0, 6, e, f, g, h, gigawords.0, 6, a, b, c, d])
    }

    /// Text, or octets.
    #[inline]
    pub fn bytes(&mut self, kind: Type, value: &[u8]) -> &mut Self {
        if value.is_empty() { self } else { self.attribute(Attribute { kind, value }) }
    }

    /// An attribute as it was received, with an empty value too.
    #[inline]
    pub fn attribute(&mut self, attribute: Attribute<'_>) -> &mut Self {
        match u8::try_from(attribute.value.len() + 2) {
            Ok(length) => self.fixed([attribute.kind.0, length]).raw(attribute.value),
            Err(_) => self.fail_with(EncodeError::ValueTooLong),
        }
    }

    /// An IPv4 address.
    #[inline]
    pub fn ipv4(&mut self, kind: Type, address: Ipv4Addr) -> &mut Self {
        self.u32(kind, address.to_bits())
    }

    /// An IPv6 address.
    #[inline]
    pub fn ipv6(&mut self, kind: Type, address: Ipv6Addr) -> &mut Self {
        self.fixed([kind.0, 18]).fixed(address.octets())
    }

    /// A 64-bit number: Framed-Interface-Id (RFC 3162 section 2.2).
    #[inline]
    pub fn interface_id(&mut self, kind: Type, value: u64) -> &mut Self {
        self.fixed([kind.0, 10]).fixed(value.to_be_bytes())
    }

    /// An IPv6 prefix (RFC 3162 section 2.3), always with its sixteen octets, so that the packets of all sessions
    /// are equally long. Bits beyond the length are sent as zeros, a length above 128 as 128.
    pub fn prefix(&mut self, kind: Type, prefix: Prefix) -> &mut Self {
        let length = prefix.length.min(128);
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        self.fixed([kind.0, 20, 0, length]).fixed((prefix.address.to_bits() & mask).to_be_bytes())
    }

    /// Text or octets of a vendor, in a Vendor-Specific (26) of their own (RFC 2865 section 5.26).
    pub fn vendor_bytes(&mut self, kind: VendorType, value: &[u8]) -> &mut Self {
        if value.is_empty() {
            return self;
        }
        match u8::try_from(value.len() + 8) {
            Ok(length) => self.vendor_head(kind, length).raw(value),
            Err(_) => self.fail_with(EncodeError::ValueTooLong),
        }
    }

    /// A 32-bit integer of a vendor.
    #[inline]
    pub fn vendor_u32(&mut self, kind: VendorType, value: u32) -> &mut Self {
        self.vendor_head(kind, 12).fixed(value.to_be_bytes())
    }

    /// Room for a Message-Authenticator (80), which is computed when the packet is signed.
    #[inline]
    pub fn message_authenticator(&mut self) -> &mut Self {
        let mut attribute = [0; 18];
        [attribute[0], attribute[1]] = [Type::MESSAGE_AUTHENTICATOR.0, 18];
        self.fixed(attribute)
    }

    /// Ends the packet, sets its Length, and gives its octets; a run is given as it is.
    #[inline]
    pub fn finish(self) -> Result<&'a mut [u8], EncodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let octets = &mut self.buffer[..self.length];
        if self.with_header {
            let length = u16::try_from(self.length).map_err(|_| EncodeError::Overflow)?;
            octets[layout::LENGTH].copy_from_slice(&length.to_be_bytes());
        }
        Ok(octets)
    }

    /// `length` is that of the whole attribute.
    #[inline]
    fn vendor_head(&mut self, kind: VendorType, length: u8) -> &mut Self {
        let [a, b, c, d] = kind.vendor.to_be_bytes();
        self.fixed([Type::VENDOR_SPECIFIC.0, length, a, b, c, d, kind.number, length - 6])
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, octets: [u8; N]) -> &mut Self {
        match self.buffer.get_mut(self.length..).and_then(|room| room.first_chunk_mut()) {
            Some(place) => {
                *place = octets;
                self.length += N;
            }
            None => self.fail(EncodeError::Overflow),
        }
        self
    }

    fn fail_with(&mut self, error: EncodeError) -> &mut Self {
        self.fail(error);
        self
    }

    /// The first error is the one that is told.
    #[cold]
    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}

/// Which of those that a group can do without it is.
fn optional(attribute: Attribute<'_>) -> Option<OptionalAttribute> {
    match attribute.kind {
        Type::ACCT_MULTI_SESSION_ID => Some(OptionalAttribute::AcctMultiSessionId),
        Type::CALLING_STATION_ID => Some(OptionalAttribute::CallingStationId),
        Type::NAS_PORT => Some(OptionalAttribute::NasPort),
        Type::NAS_PORT_ID => Some(OptionalAttribute::NasPortId),
        Type::VENDOR_SPECIFIC => match VendorAttributes::of_value(attribute.value)?.next()?.kind {
            huawei::CONNECT_ID => Some(OptionalAttribute::HwConnectId),
            huawei::DOMAIN_NAME => Some(OptionalAttribute::HwDomainName),
            huawei::IPHOST_ADDR => Some(OptionalAttribute::HwIpHostAddress),
            huawei::STARTUP_STAMP => Some(OptionalAttribute::HwStartupTimeStamp),
            _ => None,
        },
        _ => None,
    }
}

const _: () = assert!(VALUE_SIZE_MAX + 2 == u8::MAX as usize);

#[cfg(test)]
mod tests {
    use model::settings::OptionalAttributes;
    use proptest::prelude::*;

    use super::*;
    use crate::radius::Packet;
    use crate::radius::attribute::{as_prefix, huawei};

    /// What `write` makes of a run.
    fn run(write: impl FnOnce(&mut Encoder<'_>)) -> Result<Vec<u8>, EncodeError> {
        let mut buffer = [0xee; 5000];
        let mut encoder = Encoder::run(&mut buffer);
        write(&mut encoder);
        encoder.finish().map(|octets| octets.to_vec())
    }

    #[test]
    fn values_have_limits() {
        let long = [b'x'; 254];
        assert_eq!(
            run(|e| {
                e.bytes(Type::CLASS, &long);
            }),
            Err(EncodeError::ValueTooLong)
        );
        assert_eq!(
            run(|e| {
                e.vendor_bytes(huawei::VERSION, &long[..248]);
            }),
            Err(EncodeError::ValueTooLong)
        );
        assert_eq!(
            run(|e| {
                e.bytes(Type::CLASS, &long[..253]);
            })
            .map(|run| run.len()),
            Ok(255)
        );
        assert_eq!(
            run(|e| {
                e.vendor_bytes(huawei::VERSION, &long[..247]);
            })
            .map(|run| run.len()),
            Ok(255)
        );
        assert_eq!(
            run(|e| {
                e.bytes(Type::CLASS, &[]).vendor_bytes(huawei::VERSION, &[]);
            }),
            Ok(vec![])
        );
    }

    /// Each by its own switch, wherever it stands, and nothing else.
    #[test]
    fn what_is_left_out_is_left_out_alone() {
        let optional = |e: &mut Encoder<'_>, attribute| {
            match attribute {
                OptionalAttribute::AcctMultiSessionId => e.bytes(Type::ACCT_MULTI_SESSION_ID, b"m"),
                OptionalAttribute::CallingStationId => e.bytes(Type::CALLING_STATION_ID, b"c"),
                OptionalAttribute::HwConnectId => e.vendor_u32(huawei::CONNECT_ID, 1),
                OptionalAttribute::HwDomainName => e.vendor_bytes(huawei::DOMAIN_NAME, b"d"),
                OptionalAttribute::HwIpHostAddress => e.vendor_bytes(huawei::IPHOST_ADDR, b"h"),
                OptionalAttribute::HwStartupTimeStamp => e.vendor_u32(huawei::STARTUP_STAMP, 2),
                OptionalAttribute::NasPort => e.u32(Type::NAS_PORT, 3),
                OptionalAttribute::NasPortId => e.bytes(Type::NAS_PORT_ID, b"p"),
            };
        };
        let written = |left_out: OptionalAttributes| {
            run(|e| {
                e.bytes(Type::USER_NAME, b"alice");
                for attribute in OptionalAttribute::ALL.into_iter().filter(|attribute| !left_out.has(*attribute)) {
                    optional(e, attribute);
                }
                e.vendor_bytes(huawei::USER_MAC, b"mac").bytes(Type::CLASS, b"c");
            })
            .unwrap()
        };
        let whole = written(OptionalAttributes::NONE);
        for bits in 0..=u8::MAX {
            let left_out = OptionalAttributes::from_bits(bits);
            let rest = run(|e| {
                e.raw_on(&Terms { left_out, ..Terms::default() }, &whole);
            });
            assert_eq!(rest, Ok(written(left_out)), "{bits:#x}");
        }
    }

    #[test]
    fn the_user_s_name_has_the_form_that_the_session_took() {
        let written = |name: &[u8]| {
            run(|e| {
                e.bytes(Type::CLASS, b"c@d").bytes(Type::USER_NAME, name).u32(Type::NAS_PORT, 3);
            })
            .unwrap()
        };
        for (without_domain, expected) in [(false, &b"alice@isp"[..]), (true, b"alice")] {
            let told = run(|e| {
                e.raw_on(&Terms { without_domain, ..Terms::default() }, &written(b"alice@isp"));
            });
            assert_eq!(told, Ok(written(expected)));
        }
    }

    #[test]
    fn a_full_buffer_is_an_error_wherever_it_ends() {
        for size in 0..60 {
            let mut buffer = vec![0; size];
            let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
            encoder
                .u32(Type::NAS_PORT, 1)
                .bytes(Type::CLASS, b"abc")
                .ipv6(Type::FRAMED_IPV6_ADDRESS, Ipv6Addr::LOCALHOST);
            encoder.vendor_u32(huawei::CONNECT_ID, 7).authenticator(&[1; 16]);
            let expected = if size < 20 + 6 + 5 + 18 + 12 { Err(EncodeError::Overflow) } else { Ok(61) };
            assert_eq!(encoder.finish().map(|octets| octets.len()), expected, "{size}");
        }
    }

    #[test]
    fn no_packet_is_larger_than_the_protocol_allows() {
        let mut buffer = [0; 5000];
        let full = [0xff; PACKET_SIZE_MAX - HEADER_SIZE];
        let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
        encoder.raw(&full);
        assert_eq!(encoder.finish().map(|octets| octets.len()), Ok(4096));
        let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
        encoder.raw(&full).raw(&[0]);
        assert_eq!(encoder.finish(), Err(EncodeError::Overflow));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u32>(),
            wide in any::<u64>(),
            text in prop::collection::vec(any::<u8>(), 1..=253),
            vendor in prop::collection::vec(any::<u8>(), 1..=247),
            address in any::<u128>(),
            length in 0..=128_u8,
        ) {
            let mut buffer = [0xee; 1000];
            let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 200);
            let prefix = Prefix { address: Ipv6Addr::from_bits(address), length };
            encoder.u32(Type::ACCT_SESSION_TIME, number).bytes(Type::USER_NAME, &text);
            encoder.u64(Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS, wide).interface_id(Type::FRAMED_INTERFACE_ID, wide);
            encoder.prefix(Type::FRAMED_IPV6_PREFIX, prefix).vendor_bytes(huawei::DOMAIN_NAME, &vendor);
            let octets = encoder.finish().unwrap();
            let packet = Packet::parse(octets).unwrap();
            prop_assert_eq!(packet.identifier(), 200);
            prop_assert_eq!(packet.authenticator(), &[0; 16]);
            prop_assert_eq!(packet.find(Type::ACCT_SESSION_TIME), Some(&number.to_be_bytes()[..]));
            prop_assert_eq!(packet.find(Type::USER_NAME), Some(&text[..]));
            let (high, low) = (packet.find(Type::ACCT_INPUT_GIGAWORDS), packet.find(Type::ACCT_INPUT_OCTETS));
            prop_assert_eq!([high.unwrap(), low.unwrap()].concat(), wide.to_be_bytes());
            prop_assert_eq!(packet.find(Type::FRAMED_INTERFACE_ID), Some(&wide.to_be_bytes()[..]));
            let read = as_prefix(packet.find(Type::FRAMED_IPV6_PREFIX).unwrap()).unwrap();
            prop_assert_eq!(read.length, length);
            prop_assert_eq!(read.address.to_bits() ^ address, if length == 0 { address } else { address & u128::MAX.checked_shr(u32::from(length)).unwrap_or(0) });
            prop_assert_eq!(packet.vendor_attributes().next().unwrap().value, &vendor[..]);
        }
    }
}
