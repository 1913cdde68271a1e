//! The process: shards, their rings, and the writer, wired as the daemon wires them, but with a disk, a network and
//! planes that are played, and with a death that may come after any step.
//!
//! ```text
//!   segments ─▶ Recovery ─▶ Replay ─▶ settle the log ─▶ shards: plane known, configure, bind, restore ─▶ link planes
//!                                                          │
//!   worker: now ─▶ plane events ─▶ datagrams ─▶ handle_timeout ─▶ poll_transmit* ─▶ poll_record* while room ─▶ durable
//! ```

mod boot;
mod orders;
mod rot;
mod worker;
mod writer;

use std::net::SocketAddr;
use std::time::Duration;

use engine::{Boot, Ceasing, News};
use ledger::keeper::Area;
use ledger::recover::Recovered;
use model::counters::{CounterSlot, CounterSource, Counters};
use model::ids::PlaneIndex;
use model::settings::{ServerPath, Settings};
use model::time::{Mono, Now, Wall};

pub(crate) use boot::{Memory, read_card, read_store};
use orders::Desk;
pub(crate) use orders::EAR;
pub(crate) use rot::{rot_of_card, rot_of_store};
use worker::Worker;
pub(crate) use worker::shard_of;
pub(crate) use writer::Command;
use writer::{Outside, Writer};

use crate::bill_server::BillServer;
use crate::disk::Disk;
use crate::fallible::Fallible;
use crate::network::Datagram;
use crate::oracle::Oracle;
use crate::plane::Plane;
use crate::scenario::{Narrow, Scenario};
use crate::seed::Dice;
use crate::trace::Trace;

/// The process was killed in the middle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died;

/// Counts down the steps that the process still takes.
#[derive(Debug, Default)]
pub(crate) struct Death {
    steps_left: Option<u32>,
}

impl Death {
    /// It dies after so many steps more.
    pub(crate) fn come_in(&mut self, steps: u32) {
        self.steps_left = Some(steps);
    }

    fn step(&mut self) -> Result<(), Died> {
        match &mut self.steps_left {
            None => Ok(()),
            Some(0) => Err(Died),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

/// What one shard knows of the beginning of accounting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnnouncingNews {
    OldStopsGone,
    StartsMayGo(ServerPath),
}

/// The ledger's disk and the CF card.
pub(crate) struct Disks {
    pub(crate) ledger: Disk,
    pub(crate) card: Disk,
}

impl Disks {
    fn of(&mut self, area: Area) -> &mut Disk {
        match area {
            Area::Ledger => &mut self.ledger,
            Area::Card => &mut self.card,
        }
    }
}

/// What the process meets outside.
pub(crate) struct Around {
    pub(crate) bill_server: BillServer,
    pub(crate) planes: Vec<Plane>,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) fallible: Fallible,
    /// Datagrams that have just left.
    pub(crate) sent: Vec<Datagram>,
    /// What shards have just found out of servers.
    pub(crate) server_news: Vec<(ServerPath, News)>,
    /// What they know of the beginning of accounting, and the others wait for.
    pub(crate) announcing_news: Vec<AnnouncingNews>,
    pub(crate) narrow: Narrow,
}

/// Which plane of the world is behind each of the process's numbers, while it is linked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    names: Vec<String>,
    linked: Vec<Option<usize>>,
}

impl Links {
    /// The number of the plane of this name, now or from now on.
    fn index_of(&mut self, name: &str) -> PlaneIndex {
        let index = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.linked.push(None);
            self.names.len() - 1
        });
        PlaneIndex(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Linked planes: the process's number and the world's.
    fn linked(&self) -> impl Iterator<Item = (PlaneIndex, usize)> {
        let numbered = (0..).zip(&self.linked);
        numbered.filter_map(|(index, linked)| linked.map(|number| (PlaneIndex(index), number)))
    }

    fn plane(&self, index: PlaneIndex) -> Option<usize> {
        self.linked.get(usize::from(index.0)).copied().flatten()
    }
}

/// The counter tables of the planes that are linked.
struct Tables<'a> {
    planes: &'a [Plane],
    links: &'a Links,
}

impl CounterSource for Tables<'_> {
    fn read(&self, plane: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        self.links.plane(plane).and_then(|number| self.planes[number].read(slot))
    }
}

