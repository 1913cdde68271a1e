//! Session sources: where the daemon itself learns who is online, and where their octets are counted.

use std::fmt;
use std::time::Duration;

use super::{ObjectName, Settings};

/// Which session source; two of one kind differ in their place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePlace {
    /// What is looked at.
    pub kind: SourceKind,
    /// The directory, the socket, or the pattern of the interfaces' names.
    pub at: String,
}

/// What a session source looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A directory with a JSON file for each session.
    Directory,
    /// A Unix socket that is told lines of the plane script.
    Socket,
    /// Network interfaces whose names match a pattern.
    Interfaces,
}

impl SourceKind {
    /// The keyword.
    pub const fn as_str(self) -> &'static str {
        match self {
            SourceKind::Directory => "directory",
            SourceKind::Socket => "socket",
            SourceKind::Interfaces => "interfaces",
        }
    }
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.at)
    }
}

/// What is configured of one session source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSource {
    /// The domain of sessions that do not say theirs.
    pub domain: Option<ObjectName>,
    /// Of interfaces: the directory with a JSON file for each that is to be called otherwise than it is.
    pub details: Option<String>,
    /// Where their octets are counted; `None`: as [`Settings::counters_of`] says.
    pub counters: Option<CounterOrigin>,
}

/// `counter-source`: where octets are counted, and how often they are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterOrigin {
    /// Where.
    pub from: CountedBy,
    /// Seconds between two sweeps, 1–3,600.
    pub interval_s: u16,
}

impl CounterOrigin {
    /// The time between two sweeps.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s.into())
    }
}

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// Whoever tells of the session, in what it tells.
    Table,
    /// The network interface that the session's NAS-Port-Id names.
    Interfaces,
    /// An eBPF program, in the box's [`CounterMaps`] by the session's addresses.
    Ebpf,
}

/// The pinned eBPF maps of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterMaps {
    /// The one whose keys are IPv4 addresses.
    pub v4: Option<CounterMap>,
    /// The one whose keys are IPv6 prefixes, and the bits of these, 1–128.
    pub v6: Option<(CounterMap, u8)>,
}

impl CounterMaps {
    /// Bits of an IPv6 prefix.
    pub const PREFIX_DEFAULT: u8 = 64;
}

/// A pinned eBPF map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterMap {
    /// Where it is pinned.
    pub path: String,
    /// Where the numbers stand in its values.
    pub values: MapValues,
}

/// Where numbers of 64 bits stand, in octets from the beginning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapValues {
    /// Octets that the subscriber sent.
    pub in_octets: u32,
    /// Packets that it sent; `None`: not counted.
    pub in_packets: Option<u32>,
    /// Octets that it received.
    pub out_octets: u32,
    /// Packets that it received; `None`: not counted.
    pub out_packets: Option<u32>,
}

/// As the program that comes with Tollgate counts.
impl Default for MapValues {
    fn default() -> MapValues {
        MapValues { in_octets: 0, in_packets: Some(8), out_octets: 16, out_packets: Some(24) }
    }
}

impl CounterOrigin {
    /// `interval`.
    pub const INTERVAL_DEFAULT_S: u16 = 10;
}

impl Settings {
    /// Where the octets of a source's sessions are counted: as the source says, else as the box does; else interfaces that are
    /// sessions count themselves, and whoever tells of a session tells its octets.
    pub fn counters_of(&self, place: &SourcePlace, source: &SessionSource) -> CounterOrigin {
        let natural = || CounterOrigin {
            from: match place.kind {
                SourceKind::Directory | SourceKind::Socket => CountedBy::Table,
                SourceKind::Interfaces => CountedBy::Interfaces,
            },
            interval_s: CounterOrigin::INTERVAL_DEFAULT_S,
        };
        source.counters.or(self.counter_source).unwrap_or_else(natural)
    }
}
