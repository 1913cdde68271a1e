//! RADIUS packets (RFC 2865, accounting RFC 2866).
//!
//! ```text
//!  0               1               2               3
//! +---------------+---------------+-------------------------------+
//! |     Code      |  Identifier   |            Length             |
//! +---------------+---------------+-------------------------------+
//! |                   Authenticator (16 octets)                   |
//! +---------------------------------------------------------------+
//! |  Attributes: type, length of the whole attribute, value …     |
//! ```

pub mod accounting;
pub mod attribute;
pub mod authenticator;
pub mod authorization;
pub mod encode;
mod hmac;
pub mod message_authenticator;
pub mod name;
pub mod packet;
pub mod server;
pub mod status_server;

pub use attribute::{Attribute, Type, VendorType};
pub use encode::{EncodeError, Encoder};
pub use packet::{Packet, ParseError};

/// Octets before the first attribute, and the least that a packet can have.
pub const HEADER_SIZE: usize = 20;

/// The most octets that a packet can have (RFC 2865 section 3).
pub const PACKET_SIZE_MAX: usize = 4096;

/// The most octets of a value: an attribute has 255 with its type and length.
pub const VALUE_SIZE_MAX: usize = 253;

/// A Request or Response Authenticator.
pub type Authenticator = [u8; 16];

/// Where things stand in a packet, each from the one before.
mod layout {
    use std::ops::Range;

    pub(super) const CODE: usize = 0;
    pub(super) const IDENTIFIER: usize = CODE + 1;
    pub(super) const LENGTH: Range<usize> = IDENTIFIER + 1..IDENTIFIER + 3;
    pub(super) const AUTHENTICATOR: Range<usize> = LENGTH.end..LENGTH.end + 16;
    const _: () = assert!(AUTHENTICATOR.end == super::HEADER_SIZE);
}

/// The kind of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

impl Code {
    /// Accounting-Request (RFC 2866 section 4.1).
    pub const ACCOUNTING_REQUEST: Code = Code(4);
    /// Accounting-Response (RFC 2866 section 4.2).
    pub const ACCOUNTING_RESPONSE: Code = Code(5);
    /// Status-Server (RFC 5997).
    pub const STATUS_SERVER: Code = Code(12);
    /// Disconnect-Request (RFC 5176 section 2.1).
    pub const DISCONNECT_REQUEST: Code = Code(40);
    /// Disconnect-ACK.
    pub const DISCONNECT_ACK: Code = Code(41);
    /// Disconnect-NAK.
    pub const DISCONNECT_NAK: Code = Code(42);
    /// CoA-Request (RFC 5176 section 2.2).
    pub const COA_REQUEST: Code = Code(43);
    /// CoA-ACK.
    pub const COA_ACK: Code = Code(44);
    /// CoA-NAK.
    pub const COA_NAK: Code = Code(45);
}
