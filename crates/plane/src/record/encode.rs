//! An event becomes a body.

use std::net::IpAddr;

use model::counters::{CounterSlot, Totals};
use model::event::{PlaneEvent, Prefix, Subscriber};
use model::time::Wall;

use super::field::{TEXT_MAX, Tag};
use super::{BODY_BYTES_MAX, Kind, session_hash};

/// An event that is ready for its records.
#[derive(Debug)]
pub struct Encoded<'b> {
    /// What it says.
    pub kind: Kind,
    /// The hash of the session's name; 0 without one.
    pub hash: u64,
    /// Its fields.
    pub body: &'b [u8],
}

/// What an event says that the link cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The session's name has no octet or more than 64.
    Session,
    /// An Up without a user.
    UserMissing,
    /// A generation of 0.
    Generation,
    /// A text or Class has no octet or more than 253, or a prefix more than 128 bits.
    FieldSize,
}

/// Writes an event's fields into `body`.
///
/// # Errors
///
/// When a value is outside the range that `model::event` names.
pub fn encode<'b>(event: &PlaneEvent<'_>, body: &'b mut [u8; BODY_BYTES_MAX]) -> Result<Encoded<'b>, EncodeError> {
    let mut out = Body { octets: body, len: 0 };
    let (kind, session) = match event {
        PlaneEvent::Up(up) => {
            if up.subscriber.user.is_none() {
                return Err(EncodeError::UserMissing);
            }
            out.session(up.session)?;
            out.slot(up.counters)?;
            out.at(up.at);
            out.subscriber(&up.subscriber)?;
            (Kind::Up, Some(up.session))
        }
        PlaneEvent::Update(update) => {
            out.session(update.session)?;
            out.at(update.at);
            out.subscriber(&update.changed)?;
            (Kind::Update, Some(update.session))
        }
        PlaneEvent::Down(down) => {
            out.session(down.session)?;
            out.at(down.at);
            out.put(Tag::Cause, &[down.cause]);
            if let Some(totals) = down.totals {
                out.totals(Tag::TotalsV4, totals.v4);
                out.totals(Tag::TotalsV6, totals.v6);
            }
            (Kind::Down, Some(down.session))
        }
        PlaneEvent::Reset(reset) => {
            out.session(reset.session)?;
            out.slot(reset.counters)?;
            (Kind::Reset, Some(reset.session))
        }
        PlaneEvent::ResyncBegin => (Kind::ResyncBegin, None),
        PlaneEvent::ResyncEnd => (Kind::ResyncEnd, None),
    };
    let Body { octets, len } = out;
    Ok(Encoded { kind, hash: session.map_or(0, session_hash), body: &octets[..len] })
}

/// A body being written. All fields at their longest fit, as the assertion below says.
struct Body<'b> {
    octets: &'b mut [u8; BODY_BYTES_MAX],
    len: usize,
}

