//! What a session has that differs in length: its name on the plane and its attributes, kept together in one place that is
//! taken at start, but for those that many sessions have alike.
//!
//! ```text
//!   region:  page | page | page | …        16 KiB each, handed to a size class when that class has no room
//!   page:    piece | piece | …             all of one size; a free piece holds the number of the next
//!   piece:   header | name | attributes    the header: lengths of both, and which run of the shared ones goes before these
//! ```
//!
//! **Full:** [`Blobs::store`] says so and the subscriber is refused. A page stays with its class; at most 7 octets of a piece
//! below 240 octets are lost.

use lanes::prefetch;

use crate::run::Run;
use crate::shared::{SHARED_MAX, SharedRef, SharedRuns};

/// Where a blob stands, in units of 8 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobRef(u32);

impl BlobRef {
    /// Of no blob.
    pub(crate) const NONE: BlobRef = BlobRef(u32::MAX);
}

const UNIT: usize = 8;
const PAGE: usize = 16 * 1024;
/// Piece sizes; the last holds the longest name with the longest attributes that fit into a packet.
const SIZES: [usize; 35] = [
    64, 72, 80, 88, 96, 104, 112, 120, 128, 136, 144, 152, 160, 168, 176, 184, 192, 200, 208, 216, 224, 232, 240, 272,
    304, 336, 384, 448, 512, 640, 1024, 1360, 2048, 2720, 4608,
];
const NONE: u32 = u32::MAX;
/// As far as a piece is asked for before it is read.
const PREFETCHED: usize = 256;
/// Each piece begins with the length of its attributes, the shared run before them, and the length of its name.
const HEADER: usize = 5;

/// The longest attributes that are kept, in octets.
pub(crate) const ATTRIBUTES_MAX: usize = SHARED_MAX + SIZES[SIZES.len() - 1];

const _: () = assert!(SIZES[SIZES.len() - 1] <= PAGE);
const _: () = assert!(model::ids::PLANE_SESSION_MAX <= u8::MAX as usize);

/// What stands before a name and attributes.
struct Header {
    /// Octets of either.
    name: usize,
    own: usize,
    /// The run that goes before the attributes.
    held: SharedRef,
}

/// Two byte strings for each of many owners.
pub(crate) struct Blobs {
    shared: SharedRuns,
    region: Vec<u8>,
    page_count: usize,
    classes: Vec<u8>,
    free: [u32; SIZES.len()],
    /// Octets whose memory was touched before any of them was needed.
    ready: usize,
}

impl Blobs {
    /// Room for `octets` in all; memory is touched as it is used, or when it is [made ready](Blobs::make_ready).
    pub(crate) fn new(octets: usize) -> Blobs {
        let page_count = octets.div_ceil(PAGE).max(SIZES.len());
        Blobs {
            shared: SharedRuns::new(),
            region: vec![0; page_count * PAGE],
            page_count,
            classes: Vec::with_capacity(page_count),
            free: [NONE; SIZES.len()],
            ready: 0,
        }
    }

    /// Touches the memory of the first `octets`. Only before anything is stored.
    pub(crate) fn make_ready(&mut self, octets: usize) {
        assert!(self.classes.is_empty(), "nothing is kept yet");
        let end = octets.min(self.region.len());
        if end > self.ready {
            self.region[self.ready..end].fill(0);
            self.ready = end;
        }
    }

    /// Keeps copies of `name` and `attributes`; `None` when there is no room. Where there is none for one more run that is
    /// shared, all of the attributes are kept here.
    pub(crate) fn store(&mut self, name: &[u8], attributes: Run<'_>) -> Option<BlobRef> {
        let (held, unshared) = match self.shared.hold(attributes.shared) {
            Some(held) => (held, &[][..]),
            None => (SharedRef::NONE, attributes.shared),
        };
        let stored = self.store_piece(name, held, [unshared, attributes.own]);
        if stored.is_none() {
            self.shared.release(held);
        }
        stored
    }

