//! What a recovered store says, handed to those who go on with it: sessions to the shards, bills to the pool.

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use engine::{RESTORE_BATCH, Restored, Shard};
use ledger::recover::Recovered;
use ledger::replay::{Replay, RingPosition};
use model::ids::PlaneIndex;
use model::record::TakenOver;
use model::time::Now;

use super::link::Planes;
use crate::bills::words;
use crate::exit::Failure;

/// Says what recovery found: one line, and one for each damage.
pub(crate) fn report(recovered: &Recovered<Replay>) {
    let report = &recovered.report;
    for finding in &report.findings {
        let words = words::finding(finding);
        if finding.case.is_damage() {
            tracing::error!(target: "alarm", "the ledger is damaged: {words}");
        } else {
            tracing::info!("the ledger: {words}");
        }
    }
    tracing::info!(
        epoch = recovered.epoch_last,
        sessions = recovered.state.session_count(),
        bills = recovered.state.book().pool().bill_count(),
        "the ledger was read"
    );
}

/// Sessions that are handed to a shard together. Many, so that threads seldom wait for each other; few enough that what is handed
/// over is still in a cache.
const BATCH: usize = 8 * RESTORE_BATCH;
/// Batches that a shard may be behind: enough that neither thread waits for the other when the box is busy and takes turns.
const BATCHES_BEHIND: usize = 16;

/// The shards of this life, to be handed what earlier ones left.
pub(crate) struct Heirs<'a> {
    shards: Vec<&'a mut Shard>,
    planes: &'a mut Planes,
    /// Planes that every shard knows.
    known: Vec<PlaneIndex>,
    now: Now,
}

impl<'a> Heirs<'a> {
    /// All shards, in their order.
    pub(crate) fn new(shards: Vec<&'a mut Shard>, planes: &'a mut Planes, now: Now) -> Heirs<'a> {
        Heirs { shards, planes, known: Vec::new(), now }
    }

    /// Gives every plane a number and every session to the shard that has it now, in the order in which the store has them.
    ///
    /// This thread finds out what the store says of each, and one for each shard makes sessions of that. Memory: a few batches for
    /// each shard.
    pub(crate) fn take(mut self, recovered: &Recovered<Replay>, boot_now: [u8; 16]) -> Result<(), Failure> {
        self.take_planes(&recovered.state)?;
        let Heirs { shards, planes, known, now } = self;
        std::thread::scope(|scope| {
            let (mut lines, mut threads) = (Vec::new(), Vec::new());
            for shard in shards {
                let (line, end) = Line::new();
                let thread = std::thread::Builder::new()
                    .name("tollgate-heir".to_owned())
                    .spawn_scoped(scope, move || end.inherit(shard, now))
                    .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))?;
                lines.push(line);
                threads.push(thread);
            }
            let handed = Lines { lines, planes, known, last: None }.hand_over(recovered, boot_now);
            let mut threads = threads.into_iter();
            let inherited =
                threads.try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            // A shard that took no more has the better reason.
            inherited.and(handed)
        })
    }

    /// What the planes' rings were heard to say.
    fn take_planes(&mut self, replay: &Replay) -> Result<(), Failure> {
        let mut taken_over: Vec<(&str, Vec<TakenOver>)> = Vec::new();
        for RingPosition { plane, plane_epoch, ring, position } in replay.taken_over() {
            let event = TakenOver { plane_epoch, ring, position };
            match taken_over.iter_mut().find(|(known, _)| *known == plane) {
                Some((_, events)) => events.push(event),
                None => taken_over.push((plane, vec![event])),
            }
        }
        for (name, events) in taken_over {
            self.know(name, &events)?;
        }
        for heard in replay.heard() {
            let plane = self.plane(heard.plane)?;
            self.shards.iter_mut().for_each(|shard| shard.handle_heard(plane, &heard));
        }
        Ok(())
    }

    /// The plane's number; if it is a new one, every shard hears of the plane.
    fn plane(&mut self, name: &str) -> Result<PlaneIndex, Failure> {
        let plane = number(self.planes, name)?;
        if self.known.contains(&plane) { Ok(plane) } else { self.know(name, &[]) }
    }

    fn know(&mut self, name: &str, taken_over: &[TakenOver]) -> Result<PlaneIndex, Failure> {
        let plane = number(self.planes, name)?;
        self.known.push(plane);
        for shard in &mut self.shards {
            shard.handle_plane_known(self.now.mono, plane, name, taken_over.to_vec());
        }
        Ok(plane)
    }
}

