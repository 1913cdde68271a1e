//! Where bills went that are in no store any more: the tombstones, merged into runs, so that every gap in the ids can be
//! explained (DESIGN.md section 4).
//!
//! Each run knows the segment of the record that told it, for that segment may only go when the run has been told again. The
//! ids of one record always stand together in one segment, so a record told again is recognised by its first id and its
//! octets are not counted twice.
//!
//! **How much memory**: some 64 octets for each run. **Full**: above [`RUN_COUNT_MAX`] runs, neighbours of one engine start are
//! told as one, by the departure of the greater part. No run is ever forgotten, for a gap that nothing explains is damage: ids
//! follow each other without gaps, so what then still parts two runs is a bill that is in a store, one that was dropped (those are
//! counted, and keep runs of their own), or the end of an engine start. There are no more runs than twice as many as of those. The
//! octets of runs that were merged into another way are known until the segment goes that told them.

use std::collections::BTreeMap;

use model::ids::BillId;
use model::record::{BillStore, Departed, Departure};

/// Runs kept as they were told: when the bills of full stores leave one by one, scattered, each of them is known by its own way.
pub const RUN_COUNT_MAX: usize = 65_536;

/// Bills that left together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepartedRun {
    /// The first.
    pub first: BillId,
    /// How many.
    pub count: u64,
    /// The store that they left last.
    pub store: BillStore,
    /// Where to.
    pub departure: Departure,
}

/// Sums over departures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepartedTotal {
    /// Octets from subscribers.
    pub in_octets: u64,
    /// Octets to subscribers.
    pub out_octets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    count: u64,
    way: Way,
    segment: u64,
}

/// Out of which store, where to.
type Way = (BillStore, Departure);

/// All departures.
#[derive(Clone, Debug)]
pub struct Departures {
    runs: BTreeMap<BillId, Run>,
    /// Runs by segment.
    told: BTreeMap<u64, usize>,
    totals: BTreeMap<(u64, Way), DepartedTotal>,
    /// When there are more runs, neighbours are merged.
    merge_above: usize,
}

impl Default for Departures {
    fn default() -> Departures {
        let (runs, told, totals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Departures { runs, told, totals, merge_above: RUN_COUNT_MAX }
    }
}

impl Departures {
    /// Enters what a record in `segment` tells. False: it was told before.
    pub(crate) fn enter(&mut self, segment: u64, departed: &Departed<'_>) -> bool {
        let way = (departed.store, departed.departure);
        let total = DepartedTotal { in_octets: departed.in_octets, out_octets: departed.out_octets };
        let known = departed.bills.iter().next().and_then(|run| self.find_run(run.first));
        let is_new = known.is_none_or(|(_, known)| known.way != way && !is_later(known.way, way));
        if let Some((_, known)) = known
            && (known.way == way || is_later(known.way, way))
            && let Some(sum) = self.totals.get_mut(&(known.segment, way))
        {
            sum.in_octets = sum.in_octets.saturating_sub(total.in_octets);
            sum.out_octets = sum.out_octets.saturating_sub(total.out_octets);
            if *sum == DepartedTotal::default() {
                self.totals.remove(&(known.segment, way));
            }
        }
        let sum = self.totals.entry((segment, way)).or_default();
        sum.in_octets = sum.in_octets.saturating_add(total.in_octets);
        sum.out_octets = sum.out_octets.saturating_add(total.out_octets);
        for run in departed.bills.iter() {
            self.put(run.first, Run { count: u64::from(run.count), way, segment });
        }
        if self.runs.len() > self.merge_above {
            self.merge();
        }
        is_new
    }

    /// Out of which store this bill went last, and where to.
    pub fn find(&self, id: BillId) -> Option<(BillStore, Departure)> {
        self.find_run(id).map(|(_, run)| run.way)
    }

    /// Every run, in the order of ids.
    pub fn runs(&self) -> impl Iterator<Item = DepartedRun> {
        self.runs.iter().map(|(&first, run)| DepartedRun {
            first,
            count: run.count,
            store: run.way.0,
            departure: run.way.1,
        })
    }

    /// Octets that went this way. Bills moved to the card are counted once more when they leave it.
    pub fn total(&self, store: BillStore, departure: Departure) -> DepartedTotal {
        let of_way = self.totals.iter().filter(|((_, way), _)| *way == (store, departure));
        of_way.fold(DepartedTotal::default(), |sum, (_, total)| DepartedTotal {
            in_octets: sum.in_octets.saturating_add(total.in_octets),
            out_octets: sum.out_octets.saturating_add(total.out_octets),
        })
    }

