//! Data obfuscation (RFC 8907 section 4.5): the body is XORed with a pad of MD5 digests.
//!
//! ```text
//! MD5_1 = MD5(session id, key, version, sequence)
//! MD5_n = MD5(session id, key, version, sequence, MD5_n-1)
//! ```
//!
//! The digests of one packet wait for one another; those of different packets do not, so a batch shares the lanes of
//! [`lanes::md5`], round by round. The same call obfuscates and reveals. It protects no body from being changed: whoever
//! knows what stands there can turn it into something else. A wrong key makes octets that mean nothing.

use lanes::md5::{self, Job};

use super::{Flags, HEADER_SIZE, Header};

/// As many packets are taken at once; a larger batch is taken in pieces.
const BATCH: usize = 64;

/// Octets that one digest masks.
const PIECE: usize = 16;

/// A packet whose body is about to be obfuscated, or revealed.
#[derive(Debug)]
pub struct Clear<'a> {
    /// The packet, header included, as an encoder finished it.
    pub packet: &'a mut [u8],
    /// The key shared with the server it goes to.
    pub key: &'a [u8],
}

/// Obfuscates one packet's body, or reveals it. A packet that says it is unencrypted, and a slice too short for a
/// header, are left as they are.
pub fn obfuscate(packet: &mut [u8], key: &[u8]) {
    let mut chain = Chain::of(packet);
    for begin in (HEADER_SIZE..chain.end).step_by(PIECE) {
        let digest = md5::digest(&chain.message(key));
        chain.mask(packet, begin, &digest);
    }
}

