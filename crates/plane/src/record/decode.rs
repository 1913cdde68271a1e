//! A body becomes an event.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, Authentic, Down, PlaneEvent, Prefix, Reset, Subscriber, Up, Update};
use model::time::Wall;

use super::field::{Fields, Tag};
use super::{Kind, session_hash};
use crate::refusal::Malformed;

/// Reads the fields of a body. Everything is checked for size and shape, nothing for sense; host bits of prefixes are
/// cleared. `hash` is what the record says of the session's name.
///
/// # Errors
///
/// The first thing that is wrong, in the order of the fields.
pub fn decode(kind: Kind, hash: u64, body: &[u8]) -> Result<PlaneEvent<'_>, Malformed> {
    let said = Said::read(kind, body)?;
    match kind {
        Kind::ResyncBegin => return Ok(PlaneEvent::ResyncBegin),
        Kind::ResyncEnd => return Ok(PlaneEvent::ResyncEnd),
        Kind::Up | Kind::Update | Kind::Down | Kind::Reset => {}
    }
    let session = said.session.ok_or(Malformed::SessionMissing)?;
    if session_hash(session) != hash {
        return Err(Malformed::Hash);
    }
    Ok(match kind {
        Kind::Up if said.subscriber.user.is_none() => return Err(Malformed::UserMissing),
        Kind::Up => {
            let counters = said.slot.ok_or(Malformed::SlotMissing)?;
            PlaneEvent::Up(Up { session, subscriber: said.subscriber, counters, at: said.at })
        }
        Kind::Update => PlaneEvent::Update(Update { session, changed: said.subscriber, at: said.at }),
        Kind::Down => {
            let cause = said.cause.unwrap_or(0);
            PlaneEvent::Down(Down { session, cause, totals: said.totals(), at: said.at })
        }
        Kind::Reset => {
            let counters = said.slot.ok_or(Malformed::SlotMissing)?;
            PlaneEvent::Reset(Reset { session, counters })
        }
        Kind::ResyncBegin => PlaneEvent::ResyncBegin,
        Kind::ResyncEnd => PlaneEvent::ResyncEnd,
    })
}

/// The session's name at the head of a body, if that much of it is sound.
pub(crate) fn session_of(body: &[u8]) -> Option<&[u8]> {
    match Fields::new(body).next() {
        Some(Ok((Tag::Session, session))) => Some(session),
        _ => None,
    }
}

/// All that the fields said.
#[derive(Default)]
struct Said<'a> {
    session: Option<&'a [u8]>,
    at: Option<Wall>,
    slot: Option<CounterSlot>,
    cause: Option<u8>,
    v4: Option<Totals>,
    v6: Option<Totals>,
    subscriber: Subscriber<'a>,
}

