//! Request and Response Authenticators: one MD5 over the packet and the secret.
//!
//! ```text
//! Request:   MD5(code, identifier, length, 16 zeros,              attributes, secret)    RFC 2866 section 3
//! Response:  MD5(code, identifier, length, Request Authenticator, attributes, secret)    RFC 2865 section 3
//! ```
//!
//! One by one, or in batches that share the lanes of [`lanes::md5`]. Every packet of a batch has its own secret.
//! Comparisons take the same time whether they fail early or late.

use std::fmt;

use lanes::md5::{self, Job};
use subtle::ConstantTimeEq;

use super::message_authenticator::{self, Presence};
use super::{Authenticator, Code, Packet, layout};

/// As many packets are digested at once; a larger batch is taken in pieces.
const BATCH: usize = 64;

/// A request that is about to be signed.
#[derive(Debug)]
pub struct Unsigned<'a> {
    /// The packet as an encoder finished it.
    pub packet: &'a mut [u8],
    /// The secret shared with the server it goes to.
    pub secret: &'a [u8],
    /// Whether it has a Message-Authenticator that must be filled first.
    pub message_authenticator: bool,
}

/// A reply that is about to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    /// The reply.
    pub packet: Packet<'a>,
    /// The authenticator of the request that it claims to answer.
    pub request_authenticator: &'a Authenticator,
    /// The secret that the request was sent with.
    pub secret: &'a [u8],
    /// What [`verify_responses`] found; what stands here before does not matter.
    pub verdict: Result<(), VerifyError>,
}

/// Why a packet is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifyError {
    /// The authenticator is wrong: another secret, another request, or forged.
    Authenticator,
    /// The authenticator is right, but Message-Authenticator is wrong, malformed, doubled, or missing where the
    /// protocol demands it.
    MessageAuthenticator,
    /// Packets of this code are not expected here.
    Code,
}

impl VerifyError {
    /// Every reason, for a table of counters.
    pub const ALL: [VerifyError; 3] =
        [VerifyError::Authenticator, VerifyError::MessageAuthenticator, VerifyError::Code];

