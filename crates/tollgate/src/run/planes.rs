//! The packet planes that one worker reads: their events in, verdicts and *taken over* back.

mod resyncs;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use engine::Shard;
use kernel::datapath::{Datapath, WatchIndex};
use kernel::shared_memory::SharedMemory;
use kernel::waker::Waker;
use model::counters::{CounterSlot, CounterSource};
use model::event::{EventOrigin, PlaneEvent};
use model::ids::{PLANE_SESSION_MAX, PlaneIndex};
use model::time::{Mono, Now};
use model::verdict::{Reason, Sentence, Verdict};
use plane::{CounterTables, EventScratch, Next, PlaneReader, VerdictError, VerdictWriter};
use tokio::sync::mpsc::UnboundedSender;

use super::link::LinkEvent;
use super::now_and_then::NowAndThen;
use super::worker::RelayDoor;
use resyncs::Resyncs;

/// Verdicts that wait for a plane that does not read them, before its link is closed.
const HELD_MAX: usize = 65_536;

/// How late a shard may be that another one has taken the bell's ring from.
const SHARED_BELL_NAP: Duration = Duration::from_millis(20);

/// Rings of a plane that have a whole turn each in a round; more of them share as much among them.
const RINGS_AT_ONCE: usize = 8;

/// The planes that are linked now, as one worker sees them.
pub(crate) struct LinkedPlanes {
    shard: u16,
    shard_count: u16,
    planes: Vec<LinkedPlane>,
    counters: CounterTables<SharedMemory>,
    scratch: EventScratch,
}

struct LinkedPlane {
    plane: PlaneIndex,
    reader: PlaneReader<SharedMemory>,
    verdicts: VerdictWriter<SharedMemory>,
    bell: Arc<Waker>,
    /// Kept open while it is watched.
    _engine_bell: Arc<Waker>,
    watch: Option<WatchIndex>,
    close: UnboundedSender<&'static str>,
    /// For each ring: how far it is taken over once so many records are durable.
    marks: Vec<VecDeque<Mark>>,
    /// For each ring: the last position that was marked.
    marked: Vec<u64>,
    held: VecDeque<Held>,
    /// Events that made no sense.
    refused: NowAndThen,
    resyncs: Resyncs,
    /// Its link is being closed; nothing more is read from it.
    broken: bool,
}

#[derive(Clone, Copy)]
struct Mark {
    through: u64,
    position: u64,
}

/// A verdict that found no room.
struct Held {
    session: [u8; PLANE_SESSION_MAX],
    length: usize,
    counters: CounterSlot,
    sentence: Sentence,
    reason: Reason,
}

impl LinkedPlanes {
    pub(crate) fn new(shard: u16, shard_count: u16) -> LinkedPlanes {
        LinkedPlanes {
            shard,
            shard_count,
            planes: Vec::new(),
            counters: CounterTables::default(),
            scratch: EventScratch::default(),
        }
    }

    /// The counters of all linked planes.
    pub(crate) fn counters(&self) -> &impl CounterSource {
        &self.counters
    }

    /// A plane came or went.
    pub(crate) fn handle_link(&mut self, event: LinkEvent, now: Mono, shard: &mut Shard, datapath: &mut Datapath) {
        match event {
            LinkEvent::Linked { plane, name, epoch, new_start, narrow, region, engine_bell, plane_bell, close } => {
                let Some(reader) = region.reader(self.shard) else { return };
                let watch = datapath.watch(&engine_bell);
                if let Err(error) = &watch {
                    tracing::error!(
                        plane = &*name,
                        "its bell cannot be watched, so its events wait for the next tick: {error}"
                    );
                }
                let rings = u16::try_from(reader.rings().len()).unwrap_or(u16::MAX);
                shard.handle_plane_linked(now, plane, &name, epoch, rings);
                shard.handle_new_start(plane, new_start);
                shard.handle_narrow(plane, narrow);
                self.counters.set(plane, Some(region.counters()));
                let marks = reader.rings().iter().map(|_| VecDeque::new()).collect();
                let marked = reader.rings().iter().map(|ring| ring.cursor()).collect();
                self.planes.push(LinkedPlane {
                    plane,
                    reader,
                    verdicts: region.verdicts(),
                    bell: plane_bell,
                    _engine_bell: engine_bell,
                    watch: watch.ok(),
                    close,
                    marks,
                    marked,
                    held: VecDeque::new(),
                    refused: NowAndThen::default(),
                    resyncs: Resyncs::default(),
                    broken: false,
                });
            }
            LinkEvent::Lost { plane } => {
                if let Some(index) = self.planes.iter().position(|linked| linked.plane == plane) {
                    let linked = self.planes.swap_remove(index);
                    if let Some(watch) = linked.watch {
                        datapath.unwatch(watch);
                    }
                    shard.handle_plane_lost(now, plane, &self.counters);
                    self.counters.set(plane, None);
                }
            }
        }
    }

