//! Attributes: their numbers, and how they follow one another in a *run*, the attributes of a packet as they are
//! on the wire. Sessions keep such runs and the ledger stores them, so a run is met without its packet too.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::event::Prefix;

use super::packet::ParseError;

mod numbers;
mod values;

pub use numbers::huawei;
pub use values::{
    acct_authentic, acct_status_type, acct_terminate_cause, error_cause, framed_protocol, nas_port_type, service_type,
};

/// An attribute's type. The names are those of the RFCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(pub u8);

/// The type of a vendor's attribute within Vendor-Specific (26).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorType {
    /// The vendor's SMI Network Management Private Enterprise Code.
    pub vendor: u32,
    /// The vendor's own number of it.
    pub number: u8,
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type.
    pub kind: Type,
    /// Its value, 0–253 octets.
    pub value: &'a [u8],
}

/// One attribute of a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorAttribute<'a> {
    /// Its type.
    pub kind: VendorType,
    /// Its value, 0–247 octets.
    pub value: &'a [u8],
}

/// The attributes of a run, in order. Ends at the first that is malformed; [`Attributes::check`] tells whether
/// there is one.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes of `run`.
    pub const fn of_run(run: &'a [u8]) -> Attributes<'a> {
        Attributes { rest: run }
    }

    /// Whether every attribute is well-formed and the last one ends with the run.
    pub fn check(mut self) -> Result<(), ParseError> {
        while self.next().is_some() {}
        if self.rest.is_empty() { Ok(()) } else { Err(ParseError::Malformed) }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let (kind, value, rest) = split_first(self.rest)?;
        self.rest = rest;
        Some(Attribute { kind: Type(kind), value })
    }
}

/// Type, value and what follows; `None` when the length is below 2 or beyond the end.
#[inline]
fn split_first(run: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let &[kind, length, ..] = run else { return None };
    let (whole, rest) = run.split_at_checked(usize::from(length))?;
    Some((kind, whole.get(2..)?, rest))
}

/// The attributes inside every Vendor-Specific of a run. A Vendor-Specific whose inside does not have the form
/// that RFC 2865 section 5.26 recommends gives what can be read of it, then the next one follows.
#[derive(Clone, Copy, Debug)]
pub struct VendorAttributes<'a> {
    vendor: u32,
    inside: &'a [u8],
    attributes: Attributes<'a>,
}

impl<'a> VendorAttributes<'a> {
    /// Of these attributes.
    pub const fn of(attributes: Attributes<'a>) -> VendorAttributes<'a> {
        VendorAttributes { vendor: 0, inside: &[], attributes }
    }

    /// Of the value of one Vendor-Specific; `None` when it is too short to name a vendor.
    pub fn of_value(value: &'a [u8]) -> Option<VendorAttributes<'a>> {
        let (vendor, inside) = value.split_first_chunk()?;
        Some(VendorAttributes { vendor: u32::from_be_bytes(*vendor), inside, attributes: Attributes::of_run(&[]) })
    }

    /// What could not be read yet of the current Vendor-Specific.
    pub const fn rest(&self) -> &'a [u8] {
        self.inside
    }
}

impl<'a> Iterator for VendorAttributes<'a> {
    type Item = VendorAttribute<'a>;

    fn next(&mut self) -> Option<VendorAttribute<'a>> {
        loop {
            if let Some((number, value, rest)) = split_first(self.inside) {
                self.inside = rest;
                return Some(VendorAttribute { kind: VendorType { vendor: self.vendor, number }, value });
            }
            let specific = self.attributes.find(|attribute| attribute.kind == Type::VENDOR_SPECIFIC)?;
            if let Some(of_this) = VendorAttributes::of_value(specific.value) {
                (self.vendor, self.inside) = (of_this.vendor, of_this.inside);
            }
        }
    }
}

/// Values as numbers and addresses. `None` means that the octets are no such value.
impl Attribute<'_> {
    /// A 32-bit integer, or a time.
    pub fn as_u32(&self) -> Option<u32> {
        as_u32(self.value)
    }

    /// An IPv4 address.
    pub fn as_ipv4(&self) -> Option<Ipv4Addr> {
        as_u32(self.value).map(Ipv4Addr::from_bits)
    }

    /// An IPv6 address.
    pub fn as_ipv6(&self) -> Option<Ipv6Addr> {
        as_ipv6(self.value)
    }

    /// An IPv6 prefix (RFC 3162 section 2.3).
    pub fn as_prefix(&self) -> Option<Prefix> {
        as_prefix(self.value)
    }
}

/// A value of four octets.
pub fn as_u32(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// A value of eight octets, as Framed-Interface-Id has (RFC 3162 section 2.2).
pub fn as_u64(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// A value of sixteen octets.
pub fn as_ipv6(value: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from)
}

/// A reserved octet, a length of 0–128, and as many octets of prefix as there are; bits beyond the length must be
/// zero (RFC 3162 section 2.3).
pub fn as_prefix(value: &[u8]) -> Option<Prefix> {
    let [_reserved, length, octets @ ..] = value else { return None };
    let mut address = [0; 16];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    let address = u128::from_be_bytes(address);
    let host_bits = 128_u32.checked_sub(u32::from(*length))?;
    let enough = octets.len() * 8 >= usize::from(*length);
    let clean = host_bits == 0 || address & (u128::MAX >> (128 - host_bits)) == 0;
    (enough && clean).then(|| Prefix { address: Ipv6Addr::from_bits(address), length: *length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str, length: u8) -> Option<Prefix> {
        Some(Prefix { address: text.parse().unwrap(), length })
    }

    #[test]
    fn prefixes() {
        let table: &[(&[u8], Option<Prefix>)] = &[
            (&[0, 64, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0], prefix("2001:db8:1::", 64)),
            (&[0, 56, 0x20, 1, 0x0d, 0xb8, 0, 1, 0], prefix("2001:db8:1::", 56)),
            (&[0, 0], prefix("::", 0)),
            (&[0, 64, 0x20, 1], None),
            (&[0, 8, 0x20, 1], None),
            (&[0, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], prefix("::1", 128)),
            (&[0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], None),
            (&[0], None),
        ];
        for (value, expected) in table {
            assert_eq!(as_prefix(value), *expected, "{value:02x?}");
        }
    }

    #[test]
    fn numbers_have_their_size() {
        assert_eq!(as_u32(&[0, 0, 1, 2]), Some(258));
        assert_eq!(as_u32(&[0, 1, 2]), None);
        assert_eq!(as_u64(&[0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(as_u64(&[0; 9]), None);
        assert_eq!(as_ipv6(&[0; 15]), None);
    }
}
