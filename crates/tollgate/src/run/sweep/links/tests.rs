//! Interfaces in namespaces, with real traffic: the kernel's own counters, read from /sys, are the oracle.

use super::churn::while_it_changes;
use super::*;
use crate::run::sweep::fixture::{Kind, Line, Namespace, V4, wait_until};

fn open(namespace: &Namespace) -> Links {
    namespace.within(|| Links::open().unwrap())
}

fn sweep(links: &mut Links, index: u32) -> Option<Reading> {
    let mut readings = [None];
    links.sweep(&[Subject::Interface(index)], &mut readings).unwrap();
    readings[0]
}

/// The news of one interface, from those that are there and those that come.
fn news_of(links: &mut Links, index: u32, is_it: impl Fn(&LinkNews) -> bool) -> LinkNews {
    let mut found = None;
    wait_until("the news come", || {
        links.wait(Duration::from_millis(100)).unwrap();
        let mut news = links.take_news().into_iter();
        found = news.find(|news| index_of(news) == index && is_it(news));
        found.is_some()
    });
    found.unwrap()
}

fn index_of(news: &LinkNews) -> u32 {
    match news {
        LinkNews::Here { link, .. } | LinkNews::Gone { link, .. } => link.index,
    }
}

fn end_of(links: &mut Links, index: u32) -> Totals {
    match news_of(links, index, |news| matches!(news, LinkNews::Gone { .. })) {
        LinkNews::Gone { reading: Some(reading), .. } => reading.counters.v4,
        other => panic!("no reading at the end: {other:?}"),
    }
}

#[test]
fn what_moves_is_what_the_kernel_counted() {
    let line = Line::new(Kind::Veth);
    let index = line.bng.index("line");
    let mut links = open(&line.bng);
    let before = line.bng.counted("line");
    assert_eq!(sweep(&mut links, index).unwrap().counters.v4, before);
    for rounds in [1, 100] {
        line.exchange(V4, rounds);
        let (reading, counted) = (sweep(&mut links, index).unwrap(), line.bng.counted("line"));
        assert_eq!(reading.counters.v4, counted);
    }
    assert!(line.bng.counted("line").out_packets >= 202);
    assert_eq!(sweep(&mut links, index + 1000), None);
    assert_eq!(links.reading(index).map(|reading| reading.counters.v4), Some(line.bng.counted("line")));
    assert_eq!(links.link(index).map(|link| link.address.as_slice()), Some(&[2, 0, 0, 0, 0, 1][..]));
}

#[test]
fn an_interface_that_ends_has_all_that_it_counted() {
    let line = Line::new(Kind::Macvlan);
    let index = line.bng.index("line");
    let mut links = open(&line.bng);
    line.exchange(V4, 10);
    sweep(&mut links, index);
    // What moves now is in no sweep.
    line.exchange(V4, 50);
    let counted = line.bng.counted("line");
    line.bng.ip("link delete line");
    assert_eq!(end_of(&mut links, index), counted);
    assert_eq!(sweep(&mut links, index), None);
    assert_eq!(links.index("line"), None);
}

#[test]
fn an_interface_can_end_while_traffic_flows() {
    let line = Line::new(Kind::Macvlan);
    let index = line.bng.index("line");
    let (mut links, from) = (open(&line.bng), line.subscriber.counted("wan"));
    let before = sweep(&mut links, index).unwrap().counters.v4;
    let flow = line.flow();
    flow.wait(500);
    let swept = sweep(&mut links, index).unwrap().counters.v4;
    flow.wait(500);
    line.bng.ip("link delete line");
    let end = end_of(&mut links, index);
    let arrived = flow.end();
    // Nothing else sends to the subscriber: its end of the line has received exactly what this interface sent.
    let wan = line.subscriber.counted("wan");
    assert_eq!(end.out_octets - before.out_octets, wan.in_octets - from.in_octets);
    assert_eq!(end.out_packets - before.out_packets, wan.in_packets - from.in_packets);
    assert!(swept.out_packets < end.out_packets && swept.in_packets < end.in_packets);
    // What it sends after the end is counted at its own end, and what is thrown away with the interface arrives nowhere.
    let received = end.in_packets - before.in_packets;
    assert!((arrived..=wan.out_packets - from.out_packets).contains(&received), "{arrived} {received} {wan:?}");
}

#[test]
fn a_veth_that_ends_keeps_what_was_swept_and_all_that_it_sent() {
    let line = Line::new(Kind::Veth);
    let index = line.bng.index("line");
    let mut links = open(&line.bng);
    line.exchange(V4, 20);
    let swept = sweep(&mut links, index).unwrap().counters.v4;
    line.exchange(V4, 20);
    let counted = line.bng.counted("line");
    line.bng.ip("link delete line");
    let end = end_of(&mut links, index);
    assert_eq!((end.in_octets, end.in_packets), (swept.in_octets, swept.in_packets));
    assert_eq!((end.out_octets, end.out_packets), (counted.out_octets, counted.out_packets));
}

#[test]
fn a_veth_that_is_set_down_first_ends_with_everything() {
    let line = Line::new(Kind::Veth);
    let index = line.bng.index("line");
    let mut links = open(&line.bng);
    line.exchange(V4, 20);
    let counted = line.bng.counted("line");
    line.bng.ip("link set line down");
    line.bng.ip("link delete line");
    assert_eq!(end_of(&mut links, index), counted);
}

