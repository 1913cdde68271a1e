//! Which events of the planes' rings have been taken over.
//!
//! Records become durable in an order of their own, so what lies below a position that was taken over need not have been:
//! every position counts, as far back as a ring can reach.

use hashbrown::HashMap;
use model::record::TakenOver;

use super::RingPosition;

/// As many records as the longest ring has. What lies further back was consumed long ago: the plane has written over it.
const RING_RECORDS_MAX: u64 = 1 << 20;

/// Positions that were taken over, by plane epoch and ring; planes hardly ever share both.
#[derive(Debug, Default)]
pub(super) struct Rings(HashMap<(u64, u16), Vec<Ring>>);

#[derive(Debug)]
struct Ring {
    plane: String,
    newest: u64,
    /// In the order they came, some of them twice, some too old.
    positions: Vec<u64>,
    /// Positions at which it pays to throw those out.
    tidy_at: usize,
}

impl Rings {
    pub(super) fn take_over(&mut self, plane: &str, taken_over: TakenOver) {
        if taken_over.plane_epoch == 0 {
            return;
        }
        let rings = self.0.entry((taken_over.plane_epoch, taken_over.ring)).or_default();
        match rings.iter_mut().find(|ring| ring.plane == plane) {
            Some(ring) => ring.push(taken_over.position),
            None => rings.push(Ring {
                plane: plane.to_owned(),
                newest: taken_over.position,
                positions: vec![taken_over.position],
                tidy_at: Ring::TIDY_LEAST,
            }),
        }
    }

    /// Each position once.
    pub(super) fn positions(&self) -> impl Iterator<Item = RingPosition<'_>> {
        self.0.iter().flat_map(|(&(plane_epoch, number), rings)| {
            rings.iter().flat_map(move |ring| {
                let plane = ring.plane.as_str();
                let positions = tidied(ring.positions.clone(), ring.newest).into_iter();
                positions.map(move |position| RingPosition { plane, plane_epoch, ring: number, position })
            })
        })
    }
}

impl Ring {
    const TIDY_LEAST: usize = 1 << 16;

    fn push(&mut self, position: u64) {
        self.newest = self.newest.max(position);
        self.positions.push(position);
        if self.positions.len() >= self.tidy_at {
            self.positions = tidied(std::mem::take(&mut self.positions), self.newest);
            self.tidy_at = (2 * self.positions.len()).max(Ring::TIDY_LEAST);
        }
    }
}

fn tidied(mut positions: Vec<u64>, newest: u64) -> Vec<u64> {
    positions.retain(|position| newest - position <= RING_RECORDS_MAX);
    positions.sort_unstable();
    positions.dedup();
    positions
}
