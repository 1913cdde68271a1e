//! Peers of the plane link that mean harm, one after the other, beside a plane that does not: each is refused by its name,
//! and every subscriber of the other plane is let in and accounted for all the while.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::counters::CounterSlot;
use model::event::{PlaneEvent, Subscriber, Up};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::common::{BATCH, Daemon, FreeRadius, HonestPlane, Random, Site, free_port, seconds, wait_until};
use crate::common::{HEADER_WORDS, Intruder, answer, knock, until_closed};

/// Batches of the honest plane's subscribers that must come and go while one peer is at work.
const BATCHES_MIN: usize = 3;
/// How long each peer is at work at least.
const WORK: Duration = Duration::from_millis(1500);
/// So many sessions the daemon has room for, and a walk over all of them takes its time.
const SLOTS: usize = 200_000;
/// Sessions that a peer leaves behind.
const LEFT: usize = 2000;

/// What a peer does until it is told to stop.
type Attack = fn(&Path, &AtomicBool, &mut Random);

/// Each peer, and what the log must say of it.
const ATTACKS: [(&str, Attack, &[&str]); 11] = [
    ("says nothing", say_nothing, &["it says no HELLO, and too many others say none"]),
    ("says no HELLO", say_no_hello, &["refused: malformed", "refused: version", "its HELLO is longer than any"]),
    ("vanishes in the handshake", vanish_in_the_handshake, &["it went before it said HELLO"]),
    (
        "passes other descriptors",
        pass_other_descriptors,
        &["refused: descriptors", "brings more than three descriptors"],
    ),
    ("passes a bad memory", pass_a_bad_memory, &["refused: unsealed", "refused: memory"]),
    ("takes a name, and all places", take_names, &["refused: name-taken", "refused: too-many"]),
    ("moves its positions", move_positions, &["its ring makes no sense"]),
    ("claims verdicts that were not said", claim_verdicts, &["its verdict ring makes no sense"]),
    ("scribbles", scribble, &["events were refused"]),
    ("floods and does not listen", flood_and_not_listen, &["it does not read its verdicts"]),
    ("begins and ends resyncs", resync_for_ever, &[]),
];

#[test]
fn a_hostile_peer_harms_nobody_over_io_uring() {
    a_hostile_peer_harms_nobody("io-uring", 1);
}

#[test]
fn a_hostile_peer_harms_nobody_over_epoll_and_two_shards() {
    a_hostile_peer_harms_nobody("epoll", 2);
}

fn a_hostile_peer_harms_nobody(datapath: &str, shards: u16) {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "");
    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), config.replacen("#\n", "#\nplane-link grace 2\n#\n", 1)).unwrap();
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start_sized_with(&site, datapath, SLOTS, shards);
    let mut honest = HonestPlane::link(&site, "honest");
    let alone = honest.serve(5);
    let descriptors = descriptors_of(&daemon);

    for (number, (name, attack, told)) in ATTACKS.into_iter().enumerate() {
        let slowest = beside(&site.link(), attack, number as u64, || {
            let began = Instant::now();
            let mut slowest = Duration::ZERO;
            for batch in 0.. {
                if batch >= BATCHES_MIN && began.elapsed() >= WORK {
                    break;
                }
                slowest = slowest.max(honest.serve(1));
                // As many as the server bears beside all this.
                std::thread::sleep(Duration::from_millis(10));
            }
            slowest
        });
        report(&format!("{name}: the slowest {BATCH} took {slowest:?}, alone {alone:?}"));
        for told in told {
            wait_until(&format!("{name}: {told}"), seconds(10), || daemon.logged(told) > 0);
        }
    }
    leave_in_the_middle(&site.link());
    honest.serve(3);

    // Whoever comes now is let in, and what the others held was given back.
    drop(HonestPlane::link(&site, "newcomer"));
    wait_until("their descriptors are closed", seconds(20), || descriptors_of(&daemon) <= descriptors + 2);
    wait_until("their sessions are over", seconds(60), || daemon.states().is_empty());
    assert!(daemon.load(seconds(1)) < 0.5, "nobody is there, and it does not sleep");
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let stops = detail.by_user("Stop");
    for number in 0..honest.gone() {
        let user = format!("good{number}@isp");
        let [stop] = stops[user.as_str()][..] else { panic!("{user} has not one Stop") };
        assert_eq!(stop.totals().in_octets, HonestPlane::octets(number), "{user}");
    }
    let left = stops.get("left@isp").map_or(0, Vec::len);
    report(&format!("{} honest sessions, {left} of those that were left behind", honest.gone()));
    assert_eq!(left, LEFT, "what came up is accounted for, whoever brought it");
}

