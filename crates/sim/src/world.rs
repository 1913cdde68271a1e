//! The world of one seed: what happens when, one thing after the other, in virtual time.
//!
//! First comes trouble, as long as the scenario says. Then all faults stop; a while later every subscriber leaves; and
//! then the engine has so long to bring everything to an end.

mod load;
mod oddities;
mod operator;
mod orders;
mod trouble;

use std::collections::BTreeMap;
use std::time::Duration;

use model::time::{Mono, Now, Wall};

use crate::authorizer::Authorizer;
use crate::bill_server::BillServer;
use crate::disk::Disk;
use crate::driver::{Around, Command, Disks, EAR, Process, Start, Wants, read_card, read_store};
use crate::fallible::{Fallible, Struck};
use crate::network::{Datagram, Network};
use crate::oracle::{Oracle, Violation};
use crate::plane::Plane;
use crate::scenario::{CopyServer, Knobs, Scenario, Stretch};
use crate::seed::Dice;
use crate::server::{Mood, Server};
use crate::trace::Trace;
pub use load::Load;
use trouble::Trouble;

/// The wall clock when the box started.
const WALL: u64 = 1_795_000_000_000;
/// Subscribers live on so long after the last fault.
const CALM: Duration = Duration::from_secs(100);
/// By then everything must have come to its end: a server is taken for dead for three minutes, a Stop has up to four
/// transactions with pauses between, over three servers.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// So much longer where the queue is tried again a few users at a time.
const PATIENCE_OF_ROUNDS: Duration = Duration::from_secs(60 * 60);
/// Where thousands of bills have come together, one file goes after the other: so long for the next.
const PATIENCE_OF_FILES: Duration = Duration::from_secs(10 * 60);

/// Something that happens.
enum Happening {
    /// The process is started.
    Start,
    /// A worker goes once around its loop.
    Turn { life: u32, worker: usize },
    /// The writer does.
    Write { life: u32 },
    /// A disk operation ends.
    DiskDone { life: u32, number: u64 },
    /// An attempt to upload a file ends.
    Uploaded { life: u32, number: u64 },
    /// A datagram reaches the engine's box.
    ToEngine(Datagram),
    /// A datagram reaches a server.
    ToServer(Datagram),
    /// A subscriber does something.
    Subscriber { plane: usize, name: Vec<u8> },
    /// A server asks for subscribers to be logged out or changed.
    Order,
    /// A plane's subscribers move octets.
    Count { plane: usize },
    /// A plane reads its verdicts.
    Verdicts { plane: usize },
    /// A plane links.
    Link { plane: usize },
    /// A fault.
    Trouble(Trouble),
    /// Faults stop.
    Heal,
    /// Somebody sets the wall clock.
    SetClock(i64),
    /// More of what the world is loaded with.
    Load,
    /// Something odd.
    Oddity,
    /// Everybody does something.
    Crowd,
    /// An operator commits other groups.
    Commit,
    /// An operator shuts accounting down; everybody is to go until then.
    ShutDown { life: u32, until: Mono },
    /// Servers are told that it has ceased.
    Cease { life: u32 },
    /// An operator resets the card, having thought better of shipping what is on it.
    Reset,
    /// Everybody leaves.
    Close,
}

/// What one seed came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Sessions that there were.
    pub sessions: u64,
    /// How long they were up, all together, as the planes saw them each time that they counted.
    pub up: Duration,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Operations that were counted, where one was to fail; and that one.
    pub operations: u64,
    /// `None`: there were not so many, and nothing failed.
    pub struck: Option<Struck>,
}

/// One seed's world.
pub struct World {
    now: Mono,
    /// When the box was booted last, and how often: its clock begins there.
    booted: Mono,
    boots: u64,
    /// By how much the wall clock was set, milliseconds.
    clock_set: i64,
    order: u64,
    happenings: BTreeMap<(Mono, u64), Happening>,
    /// When each worker, and the writer, is called next.
    wakes: BTreeMap<usize, Mono>,
    write_at: Option<Mono>,
    /// Which planes will look at their verdicts soon.
    reading: Vec<bool>,
    scenario: Scenario,
    dice: Dice,
    /// Of an operator who resets the card while it is emptied.
    hasty: Option<Dice>,
    authorizer: Option<Authorizer>,
    /// Of an operator who changes groups, and shuts accounting down.
    changes: Option<Dice>,
    /// Of what goes wrong besides.
    oddities: Option<Dice>,
    load: Option<(Load, Dice)>,
    disks: Disks,
    network: Network,
    servers: Vec<Server>,
    around: Around,
    process: Option<Process>,
    life: u32,
    /// When the process dies next, the box is booted.
    reboots_next: bool,
    port_next: u16,
    healed: bool,
    closed: Option<Mono>,
    /// When the bill server had one file more.
    delivered: Mono,
    up: Duration,
    faults: BTreeMap<&'static str, u64>,
}