impl Body<'_> {
    /// One field; the caller has checked the value's size.
    fn put(&mut self, tag: Tag, value: &[u8]) {
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        let [at_tag, at_length, rest @ ..] = &mut self.octets[self.len..] else { return };
        (*at_tag, *at_length) = (tag as u8, length);
        rest[..value.len()].copy_from_slice(value);
        self.len += 2 + value.len();
    }

    fn session(&mut self, name: &[u8]) -> Result<(), EncodeError> {
        if !(1..=model::ids::PLANE_SESSION_MAX).contains(&name.len()) {
            return Err(EncodeError::Session);
        }
        self.put(Tag::Session, name);
        Ok(())
    }

    fn at(&mut self, at: Option<Wall>) {
        if let Some(at) = at {
            self.put(Tag::At, &at.as_millis().to_le_bytes());
        }
    }

    fn slot(&mut self, slot: CounterSlot) -> Result<(), EncodeError> {
        if slot.generation == 0 {
            return Err(EncodeError::Generation);
        }
        let mut value = [0; 8];
        value[..4].copy_from_slice(&slot.slot.to_le_bytes());
        value[4..].copy_from_slice(&slot.generation.to_le_bytes());
        self.put(Tag::CounterSlot, &value);
        Ok(())
    }

    fn totals(&mut self, tag: Tag, totals: Totals) {
        let Totals { in_octets, in_packets, out_octets, out_packets } = totals;
        let numbers = [in_octets, in_packets, out_octets, out_packets].map(u64::to_le_bytes);
        self.put(tag, numbers.as_flattened());
    }

    fn text(&mut self, tag: Tag, text: Option<&[u8]>) -> Result<(), EncodeError> {
        let Some(text) = text else { return Ok(()) };
        if !(1..=TEXT_MAX).contains(&text.len()) {
            return Err(EncodeError::FieldSize);
        }
        self.put(tag, text);
        Ok(())
    }

    fn prefix(&mut self, tag: Tag, prefix: Option<Prefix>) -> Result<(), EncodeError> {
        let Some(Prefix { address, length }) = prefix else { return Ok(()) };
        if length > 128 {
            return Err(EncodeError::FieldSize);
        }
        let mut value = [length; 17];
        value[..16].copy_from_slice(&address.octets());
        self.put(tag, &value);
        Ok(())
    }

    fn number<const N: usize>(&mut self, tag: Tag, number: Option<[u8; N]>) {
        if let Some(octets) = number {
            self.put(tag, &octets);
        }
    }

    fn subscriber(&mut self, said: &Subscriber<'_>) -> Result<(), EncodeError> {
        self.text(Tag::User, said.user)?;
        self.text(Tag::Domain, said.domain)?;
        self.number(Tag::FramedIp, said.framed_ip.map(|ip| ip.octets()));
        self.prefix(Tag::FramedIpv6Prefix, said.framed_ipv6_prefix)?;
        self.prefix(Tag::DelegatedPrefix, said.delegated_prefix)?;
        self.number(Tag::FramedIpv6Address, said.framed_ipv6_address.map(|ip| ip.octets()));
        self.number(Tag::InterfaceId, said.interface_id.map(u64::to_le_bytes));
        self.number(Tag::Mac, said.mac);
        self.text(Tag::Calling, said.calling)?;
        self.number(Tag::NasPort, said.nas_port.map(u32::to_le_bytes));
        self.text(Tag::NasPortId, said.nas_port_id)?;
        self.number(Tag::Access, said.access.map(|access| [access as u8]));
        self.number(Tag::Authentic, said.authentic.map(|authentic| [authentic as u8]));
        for class in said.class.as_slice() {
            self.text(Tag::Class, Some(class))?;
        }
        self.number(Tag::InterimInterval, said.acct_interim_interval.map(u32::to_le_bytes));
        self.number(Tag::SessionTimeout, said.session_timeout.map(u32::to_le_bytes));
        self.number(Tag::TimeQuota, said.time_quota.map(u64::to_le_bytes));
        self.number(Tag::VolumeQuota, said.volume_quota.map(u64::to_le_bytes));
        self.text(Tag::MultiSessionId, said.multi_session_id)?;
        match said.auth_server {
            Some(IpAddr::V4(server)) => self.put(Tag::AuthServer, &server.octets()),
            Some(IpAddr::V6(server)) => self.put(Tag::AuthServer, &server.octets()),
            None => {}
        }
        Ok(())
    }
}

/// An event with every field at its longest fits into 16 records.
const _: () = {
    let mut sum = 0;
    let mut index = 0;
    while index < Tag::ALL.len() {
        let times = if matches!(Tag::ALL[index], Tag::Class) { model::event::ClassList::MAX } else { 1 };
        sum += times * (2 + Tag::ALL[index].size().1);
        index += 1;
    }
    assert!(sum <= BODY_BYTES_MAX);
};
