//! Accounting-On and Accounting-Off towards one server (RFC 2866 section 5.1).
//!
//! ```text
//!   On   due, durable ─▶ old Stops ─▶ sent ───▶ R transmissions, S s apart ─▶ answered, or given up
//!                                      │ plain                                 │ wait
//!                                      └──────▶ told, durable ─▶ Starts may go ◀┘
//!   Off  durable ─▶ sent ─▶ R transmissions, S s apart ─▶ answered, or given up
//! ```
//!
//! A server that closes the sessions of the box when it hears of Accounting-On must not hear of it behind a Start. So which servers
//! are to be told is durable before the first life of a boot has any shard ([`Boot`]), no Start leaves before the ledger has it
//! that the server need not be told any more, and a life that finds it *due* may tell it again.
//!
//! Like a probe it has an identifier and no request, and takes no place from the accounting. It tells nothing of the server's
//! health: a server that does not answer costs its transmissions once, and no more.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayString;
use model::record::{Announced, Announcement};
use model::settings::{AccountingOn, Secret, ServerPath, Settings};
use model::time::{Mono, Now};
use wire::radius::attribute::{Type, acct_status_type};
use wire::radius::authenticator::{Unsigned, sign_request};
use wire::radius::{Code, Encoder};

use crate::server::Identifier;

/// A boot of the box, as far as servers are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The box's boot id.
    pub id: [u8; 16],
    /// The ledger does not have it that this boot has begun. It is to have that, and all of `announced` before it, before a shard
    /// lives: then a life that is killed leaves to the next what it was to tell.
    pub is_new: bool,
    /// What servers are told of it.
    pub announced: Vec<Announced>,
}

impl Boot {
    /// `booted`: the boot that the ledger says has begun; `recorded`: what it says of servers. In a new boot every server is to
    /// be told whose group asks for it in `settings`. Who comes to be one of these later in the boot is not: other servers,
    /// with which it may share a data base, have had Starts by then.
    pub fn new(id: [u8; 16], booted: Option<[u8; 16]>, recorded: &[Announced], settings: &Settings) -> Boot {
        let is_new = booted != Some(id);
        let mut announced: Vec<Announced> = recorded.iter().filter(|known| known.boot_id == id).copied().collect();
        let groups = settings.radius_groups.values().filter(|group| group.accounting_on != AccountingOn::Disabled);
        // A server without a secret cannot be spoken to.
        let signed = groups.flat_map(|group| {
            let servers = group.accounting.iter().filter(|server| group.secret_of(server).is_some());
            servers.map(|server| group.path_of(server).server())
        });
        for server in signed.filter(|_| is_new) {
            if !announced.iter().any(|known| known.server == server) {
                announced.push(Announced { server, boot_id: id, state: Announcement::Due });
            }
        }
        Boot { id, is_new, announced }
    }
}

/// What is out.
pub(crate) struct Out {
    /// The server's number in the shard.
    pub(crate) server: u16,
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
    /// The ledger, a Stop of an earlier boot, or a way to the server goes first.
    Waiting,
    Out(Out),
    /// Answered, or given up.
    Ended,
}

/// One server's.
pub(crate) struct Errand {
    /// The server, whichever path leads to it.
    pub(crate) server: ServerPath,
    pub(crate) is_off: bool,
    /// Accounting began, or ceased.
    pub(crate) event: Now,
    pub(crate) phase: Phase,
    /// A record of this kind was asked for, and it is in the ledger when so many of the shard's records are durable.
    pub(crate) awaits: Option<(Announcement, Option<u64>)>,
    /// Starts need not wait for it.
    pub(crate) is_released: bool,
}

impl Errand {
    /// The server is to be told that accounting begins, and Starts wait.
    pub(crate) fn on(server: ServerPath, now: Now) -> Errand {
        Errand { server, is_off: false, event: now, phase: Phase::Waiting, awaits: None, is_released: false }
    }

    /// It is to be told that accounting has ceased, when the ledger has that.
    pub(crate) fn off(server: ServerPath, now: Now) -> Errand {
        let awaits = Some((Announcement::Off, None));
        Errand { is_off: true, awaits, is_released: true, ..Errand::on(server, now) }
    }

    /// Whether it has come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.is_released && matches!(self.phase, Phase::Ended)
    }
}

/// A packet as it is to be written.
pub(crate) struct Draft<'a> {
    pub(crate) is_off: bool,
    pub(crate) identifier: Identifier,
    pub(crate) epoch: u32,
    pub(crate) sysname: &'a str,
    pub(crate) nas: &'a [u8],
    pub(crate) event: Now,
}

impl Draft<'_> {
    /// Writes and signs it. Its Acct-Session-Id is no session's: those have 33 octets (BEHAVIOUR.md 8.2).
    pub(crate) fn write<'a>(&self, room: &'a mut [u8], signs: bool, secret: &Secret, now: Now) -> &'a mut [u8] {
        let (word, status) = match self.is_off {
            false => ("on", acct_status_type::ACCOUNTING_ON),
            true => ("off", acct_status_type::ACCOUNTING_OFF),
        };
        let mut id = ArrayString::<32>::new();
        write!(id, "{word}{:08x}", self.epoch).expect("eleven of 32 octets");
        let delay = now.mono.since(self.event.mono).as_secs();
        let mut packet = Encoder::packet(room, Code::ACCOUNTING_REQUEST, self.identifier.value);
        packet
            .bytes(Type::ACCT_SESSION_ID, id.as_bytes())
            .bytes(Type::NAS_IDENTIFIER, self.sysname.as_bytes())
            .raw(self.nas)
            .u32(Type::ACCT_STATUS_TYPE, status)
            .u32(Type::ACCT_DELAY_TIME, u32::try_from(delay).unwrap_or(u32::MAX))
            .u32(Type::EVENT_TIMESTAMP, self.event.wall.event_timestamp());
        if signs {
            packet.message_authenticator();
        }
        let packet = packet.finish().expect("a name and what every request carries are less than a packet");
        sign_request(&mut Unsigned { packet, secret: secret.octets(), message_authenticator: signs });
        packet
    }
}
