//! Names of arguments (RFC 8907 section 8), in the order in which a record of a subscriber has them. What stands behind
//! them is the caller's.

/// The name of an argument: without `=` and `*`, which end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(pub &'static str);

/// What all records of one event have in common: here one session, from its Start to its Stop.
pub const TASK_ID: Name = Name("task_id");
/// When it began, in epoch seconds.
pub const START_TIME: Name = Name("start_time");
/// When it ended, in epoch seconds.
pub const STOP_TIME: Name = Name("stop_time");
/// The zone of the times above.
pub const TIMEZONE: Name = Name("timezone");
/// The primary service: `ppp`, `shell`, …
pub const SERVICE: Name = Name("service");
/// What runs over the service: `ip`, `ipv6`, …
pub const PROTOCOL: Name = Name("protocol");
/// The user's IPv4 address.
pub const ADDR: Name = Name("addr");
/// The user's IPv6 address.
pub const ADDR_IPV6: Name = Name("addrv6");
/// How long it took, in seconds.
pub const ELAPSED_TIME: Name = Name("elapsed_time");
/// Octets that the user sent.
pub const BYTES_IN: Name = Name("bytes_in");
/// Octets that the user received.
pub const BYTES_OUT: Name = Name("bytes_out");
/// Packets that the user sent.
pub const PAKS_IN: Name = Name("paks_in");
/// Packets that the user received.
pub const PAKS_OUT: Name = Name("paks_out");
/// Why it ended, as a number. Not in the RFC; servers of the field know it.
pub const DISC_CAUSE: Name = Name("disc-cause");
/// The same, more closely.
pub const DISC_CAUSE_EXT: Name = Name("disc-cause-ext");
/// [`DISC_CAUSE`] as HWTACACS spells it.
pub const HW_DISC_CAUSE: Name = Name("disc_cause");
/// [`DISC_CAUSE_EXT`] as HWTACACS spells it.
pub const HW_DISC_CAUSE_EXT: Name = Name("disc_cause_ext");
/// An event that is no session's: `net_acct`, `sys_acct`, …
pub const EVENT: Name = Name("event");
/// Why an event came to be.
pub const REASON: Name = Name("reason");
/// Something that the server may show to somebody.
pub const ERR_MSG: Name = Name("err_msg");
