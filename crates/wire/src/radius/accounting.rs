//! What a NAS says in an Accounting-Request (RFC 2866), as its accounting server reads it. The packet was judged by
//! [`verify_requests`](super::authenticator::verify_requests).
//!
//! Some of its attributes are read here, because whoever tells another server of it says them anew: what happened, when, and what
//! was counted. All others are passed on as they are ([`pass_on`]), the NAS's own name of the session and of itself among them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attribute::{Attribute, acct_status_type, as_u32};
use super::{Encoder, Packet, Type};

/// Acct-Status-Type, as far as an accounting server for subscribers obeys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Start.
    Start,
    /// Interim-Update.
    Interim,
    /// Stop.
    Stop,
    /// Accounting-On: the NAS has started.
    On,
    /// Accounting-Off: the NAS is about to go.
    Off,
}

impl Status {
    /// Whether it is about one session, and not about all of the NAS.
    pub const fn is_of_session(self) -> bool {
        matches!(self, Status::Start | Status::Interim | Status::Stop)
    }

    const fn of(value: u32) -> Option<Status> {
        Some(match value {
            acct_status_type::START => Status::Start,
            acct_status_type::STOP => Status::Stop,
            acct_status_type::INTERIM_UPDATE => Status::Interim,
            acct_status_type::ACCOUNTING_ON => Status::On,
            acct_status_type::ACCOUNTING_OFF => Status::Off,
            _ => return None,
        })
    }
}

/// What an Accounting-Request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountingRequest<'a> {
    /// What happened.
    pub status: Status,
    /// Acct-Session-Id, 1–253 octets; may be empty where `status` is about all sessions.
    pub session_id: &'a [u8],
    /// User-Name; empty where there is none.
    pub user: &'a [u8],
    /// Acct-Delay-Time, seconds.
    pub delay_s: u32,
    /// Event-Timestamp, epoch seconds.
    pub event_timestamp: Option<u32>,
    /// Acct-Session-Time, seconds.
    pub session_time_s: Option<u32>,
    /// What the session has counted.
    pub usage: Usage,
    /// Acct-Terminate-Cause; 0 where there is none, or none of an octet.
    pub terminate_cause: u8,
    /// Who says it.
    pub nas: Nas<'a>,
}

/// What a session has counted, as far as the request says it: octets of 32 bits, and how often they have turned over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Acct-Input-Octets.
    pub in_octets: Option<u32>,
    /// Acct-Input-Gigawords.
    pub in_gigawords: Option<u32>,
    /// Acct-Input-Packets.
    pub in_packets: Option<u32>,
    /// Acct-Output-Octets.
    pub out_octets: Option<u32>,
    /// Acct-Output-Gigawords.
    pub out_gigawords: Option<u32>,
    /// Acct-Output-Packets.
    pub out_packets: Option<u32>,
}

/// By what a NAS calls itself. Behind one address there may be many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nas<'a> {
    /// NAS-IP-Address.
    pub ipv4: Option<Ipv4Addr>,
    /// NAS-IPv6-Address.
    pub ipv6: Option<Ipv6Addr>,
    /// NAS-Identifier.
    pub identifier: Option<&'a [u8]>,
}

impl Nas<'_> {
    /// Whether it does not say.
    pub fn is_unnamed(&self) -> bool {
        *self == Nas::default()
    }

    /// Whether everything that this one says of itself the other one says as well.
    pub fn is_part_of(&self, other: &Nas<'_>) -> bool {
        let fits = self.ipv4.is_none_or(|ip| other.ipv4 == Some(ip));
        let fits = fits && self.ipv6.is_none_or(|ip| other.ipv6 == Some(ip));
        fits && self.identifier.is_none_or(|name| other.identifier == Some(name))
    }

    /// What the attributes of a session say of it.
    pub fn of<'a>(attributes: impl Iterator<Item = Attribute<'a>>) -> Nas<'a> {
        let mut nas = Nas::default();
        attributes.for_each(|attribute| nas.take(&attribute));
        nas
    }
}

impl<'a> Nas<'a> {
    fn take(&mut self, attribute: &Attribute<'a>) {
        match attribute.kind {
            Type::NAS_IP_ADDRESS => self.ipv4 = attribute.as_ipv4(),
            Type::NAS_IPV6_ADDRESS => self.ipv6 = attribute.as_ipv6(),
            Type::NAS_IDENTIFIER => self.identifier = Some(attribute.value),
            _ => {}
        }
    }
}

/// Why a well-signed request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has no Acct-Status-Type, or one that means nothing here.
    Status,
    /// It is about a session and does not name it.
    SessionId,
    /// An attribute that is read here does not have the size of a number.
    Value(Type),
}

