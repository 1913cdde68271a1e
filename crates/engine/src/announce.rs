//! Accounting-On and Accounting-Off towards one server (RFC 2866 section 5.1).
//!
//! ```text
//!   On   due, durable ─▶ old Stops ─▶ sent ───▶ R transmissions, S s apart ─▶ answered, or given up
//!                                      │ plain                                 │ wait
//!                                      └──────▶ told, durable ─▶ Starts may go ◀┘
//!   Off  durable ─▶ sent ─▶ R transmissions, S s apart ─▶ answered, or given up
//! ```
//!
//! A server that closes the sessions of the box when it hears of Accounting-On must not hear of it behind a Start. So no Start
//! leaves before the ledger has it that the server need not be told any more, and a life that finds it *due* may tell it again.
//!
//! Like a probe it has an identifier and no request, and takes no place from the accounting. It tells nothing of the server's
//! health: a server that does not answer costs its transmissions once, and no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::record::Announcement;
use model::settings::Secret;
use model::time::{Mono, Now};

use crate::server::Identifier;

/// What is out.
pub(crate) struct Out {
    pub(crate) identifier: Identifier,
    pub(crate) authenticator: [u8; 16],
    /// It travels with the packet, as with any request.
    pub(crate) secret: Arc<Secret>,
    pub(crate) octets: Vec<u8>,
    /// Transmissions so far, and how many there are in all.
    pub(crate) transmissions: u8,
    pub(crate) transmissions_max: u8,
    pub(crate) timeout: Duration,
    pub(crate) last: Mono,
}

impl Out {
    /// The wait for the reply to the last transmission is over.
    pub(crate) fn is_overdue(&self, now: Mono) -> bool {
        now >= self.last.plus(self.timeout)
    }

    /// Nothing follows the last transmission.
    pub(crate) fn is_spent(&self) -> bool {
        self.transmissions >= self.transmissions_max
    }
}

/// How far it is.
pub(crate) enum Phase {
    /// The ledger, or a Stop of an earlier boot, goes first.
    Waiting,
    Out(Out),
    /// Answered, or given up.
    Ended,
}

/// One server's.
pub(crate) struct Errand {
    /// The server's number in the shard, and where it is.
    pub(crate) server: u16,
    pub(crate) address: SocketAddr,
    /// Groups that hold their Starts for it; the first is the one that it is told as a server of.
    pub(crate) groups: Vec<u16>,
    pub(crate) is_off: bool,
    /// Starts wait for its end.
    pub(crate) waits: bool,
    /// Accounting began, or ceased.
    pub(crate) event: Now,
    /// It is not begun later than this …
    pub(crate) begin_by: Mono,
    pub(crate) phase: Phase,
    /// A record of this kind was asked for, and it is in the ledger when so many of the shard's records are durable.
    pub(crate) awaits: Option<(Announcement, Option<u64>)>,
    /// Starts may go.
    pub(crate) is_released: bool,
}

impl Errand {
    /// Whether it has come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_released && matches!(self.phase, Phase::Ended)
    }

    /// When it needs a look; `None`: something else happens before.
    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        match &self.phase {
            Phase::Waiting => Some(self.begin_by),
            Phase::Out(out) => Some(out.last.plus(out.timeout)),
            Phase::Ended => None,
        }
    }
}