    /// A word for counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            VerifyError::Authenticator => "bad-authenticator",
            VerifyError::MessageAuthenticator => "bad-message-authenticator",
            VerifyError::Code => "unexpected-code",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for VerifyError {}

/// Signs an Accounting-Request, Disconnect-Request or CoA-Request. A slice too short to be a packet is left as
/// it is.
pub fn sign_request(request: &mut Unsigned<'_>) {
    prepare(request);
    let digest = md5::digest(&[request.packet, request.secret]);
    put(request.packet, &digest);
}

/// The same for many.
pub fn sign_requests(requests: &mut [Unsigned<'_>]) {
    if let [request] = requests {
        return sign_request(request);
    }
    for batch in requests.chunks_mut(BATCH) {
        batch.iter_mut().for_each(prepare);
        let digests = digests_of(batch, |request| Job::of_two(request.packet, request.secret));
        for (request, digest) in batch.iter_mut().zip(&digests) {
            put(request.packet, digest);
        }
    }
}

/// Signs a reply to the request with this authenticator. A slice too short to be a packet is left as it is. A
/// Message-Authenticator in it must be filled before, see [`crate::radius::server::respond`].
pub fn sign_response(response: &mut [u8], request_authenticator: &Authenticator, secret: &[u8]) {
    put(response, request_authenticator);
    let digest = md5::digest(&[response, secret]);
    put(response, &digest);
}

/// A reply that is about to be signed.
#[derive(Debug)]
pub struct Unsealed<'a> {
    /// The reply, with the authenticator of its request in the place of its own.
    pub packet: &'a mut [u8],
    /// The secret that the request was signed with.
    pub secret: &'a [u8],
}

/// As [`sign_response`], of many.
pub fn sign_responses(responses: &mut [Unsealed<'_>]) {
    for batch in responses.chunks_mut(BATCH) {
        let digests = digests_of(batch, |response| Job::of_two(response.packet, response.secret));
        for (response, digest) in batch.iter_mut().zip(&digests) {
            put(response.packet, digest);
        }
    }
}

/// Judges a reply to the request with this authenticator: its Response Authenticator, then its
/// Message-Authenticator if it has one.
pub fn verify_response(
    packet: &Packet<'_>,
    request_authenticator: &Authenticator,
    secret: &[u8],
) -> Result<(), VerifyError> {
    let digest = md5::digest(&message_of(packet, request_authenticator, secret));
    judge_response(packet, &digest, request_authenticator, secret)
}

/// The same for many; the verdicts are left in them.
pub fn verify_responses(responses: &mut [Unverified<'_>]) {
    for batch in responses.chunks_mut(BATCH) {
        let digests = digests_of(batch, |response| Job {
            parts: message_of(&response.packet, response.request_authenticator, response.secret),
            ..Job::default()
        });
        for (response, digest) in batch.iter_mut().zip(&digests) {
            response.verdict =
                judge_response(&response.packet, digest, response.request_authenticator, response.secret);
        }
    }
}

/// A request that is about to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Unjudged<'a> {
    /// The request.
    pub packet: Packet<'a>,
    /// The secret that its sender should have signed it with.
    pub secret: &'a [u8],
    /// What [`verify_requests`] found; what stands here before does not matter.
    pub verdict: Result<(), VerifyError>,
}

/// As [`verify_request`], of many; the verdicts are left in them.
pub fn verify_requests(requests: &mut [Unjudged<'_>]) {
    let zero = [0; 16];
    for batch in requests.chunks_mut(BATCH) {
        let digests = digests_of(batch, |request| Job {
            parts: message_of(&request.packet, &zero, request.secret),
            ..Job::default()
        });
        for (request, digest) in batch.iter_mut().zip(&digests) {
            request.verdict = judge_request(&request.packet, || *digest, request.secret);
        }
    }
}

/// Judges a request by its code.
///
/// - Accounting-Request, Disconnect-Request, CoA-Request: the Request Authenticator, then Message-Authenticator
///   if there is one, over zeros or over the authenticator that was sent.
/// - Status-Server: Message-Authenticator, which must be there (RFC 5997 section 3).
pub fn verify_request(packet: &Packet<'_>, secret: &[u8]) -> Result<(), VerifyError> {
    judge_request(packet, || md5::digest(&message_of(packet, &[0; 16], secret)), secret)
}

/// `digest` is that of the packet with an authenticator of zeros.
fn judge_request(
    packet: &Packet<'_>,
    digest: impl FnOnce() -> Authenticator,
    secret: &[u8],
) -> Result<(), VerifyError> {
    let zero = [0; 16];
    let presence = message_authenticator::presence(packet);
    let right_over = |value, authenticator| message_authenticator::is_right(packet, value, authenticator, secret);
    match packet.code() {
        Code::ACCOUNTING_REQUEST | Code::DISCONNECT_REQUEST | Code::COA_REQUEST => {
            if !are_equal(&digest(), packet.authenticator()) {
                return Err(VerifyError::Authenticator);
            }
            match presence {
                Presence::Absent => Ok(()),
                Presence::Present(value, start)
                    if right_over((value, start), &zero) || right_over((value, start), packet.authenticator()) =>
                {
                    Ok(())
                }
                Presence::Present(..) | Presence::Malformed => Err(VerifyError::MessageAuthenticator),
            }
        }
        Code::STATUS_SERVER => match presence {
            Presence::Present(value, start) if right_over((value, start), packet.authenticator()) => Ok(()),
            _ => Err(VerifyError::MessageAuthenticator),
        },
        _ => Err(VerifyError::Code),
    }
}

fn judge_response(
    packet: &Packet<'_>,
    digest: &Authenticator,
    request_authenticator: &Authenticator,
    secret: &[u8],
) -> Result<(), VerifyError> {
    if !are_equal(digest, packet.authenticator()) {
        return Err(VerifyError::Authenticator);
    }
    match message_authenticator::presence(packet) {
        Presence::Absent => Ok(()),
        Presence::Present(value, start)
            if message_authenticator::is_right(packet, (value, start), request_authenticator, secret) =>
        {
            Ok(())
        }
        Presence::Present(..) | Presence::Malformed => Err(VerifyError::MessageAuthenticator),
    }
}

/// In the same time whatever they are. As one number: octet by octet costs more than the digest does in its lane.
pub(super) fn are_equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    u128::from_ne_bytes(*a).ct_eq(&u128::from_ne_bytes(*b)).into()
}

/// The packet with `authenticator` in its authenticator field, then the secret.
fn message_of<'a>(packet: &Packet<'a>, authenticator: &'a Authenticator, secret: &'a [u8]) -> [&'a [u8]; md5::PARTS] {
    let head = &packet.octets()[..layout::AUTHENTICATOR.start];
    [head, authenticator, packet.attribute_run(), secret]
}

/// `batch` has at most [`BATCH`] items; the places beyond them stay zero.
fn digests_of<T>(batch: &[T], job_of: impl Fn(&T) -> Job<'_>) -> [Authenticator; BATCH] {
    let mut jobs = [Job::default(); BATCH];
    for (job, item) in jobs.iter_mut().zip(batch) {
        *job = job_of(item);
    }
    md5::digest_all(&mut jobs[..batch.len()]);
    jobs.map(|job| job.digest)
}

/// Brings a request into the form that is digested.
fn prepare(request: &mut Unsigned<'_>) {
    put(request.packet, &[0; 16]);
    if request.message_authenticator {
        message_authenticator::sign(request.packet, request.secret);
    }
}

fn put(packet: &mut [u8], authenticator: &Authenticator) {
    if let Some(place) = packet.get_mut(layout::AUTHENTICATOR) {
        place.copy_from_slice(authenticator);
    }
}

#[cfg(test)]
mod tests {
    use ::md5::{Digest, Md5};
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{Encoder, PACKET_SIZE_MAX, Type};