impl World {
    /// The world of `seed`; `traced` keeps the trace.
    pub fn new(seed: u64, knobs: Knobs, traced: bool) -> World {
        let mut dice = Dice::new(seed);
        let mut scenario = Scenario::new(&mut dice.fork(), knobs);
        let authorizer = World::authorizer(seed, &mut scenario);
        let mut oddities = World::oddities(seed, &mut scenario);
        let mut changes = World::changes(seed);
        let load = knobs.load.map(|load| (load, Dice::new(seed).fork()));
        if let Some(load) = knobs.load {
            scenario.load(load, knobs.minutes.is_some(), knobs.sessions.is_some());
            (oddities, changes) = (None, None);
        }
        scenario.tell_servers(&mut Dice::new(seed.rotate_left(46)));
        let servers =
            scenario.servers.iter().map(|(address, secret)| Server::new(*address, secret.clone(), dice.fork()));
        let mut servers: Vec<_> = servers.collect();
        if scenario.is_half_deaf {
            servers.iter_mut().for_each(|server| server.mood = Mood::HalfDeaf);
        }
        let copy_server = scenario.copy_server.iter().cloned();
        servers.extend(copy_server.map(|CopyServer { address, secret, dice }| Server::new(address, secret, dice)));
        let planes = (0..scenario.planes).map(|number| Plane::new(number, &scenario, dice.fork())).collect();
        let oracle = Oracle::new(&scenario);
        let mut world = World {
            now: Mono::from_nanos(1_000_000_000),
            booted: Mono::ZERO,
            boots: 0,
            clock_set: 0,
            order: 0,
            happenings: BTreeMap::new(),
            wakes: BTreeMap::new(),
            write_at: None,
            reading: vec![false; scenario.planes],
            disks: Disks { ledger: Disk::new(dice.fork()), card: Disk::new(dice.fork()) },
            network: Network::new(dice.fork()),
            servers,
            around: Around {
                bill_server: BillServer::new(dice.fork()),
                planes,
                oracle,
                trace: Trace::new(traced),
                fallible: Fallible::new(knobs.fails),
                sent: Vec::new(),
                server_news: Vec::new(),
                announcing_news: Vec::new(),
                narrow: scenario.narrow.clone(),
            },
            process: None,
            life: 0,
            reboots_next: false,
            port_next: 20_000,
            healed: false,
            closed: None,
            delivered: Mono::ZERO,
            up: Duration::ZERO,
            faults: BTreeMap::new(),
            scenario,
            dice,
            authorizer,
            changes,
            oddities,
            load,
            hasty: seed.is_multiple_of(4).then(|| Dice::new(!seed)),
        };
        world.begin();
        if seed % 4 == 1 {
            world.set_clock_now_and_then(&mut Dice::new(!seed));
        }
        world
    }

    /// By up to two hours, back or forth.
    fn set_clock_now_and_then(&mut self, dice: &mut Dice) {
        for _ in 0..dice.between(1, 4) {
            let by = i64::try_from(dice.below(14_400_000)).unwrap_or_default() - 7_200_000;
            let at = self.scenario.stretch.of(dice.seconds(5, 300));
            self.after(at, Happening::SetClock(by));
        }
    }

    /// Runs until everything has come to its end, or a rule was broken.
    pub fn run(&mut self) -> Outcome {
        while !self.has_ended() {
            let Some(((at, _), happening)) = self.happenings.pop_first() else { break };
            self.now = at;
            self.around.trace.at(at);
            self.happen(happening);
            self.send();
            if let Some(with_power) = self.around.fallible.take_kill() {
                self.die("killed where that was wanted");
                if with_power {
                    self.cut_power();
                }
            }
        }
        if self.around.oracle.violation.is_none() {
            self.reckon();
        }
        let counts = self.network.counts;
        for (kind, count) in [
            ("datagrams lost", counts.lost),
            ("duplicated", counts.duplicated),
            ("corrupted", counts.corrupted),
            ("forged", counts.forged),
            ("cut off", counts.cut_off),
            ("datagrams shed", self.process.as_ref().map_or(0, Process::shed)),
            ("events that waited with their plane", self.around.planes.iter().map(|plane| plane.waited).sum()),
            ("segments at most", self.disks.ledger.most),
            ("bits rotten when read", self.disks.ledger.rotten + self.disks.card.rotten),
            ("segments removed", self.disks.ledger.removed),
            ("card segments removed", self.disks.card.removed),
        ] {
            self.faults.insert(kind, count);
        }
        for (kind, count) in self.around.oracle.tallies() {
            self.faults.insert(kind, count);
        }
        Outcome {
            violation: self.around.oracle.violation.clone(),
            elapsed: self.now.since(Mono::ZERO),
            sessions: self.around.oracle.incarnation_count(),
            up: self.up,
            faults: self.faults.clone(),
            operations: self.around.fallible.count,
            struck: self.around.fallible.struck,
        }
    }