/// What a shard is told, in this order.
enum Legacy<'r> {
    /// A plane that nothing was heard of but its sessions.
    Plane(PlaneIndex, &'r str),
    Sessions(Vec<Restored<'r>>),
}

/// The way to one shard.
struct Line<'r> {
    legacy: Sender<Legacy<'r>>,
    /// Batches that come back empty.
    used: Receiver<Vec<Restored<'r>>>,
    batch: Vec<Restored<'r>>,
}

struct LineEnd<'r> {
    legacy: Receiver<Legacy<'r>>,
    used: Sender<Vec<Restored<'r>>>,
}

impl<'r> Line<'r> {
    fn new() -> (Line<'r>, LineEnd<'r>) {
        let (legacy, heir) = bounded(BATCHES_BEHIND);
        let (used, empty) = unbounded();
        (Line { legacy, used: empty, batch: Vec::with_capacity(BATCH) }, LineEnd { legacy: heir, used })
    }

    /// A shard that has no room takes nothing more, and says so at its end.
    fn send(&self, legacy: Legacy<'r>) {
        let _ = self.legacy.send(legacy);
    }

    fn flush(&mut self) {
        let empty = self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        let batch = std::mem::replace(&mut self.batch, empty);
        self.send(Legacy::Sessions(batch));
    }
}

impl LineEnd<'_> {
    fn inherit(self, shard: &mut Shard, now: Now) -> Result<(), Failure> {
        for legacy in self.legacy {
            match legacy {
                Legacy::Plane(plane, name) => shard.handle_plane_known(now.mono, plane, name, Vec::new()),
                Legacy::Sessions(mut batch) => {
                    shard.restore(now, &batch).map_err(|_| {
                        Failure::failed("the ledger knows more sessions than there are slots: raise --sessions")
                    })?;
                    batch.clear();
                    let _ = self.used.send(batch);
                }
            }
        }
        Ok(())
    }
}

/// The ways to all shards, in their order.
struct Lines<'a, 'r> {
    lines: Vec<Line<'r>>,
    planes: &'a mut Planes,
    /// Planes that every shard knows.
    known: Vec<PlaneIndex>,
    /// The plane that was spoken of last: most likely it is the next one too.
    last: Option<(&'r str, PlaneIndex)>,
}

impl<'r> Lines<'_, 'r> {
    fn hand_over(mut self, recovered: &'r Recovered<Replay>, boot_now: [u8; 16]) -> Result<(), Failure> {
        let unknown = recovered.state.unknown_sessions();
        if unknown > 0 {
            tracing::error!("{unknown} records of the ledger speak of sessions that damage has taken out of it");
        }
        for session in recovered.state.sessions() {
            let opened = &session.whole.opened;
            let plane = self.plane(opened.plane)?;
            let number = plane::record::session_hash(opened.session) % self.lines.len() as u64;
            let rebooted = session.rebooted(recovered.boot_id, boot_now);
            let line = &mut self.lines[usize::try_from(number).unwrap_or_default()];
            line.batch.push(Restored { plane, whole: session.whole, rebooted });
            if line.batch.len() == BATCH {
                line.flush();
            }
        }
        self.lines.iter_mut().for_each(Line::flush);
        Ok(())
    }

    /// The plane's number; if it is a new one, every shard hears of the plane.
    fn plane(&mut self, name: &'r str) -> Result<PlaneIndex, Failure> {
        if let Some((_, plane)) = self.last.filter(|(last, _)| *last == name) {
            return Ok(plane);
        }
        let plane = number(self.planes, name)?;
        if !self.known.contains(&plane) {
            self.known.push(plane);
            self.lines.iter().for_each(|line| line.send(Legacy::Plane(plane, name)));
        }
        self.last = Some((name, plane));
        Ok(plane)
    }
}

fn number(planes: &mut Planes, name: &str) -> Result<PlaneIndex, Failure> {
    planes.index(name).ok_or_else(|| Failure::failed("the ledger knows more packet planes than can be numbered"))
}
