//! TACACS+ accounting (RFC 8907), which HWTACACS is compatible with.
//!
//! ```text
//!  0               1               2               3
//! +---------------+---------------+---------------+---------------+
//! |    Version    |     Type      |   Sequence    |     Flags     |
//! +---------------+---------------+---------------+---------------+
//! |                           Session id                          |
//! +---------------------------------------------------------------+
//! |                     Length of the body alone                  |
//! +---------------------------------------------------------------+
//! |  Body, obfuscated by MD5 digests that begin with the key …    |
//! ```
//!
//! One record is one session of the protocol: a REQUEST with sequence number 1, a REPLY with 2, under a session id that
//! nobody can foresee, which is the caller's to choose. Packets of many records may share a connection once the server has
//! said so (RFC 8907 section 4.3); whether it has is the caller's to remember.
//!
//! ```text
//! Encoder ─▶ clear packet ─▶ obfuscate_all ─▶ connection ─▶ next_packet ─▶ Header ─▶ Reply::open
//! ```

pub mod argument;
pub mod encode;
pub mod header;
pub mod obfuscation;
pub mod reply;
pub mod stream;

pub use encode::{EncodeError, Encoder, Record, Request};
pub use header::{Flags, Header};
pub use obfuscation::{Clear, obfuscate, obfuscate_all};
pub use reply::{Reply, ReplyError, Status};
pub use stream::{Received, next_packet};

/// Octets before the body, never obfuscated.
pub const HEADER_SIZE: usize = 12;

/// The most octets of a request's body: one less than RFC 8907 section 4.1 recommends as the most that a server takes.
pub const BODY_SIZE_MAX: usize = 65_535;

/// The most octets of a reply's body that is waited for. Real ones have five and a message of a line or two.
pub const REPLY_BODY_SIZE_MAX: usize = 4_096;

/// As many octets hold any reply with its header.
pub const REPLY_SIZE_MAX: usize = HEADER_SIZE + REPLY_BODY_SIZE_MAX;

/// The most octets of a user, a port, a remote address or an argument: each has its length in one octet.
pub const FIELD_SIZE_MAX: usize = 255;

/// The most arguments of a request.
pub const ARGUMENT_COUNT_MAX: usize = 255;

/// Major version 12, minor version 0, which is accounting's (RFC 8907 section 4.1).
pub const VERSION: u8 = 0xc0;

/// The type of accounting packets (`TAC_PLUS_ACCT`).
pub const ACCOUNTING: u8 = 3;

/// Where things stand in a packet, each from the one before.
mod layout {
    use std::ops::Range;

    pub(super) const VERSION: usize = 0;
    pub(super) const TYPE: usize = VERSION + 1;
    pub(super) const SEQUENCE: usize = TYPE + 1;
    pub(super) const FLAGS: usize = SEQUENCE + 1;
    pub(super) const SESSION_ID: Range<usize> = FLAGS + 1..FLAGS + 5;
    pub(super) const LENGTH: Range<usize> = SESSION_ID.end..SESSION_ID.end + 4;
    const _: () = assert!(LENGTH.end == super::HEADER_SIZE);
}
