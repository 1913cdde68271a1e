//! Odd worlds in which there is less room than a machine is used to, or the process dies where that is worst.

use model::settings::AccountingOn;

use super::Scenario;
use crate::seed::Dice;

/// Beside the stream of what is odd, so that the other odd worlds stay as they are.
const NARROW: u64 = 6143;
/// A crowd of so many opens a server's window far enough for all its identifiers to be in use.
const MOB: usize = 300;
/// Sessions for which there is room in any world.
const SESSIONS_LEAST: usize = 4;

/// What is narrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrow {
    /// Sessions for which a process has room, in one shard; whoever comes besides is refused.
    pub(crate) sessions: Option<usize>,
    /// Datagrams that are ready wait for the wire.
    pub(crate) wire: bool,
    /// The process dies as soon as the end of a session is durable that says that more follows, and nothing behind it is.
    pub(crate) life: bool,
    /// Now and then everybody does something at the same moment.
    pub(crate) door: bool,
}

impl Scenario {
    /// Whether there may be no room for somebody: a crowd leaves more Stops than a table holds.
    pub(crate) fn may_be_full(&self) -> bool {
        self.narrow.sessions.is_some() || self.names_per_plane * self.planes >= MOB
    }

    /// Of an odd world.
    pub(crate) fn narrow(&mut self, odd: &Dice) {
        let mut dice = odd.beside(NARROW);
        let names = self.names_per_plane * self.planes;
        let room = (names / 2).max(SESSIONS_LEAST);
        self.narrow = Narrow {
            sessions: dice.chance(20).then_some(room),
            wire: dice.chance(25),
            life: dice.chance(25),
            door: names >= MOB,
        };
        if self.narrow.sessions.is_some() {
            self.shards = 1;
        }
        if dice.chance(25) {
            for group in self.settings.radius_groups.values_mut() {
                group.accounting_on = AccountingOn::Wait;
            }
        }
        if self.narrow.door {
            // By two every ten seconds, the last of them would be told of in a day.
            self.settings.radius_limits.clear();
            self.settings.radius_cache.rounds = None;
        }
    }
}
