//! What a session has that differs in length: its name on the plane and its own attributes, kept together in one
//! place that is taken at start.
//!
//! ```text
//!   region:  page | page | page | …        16 KiB each, handed to a size class when that class has no room
//!   page:    piece | piece | …             all of one size; a free piece holds the number of the next
//! ```
//!
//! **Full:** [`Blobs::store`] says so and the subscriber is refused. A page stays with its class; sizes are spaced
//! so that at most an eighth of a piece beyond 256 octets is lost.

use lanes::prefetch;

/// Where a blob stands, in units of 16 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobRef(u32);

impl BlobRef {
    /// Of no blob.
    pub(crate) const NONE: BlobRef = BlobRef(u32::MAX);
}

const UNIT: usize = 16;
const PAGE: usize = 16 * 1024;
/// Piece sizes; the last holds the longest name with the longest attributes that fit into a packet.
const SIZES: [usize; 21] =
    [64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 256, 304, 384, 512, 640, 1024, 1360, 2048, 2720, 4608];
const NONE: u32 = u32::MAX;
/// Each piece begins with the lengths of its two parts.
const HEADER: usize = 4;

const _: () = assert!(SIZES[SIZES.len() - 1] <= PAGE);

/// Two byte strings for each of many owners.
pub(crate) struct Blobs {
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

    /// Keeps copies of `name` and `attributes`; `None` when there is no room.
    pub(crate) fn store(&mut self, name: &[u8], attributes: &[u8]) -> Option<BlobRef> {
        let need = HEADER + name.len() + attributes.len();
        let class = SIZES.iter().position(|&size| size >= need)?;
        if self.free[class] == NONE {
            self.add_page(class)?;
        }
        let unit = self.free[class];
        let at = unit as usize * UNIT;
        self.free[class] = self.read_u32(at);
        let piece = &mut self.region[at..at + need];
        piece[..2].copy_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
        piece[2..4].copy_from_slice(&u16::try_from(attributes.len()).ok()?.to_le_bytes());
        piece[HEADER..HEADER + name.len()].copy_from_slice(name);
        piece[HEADER + name.len()..].copy_from_slice(attributes);
        Some(BlobRef(unit))
    }

    /// The plane's own name of the session.
    pub(crate) fn name(&self, blob: BlobRef) -> &[u8] {
        let (name, _) = self.lengths(blob);
        let at = blob.0 as usize * UNIT + HEADER;
        &self.region[at..at + name]
    }

    /// The session's own attributes as they are on the wire.
    pub(crate) fn attributes(&self, blob: BlobRef) -> &[u8] {
        let (name, attributes) = self.lengths(blob);
        let at = blob.0 as usize * UNIT + HEADER + name;
        &self.region[at..at + attributes]
    }

    /// Asks for the memory of a blob that is read soon, as far as most of them reach.
    pub(crate) fn prefetch(&self, blob: BlobRef) {
        let at = blob.0 as usize * UNIT;
        for line in 0..4 {
            self.region.get(at + line * 64).into_iter().for_each(prefetch::read);
        }
    }

    /// Gives the place back.
    pub(crate) fn release(&mut self, blob: BlobRef) {
        let at = blob.0 as usize * UNIT;
        let class = usize::from(self.classes[at / PAGE]);
        self.region[at..at + 4].copy_from_slice(&self.free[class].to_le_bytes());
        self.free[class] = blob.0;
    }

    fn lengths(&self, blob: BlobRef) -> (usize, usize) {
        let word = self.read_u32(blob.0 as usize * UNIT);
        ((word & 0xffff) as usize, (word >> 16) as usize)
    }

    fn read_u32(&self, at: usize) -> u32 {
        let mut octets = [0; 4];
        octets.copy_from_slice(&self.region[at..at + 4]);
        u32::from_le_bytes(octets)
    }

    #[expect(clippy::cast_possible_truncation, reason = "units of a region below 64 GiB; fewer classes than 255")]
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

    proptest! {
        #[test]
        fn keeps_what_it_was_given(steps in prop::collection::vec((any::<bool>(), 0..64usize, 0..4300usize, any::<u8>()), 1..200)) {
            let mut blobs = Blobs::new(8 << 20);
            let mut kept: Vec<(BlobRef, Vec<u8>, Vec<u8>)> = Vec::new();
            for (keep, name, attributes, fill) in steps {
                if keep || kept.is_empty() {
                    let (name, attributes) = (vec![fill; name], vec![fill ^ 0xff; attributes]);
                    let blob = blobs.store(&name, &attributes);
                    prop_assert!(blob.is_some());
                    kept.extend(blob.map(|blob| (blob, name, attributes)));
                } else {
                    let (blob, ..) = kept.swap_remove(name % kept.len());
                    blobs.release(blob);
                }
                for (blob, name, attributes) in &kept {
                    prop_assert_eq!(blobs.name(*blob), &name[..]);
                    prop_assert_eq!(blobs.attributes(*blob), &attributes[..]);
                }
            }
        }
    }

    #[test]
    fn full_is_said_and_heals() {
        let mut blobs = Blobs::new(1);
        let mut kept = Vec::new();
        while let Some(blob) = blobs.store(b"s", &[7; 200]) {
            kept.push(blob);
        }
        assert!(kept.len() >= PAGE / 208);
        blobs.release(kept[0]);
        assert_eq!(blobs.store(b"t", &[8; 200]), Some(kept[0]));
        assert_eq!(blobs.store(&[0; 64], &[0; 5000]), None);
    }
}
