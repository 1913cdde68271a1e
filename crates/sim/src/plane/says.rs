//! What a plane says, as it stands in its ring.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::counters::{CounterSlot, Counters};
use model::event::{ClassList, Down, PlaneEvent, Reset, Subscriber, Up, Update};
use model::time::Wall;

/// One event of the ring.
pub(crate) struct Saying {
    /// The session that it is about; the engine does not see this.
    pub(crate) incarnation: usize,
    /// Its first record.
    pub(crate) position: u64,
    /// The first record behind it.
    pub(crate) end: u64,
    pub(crate) what: What,
}

/// What an event says.
pub(crate) enum What {
    Up {
        name: Vec<u8>,
        who: Who,
        counters: CounterSlot,
        at: Option<Wall>,
        /// The session whose implied Down this is.
        replaces: Option<usize>,
    },
    Update {
        name: Vec<u8>,
        framed_ip: Ipv4Addr,
        framed_ipv6: Option<Ipv6Addr>,
    },
    Down {
        name: Vec<u8>,
        cause: u8,
        totals: Option<Counters>,
        at: Option<Wall>,
    },
    Reset {
        name: Vec<u8>,
        counters: CounterSlot,
    },
    ResyncBegin,
    ResyncEnd,
}

/// A subscriber.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) user: Vec<u8>,
    pub(crate) domain: Option<Vec<u8>>,
    pub(crate) framed_ip: Ipv4Addr,
    pub(crate) framed_ipv6: Option<Ipv6Addr>,
    pub(crate) limits: Limits,
    pub(crate) mac: [u8; 6],
    pub(crate) class: Vec<Vec<u8>>,
    pub(crate) acct_interim_interval: Option<u32>,
}

/// How long a subscriber may stay, and how much it may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) session_timeout: Option<u32>,
    pub(crate) time_quota: Option<u64>,
    pub(crate) volume_quota: Option<u64>,
}

impl Who {
    fn subscriber(&self) -> Subscriber<'_> {
        let mut class = ClassList::default();
        for octets in &self.class {
            class.push(octets);
        }
        Subscriber {
            user: Some(&self.user),
            domain: self.domain.as_deref(),
            framed_ip: Some(self.framed_ip),
            framed_ipv6_address: self.framed_ipv6,
            session_timeout: self.limits.session_timeout,
            time_quota: self.limits.time_quota,
            volume_quota: self.limits.volume_quota,
            mac: Some(self.mac),
            class,
            acct_interim_interval: self.acct_interim_interval,
            // A server that there is, or none.
            auth_server: Some(self.mac[5] % 4).filter(|n| *n > 0).map(|n| [10, 0, 0, n].into()),
            ..Subscriber::default()
        }
    }
}

impl What {
    /// The session that it names.
    pub(crate) fn name(&self) -> Option<&[u8]> {
        match self {
            What::Up { name, .. } | What::Update { name, .. } | What::Down { name, .. } | What::Reset { name, .. } => {
                Some(name)
            }
            What::ResyncBegin | What::ResyncEnd => None,
        }
    }

    /// Records of the ring that it takes.
    pub(crate) fn records(&self) -> u64 {
        match self {
            What::Up { who, .. } => 1 + who.class.len() as u64,
            _ => 1,
        }
    }

    /// As the engine is told.
    pub(crate) fn event(&self) -> PlaneEvent<'_> {
        match self {
            What::Up { name, who, counters, at, .. } => {
                PlaneEvent::Up(Up { session: name, subscriber: who.subscriber(), counters: *counters, at: *at })
            }
            What::Update { name, framed_ip, framed_ipv6 } => {
                let (framed_ip, framed_ipv6_address) = (Some(*framed_ip), *framed_ipv6);
                let changed = Subscriber { framed_ip, framed_ipv6_address, ..Subscriber::default() };
                PlaneEvent::Update(Update { session: name, changed, at: None })
            }
            What::Down { name, cause, totals, at } => {
                PlaneEvent::Down(Down { session: name, cause: *cause, totals: *totals, at: *at })
            }
            What::Reset { name, counters } => PlaneEvent::Reset(Reset { session: name, counters: *counters }),
            What::ResyncBegin => PlaneEvent::ResyncBegin,
            What::ResyncEnd => PlaneEvent::ResyncEnd,
        }
    }

    /// For the trace.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            What::Up { .. } => "up",
            What::Update { .. } => "update",
            What::Down { .. } => "down",
            What::Reset { .. } => "reset",
            What::ResyncBegin => "resync begins",
            What::ResyncEnd => "resync ends",
        }
    }
}