#[expect(clippy::print_stderr, reason = "the figures are for people")]
fn report(figures: &str) {
    eprintln!("{figures}");
}

/// Runs an attack on a thread beside what the caller does.
fn beside<T>(link: &Path, attack: Attack, seed: u64, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| attack(link, &stop, &mut Random::new(seed)));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn goes_on(stop: &AtomicBool) -> bool {
    !stop.load(Ordering::Relaxed)
}

fn descriptors_of(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}

/// Many connections at a time, and none of them says a word.
fn say_nothing(link: &Path, stop: &AtomicBool, _: &mut Random) {
    let mut silent = std::collections::VecDeque::new();
    while goes_on(stop) {
        silent.extend(kernel::seqpacket::connect(link));
        if silent.len() > 300 {
            silent.pop_front();
        }
    }
}

/// Octets of any length, and HELLOs with a bit changed where it matters.
fn say_no_hello(link: &Path, stop: &AtomicBool, random: &mut Random) {
    let intruder = Intruder::new("stutterer", 1, 16);
    while goes_on(stop) {
        let mut octets = intruder.hello();
        match random.below(3) {
            0 => octets = (0..1 + random.below(200)).map(|_| random.word().to_le_bytes()[0]).collect(),
            1 => octets.truncate(1 + random.below(63)),
            _ => octets[random.below(14)] ^= 1 << random.below(8),
        }
        if let Some(stream) = knock(link, &octets, &intruder.descriptors()) {
            answer(&stream);
        }
    }
}

fn vanish_in_the_handshake(link: &Path, stop: &AtomicBool, random: &mut Random) {
    let intruder = Intruder::new("vanishing", 1, 16);
    while goes_on(stop) {
        match random.below(2) {
            0 => drop(kernel::seqpacket::connect(link)),
            _ => drop(knock(link, &intruder.hello(), &intruder.descriptors())),
        }
    }
}

fn pass_other_descriptors(link: &Path, stop: &AtomicBool, random: &mut Random) {
    let intruder = Intruder::new("peddler", 1, 16);
    let file = File::open("/proc/self/exe").unwrap();
    let (pipe, _other) = std::io::pipe().unwrap();
    let [memory, engine_bell, plane_bell] = intruder.descriptors();
    while goes_on(stop) {
        let all = [memory, engine_bell, plane_bell, file.as_fd(), pipe.as_fd()];
        let some: Vec<_> = (0..random.below(6)).map(|_| all[random.below(5)]).collect();
        if let Some(stream) = knock(link, &intruder.hello(), &some) {
            // By chance they may be the right ones.
            answer(&stream);
        }
    }
}

/// One that can be resized, one that is too short, one with any header.
fn pass_a_bad_memory(link: &Path, stop: &AtomicBool, random: &mut Random) {
    while goes_on(stop) {
        let intruder = Intruder::new("forger", 1, 16);
        let header: Vec<u64> =
            intruder.words()[..HEADER_WORDS].iter().map(|word| word.load(Ordering::Relaxed)).collect();
        let octets: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        let [_, engine_bell, plane_bell] = intruder.descriptors();
        let other = rustix::fs::memfd_create("bad", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&other, 4096 * (1 + random.below(2) as u64)).unwrap();
        rustix::io::write(&other, &octets).unwrap();
        let kind = random.below(3);
        if kind == 1 {
            rustix::fs::fcntl_add_seals(&other, SealFlags::SHRINK | SealFlags::GROW).unwrap();
        }
        let memory = match kind {
            0 | 1 => other.as_fd(),
            _ => {
                intruder.words()[random.below(HEADER_WORDS)].store(random.word(), Ordering::Relaxed);
                intruder.descriptors()[0]
            }
        };
        if let Some(stream) = knock(link, &intruder.hello(), &[memory, engine_bell, plane_bell]) {
            answer(&stream);
        }
    }
}

