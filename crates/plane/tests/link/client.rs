//! The Rust client against the engine's half.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, PlaneEvent, Reset, Subscriber, Up};
use model::ids::PlaneIndex;
use model::verdict::{Reason, Sentence, Verdict};
use plane::client::{LinkState, Options, PlaneClient, SharedMemory};
use plane::hello::{Answer, Hello, HelloError, Welcome};
use plane::{Geometry, OwnedVerdict, SendError};
use rustix::event::epoll;

use crate::engine::{self, PATIENCE, accept, answer, listen, readable, receive, welcome};

const GEOMETRY: Geometry = Geometry { rings: 2, records: 64, slots: 100, dual_stack: true, verdicts: 16 };

fn plane() -> PlaneClient {
    PlaneClient::create(&Options { name: "plane-0", geometry: GEOMETRY }).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("plane.sock");
    (place, path)
}

fn connected(plane: &mut PlaneClient) {
    until(plane, LinkState::Fresh);
}

fn until(plane: &mut PlaneClient, state: LinkState) {
    let deadline = Instant::now() + PATIENCE;
    while plane.poll_connect() != state {
        assert!(Instant::now() < deadline, "never {state:?}");
        plane.wait(PATIENCE);
    }
}

fn verdict(plane: &mut PlaneClient) -> OwnedVerdict {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(verdict) = plane.poll_verdict() {
            return verdict;
        }
        assert!(Instant::now() < deadline, "no verdict came");
        plane.wait(PATIENCE);
    }
}