/// What the process wants of the world after it was called.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// Workers to be called at these moments.
    pub(crate) workers: Vec<(Mono, usize)>,
    /// Disk operations, by their numbers, that complete at these moments.
    pub(crate) disk: Vec<(Mono, u64)>,
    /// Attempts to upload files, by their numbers, that end at these moments.
    pub(crate) uploads: Vec<(Mono, u64)>,
    /// The writer to be called at this moment.
    pub(crate) writer: Option<Mono>,
}

/// One life of the engine.
pub(crate) struct Process {
    /// Counted by the world.
    pub(crate) life: u32,
    commands: Vec<Command>,
    boot: Boot,
    started: Wall,
    shard_count: u16,
    recovered: Option<Recovered<Memory>>,
    writer: Writer,
    pub(crate) workers: Vec<Worker>,
    desk: Desk,
    links: Links,
    pub(crate) death: Death,
    /// Told to end: events wait, records leave.
    pub(crate) ending: bool,
    epoch: u32,
    key: [u8; 16],
    dice: Dice,
    port_next: u16,
}

/// How a process is started.
pub(crate) struct Start<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) life: u32,
    /// Which boot of the box it is in.
    pub(crate) boot_id: [u8; 16],
    pub(crate) now: Now,
    pub(crate) shard_count: u16,
    /// The first source port that it may use.
    pub(crate) port_next: u16,
}

impl Process {
    /// Reads the disk and begins a log. The shards come when the log has settled. `None`: the disk cannot be read.
    pub(crate) fn start(start: &Start<'_>, disk: &Disk, around: &mut Around, mut dice: Dice) -> Option<Process> {
        let Start { life, now, shard_count, port_next, .. } = *start;
        // What nobody had heard when the last process died, nobody hears.
        around.server_news.clear();
        around.announcing_news.clear();
        let (mut recovered, begin) = boot::recover(disk, around)?;
        let (keeper, started, boot) = boot::begin(&mut recovered, begin, start, &mut dice);
        around.trace.say(format_args!("life {life}: epoch {}, {shard_count} shards", started.epoch));
        Some(Process {
            life,
            commands: Vec::new(),
            boot,
            started: now.wall,
            shard_count,
            recovered: Some(recovered),
            writer: Writer::new(keeper, &start.scenario.settings.sysname, shard_count, dice.fork()),
            workers: Vec::new(),
            desk: Desk::new(now.mono),
            links: Links::default(),
            death: Death::default(),
            ending: false,
            epoch: started.epoch,
            key: started.key,
            dice,
            port_next,
        })
    }

    /// The source port that the next life may use.
    pub(crate) fn port_next(&self) -> u16 {
        self.port_next
    }

    /// Whether what was recovered is on the disk and the shards live.
    pub(crate) fn is_running(&self) -> bool {
        !self.workers.is_empty()
    }

    /// Calls the writer: it takes records, and asks the disk.
    pub(crate) fn write(
        &mut self,
        now: Now,
        disks: &mut Disks,
        around: &mut Around,
        settings: &Settings,
        wants: &mut Wants,
    ) {
        self.writer.run(now, &mut self.workers, &mut outside(disks, around), wants);
        if self.workers.is_empty() && self.writer.has_settled() {
            around.oracle.settled();
            around.oracle.begun(now.mono, self.shard_count.into());
            self.revive(now, around, settings);
            for command in std::mem::take(&mut self.commands) {
                self.writer.command(&command, now, &mut outside(disks, around));
            }
        }
        for (number, worker) in self.workers.iter_mut().enumerate() {
            if worker.has_news(self.writer.durable(number)) {
                wants.workers.push((now.mono, number));
            }
        }
    }

    /// A disk operation has ended.
    pub(crate) fn disk_done(&mut self, number: u64, now: Now, disks: &mut Disks, around: &mut Around) {
        self.writer.completed(number, now, &mut outside(disks, around));
    }

    /// An attempt to upload a file has ended.
    pub(crate) fn uploaded(&mut self, number: u64, now: Now, disks: &mut Disks, around: &mut Around) {
        self.writer.uploaded(number, now, &mut outside(disks, around));
    }

    /// An operator types something. It waits until the shards live.
    pub(crate) fn command(&mut self, command: &Command, now: Now, disks: &mut Disks, around: &mut Around) {
        if self.is_running() {
            self.writer.command(command, now, &mut outside(disks, around));
        } else {
            self.commands.push(command.clone());
        }
    }

