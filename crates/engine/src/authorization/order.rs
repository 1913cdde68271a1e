//! What a request asks for, in the shards' terms.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use model::domain::Terms;
use model::event::ClassList;
use wire::radius::attribute::{Attribute, VendorAttributes, as_ipv6, as_prefix, as_u32, as_u64, error_cause, huawei};
use wire::radius::name::{self, Form};
use wire::radius::{Packet, Type};

use crate::run::Run;

/// The interim interval that may be asked for, seconds: what is believed of an Access-Accept (BEHAVIOUR.md 3.3, rule 2).
const INTERIM_INTERVAL: std::ops::RangeInclusive<u32> = 60..=3_932_100;

/// What by which sessions are found, the one that tells most first.
pub(crate) const LOOKED_UP: [Type; 6] = [
    Type::ACCT_SESSION_ID,
    Type::FRAMED_IPV6_ADDRESS,
    Type::FRAMED_IP_ADDRESS,
    Type::FRAMED_IPV6_PREFIX,
    Type::DELEGATED_IPV6_PREFIX,
    Type::USER_NAME,
];

/// What is to be done with which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What a session must say of itself to be meant: all of it. At least one is among [`LOOKED_UP`].
    pub(crate) conditions: Vec<(Type, Box<[u8]>)>,
    /// The vendor's number of the connection, as a further condition.
    pub(crate) connection: Option<u32>,
    /// NAS addresses that the request names and that the judge does not know.
    pub(crate) nas_addresses: Vec<IpAddr>,
    /// What it is to be done with them.
    pub(crate) deed: Deed,
    /// Shards say what would come of it, and nothing is done.
    pub(crate) is_trial: bool,
}

/// What is done with a session that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It is logged out.
    Disconnect,
    /// It is changed.
    Change(Change),
}

/// What is new. What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Acct-Interim-Interval, seconds.
    pub(crate) interim_s: Option<u32>,
    /// Session-Timeout, seconds from now.
    pub(crate) session_timeout_s: Option<u32>,
    /// Class: all of them; none: as before.
    pub(crate) class: Vec<Box<[u8]>>,
    /// Whether an interim follows at once.
    pub(crate) is_reported: bool,
}

/// How one shard has obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many sessions are meant, at least one. All of them obeyed, and the ledger has it; or would, when that is weighed.
    Obeyed(u64),
    /// None was meant.
    NotFound,
    /// Another NAS is meant.
    NotOurs,
    /// It cannot be done now, and nothing was done: a session has no room for what is new, or is to be logged out by a plane that
    /// is away and is not accounted for, so that the ledger does not remember it.
    Unavailable,
    /// A session is not accounted for, so that nothing remembers what changes; nothing was done.
    Prohibited,
}

/// For the audit log: what is to be done, and which sessions are meant.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.deed {
            Deed::Disconnect => "disconnect",
            Deed::Change(_) => "change",
        })?;
        for (kind, value) in &self.conditions {
            let name = name::of(*kind);
            write!(f, " {}=", name.map_or("?", |name| name.text))?;
            match (name.map(|name| name.form), as_u32(value)) {
                (Some(Form::Text), _) => write!(f, "{}", value.escape_ascii())?,
                (Some(Form::Ipv4), Some(address)) => write!(f, "{}", Ipv4Addr::from_bits(address))?,
                _ => value.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?,
            }
        }
        self.connection.map_or(Ok(()), |connection| write!(f, " Connect-ID={connection}"))
    }
}

impl Order {
    /// Whether it is only weighed, and nothing done.
    pub fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// The answer, when these are all shards' words.
    pub(super) fn verdict(&self, outcomes: &[Outcome]) -> Result<(), u32> {
        let names_other = self.conditions.iter().any(|(kind, _)| *kind == Type::NAS_IDENTIFIER);
        if outcomes.contains(&Outcome::Prohibited) {
            Err(error_cause::ADMINISTRATIVELY_PROHIBITED)
        } else if outcomes.contains(&Outcome::Unavailable) {
            Err(error_cause::RESOURCES_UNAVAILABLE)
        } else if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Obeyed(_))) {
            Ok(())
        } else if names_other || outcomes.contains(&Outcome::NotOurs) {
            Err(error_cause::NAS_IDENTIFICATION_MISMATCH)
        } else {
            Err(error_cause::SESSION_CONTEXT_NOT_FOUND)
        }
    }
}

