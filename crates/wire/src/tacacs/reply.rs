//! Reading an accounting REPLY (RFC 8907 section 7.2).
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |     Server message length     |          Data length          |
//! +---------------+---------------+---------------+---------------+
//! |    Status     | Server message … data
//! ```
//!
//! Nothing in a reply proves who wrote it. That its lengths add up exactly is all that tells a right key from a wrong one
//! (RFC 8907 section 4.5): by chance the lengths of a reply without texts do so once in 2³².

use std::fmt;

use super::{Flags, HEADER_SIZE, Header, Received, next_packet, obfuscate};

/// The sequence number of a reply.
pub(super) const SEQUENCE: u8 = 2;

/// Octets of a body before its message, and the least that it can have.
pub(super) const FIXED_SIZE: usize = 5;

/// What the server says became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It was recorded.
    Success,
    /// It was not.
    Error,
    /// Another server is to be asked; the data names it.
    Follow,
    /// Something that the protocol does not know.
    Other(u8),
}

/// A reply, revealed in the octets that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The request that it claims to answer.
    pub session_id: u32,
    /// [`Flags::SINGLE_CONNECT`] in the first reply of a connection: more sessions may follow on it.
    pub flags: Flags,
    /// What became of the record.
    pub status: Status,
    /// Text for a user.
    pub server_msg: &'a [u8],
    /// Text for an administrator; with [`Status::Follow`] other servers.
    pub data: &'a [u8],
}

/// Why octets are no reply. The connection that they came on is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyError {
    /// Not version 12.0: another protocol, or one that nobody speaks.
    Version,
    /// Authentication or authorization, of which nothing was asked.
    Type,
    /// The sequence number is not 2.
    Sequence,
    /// The length is below 5.
    Undersized,
    /// The length is above [`REPLY_BODY_SIZE_MAX`](super::REPLY_BODY_SIZE_MAX).
    Oversized,
    /// Fewer octets than the header promises.
    Truncated,
    /// The body is in the clear although there is a key: whoever wrote it need not know the key.
    Unencrypted,
    /// The body is obfuscated although there is no key.
    Obfuscated,
    /// The lengths do not add up: the key is another than the server's.
    Garbled,
}

impl ReplyError {
    /// Every reason, for a table of counters.
    pub const ALL: [ReplyError; 9] = [
        ReplyError::Version,
        ReplyError::Type,
        ReplyError::Sequence,
        ReplyError::Undersized,
        ReplyError::Oversized,
        ReplyError::Truncated,
        ReplyError::Unencrypted,
        ReplyError::Obfuscated,
        ReplyError::Garbled,
    ];

    /// A word for counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReplyError::Version => "bad-version",
            ReplyError::Type => "unexpected-type",
            ReplyError::Sequence => "bad-sequence",
            ReplyError::Undersized => "undersized",
            ReplyError::Oversized => "oversized",
            ReplyError::Truncated => "truncated",
            ReplyError::Unencrypted => "unencrypted",
            ReplyError::Obfuscated => "obfuscated",
            ReplyError::Garbled => "garbled",
        }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for ReplyError {}

impl<'a> Reply<'a> {
    /// Reveals and reads the packet that [`next_packet`] found; octets behind it are left as they are. Called once for
    /// a packet: what it revealed would be obfuscated by a second call.
    ///
    /// `key`: the one that the request of this session was sent with, `None` where it was sent in the clear. Which request
    /// that was, [`Header::parse`] tells before; that there is one at all is the caller's to check.
    pub fn open(packet: &'a mut [u8], key: Option<&[u8]>) -> Result<Reply<'a>, ReplyError> {
        let Received::Packet(size) = next_packet(packet)? else { return Err(ReplyError::Truncated) };
        let header = Header::parse(packet).ok_or(ReplyError::Truncated)?;
        let packet = &mut packet[..size];
        match (key, header.flags.has(Flags::UNENCRYPTED)) {
            (Some(key), false) => obfuscate(packet, key),
            (None, true) => {}
            (Some(_), true) => return Err(ReplyError::Unencrypted),
            (None, false) => return Err(ReplyError::Obfuscated),
        }
        Reply::of_body(&header, &packet[HEADER_SIZE..]).ok_or(ReplyError::Garbled)
    }

    /// `None` where the lengths do not add up.
    fn of_body(header: &Header, body: &'a [u8]) -> Option<Reply<'a>> {
        let (&[a, b, c, d, status], texts) = body.split_first_chunk::<FIXED_SIZE>()?;
        let (server_msg, data) = texts.split_at_checked(usize::from(u16::from_be_bytes([a, b])))?;
        (data.len() == usize::from(u16::from_be_bytes([c, d]))).then_some(Reply {
            session_id: header.session_id,
            flags: header.flags,
            status: match status {
                0x01 => Status::Success,
                0x02 => Status::Error,
                0x21 => Status::Follow,
                other => Status::Other(other),
            },
            server_msg,
            data,
        })
    }
}