    /// A packet with `padding` octets of Class and, on demand, a Message-Authenticator.
    fn unsigned(code: Code, identifier: u8, padding: usize, message_authenticator: bool) -> Vec<u8> {
        let mut buffer = [0; PACKET_SIZE_MAX];
        let mut encoder = Encoder::packet(&mut buffer, code, identifier);
        if message_authenticator {
            encoder.message_authenticator();
        }
        encoder.bytes(Type::CLASS, &vec![identifier; padding]);
        encoder.finish().unwrap().to_vec()
    }

    /// The formula of RFC 2866 section 3, word by word.
    fn formula(packet: &[u8], authenticator: &[u8; 16], secret: &[u8]) -> [u8; 16] {
        Md5::digest([&packet[..4], authenticator, &packet[20..], secret].concat()).into()
    }

    #[test]
    fn verifies_by_code() {
        let secret = b"s";
        let table = [
            (Code::ACCOUNTING_REQUEST, false, Ok(())),
            (Code::ACCOUNTING_REQUEST, true, Ok(())),
            (Code::DISCONNECT_REQUEST, true, Ok(())),
            (Code::COA_REQUEST, false, Ok(())),
            // Its authenticator is random, so without Message-Authenticator nobody vouches for it.
            (Code::STATUS_SERVER, false, Err(VerifyError::MessageAuthenticator)),
            (Code::ACCOUNTING_RESPONSE, false, Err(VerifyError::Code)),
            (Code(1), true, Err(VerifyError::Code)),
        ];
        let mut all = Vec::new();
        for (code, message_authenticator, expected) in table {
            let mut octets = unsigned(code, 1, 10, message_authenticator);
            sign_request(&mut Unsigned { packet: &mut octets, secret, message_authenticator });
            assert_eq!(verify_request(&Packet::parse(&octets).unwrap(), secret), expected, "{code:?}");
            all.push(octets);
        }
        // Many at once, some of them with another secret.
        let secret_of = |place: usize| if place.is_multiple_of(3) { &b"other"[..] } else { secret };
        let mut many: Vec<Unjudged<'_>> = (0..200)
            .map(|place| {
                let packet = Packet::parse(&all[place % all.len()]).unwrap();
                Unjudged { packet, secret: secret_of(place), verdict: Ok(()) }
            })
            .collect();
        verify_requests(&mut many);
        for (place, judged) in many.iter().enumerate() {
            assert_eq!(judged.verdict, verify_request(&judged.packet, secret_of(place)), "{place}");
        }
    }

