//! What a recovered store says, handed to those who go on with it: sessions to the shards, bills to the pool.

use engine::{Restored, Shard};
use ledger::recover::Recovered;
use ledger::replay::{LiveSession, Replay};
use model::ids::PlaneIndex;
use model::record::{Heard, TakenOver};
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

/// Sessions of the earlier life, by the shard that has them now.
pub(crate) struct Sessions<'a> {
    by_shard: Vec<Vec<(PlaneIndex, LiveSession<'a>)>>,
    planes: Vec<(PlaneIndex, &'a str, Vec<TakenOver>)>,
    heard: Vec<(PlaneIndex, Heard<'a>)>,
    boot_last: Option<[u8; 16]>,
    boot_now: [u8; 16],
}

impl<'a> Sessions<'a> {
    /// Gives every session to a shard, and every plane a number.
    pub(crate) fn sort(
        recovered: &'a Recovered<Replay>,
        shards: u16,
        planes: &mut Planes,
        boot_now: [u8; 16],
    ) -> Result<Sessions<'a>, Failure> {
        let too_many = || Failure::failed("the ledger knows more packet planes than can be numbered");
        let mut sorted = Sessions {
            by_shard: (0..shards).map(|_| Vec::new()).collect(),
            planes: Vec::new(),
            heard: Vec::new(),
            boot_last: recovered.boot_id,
            boot_now,
        };
        for heard in recovered.state.heard() {
            let plane = planes.index(heard.plane).ok_or_else(too_many)?;
            sorted.plane(plane, heard.plane);
            sorted.heard.push((plane, heard));
        }
        for session in recovered.state.sessions() {
            let plane = planes.index(session.opened.plane).ok_or_else(too_many)?;
            sorted.plane(plane, session.opened.plane);
            let shard = plane::record::session_hash(session.opened.session) % u64::from(shards);
            sorted.by_shard[usize::try_from(shard).unwrap_or_default()].push((plane, session));
        }
        for position in recovered.state.taken_over() {
            let plane = planes.index(position.plane).ok_or_else(too_many)?;
            sorted.plane(plane, position.plane).push(TakenOver {
                plane_epoch: position.plane_epoch,
                ring: position.ring,
                position: position.position,
            });
        }
        for sessions in &mut sorted.by_shard {
            sessions.sort_unstable_by_key(|(_, session)| session.opened.serial);
        }
        Ok(sorted)
    }

    /// Whether the box was booted since the session was last written.
    fn was_rebooted(&self, session: &LiveSession<'_>) -> bool {
        session.boot_id.or(self.boot_last).is_some_and(|boot| boot != self.boot_now)
    }

    fn plane(&mut self, plane: PlaneIndex, name: &'a str) -> &mut Vec<TakenOver> {
        let known = self.planes.iter().position(|(known, ..)| *known == plane);
        let index = known.unwrap_or_else(|| {
            self.planes.push((plane, name, Vec::new()));
            self.planes.len() - 1
        });
        &mut self.planes[index].2
    }

    /// Hands a shard its sessions.
    pub(crate) fn hand_over(&self, number: u16, shard: &mut Shard, now: Now) -> Result<(), Failure> {
        for (plane, name, taken_over) in &self.planes {
            shard.handle_plane_known(now.mono, *plane, name, taken_over.clone());
        }
        for (plane, heard) in &self.heard {
            shard.handle_heard(*plane, heard);
        }
        for (plane, session) in &self.by_shard[usize::from(number)] {
            let plane = *plane;
            let restored = Restored {
                opened: session.opened,
                accepted: session.accepted,
                start_failed: session.start_failed,
                sampled: session.sampled,
                closed: session.closed,
                rebooted: self.was_rebooted(session).then(|| session.sampled_at.unwrap_or(session.opened.at.wall)),
            };
            shard.restore(now, plane, &restored).map_err(|_| {
                Failure::failed("the ledger knows more sessions than there are slots: raise --sessions")
            })?;
        }
        Ok(())
    }
}