    /// Runs told by a record in this segment, by their way, each with the octets that went with them.
    pub(crate) fn told_in(&self, segment: u64) -> BTreeMap<Way, (DepartedTotal, Vec<(BillId, u64)>)> {
        let mut ways: BTreeMap<Way, (DepartedTotal, Vec<(BillId, u64)>)> = BTreeMap::new();
        for (first, run) in self.runs.iter().filter(|(_, run)| run.segment == segment) {
            let total = || self.totals.get(&(segment, run.way)).copied().unwrap_or_default();
            ways.entry(run.way).or_insert_with(|| (total(), Vec::new())).1.push((*first, run.count));
        }
        ways
    }

    /// Whether a record in this segment is the only one that tells of some bill.
    pub(crate) fn is_told_in(&self, segment: u64) -> bool {
        self.told.contains_key(&segment)
    }

    fn find_run(&self, id: BillId) -> Option<(BillId, Run)> {
        let (&first, &run) = self.runs.range(..=id).next_back()?;
        (first.epoch == id.epoch && id.sequence - first.sequence < run.count).then_some((first, run))
    }

    fn insert(&mut self, first: BillId, run: Run) {
        *self.told.entry(run.segment).or_default() += 1;
        if let Some(old) = self.runs.insert(first, run) {
            self.untell(old.segment);
        }
    }

    fn remove(&mut self, first: BillId) {
        if let Some(old) = self.runs.remove(&first) {
            self.untell(old.segment);
        }
    }

    fn untell(&mut self, segment: u64) {
        if let Some(count) = self.told.get_mut(&segment) {
            *count -= 1;
            if *count == 0 {
                self.told.remove(&segment);
            }
        }
    }

    /// Puts a run over what is known of its ids, but never an earlier departure over a later one.
    fn put(&mut self, first: BillId, run: Run) {
        let end = first.sequence + run.count;
        let mut at = first.sequence;
        while at < end {
            let id = BillId { epoch: first.epoch, sequence: at };
            let (piece_end, old) = match self.find_run(id) {
                Some((known, old)) => (end.min(known.sequence + old.count), Some(old)),
                None => {
                    let next = self.runs.range(id..).next().filter(|(next, _)| next.epoch == id.epoch);
                    (end.min(next.map_or(end, |(next, _)| next.sequence)), None)
                }
            };
            let count = piece_end - at;
            if old.is_none_or(|old| !is_later(old.way, run.way)) {
                self.cut(id, count);
                self.join(id, Run { count, ..run });
            }
            at = piece_end;
        }
    }

    /// Makes room for a run that lies within one that is known, or within none.
    fn cut(&mut self, id: BillId, count: u64) {
        let Some((first, old)) = self.find_run(id) else { return };
        self.remove(first);
        let (before, end) = (id.sequence - first.sequence, id.sequence + count);
        if before > 0 {
            self.insert(first, Run { count: before, ..old });
        }
        let behind = first.sequence + old.count - end;
        if behind > 0 {
            self.insert(BillId { sequence: end, ..id }, Run { count: behind, ..old });
        }
    }

    /// Inserts a run, as one with its neighbours where they are alike.
    fn join(&mut self, mut first: BillId, mut run: Run) {
        let alike = |other: &Run| (other.way, other.segment) == (run.way, run.segment);
        let next = BillId { sequence: first.sequence + run.count, ..first };
        let behind = self.runs.get(&next).filter(|other| alike(other)).map(|other| other.count);
        let before = self
            .runs
            .range(..first)
            .next_back()
            .filter(|(at, other)| {
                alike(other) && at.epoch == first.epoch && at.sequence + other.count == first.sequence
            })
            .map(|(at, other)| (*at, other.count));
        if let Some(count) = behind {
            self.remove(next);
            run.count += count;
        }
        if let Some((at, count)) = before {
            first = at;
            run.count += count;
        }
        self.insert(first, run);
    }