/// The same for many, each with its own key.
pub fn obfuscate_all(packets: &mut [Clear<'_>]) {
    match packets {
        [only] => obfuscate(only.packet, only.key),
        many => many.chunks_mut(BATCH).for_each(obfuscate_batch),
    }
}

/// `batch` has at most [`BATCH`] packets.
fn obfuscate_batch(batch: &mut [Clear<'_>]) {
    let mut chains = [Chain::default(); BATCH];
    for (chain, clear) in chains.iter_mut().zip(batch.iter()) {
        *chain = Chain::of(clear.packet);
    }
    let end = chains.iter().map(|chain| chain.end).max().unwrap_or(0);
    for begin in (HEADER_SIZE..end).step_by(PIECE) {
        let digests = digests_of(batch, &chains, begin);
        let going_on = batch.iter_mut().zip(&mut chains).filter(|(_, chain)| chain.end > begin);
        for ((clear, chain), digest) in going_on.zip(&digests) {
            chain.mask(clear.packet, begin, digest);
        }
    }
}

/// The next digest of every packet that goes on at `begin`, in order.
fn digests_of(batch: &[Clear<'_>], chains: &[Chain; BATCH], begin: usize) -> [[u8; 16]; BATCH] {
    let mut jobs = [Job::default(); BATCH];
    let mut job_count = 0;
    let going_on = batch.iter().zip(chains).filter(|(_, chain)| chain.end > begin);
    for (job, (clear, chain)) in jobs.iter_mut().zip(going_on) {
        job.parts = chain.message(clear.key);
        job_count += 1;
    }
    md5::digest_all(&mut jobs[..job_count]);
    jobs.map(|job| job.digest)
}

/// What a packet's next digest is made of.
#[derive(Clone, Copy, Default)]
struct Chain {
    session_id: [u8; 4],
    /// Version, sequence, and the digest before.
    tail: [u8; 2 + 16],
    /// As much of `tail` counts: there is no digest before the first.
    tail_length: usize,
    /// Where the octets end that are masked; 0 where none are.
    end: usize,
}

impl Chain {
    fn of(packet: &[u8]) -> Chain {
        let Some(header) = Header::parse(packet).filter(|header| !header.flags.has(Flags::UNENCRYPTED)) else {
            return Chain::default();
        };
        let mut tail = [0; 18];
        [tail[0], tail[1]] = [header.version, header.sequence];
        Chain { session_id: header.session_id.to_be_bytes(), tail, tail_length: 2, end: packet.len() }
    }

    fn message<'a>(&'a self, key: &'a [u8]) -> [&'a [u8]; md5::PARTS] {
        [&self.session_id, key, &self.tail[..self.tail_length], &[]]
    }

    /// Masks what stands at `begin` with this digest, on which the next one is founded.
    fn mask(&mut self, packet: &mut [u8], begin: usize, digest: &[u8; 16]) {
        self.tail[2..].copy_from_slice(digest);
        self.tail_length = self.tail.len();
        if let Some(piece) = packet[begin..].first_chunk_mut::<PIECE>() {
            *piece = (u128::from_ne_bytes(*piece) ^ u128::from_ne_bytes(*digest)).to_ne_bytes();
        } else {
            for (octet, pad) in packet[begin..].iter_mut().zip(digest) {
                *octet ^= pad;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ::md5::{Digest, Md5};
    use proptest::prelude::*;

    use super::*;

    /// The formula of RFC 8907 section 4.5, word by word.
    fn formula(packet: &[u8], key: &[u8]) -> Vec<u8> {
        let seed = [&packet[4..8], key, &packet[0..1], &packet[2..3]].concat();
        let mut pad: Vec<u8> = Md5::digest(&seed).to_vec();
        while pad.len() < packet.len() - 12 {
            let last = pad[pad.len() - 16..].to_vec();
            pad.extend(Md5::digest([seed.clone(), last].concat()));
        }
        let body = packet[12..].iter().zip(&pad).map(|(octet, pad)| octet ^ pad);
        packet[..12].iter().copied().chain(body).collect()
    }

    #[test]
    fn what_is_no_packet_or_is_unencrypted_is_left_alone() {
        let unencrypted = [&[0xc0, 3, 1, 0x01, 1, 2, 3, 4, 0, 0, 0, 40][..], &[7; 40]].concat();
        for octets in (0..=12).map(|size| vec![7; size]).chain([unencrypted]) {
            let mut one = octets.clone();
            obfuscate(&mut one, b"key");
            assert_eq!(one, octets);
            let mut two = [octets.clone(), octets.clone()];
            let [first, second] = two.each_mut();
            obfuscate_all(&mut [Clear { packet: first, key: b"key" }, Clear { packet: second, key: b"" }]);
            assert_eq!(two, [octets.clone(), octets]);
        }
    }

    proptest! {
        #[test]
        fn many_are_obfuscated_like_each_and_revealed_again(
            packets in prop::collection::vec(
                (any::<[u8; 11]>(), prop::collection::vec(any::<u8>(), 0..400), prop::collection::vec(any::<u8>(), 0..80), any::<bool>()),
                0..150,
            ),
        ) {
            // Some say that they are unencrypted, and stay as they are.
            let clear: Vec<Vec<u8>> = packets.iter()
                .map(|(head, body, _, unencrypted)| {
                    [&head[..3], &[u8::from(*unencrypted) | 0x04], &head[3..], body].concat()
                })
                .collect();
            let expected: Vec<Vec<u8>> = clear.iter().zip(&packets)
                .map(|(packet, (_, _, key, unencrypted))| if *unencrypted { packet.clone() } else { formula(packet, key) })
                .collect();
            let mut octets = clear.clone();
            let all = |octets: &mut [Vec<u8>]| {
                let mut batch: Vec<Clear<'_>> =
                    octets.iter_mut().zip(&packets).map(|(packet, (_, _, key, _))| Clear { packet, key }).collect();
                obfuscate_all(&mut batch);
            };
            all(&mut octets);
            prop_assert_eq!(&octets, &expected);
            all(&mut octets);
            prop_assert_eq!(&octets, &clear);
            for ((packet, (_, _, key, _)), expected) in octets.iter_mut().zip(&packets).zip(&expected) {
                obfuscate(packet, key);
                prop_assert_eq!(&*packet, expected);
            }
        }
    }
}