    fn store_piece(&mut self, name: &[u8], held: SharedRef, [front, back]: [&[u8]; 2]) -> Option<BlobRef> {
        let length = front.len() + back.len();
        let need = HEADER + name.len() + length;
        let class = SIZES.iter().position(|&size| size >= need)?;
        let (of_name, of_attributes) = (u8::try_from(name.len()).ok()?, u16::try_from(length).ok()?);
        if self.free[class] == NONE {
            self.add_page(class)?;
        }
        let unit = self.free[class];
        let at = unit as usize * UNIT;
        self.free[class] = self.read_u32(at);
        let piece = &mut self.region[at..at + need];
        piece[..2].copy_from_slice(&of_attributes.to_le_bytes());
        piece[2..4].copy_from_slice(&held.to_octets());
        piece[4] = of_name;
        let mut rest = &mut piece[HEADER..];
        for part in [name, front, back] {
            let (room, behind) = rest.split_at_mut(part.len());
            room.copy_from_slice(part);
            rest = behind;
        }
        Some(BlobRef(unit))
    }

    /// The plane's own name of the session.
    pub(crate) fn name(&self, blob: BlobRef) -> &[u8] {
        let Header { name, .. } = self.header(blob);
        let at = blob.0 as usize * UNIT + HEADER;
        &self.region[at..at + name]
    }

