//! The faults: when each comes, and how long it stays.

use std::time::Duration;

use ledger::log::DiskFault;
use model::time::Mono;

use super::{Happening, World};
use crate::bill_server::BillMood;
use crate::driver::Command;
use crate::network::Badness;
use crate::scenario::{Faults, bill_server, local_bills};
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
    Reboot,
    Operator,
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
            (faults.reboots, Trouble::Reboot),
            (faults.operator, Trouble::Operator),
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
            Trouble::Reboot => "reboots wanted",
            Trouble::Operator => "operator commands",
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
                let now = self.now().mono;
                let card = self.dice.chance(30);
                let disk = if card { &mut self.disks.card } else { &mut self.disks.ledger };
                disk.failing_until = now.plus(self.dice.millis(1, 30_000));
                disk.fault = self.dice.pick(&[DiskFault::Io, DiskFault::NoSpace]);
            }
            Trouble::DiskIsSlow => {
                self.disks.ledger.slowness_ms = self.dice.pick(&[0, 20, 500, 4000]);
                self.disks.card.slowness_ms = self.dice.pick(&[0, 20, 500, 4000]);
            }
            Trouble::Kill => self.kill(),
            Trouble::Restart => {
                let now = self.now().mono;
                if let Some(process) = &mut self.process {
                    process.ending = true;
                    self.around.oracle.ends(now);
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
            Trouble::Reboot => {
                self.reboots_next = true;
                if self.process.is_some() {
                    self.kill();
                } else {
                    self.reboot();
                }
            }
            Trouble::Operator => self.operate(),
        }
        let next = match trouble {
            Trouble::Reboot => self.dice.seconds(20, 240),
            // One command often follows another at once.
            Trouble::Operator if self.dice.chance(40) => self.dice.millis(0, 300),
            Trouble::Operator => self.dice.seconds(1, 30),
            _ => self.dice.seconds(1, 90),
        };
        let next = self.scenario.stretch.of(next);
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
        let now = self.now().mono;
        self.around.oracle.died(now);
        process.die(&mut self.disks, &mut self.around, now);
        let is_booted = self.reboots_next || self.scenario.faults.reboots && !self.healed && self.dice.chance(10);
        if (self.scenario.faults.power || is_booted) && self.dice.chance(50) {
            self.cut_power();
        }
        if is_booted {
            self.reboot();
        }
        self.life += 1;
        let next = self.dice.pick(&[10, 500, 5000, 40_000]);
        let next = self.dice.millis(next / 2, next);
        self.after(next, Happening::Start);
    }

    pub(super) fn cut_power(&mut self) {
        self.around.trace.say(format_args!("what was not synced is lost"));
        *self.faults.entry("power cuts").or_default() += 1;
        self.disks.ledger.cut_power();
        self.disks.card.cut_power();
    }

    /// The box is booted: its clock begins anew, and nothing is left of the planes' memory.
    fn reboot(&mut self) {
        *self.faults.entry("reboots").or_default() += 1;
        self.reboots_next = false;
        let before = self.now().mono;
        self.booted = Mono::from_nanos(self.now.as_millis() * 1_000_000);
        self.boots += 1;
        self.around.trace.say(format_args!("the box is booted: boot {}", self.boots));
        for disk in [&mut self.disks.ledger, &mut self.disks.card] {
            disk.failing_until = Mono::ZERO.plus(disk.failing_until.since(before));
        }
        self.around.oracle.booted();
        self.around.planes.iter_mut().for_each(|plane| plane.boot(&mut self.around.oracle));
    }

    /// An operator does something with bills, whatever else goes on.
    fn operate(&mut self) {
        let command = match self.dice.below(8) {
            0..=2 => Command::CacheBackup,
            3 | 4 => Command::CfcardBackup(self.dice.pick(&[None, Some("by-hand"), Some("bills")])),
            5 => Command::CfcardReset,
            _ => {
                let bills = &mut self.scenario.settings.local_aaa_server;
                let other = local_bills(&mut self.dice);
                bills.replay = other.replay;
                bills.bill_server = other.bill_server;
                bills.cache.backup_mode = other.cache.backup_mode;
                bills.cache.backup_interval_min = other.cache.backup_interval_min;
                bills.cfcard.backup_interval_min = other.cfcard.backup_interval_min;
                self.around.oracle.configured(bills);
                Command::Configure(Box::new(bills.clone()))
            }
        };
        self.command(&command);
        if let (Command::CfcardBackup(_), Some(hasty)) = (&command, &mut self.hasty) {
            // While bills are read, while the beginning of a file is on its way to the disk, while the file is.
            let pause = hasty.pick(&[3, 10, 30, 100]);
            let pause = hasty.millis(0, pause);
            self.after(pause, Happening::Reset);
        }
    }

    pub(super) fn command(&mut self, command: &Command) {
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.command(command, now, &mut self.disks, &mut self.around);
            self.write();
        }
    }

    fn lose_link(&mut self, plane: usize) {
        let now = self.now().mono;
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
        let now = self.now().mono;
        self.around.oracle.healed(now);
        self.reboots_next = false;
        self.network.badness = Badness { delay_ms: 5, ..Badness::default() };
        self.servers.iter_mut().for_each(|server| server.mood = Mood::Well);
        self.heal_oddities();
        self.around.bill_server.slowness_s = 0;
        for disk in [&mut self.disks.ledger, &mut self.disks.card] {
            disk.failing_until = Mono::ZERO;
            disk.slowness_ms = 0;
            disk.is_away = false;
        }
        self.around.bill_server.mood = BillMood::Well;
        if self.scenario.faults.operator {
            // What waits for a bill server finds one.
            let bills = &mut self.scenario.settings.local_aaa_server;
            bills.bill_server = Some(bill_server());
            let command = Command::Configure(Box::new(bills.clone()));
            self.command(&command);
        }
        for plane in 0..self.around.planes.len() {
            self.after(Duration::from_secs(1), Happening::Link { plane });
        }
    }
}
