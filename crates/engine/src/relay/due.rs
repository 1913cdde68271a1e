//! When each client has something to be done, in the order of these times: a turn looks at those only whose time has come, however
//! many there are.
//!
//! **Full:** never; a client has one time at most.

use std::collections::BTreeSet;

use model::time::Mono;

/// The times of all clients, each known by its place.
#[derive(Default)]
pub(super) struct Due {
    /// By their places.
    at: Vec<Option<Mono>>,
    /// The same, the earliest first.
    order: BTreeSet<(Mono, usize)>,
}

impl Due {
    /// Of so many clients, none of which has anything to be done.
    pub(super) fn of(clients: usize) -> Due {
        Due { at: vec![None; clients], order: BTreeSet::new() }
    }

    /// A client has another time, or none.
    pub(super) fn set(&mut self, place: usize, at: Option<Mono>) {
        let before = std::mem::replace(&mut self.at[place], at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, place));
        }
        if let Some(at) = at {
            self.order.insert((at, place));
        }
    }

    /// The earliest time.
    pub(super) fn first(&self) -> Option<Mono> {
        self.order.first().map(|&(at, _)| at)
    }

    /// The places of those whose time has come, the earliest first.
    pub(super) fn until(&self, now: Mono) -> impl Iterator<Item = usize> {
        self.order.iter().take_while(move |&&(at, _)| at <= now).map(|&(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_the_least_of_all_and_nobody_is_looked_at_before_its_time(
            news in vec((0..8_usize, option::of(0..20_u64)), 0..60),
            now in 0..20_u64,
        ) {
            let (mut due, mut at) = (Due::of(8), [None; 8]);
            for (place, time) in news {
                at[place] = time.map(Mono::from_nanos);
                due.set(place, at[place]);
                prop_assert_eq!(due.first(), at.iter().copied().flatten().min());
                let now = Mono::from_nanos(now);
                let mut come: Vec<usize> = (0..8).filter(|&place| at[place].is_some_and(|at| at <= now)).collect();
                come.sort_by_key(|&place| at[place]);
                prop_assert_eq!(due.until(now).collect::<Vec<_>>(), come);
            }
        }
    }
}
