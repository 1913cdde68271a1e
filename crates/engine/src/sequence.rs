//! Requests of one server in the order of their last transmission: who is missed is always the first.
//!
//! A list whose links lie with the requests, so that it takes no memory of its own and has room for all.

use crate::session::NONE;

/// The ends of one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    first: u32,
    last: u32,
}

impl Default for Sequence {
    fn default() -> Sequence {
        Sequence { first: NONE, last: NONE }
    }
}

impl Sequence {
    /// The one that was transmitted before all others.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }
}

/// Before and after each request; [`NONE`] at the ends.
pub(crate) struct Links(Vec<Link>);

#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
    is_in: bool,
}

impl Links {
    /// For so many requests.
    pub(crate) fn new(capacity: u32) -> Links {
        Links(vec![Link { before: NONE, after: NONE, is_in: false }; capacity as usize])
    }

    /// Puts a request, which is in no list, at the end of one.
    pub(crate) fn push(&mut self, sequence: &mut Sequence, index: u32) {
        assert!(!self.0[index as usize].is_in, "a request is in one list");
        self.0[index as usize] = Link { before: sequence.last, after: NONE, is_in: true };
        match sequence.last {
            NONE => sequence.first = index,
            last => self.0[last as usize].after = index,
        }
        sequence.last = index;
    }

    /// Takes a request out of its list. False: it is in none.
    pub(crate) fn remove(&mut self, sequence: &mut Sequence, index: u32) -> bool {
        let Link { before, after, is_in } = self.0[index as usize];
        self.0[index as usize].is_in = false;
        if !is_in {
            return false;
        }
        match before {
            NONE => sequence.first = after,
            before => self.0[before as usize].after = after,
        }
        match after {
            NONE => sequence.last = before,
            after => self.0[after as usize].before = before,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sequence_is_a_queue_that_anybody_may_leave(steps in prop::collection::vec((any::<bool>(), 0..16_u32), 1..200)) {
            let (mut links, mut sequence, mut model) = (Links::new(16), Sequence::default(), VecDeque::new());
            for (comes, index) in steps {
                let is_in = model.contains(&index);
                if comes && !is_in {
                    links.push(&mut sequence, index);
                    model.push_back(index);
                } else if !comes {
                    prop_assert_eq!(links.remove(&mut sequence, index), is_in);
                    model.retain(|&other| other != index);
                }
                prop_assert_eq!(sequence.first(), model.front().copied());
            }
            while let Some(first) = sequence.first() {
                prop_assert_eq!(model.pop_front(), Some(first));
                links.remove(&mut sequence, first);
            }
            prop_assert!(model.is_empty());
        }
    }
}
