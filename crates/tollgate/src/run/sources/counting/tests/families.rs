//! A session with an address of each family, which two maps count.

use model::event::Prefix;

use super::*;

/// IPv4, at either address, and IPv6.
const V4: usize = 0;
const V6: usize = 2;

#[derive(Debug, Default)]
struct Maps {
    entries: HashMap<Subject, Reading>,
    generation: u32,
    /// Of each family.
    is_broken: [bool; 2],
}

#[derive(Clone, Debug, Default)]
struct Both(Arc<Mutex<Maps>>);

impl Sweep for Both {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        let maps = self.0.lock().unwrap();
        for (subject, reading) in subjects.iter().zip(readings) {
            *reading = maps.entries.get(subject).copied().filter(|_| !maps.is_broken[family(*subject)]);
        }
        match maps.is_broken {
            [false, false] => Ok(()),
            _ => Err(SweepError { tried: "find the map", error: std::io::ErrorKind::NotFound.into() }),
        }
    }

    fn has_read(&self, subject: Subject) -> bool {
        !self.0.lock().unwrap().is_broken[family(subject)]
    }
}

impl Both {
    fn count(&self, at: usize, octets: u64) {
        let mut maps = self.0.lock().unwrap();
        maps.generation += 1;
        let fresh = Reading { counters: Counters::ZERO, generation: maps.generation };
        let entry = maps.entries.entry(at_place(at)).or_insert(fresh);
        let totals = Totals { in_octets: octets, ..Totals::default() };
        entry.counters = entry.counters.plus(at_place(at).counters(totals));
    }

    fn forget(&self, at: usize) {
        self.0.lock().unwrap().entries.remove(&at_place(at));
    }

    fn set_broken(&self, at: usize, is_broken: bool) {
        self.0.lock().unwrap().is_broken[family(at_place(at))] = is_broken;
    }

    fn life(&self, directory: &Path) -> Life {
        Life::of(directory, Counting::Swept(Box::new(Sweeper::of_map(Box::new(self.clone()), Duration::ZERO))))
    }

    /// A life in which the session has come up; both had counted a hundred for somebody else.
    fn begin(&self, directory: &Path) -> Life {
        [V4, V6].iter().for_each(|at| self.count(*at, 100));
        let mut life = self.life(directory);
        let said = json!({"user": "u", "framed_ip": ADDRESSES[0], "framed_ipv6_prefix": "2001:db8::/64"});
        life.desk.up(SESSION, fields(said), None, None).unwrap();
        life
    }
}

fn at_place(at: usize) -> Subject {
    match at {
        V6 => Subject::V6(Prefix { address: "2001:db8::".parse().unwrap(), length: 64 }),
        at => subject(at),
    }
}

fn family(subject: Subject) -> usize {
    usize::from(matches!(subject, Subject::V6(_)))
}

#[test]
fn one_map_that_begins_again_while_no_daemon_runs_takes_no_other_with_it() {
    let (place, kernel, mut engine) = (tempfile::tempdir().unwrap(), Both::default(), Engine::default());
    let mut life = kernel.begin(place.path());
    kernel.count(V4, 1_000);
    kernel.count(V6, 5_000);
    life.desk.sweep();
    engine.read(&life);
    drop(life);
    kernel.forget(V4);
    kernel.count(V4, 50);
    engine.read(&kernel.life(place.path()));
    assert_eq!(engine.total(), 6_050);
}

#[test]
fn a_map_that_was_never_there_costs_the_other_nothing() {
    let (place, kernel, mut engine) = (tempfile::tempdir().unwrap(), Both::default(), Engine::default());
    kernel.set_broken(V6, true);
    let mut life = kernel.begin(place.path());
    kernel.count(V4, 1_000);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_000);
    drop(life);
    kernel.count(V4, 500);
    engine.read(&kernel.life(place.path()));
    assert_eq!(engine.total(), 1_500);
}

#[test]
fn a_map_that_cannot_be_read_at_a_restart_goes_on_later_whatever_the_other_does() {
    let (place, kernel, mut engine) = (tempfile::tempdir().unwrap(), Both::default(), Engine::default());
    let mut life = kernel.begin(place.path());
    kernel.count(V6, 1_000);
    life.desk.sweep();
    engine.read(&life);
    drop(life);
    kernel.set_broken(V6, true);
    kernel.forget(V4);
    kernel.count(V4, 5);
    kernel.count(V6, 30);
    let mut life = kernel.life(place.path());
    engine.read(&life);
    assert_eq!(engine.total(), 1_005);
    // The IPv4 address is another one, before the other map is back.
    kernel.count(1, 7_000);
    life.move_to(1);
    kernel.count(1, 2);
    kernel.set_broken(V6, false);
    life.desk.sweep();
    engine.read(&life);
    assert_eq!(engine.total(), 1_037);
}