    /// Makes one run of neighbours, everywhere. The oldest of their segments has them told again in time, whichever goes.
    fn merge(&mut self) {
        let mut merged: Vec<(BillId, Run)> = Vec::new();
        for (first, run) in std::mem::take(&mut self.runs) {
            if let Some((at, before)) = merged.last_mut()
                && at.epoch == first.epoch
                && at.sequence + before.count == first.sequence
                && let Some(way) = merged_way(before, &run)
            {
                *before = Run { count: before.count + run.count, way, segment: before.segment.min(run.segment) };
            } else {
                merged.push((first, run));
            }
        }
        self.told.clear();
        for (_, run) in &merged {
            *self.told.entry(run.segment).or_default() += 1;
        }
        self.runs = merged.into_iter().collect();
        // All of them are looked through again only when as many have come.
        self.merge_above = RUN_COUNT_MAX.max(2 * self.runs.len());
    }
}

/// The way by which two runs are told as one. `None`: they are not. A card is searched for those that were moved to it, and those
/// that were dropped are counted.
fn merged_way(before: &Run, behind: &Run) -> Option<Way> {
    const MOVED: Way = (BillStore::Cache, Departure::Moved);
    let is_dropped = |run: &Run| run.way.1 == Departure::Dropped;
    if is_dropped(before) || is_dropped(behind) {
        return None;
    }
    match (before.way, behind.way) {
        (way, other) if way == other => Some(way),
        (MOVED, _) | (_, MOVED) => None,
        // That they left the card must be seen when they are told again as moved there.
        (way @ (BillStore::Cfcard, _), (BillStore::Cache, _))
        | ((BillStore::Cache, _), way @ (BillStore::Cfcard, _)) => Some(way),
        (way, _) if before.count >= behind.count => Some(way),
        (_, way) => Some(way),
    }
}

/// Whether `known` came after `told`: a bill is moved to the card before it leaves the card.
fn is_later(known: Way, told: Way) -> bool {
    told == (BillStore::Cache, Departure::Moved) && known.0 == BillStore::Cfcard
}

#[cfg(test)]
mod tests {
    use model::record::{BillRun, BillRuns};
    use model::time::Wall;
    use proptest::prelude::*;

    use super::*;

    fn enter(departures: &mut Departures, segment: u64, way: Way, runs: &[(u64, u32)]) {
        let mut octets = Vec::new();
        let mut count = 0;
        for (sequence, len) in runs {
            BillRun { first: BillId { epoch: 1, sequence: *sequence }, count: *len }.push_to(&mut octets);
            count += u64::from(*len);
        }
        let bills = BillRuns::from_octets(&octets).expect("ascending runs");
        let at = Wall::default();
        let departed =
            Departed { store: way.0, departure: way.1, transfer: 0, at, bills, in_octets: count, out_octets: 0 };
        departures.enter(segment, &departed);
    }

    fn shown(departures: &Departures) -> Vec<(u64, u64, Departure)> {
        departures.runs().map(|run| (run.first.sequence, run.count, run.departure)).collect()
    }

    const MOVED: Way = (BillStore::Cache, Departure::Moved);
    const SENT: Way = (BillStore::Cache, Departure::Transferred);
    const SENT_FROM_CARD: Way = (BillStore::Cfcard, Departure::Transferred);

    #[test]
    fn neighbours_merge_and_later_departures_cover_earlier_ones() {
        let mut departures = Departures::default();
        enter(&mut departures, 1, SENT, &[(1, 3)]);
        enter(&mut departures, 1, SENT, &[(4, 2)]);
        assert_eq!(shown(&departures), [(1, 5, Departure::Transferred)]);
        enter(&mut departures, 1, MOVED, &[(6, 4)]);
        enter(&mut departures, 1, SENT_FROM_CARD, &[(7, 2)]);
        let expected = [
            (1, 5, Departure::Transferred),
            (6, 1, Departure::Moved),
            (7, 2, Departure::Transferred),
            (9, 1, Departure::Moved),
        ];
        assert_eq!(shown(&departures), expected);
        // A copy of the older record, told behind the newer one, changes nothing but its place.
        enter(&mut departures, 2, MOVED, &[(6, 4)]);
        assert_eq!(shown(&departures), expected);
        assert_eq!(departures.find(BillId { epoch: 1, sequence: 8 }), Some(SENT_FROM_CARD));
        assert_eq!(departures.find(BillId { epoch: 1, sequence: 10 }), None);
    }