    /// What happened, line by line.
    pub fn trace(&self) -> &[String] {
        self.around.trace.lines()
    }

    fn begin(&mut self) {
        let Scenario { settings, faults, trouble, names_per_plane, .. } = &self.scenario;
        self.around.trace.say(format_args!("{faults:?}"));
        for (name, group) in &settings.radius_groups {
            self.around.trace.say(format_args!("group {name}: {group:?}"));
        }
        for (name, domain) in &settings.domains {
            let scheme = settings.schemes.get(&model::settings::ObjectName::from(domain.scheme_or_default("")));
            self.around.trace.say(format_args!("domain {name}: {:?}, {scheme:?}", domain.radius_group));
        }
        let (trouble, names) = (*trouble, *names_per_plane);
        self.after(Duration::ZERO, Happening::Start);
        for plane in 0..self.around.planes.len() {
            for name in Plane::names(names) {
                let first = self.dice.seconds(0, 20);
                self.after(first, Happening::Subscriber { plane, name });
            }
            self.after(Duration::from_secs(1), Happening::Count { plane });
            let link = self.dice.millis(100, 3000);
            self.after(link, Happening::Link { plane });
        }
        for trouble in Trouble::of(self.scenario.faults) {
            let first = self.dice.seconds(1, 60);
            self.after(first, Happening::Trouble(trouble));
        }
        if self.authorizer.is_some() {
            self.after(Duration::from_secs(1), Happening::Order);
        }
        self.plan_changes();
        self.plan_oddities();
        self.plan_load();
        self.after(trouble, Happening::Heal);
        self.after(trouble + CALM, Happening::Close);
    }

    /// The moment on the box's clocks.
    fn now(&self) -> Now {
        let mono = Mono::ZERO.plus(self.now.since(self.booted));
        Now { mono, wall: Wall::from_millis((WALL + self.now.as_millis()).saturating_add_signed(self.clock_set)) }
    }