    /// Hands up to `most` events of each ring to the shard. True when there are more. Each time another plane comes first: one
    /// that keeps the shard busy takes nobody's turn but its own.
    pub(crate) fn take_events(&mut self, shard: &mut Shard, now: Now, most: usize) -> bool {
        let mut more = false;
        let (own, shard_count) = (u64::from(self.shard), u64::from(self.shard_count));
        if self.planes.len() > 1 {
            self.planes.rotate_left(1);
        }
        for linked in &mut self.planes {
            if linked.broken || linked.resyncs.look(now.mono) {
                continue;
            }
            let rings = linked.reader.rings().len();
            let most = (most * RINGS_AT_ONCE / rings.max(RINGS_AT_ONCE)).max(1);
            for ring in linked.reader.rings_mut() {
                let (plane, number) = (linked.plane, ring.ring());
                for taken in 0.. {
                    if taken == most || shard.is_busy() {
                        more |= taken == most;
                        shard.handle_plane_events_left(now.mono, plane);
                        break;
                    }
                    match ring.next_event(&mut self.scratch, |hash| hash % shard_count == own) {
                        Ok(Next::Nothing) => {
                            shard.handle_ring_read(plane, number, ring.cursor());
                            if ring.is_crowded() {
                                shard.handle_plane_events_left(now.mono, plane);
                            }
                            break;
                        }
                        Ok(Next::Event(delivery)) => {
                            let origin = EventOrigin { plane, ring: number, position: delivery.position };
                            let taken = shard.handle_event(now, origin, delivery.event, &self.counters);
                            assert!(taken.is_ok(), "a shard that is not busy takes an event");
                            if delivery.event == PlaneEvent::ResyncEnd {
                                linked.resyncs.note(rings, now.mono);
                                if linked.resyncs.are_too_many() {
                                    break;
                                }
                            }
                        }
                        Ok(Next::Refused(refused)) => {
                            if let Some(session) = refused.session {
                                shard.handle_malformed(plane, session);
                            }
                            if let Some(count) = linked.refused.note(now.mono) {
                                let (position, why) = (refused.position, refused.why.as_str());
                                tracing::warn!(
                                    plane = plane.0,
                                    count,
                                    position,
                                    why,
                                    "events were refused; the last of them is told"
                                );
                            }
                        }
                        Err(error) => {
                            tracing::error!(plane = linked.plane.0, "{error}");
                            end(&mut linked.broken, &linked.close, "its ring makes no sense");
                            break;
                        }
                    }
                }
            }
        }
        more
    }

    /// Everything read so far is in the first `through` records.
    pub(crate) fn mark(&mut self, through: u64) {
        for linked in &mut self.planes {
            let rings = linked.reader.rings().iter().zip(&mut linked.marks).zip(&mut linked.marked);
            for ((ring, marks), marked) in rings {
                let position = ring.cursor();
                if *marked != position {
                    *marked = position;
                    marks.push_back(Mark { through, position });
                }
            }
        }
    }

