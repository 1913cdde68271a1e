//! Where the replies of a connection end, in what has been received so far.
//!
//! The caller keeps [`REPLY_SIZE_MAX`](super::REPLY_SIZE_MAX) octets for each connection, receives into them wherever the
//! last octets ended, and asks after each receipt. A header is judged octet by octet as it comes: whatever speaks
//! something else is found out by its first octet, and a length that nobody would wait for before any of the body.
//! How long to wait for the octets that are missing is the caller's to know. After an error the rest of the stream means
//! nothing, and the connection is to be closed.

use super::{ACCOUNTING, HEADER_SIZE, Header, REPLY_BODY_SIZE_MAX, ReplyError, VERSION, layout, reply};

/// What stands at the beginning of what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Received {
    /// Not a whole packet: at least so many octets are missing, 1 or more.
    Needs(usize),
    /// A whole packet of so many octets. What follows belongs to the next one.
    Packet(usize),
}

/// Looks for the first reply in `received`.
pub fn next_packet(received: &[u8]) -> Result<Received, ReplyError> {
    let differs = |place: usize, expected: u8| received.get(place).is_some_and(|octet| *octet != expected);
    if differs(layout::VERSION, VERSION) {
        return Err(ReplyError::Version);
    }
    if differs(layout::TYPE, ACCOUNTING) {
        return Err(ReplyError::Type);
    }
    if differs(layout::SEQUENCE, reply::SEQUENCE) {
        return Err(ReplyError::Sequence);
    }
    let Some(header) = Header::parse(received) else { return Ok(Received::Needs(HEADER_SIZE - received.len())) };
    let body = match usize::try_from(header.length) {
        Ok(length @ reply::FIXED_SIZE..=REPLY_BODY_SIZE_MAX) => length,
        Ok(0..reply::FIXED_SIZE) => return Err(ReplyError::Undersized),
        _ => return Err(ReplyError::Oversized),
    };
    let size = HEADER_SIZE + body;
    Ok(match size.saturating_sub(received.len()) {
        0 => Received::Packet(size),
        missing => Received::Needs(missing),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tacacs::{Flags, REPLY_SIZE_MAX};

    /// A reply with this session and a body of so many octets.
    fn packet(session_id: u32, body: usize) -> Vec<u8> {
        let length = u32::try_from(body).unwrap();
        let header = Header { sequence: 2, ..Header::of_request(Flags::NONE, session_id, length) };
        header.octets().into_iter().chain(std::iter::repeat_n(0xab, body)).collect()
    }

    #[test]
    fn a_header_is_judged_as_it_comes() {
        let mut long = packet(1, 5);
        long[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        let with = |place: usize, octet: u8| {
            let mut octets = packet(1, 5);
            octets[place] = octet;
            octets
        };
        // What comes, after how many octets it is known, and as what.
        let table = [
            ("HTTP", b"HTTP/1.1 400".to_vec(), 1, ReplyError::Version),
            ("another minor version", with(0, 0xc1), 1, ReplyError::Version),
            ("authorization", with(1, 2), 2, ReplyError::Type),
            ("our own request", with(2, 1), 3, ReplyError::Sequence),
            ("a third packet", with(2, 3), 3, ReplyError::Sequence),
            ("no body", packet(1, 0), 12, ReplyError::Undersized),
            ("4 octets", packet(1, 4), 12, ReplyError::Undersized),
            ("4,097 octets", packet(1, 4097), 12, ReplyError::Oversized),
            ("4 GiB", long, 12, ReplyError::Oversized),
        ];
        for (what, octets, known, expected) in table {
            for end in 0..=octets.len() {
                let found = next_packet(&octets[..end]);
                if end < known {
                    assert_eq!(found, Ok(Received::Needs(12 - end)), "{what}, {end} octets");
                } else {
                    assert_eq!(found, Err(expected), "{what}, {end} octets");
                }
            }
        }
    }

    #[test]
    fn the_largest_fills_the_caller_s_buffer() {
        let octets = packet(1, REPLY_BODY_SIZE_MAX);
        assert_eq!(next_packet(&octets), Ok(Received::Packet(REPLY_SIZE_MAX)));
        assert_eq!(next_packet(&octets[..12]), Ok(Received::Needs(REPLY_BODY_SIZE_MAX)));
    }

    proptest! {
        /// However a stream is cut, the same packets come out of a buffer that holds the largest, and none is late.
        #[test]
        fn packets_are_found_however_they_are_cut(
            bodies in prop::collection::vec(prop_oneof![5..40_usize, Just(REPLY_BODY_SIZE_MAX)], 0..6),
            cuts in prop::collection::vec(1..3000_usize, 1..20),
        ) {
            let sent: Vec<Vec<u8>> = bodies.iter().zip(0..).map(|(body, session)| packet(session, *body)).collect();
            let stream = sent.concat();
            let mut rest = &stream[..];
            let (mut buffer, mut filled) = ([0; REPLY_SIZE_MAX], 0);
            let mut found = Vec::new();
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()).min(buffer.len() - filled));
                buffer[filled..filled + now.len()].copy_from_slice(now);
                filled += now.len();
                rest = later;
                let missing = loop {
                    match next_packet(&buffer[..filled]).unwrap() {
                        Received::Packet(size) => {
                            found.push(buffer[..size].to_vec());
                            buffer.copy_within(size..filled, 0);
                            filled -= size;
                        }
                        Received::Needs(missing) => break missing,
                    }
                };
                prop_assert!(missing > 0 && filled + missing <= buffer.len());
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, sent);
            prop_assert_eq!(filled, 0);
        }

        #[test]
        fn any_octets_are_a_packet_or_refused_or_waited_for(octets in prop::collection::vec(any::<u8>(), 0..40), sane in 0..12_usize) {
            let head = packet(1, 20);
            let octets = [&head[..sane], &octets].concat();
            match next_packet(&octets) {
                Ok(Received::Packet(size)) => prop_assert!((17..=octets.len()).contains(&size)),
                Ok(Received::Needs(missing)) => prop_assert!(missing > 0 && octets.len() + missing <= REPLY_SIZE_MAX),
                Err(_) => {}
            }
        }
    }
}
