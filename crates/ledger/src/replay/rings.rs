//! Which events of the planes' rings have been taken over.
//!
//! Records become durable in an order of their own, so what lies below a position that was taken over need not have been:
//! every position counts, as far back as a ring can reach.

use hashbrown::HashMap;
use model::record::TakenOver;

use super::RingPosition;
use super::heard::HeardRings;

/// As many records as the longest ring has. What lies further back was consumed long ago: the plane has written over it.
const RING_RECORDS_MAX: u64 = 1 << 20;

/// Positions that were taken over, by plane epoch and ring; planes hardly ever share both.
#[derive(Debug, Default)]
pub(super) struct Rings {
    all: Vec<Ring>,
    /// The rings of each plane epoch and number.
    index: HashMap<(u64, u16), Vec<usize>>,
    /// The ring that was spoken of last: most likely it is the next one too.
    last: usize,
}

#[derive(Debug)]
struct Ring {
    /// `None`: it was said of a session that is not known, so it may be any plane with that epoch.
    plane: Option<Box<str>>,
    plane_epoch: u64,
    number: u16,
    newest: u64,
    /// In the order they came, some of them twice, some too old.
    positions: Vec<u64>,
    /// Positions at which it pays to throw those out.
    tidy_at: usize,
}

impl Rings {
    pub(super) fn take_over(&mut self, plane: &str, taken_over: TakenOver) {
        self.enter(Some(plane), taken_over);
    }

    /// The plane is not known. An epoch is drawn by one plane, so this hardly ever says too much; and if it did, an event
    /// would have to stand at the same position of the other plane's ring too.
    pub(super) fn take_over_of_some_plane(&mut self, taken_over: TakenOver) {
        self.enter(None, taken_over);
    }

    fn enter(&mut self, plane: Option<&str>, taken_over: TakenOver) {
        let TakenOver { plane_epoch, ring: number, position } = taken_over;
        if plane_epoch == 0 {
            return;
        }
        let is_it =
            |ring: &Ring| ring.plane_epoch == plane_epoch && ring.number == number && ring.plane.as_deref() == plane;
        if !self.all.get(self.last).is_some_and(is_it) {
            let rings = self.index.entry((plane_epoch, number)).or_default();
            self.last = match rings.iter().copied().find(|index| is_it(&self.all[*index])) {
                Some(index) => index,
                None => {
                    let plane = plane.map(Box::from);
                    let (newest, tidy_at) = (position, Ring::TIDY_LEAST);
                    self.all.push(Ring { plane, plane_epoch, number, newest, positions: Vec::new(), tidy_at });
                    rings.push(self.all.len() - 1);
                    self.all.len() - 1
                }
            };
        }
        self.all[self.last].push(position);
    }

    /// Each position once for each plane that it may be of.
    pub(super) fn positions<'a>(&'a self, heard: &'a HeardRings) -> impl Iterator<Item = RingPosition<'a>> {
        self.all.iter().flat_map(move |ring| {
            let planes = match ring.plane.as_deref() {
                Some(plane) => vec![plane],
                None => self.planes(ring.plane_epoch, heard),
            };
            let Ring { plane_epoch, number, newest, .. } = *ring;
            let positions = tidied(ring.positions.clone(), newest);
            planes.into_iter().flat_map(move |plane| {
                let positions = positions.clone().into_iter();
                positions.map(move |position| RingPosition { plane, plane_epoch, ring: number, position })
            })
        })
    }

    /// The planes that had this epoch.
    fn planes<'a>(&'a self, plane_epoch: u64, heard: &'a HeardRings) -> Vec<&'a str> {
        let spoken = self.all.iter().filter(|ring| ring.plane_epoch == plane_epoch);
        let heard = heard.iter().filter(|heard| heard.plane_epoch == plane_epoch).map(|heard| heard.plane);
        let mut planes: Vec<&str> = spoken.filter_map(|ring| ring.plane.as_deref()).chain(heard).collect();
        planes.sort_unstable();
        planes.dedup();
        planes
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