    fn at(&mut self, at: Mono, happening: Happening) {
        self.order += 1;
        self.happenings.insert((at.max(self.now), self.order), happening);
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now.plus(delay), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Start => self.start(),
            Happening::Turn { life, worker } => self.turn(life, worker),
            Happening::Write { life } if life == self.life && !self.is_written_already() => self.write(),
            Happening::Write { .. } => {}
            Happening::DiskDone { life, number } => self.disk_done(life, number),
            Happening::Uploaded { life, number } => self.uploaded(life, number),
            Happening::ToEngine(datagram) => self.reach_engine(&datagram),
            Happening::ToServer(datagram) => self.reach_server(&datagram),
            Happening::Subscriber { plane, name } => {
                let (now, pace) = (self.now(), self.scenario.pace_s);
                let next = self.around.planes[plane].act(now, &name, pace, &mut self.around.oracle);
                self.after(next, Happening::Subscriber { plane, name });
                self.wake_workers();
            }
            Happening::Order => self.order(),
            Happening::Count { plane } => {
                let now = self.now();
                let up = self.around.planes[plane].count(now, &mut self.around.oracle);
                let next = self.scenario.stretch.of_interval(Duration::from_secs(2));
                self.up += next * up;
                self.after(next, Happening::Count { plane });
            }
            Happening::Verdicts { plane } => {
                let now = self.now();
                self.around.planes[plane].read_verdicts(now, &mut self.around.oracle);
                self.reading[plane] = false;
                self.wake_workers();
            }
            Happening::Link { plane } => self.link(plane),
            Happening::Trouble(trouble) if !self.healed => self.trouble(trouble),
            Happening::Trouble(_) => {}
            Happening::Heal => self.heal(),
            Happening::SetClock(by) => {
                self.clock_set += by;
                self.around.oracle.clock_set();
                self.around.trace.say(format_args!("the wall clock is set by {by} ms"));
                *self.faults.entry("clock set").or_default() += 1;
            }
            Happening::Load => self.load(),
            Happening::Oddity => self.odd(),
            Happening::Crowd => self.act_together(),
            Happening::Commit => self.commit_groups(),
            Happening::ShutDown { life, until } => self.shut_down(life, until),
            Happening::Cease { life } => self.cease(life),
            Happening::Reset => self.command(&Command::CfcardReset),
            Happening::Close => self.close(),
        }
    }

    /// Everybody leaves, who would leave next of itself; where that may last for hours, soon.
    fn close(&mut self) {
        self.closed = Some(self.now);
        self.around.trace.say(format_args!("everybody leaves"));
        self.around.planes.iter_mut().for_each(|plane| plane.closing = true);
        if self.scenario.stretch != Stretch::default() || self.load.is_some() {
            for plane in 0..self.around.planes.len() {
                for name in Plane::names(self.scenario.names_per_plane) {
                    let goes = self.dice.seconds(0, 60);
                    self.after(goes, Happening::Subscriber { plane, name });
                }
            }
        }
    }

    fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.life += 1;
        self.wakes.clear();
        self.write_at = None;
        let shard_count = if self.life == 1 || self.dice.chance(60) {
            self.scenario.shards
        } else {
            1 + u16::try_from(self.dice.below(3)).unwrap_or_default()
        };
        let shard_count = if self.scenario.narrow.sessions.is_some() { 1 } else { shard_count };
        self.look_at_rot();
        let dice = self.dice.fork();
        let (now, port_next) = (self.now(), self.port_next);
        let mut boot_id = *b"boot No.        ";
        boot_id[8..].copy_from_slice(&self.boots.to_be_bytes());
        let start = Start { scenario: &self.scenario, life: self.life, boot_id, now, shard_count, port_next };
        self.around.fallible.begins();
        self.process = Process::start(&start, &self.disks.ledger, &mut self.around, dice);
        if self.process.is_none() {
            self.around.trace.say(format_args!("life {}: the store cannot be read", self.life));
            self.life += 1;
            return self.after(Duration::from_secs(1), Happening::Start);
        }
        self.write();
        for plane in 0..self.around.planes.len() {
            let link = self.dice.millis(1, 5000);
            self.after(link, Happening::Link { plane });
        }
    }

    fn turn(&mut self, life: u32, worker: usize) {
        // Only the last call for a worker counts.
        if life != self.life || self.wakes.get(&worker) != Some(&self.now) {
            return;
        }
        self.wakes.remove(&worker);
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        let mut wants = Wants::default();
        let outcome = process.turn(worker, now, &mut self.around, &mut wants);
        if outcome.is_err() {
            self.die("killed within a turn");
        } else if process.has_ended() {
            self.die("ended as told");
        } else {
            self.grant(wants);
        }
        for plane in 0..self.around.planes.len() {
            if !self.around.planes[plane].verdicts.is_empty() && !self.reading[plane] {
                self.reading[plane] = true;
                let next = self.dice.millis(1, 200);
                self.after(next, Happening::Verdicts { plane });
            }
        }
    }

    /// Where things last long, only the last call for the writer counts: each that is out asks for another, and they add up.
    /// Elsewhere they are left to come, for the worlds that tests name are made of them.
    fn is_written_already(&self) -> bool {
        self.scenario.stretch != Stretch::default() && self.write_at != Some(self.now)
    }

    fn write(&mut self) {
        let now = self.now();
        self.write_at = None;
        let Some(process) = &mut self.process else { return };
        let mut wants = Wants::default();
        let running = process.is_running();
        process.write(now, &mut self.disks, &mut self.around, &self.scenario.settings, &mut wants);
        if !running && process.is_running() {
            wants.workers.extend((0..process.workers.len()).map(|worker| (now.mono, worker)));
            self.around.fallible.has_recovered();
        }
        self.grant(wants);
    }

    fn disk_done(&mut self, life: u32, number: u64) {
        if life != self.life {
            return;
        }
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        process.disk_done(number, now, &mut self.disks, &mut self.around);
        self.write();
    }

    fn uploaded(&mut self, life: u32, number: u64) {
        if life != self.life {
            return;
        }
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        let before = self.around.bill_server.file_count();
        process.uploaded(number, now, &mut self.disks, &mut self.around);
        if self.around.bill_server.file_count() > before {
            self.delivered = self.now;
        }
        self.write();
    }

    /// Arranges for what the process wants.
    fn grant(&mut self, wants: Wants) {
        let (life, booted) = (self.life, self.booted);
        let on_world = |at: Mono| booted.plus(at.since(Mono::ZERO));
        for (at, number) in wants.disk {
            self.at(on_world(at), Happening::DiskDone { life, number });
        }
        for (at, number) in wants.uploads {
            self.at(on_world(at), Happening::Uploaded { life, number });
        }
        if let Some(at) = wants.writer.map(on_world)
            && self.write_at.is_none_or(|set| at < set)
        {
            self.write_at = Some(at);
            self.at(at, Happening::Write { life });
        }
        for (at, worker) in wants.workers {
            self.wake(worker, on_world(at));
        }
    }

    fn wake(&mut self, worker: usize, at: Mono) {
        let at = if self.scenario.faults.stalls && !self.healed && self.dice.rarely(1) {
            at.plus(self.dice.millis(1, 3000))
        } else {
            at
        };
        if self.wakes.get(&worker).is_none_or(|&set| at < set) {
            self.wakes.insert(worker, at);
            let life = self.life;
            self.at(at, Happening::Turn { life, worker });
        }
    }

    fn wake_workers(&mut self) {
        let count = self.process.as_ref().map_or(0, |process| process.workers.len());
        for worker in 0..count {
            self.wake(worker, self.now.plus(Duration::from_micros(10)));
        }
    }

    /// Puts what has just left on its way.
    fn send(&mut self) {
        for datagram in std::mem::take(&mut self.around.sent) {
            if self.around.fallible.send() {
                self.around.trace.say(format_args!("a datagram to {} does not leave", datagram.to));
                continue;
            }
            for (delay, datagram) in self.network.carry(&datagram) {
                self.after(delay, Happening::ToServer(datagram));
            }
        }
    }

    fn reach_server(&mut self, datagram: &Datagram) {
        if datagram.from == EAR {
            self.authorizer.iter_mut().for_each(|authorizer| authorizer.hear(&datagram.octets));
            return;
        }
        let Some(server) = self.servers.iter_mut().find(|server| server.address == datagram.to) else { return };
        for (delay, octets) in server.handle(self.now, datagram.from, &datagram.octets) {
            let reply = Datagram { from: datagram.to, to: datagram.from, octets };
            if let Some((later, forged)) = self.network.forge(&reply) {
                self.at(self.now.plus(delay + later), Happening::ToEngine(forged));
            }
            for (later, reply) in self.network.carry(&reply) {
                self.at(self.now.plus(delay + later), Happening::ToEngine(reply));
            }
        }
    }

    fn reach_engine(&mut self, datagram: &Datagram) {
        if datagram.to == EAR {
            self.reach_ear(datagram);
            return;
        }
        if let Some(worker) = self.process.as_mut().and_then(|process| process.receive(datagram)) {
            self.wake(worker, self.now.plus(Duration::from_micros(10)));
        }
    }

    fn link(&mut self, plane: usize) {
        let now = self.now().mono;
        let Some(process) = &mut self.process else { return };
        if process.is_running() && !process.is_linked(plane) && !process.ending {
            process.link(plane, now, &mut self.around);
            self.around.planes[plane].announce(&mut self.around.oracle);
            self.wake_workers();
        } else if !process.is_running() {
            self.after(Duration::from_millis(200), Happening::Link { plane });
        }
    }

    fn patience(&self) -> Duration {
        let has_rounds = self.scenario.settings.radius_cache.rounds.is_some();
        let patience = if has_rounds { PATIENCE + PATIENCE_OF_ROUNDS } else { PATIENCE };
        patience + self.patience_of_oddities()
    }

    fn has_ended(&self) -> bool {
        if self.around.oracle.violation.is_some() {
            return true;
        }
        let Some(closed) = self.closed else { return false };
        let quiet = self.around.planes.iter().all(|plane| plane.is_quiet() && plane.is_empty());
        let until = closed.plus(self.patience()).max(self.delivered.plus(PATIENCE_OF_FILES));
        quiet && self.process.as_ref().is_some_and(Process::is_quiet) || self.now > until
    }

    fn reckon(&mut self) {
        let quiet = self.around.planes.iter().all(|plane| plane.is_quiet() && plane.is_empty());
        if !quiet || !self.process.as_ref().is_some_and(Process::is_quiet) {
            let (process, now) = (self.process.as_ref(), self.now());
            let describe = |process: &Process| process.describe(now, &self.around.planes);
            let what = process.map_or("there is no process".to_owned(), describe);
            self.around.oracle.violation = Some(Violation { rule: "everything comes to its end", what });
            return;
        }
        let (store, card) = (read_store(&self.disks.ledger), read_card(&self.disks.card));
        self.around.oracle.reckon(&store, &card, &self.servers);
    }
}
