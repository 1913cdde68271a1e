//! Any octets as datagrams of rtnetlink: each message is read or called malformed, the reader comes to an end, and what the
//! table of interfaces makes of them falls by nothing but a dump's word.

use std::collections::BTreeMap;

use model::counters::Counters;
use plane::links::{LinkNews, LinkTable};
use plane::netlink::{self, Body};

/// Octets of a message's header.
const HEADER: usize = 16;

/// What every interface was read with last.
type Known = BTreeMap<u32, (u32, Counters)>;

fn holds(table: &mut LinkTable, known: &mut Known, may_fall: bool) {
    for news in table.take_news() {
        match news {
            LinkNews::Here { link, .. } => {
                known.entry(link.index).or_default();
            }
            LinkNews::Gone { link, reading } => {
                let (generation, before) = known.remove(&link.index).expect("who goes was there");
                let fell = reading.is_some_and(|reading| reading.counters.falls_below(before));
                assert!(!fell || reading.is_some_and(|reading| reading.generation != generation));
            }
        }
    }
    for (index, (generation, before)) in known.iter_mut() {
        let Some(reading) = table.reading(*index) else { continue };
        let fell = reading.generation == *generation && reading.counters.falls_below(*before);
        assert!(may_fall || !fell, "it fell");
        assert!(table.swept(*index).is_none_or(|swept| swept == reading));
        (*generation, *before) = (reading.generation, reading.counters);
    }
}

/// Runs it on one input.
pub fn check(input: &[u8]) {
    assert!(netlink::messages(input).count() <= input.len() / HEADER + 1);
    let mut table = LinkTable::new();
    let (mut links, mut statistics, mut known) = (Vec::new(), Vec::new(), Known::new());
    table.dump_begins();
    // The sequence says what a message answers: a dump, or nothing.
    for message in netlink::messages(input).map_while(Result::ok) {
        match message.body {
            Body::NewLink(link) if message.sequence != 0 => links.push(link.link()),
            Body::Statistics { index, totals } => statistics.push((index, totals)),
            Body::Done(_) if message.sequence % 2 == 0 => {
                table.sweep_begins();
                table.handle_statistics(&std::mem::take(&mut statistics));
                holds(&mut table, &mut known, true);
                table.dump_begins();
            }
            Body::Done(_) => {
                let (is_whole, before) = (!message.interrupted, table.len());
                table.handle_links(std::mem::take(&mut links), is_whole);
                assert!(is_whole || table.len() >= before, "nobody is gone by an interrupted dump");
                holds(&mut table, &mut known, false);
                table.dump_begins();
            }
            body => {
                table.handle_told(&body);
                holds(&mut table, &mut known, false);
            }
        }
    }
}
