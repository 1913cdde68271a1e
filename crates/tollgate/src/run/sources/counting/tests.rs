//! One session, the counters that it is told or swept by, and an engine that keeps what it has read. The kernel is two entries of a map.

mod families;
mod interfaces;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kernel::shared_memory::SharedMemory;
use model::counters::{CounterSlot, Totals};
use plane::sweep::{Reading, Subject};
use plane::{CounterTable, Region};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::run::sources::desk::Desk;
use crate::run::sources::fixture::desk;
use crate::run::sweep::{Sweep, SweepError};
use crate::script::Told;

const SESSION: &str = "s1";
const ADDRESSES: [&str; 2] = ["10.0.0.1", "10.0.0.2"];

/// What counts. A generation is never used again.
#[derive(Debug, Default)]
struct Counted {
    entries: HashMap<Subject, Reading>,
    generation: u32,
    is_broken: bool,
    map: u64,
}

/// Two are two maps.
#[derive(Clone, Debug, Default)]
struct Kernel(Arc<Mutex<Counted>>);

impl Sweep for Kernel {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        let counted = self.0.lock().unwrap();
        if counted.is_broken {
            return Err(SweepError { tried: "read", error: std::io::ErrorKind::TimedOut.into() });
        }
        subjects.iter().zip(readings).for_each(|(subject, reading)| *reading = counted.entries.get(subject).copied());
        Ok(())
    }

    fn place(&self, _: Subject) -> u64 {
        self.0.lock().unwrap().map
    }

    fn has_read(&self, _: Subject) -> bool {
        !self.0.lock().unwrap().is_broken
    }
}

impl Kernel {
    fn count(&self, at: usize, octets: u64) {
        let mut counted = self.0.lock().unwrap();
        counted.generation += 1;
        let fresh = Reading { counters: Counters::ZERO, generation: counted.generation };
        let entry = counted.entries.entry(subject(at)).or_insert(fresh);
        entry.counters = entry.counters.plus(of(octets));
    }

    fn forget(&self, at: usize) {
        self.0.lock().unwrap().entries.remove(&subject(at));
    }

    fn set_broken(&self, is_broken: bool) {
        self.0.lock().unwrap().is_broken = is_broken;
    }
}

/// What the engine knows of the session: it adds up what the generations of its slot have counted, and takes totals that fall for counters
/// that have begun again, which they never are.
#[derive(Debug, Default)]
struct Engine {
    before: u64,
    slot: Option<CounterSlot>,
    last: Counters,
}

impl Engine {
    fn read(&mut self, life: &Life) {
        let slot = life.desk.plane.live()[SESSION].slot();
        if self.slot.is_some_and(|known| known.generation != slot.generation) {
            (self.before, self.last) = (self.total(), Counters::ZERO);
        }
        self.slot = Some(slot);
        let Some(total) = life.counters.read(slot) else { return };
        assert!(!total.falls_below(self.last), "totals fell from {:?} to {total:?}", self.last);
        self.last = total;
    }

    fn total(&self) -> u64 {
        self.before + self.last.octets()
    }
}

struct Life {
    desk: Desk,
    kernel: Kernel,
    /// As the engine reads them.
    counters: CounterTable<SharedMemory>,
}

impl Life {
    fn new(directory: &Path, kernel: &Kernel, is_swept: bool) -> Life {
        Life { kernel: kernel.clone(), ..Life::of(directory, counting(kernel, is_swept)) }
    }

    fn of(directory: &Path, counting: Counting) -> Life {
        let (desk, _) = desk(directory, counting);
        let [memory, ..] = desk.plane.client().descriptors().unwrap();
        let memory = SharedMemory::map(memory, 1 << 30).unwrap();
        let region = Region::open(memory, desk.plane.client().hello().epoch, 1).unwrap();
        Life { desk, kernel: Kernel::default(), counters: region.counters() }
    }

    fn up(&mut self, at: usize) {
        let said = fields(json!({"user": "u", "framed_ip": ADDRESSES[at]}));
        self.desk.up(SESSION, said, None, None).unwrap();
    }

    fn move_to(&mut self, at: usize) {
        self.desk.update(SESSION, fields(json!({"framed_ip": ADDRESSES[at]})), None).unwrap();
    }

    fn count_by(&mut self, is_swept: bool) {
        let counting = counting(&self.kernel, is_swept);
        self.desk.count_by(counting);
    }

    fn total(&self) -> u64 {
        self.desk.plane.live()[SESSION].entry.total().octets()
    }
}

fn counting(kernel: &Kernel, is_swept: bool) -> Counting {
    match is_swept {
        false => Counting::Told,
        true => Counting::Swept(Box::new(Sweeper::of_map(Box::new(kernel.clone()), Duration::ZERO))),
    }
}

