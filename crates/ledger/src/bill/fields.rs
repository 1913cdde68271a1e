//! What a bill says, by name. csv and json print this list in this order.

use std::net::SocketAddr;

use model::event::Prefix;
use model::record::BillReason;
use model::record::ZeroStop;
use model::time::Wall;

use super::{Bill, BillName};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not said. json leaves the field out, csv leaves it empty.
    Absent,
    /// A count.
    Number(u64),
    /// Epoch seconds with three decimals.
    Time(Wall),
    /// Octets that are most often UTF-8; what is not is replaced by U+FFFD.
    Octets(&'a [u8]),
    /// Text.
    Text(String),
    /// The octets of several attributes, in hexadecimal. csv puts a space between them.
    Hex(Vec<&'a [u8]>),
}

/// A name and a value.
pub type Field<'a> = (&'static str, Value<'a>);

/// The names, in order. Scripts read them: none is renamed, none removed.
pub const NAMES: [&str; 39] = [
    "id",
    "reason",
    "session",
    "plane_session",
    "user",
    "domain",
    "start",
    "stop",
    "session_time",
    "cause",
    "in_octets",
    "in_packets",
    "out_octets",
    "out_packets",
    "framed_ip",
    "mac",
    "nas_port",
    "nas_port_id",
    "class",
    "v6_in_octets",
    "v6_in_packets",
    "v6_out_octets",
    "v6_out_packets",
    "method",
    "delivered",
    "server",
    "nas",
    "plane",
    "group",
    "framed_ipv6_prefix",
    "delegated_prefix",
    "framed_ipv6_address",
    "calling",
    "multi_session_id",
    "nas_identifier",
    "zero_stop",
    "event_timestamp",
    "session_timeout",
    "nas_address",
];

impl<'a> Bill<'a> {
    /// Every field, in the order of [`NAMES`].
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        NAMES.into_iter().zip(self.values())
    }

    fn values(&self) -> [Value<'a>; NAMES.len()] {
        let record = &self.record;
        let (opened, closed, who) = (&record.opened, &record.closed, &self.subscriber);
        let (v4, v6) = (closed.counters.v4, closed.counters.v6);
        [
            Value::Text(BillName { nas: self.nas, id: record.id }.to_string()),
            text(record.reason.as_str()),
            octets(who.session_id),
            Value::Octets(opened.session),
            octets(who.user),
            Value::Octets(opened.domain.as_bytes()),
            Value::Time(opened.at.wall),
            Value::Time(closed.at.wall),
            Value::Number(closed.session_time_s.into()),
            Value::Number(closed.cause.into()),
            Value::Number(v4.in_octets),
            Value::Number(v4.in_packets),
            Value::Number(v4.out_octets),
            Value::Number(v4.out_packets),
            who.framed_ip.map_or(Value::Absent, |address| Value::Text(address.to_string())),
            who.mac.map_or(Value::Absent, |mac| Value::Text(mac.map(|octet| format!("{octet:02x}")).join(":"))),
            who.nas_port.map_or(Value::Absent, |port| Value::Number(port.into())),
            octets(who.nas_port_id),
            if who.class.is_empty() { Value::Absent } else { Value::Hex(who.class.clone()) },
            Value::Number(v6.in_octets),
            Value::Number(v6.in_packets),
            Value::Number(v6.out_octets),
            Value::Number(v6.out_packets),
            text(opened.scheme.mode.as_str()),
            text(record.delivered.as_str()),
            server(record.server),
            Value::Octets(self.nas.as_bytes()),
            Value::Octets(opened.plane.as_bytes()),
            Value::Octets(opened.group.as_bytes()),
            prefix(who.framed_ipv6_prefix),
            prefix(who.delegated_prefix),
            who.framed_ipv6_address.map_or(Value::Absent, |address| Value::Text(address.to_string())),
            octets(who.calling),
            octets(who.multi_session_id),
            octets(who.nas_identifier),
            self.zero_stop(),
            Value::Number(closed.at.wall.event_timestamp().into()),
            if opened.session_timeout_s == 0 { Value::Absent } else { Value::Number(opened.session_timeout_s.into()) },
            record.nas_address.map_or(Value::Absent, |address| Value::Text(address.to_string())),
        ]
    }

    fn zero_stop(&self) -> Value<'a> {
        match (self.record.reason, self.record.zero_stop) {
            (BillReason::StartFailed, ZeroStop::Acknowledged) => text("acknowledged"),
            (BillReason::StartFailed, ZeroStop::Unknown) => text("unknown"),
            (BillReason::StopUnanswered | BillReason::QueueDropped | BillReason::Rebooted, _) => Value::Absent,
        }
    }
}

fn text<'a>(word: &'static str) -> Value<'a> {
    Value::Octets(word.as_bytes())
}

fn octets(value: Option<&[u8]>) -> Value<'_> {
    value.map_or(Value::Absent, Value::Octets)
}

fn server<'a>(server: Option<SocketAddr>) -> Value<'a> {
    server.map_or(Value::Absent, |server| Value::Text(server.to_string()))
}

fn prefix<'a>(prefix: Option<Prefix>) -> Value<'a> {
    prefix.map_or(Value::Absent, |prefix| Value::Text(format!("{}/{}", prefix.address, prefix.length)))
}