    /// Brings the shards to life, with what the ledger remembers.
    fn revive(&mut self, now: Now, around: &mut Around, settings: &Settings) {
        let Some(recovered) = self.recovered.take() else { return };
        let birth = |shard| engine::Birth {
            epoch: self.epoch,
            key: self.key,
            started: self.started,
            shard,
            shard_count: self.shard_count,
            session_hash: worker::name_hash,
        };
        let narrow = &around.narrow;
        self.workers =
            (0..self.shard_count).map(|shard| Worker::new(birth(shard), narrow, now, self.dice.fork())).collect();
        self.port_next = boot::restore(
            &mut self.workers,
            &recovered.state,
            self.boot.id,
            now,
            settings,
            &mut self.links,
            self.port_next,
        );
        around.oracle.announcing_begins(self.boot.id, recovered.state.replay.announced());
        for worker in &mut self.workers {
            worker.note_links(&self.links);
            worker.shard.begin_announcing(now, &self.boot);
        }
        self.desk.configure(settings);
        around.trace.say(format_args!("life {}: {} sessions restored", self.life, recovered.state.sessions()));
    }

    /// Another configuration is committed: every shard has it before anything else happens. False: there is no shard yet.
    pub(crate) fn commit(&mut self, settings: &Settings) -> bool {
        for worker in &mut self.workers {
            worker.shard.configure(settings);
            self.port_next = worker.bind(boot::NAS, self.port_next);
        }
        self.is_running()
    }

    /// Accounting is shut down, as far as that goes now: nobody is let in any more.
    pub(crate) fn shut_down(&mut self, now: Now) -> Ceasing {
        let mut sum = Ceasing::default();
        for worker in &mut self.workers {
            let Ceasing { online, owing } = worker.shard.shut_down(now);
            (sum.online, sum.owing) = (sum.online + online, sum.owing + owing);
        }
        sum
    }

    /// Servers are told that it has ceased.
    pub(crate) fn announce_off(&mut self, now: Now) {
        self.workers.iter_mut().for_each(|worker| worker.shard.announce_off(now));
    }

    /// Whether all of them were.
    pub(crate) fn has_told_off(&self) -> bool {
        self.workers.iter().all(|worker| worker.shard.told_off().is_some())
    }

    /// A plane links, with the memory that it has; its events are read from where they were consumed.
    pub(crate) fn link(&mut self, number: usize, now: Mono, around: &mut Around) {
        let plane = &around.planes[number];
        let index = self.links.index_of(&plane.name);
        self.links.linked[usize::from(index.0)] = Some(number);
        for worker in &mut self.workers {
            worker.link(now, index, &plane.name, plane.epoch, plane.consumed);
        }
        around.oracle.linked(number, now);
        around.trace.say(format_args!("{} links, epoch {}", plane.name, plane.epoch));
    }

    /// A plane's link is lost.
    pub(crate) fn unlink(&mut self, number: usize, now: Mono, around: &mut Around) {
        let index = self.links.index_of(&around.planes[number].name);
        if self.links.linked[usize::from(index.0)].take().is_some() {
            // The memory is read to the end, whatever became of the plane.
            self.links.linked[usize::from(index.0)] = Some(number);
            let tables = Tables { planes: &around.planes, links: &self.links };
            for worker in &mut self.workers {
                worker.shard.handle_plane_lost(now, index, &tables);
            }
            self.links.linked[usize::from(index.0)] = None;
            around.oracle.unlinked(number);
            around.trace.say(format_args!("{} is lost", around.planes[number].name));
        }
    }

    /// Whether a plane is linked.
    pub(crate) fn is_linked(&self, number: usize) -> bool {
        self.links.linked().any(|(_, linked)| linked == number)
    }

    /// What one shard has found out of a server, the others hear.
    fn pass_news(&mut self, from: usize, now: Mono, around: &mut Around, wants: &mut Wants) {
        for news in around.announcing_news.drain(..) {
            for (number, worker) in self.workers.iter_mut().enumerate().filter(|(number, _)| *number != from) {
                match news {
                    AnnouncingNews::OldStopsGone => worker.shard.handle_old_stops_gone(),
                    AnnouncingNews::StartsMayGo(server) => worker.shard.handle_starts_may_go(server),
                }
                wants.workers.push((now, number));
            }
        }
        for (server, news) in around.server_news.drain(..) {
            for (number, worker) in self.workers.iter_mut().enumerate().filter(|(number, _)| *number != from) {
                worker.shard.handle_server_news(now, server, news);
                wants.workers.push((now, number));
            }
        }
    }