    /// Tells the planes what is durable.
    pub(crate) fn publish(&mut self, durable: u64) {
        for linked in &mut self.planes {
            let mut any = false;
            for (ring, marks) in linked.reader.rings_mut().iter_mut().zip(&mut linked.marks) {
                let mut position = None;
                while marks.front().is_some_and(|mark| mark.through <= durable) {
                    position = marks.pop_front().map(|mark| mark.position);
                }
                if let Some(position) = position {
                    ring.publish_consumed(position);
                    any = true;
                }
            }
            if any && linked.reader.region().plane_needs_kick() {
                linked.bell.wake();
            }
        }
    }

    /// Hands the shard's verdicts to the planes, and to the relay; what finds no room is kept.
    pub(crate) fn pass_verdicts(&mut self, now: Now, shard: &mut Shard, relay: &mut RelayDoor) {
        for linked in &mut self.planes {
            while let Some(held) = linked.held.front() {
                let verdict = Verdict {
                    plane: linked.plane,
                    session: &held.session[..held.length],
                    counters: held.counters,
                    sentence: held.sentence,
                    reason: held.reason,
                };
                match linked.verdicts.push(&verdict) {
                    Ok(()) => linked.held.pop_front(),
                    Err(VerdictError::Full) => break,
                    Err(VerdictError::Hostile) => {
                        linked.end("its verdict ring makes no sense");
                        break;
                    }
                };
            }
        }
        while let Some(verdict) = shard.poll_verdict() {
            if relay.is_client(verdict.plane) {
                let (plane, sentence) = (verdict.plane, (verdict.sentence, verdict.reason));
                let name = ArrayVec::<u8, PLANE_SESSION_MAX>::try_from(verdict.session).unwrap_or_default();
                relay.pass(now, shard, plane, &name, sentence);
                continue;
            }
            // A plane that is gone asks again when it comes back: it announces its sessions.
            if let Some(linked) = self.planes.iter_mut().find(|linked| linked.plane == verdict.plane) {
                linked.pass(&verdict);
            }
        }
        for linked in &self.planes {
            if linked.reader.region().plane_needs_kick() {
                linked.bell.wake();
            }
        }
    }

    /// Says to every plane that the worker is about to sleep; false when one has said something meanwhile.
    pub(crate) fn about_to_sleep(&self) -> bool {
        self.planes
            .iter()
            .filter(|linked| !linked.broken && !linked.resyncs.are_too_many())
            .all(|linked| linked.reader.about_to_sleep(!linked.held.is_empty()))
    }

    /// How long the worker may sleep on its planes' bells. A plane has one bell for all shards, and who hears it first
    /// takes its ring from the others.
    pub(crate) fn longest_sleep(&self) -> Duration {
        if self.shard_count > 1 && !self.planes.is_empty() { SHARED_BELL_NAP } else { Duration::MAX }
    }

    /// Says to every plane that the worker needs no waking.
    pub(crate) fn awake(&self) {
        self.planes.iter().for_each(|linked| linked.reader.awake());
    }
}

impl LinkedPlane {
    fn end(&mut self, why: &'static str) {
        end(&mut self.broken, &self.close, why);
    }

    fn pass(&mut self, verdict: &Verdict<'_>) {
        if self.held.is_empty() {
            match self.verdicts.push(verdict) {
                Ok(()) => return,
                Err(VerdictError::Full) => {}
                Err(VerdictError::Hostile) => return self.end("its verdict ring makes no sense"),
            }
        }
        if self.held.len() == HELD_MAX {
            return self.end("it does not read its verdicts");
        }
        let mut session = [0; PLANE_SESSION_MAX];
        session[..verdict.session.len()].copy_from_slice(verdict.session);
        let Verdict { counters, sentence, reason, .. } = *verdict;
        self.held.push_back(Held { session, length: verdict.session.len(), counters, sentence, reason });
    }
}

/// Has the link closed, once.
fn end(broken: &mut bool, close: &UnboundedSender<&'static str>, why: &'static str) {
    if !std::mem::replace(broken, true) {
        // It may be gone already.
        let _ = close.send(why);
    }
}
