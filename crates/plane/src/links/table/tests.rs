use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::netlink::LinkMessage;

fn totals(received: u64, sent: u64) -> Totals {
    Totals { in_octets: 100 * received, in_packets: received, out_octets: 10 * sent, out_packets: sent }
}

fn message(index: u32, name: &'static str, counted: Option<Totals>) -> LinkMessage<'static> {
    let hardware = 512;
    LinkMessage { index, hardware, name: name.as_bytes(), address: &[], up: true, running: true, totals: counted }
}

fn link(index: u32, name: &'static str) -> Link {
    message(index, name, None).link()
}

fn table(links: &[Link]) -> LinkTable {
    let mut table = LinkTable::new();
    table.dump_begins();
    table.handle_links(links.to_vec(), true);
    assert_eq!(table.take_news(), links.iter().cloned().map(|link| here(link, None, 0)).collect::<Vec<_>>());
    table
}

fn sweep(table: &mut LinkTable, dump: &[(u32, Totals)]) {
    table.dump_begins();
    table.handle_statistics(dump);
}

fn counted(table: &LinkTable, index: u32) -> Option<Totals> {
    table.reading(index).map(|reading| reading.counters.v4)
}

fn here(link: Link, counted: Option<Totals>, generation: u32) -> LinkNews {
    let reading =
        counted.map(|counted| Reading { counters: Subject::Interface(link.index).counters(counted), generation });
    LinkNews::Here { link, reading }
}

fn gone(link: Link, counted: Totals, generation: u32) -> LinkNews {
    let counters = Subject::Interface(link.index).counters(counted);
    LinkNews::Gone { link, reading: Some(Reading { counters, generation }) }
}

#[test]
fn an_interface_is_read_by_its_index_and_found_by_its_name() {
    let mut table = table(&[link(1, "lo"), link(7, "ppp0")]);
    assert_eq!((table.reading(7), table.index("ppp0")), (None, Some(7)));
    sweep(&mut table, &[(7, totals(5, 6)), (9, totals(1, 1))]);
    assert_eq!((counted(&table, 7), counted(&table, 1), counted(&table, 9)), (Some(totals(5, 6)), None, None));

    table.handle_told(&Body::NewLink(message(7, "wan", Some(totals(4, 6)))));
    assert_eq!(table.take_news(), [here(link(7, "wan"), Some(totals(5, 6)), 2)]);
    assert_eq!((table.index("ppp0"), table.index("wan")), (None, Some(7)));
    assert_eq!(counted(&table, 7), Some(totals(5, 6)), "what the group says may be older than the dump");
    table.handle_told(&Body::NewLink(message(7, "wan", Some(totals(8, 6)))));
    assert_eq!((table.take_news().len(), counted(&table, 7)), (0, Some(totals(8, 6))));
}

#[test]
fn two_interfaces_can_swap_their_names() {
    let mut table = table(&[link(1, "a"), link(2, "b")]);
    for (index, name) in [(1, "c"), (2, "a"), (1, "b")] {
        table.handle_told(&Body::NewLink(message(index, name, None)));
    }
    assert_eq!((table.index("a"), table.index("b"), table.index("c")), (Some(2), Some(1), None));
}

#[test]
fn the_end_of_an_interface_has_its_last_octets() {
    let mut table = table(&[link(7, "ppp0")]);
    sweep(&mut table, &[(7, totals(5, 6))]);
    let generation = table.reading(7).unwrap().generation;
    table.handle_told(&Body::DelLink(message(7, "ppp0", Some(totals(9, 8)))));
    assert_eq!(table.take_news(), [gone(link(7, "ppp0"), totals(9, 8), generation)]);
    assert_eq!((table.reading(7), table.index("ppp0")), (None, None));
    table.handle_told(&Body::DelLink(message(7, "ppp0", Some(totals(9, 8)))));
    assert_eq!(table.take_news(), []);
}

#[test]
fn an_interface_that_lived_between_two_sweeps_is_counted() {
    let mut table = LinkTable::new();
    table.handle_told(&Body::NewLink(message(7, "ppp0", Some(totals(0, 0)))));
    table.handle_told(&Body::DelLink(message(7, "ppp0", Some(totals(9, 8)))));
    assert_eq!(
        table.take_news(),
        [here(link(7, "ppp0"), Some(totals(0, 0)), 1), gone(link(7, "ppp0"), totals(9, 8), 1)]
    );
}

#[test]
fn an_index_that_was_given_away_again_has_another_generation() {
    let mut table = table(&[link(7, "ppp0")]);
    sweep(&mut table, &[(7, totals(5, 6))]);
    let before = table.reading(7).unwrap().generation;
    // Both happen while a dump runs, which may tell of either.
    table.dump_begins();
    table.handle_told(&Body::DelLink(message(7, "ppp0", Some(totals(6, 6)))));
    table.handle_told(&Body::NewLink(message(7, "ppp0", Some(totals(0, 0)))));
    table.handle_statistics(&[(7, totals(6, 6))]);
    assert_eq!(counted(&table, 7), Some(totals(0, 0)), "the dump told of the one before");
    sweep(&mut table, &[(7, totals(1, 2))]);
    let after = table.reading(7).unwrap();
    assert_eq!(after.counters.v4, totals(1, 2));
    assert_ne!(after.generation, before);
    let again = here(link(7, "ppp0"), Some(totals(0, 0)), after.generation);
    assert_eq!(table.take_news(), [gone(link(7, "ppp0"), totals(6, 6), before), again]);
}

#[test]
fn an_interface_is_one_for_life_whatever_its_counters_say() {
    let mut table = table(&[link(7, "veth0")]);
    for (received, sent) in [(5, 6), (0, 7), (0, 8), (2, 0), (1, 0), (0, 0), (3, 4)] {
        sweep(&mut table, &[(7, totals(received, sent))]);
        assert_eq!((counted(&table, 7), table.reading(7).unwrap().generation), (Some(totals(received, sent)), 1));
    }
    // Of a pair that was taken apart one direction is told no more.
    table.handle_told(&Body::DelLink(message(7, "veth0", Some(totals(0, 9)))));
    assert_eq!(table.take_news(), [gone(link(7, "veth0"), totals(3, 9), 1)]);
}

#[test]
fn what_the_group_says_while_a_dump_runs_may_be_newer_than_the_dump() {
    let mut table = table(&[link(7, "ppp0"), link(8, "ppp1")]);
    sweep(&mut table, &[(7, totals(5, 6)), (8, totals(5, 6))]);
    table.dump_begins();
    // It changes while traffic flows: the dump has read it before that, or behind it.
    table.handle_told(&Body::NewLink(message(7, "wan", Some(totals(9, 8)))));
    table.handle_told(&Body::NewLink(message(8, "lan", Some(totals(7, 7)))));
    table.handle_statistics(&[(7, totals(8, 8)), (8, totals(8, 8))]);
    assert_eq!((counted(&table, 7), counted(&table, 8)), (Some(totals(9, 8)), Some(totals(8, 8))));
    // A driver that has begun again is known by both.
    table.dump_begins();
    table.handle_told(&Body::NewLink(message(7, "wan", Some(totals(1, 0)))));
    table.handle_told(&Body::NewLink(message(7, "ppp0", Some(totals(2, 1)))));
    table.handle_statistics(&[(7, totals(1, 1)), (8, totals(9, 9))]);
    assert_eq!((counted(&table, 7), counted(&table, 8)), (Some(totals(2, 1)), Some(totals(9, 9))));
}

#[test]
fn a_sweep_has_read_what_its_dumps_name() {
    let mut table = table(&[link(7, "ppp0"), link(8, "ppp1")]);
    let swept = |table: &LinkTable| [7, 8].map(|index| table.swept(index).map(|reading| reading.counters.v4));
    table.sweep_begins();
    sweep(&mut table, &[(7, totals(5, 6))]);
    assert_eq!(swept(&table), [Some(totals(5, 6)), None]);
    sweep(&mut table, &[(8, totals(1, 1))]);
    assert_eq!(swept(&table), [Some(totals(5, 6)), Some(totals(1, 1))]);
    table.sweep_begins();
    assert_eq!(swept(&table), [None, None]);
    // Neither what the group says nor what an interrupted dump leaves out was read.
    table.handle_told(&Body::NewLink(message(8, "ppp1", Some(totals(2, 1)))));
    sweep(&mut table, &[(7, totals(5, 7))]);
    assert_eq!(swept(&table), [Some(totals(5, 7)), None]);
    assert_eq!(counted(&table, 8), Some(totals(2, 1)));
}

#[test]
fn what_the_group_lost_is_found_by_a_dump() {
    let mut table = table(&[link(1, "lo"), link(7, "ppp0"), link(8, "ppp1"), link(9, "eth0")]);
    sweep(&mut table, &[(7, totals(5, 6)), (8, totals(1, 1)), (9, totals(3, 3))]);
    let renamed = Link { address: vec![2, 0, 0, 0, 0, 1], ..link(9, "eth0") };
    table.handle_told(&Body::NewLink(LinkMessage { address: &[2, 0, 0, 0, 0, 1], ..message(9, "eth0", None) }));
    table.take_news();
    let of = |index| table.reading(index).unwrap().generation;
    let (first, second, third) = (of(7), of(8), of(9));
    table.dump_begins();
    let renamed = Link { name: "wan".to_owned(), ..renamed };
    // 7 is gone, 8 is another interface, 9 has another name, 10 has come.
    table.handle_links(vec![link(1, "lo"), link(8, "other"), renamed.clone(), link(10, "ppp3")], true);
    assert_eq!(
        table.take_news(),
        [
            gone(link(7, "ppp0"), totals(5, 6), first),
            gone(link(8, "ppp1"), totals(1, 1), second),
            here(link(8, "other"), None, 0),
            here(renamed, None, third),
            here(link(10, "ppp3"), None, 0),
        ]
    );
    assert_eq!((table.unread_ends(), table.reading(8)), (2, None));
    assert_eq!(table.reading(9).unwrap().generation, third);
}

#[test]
fn nobody_is_gone_because_an_interrupted_dump_does_not_name_it() {
    let mut table = table(&[link(7, "ppp0"), link(8, "ppp1")]);
    sweep(&mut table, &[(7, totals(5, 6)), (8, totals(1, 1))]);
    let of_other = table.reading(8).unwrap().generation;
    table.dump_begins();
    table.handle_told(&Body::DelLink(message(9, "ppp2", None)));
    // 7 is left out, 8 is another interface, 9 has gone behind the dump's back, 10 has come.
    table.handle_links(vec![link(8, "other"), link(9, "ppp2"), link(10, "ppp3")], false);
    assert_eq!(
        table.take_news(),
        [
            gone(link(8, "ppp1"), totals(1, 1), of_other),
            here(link(8, "other"), None, 0),
            here(link(10, "ppp3"), None, 0)
        ]
    );
    assert_eq!((counted(&table, 7), table.unread_ends()), (Some(totals(5, 6)), 1));
    table.dump_begins();
    table.handle_links(vec![link(8, "other"), link(10, "ppp3")], true);
    assert_eq!((table.index("ppp0"), table.len(), table.unread_ends()), (None, 2, 2));
}

#[test]
fn the_group_knows_better_than_a_dump_that_had_begun() {
    let mut table = table(&[link(7, "ppp0"), link(8, "ppp1")]);
    table.take_news();
    table.dump_begins();
    table.handle_told(&Body::DelLink(message(7, "ppp0", None)));
    table.handle_told(&Body::NewLink(message(9, "ppp2", None)));
    table.handle_links(vec![link(7, "ppp0"), link(8, "ppp1")], true);
    assert_eq!((table.index("ppp0"), table.index("ppp1"), table.index("ppp2")), (None, Some(8), Some(9)));
    assert_eq!(table.unread_ends(), 0);
}

#[test]
fn who_comes_and_goes_between_two_dumps_is_not_remembered() {
    let mut table = table(&[link(1, "lo")]);
    let churn = |table: &mut LinkTable| {
        for index in 2..1000 {
            table.handle_told(&Body::NewLink(message(index, "ppp0", None)));
            table.handle_told(&Body::DelLink(message(index, "ppp0", None)));
        }
        table.take_news();
    };
    let remembered = |table: &LinkTable| (table.told.len(), table.taken_away.len());
    churn(&mut table);
    assert_eq!(remembered(&table), (0, 0), "a dump of interfaces is over");
    sweep(&mut table, &[(1, totals(1, 1))]);
    churn(&mut table);
    assert_eq!(remembered(&table), (0, 0), "a dump of statistics is over");
    table.dump_begins();
    churn(&mut table);
    assert_eq!(remembered(&table), (998, 998));
    table.dump_ends();
    assert_eq!(remembered(&table), (0, 0), "a dump has broken off");
}

/// An interface comes, or one of those that are there goes.
#[derive(Clone, Copy, Debug)]
enum Change {
    Come,
    Go(usize),
}

/// The interfaces that there really are, each under the index that the kernel gave it.
#[derive(Default)]
struct Kernel {
    indices: BTreeSet<u32>,
    last: u32,
}

impl Kernel {
    fn change(&mut self, change: Change) -> Option<Body<'static>> {
        match change {
            Change::Come => {
                self.last += 1;
                self.indices.insert(self.last);
                Some(Body::NewLink(message(self.last, "ppp", None)))
            }
            Change::Go(which) => {
                let index = self.indices.iter().copied().nth(which % self.indices.len().max(1))?;
                self.indices.remove(&index);
                Some(Body::DelLink(message(index, "ppp", None)))
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![3 => Just(Change::Come), 2 => any::<usize>().prop_map(Change::Go)]
}

proptest! {
    /// A dump names one interface after the other, and each may come or go before the next is named. One under which something has
    /// changed is marked, and it may leave somebody out.
    #[test]
    fn who_is_there_is_known_as_soon_as_any_dump_has_named_it(
        rounds in proptest::collection::vec(
            (
                proptest::collection::vec((change(), any::<bool>()), 0..6),
                proptest::collection::vec(change(), 0..3),
                any::<bool>(),
                any::<prop::sample::Index>(),
            ),
            1..12,
        )
    ) {
        let (mut table, mut kernel) = (LinkTable::new(), Kernel::default());
        for (between, during, leaves_out, left_out) in rounds {
            for (change, is_heard) in between {
                let told = kernel.change(change);
                told.iter().filter(|_| is_heard).for_each(|told| table.handle_told(told));
            }
            let known: BTreeSet<u32> = table.cells.keys().copied().collect();
            table.dump_begins();
            let (is_whole, mut during, mut group) = (during.is_empty(), during.into_iter(), Vec::new());
            let (mut named, mut cursor) = (Vec::new(), 0);
            while let Some(index) = kernel.indices.range(cursor + 1..).next().copied() {
                named.push(link(index, "ppp"));
                cursor = index;
                group.extend(during.next().and_then(|change| kernel.change(change)));
            }
            group.extend(during.filter_map(|change| kernel.change(change)));
            if !is_whole && leaves_out && !named.is_empty() {
                named.remove(left_out.index(named.len()));
            }
            group.iter().for_each(|told| table.handle_told(told));
            let dump: BTreeSet<u32> = named.iter().map(|link| link.index).collect();
            table.handle_links(named, is_whole);
            let there: BTreeSet<u32> = table.cells.keys().copied().collect();
            let wanted: BTreeSet<u32> =
                kernel.indices.iter().copied().filter(|index| known.contains(index) || dump.contains(index)).collect();
            prop_assert!(there.is_superset(&wanted), "{wanted:?} are there, and {there:?} are known");
            if is_whole {
                prop_assert_eq!(&there, &kernel.indices);
            }
            // Only one of whose end nothing was heard is taken for one that is there.
            let gone = there.difference(&kernel.indices);
            prop_assert!(gone.clone().all(|index| known.contains(index)), "{gone:?} have gone");
        }
    }
}
