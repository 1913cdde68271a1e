//! The faults: when each comes, and how long it stays.

use std::time::Duration;

use ledger::log::DiskFault;

use super::{Happening, World};
use crate::bill_server::BillMood;
use crate::network::Badness;
use crate::scenario::Faults;
use crate::server::Mood;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Network,
    Servers,
    DiskFails,
    DiskIsSlow,
    Kill,
    Restart,
    LinkLost,
    PlaneDies,
    CardGoes,
    BillServer,
}

impl Trouble {
    pub(super) fn of(faults: Faults) -> Vec<Trouble> {
        let all = [
            (faults.network, Trouble::Network),
            (faults.servers, Trouble::Servers),
            (faults.disk, Trouble::DiskFails),
            (faults.disk_slow, Trouble::DiskIsSlow),
            (faults.kills, Trouble::Kill),
            (faults.restarts, Trouble::Restart),
            (faults.links, Trouble::LinkLost),
            (faults.planes, Trouble::PlaneDies),
            (faults.card, Trouble::CardGoes),
            (faults.bill_server, Trouble::BillServer),
        ];
        all.into_iter().filter_map(|(has, trouble)| has.then_some(trouble)).collect()
    }

    const fn word(self) -> &'static str {
        match self {
            Trouble::Network => "network changes",
            Trouble::Servers => "server moods",
            Trouble::DiskFails => "disk failures",
            Trouble::DiskIsSlow => "disk slow",
            Trouble::Kill => "kills",
            Trouble::Restart => "restarts",
            Trouble::LinkLost => "links lost",
            Trouble::PlaneDies => "planes lost",
            Trouble::CardGoes => "card changes",
            Trouble::BillServer => "bill server moods",
        }
    }
}

impl World {
    /// A fault comes, and the next of its kind is thought of.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        *self.faults.entry(trouble.word()).or_default() += 1;
        self.around.trace.say(format_args!("trouble: {trouble:?}"));
        match trouble {
            Trouble::Network => {
                self.network.badness = Badness {
                    loss: self.dice.pick(&[0, 50, 300, 900]),
                    duplication: self.dice.pick(&[0, 100]),
                    corruption: self.dice.pick(&[0, 50, 200]),
                    forgery: self.dice.pick(&[0, 300]),
                    delay_ms: self.dice.pick(&[5, 50, 2000, 6000]),
                };
            }
            Trouble::Servers => {
                let server = self.dice.index(self.servers.len());
                let moods =
                    [Mood::Well, Mood::Silent, Mood::Silent, Mood::Mute, Mood::Slow(9), Mood::Flapping, Mood::Twice];
                self.servers[server].mood = self.dice.pick(&moods);
                let (address, mood) = (self.servers[server].address, self.servers[server].mood);
                self.around.trace.say(format_args!("{address} is {mood:?}"));
            }
            Trouble::DiskFails => {
                let card = self.dice.chance(30);
                let disk = if card { &mut self.disks.card } else { &mut self.disks.ledger };
                disk.failing_until = self.now.plus(self.dice.millis(1, 30_000));
                disk.fault = self.dice.pick(&[DiskFault::Io, DiskFault::NoSpace]);
            }
            Trouble::DiskIsSlow => {
                self.disks.ledger.slowness_ms = self.dice.pick(&[0, 20, 500, 4000]);
                self.disks.card.slowness_ms = self.dice.pick(&[0, 20, 500, 4000]);
            }
            Trouble::Kill => self.kill(),
            Trouble::Restart => {
                if let Some(process) = &mut self.process {
                    process.ending = true;
                    self.wake_workers();
                }
            }
            Trouble::LinkLost => {
                let plane = self.dice.index(self.around.planes.len());
                self.lose_link(plane);
            }
            Trouble::PlaneDies => {
                let plane = self.dice.index(self.around.planes.len());
                self.lose_link(plane);
                self.around.planes[plane].lose_memory(&mut self.around.oracle);
            }
            Trouble::CardGoes => {
                let card = &mut self.disks.card;
                card.is_away = !card.is_away;
                if card.is_away && self.dice.chance(50) {
                    card.cut_power();
                }
            }
            Trouble::BillServer => {
                let moods = [BillMood::Well, BillMood::Failing, BillMood::Mute, BillMood::Crowded];
                self.around.bill_server.mood = self.dice.pick(&moods);
            }
        }
        let next = self.dice.seconds(1, 90);
        self.after(next, Happening::Trouble(trouble));
    }

    /// Between two steps, or in the middle of a turn that is still to come.
    fn kill(&mut self) {
        let in_turn = self.dice.chance(70).then(|| u32::try_from(self.dice.below(40)).unwrap_or_default());
        match (in_turn, &mut self.process) {
            (Some(steps), Some(process)) => process.death.come_in(steps),
            (None, Some(_)) => self.die("killed between two turns"),
            (_, None) => {}
        }
    }

    /// The process is gone, and comes again.
    pub(super) fn die(&mut self, how: &str) {
        let Some(process) = self.process.take() else { return };
        self.port_next = process.port_next();
        self.around.trace.say(format_args!("life {}: {how}", self.life));
        process.die(&mut self.disks, &mut self.around, self.now);
        if self.scenario.faults.power && self.dice.chance(50) {
            self.around.trace.say(format_args!("what was not synced is lost"));
            *self.faults.entry("power cuts").or_default() += 1;
            self.disks.ledger.cut_power();
            self.disks.card.cut_power();
        }
        self.life += 1;
        let next = self.dice.pick(&[10, 500, 5000, 40_000]);
        let next = self.dice.millis(next / 2, next);
        self.after(next, Happening::Start);
    }

    fn lose_link(&mut self, plane: usize) {
        let now = self.now;
        if let Some(process) = &mut self.process {
            process.unlink(plane, now, &mut self.around);
        }
        let back = self.dice.pick(&[5, 2000, 30_000]);
        let back = self.dice.millis(back / 2, back);
        self.after(back, Happening::Link { plane });
    }

    /// Faults stop, and what is broken is repaired.
    pub(super) fn heal(&mut self) {
        self.around.trace.say(format_args!("faults stop"));
        self.healed = true;
        self.network.badness = Badness { delay_ms: 5, ..Badness::default() };
        self.servers.iter_mut().for_each(|server| server.mood = Mood::Well);
        for disk in [&mut self.disks.ledger, &mut self.disks.card] {
            disk.failing_until = self.now;
            disk.slowness_ms = 0;
            disk.is_away = false;
        }
        self.around.bill_server.mood = BillMood::Well;
        for plane in 0..self.around.planes.len() {
            self.after(Duration::from_secs(1), Happening::Link { plane });
        }
    }
}
