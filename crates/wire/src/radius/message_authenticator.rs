//! Message-Authenticator (80): an HMAC-MD5 over the whole packet, keyed with the secret (RFC 2869 section 5.14,
//! RFC 3579 section 3.2).
//!
//! While it is computed its own value is zero, and the authenticator field of the packet holds
//!
//! | packet | authenticator field |
//! |---|---|
//! | Accounting-Request, Disconnect-Request, CoA-Request | zeros |
//! | Status-Server | the unpredictable one that is sent (RFC 5997 section 3) |
//! | every reply | the Request Authenticator |
//!
//! No RFC says the first row for Accounting-Request; it follows RFC 5176 section 2.3, whose requests are signed
//! likewise, and FreeRADIUS computes it so. tac_plus-ng computes it over the Request Authenticator that is sent,
//! and radsecproxy 1.9.2 refuses both; so it is off unless configured for a server. As a receiver this
//! room takes either form: whether a request is genuine is decided by its Request Authenticator all the same.

use super::attribute::Type;
use super::authenticator::are_equal;
use super::packet::Packet;
use super::{Authenticator, HEADER_SIZE, hmac, layout};

/// What a packet says of its Message-Authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence<'a> {
    Absent,
    /// Its value, and where in the packet that stands.
    Present(&'a [u8; 16], usize),
    /// Of a wrong size, or there twice: such a packet is forged or broken.
    Malformed,
}

pub(super) fn presence<'a>(packet: &Packet<'a>) -> Presence<'a> {
    let mut found = Presence::Absent;
    let mut attributes = packet.attributes();
    while let Some(attribute) = attributes.next() {
        if attribute.kind == Type::MESSAGE_AUTHENTICATOR {
            let value_start = packet.octets().len() - attributes.rest().len() - attribute.value.len();
            found = match (found, attribute.value.try_into()) {
                (Presence::Absent, Ok(value)) => Presence::Present(value, value_start),
                _ => return Presence::Malformed,
            };
        }
    }
    found
}

/// Whether `value`, which stands at `value_start`, is right when the authenticator field holds `authenticator`.
pub(super) fn is_right(
    packet: &Packet<'_>,
    (value, value_start): (&[u8; 16], usize),
    authenticator: &Authenticator,
    secret: &[u8],
) -> bool {
    are_equal(&compute(packet.octets(), value_start, authenticator, secret), value)
}

/// Fills the Message-Authenticator of a packet that [`Encoder::message_authenticator`] made room for, over the
/// authenticator field as it stands: zeros for an Accounting-Request, which is signed afterwards. A packet that
/// has none, or is none, is left as it is.
///
/// [`Encoder::message_authenticator`]: super::Encoder::message_authenticator
pub fn sign(packet: &mut [u8], secret: &[u8]) {
    let Ok(parsed) = Packet::parse(packet) else { return };
    let Presence::Present(_, value_start) = presence(&parsed) else { return };
    let value = compute(parsed.octets(), value_start, parsed.authenticator(), secret);
    if let Some(place) = packet.get_mut(value_start..value_start + 16) {
        place.copy_from_slice(&value);
    }
}

/// `octets` are a well-formed packet with the value at `value_start`.
fn compute(octets: &[u8], value_start: usize, authenticator: &Authenticator, secret: &[u8]) -> [u8; 16] {
    let head = &octets[..layout::AUTHENTICATOR.start];
    let before = &octets[HEADER_SIZE..value_start];
    let after = &octets[value_start + 16..];
    hmac::digest(secret, [head, authenticator, before, &[0; 16], after])
}
