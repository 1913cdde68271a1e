//! Requests that came a short while ago, by source address and port, identifier and authenticator: what comes once more is
//! not looked into again.
//!
//! **Full:** a place is taken by a later request of the same hash; then the other one, if it comes again, is recognised by what
//! it says.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use model::time::Mono;
use siphasher::sip::SipHasher13;
use wire::radius::Packet;

/// Places, a power of two: 2 MiB.
const PLACES: usize = 1 << 16;
/// For so long a request is known by its octets.
const KNOWN_FOR: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    /// Which of the answers is its own.
    number: u64,
    at: Mono,
}

/// All of a shard.
pub(super) struct Recent {
    key: [u8; 16],
    places: Vec<Place>,
}

impl Recent {
    /// `key` keeps a client from choosing requests that collide.
    pub(super) fn new(key: [u8; 16]) -> Recent {
        Recent { key, places: Vec::new() }
    }

    /// There will be some.
    pub(super) fn make_room(&mut self) {
        if self.places.is_empty() {
            self.places = vec![Place { hash: 0, number: 0, at: Mono::ZERO }; PLACES];
        }
    }

    /// By what a request is known.
    pub(super) fn hash_of(&self, from: SocketAddr, packet: &Packet<'_>) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        match from.ip() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        hasher.write_u16(from.port());
        hasher.write_u8(packet.identifier());
        hasher.write(packet.authenticator());
        // Zero is nobody's.
        hasher.finish().max(1)
    }

    /// The number of the answer to a request that came before.
    pub(super) fn find(&self, hash: u64, now: Mono) -> Option<u64> {
        let place = self.places.get(place_of(hash)).filter(|place| place.hash == hash)?;
        (now < place.at.plus(KNOWN_FOR)).then_some(place.number)
    }

    /// A request was taken; its answer has this number.
    pub(super) fn note(&mut self, hash: u64, number: u64, at: Mono) {
        if let Some(place) = self.places.get_mut(place_of(hash)) {
            *place = Place { hash, number, at };
        }
    }
}

fn place_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() & (PLACES - 1)
}