#[test]
fn a_session_lives_over_the_link() {
    let (_place, path) = place();
    let listener = listen(&path);
    let shard = std::thread::spawn(move || {
        let mut linked = welcome(accept(&listener));
        assert_eq!(linked.hello.name(), "plane-0");
        let up = linked.next(0);
        let verdict = Verdict {
            plane: PlaneIndex(0),
            session: b"s1",
            counters: CounterSlot::default(),
            sentence: Sentence::Admit,
            reason: Reason::Opened,
        };
        linked.durable();
        linked.region.verdicts().push(&verdict).unwrap();
        linked.kick_plane();
        let down = linked.next(1);
        linked.durable();
        (up, down, linked.region.counters())
    });
    let mut plane = plane();
    plane.connect(&path);
    connected(&mut plane);
    let slot = plane.alloc_slot().unwrap();
    let subscriber = Subscriber { user: Some(b"alice@isp"), ..Subscriber::default() };
    let up = Up { session: b"s1", subscriber, counters: slot, at: None };
    plane.up(0, up).unwrap();
    let admitted = verdict(&mut plane);
    assert_eq!((admitted.session(), admitted.sentence, admitted.reason), (&b"s1"[..], Sentence::Admit, Reason::Opened));
    let v4 = Totals { in_octets: 1, in_packets: 2, out_octets: 3, out_packets: 4 };
    let counters = Counters { v4, v6: Totals { in_octets: 5, ..v4 } };
    plane.counters().store(slot, counters);
    let down = Down { session: b"s1", cause: 1, totals: Some(counters), at: None };
    let mut worker = plane.take_ring(1).unwrap();
    worker.send(&PlaneEvent::Down(down)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !plane.taken_over() {
        assert!(Instant::now() < deadline, "never taken over");
        plane.wait(PATIENCE);
    }
    let (told_up, told_down, table) = shard.join().unwrap();
    assert_eq!(told_up, format!("{:?}", PlaneEvent::Up(up)));
    assert_eq!(told_down, format!("{:?}", PlaneEvent::Down(down)));
    assert_eq!(table.read(slot), Some(counters));
    plane.free_slot(slot);
    assert_eq!(table.read(slot), None);
}

#[test]
fn a_lost_link_loses_no_event_and_is_brought_up_again() {
    let (_place, path) = place();
    let mut plane = plane();
    plane.connect(&path);
    assert_eq!(plane.poll_connect(), LinkState::Down, "nobody listens yet");
    let listener = listen(&path);
    let greeter = std::thread::spawn(move || {
        let first = welcome(accept(&listener));
        (listener, first)
    });
    connected(&mut plane);
    let (listener, first) = greeter.join().unwrap();
    drop(first);
    until(&mut plane, LinkState::Down);
    let down = Down { session: b"s0", cause: 2, totals: None, at: None };
    plane.down(0, down).unwrap();
    let shard = std::thread::spawn(move || {
        let mut linked = welcome(accept(&listener));
        let told: Vec<String> = (0..5).map(|_| linked.next(0)).collect();
        let ring_1 = [linked.next(1), linked.next(1)];
        (told, ring_1)
    });
    connected(&mut plane);
    assert_eq!(plane.poll_connect(), LinkState::Up);
    let subscriber = Subscriber { user: Some(b"u"), ..Subscriber::default() };
    let slot = plane.alloc_slot().unwrap();
    let live = [b"s1", b"s2"].map(|session| Up { session, subscriber, counters: slot, at: None });
    plane.announce(0, live, PATIENCE).unwrap();
    let expected = [
        PlaneEvent::Down(down),
        PlaneEvent::ResyncBegin,
        PlaneEvent::Up(live[0]),
        PlaneEvent::Up(live[1]),
        PlaneEvent::ResyncEnd,
    ];
    let (told, ring_1) = shard.join().unwrap();
    assert_eq!(told, expected.map(|event| format!("{event:?}")));
    assert_eq!(ring_1, ["ResyncBegin", "ResyncEnd"]);
}

/// The announcement is longer than the ring: it goes on as the engine makes it durable.
#[test]
fn a_long_resync_waits_for_room() {
    long_resync(0, |plane, live| plane.announce(0, live, PATIENCE));
}

/// The verdicts are more than their ring has room for, and are read while the announcement waits.
#[test]
fn a_long_resync_obeys_meanwhile() {
    let mut told = 0;
    long_resync(1, |plane, live| plane.announce_obeying(0, live, PATIENCE, |_| told += 1));
    assert!(told > GEOMETRY.verdicts, "{told}");
}

/// Announces a thousand sessions to an engine that gives so many verdicts on each.
fn long_resync(verdicts: u32, announce: impl FnOnce(&mut PlaneClient, Vec<Up<'_>>) -> Result<(), SendError>) {
    let (_place, path) = place();
    let listener = listen(&path);
    const SESSIONS: u32 = 1000;
    let shard = std::thread::spawn(move || {
        let mut linked = welcome(accept(&listener));
        let (sentence, reason) = (Sentence::Admit, Reason::Known);
        let known = Verdict { plane: PlaneIndex(0), session: b"s", counters: CounterSlot::default(), sentence, reason };
        let (mut ups, mut owed) = (0, 0);
        loop {
            let told = linked.next(0);
            ups += u32::from(told.starts_with("Up"));
            owed += if told.starts_with("Up") { verdicts } else { 0 };
            // As the engine does: what finds no room is kept.
            while owed > 0 && linked.region.verdicts().push(&known).is_ok() {
                owed -= 1;
            }
            linked.durable();
            if told == "ResyncEnd" {
                return ups;
            }
        }
    });
    let mut plane = plane();
    plane.connect(&path);
    connected(&mut plane);
    let slot = plane.alloc_slot().unwrap();
    let names: Vec<[u8; 4]> = (0..SESSIONS).map(u32::to_be_bytes).collect();
    let subscriber = Subscriber { user: Some(b"u"), ..Subscriber::default() };
    let live = names.iter().map(|session| Up { session, subscriber, counters: slot, at: None });
    announce(&mut plane, live.collect()).unwrap();
    assert_eq!(shard.join().unwrap(), SESSIONS);
}

#[test]
fn without_an_engine_the_ring_fills_and_says_so() {
    let mut plane = plane();
    let down = Down { session: b"s", cause: 1, totals: None, at: None };
    for _ in 0..GEOMETRY.records {
        plane.down(0, down).unwrap();
    }
    assert_eq!(plane.down(0, down), Err(SendError::Full));
    assert_eq!(plane.announce(0, [], Duration::ZERO), Err(SendError::Full));
    assert!(!plane.taken_over());
}

#[test]
fn a_refusal_is_told_with_both_versions() {
    let (_place, path) = place();
    let listener = listen(&path);
    let mut plane = plane();
    plane.connect(&path);
    assert_eq!(plane.poll_connect(), LinkState::Greeting);
    let socket = accept(&listener);
    let (octets, descriptors) = receive(&socket).unwrap();
    assert_eq!(Hello::decode(&octets).map(|hello| hello.name().to_owned()).as_deref(), Ok("plane-0"));
    assert_eq!(descriptors.len(), 3);
    let refusal = Welcome::refusing(HelloError::Version { plane: 1 });
    answer(&socket, refusal);
    until(&mut plane, LinkState::Refused(refusal));
    assert_eq!(refusal.answer, Answer::Version);
}

#[test]
fn slots_are_used_once_and_again() {
    let mut plane = plane();
    let mut slots: Vec<_> = std::iter::from_fn(|| plane.alloc_slot()).collect();
    assert_eq!(slots.len(), 100);
    plane.free_slot(slots[7]);
    plane.free_slot(slots[7]);
    let again = plane.alloc_slot().unwrap();
    assert_eq!(again.slot, slots[7].slot);
    assert_ne!(again.generation, slots[7].generation);
    assert_eq!(plane.alloc_slot(), None);
    slots.dedup_by_key(|slot| slot.slot);
    assert_eq!(slots.len(), 100);
    let renewed = plane.renew_slot(again).unwrap();
    plane.reset(0, Reset { session: b"s", counters: renewed }).unwrap();
    assert_ne!(renewed.generation, again.generation);
}

#[test]
fn counters_that_begin_again_leave_the_old_ones_to_be_read() {
    let mut plane = plane();
    // Two slots that were never used have the same generation, and a used one is ahead by one.
    for uses in 1..3 {
        let mut old = plane.alloc_slot().unwrap();
        for _ in 1..uses {
            plane.free_slot(old);
            old = plane.alloc_slot().unwrap();
        }
        let fresh = plane.alloc_slot_after(old).unwrap();
        assert!(fresh.slot != old.slot && fresh.generation != old.generation, "{old:?} {fresh:?}");
    }
    while plane.alloc_slot().is_some() {}
    assert_eq!(plane.alloc_slot_after(CounterSlot { slot: 0, generation: 1 }), None);
}

#[test]
fn a_kept_memory_is_adopted_as_it_was() {
    let mut before = plane();
    let slot = before.alloc_slot().unwrap();
    before.counters().store(slot, Counters { v4: Totals { in_octets: 9, ..Totals::default() }, ..Counters::ZERO });
    before.down(0, Down { session: b"s", cause: 1, totals: None, at: None }).unwrap();
    let kept = before.memory_fd().try_clone_to_owned().unwrap();
    drop(before);
    let mut after = PlaneClient::adopt("plane-0", kept).unwrap();
    assert!(!after.taken_over());
    let (_place, path) = place();
    let listener = listen(&path);
    after.connect(&path);
    assert_eq!(after.poll_connect(), LinkState::Greeting);
    let mut linked = welcome(accept(&listener));
    assert!(linked.next(0).starts_with("Down"));
    assert_eq!(linked.region.counters().read(slot).map(|read| read.v4.in_octets), Some(9));
    assert_ne!(after.alloc_slot().unwrap().slot, slot.slot);
}

#[test]
fn a_memory_that_could_shrink_is_not_mapped() {
    let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    let refused = |bytes| SharedMemory::map(&memory, bytes).map(drop).unwrap_err().kind();
    assert_eq!(refused(4096), std::io::ErrorKind::InvalidInput);
    rustix::fs::fcntl_add_seals(&memory, rustix::fs::SealFlags::SHRINK).unwrap();
    assert!(SharedMemory::map(&memory, 4096).is_ok());
    assert_eq!(refused(8192), std::io::ErrorKind::InvalidInput, "longer than the memory");
    assert_eq!(refused(0), std::io::ErrorKind::InvalidInput);
}

/// The engine's bell is never read: every write is one edge for everybody who polls it so.
#[test]
fn every_kick_wakes_every_shard() {
    let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
    let shards = [(), ()].map(|()| {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&poller, &bell, epoll::EventData::new_u64(0), flags).unwrap();
        poller
    });
    let woken = |poller| {
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 4];
        epoll::wait(poller, &mut events[..], Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap()
    };
    for round in 0..3 {
        engine::kick(&bell);
        assert_eq!(shards.each_ref().map(woken), [1, 1], "round {round}");
        assert_eq!(shards.each_ref().map(woken), [0, 0], "round {round}");
    }
    assert!(readable(&bell, Duration::ZERO));
}