fn subject(at: usize) -> Subject {
    Subject::V4(ADDRESSES[at].parse().unwrap())
}

fn of(octets: u64) -> Counters {
    Counters { v4: Totals { in_octets: octets, ..Totals::default() }, ..Counters::ZERO }
}

fn told(octets: u64) -> Told {
    let line = json!({"op": "count", "session": SESSION, "in_octets": octets});
    crate::script::read_object(fields(line)).unwrap().counted.unwrap()
}

fn fields(value: Value) -> Map<String, Value> {
    let Value::Object(fields) = value else { panic!("{value}") };
    fields
}

/// A session at the first address, which had counted a hundred for somebody else.
fn begin(directory: &Path, kernel: &Kernel, is_swept: bool) -> Life {
    kernel.count(0, 100);
    let mut life = Life::new(directory, kernel, is_swept);
    life.up(0);
    life
}

/// A life in which the engine has read a thousand octets, and which is over.
fn first_life(directory: &Path, kernel: &Kernel) -> Engine {
    let (mut engine, mut life) = (Engine::default(), begin(directory, kernel, true));
    kernel.count(0, 1_000);
    life.desk.sweep();
    engine.read(&life);
    engine
}

#[test]
fn what_an_address_had_counted_for_another_is_not_the_session_s() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = begin(place.path(), &kernel, true);
    kernel.count(0, 7);
    kernel.count(1, 1_000);
    life.move_to(1);
    assert_eq!(life.total(), 7, "the last of the address before, and nothing of the new one's");
    kernel.count(0, 5_000);
    kernel.count(1, 4);
    life.desk.sweep();
    assert_eq!(life.total(), 11);
    // An entry that comes to be later is the session's from zero.
    kernel.forget(0);
    life.move_to(0);
    kernel.count(0, 9);
    life.desk.sweep();
    assert_eq!(life.total(), 20);
}

#[test]
fn a_reading_that_failed_when_the_session_began_costs_nobody_anything() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    kernel.count(0, 100);
    kernel.set_broken(true);
    let mut life = Life::new(place.path(), &kernel, true);
    life.up(0);
    life.desk.sweep();
    kernel.set_broken(false);
    kernel.count(0, 3);
    life.desk.sweep();
    assert_eq!(life.total(), 0, "nobody knows whose these are");
    kernel.count(0, 4);
    life.desk.sweep();
    assert_eq!(life.total(), 4);
}

#[test]
fn a_reset_says_nothing_of_counters_that_are_swept() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = begin(place.path(), &kernel, true);
    kernel.count(0, 7);
    life.desk.sweep();
    life.desk.reset(SESSION).unwrap();
    life.desk.count(SESSION, told(5_000)).unwrap();
    life.desk.sweep();
    assert_eq!(life.total(), 7);
}

#[test]
fn octets_that_were_counted_elsewhere_are_not_told_again() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = begin(place.path(), &kernel, true);
    kernel.count(0, 1_000);
    life.count_by(false);
    assert_eq!(life.total(), 1_000);
    for (said, total) in [(1_100, 1_000), (1_150, 1_050)] {
        life.desk.count(SESSION, told(said)).unwrap();
        assert_eq!(life.total(), total);
    }
    kernel.count(0, 5_000);
    life.count_by(true);
    kernel.count(0, 6);
    life.desk.sweep();
    assert_eq!(life.total(), 1_056);
}

#[test]
fn who_counts_may_change_while_no_daemon_runs() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut engine = first_life(place.path(), &kernel);
    let mut life = Life::new(place.path(), &kernel, false);
    for (said, total) in [(1_100, 1_000), (1_150, 1_050)] {
        life.desk.count(SESSION, told(said)).unwrap();
        engine.read(&life);
        assert_eq!(engine.total(), total);
    }
    drop(life);
    let mut life = Life::new(place.path(), &kernel, true);
    kernel.count(0, 6);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_056);
}

#[test]
fn counters_that_began_again_while_no_daemon_ran_are_added() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut engine = first_life(place.path(), &kernel);
    kernel.forget(0);
    kernel.count(0, 30);
    let mut life = Life::new(place.path(), &kernel, true);
    engine.read(&life);
    assert_eq!(engine.total(), 1_030);
    kernel.count(0, 5);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_035);
}

#[test]
fn what_cannot_be_read_at_a_restart_is_made_up_for() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut engine = first_life(place.path(), &kernel);
    kernel.set_broken(true);
    kernel.count(0, 50);
    let mut life = Life::new(place.path(), &kernel, true);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_000);
    kernel.set_broken(false);
    kernel.count(0, 5);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_055);
}