/// Reads a request that is believed: what is to be weighed first.
///
/// # Errors
/// The Error-Cause of the refusal.
pub(super) fn read(packet: &Packet<'_>, disconnects: bool, sysname: &str, is_reported: bool) -> Result<Order, u32> {
    let mut conditions: Vec<(Type, Box<[u8]>)> = Vec::new();
    let (mut connection, mut nas_addresses) = (None, Vec::<IpAddr>::new());
    let mut change = Change { is_reported, ..Change::default() };
    for attribute in packet.attributes() {
        match attribute.kind {
            // These say how it is asked, not what.
            Type::MESSAGE_AUTHENTICATOR
            | Type::PROXY_STATE
            | Type::EVENT_TIMESTAMP
            | Type::REPLY_MESSAGE
            | Type::ACCT_TERMINATE_CAUSE => {}
            // It means a session of this box if it is called so, or was when the session came up.
            Type::NAS_IDENTIFIER if attribute.value == sysname.as_bytes() => {}
            Type::NAS_IP_ADDRESS | Type::NAS_IPV6_ADDRESS => {
                let named = address(&attribute).ok_or(error_cause::INVALID_REQUEST)?;
                once(nas_addresses.iter().any(|known| known.is_ipv4() == named.is_ipv4()))?;
                nas_addresses.push(named);
            }
            kind if is_condition(kind) => {
                if !is_well_formed(&attribute) || conditions.iter().any(|(known, _)| *known == kind) {
                    return Err(error_cause::INVALID_REQUEST);
                }
                conditions.push((kind, attribute.value.into()));
            }
            Type::VENDOR_SPECIFIC => {
                once(connection.is_some())?;
                connection = Some(connection_in(&attribute)?);
            }
            Type::SERVICE_TYPE => return Err(error_cause::UNSUPPORTED_SERVICE),
            _ if disconnects => return Err(error_cause::UNSUPPORTED_ATTRIBUTE),
            Type::ACCT_INTERIM_INTERVAL => {
                once(change.interim_s.is_some())?;
                let interval = attribute.as_u32().filter(|interval| INTERIM_INTERVAL.contains(interval));
                change.interim_s = Some(interval.ok_or(error_cause::INVALID_ATTRIBUTE_VALUE)?);
            }
            Type::SESSION_TIMEOUT => {
                once(change.session_timeout_s.is_some())?;
                let timeout = attribute.as_u32().filter(|timeout| *timeout > 0);
                change.session_timeout_s = Some(timeout.ok_or(error_cause::INVALID_ATTRIBUTE_VALUE)?);
            }
            Type::CLASS if change.class.len() < ClassList::MAX && !attribute.value.is_empty() => {
                change.class.push(attribute.value.into());
            }
            Type::CLASS => return Err(error_cause::INVALID_ATTRIBUTE_VALUE),
            _ => return Err(error_cause::UNSUPPORTED_ATTRIBUTE),
        }
    }
    let names_session = conditions.iter().any(|(kind, _)| LOOKED_UP.contains(kind));
    let changes = change.interim_s.is_some() || change.session_timeout_s.is_some() || !change.class.is_empty();
    if !names_session || !(disconnects || changes) {
        return Err(error_cause::MISSING_ATTRIBUTE);
    }
    let deed = if disconnects { Deed::Disconnect } else { Deed::Change(change) };
    Ok(Order { conditions, connection, nas_addresses, deed, is_trial: true })
}

/// What may be said once was said before, or not.
fn once(again: bool) -> Result<(), u32> {
    if again { Err(error_cause::INVALID_REQUEST) } else { Ok(()) }
}

/// Whether an attribute of this type tells which session is meant (RFC 5176 section 3).
fn is_condition(kind: Type) -> bool {
    const FURTHER: [Type; 6] = [
        Type::NAS_IDENTIFIER,
        Type::NAS_PORT,
        Type::NAS_PORT_ID,
        Type::CALLING_STATION_ID,
        Type::ACCT_MULTI_SESSION_ID,
        Type::FRAMED_INTERFACE_ID,
    ];
    LOOKED_UP.contains(&kind) || FURTHER.contains(&kind)
}

fn is_well_formed(attribute: &Attribute<'_>) -> bool {
    let value = attribute.value;
    match attribute.kind {
        Type::FRAMED_IP_ADDRESS | Type::NAS_PORT => as_u32(value).is_some(),
        Type::FRAMED_INTERFACE_ID => as_u64(value).is_some(),
        Type::FRAMED_IPV6_ADDRESS => as_ipv6(value).is_some(),
        Type::FRAMED_IPV6_PREFIX | Type::DELEGATED_IPV6_PREFIX => as_prefix(value).is_some(),
        _ => !value.is_empty(),
    }
}

fn address(attribute: &Attribute<'_>) -> Option<IpAddr> {
    match attribute.kind {
        Type::NAS_IP_ADDRESS => attribute.as_ipv4().map(IpAddr::V4),
        _ => attribute.as_ipv6().map(IpAddr::V6),
    }
}

/// Of a vendor's attributes only the number of the connection is understood.
fn connection_in(attribute: &Attribute<'_>) -> Result<u32, u32> {
    let mut inside = VendorAttributes::of_value(attribute.value).ok_or(error_cause::INVALID_REQUEST)?;
    let number = match inside.next() {
        Some(vendor) if vendor.kind == huawei::CONNECT_ID => {
            as_u32(vendor.value).ok_or(error_cause::INVALID_REQUEST)?
        }
        _ => return Err(error_cause::UNSUPPORTED_ATTRIBUTE),
    };
    if inside.next().is_some() { Err(error_cause::UNSUPPORTED_ATTRIBUTE) } else { Ok(number) }
}

/// Whether a session with these attributes is meant. A user is meant by the whole name and by the one that servers are told.
pub(crate) fn is_meant(order: &Order, run: Run<'_>, terms: &Terms) -> bool {
    let says = |(kind, value): &(Type, Box<[u8]>)| {
        let mut own = run.attributes().filter(|attribute| attribute.kind == *kind);
        match *kind {
            Type::FRAMED_IPV6_PREFIX | Type::DELEGATED_IPV6_PREFIX => {
                own.any(|own| own.as_prefix().is_some_and(|prefix| Some(prefix) == as_prefix(value)))
            }
            Type::USER_NAME => own.any(|own| [own.value, terms.user_name(own.value)].contains(&&**value)),
            _ => own.any(|own| own.value == &**value),
        }
    };
    let is_connected = |connection: u32| {
        run.vendor_attributes()
            .any(|vendor| vendor.kind == huawei::CONNECT_ID && as_u32(vendor.value) == Some(connection))
    };
    order.conditions.iter().all(says) && order.connection.is_none_or(is_connected)
}