/// Reads a request.
///
/// # Errors
/// [`Unreadable`]: it cannot be accounted for, and is not to be answered.
pub fn read<'a>(packet: &Packet<'a>) -> Result<AccountingRequest<'a>, Unreadable> {
    let mut status = None;
    let mut read = AccountingRequest {
        status: Status::Start,
        session_id: &[],
        user: &[],
        delay_s: 0,
        event_timestamp: None,
        session_time_s: None,
        usage: Usage::default(),
        terminate_cause: 0,
        nas: Nas::default(),
    };
    for attribute in packet.attributes() {
        let number = || as_u32(attribute.value).ok_or(Unreadable::Value(attribute.kind));
        let usage = &mut read.usage;
        match attribute.kind {
            Type::ACCT_STATUS_TYPE => status = Status::of(number()?),
            Type::ACCT_SESSION_ID => read.session_id = attribute.value,
            Type::USER_NAME => read.user = attribute.value,
            Type::ACCT_DELAY_TIME => read.delay_s = number()?,
            Type::EVENT_TIMESTAMP => read.event_timestamp = Some(number()?),
            Type::ACCT_SESSION_TIME => read.session_time_s = Some(number()?),
            Type::ACCT_INPUT_OCTETS => usage.in_octets = Some(number()?),
            Type::ACCT_INPUT_GIGAWORDS => usage.in_gigawords = Some(number()?),
            Type::ACCT_INPUT_PACKETS => usage.in_packets = Some(number()?),
            Type::ACCT_OUTPUT_OCTETS => usage.out_octets = Some(number()?),
            Type::ACCT_OUTPUT_GIGAWORDS => usage.out_gigawords = Some(number()?),
            Type::ACCT_OUTPUT_PACKETS => usage.out_packets = Some(number()?),
            Type::ACCT_TERMINATE_CAUSE => read.terminate_cause = u8::try_from(number()?).unwrap_or_default(),
            _ => read.nas.take(&attribute),
        }
    }
    read.status = status.ok_or(Unreadable::Status)?;
    if read.status.is_of_session() && read.session_id.is_empty() {
        return Err(Unreadable::SessionId);
    }
    Ok(read)
}

/// Whether an attribute stands for this request alone: what [`read`] has read and whoever sends it on says anew, and what is
/// between the NAS and this server only.
fn is_said_anew(kind: Type) -> bool {
    matches!(
        kind,
        Type::ACCT_STATUS_TYPE
            | Type::ACCT_DELAY_TIME
            | Type::EVENT_TIMESTAMP
            | Type::ACCT_SESSION_TIME
            | Type::ACCT_INPUT_OCTETS
            | Type::ACCT_INPUT_GIGAWORDS
            | Type::ACCT_INPUT_PACKETS
            | Type::ACCT_OUTPUT_OCTETS
            | Type::ACCT_OUTPUT_GIGAWORDS
            | Type::ACCT_OUTPUT_PACKETS
            | Type::ACCT_TERMINATE_CAUSE
            | Type::PROXY_STATE
            | Type::MESSAGE_AUTHENTICATOR
    )
}