#[test]
fn a_session_whose_counters_were_never_read_again_may_move_all_the_same() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut engine = first_life(place.path(), &kernel);
    kernel.set_broken(true);
    kernel.count(1, 70);
    let mut life = Life::new(place.path(), &kernel, true);
    life.move_to(1);
    kernel.set_broken(false);
    life.desk.sweep();
    kernel.count(1, 5);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_005, "what was read before, and what the new counters have counted since");
}

#[test]
fn a_direction_that_is_told_from_zero_takes_no_other_with_it() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = Life::new(place.path(), &kernel, false);
    life.up(0);
    for (line, total) in [
        (json!({"in_octets": 1_000, "in_packets": 9, "out_octets": 5_000}), 6_000),
        (json!({"in_octets": 10}), 6_010),
        (json!({"in_octets": 15, "out_octets": 5_001}), 6_016),
    ] {
        let mut line = fields(line);
        line.extend(fields(json!({"op": "count", "session": SESSION})));
        life.desk.count(SESSION, crate::script::read_object(line).unwrap().counted.unwrap()).unwrap();
        assert_eq!(life.total(), total);
    }
}

#[test]
fn counters_that_begin_again_and_again_are_added_over_a_restart() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let (mut engine, mut life) = (Engine::default(), begin(place.path(), &kernel, true));
    kernel.count(0, 900);
    life.desk.sweep();
    kernel.forget(0);
    for octets in [10, 490] {
        kernel.count(0, octets);
        life.desk.sweep();
    }
    engine.read(&life);
    assert_eq!(engine.total(), 1_400);
    drop(life);
    kernel.forget(0);
    kernel.count(0, 50);
    let life = Life::new(place.path(), &kernel, true);
    engine.read(&life);
    assert_eq!(engine.total(), 1_450);
}

#[test]
fn a_count_that_cannot_be_written_down_is_not_taken() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let (mut engine, mut life) = (Engine::default(), Life::new(place.path(), &kernel, false));
    life.up(0);
    life.desk.count(SESSION, told(500)).unwrap();
    // Where the file of the session is written first.
    let in_the_way = place.path().join("register/7331.new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(life.desk.count(SESSION, told(1_000)).is_err());
    assert!(life.desk.reset(SESSION).is_err());
    engine.read(&life);
    assert_eq!(engine.total(), 500);
    std::fs::remove_dir(&in_the_way).unwrap();
    drop(life);
    let mut life = Life::new(place.path(), &kernel, false);
    life.desk.count(SESSION, told(1_200)).unwrap();
    engine.read(&life);
    assert_eq!(engine.total(), 1_200);
}

#[test]
fn another_map_is_no_map_that_has_counted_on() {
    let (place, kernel, other) = (tempfile::tempdir().unwrap(), Kernel::default(), Kernel::default());
    let mut engine = first_life(place.path(), &kernel);
    other.0.lock().unwrap().map = 7;
    other.count(0, 50_000);
    let mut life = Life::new(place.path(), &other, true);
    other.count(0, 3);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_003);
}

#[test]
fn a_session_whose_end_cannot_be_written_down_is_not_up_in_the_next_life() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = begin(place.path(), &kernel, true);
    kernel.count(0, 500);
    life.desk.sweep();
    let in_the_way = place.path().join("register/7331.new");
    std::fs::create_dir(&in_the_way).unwrap();
    life.desk.down(SESSION, 1, None).unwrap();
    std::fs::remove_dir(&in_the_way).unwrap();
    life.desk.sweep();
    drop(life);
    assert_eq!(Life::new(place.path(), &kernel, true).desk.plane.live().len(), 0);
}

#[test]
fn one_session_that_cannot_be_written_down_holds_no_other_one_up() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let (mut engine, mut life) = (Engine::default(), begin(place.path(), &kernel, true));
    life.desk.up("s2", fields(json!({"user": "u", "framed_ip": ADDRESSES[1]})), None, None).unwrap();
    kernel.count(0, 70);
    life.desk.sweep();
    engine.read(&life);
    let in_the_way = place.path().join("register/7331.new");
    std::fs::create_dir(&in_the_way).unwrap();
    // Its counters begin again, and that has to be written down.
    kernel.forget(0);
    kernel.count(0, 5);
    kernel.count(1, 500);
    life.desk.sweep();
    let slot = life.desk.plane.live()["s2"].slot();
    assert_eq!(life.counters.read(slot).unwrap().octets(), 500);
    engine.read(&life);
    assert_eq!(engine.total(), 70);
    std::fs::remove_dir(&in_the_way).unwrap();
    drop(life);
    engine.read(&Life::new(place.path(), &kernel, true));
    assert_eq!(engine.total(), 75);
}

#[test]
fn what_cannot_be_written_down_is_not_shown() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let (mut engine, mut life) = (Engine::default(), begin(place.path(), &kernel, true));
    kernel.count(0, 500);
    life.desk.sweep();
    let in_the_way = place.path().join("register/readings.new");
    std::fs::create_dir(&in_the_way).unwrap();
    kernel.count(0, 70);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 500);
    std::fs::remove_dir(&in_the_way).unwrap();
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 570);
}