/// The other plane's name, and more planes than there is room for.
fn take_names(link: &Path, stop: &AtomicBool, _: &mut Random) {
    assert!(Intruder::new("honest", 1, 16).link(link).is_none(), "the name is another's");
    let planes: Vec<_> = (0..80).map(|number| Intruder::new(&format!("crowd{number}"), 1, 16)).collect();
    let linked: Vec<_> = planes.iter().filter_map(|plane| plane.link(link)).collect();
    assert!((50..70).contains(&linked.len()), "{}", linked.len());
    while goes_on(stop) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn move_positions(link: &Path, stop: &AtomicBool, random: &mut Random) {
    let mut lives = 0;
    while goes_on(stop) {
        lives += 1;
        let intruder = Intruder::new(&format!("jumper{lives}"), [1, 7, 64][random.below(3)], 16);
        let Some(stream) = intruder.link(link) else { continue };
        let ring = random.below(intruder.writers.len());
        let far = [17, 1 << 63, u64::MAX, random.word() | 1 << 40][random.below(4)];
        intruder.produced(ring).store(far, Ordering::Relaxed);
        intruder.ring();
        until_closed(&stream);
    }
}

/// More is said to it than it has room for; then it claims to have read what was never written.
fn claim_verdicts(link: &Path, stop: &AtomicBool, _: &mut Random) {
    let mut lives = 0;
    while goes_on(stop) {
        lives += 1;
        let mut intruder = Intruder::new(&format!("claimant{lives}"), 1, 64);
        let Some(stream) = intruder.link(link) else { continue };
        let until = Instant::now() + seconds(1);
        let mut said = 0;
        while said < 200 && Instant::now() < until {
            said += usize::from(intruder.writers[0].write(&stranger(said)).is_ok());
            intruder.ring();
        }
        intruder.verdicts_read().store(1 << 40, Ordering::Relaxed);
        intruder.ring();
        until_closed(&stream);
    }
}

/// Any octets as records, again and again.
fn scribble(link: &Path, stop: &AtomicBool, random: &mut Random) {
    let intruder = Intruder::new("scribbler", 4, 1024);
    let Some(stream) = intruder.link(link) else { panic!("it is refused before it has done anything") };
    while goes_on(stop) {
        for ring in 0..4 {
            intruder.scribble(ring, random);
            // As far as the ring has room; a little more, and the link would be closed.
            let consumed = intruder.consumed(ring);
            intruder.produced(ring).store(consumed + 1024, Ordering::Release);
        }
        intruder.ring();
    }
    drop(stream);
}

/// As many events as find room, of nobody's domain, and no verdict is read.
fn flood_and_not_listen(link: &Path, stop: &AtomicBool, _: &mut Random) {
    let mut lives = 0;
    while goes_on(stop) {
        lives += 1;
        let mut intruder = Intruder::new(&format!("flood{lives}"), 8, 4096);
        let Some(stream) = intruder.link(link) else { continue };
        let mut said = 0;
        let closed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_closed(&stream);
                closed.store(true, Ordering::Relaxed);
            });
            // It has to be closed sometime, or nobody would ever end.
            let until = Instant::now() + seconds(20);
            while !closed.load(Ordering::Relaxed) && Instant::now() < until {
                for ring in 0..8 {
                    while intruder.writers[ring].write(&stranger(said)).is_ok() {
                        said += 1;
                    }
                }
                intruder.ring();
            }
            assert!(closed.load(Ordering::Relaxed), "{said} events were read, and no verdict");
        });
    }
}

/// All sessions are looked through each time.
fn resync_for_ever(link: &Path, stop: &AtomicBool, _: &mut Random) {
    let mut intruder = Intruder::new("resyncer", 1, 4096);
    let Some(_stream) = intruder.link(link) else { panic!("it is refused before it has done anything") };
    while goes_on(stop) {
        for event in [PlaneEvent::ResyncBegin, PlaneEvent::ResyncEnd] {
            // A full ring is what it wants.
            let _ = intruder.writers[0].write(&event);
        }
        intruder.ring();
    }
}

/// Sessions that come up, and half an event; then it is gone.
fn leave_in_the_middle(link: &Path) {
    let mut intruder = Intruder::new("leaver", 1, 4096);
    let stream = intruder.link(link).expect("it is let in");
    for number in 0..LEFT {
        let name = format!("left{number}");
        let subscriber = Subscriber { user: Some(b"left@isp"), ..Subscriber::default() };
        let counters = CounterSlot { slot: 0, generation: 1 };
        let up = PlaneEvent::Up(Up { session: name.as_bytes(), subscriber, counters, at: None });
        intruder.writers[0].write(&up).unwrap();
    }
    // Its first record says that there are more, and there are not.
    let produced = intruder.produced(0).load(Ordering::Relaxed);
    intruder.begin_long_event(0, produced);
    intruder.produced(0).store(produced + 1, Ordering::Release);
    intruder.ring();
    let until = Instant::now() + seconds(20);
    while intruder.consumed(0) < produced {
        assert!(Instant::now() < until, "what it said is not taken over");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
}

/// Somebody whose domain is nobody's.
fn stranger(number: usize) -> PlaneEvent<'static> {
    const NAMES: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
    let subscriber = Subscriber { user: Some(b"u"), domain: Some(b"nowhere"), ..Subscriber::default() };
    let counters = CounterSlot { slot: u32::MAX, generation: 77 };
    PlaneEvent::Up(Up { session: NAMES[number % 4], subscriber, counters, at: None })
}
