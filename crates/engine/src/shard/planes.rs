//! The packet planes as the shard knows them: whether they are linked, and where a resync stands.

use std::time::Duration;

use model::ids::PlaneIndex;
use model::record::TakenOver;
use model::time::{Mono, Now};

use super::Shard;
use crate::session::{Flags, State};

/// Acct-Terminate-Cause *Lost Service* (RFC 2866 section 5.10).
const LOST_SERVICE: u8 = 3;

/// One packet plane.
#[derive(Clone, Debug)]
struct Plane {
    name: String,
    /// Which memory its positions count in.
    epoch: u64,
    linked: bool,
    /// When its link was lost, or the engine started without it.
    lost: Mono,
    /// The bit that sessions of the present round of resync carry.
    round: bool,
    resyncing: bool,
    /// Events that an earlier life took over, in ascending order, until the plane has gone beyond them.
    taken_over: Vec<TakenOver>,
}

/// All planes that were ever linked in this life, or own a session.
#[derive(Default)]
pub(super) struct Planes {
    items: Vec<Plane>,
    grace: Duration,
}

impl Planes {
    pub(super) fn name(&self, plane: PlaneIndex) -> &str {
        self.items.get(usize::from(plane.0)).map_or("", |plane| &plane.name)
    }

    pub(super) fn epoch(&self, plane: PlaneIndex) -> u64 {
        self.items.get(usize::from(plane.0)).map_or(0, |plane| plane.epoch)
    }

    /// Sessions of a lost plane outlive it by so long; zero: for ever.
    pub(super) fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// The bit that a session carries which is announced now, or has just come up.
    pub(super) fn round(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.round)
    }

    pub(super) fn is_resyncing(&self, plane: PlaneIndex) -> bool {
        self.items.get(usize::from(plane.0)).is_some_and(|plane| plane.resyncing)
    }

    /// Whether an earlier life of the engine took this event over already.
    pub(super) fn was_taken_over(&self, plane: PlaneIndex, ring: u16, position: u64) -> bool {
        let Some(plane) = self.items.get(usize::from(plane.0)) else { return false };
        let event = TakenOver { plane_epoch: plane.epoch, ring, position };
        plane.taken_over.binary_search_by_key(&order(&event), order).is_ok()
    }

    /// When the grace of the next lost plane ends.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        if self.grace.is_zero() {
            return None;
        }
        self.items
            .iter()
            .filter(|plane| !plane.linked && plane.lost != FOR_GOOD)
            .map(|plane| plane.lost.plus(self.grace))
            .min()
    }
}

/// `lost` of a plane whose sessions have been closed.
const FOR_GOOD: Mono = Mono::from_nanos(u64::MAX);

fn order(event: &TakenOver) -> (u64, u16, u64) {
    (event.plane_epoch, event.ring, event.position)
}

impl Shard {
    /// Names a plane that has sessions in the ledger but is not linked yet; its grace begins.
    pub fn handle_plane_known(&mut self, now: Mono, plane: PlaneIndex, name: &str, mut taken_over: Vec<TakenOver>) {
        let item = self.plane_mut(plane, name);
        item.linked = false;
        item.lost = now;
        taken_over.sort_unstable_by_key(order);
        item.taken_over = taken_over;
    }

    /// A plane has linked, with this memory.
    pub fn handle_plane_linked(&mut self, plane: PlaneIndex, name: &str, epoch: u64) {
        let item = self.plane_mut(plane, name);
        item.linked = true;
        item.epoch = epoch;
        item.resyncing = false;
        item.taken_over.retain(|event| event.plane_epoch == epoch);
    }

    /// A plane's link was lost. Its sessions go on; they outlive it by `plane-link grace`.
    pub fn handle_plane_lost(&mut self, now: Mono, plane: PlaneIndex) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) {
            item.linked = false;
            item.lost = now;
            item.resyncing = false;
        }
    }

    fn plane_mut(&mut self, plane: PlaneIndex, name: &str) -> &mut Plane {
        let index = usize::from(plane.0);
        let unknown = Plane {
            name: String::new(),
            epoch: 0,
            linked: false,
            lost: FOR_GOOD,
            round: false,
            resyncing: false,
            taken_over: Vec::new(),
        };
        if self.planes.items.len() <= index {
            self.planes.items.resize(index + 1, unknown);
        }
        let item = &mut self.planes.items[index];
        if item.name != name {
            name.clone_into(&mut item.name);
        }
        item
    }

    /// All live sessions of the plane will now be announced.
    pub(super) fn resync_begins(&mut self, plane: PlaneIndex) {
        if let Some(item) = self.planes.items.get_mut(usize::from(plane.0))
            && !item.resyncing
        {
            item.resyncing = true;
            item.round = !item.round;
        }
    }

    /// All live sessions have been announced: the others are gone.
    pub(super) fn resync_ends(&mut self, now: Now, plane: PlaneIndex) {
        let Some(item) = self.planes.items.get_mut(usize::from(plane.0)) else { return };
        if !item.resyncing {
            return;
        }
        item.resyncing = false;
        let round = item.round;
        self.close_plane_sessions(now, plane, |flags| flags.has(Flags::ROUND) != round);
    }

    /// Ends the grace of planes that did not come back.
    pub(super) fn expire_planes(&mut self, now: Now) {
        while self.planes.next_timeout().is_some_and(|next| next <= now.mono) {
            let grace = self.planes.grace;
            let expired = |plane: &Plane| !plane.linked && plane.lost != FOR_GOOD && plane.lost.plus(grace) <= now.mono;
            let Some(index) = self.planes.items.iter().position(expired) else { return };
            self.planes.items[index].lost = FOR_GOOD;
            #[expect(clippy::cast_possible_truncation, reason = "planes are numbered with 16 bits")]
            self.close_plane_sessions(now, PlaneIndex(index as u16), |_| true);
        }
    }

    fn close_plane_sessions(&mut self, now: Now, plane: PlaneIndex, gone: impl Fn(Flags) -> bool) {
        for slot in self.table.slots() {
            let session = self.session(slot);
            let live = !matches!(session.state, State::Free | State::Ending) && !session.is_down();
            if live && session.plane == plane && gone(session.flags) {
                self.close(slot, now, &super::intake::Ending::without_event(LOST_SERVICE, self.account(slot).sample));
            }
        }
    }
}
