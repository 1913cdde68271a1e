//! Octets that wait for a socket to take them: a ring in memory of its own.

use std::io::IoSlice;

/// A ring of octets. Empty, it begins again at its first octet, so that one that never fills touches few pages.
#[derive(Debug)]
pub(super) struct Queue {
    octets: Box<[u8]>,
    /// The first that waits.
    head: usize,
    length: usize,
}

impl Queue {
    /// One without any room.
    pub(super) fn unused() -> Queue {
        Queue { octets: Box::default(), head: 0, length: 0 }
    }

    /// Empties it, and gives it so much room if it has another. Pages of it become resident when they are first written to.
    pub(super) fn begin(&mut self, room: usize) {
        self.clear();
        if self.octets.len() != room {
            self.octets = vec![0; room].into_boxed_slice();
        }
    }

    pub(super) fn room(&self) -> usize {
        self.octets.len() - self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn clear(&mut self) {
        (self.head, self.length) = (0, 0);
    }

    /// Appends all of them; `false`, and nothing has changed, when there is no room.
    pub(super) fn push(&mut self, octets: &[u8]) -> bool {
        if octets.len() > self.room() {
            return false;
        }
        let end = self.wrapped(self.head + self.length);
        let (first, rest) = octets.split_at(octets.len().min(self.octets.len() - end));
        self.octets[end..end + first.len()].copy_from_slice(first);
        self.octets[..rest.len()].copy_from_slice(rest);
        self.length += octets.len();
        true
    }

    /// What waits, in order, in at most two pieces.
    pub(super) fn pieces(&self) -> [IoSlice<'_>; 2] {
        let first = self.length.min(self.octets.len() - self.head);
        let rest = self.length - first;
        [IoSlice::new(&self.octets[self.head..self.head + first]), IoSlice::new(&self.octets[..rest])]
    }

    /// So many, from the first on, were taken.
    pub(super) fn take(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.head = if self.length == 0 { 0 } else { self.wrapped(self.head + count) };
    }

    fn wrapped(&self, position: usize) -> usize {
        if position >= self.octets.len() { position - self.octets.len() } else { position }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::{any, proptest};

    use super::Queue;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(room in 0..40_usize, steps in proptest::collection::vec(any::<(u8, u8)>(), 0..60)) {
            let mut queue = Queue::unused();
            queue.begin(room);
            let mut expected = VecDeque::new();
            for (serial, (pushed, taken)) in (0_u8..).zip(steps) {
                let octets = vec![serial; usize::from(pushed % 20)];
                let fits = octets.len() <= room - expected.len();
                assert_eq!(queue.push(&octets), fits);
                if fits {
                    expected.extend(octets);
                }
                let taken = usize::from(taken % 20).min(expected.len());
                queue.take(taken);
                expected.drain(..taken);
                assert!(queue.pieces().iter().flat_map(|piece| piece.iter()).eq(&expected));
                assert_eq!((queue.room(), queue.is_empty()), (room - expected.len(), expected.is_empty()));
            }
        }
    }
}
