//! Acct-Session-Id, and the phase that is hashed from a session's name.
//!
//! Both are functions of a session's serial and a key that the ledger keeps, so a restart changes neither
//! (DESIGN.md section 4, Identity).

use std::hash::Hasher;
use std::time::Duration;

use model::event::Subscriber;
use model::ids::SessionSerial;
use siphasher::sip::SipHasher13;

/// The length of every Acct-Session-Id: version 1 with a three-part interface (BEHAVIOUR.md 8.2).
pub(crate) const SESSION_ID_LEN: usize = 33;

/// As many sessions as six Base62 digits can name in one engine start.
pub(crate) const SEQUENCE_COUNT: u64 = 62u64.pow(6);

const PREFIX_LEN: usize = 7;

/// Acct-Session-Id as octets.
pub(crate) type SessionId = [u8; SESSION_ID_LEN];

/// The key behind session ids and phases.
#[derive(Clone, Copy)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// Drawn at the first start on a state directory and kept in its ledger.
    pub(crate) const fn new(octets: [u8; 16]) -> Key {
        Key(octets)
    }

    fn hash(&self, domain: u8, a: u64, b: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(domain);
        hasher.write_u64(a);
        hasher.write_u64(b);
        hasher.finish()
    }

    /// How long after its base a session's first interim is due: uniform in [T, 2T] at millisecond resolution
    /// (BEHAVIOUR.md 11.10, owner's decision 11).
    pub(crate) fn first_interim(&self, serial: SessionSerial, interval: Duration) -> Duration {
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX / 4);
        let hash = self.hash(b'p', u64::from(serial.epoch), serial.sequence);
        Duration::from_millis(millis + scale(hash, millis + 1))
    }

    /// Where the draw of a shard's transaction falls below `range`, for the server that it asks as number `turn`: uniform, and
    /// the same however often it is asked.
    pub(crate) fn draw(&self, epoch: u32, shard: u16, transaction: u64, turn: u8, range: u64) -> u64 {
        let life = u64::from(epoch) << 16 | u64::from(shard);
        scale(self.hash(b'c', life, transaction << 8 | u64::from(turn)), range)
    }

    /// The hash of a name of this kind.
    pub(crate) fn name(&self, kind: u8, name: &[u8]) -> u32 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(b'n');
        hasher.write_u8(kind);
        hasher.write(name);
        (hasher.finish() >> 32) as u32
    }

    /// The first 24 bits of a TACACS+ session id (RFC 8907 section 4.1), for the server that a transaction asks as number `turn`.
    pub(crate) fn tacacs_session(&self, epoch: u32, shard: u16, transaction: u64, turn: u8) -> u32 {
        let life = u64::from(epoch) << 16 | u64::from(shard);
        (self.hash(b't', life, transaction << 8 | u64::from(turn)) >> 40) as u32
    }

    /// A number below `range` for the pause behind one of a shard's calls.
    pub(crate) fn call(&self, epoch: u32, shard: u16, number: u64, range: u64) -> u64 {
        let life = u64::from(epoch) << 16 | u64::from(shard);
        scale(self.hash(b'l', life, number), range)
    }

    /// The Request Authenticator of a shard's probe: nobody who lacks the key foresees it, and no other probe has it.
    pub(crate) fn authenticator(&self, epoch: u32, shard: u16, number: u64) -> [u8; 16] {
        let life = u64::from(epoch) << 16 | u64::from(shard);
        let halves = [self.hash(b'a', life, number), self.hash(b'b', life, number)];
        (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes()
    }

    /// A number below `range` for one of a shard's pauses.
    pub(crate) fn pause(&self, epoch: u32, shard: u16, number: u64, range: u64) -> u64 {
        let life = u64::from(epoch) << 16 | u64::from(shard);
        scale(self.hash(b'w', life, number), range)
    }

    /// A permutation of `0 .. SEQUENCE_COUNT`: ids that neither repeat nor tell how many there were.
    fn permute(&self, sequence: u64) -> u64 {
        // Four Feistel rounds over 36 bits, walked until the number is again below 62⁶ (1.2 walks on average).
        const HALF: u64 = (1 << 18) - 1;
        let mut number = sequence % SEQUENCE_COUNT;
        loop {
            let (mut left, mut right) = (number >> 18, number & HALF);
            for round in 0..4 {
                (left, right) = (right, left ^ (self.hash(b'i', round, right) & HALF));
            }
            number = left << 18 | right;
            if number < SEQUENCE_COUNT {
                return number;
            }
        }
    }
}

/// `hash` scaled to `0 .. range` without the bias of a remainder.
fn scale(hash: u64, range: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(range)) >> 64).unwrap_or(range)
}

/// Prints a session's Acct-Session-Id: prefix 7, slot 2, card 1, port 2, outer VLAN 4, inner VLAN 5, epoch 6 hex
/// digits, sequence 6 Base62 digits.
pub(crate) fn session_id(prefix: &str, place: Place, serial: SessionSerial, key: &Key) -> SessionId {
    const BASE62: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut id = [b'0'; SESSION_ID_LEN];
    for (digit, letter) in id[..PREFIX_LEN].iter_mut().zip(prefix.bytes()) {
        *digit = letter;
    }
    let mut at = PREFIX_LEN;
    let mut put = |value: u64, width: usize, base: u64, digits: &[u8]| {
        let mut rest = value;
        for digit in id[at..at + width].iter_mut().rev() {
            *digit = digits[usize::try_from(rest % base).unwrap_or_default()];
            rest /= base;
        }
        at += width;
    };
    put(place.slot.into(), 2, 10, HEX);
    put(place.card.into(), 1, 10, HEX);
    put(place.port.into(), 2, 10, HEX);
    put(place.outer_vlan.into(), 4, 10, HEX);
    put(place.inner_vlan.into(), 5, 10, HEX);
    put(serial.epoch.into(), 6, 16, HEX);
    put(key.permute(serial.sequence), 6, 62, BASE62);
    id
}