impl<'a> Said<'a> {
    fn read(kind: Kind, body: &'a [u8]) -> Result<Said<'a>, Malformed> {
        let mut said = Said::default();
        let mut seen = 0u64;
        for field in Fields::new(body) {
            let (tag, value) = field?;
            if !belongs(tag, kind) {
                return Err(Malformed::FieldMisplaced);
            }
            // The session's name comes first, so that a refusal can name it.
            if seen == 0 && tag != Tag::Session {
                return Err(Malformed::SessionMissing);
            }
            let bit = 1u64 << tag as u8;
            if seen & bit != 0 && tag != Tag::Class {
                return Err(Malformed::FieldTwice);
            }
            seen |= bit;
            said.take(tag, value)?;
        }
        Ok(said)
    }

    fn take(&mut self, tag: Tag, value: &'a [u8]) -> Result<(), Malformed> {
        match tag {
            Tag::Session => self.session = Some(value),
            Tag::At => self.at = Some(Wall::from_millis(number(value)?)),
            Tag::CounterSlot => self.slot = Some(slot(value)?),
            Tag::Cause => self.cause = Some(octet(value)?),
            Tag::TotalsV4 => self.v4 = Some(totals(value)?),
            Tag::TotalsV6 => self.v6 = Some(totals(value)?),
            _ => return take_subscriber(&mut self.subscriber, tag, value),
        }
        Ok(())
    }

    /// A plane that says anything of the totals has said all: a family that it left out moved nothing.
    fn totals(&self) -> Option<Counters> {
        if self.v4.is_none() && self.v6.is_none() {
            return None;
        }
        Some(Counters { v4: self.v4.unwrap_or_default(), v6: self.v6.unwrap_or_default() })
    }
}

fn belongs(tag: Tag, kind: Kind) -> bool {
    match tag {
        Tag::Session => kind.has_session(),
        Tag::At => matches!(kind, Kind::Up | Kind::Update | Kind::Down),
        Tag::CounterSlot => matches!(kind, Kind::Up | Kind::Reset),
        Tag::Cause | Tag::TotalsV4 | Tag::TotalsV6 => kind == Kind::Down,
        _ => tag.is_subscriber() && matches!(kind, Kind::Up | Kind::Update),
    }
}

fn take_subscriber<'a>(subscriber: &mut Subscriber<'a>, tag: Tag, value: &'a [u8]) -> Result<(), Malformed> {
    match tag {
        Tag::User => subscriber.user = Some(value),
        Tag::Domain => subscriber.domain = Some(value),
        Tag::FramedIp => subscriber.framed_ip = Some(Ipv4Addr::from(array::<4>(value)?)),
        Tag::FramedIpv6Prefix => subscriber.framed_ipv6_prefix = Some(prefix(value)?),
        Tag::DelegatedPrefix => subscriber.delegated_prefix = Some(prefix(value)?),
        Tag::FramedIpv6Address => subscriber.framed_ipv6_address = Some(Ipv6Addr::from(array::<16>(value)?)),
        Tag::InterfaceId => subscriber.interface_id = Some(number(value)?),
        Tag::Mac => subscriber.mac = Some(array(value)?),
        Tag::Calling => subscriber.calling = Some(value),
        Tag::NasPort => subscriber.nas_port = Some(number32(value)?),
        Tag::NasPortId => subscriber.nas_port_id = Some(value),
        Tag::Access => subscriber.access = Some(access(octet(value)?)?),
        Tag::Authentic => subscriber.authentic = Some(authentic(octet(value)?)?),
        Tag::Class if subscriber.class.push(value) => {}
        Tag::Class => return Err(Malformed::FieldTwice),
        Tag::InterimInterval => subscriber.acct_interim_interval = Some(number32(value)?),
        Tag::SessionTimeout => subscriber.session_timeout = Some(number32(value)?),
        Tag::TimeQuota => subscriber.time_quota = Some(number(value)?),
        Tag::VolumeQuota => subscriber.volume_quota = Some(number(value)?),
        Tag::MultiSessionId => subscriber.multi_session_id = Some(value),
        Tag::AuthServer => subscriber.auth_server = Some(address(value)?),
        Tag::Session | Tag::At | Tag::CounterSlot | Tag::Cause | Tag::TotalsV4 | Tag::TotalsV6 => {
            return Err(Malformed::FieldMisplaced);
        }
    }
    Ok(())
}

fn access(value: u8) -> Result<Access, Malformed> {
    Ok(match value {
        1 => Access::Pppoe,
        2 => Access::Ipoe,
        3 => Access::L2tp,
        4 => Access::Static,
        _ => return Err(Malformed::FieldValue),
    })
}

fn authentic(value: u8) -> Result<Authentic, Malformed> {
    Ok(match value {
        1 => Authentic::Radius,
        2 => Authentic::Local,
        3 => Authentic::Remote,
        _ => return Err(Malformed::FieldValue),
    })
}

fn slot(value: &[u8]) -> Result<CounterSlot, Malformed> {
    let [slot, generation] = parts::<4, 2>(value)?.map(u32::from_le_bytes);
    if generation == 0 {
        return Err(Malformed::FieldValue);
    }
    Ok(CounterSlot { slot, generation })
}

fn totals(value: &[u8]) -> Result<Totals, Malformed> {
    let [in_octets, in_packets, out_octets, out_packets] = parts::<8, 4>(value)?.map(u64::from_le_bytes);
    Ok(Totals { in_octets, in_packets, out_octets, out_packets })
}

fn prefix(value: &[u8]) -> Result<Prefix, Malformed> {
    let (address, length) = value.split_first_chunk::<16>().ok_or(Malformed::FieldSize)?;
    let length = octet(length)?;
    if length > 128 {
        return Err(Malformed::FieldValue);
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    Ok(Prefix { address: Ipv6Addr::from_bits(u128::from_be_bytes(*address) & mask), length })
}

fn address(value: &[u8]) -> Result<IpAddr, Malformed> {
    let v4 = value.try_into().map(|octets: [u8; 4]| IpAddr::from(octets));
    v4.or_else(|_| array::<16>(value).map(IpAddr::from))
}

fn octet(value: &[u8]) -> Result<u8, Malformed> {
    array::<1>(value).map(|[octet]| octet)
}

fn number32(value: &[u8]) -> Result<u32, Malformed> {
    array(value).map(u32::from_le_bytes)
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    array(value).map(u64::from_le_bytes)
}

fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed::FieldSize)
}

fn parts<const N: usize, const COUNT: usize>(value: &[u8]) -> Result<[[u8; N]; COUNT], Malformed> {
    let (parts, rest) = value.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(Malformed::FieldSize);
    }
    parts.try_into().map_err(|_| Malformed::FieldSize)
}