    #[test]
    fn many_replies_are_signed_like_one() {
        let mut many: Vec<Vec<u8>> =
            (0..100).map(|n| unsigned(Code::ACCOUNTING_RESPONSE, n, n.into(), false)).collect();
        let mut one = many.clone();
        for (place, (many, one)) in many.iter_mut().zip(&mut one).enumerate() {
            let asked = [u8::try_from(place).unwrap(); 16];
            many[4..20].copy_from_slice(&asked);
            sign_response(one, &asked, b"secret");
        }
        let mut unsealed: Vec<_> = many.iter_mut().map(|packet| Unsealed { packet, secret: &b"secret"[..] }).collect();
        sign_responses(&mut unsealed);
        assert_eq!(many, one);
    }

    #[test]
    fn a_doubled_or_misshapen_message_authenticator_is_refused() {
        for run in [&[80, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(2)[..], &[80, 2], &[80, 4, 0, 0]] {
            let mut buffer = [0; 200];
            let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
            encoder.raw(run);
            let packet = encoder.finish().unwrap();
            sign_request(&mut Unsigned { packet, secret: b"s", message_authenticator: true });
            let verdict = verify_request(&Packet::parse(packet).unwrap(), b"s");
            assert_eq!(verdict, Err(VerifyError::MessageAuthenticator));
        }
    }

    #[test]
    fn what_is_no_packet_is_left_alone() {
        for size in 0..20 {
            let mut octets = vec![7; size];
            sign_request(&mut Unsigned { packet: &mut octets, secret: b"s", message_authenticator: true });
            sign_response(&mut octets, &[1; 16], b"s");
            assert_eq!(octets, vec![7; size]);
        }
    }

    proptest! {
        #[test]
        fn a_batch_is_signed_and_verified_like_its_packets(
            packets in prop::collection::vec((0..=253_usize, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..150),
            broken in prop::option::of((any::<prop::sample::Index>(), 4..20_usize)),
        ) {
            let mut octets: Vec<Vec<u8>> = packets.iter().zip(0_u8..)
                .map(|((padding, with, _), identifier)| unsigned(Code::ACCOUNTING_REQUEST, identifier, *padding, *with))
                .collect();
            let mut batch: Vec<Unsigned<'_>> = octets.iter_mut().zip(&packets)
                .map(|(packet, (_, with, secret))| Unsigned { packet, secret, message_authenticator: *with })
                .collect();
            sign_requests(&mut batch);
            for (octets, (_, _, secret)) in octets.iter().zip(&packets) {
                prop_assert_eq!(&octets[4..20], &formula(octets, &[0; 16], secret));
                prop_assert_eq!(verify_request(&Packet::parse(octets).unwrap(), secret), Ok(()));
            }

            // The same packets as replies, each to a request with its own authenticator; one may be damaged.
            let asked: Vec<Authenticator> = (0..packets.len()).map(|index| [u8::try_from(index % 251).unwrap(); 16]).collect();
            for ((octets, (_, _, secret)), authenticator) in octets.iter_mut().zip(&packets).zip(&asked) {
                octets[0] = Code::ACCOUNTING_RESPONSE.0;
                octets[4..20].copy_from_slice(authenticator);
                message_authenticator::sign(octets, secret);
                sign_response(octets, authenticator, secret);
                prop_assert_eq!(&octets[4..20], &formula(octets, authenticator, secret));
            }
            let damaged = broken.filter(|_| !packets.is_empty()).map(|(index, octet)| {
                let index = index.index(packets.len());
                octets[index][octet] ^= 0x10;
                index
            });
            let mut replies: Vec<Unverified<'_>> = octets.iter().zip(&packets).zip(&asked)
                .map(|((octets, (_, _, secret)), request_authenticator)| Unverified {
                    packet: Packet::parse(octets).unwrap(), request_authenticator, secret, verdict: Err(VerifyError::Code),
                })
                .collect();
            verify_responses(&mut replies);
            for (index, reply) in replies.iter().enumerate() {
                let expected = if damaged == Some(index) { Err(VerifyError::Authenticator) } else { Ok(()) };
                prop_assert_eq!(reply.verdict, expected);
                prop_assert_eq!(verify_response(&reply.packet, reply.request_authenticator, reply.secret), expected);
            }
        }
    }
}
