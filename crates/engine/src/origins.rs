//! Where events came from: the rings of packet planes' memories, numbered, so that a session remembers its own in four octets.
//!
//! A ring is kept as long as a session remembers it. There are as many at once as the linked planes have, and those of memories
//! that sessions have outlived; so they are looked for one by one, the newest first. **Full** it cannot be: each session
//! remembers one.

use model::record::TakenOver;

use crate::session::NO_EVENT;

/// Rings that there is room for without asking for memory: those of some planes, each with as many as it may have.
const USUAL: usize = 512;

/// Which of the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginRef(u32);

impl OriginRef {
    /// No event.
    pub(crate) const NONE: OriginRef = OriginRef(u32::MAX);
}

/// A ring, and how many sessions remember it.
#[derive(Clone, Copy, Debug)]
struct Origin {
    plane_epoch: u64,
    uses: u32,
    ring: u16,
}

/// All of them.
pub(crate) struct Origins(Vec<Origin>);

impl Origins {
    /// None yet.
    pub(crate) fn new() -> Origins {
        Origins(Vec::with_capacity(USUAL))
    }

    /// One more session remembers where this event came from.
    pub(crate) fn hold(&mut self, event: TakenOver) -> OriginRef {
        let TakenOver { plane_epoch, ring, .. } = event;
        if (plane_epoch, ring) == (NO_EVENT.plane_epoch, NO_EVENT.ring) {
            return OriginRef::NONE;
        }
        let is_it = |origin: &Origin| (origin.plane_epoch, origin.ring) == (plane_epoch, ring);
        let place = self.0.iter().rposition(|origin| origin.uses > 0 && is_it(origin));
        let place = place.or_else(|| self.0.iter().position(|origin| origin.uses == 0)).unwrap_or_else(|| {
            self.0.push(Origin { plane_epoch, uses: 0, ring });
            self.0.len() - 1
        });
        let uses = self.0[place].uses + 1;
        self.0[place] = Origin { plane_epoch, uses, ring };
        OriginRef(u32::try_from(place).expect("fewer than sessions"))
    }

    /// The event at this position of it.
    pub(crate) fn event(&self, origin: OriginRef, position: u64) -> TakenOver {
        let Origin { plane_epoch, ring, .. } = self.0.get(origin.0 as usize).copied().unwrap_or(Origin {
            plane_epoch: NO_EVENT.plane_epoch,
            uses: 0,
            ring: NO_EVENT.ring,
        });
        TakenOver { plane_epoch, ring, position }
    }

    /// One session fewer remembers it.
    pub(crate) fn release(&mut self, origin: OriginRef) {
        if let Some(origin) = self.0.get_mut(origin.0 as usize) {
            origin.uses -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_numbered_once_and_forgotten_with_the_last_who_came_by_it() {
        let event = |plane_epoch, ring, position| TakenOver { plane_epoch, ring, position };
        let mut origins = Origins::new();
        let (a, b) = (origins.hold(event(7, 0, 1)), origins.hold(event(7, 1, 1)));
        assert_eq!(origins.hold(event(7, 0, 900)), a);
        assert_eq!((origins.event(a, 5), origins.event(b, 6)), (event(7, 0, 5), event(7, 1, 6)));
        origins.release(a);
        assert_eq!(origins.event(a, 5), event(7, 0, 5));
        origins.release(a);
        // Its place is free; the other one stays what it is.
        assert_eq!(origins.hold(event(8, 0, 1)), a);
        assert_eq!((origins.event(a, 5), origins.event(b, 6)), (event(8, 0, 5), event(7, 1, 6)));
        assert_eq!(origins.0.len(), 2);
    }

    #[test]
    fn no_event_comes_from_nowhere() {
        let mut origins = Origins::new();
        assert_eq!(origins.hold(NO_EVENT), OriginRef::NONE);
        assert_eq!(origins.event(OriginRef::NONE, NO_EVENT.position), NO_EVENT);
        origins.release(OriginRef::NONE);
        assert!(origins.0.is_empty());
    }
}
