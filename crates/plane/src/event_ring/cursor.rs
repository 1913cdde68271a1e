//! How far all readers of a ring have come.

use lanes::sync::{AtomicU64, Line, Ordering, fence};

/// What each reader has published, and the least of it.
#[derive(Debug)]
pub(crate) struct SharedCursor {
    readers: Box<[Line<AtomicU64>]>,
    /// The least position, as far as somebody has computed it. Only grows.
    least: Line<AtomicU64>,
}

impl SharedCursor {
    pub(crate) fn new(readers: u16, start: u64) -> SharedCursor {
        let readers = (0..readers).map(|_| Line(AtomicU64::new(start))).collect();
        SharedCursor { readers, least: Line(AtomicU64::new(start)) }
    }

    /// What all readers have published.
    pub(crate) fn published(&self) -> u64 {
        self.least.0.load(Ordering::Acquire)
    }

    /// One reader has come further; whoever advances computes the least position and shows it to the plane in `shared`.
    pub(crate) fn advance(&self, reader: u16, position: u64, shared: &AtomicU64) {
        self.readers[usize::from(reader)].0.store(position, Ordering::Release);
        // Of two readers that advance at once, the one whose fence is later sees the other's position.
        fence(Ordering::SeqCst);
        let least = self.readers.iter().map(|reader| reader.0.load(Ordering::Acquire)).min().unwrap_or(position);
        if self.least.0.fetch_max(least, Ordering::AcqRel) >= least {
            return;
        }
        // Two readers can reach the store in the wrong order; the one that stored the smaller number last sees here
        // that more was reached, and stores again. Each round is another reader's progress.
        let mut shown = least;
        loop {
            fence(Ordering::SeqCst);
            shared.store(shown, Ordering::Release);
            fence(Ordering::SeqCst);
            let now = self.least.0.load(Ordering::Acquire);
            if now == shown {
                return;
            }
            shown = now;
        }
    }
}
