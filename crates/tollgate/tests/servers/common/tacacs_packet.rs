//! TACACS+ accounting as a server reads and writes it, from RFC 8907 and nothing else: what it says about a packet can
//! therefore be held against what the daemon meant.

use std::time::Instant;

use md5::{Digest, Md5};

/// Octets of a header.
pub(crate) const HEADER: usize = 12;

const VERSION: u8 = 0xc0;
const ACCOUNTING: u8 = 3;
const UNENCRYPTED: u8 = 0x01;
const SINGLE_CONNECT: u8 = 0x04;

/// A REQUEST as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    /// Which connection it came on, counted from 1 over the life of the peer.
    pub(crate) connection: usize,
    pub(crate) session_id: u32,
    pub(crate) single_connect: bool,
    /// START 0x02, STOP 0x04, WATCHDOG 0x08.
    pub(crate) flags: u8,
    /// Method, privilege level, type, service.
    pub(crate) authenticated: [u8; 4],
    pub(crate) user: String,
    pub(crate) port: String,
    pub(crate) rem_addr: String,
    /// `name=value`, in order.
    pub(crate) arguments: Vec<String>,
}

impl Heard {
    /// The value of an argument.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    }
}

/// How many octets a packet has in all, once its header is there.
pub(crate) fn size_of(received: &[u8]) -> Option<usize> {
    let length = received.get(8..HEADER)?;
    Some(HEADER + usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap())
}

/// Reads a whole request; `None` where it is none, or of another key.
pub(crate) fn read(packet: &[u8], key: &[u8], connection: usize) -> Option<Heard> {
    let (&[version, kind, sequence, flags, a, b, c, d], _) = packet.split_first_chunk().unwrap();
    if [version, kind, sequence] != [VERSION, ACCOUNTING, 1] || flags & UNENCRYPTED != 0 {
        return None;
    }
    let body = masked(packet, key);
    let (&[record, method, privilege, form, service, user, port, rem_addr, count], rest) = body.split_first_chunk()?;
    let (lengths, mut texts) = rest.split_at_checked(usize::from(count))?;
    let mut take = |length: u8| {
        let (text, rest) = texts.split_at_checked(usize::from(length))?;
        texts = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let [user, port, rem_addr] = [take(user)?, take(port)?, take(rem_addr)?];
    let arguments = lengths.iter().map(|length| take(*length)).collect::<Option<_>>()?;
    texts.is_empty().then_some(Heard {
        at: Instant::now(),
        connection,
        session_id: u32::from_be_bytes([a, b, c, d]),
        single_connect: flags & SINGLE_CONNECT != 0,
        flags: record,
        authenticated: [method, privilege, form, service],
        user,
        port,
        rem_addr,
        arguments,
    })
}

/// A REPLY, obfuscated.
pub(crate) fn reply(
    session_id: u32,
    single_connect: bool,
    status: u8,
    message: &str,
    data: &str,
    key: &[u8],
) -> Vec<u8> {
    let length = |text: &str| u16::try_from(text.len()).unwrap().to_be_bytes();
    let body = [&length(message)[..], &length(data), &[status], message.as_bytes(), data.as_bytes()].concat();
    let mut packet = with_header(session_id, if single_connect { SINGLE_CONNECT } else { 0 }, &body);
    let body = masked(&packet, key);
    packet[HEADER..].copy_from_slice(&body);
    packet
}

/// A REPLY in the clear, which says so.
pub(crate) fn unencrypted_reply(session_id: u32) -> Vec<u8> {
    with_header(session_id, UNENCRYPTED, &[0, 0, 0, 0, 1])
}

/// A REPLY's header, and a body that is taken as it is.
pub(crate) fn with_header(session_id: u32, flags: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[VERSION, ACCOUNTING, 2, flags][..], &session_id.to_be_bytes(), &length, body].concat()
}

/// The body under the pad of RFC 8907 section 4.5.
fn masked(packet: &[u8], key: &[u8]) -> Vec<u8> {
    let seed = [&packet[4..8], key, &packet[..1], &packet[2..3]].concat();
    let mut digest = Vec::new();
    let mut body = Vec::new();
    for piece in packet[HEADER..].chunks(16) {
        digest = Md5::digest([&seed[..], &digest].concat()).to_vec();
        body.extend(piece.iter().zip(&digest).map(|(octet, pad)| octet ^ pad));
    }
    body
}