    #[test]
    fn what_is_told_again_is_counted_once() {
        let mut departures = Departures::default();
        enter(&mut departures, 1, SENT, &[(1, 3)]);
        enter(&mut departures, 1, SENT, &[(9, 3)]);
        enter(&mut departures, 2, SENT, &[(20, 5)]);
        enter(&mut departures, 3, SENT, &[(1, 3), (9, 3)]);
        assert_eq!(departures.total(SENT.0, SENT.1).in_octets, 11);
        assert!(!departures.is_told_in(1) && departures.is_told_in(2) && departures.is_told_in(3));
    }

    #[test]
    fn no_departure_is_forgotten_and_runs_are_bounded_by_what_stays() {
        // One bill in a thousand stays; the others leave one by one, each by another way and in another segment than its neighbours.
        let mut departures = Departures::default();
        let end = 4 * RUN_COUNT_MAX as u64;
        let stays = |sequence: u64| sequence.is_multiple_of(1_000);
        let ways = [SENT, (BillStore::Cache, Departure::Replayed), SENT_FROM_CARD];
        for sequence in (1..end).filter(|sequence| !stays(*sequence)) {
            let way = ways[usize::try_from(sequence % 3).unwrap()];
            enter(&mut departures, 1 + sequence % 7 + sequence / 100, way, &[(sequence, 1)]);
        }
        assert!(departures.runs.len() <= RUN_COUNT_MAX, "{}", departures.runs.len());
        let is_known = |departures: &Departures, sequence| departures.find(BillId { epoch: 1, sequence }).is_some();
        assert!((1..end).all(|sequence| is_known(&departures, sequence) != stays(sequence)));
        // Segments go, oldest first, when what they told was told again: nothing is lost with them.
        let mut again = Departures::default();
        for (segment, _) in departures.told.clone() {
            for (way, (_, runs)) in departures.told_in(segment) {
                for (first, count) in runs {
                    enter(&mut again, 1_000_000, way, &[(first.sequence, u32::try_from(count).unwrap())]);
                }
            }
        }
        assert!((1..end).all(|sequence| is_known(&again, sequence) != stays(sequence)));
    }

    #[test]
    fn what_is_counted_or_searched_for_is_merged_with_nothing_else() {
        let mut departures = Departures::default();
        let dropped = (BillStore::Cache, Departure::Dropped);
        for (segment, (way, first)) in
            (1..).zip([(SENT, 1), (SENT, 2), (dropped, 3), (MOVED, 4), (MOVED, 5), (SENT, 6)])
        {
            enter(&mut departures, segment, way, &[(first, 1)]);
        }
        departures.merge();
        let expected = [
            (1, 2, Departure::Transferred),
            (3, 1, Departure::Dropped),
            (4, 2, Departure::Moved),
            (6, 1, Departure::Transferred),
        ];
        assert_eq!(shown(&departures), expected);
        assert_eq!(departures.told.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 6]);
        enter(&mut departures, 7, SENT_FROM_CARD, &[(4, 1)]);
        enter(&mut departures, 7, SENT, &[(3, 1)]);
        departures.merge();
        enter(&mut departures, 8, MOVED, &[(4, 2)]);
        assert_eq!(departures.find(BillId { epoch: 1, sequence: 4 }), Some(SENT_FROM_CARD), "it has left the card");
    }

    #[test]
    fn scattered_bills_of_full_stores_are_all_known() {
        let mut departures = Departures::default();
        for number in 1..=20_000 {
            enter(&mut departures, number / 100, SENT, &[(2 * number, 1)]);
        }
        assert!((1..=20_000).all(|number| departures.find(BillId { epoch: 1, sequence: 2 * number }).is_some()));
    }

    proptest! {
        #[test]
        fn runs_say_of_each_id_what_was_said_last(
            told in prop::collection::vec((0..3_usize, 1..40_u64, 1..20_u32), 1..40),
        ) {
            let ways = [SENT, MOVED, SENT_FROM_CARD];
            let mut departures = Departures::default();
            let mut model: BTreeMap<u64, Way> = BTreeMap::new();
            for (segment, (way, first, count)) in (1..).zip(&told) {
                enter(&mut departures, segment, ways[*way], &[(*first, *count)]);
                for sequence in *first..first + u64::from(*count) {
                    if !model.get(&sequence).is_some_and(|known| is_later(*known, ways[*way])) {
                        model.insert(sequence, ways[*way]);
                    }
                }
            }
            for sequence in 0..70 {
                prop_assert_eq!(departures.find(BillId { epoch: 1, sequence }), model.get(&sequence).copied());
            }
        }
    }
}
