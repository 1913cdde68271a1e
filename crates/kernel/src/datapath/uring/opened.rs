//! A message that has come in, told datagram by datagram.

use std::net::SocketAddr;
use std::ops::Range;

/// A buffer that the kernel has filled and that is lent to the caller.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) socket: u16,
    pub(super) generation: u32,
    pub(super) buffer: u16,
    /// Octets in it, as the kernel says.
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    pub(super) segments: Segments,
}

/// How a message is cut into datagrams: where each stands within it, and whether its end is missing.
#[derive(Debug)]
pub(super) struct Segments {
    at: usize,
    end: usize,
    segment: usize,
    /// The end of the message is missing.
    truncated: bool,
    is_over: bool,
}

impl Segments {
    /// Of a message of so many octets, each datagram of so many but the last, which may be shorter. An empty message is one empty
    /// datagram.
    pub(super) fn of(length: usize, segment: Option<usize>, truncated: bool) -> Segments {
        Segments { at: 0, end: length, segment: segment.unwrap_or(length).max(1), truncated, is_over: false }
    }

    /// How many there are in all.
    pub(super) fn count_all(&self) -> usize {
        self.end.div_ceil(self.segment).max(1)
    }
}

impl Iterator for Segments {
    type Item = (Range<usize>, bool);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let end = self.end.min(self.at + self.segment);
        let range = self.at..end;
        self.at = end;
        self.is_over = end == self.end;
        Some((range, self.is_over && self.truncated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_where_the_kernel_says() {
        let cut = |length, segment, truncated| {
            let segments = Segments::of(length, segment, truncated);
            let count = segments.count_all();
            let cut: Vec<_> = segments.collect();
            assert_eq!(cut.len(), count, "{length} {segment:?}");
            cut
        };
        assert_eq!(cut(20, None, false), [(0..20, false)]);
        assert_eq!(cut(0, None, false), [(0..0, false)], "an empty datagram is one");
        assert_eq!(cut(60, Some(20), false), [(0..20, false), (20..40, false), (40..60, false)]);
        assert_eq!(cut(45, Some(20), false), [(0..20, false), (20..40, false), (40..45, false)]);
        assert_eq!(cut(10, Some(20), false), [(0..10, false)]);
        assert_eq!(cut(45, Some(20), true), [(0..20, false), (20..40, false), (40..45, true)]);
        assert_eq!(cut(9000, None, true), [(0..9000, true)]);
    }
}