    /// Once around one worker's loop.
    pub(crate) fn turn(&mut self, number: usize, now: Now, around: &mut Around, wants: &mut Wants) -> Result<(), Died> {
        let durable = self.writer.durable(number);
        let Some(worker) = self.workers.get_mut(number) else { return Ok(()) };
        let progress = worker.turn(now, &self.links, durable, self.ending, around, &mut self.death)?;
        for id in worker.not_replayed.drain(..) {
            self.writer.replay_refused(id, now);
            wants.writer = Some(now.mono);
        }
        self.pass_news(number, now.mono, around, wants);
        self.answer_orders(number, now, around);
        let worker = &self.workers[number];
        if worker.has_records() {
            wants.writer = Some(now.mono.plus(Duration::from_micros(20)));
        }
        let consumed = self.links.linked().map(|(index, plane)| {
            let least = self.workers.iter().map(|worker| worker.published(index)).min();
            (plane, least.unwrap_or_default())
        });
        for (plane, least) in consumed {
            if least > around.planes[plane].consumed {
                around.oracle.consumed(&around.planes[plane], least);
                around.planes[plane].consume(least);
                // What it could not say for want of room, it says now, and rings.
                wants.workers.extend((0..self.workers.len()).map(|worker| (now.mono, worker)));
            }
        }
        let worker = &self.workers[number];
        let next = if progress {
            Some(now.mono.plus(self.dice.millis(0, 1)))
        } else if self.ending {
            None
        } else {
            let next = [worker.shard.poll_timeout(), worker.publishes_at(), worker.wire_is_free_at(now.mono)];
            let next = next.into_iter().flatten().min();
            next.map(|at| at.max(now.mono.plus(Duration::from_millis(1))))
        };
        wants.workers.extend(next.map(|at| (at, number)));
        Ok(())
    }

    /// A datagram for one of the process's ports; says whose it is.
    pub(crate) fn receive(&mut self, datagram: &Datagram) -> Option<usize> {
        let owner = self.workers.iter().position(|worker| worker.owns(datagram.to.port()))?;
        self.workers[owner].receive(datagram);
        Some(owner)
    }

    /// One of the ports that requests leave from.
    pub(crate) fn some_port(&self, dice: &mut Dice) -> Option<SocketAddr> {
        let worker = (!self.workers.is_empty()).then(|| dice.index(self.workers.len()))?;
        Some(SocketAddr::new(boot::NAS, self.workers[worker].some_port(dice)?))
    }

    /// Datagrams that found no room.
    pub(crate) fn shed(&self) -> u64 {
        self.workers.iter().map(|worker| worker.shed).sum()
    }

    /// Told to end, and nothing is left in memory only.
    pub(crate) fn has_ended(&self) -> bool {
        self.ending
            && self.is_running()
            && self.workers.iter().all(|worker| worker.is_empty())
            && self.writer.is_empty()
    }

    /// Nothing is owed to anybody.
    pub(crate) fn is_quiet(&self) -> bool {
        let idle =
            |worker: &Worker| worker.is_empty() && worker.replays.is_empty() && worker.shard.report().sessions == 0;
        self.is_running() && self.workers.iter().all(idle) && self.writer.is_idle()
    }

    /// What is still owed, for whoever asks why.
    pub(crate) fn describe(&self, now: Now, planes: &[Plane]) -> String {
        let tables = Tables { planes, links: &self.links };
        let left = self.workers.iter().flat_map(|worker| worker.shard.access_users(now, &tables, 3));
        let left: Vec<_> =
            left.map(|user| format!("{} ({}) {:?}", user.session_id, user.plane_session, user.state)).collect();
        format!("running: {}, {}, {left:?}", self.is_running(), self.writer.describe())
    }

    /// The process is gone; what it had asked of the disk may be done or not.
    pub(crate) fn die(self, disks: &mut Disks, around: &mut Around, now: Mono) {
        self.writer.die(now, &mut outside(disks, around));
    }
}

fn outside<'a>(disks: &'a mut Disks, around: &'a mut Around) -> Outside<'a> {
    let Around { bill_server, oracle, trace, fallible, .. } = around;
    Outside { disks, bill_server, oracle, trace, fallible }
}