/// Writes what is passed on as it is: octet by octet and in its order. A NAS that does not say who it is gets the address that it
/// sends from for a NAS-IP-Address or NAS-IPv6-Address (RFC 2866 section 4.1 demands one, or NAS-Identifier).
pub fn pass_on(packet: &Packet<'_>, from: IpAddr, run: &mut Encoder<'_>) {
    if Nas::of(packet.attributes()).is_unnamed() {
        match from {
            IpAddr::V4(address) => run.ipv4(Type::NAS_IP_ADDRESS, address),
            IpAddr::V6(address) => run.ipv6(Type::NAS_IPV6_ADDRESS, address),
        };
    }
    // Most often what is passed on stands together: it is copied in pieces as long as they come.
    let whole = packet.attribute_run();
    let mut attributes = packet.attributes();
    let mut began = 0;
    loop {
        let at = whole.len() - attributes.rest().len();
        match attributes.next() {
            Some(attribute) if !is_said_anew(attribute.kind) => {}
            next => {
                run.raw(&whole[began..at]);
                began = whole.len() - attributes.rest().len();
                if next.is_none() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radius::{Code, PACKET_SIZE_MAX};

    /// An Accounting-Request with this run.
    fn request<'a>(buffer: &'a mut [u8], run: &[u8]) -> Packet<'a> {
        let mut encoder = Encoder::packet(buffer, Code::ACCOUNTING_REQUEST, 1);
        encoder.raw(run);
        Packet::parse(encoder.finish().unwrap()).unwrap()
    }

    const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_stop_is_read() {
        let mut buffer = [0; PACKET_SIZE_MAX];
        let mut encoder = Encoder::packet(&mut buffer, Code::ACCOUNTING_REQUEST, 1);
        encoder
            .u32(Type::ACCT_STATUS_TYPE, 2)
            .bytes(Type::ACCT_SESSION_ID, b"81000003")
            .bytes(Type::USER_NAME, b"alice")
            .bytes(Type::NAS_IDENTIFIER, b"MikroTik")
            .u32(Type::ACCT_INPUT_OCTETS, 7)
            .u32(Type::ACCT_INPUT_GIGAWORDS, 2)
            .u32(Type::ACCT_OUTPUT_OCTETS, 9)
            .u32(Type::ACCT_OUTPUT_PACKETS, 3)
            .u32(Type::ACCT_SESSION_TIME, 90)
            .u32(Type::ACCT_DELAY_TIME, 4)
            .u32(Type::EVENT_TIMESTAMP, 1_795_000_000)
            .u32(Type::ACCT_TERMINATE_CAUSE, 1);
        let packet = Packet::parse(encoder.finish().unwrap()).unwrap();
        let read = read(&packet).unwrap();
        let usage = Usage {
            in_octets: Some(7),
            in_gigawords: Some(2),
            out_octets: Some(9),
            out_packets: Some(3),
            ..Usage::default()
        };
        let nas = Nas { identifier: Some(b"MikroTik"), ..Nas::default() };
        assert_eq!(
            read,
            AccountingRequest {
                status: Status::Stop,
                session_id: b"81000003",
                user: b"alice",
                delay_s: 4,
                event_timestamp: Some(1_795_000_000),
                session_time_s: Some(90),
                usage,
                terminate_cause: 1,
                nas,
            }
        );
    }

    #[test]
    fn what_cannot_be_accounted_for_is_named() {
        let start: &[u8] = &[40, 6, 0, 0, 0, 1];
        let table: [(&[&[u8]], Unreadable); 5] = [
            (&[&[44, 3, b's']], Unreadable::Status),
            (&[&[44, 3, b's'], &[40, 6, 0, 0, 0, 9]], Unreadable::Status),
            (&[start], Unreadable::SessionId),
            (&[start, &[44, 2]], Unreadable::SessionId),
            (&[start, &[44, 3, b's'], &[42, 4, 0, 1]], Unreadable::Value(Type::ACCT_INPUT_OCTETS)),
        ];
        for (run, expected) in table {
            let mut buffer = [0; 100];
            assert_eq!(read(&request(&mut buffer, &run.concat())), Err(expected));
        }
    }

    #[test]
    fn a_nas_without_a_name_is_called_by_its_address() {
        let (mut buffer, mut room) = ([0; 100], [0; 100]);
        let packet = request(&mut buffer, &[40, 6, 0, 0, 0, 1, 44, 3, b's']);
        let mut run = Encoder::run(&mut room);
        pass_on(&packet, FROM, &mut run);
        assert_eq!(run.finish().unwrap(), [4, 6, 192, 0, 2, 1, 44, 3, b's']);
    }

    #[test]
    fn a_nas_is_part_of_itself_said_in_full() {
        let full = Nas { ipv4: Some(Ipv4Addr::LOCALHOST), identifier: Some(b"a"), ipv6: None };
        let by = |identifier| Nas { identifier, ..Nas::default() };
        assert!(by(Some(b"a")).is_part_of(&full) && Nas::default().is_part_of(&full));
        assert!(!by(Some(b"b")).is_part_of(&full) && !full.is_part_of(&by(Some(b"a"))));
    }

    proptest! {
        /// Whatever a packet has, nothing that is passed on is lost, changed or moved.
        #[test]
        fn what_is_not_said_anew_is_passed_on_octet_by_octet(
            attributes in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..40),
        ) {
            let mut whole = vec![32, 3, b'n'];
            let mut expected = whole.clone();
            for (kind, value) in &attributes {
                let attribute = [&[*kind, u8::try_from(value.len() + 2).unwrap()], &value[..]].concat();
                if !is_said_anew(Type(*kind)) {
                    expected.extend_from_slice(&attribute);
                }
                whole.extend(attribute);
            }
            let (mut buffer, mut room) = ([0; PACKET_SIZE_MAX], [0; PACKET_SIZE_MAX]);
            let packet = request(&mut buffer, &whole);
            let mut run = Encoder::run(&mut room);
            pass_on(&packet, FROM, &mut run);
            prop_assert_eq!(run.finish().unwrap(), &expected[..]);
            let _ = read(&packet);
        }
    }
}
