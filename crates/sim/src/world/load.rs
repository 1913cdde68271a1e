//! Worlds that are loaded with one thing beyond all measure, and have no other fault.
//!
//! | load | who sheds it |
//! |---|---|
//! | `intake` | nobody: the plane's ring is full, its events wait with the plane, in order |
//! | `replies` | the socket's buffer, blindly; what is left is known for forged by its authenticator. A genuine reply that is shed is asked for again |
//! | `loss` | the queue of interims: a newer one takes the place of an older. Then Stops become bills |
//! | `bills` | bills wait in the pool, then on the card, then in memory; beyond that the newest is dropped, with an alarm. No Start waits for it |

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;
use model::settings::CacheBackupMode;

use super::{Happening, World};
use crate::network::{Badness, Datagram};
use crate::plane::Plane;
use crate::scenario::{Faults, Narrow, Scenario, bill_server};
use crate::seed::Dice;
use crate::server::Mood;

/// What a world is loaded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Everybody does something at the same moment, every second.
    Intake,
    /// Replies arrive that no server sent, ten thousand a second, and now and then more at once than a socket holds.
    Replies,
    /// For an hour no datagram reaches anybody.
    Loss,
    /// Accounting servers answer nobody, and the bill server takes minutes for a file.
    Bills,
}

/// Forged replies that arrive together, and how often.
const FORGED: usize = 1000;
const FORGED_EVERY: Duration = Duration::from_millis(100);
/// One in so many times there are more of them.
const FORGED_BURST: (u64, usize) = (50, 10_000);

impl Scenario {
    /// Nothing else goes wrong.
    pub(super) fn load(&mut self, load: Load, has_minutes: bool, has_sessions: bool) {
        self.faults = Faults::default();
        self.is_odd = false;
        self.narrow = Narrow::default();
        self.is_loaded = load != Load::Replies;
        let mut lasts = |minutes: u64| {
            if !has_minutes {
                self.trouble = Duration::from_secs(60 * minutes);
            }
        };
        match load {
            Load::Intake => {
                lasts(2);
                if !has_sessions {
                    self.names_per_plane = 100;
                }
            }
            Load::Replies => lasts(2),
            Load::Loss => {
                lasts(60);
                self.pace_s = 1800;
            }
            Load::Bills => {
                lasts(30);
                let bills = &mut self.settings.local_aaa_server;
                bills.pool_enabled = true;
                bills.bill_server = Some(bill_server());
                bills.cache.backup_mode = CacheBackupMode::Sftp;
                (bills.cache.backup_interval_min, bills.cfcard.backup_interval_min) = (1, 1);
            }
        }
    }
}

impl World {
    /// The load begins when the first subscribers are there.
    pub(super) fn plan_load(&mut self) {
        if self.load.is_some() {
            self.after(Duration::from_secs(30), Happening::Load);
        }
    }

    /// The load comes, or goes on.
    pub(super) fn load(&mut self) {
        let Some((load, dice)) = self.load.as_mut().filter(|_| !self.healed) else { return };
        match load {
            Load::Intake => {
                self.act_together();
                self.after(Duration::from_secs(1), Happening::Load);
            }
            Load::Replies => {
                let count = if dice.below(FORGED_BURST.0) == 0 { FORGED_BURST.1 } else { FORGED };
                let mut dice = dice.fork();
                for _ in 0..count {
                    self.forge(&mut dice);
                }
                self.after(FORGED_EVERY, Happening::Load);
            }
            Load::Loss => self.network.badness = Badness { loss: 1000, ..Badness::default() },
            Load::Bills => {
                self.servers.iter_mut().for_each(|server| server.mood = Mood::Mute);
                self.around.bill_server.slowness_s = 300;
            }
        }
    }

    /// More events at once than a ring holds.
    pub(super) fn act_together(&mut self) {
        let now = self.now();
        for plane in &mut self.around.planes {
            for name in Plane::names(self.scenario.names_per_plane) {
                // When it does something next of itself stays as it was.
                let _ = plane.act(now, &name, 1, &mut self.around.oracle);
            }
        }
        self.wake_workers();
    }

    /// A reply that no server sent, to some port of the engine.
    fn forge(&mut self, dice: &mut Dice) {
        let Some(to) = self.process.as_ref().and_then(|process| process.some_port(dice)) else { return };
        let servers = &self.scenario.servers;
        let from = match dice.below(4) {
            0 => SocketAddr::from(([198, 51, 100, dice.next().to_le_bytes()[0]], 1813)),
            _ => servers[dice.index(servers.len())].0,
        };
        let length = dice.pick(&[20, 20, 20, 38, 4, 0]);
        let mut octets: Vec<u8> = (0..length).map(|_| dice.next().to_le_bytes()[0]).collect();
        if length >= 20 {
            // An Accounting-Response to anything, but for its authenticator.
            let length = u16::try_from(length).unwrap_or_default().to_be_bytes();
            (octets[0], octets[2], octets[3]) = (5, length[0], length[1]);
        }
        *self.faults.entry("forged in a flood").or_default() += 1;
        self.reach_engine(&Datagram { from, to, octets });
    }
}