#[test]
fn an_index_that_is_given_to_another_interface_is_another_subject() {
    let bng = Namespace::new();
    let mut links = open(&bng);
    let mut generations = Vec::new();
    for _ in 0..3 {
        bng.ip("link add ifb7 index 77 type ifb");
        generations.push(sweep(&mut links, 77).unwrap().generation);
        bng.ip("link delete ifb7");
    }
    bng.ip("link add ifb8 index 77 type ifb");
    sweep(&mut links, 77);
    let ended = links.take_ended();
    let ended: Vec<_> = ended.iter().map(|ended| (ended.subject, ended.reading.generation)).collect();
    assert_eq!(ended, generations.iter().map(|one| (Subject::Interface(77), *one)).collect::<Vec<_>>());
    generations.dedup();
    assert_eq!(generations.len(), 3);
    assert!(!generations.contains(&sweep(&mut links, 77).unwrap().generation));
    assert_eq!(links.index("ifb8"), Some(77));
}

#[test]
fn every_end_is_told_while_an_index_is_given_away_again_and_again() {
    const TIMES: usize = 60;
    let bng = Namespace::new();
    let mut links = open(&bng);
    let mut generations = Vec::new();
    let mut take = |links: &mut Links| {
        sweep(links, 77);
        generations.extend(links.take_ended().iter().map(|ended| ended.reading.generation));
    };
    let line = "echo link add ifb7 index 77 type ifb; echo link delete ifb7";
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| bng.shell(&format!("for i in $(seq {TIMES}); do {line}; done | ip -batch -")));
        while !churn.is_finished() {
            take(&mut links);
        }
        churn.join().unwrap();
    });
    take(&mut links);
    assert_eq!(generations.len(), TIMES);
    assert!(generations.is_sorted_by(|one, next| one < next), "{generations:?}");
}

#[test]
fn interfaces_that_come_go_up_and_down_are_news() {
    let bng = Namespace::new();
    bng.ip("link add ifb7 type ifb");
    let mut links = open(&bng);
    let index = bng.index("ifb7");
    let mut there = |wanted: [bool; 2]| {
        news_of(
            &mut links,
            index,
            |news| matches!(news, LinkNews::Here { link, .. } if link.name == "ifb7" && [link.up, link.running] == wanted),
        )
    };
    there([false, false]);
    bng.ip("link set ifb7 up");
    there([true, true]);
    bng.ip("link set ifb7 down");
    there([false, false]);
    bng.ip("link set ifb7 name wan");
    news_of(&mut links, index, |news| matches!(news, LinkNews::Here { link, .. } if link.name == "wan"));
    assert!(!links.wait(Duration::ZERO).unwrap());
}

#[test]
fn a_port_that_leaves_its_bridge_is_still_there() {
    let line = Line::new(Kind::Veth);
    line.bng.ip("link add bridge type bridge");
    let index = line.bng.index("line");
    let mut links = open(&line.bng);
    let before = sweep(&mut links, index).unwrap();
    line.bng.ip("link set line master bridge");
    line.bng.ip("link set line nomaster");
    assert_eq!(sweep(&mut links, index).unwrap().generation, before.generation);
    assert_eq!(links.take_ended(), []);
}

#[test]
fn what_was_not_heard_is_asked_for() {
    let line = Line::new(Kind::Macvlan);
    let index = line.bng.index("line");
    // Room for a handful of messages.
    let mut links = line.bng.within(|| Links::with_buffer(4096).unwrap());
    links.take_news();
    line.exchange(V4, 10);
    let swept = sweep(&mut links, index).unwrap();
    line.bng.shell("for i in $(seq 1 60); do echo link add ifb$i type ifb; done | ip -batch -");
    line.bng.ip("link delete line");
    assert!(links.wait(Duration::from_secs(5)).unwrap());
    let news = links.take_news();
    let here =
        news.iter().filter(|news| matches!(news, LinkNews::Here { link, .. } if link.name.starts_with("ifb"))).count();
    assert_eq!(here, 60);
    assert!(news.iter().any(|news| matches!(news, LinkNews::Gone { link, reading: Some(reading) }
        if link.index == index && *reading == swept)));
    assert_eq!(links.table.unread_ends(), 1);
    assert!(links.index("ifb60").is_some_and(|index| sweep(&mut links, index).is_some()));
}

#[test]
fn who_stands_is_known_and_read_while_others_come() {
    const STANDING: u32 = 1_000;
    let bng = Namespace::new();
    bng.shell(&format!("for i in $(seq {STANDING}); do echo link add stands$i type ifb; done | ip -batch -"));
    let mut links = while_it_changes(&bng, churn::INTERFACES, || {
        for _ in 0..2 {
            let mut links = open(&bng);
            let known = (1..=STANDING).filter(|number| links.index(&format!("stands{number}")).is_some()).count();
            assert_eq!(known, STANDING as usize);
            links.read_statistics().unwrap();
            let index = links.index("stands1").unwrap();
            assert!(links.reading(index).is_some(), "statistics are good whether or not anything is behind");
            assert!(links.take_news().iter().all(|news| matches!(news, LinkNews::Here { .. })), "nobody has gone");
        }
        open(&bng)
    });
    wait_until("a whole dump", || {
        links.wait(Duration::from_millis(10)).unwrap();
        !links.is_behind()
    });
    assert_eq!((links.due(), links.table.unread_ends()), (None, 0));
}