#[test]
fn a_full_source_goes_on_with_everybody_where_octets_are_counted_elsewhere_now() {
    let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
    let mut life = Life::new(place.path(), &kernel, false);
    let said = || fields(json!({"user": "u", "framed_ip": ADDRESSES[0]}));
    let sessions = (0..).take_while(|number| life.desk.up(&format!("x{number}"), said(), None, None).is_ok()).count();
    drop(life);
    let mut life = Life::new(place.path(), &kernel, true);
    assert_eq!(life.desk.plane.live().len(), sessions);
    assert!(life.desk.up("y", said(), None, None).is_err());
    life.desk.down("x0", 0, None).unwrap();
    life.desk.up("y", said(), None, None).unwrap();
}

#[test]
fn what_the_source_has_heard_of_an_interface_serves_where_it_cannot_be_read_at_the_end() {
    // Read; or not, because that failed or a dump has left it out.
    for (was_read, is_broken) in [(true, false), (false, true), (false, false)] {
        let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
        let sweeper = Sweeper::of_ports(Box::new(kernel.clone()));
        let mut life = Life::of(place.path(), Counting::Swept(Box::new(sweeper)));
        let port = Port { index: 7, base: Some(of(100)) };
        life.desk.up(SESSION, fields(json!({"user": "u"})), None, Some(port)).unwrap();
        let read = |octets| {
            let reading = Reading { counters: of(octets), generation: 1 };
            kernel.0.lock().unwrap().entries.insert(Subject::Interface(7), reading);
        };
        read(1_000);
        life.desk.sweep();
        read(5_010);
        kernel.set_broken(is_broken);
        if !was_read {
            kernel.0.lock().unwrap().entries.clear();
        }
        let (last, _) = life.desk.counting.end(SESSION, Some(of(5_000)), &mut life.desk.plane);
        let known = if was_read { 5_010 } else { 5_000 };
        assert_eq!(last, Some(of(known)), "the next session on it begins there");
        assert_eq!(life.total(), known - 100, "{was_read} {is_broken}");
    }
}

/// What may happen to a session.
#[derive(Clone, Copy, Debug)]
enum Event {
    Traffic { at: usize, octets: u64 },
    Sweep,
    Tell,
    Move,
    CountBy { is_swept: bool },
    Break(bool),
    Forget { at: usize },
    Read,
    Restart { is_swept: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let at = 0..2_usize;
    prop_oneof![
        4 => (at.clone(), 1..1_000_u64).prop_map(|(at, octets)| Event::Traffic { at, octets }),
        3 => Just(Event::Sweep),
        2 => Just(Event::Tell),
        1 => Just(Event::Move),
        1 => any::<bool>().prop_map(|is_swept| Event::CountBy { is_swept }),
        1 => any::<bool>().prop_map(Event::Break),
        1 => at.prop_map(|at| Event::Forget { at }),
        2 => Just(Event::Read),
        1 => any::<bool>().prop_map(|is_swept| Event::Restart { is_swept }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens, nothing is billed that the session has not moved, and no generation's totals fall.
    #[test]
    fn nothing_is_counted_twice(events in prop::collection::vec(event(), 1..40)) {
        let (place, kernel) = (tempfile::tempdir().unwrap(), Kernel::default());
        let (mut engine, mut is_swept, mut stands, mut moved) = (Engine::default(), true, 0, 0);
        let mut life = begin(place.path(), &kernel, is_swept);
        for event in events {
            match event {
                Event::Traffic { at, octets } => {
                    kernel.count(at, octets);
                    moved += if at == stands { octets } else { 0 };
                }
                Event::Sweep => life.desk.sweep(),
                Event::Tell => life.desk.count(SESSION, told(moved)).unwrap(),
                Event::Move => {
                    stands = 1 - stands;
                    life.move_to(stands);
                }
                Event::CountBy { is_swept: wanted } if wanted != is_swept => {
                    is_swept = wanted;
                    life.count_by(wanted);
                }
                Event::CountBy { .. } => {}
                Event::Break(is_broken) => kernel.set_broken(is_broken),
                Event::Forget { at } => kernel.forget(at),
                Event::Read => engine.read(&life),
                Event::Restart { is_swept: wanted } => {
                    drop(life);
                    is_swept = wanted;
                    life = Life::new(place.path(), &kernel, is_swept);
                }
            }
            prop_assert!(engine.total() <= moved, "{} of {moved}", engine.total());
        }
        life.desk.sweep();
        engine.read(&life);
        prop_assert!(engine.total() <= moved, "{} of {moved} in the end", engine.total());
    }
}
