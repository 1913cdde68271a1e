//! In some worlds more goes wrong than `Trouble` knows: the way to some servers is cut in one direction or both, a server has
//! another secret than the box, lives in part only, or is started again and has forgotten whom it answered; a plane does not log
//! out whom it should; and bits rot. With dice of its own, so that the other worlds stay as they are.

use std::time::Duration;

use super::{Happening, World};
use crate::driver::{rot_of_card, rot_of_store};
use crate::network::Partition;
use crate::oracle::Violation;
use crate::scenario::Scenario;
use crate::seed::Dice;
use crate::server::Mood;

/// Beside the stream of a seed; with this one, no world that a test names is odd.
const ODDITIES: u64 = 9206;

/// So many come one behind the other, and how far apart: the first of them open a server's window, the last find it wide.
const CROWDS: u32 = 8;
const BETWEEN_CROWDS: Duration = Duration::from_millis(50);

/// Bits that are looked at one by one each time that a process begins.
const ROTTEN: usize = 4;

impl World {
    pub(super) fn oddities(seed: u64, scenario: &mut Scenario) -> Option<Dice> {
        let mut dice = Dice::new(seed).beside(ODDITIES);
        scenario.is_odd = dice.chance(30);
        if scenario.is_odd {
            scenario.narrow(&dice);
        }
        scenario.is_odd.then_some(dice)
    }

    /// Thinks of the first.
    pub(super) fn plan_oddities(&mut self) {
        if let Some(dice) = &mut self.oddities {
            let first = dice.seconds(1, 40);
            self.disks.ledger.rot = dice.chance(30).then(|| dice.fork());
            self.disks.card.rot = dice.chance(30).then(|| dice.fork());
            for plane in &mut self.around.planes {
                plane.disobeys = dice.chance(30).then(|| dice.fork());
            }
            self.after(first, Happening::Oddity);
        }
    }

    /// Something odd comes, and the next is thought of.
    pub(super) fn odd(&mut self) {
        let Some(dice) = self.oddities.as_mut().filter(|_| !self.healed) else { return };
        let server = dice.index(self.servers.len());
        let mood = dice.pick(&[None, Some(Mood::Misled), Some(Mood::HalfDead), Some(Mood::Restarting)]);
        let word = match mood {
            Some(mood) => {
                self.servers[server].mood = mood;
                mood.word()
            }
            None => {
                let all: Vec<_> = self.servers.iter().map(|server| server.address).collect();
                self.network.partition = Partition::new(dice, &all);
                "partitions"
            }
        };
        let next = self.scenario.stretch.of(dice.seconds(1, 60));
        *self.faults.entry(word).or_default() += 1;
        if self.scenario.narrow.door {
            for crowd in 0..CROWDS {
                self.after(BETWEEN_CROWDS * crowd, Happening::Crowd);
            }
        }
        let (address, partition) = (self.servers[server].address, &self.network.partition);
        self.around.trace.say(format_args!("odd: {address} is {mood:?}, {partition:?}"));
        self.after(next, Happening::Oddity);
    }

    /// Nothing is odd any more.
    pub(super) fn heal_oddities(&mut self) {
        self.network.partition = None;
        (self.disks.ledger.rot, self.disks.card.rot) = (None, None);
        self.around.planes.iter_mut().for_each(|plane| plane.disobeys = None);
        (self.around.narrow.wire, self.around.narrow.life) = (false, false);
    }

    /// A process is about to read the stores. Beside that, copies are read in each of which one bit is another: what recovery
    /// tells of them then was written so, and what is missing it says.
    pub(super) fn look_at_rot(&mut self) {
        let Some(dice) = &mut self.oddities else { return };
        let mut wrong = None;
        for _ in 0..ROTTEN {
            let (segment, bit) = (dice.next(), dice.next());
            wrong = wrong.or(rot_of_store(&self.disks.ledger, self.scenario.log.1, segment, bit));
            wrong = wrong.or(rot_of_card(&self.disks.card, &self.around.oracle, segment, bit));
        }
        *self.faults.entry("bits rotten at rest").or_default() += 2 * ROTTEN as u64;
        if let Some(what) = wrong {
            let violation = Violation { rule: "what has rotted is found out", what };
            self.around.oracle.violation.get_or_insert(violation);
        }
    }

    /// So long a world waits for what is odd to be over.
    pub(super) fn patience_of_oddities(&self) -> Duration {
        if self.oddities.is_some() { Duration::from_secs(10 * 60) } else { Duration::ZERO }
    }
}