/// Where a subscriber is attached; what is not known is 0 (owner's decision 12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0–99.
    pub(crate) slot: u16,
    /// 0–9.
    pub(crate) card: u16,
    /// 0–99.
    pub(crate) port: u16,
    /// 0–4094.
    pub(crate) outer_vlan: u16,
    /// 0–4094.
    pub(crate) inner_vlan: u16,
}

impl Place {
    /// From NAS-Port-Id where it has the vendor's form, else from NAS-Port in its default format (slot 8 bits,
    /// subslot 4, port 8, VLAN 12), else unknown.
    pub(crate) fn of(subscriber: &Subscriber<'_>) -> Place {
        let named = subscriber.nas_port_id.and_then(|id| str::from_utf8(id).ok()).and_then(Place::from_port_id);
        named.or_else(|| subscriber.nas_port.map(Place::from_port)).unwrap_or_default()
    }

    fn from_port(port: u32) -> Place {
        Place {
            slot: (port >> 24) as u16,
            card: (port >> 20 & 0xf) as u16,
            port: (port >> 12 & 0xff) as u16,
            outer_vlan: 0,
            inner_vlan: (port & 0xfff) as u16,
        }
    }

    /// `slot=0;subslot=1;port=0;vlanid=1`, with or without blanks after the semicolons; a second VLAN as `vlanid2`
    /// is the inner one.
    fn from_port_id(id: &str) -> Option<Place> {
        let mut place = Place::default();
        let mut inner = None;
        let mut known = false;
        for part in id.split(';') {
            let (name, value) = part.trim().split_once('=')?;
            let value = value.trim().parse::<u16>().ok()?;
            match name.trim() {
                "slot" => place.slot = value,
                "subslot" => place.card = value,
                "port" => place.port = value,
                "vlanid" => place.inner_vlan = value,
                "vlanid2" => inner = Some(value),
                _ => continue,
            }
            known = true;
        }
        if let Some(inner) = inner {
            place.outer_vlan = std::mem::replace(&mut place.inner_vlan, inner);
        }
        known.then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const KEY: Key = Key::new(*b"0123456789abcdef");

    fn serial(epoch: u32, sequence: u64) -> SessionSerial {
        SessionSerial { epoch, sequence }
    }

    #[test]
    fn an_id_is_laid_out_as_the_page_says() {
        let place = Place { slot: 0, card: 2, port: 10, outer_vlan: 3001, inner_vlan: 320 };
        let id = session_id("MALA-B-7", place, serial(0xef3f87, 5), &KEY);
        let text = str::from_utf8(&id).unwrap();
        assert_eq!(&text[..27], "MALA-B-00210300100320ef3f87");
        assert!(text[27..].bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(&session_id("AB", Place::default(), serial(1, 5), &KEY)[..7], b"AB00000");
    }

    #[test]
    fn ids_do_not_repeat_within_an_epoch() {
        let ids: HashSet<_> = (0..200_000).map(|n| KEY.permute(n)).collect();
        assert_eq!(ids.len(), 200_000);
        assert!(ids.iter().all(|&id| id < SEQUENCE_COUNT));
    }

    #[test]
    fn the_place_is_read_from_either_attribute() {
        let with_id = |id: &'static str, port| {
            Place::of(&Subscriber { nas_port_id: Some(id.as_bytes()), nas_port: port, ..Subscriber::default() })
        };
        let place = Place { slot: 3, card: 1, port: 2, outer_vlan: 0, inner_vlan: 7 };
        assert_eq!(with_id("slot=3;subslot=1;port=2;vlanid=7", None), place);
        assert_eq!(with_id("slot=3; subslot=1; port=2; vlanid=7", Some(1)), place);
        assert_eq!(
            with_id("slot=3;subslot=1;port=2;vlanid=7;vlanid2=9", None),
            Place { outer_vlan: 7, inner_vlan: 9, ..place }
        );
        // The vector of BEHAVIOUR.md 8.2: slot 0, subslot 2, port 10, VLAN 320.
        assert_eq!(
            with_id("GigabitEthernet0/2/10", Some(2_138_432)),
            Place { slot: 0, card: 2, port: 10, outer_vlan: 0, inner_vlan: 320 }
        );
        assert_eq!(with_id("nonsense", None), Place::default());
    }

    #[test]
    fn first_interims_fill_the_interval_evenly() {
        let interval = Duration::from_secs(60);
        let count = 60_000;
        let mut per_second = [0u32; 60];
        for n in 0..count {
            let first = KEY.first_interim(serial(3, n), interval);
            assert!(first >= interval && first <= interval * 2, "{first:?}");
            per_second[(first - interval).as_secs().min(59) as usize] += 1;
        }
        let (low, high) = (per_second.iter().min(), per_second.iter().max());
        assert!(low > Some(&850) && high < Some(&1150), "{per_second:?}");
    }
}
