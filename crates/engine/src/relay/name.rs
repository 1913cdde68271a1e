//! What a session is called within the plane that its relay client is: the NAS's own Acct-Session-Id, and a tag that keeps NAS
//! behind one address apart. The same in every life and release, for the ledger has it.

use std::fmt::Write as _;
use std::hash::Hasher;

use arrayvec::{ArrayString, ArrayVec};
use model::ids::PLANE_SESSION_MAX;
use siphasher::sip::SipHasher13;
use wire::radius::accounting::Nas;

/// A session's name.
pub(super) type SessionName = ArrayVec<u8, PLANE_SESSION_MAX>;

/// `#` and eight digits of the tag.
const TAG_OCTETS: usize = 9;
/// Octets of an Acct-Session-Id that is too long to stand as it is; the rest is told by `~` and 24 digits.
const HEAD_OCTETS: usize = 30;

/// Names the session: `81000003#1f2e3d4c`.
pub(super) fn session_name(nas: &Nas<'_>, session_id: &[u8]) -> SessionName {
    let mut name = SessionName::new();
    let mut text = ArrayString::<40>::new();
    if session_id.len() + TAG_OCTETS <= PLANE_SESSION_MAX {
        name.extend(session_id.iter().copied());
    } else {
        name.extend(session_id.iter().copied().take(HEAD_OCTETS));
        let [one, other] = [1, 2].map(|key| hash(key, &[session_id]));
        let _ = write!(text, "~{one:016x}{:08x}", other >> 32);
    }
    let _ = write!(text, "#{:08x}", tag(nas));
    name.extend(text.bytes());
    name
}

/// The digits that tell one NAS behind an address from another.
fn tag(nas: &Nas<'_>) -> u32 {
    let ipv4 = nas.ipv4.map(|ip| ip.octets());
    let ipv6 = nas.ipv6.map(|ip| ip.octets());
    let parts = [
        ipv4.as_ref().map_or(&[][..], |octets| octets),
        ipv6.as_ref().map_or(&[][..], |octets| octets),
        nas.identifier.unwrap_or_default(),
    ];
    u32::try_from(hash(0, &parts) >> 32).unwrap_or_default()
}

/// Of these parts, each with its length. Whoever sends them can make two alike, and has two of its own sessions mixed up by that.
fn hash(key: u64, parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key, 0);
    for part in parts {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn nas_are_told_apart_and_long_ids_as_well() {
        let one = Nas { identifier: Some(b"bras1"), ..Nas::default() };
        let other = Nas { ipv4: Some(Ipv4Addr::LOCALHOST), ..one };
        let text = |nas: &Nas<'_>, id: &[u8]| String::from_utf8(session_name(nas, id).to_vec()).unwrap();
        assert_eq!(text(&one, b"81000003"), "81000003#7fcebdb1", "the ledger knows it by this name");
        assert_ne!(text(&one, b"81000003"), text(&other, b"81000003"));
        let (long, longer) = ([b'x'; 55], [b'x'; 56]);
        assert_eq!(text(&one, &long).len(), 64);
        assert_eq!(text(&one, &longer).len(), 64);
        assert!(text(&one, &longer).starts_with(&format!("{}~", "x".repeat(30))));
        let mut another = [b'x'; 253];
        another[252] = b'y';
        assert_ne!(text(&one, &[b'x'; 253]), text(&one, &another));
    }
}
