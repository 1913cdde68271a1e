//! Whatever a TACACS+ server puts on a connection: replies are found the same however they arrive, and hold together.

use wire::tacacs::{Flags, HEADER_SIZE, Header, REPLY_SIZE_MAX, Received, Reply, Status, next_packet, obfuscate};

const KEY: &[u8] = b"testing123";

/// Runs it on one input.
pub fn check(stream: &[u8]) {
    let mut rest = stream;
    loop {
        let verdict = next_packet(rest);
        arrives_in_pieces(rest);
        match verdict {
            Ok(Received::Packet(size)) => {
                holds_together(&rest[..size], Some(KEY));
                holds_together(&rest[..size], None);
                rest = &rest[size..];
            }
            Ok(Received::Needs(missing)) => {
                assert!(missing > 0 && rest.len() + missing <= REPLY_SIZE_MAX);
                return;
            }
            Err(error) => {
                assert_eq!(Reply::open(&mut rest.to_vec(), Some(KEY)), Err(error));
                return;
            }
        }
    }
}

/// What was found in a part is never taken back, and what a part lacks is no more than the whole has.
fn arrives_in_pieces(stream: &[u8]) {
    let whole = next_packet(stream);
    for end in 0..stream.len().min(HEADER_SIZE + 8) {
        match next_packet(&stream[..end]) {
            Ok(Received::Needs(missing)) => {
                if let Ok(Received::Packet(size)) = whole {
                    assert!(end + missing <= size);
                }
            }
            found => assert_eq!(found, whole),
        }
    }
}

/// What was read, written again, is what came.
fn holds_together(packet: &[u8], key: Option<&[u8]>) {
    let mut revealed = packet.to_vec();
    let Ok(reply) = Reply::open(&mut revealed, key) else { return };
    let header = Header::parse(packet).expect("a whole packet has a header");
    assert_eq!((reply.session_id, reply.flags), (header.session_id, header.flags));
    assert_eq!(reply.flags.has(Flags::UNENCRYPTED), key.is_none());
    let status = match reply.status {
        Status::Success => 0x01,
        Status::Error => 0x02,
        Status::Follow => 0x21,
        Status::Other(number) => number,
    };
    let length = |text: &[u8]| u16::try_from(text.len()).expect("it is in a packet").to_be_bytes();
    let (message, data) = (length(reply.server_msg), length(reply.data));
    let mut written = [&header.octets()[..], &message, &data, &[status], reply.server_msg, reply.data].concat();
    if let Some(key) = key {
        obfuscate(&mut written, key);
    }
    assert_eq!(written, packet);
}