    /// The session's attributes as they are on the wire.
    pub(crate) fn attributes(&self, blob: BlobRef) -> Run<'_> {
        let Header { name, own, held } = self.header(blob);
        let at = blob.0 as usize * UNIT + HEADER + name;
        Run { shared: self.shared.get(held), own: &self.region[at..at + own] }
    }

    /// Asks for the memory of a blob that is read soon.
    pub(crate) fn prefetch(&self, blob: BlobRef) {
        let at = blob.0 as usize * UNIT;
        let Some(&class) = self.classes.get(at / PAGE) else { return };
        let piece = &self.region[at..at + SIZES[usize::from(class)].min(PREFETCHED)];
        piece.iter().step_by(64).chain(piece.last()).for_each(prefetch::read);
    }

    /// Gives the place back.
    pub(crate) fn release(&mut self, blob: BlobRef) {
        self.shared.release(self.header(blob).held);
        let at = blob.0 as usize * UNIT;
        let class = usize::from(self.classes[at / PAGE]);
        self.region[at..at + 4].copy_from_slice(&self.free[class].to_le_bytes());
        self.free[class] = blob.0;
    }

    fn header(&self, blob: BlobRef) -> Header {
        let at = blob.0 as usize * UNIT;
        let mut octets = [0; HEADER];
        octets.copy_from_slice(&self.region[at..at + HEADER]);
        let [a, b, c, d, name] = octets;
        Header { name: name.into(), own: u16::from_le_bytes([a, b]).into(), held: SharedRef::from_octets([c, d]) }
    }

    fn read_u32(&self, at: usize) -> u32 {
        let mut octets = [0; 4];
        octets.copy_from_slice(&self.region[at..at + 4]);
        u32::from_le_bytes(octets)
    }

    #[expect(clippy::cast_possible_truncation, reason = "units of a region below 32 GiB; fewer classes than 255")]
    fn add_page(&mut self, class: usize) -> Option<()> {
        let page = self.classes.len();
        if page == self.page_count {
            return None;
        }
        self.classes.push(class as u8);
        let size = SIZES[class];
        // Linked from the back, so that pieces are handed out in ascending order.
        for piece in (0..PAGE / size).rev() {
            let at = page * PAGE + piece * size;
            self.region[at..at + 4].copy_from_slice(&self.free[class].to_le_bytes());
            self.free[class] = (at / UNIT) as u32;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(run: Run<'_>) -> Vec<u8> {
        let mut room = Vec::new();
        run.join(&mut room);
        room
    }

    proptest! {
        #[test]
        fn keeps_what_it_was_given(
            steps in prop::collection::vec((any::<bool>(), 0..64usize, 0..4300usize, 0..4u8, any::<u8>()), 1..200)
        ) {
            let mut blobs = Blobs::new(8 << 20);
            let mut kept: Vec<(BlobRef, Vec<u8>, Vec<u8>)> = Vec::new();
            for (keep, name, own, like, fill) in steps {
                if keep || kept.is_empty() {
                    // No run, two that many have, and one that is too long.
                    let shared = vec![like; [0, 100, 200, 300][usize::from(like)]];
                    let (name, own) = (vec![fill; name], vec![fill ^ 0xff; own.saturating_sub(shared.len())]);
                    let blob = blobs.store(&name, Run { shared: &shared, own: &own });
                    prop_assert!(blob.is_some());
                    kept.extend(blob.map(|blob| (blob, name, [shared, own].concat())));
                } else {
                    let (blob, ..) = kept.swap_remove(name % kept.len());
                    blobs.release(blob);
                }
                for (blob, name, attributes) in &kept {
                    prop_assert_eq!(blobs.name(*blob), &name[..]);
                    prop_assert_eq!(&whole(blobs.attributes(*blob)), attributes);
                }
                let held = |like| kept.iter().any(|(.., attributes)| attributes.starts_with(&[like; 100]));
                prop_assert!(blobs.shared.len() <= usize::from(held(1)) + usize::from(held(2)));
            }
            kept.into_iter().for_each(|(blob, ..)| blobs.release(blob));
            prop_assert_eq!(blobs.shared.len(), 0);
        }
    }

    #[test]
    fn shared_runs_are_counted_and_freed() {
        let mut blobs = Blobs::new(1 << 20);
        let run = |own| Run { shared: b"what all of a domain have", own };
        let a = blobs.store(b"a", run(b"1")).unwrap();
        let b = blobs.store(b"b", run(b"2")).unwrap();
        assert_eq!(blobs.shared.len(), 1);
        blobs.release(a);
        assert_eq!((blobs.shared.len(), whole(blobs.attributes(b))), (1, b"what all of a domain have2".to_vec()));
        blobs.release(b);
        assert_eq!(blobs.shared.len(), 0);
    }

    /// Who finds no place for what it shares with others has it for itself, and reads the same.
    #[test]
    fn a_full_table_of_shared_runs_is_no_refusal() {
        let mut blobs = Blobs::new(16 << 20);
        let mut kept = Vec::new();
        for number in 0..10_000_u32 {
            let shared = [b"run number ", &number.to_be_bytes()[..]].concat();
            kept.push((blobs.store(b"s", Run { shared: &shared, own: b" and its own" }).unwrap(), shared));
        }
        let most = blobs.shared.len();
        assert!(most < kept.len());
        for (blob, shared) in &kept {
            let held = blobs.attributes(*blob).shared;
            assert!(held.is_empty() || held == shared);
            assert_eq!(whole(blobs.attributes(*blob)), [&shared[..], b" and its own"].concat());
        }
        kept.iter().for_each(|(blob, _)| blobs.release(*blob));
        assert_eq!(blobs.shared.len(), 0);
        let again = blobs.store(b"s", Run { shared: b"a run", own: b"" }).unwrap();
        assert_eq!(blobs.attributes(again).shared, b"a run");
    }

    #[test]
    fn full_is_said_and_heals() {
        let mut blobs = Blobs::new(1);
        let mut kept = Vec::new();
        while let Some(blob) = blobs.store(b"s", Run { shared: b"shared", own: &[7; 200] }) {
            kept.push(blob);
        }
        assert!(kept.len() >= PAGE / 208);
        blobs.release(kept[0]);
        assert_eq!(blobs.store(b"t", Run { shared: b"", own: &[8; 200] }), Some(kept[0]));
        assert_eq!(blobs.store(&[0; 64], Run { shared: b"", own: &[0; 5000] }), None);
        // Who was refused holds nothing.
        assert_eq!(blobs.store(b"u", Run { shared: b"of nobody", own: &[7; 200] }), None);
        assert_eq!(blobs.shared.len(), 1);
    }
}
