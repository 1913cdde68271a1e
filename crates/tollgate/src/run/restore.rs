//! What a recovered store says, handed to those who go on with it: sessions to the shards, bills to the pool.

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
    pub(crate) fn take(mut self, recovered: &Recovered<Replay>, boot_now: [u8; 16]) -> Result<(), Failure> {
        self.take_planes(&recovered.state)?;
        let mut batches: Vec<Vec<Restored<'_>>> =
            self.shards.iter().map(|_| Vec::with_capacity(RESTORE_BATCH)).collect();
        for session in recovered.state.sessions() {
            let opened = &session.whole.opened;
            let plane = self.plane(opened.plane)?;
            let number = plane::record::session_hash(opened.session) % self.shards.len() as u64;
            let number = usize::try_from(number).unwrap_or_default();
            let rebooted = session.rebooted(recovered.boot_id, boot_now);
            let batch = &mut batches[number];
            batch.push(Restored { plane, whole: session.whole, rebooted });
            if batch.len() == RESTORE_BATCH {
                restore(self.shards[number], self.now, batch)?;
            }
        }
        let mut rest = self.shards.iter_mut().zip(&mut batches);
        rest.try_for_each(|(shard, batch)| restore(shard, self.now, batch))
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
        let plane = self.number(name)?;
        if self.known.contains(&plane) { Ok(plane) } else { self.know(name, &[]) }
    }

    fn know(&mut self, name: &str, taken_over: &[TakenOver]) -> Result<PlaneIndex, Failure> {
        let plane = self.number(name)?;
        self.known.push(plane);
        for shard in &mut self.shards {
            shard.handle_plane_known(self.now.mono, plane, name, taken_over.to_vec());
        }
        Ok(plane)
    }

    fn number(&mut self, name: &str) -> Result<PlaneIndex, Failure> {
        let too_many = || Failure::failed("the ledger knows more packet planes than can be numbered");
        self.planes.index(name).ok_or_else(too_many)
    }
}

fn restore(shard: &mut Shard, now: Now, batch: &mut Vec<Restored<'_>>) -> Result<(), Failure> {
    let restored = shard.restore(now, batch);
    batch.clear();
    restored.map_err(|_| Failure::failed("the ledger knows more sessions than there are slots: raise --sessions"))
}
