//! Session sources: where the daemon itself learns who is online, on a box whose packet plane is the kernel.
//!
//! ```text
//!   directory of JSON files ─┐                     ┌─ event ring ─▶ workers: write-ahead, resync, policies
//!   lines on a Unix socket  ─┼─▶ tollgate-source ──┼─ counter slots ─▶
//!   network interfaces      ─┘    (a thread each)  └◀ verdicts ──────
//!                                  │       ▲
//!                       register ◀─┘       └─ sweep: rtnetlink, eBPF maps
//! ```
//!
//! **A source is a packet plane inside the daemon.** It has the plane client's memory, which the workers are handed as they are
//! handed that of any plane ([`super::link::introduce`]); so what holds for planes holds for sources, without a second way:
//! nothing is answered before it is durable, nothing is said to a server before that, and a full ring stays with whoever speaks.
//! What a source's thread does in a turn: it hears verdicts, reads what its [`Teller`] can be told, says it on the ring, sweeps the
//! counters into the slots when that is due, and sleeps until something comes.
//!
//! **What a restart finds.** The memory of a source dies with the process, other than that of a plane. So every session stands in
//! a [`register`] in the state directory before its Up is said, until its Down is durable, and totals stand there before the engine
//! sees them. The next life makes a memory of its own, announces the sessions of the register between RESYNC_BEGIN and RESYNC_END with
//! the totals of then, and lets the source say who has come and gone meanwhile. A session keeps the *generation* of its slot over
//! restarts, which tells the engine that its totals go on; they never fall. Interfaces and maps have counted on meanwhile, and are read
//! as soon as all are announced.
//!
//! **The end of a session** carries its final totals: the counters are read once more when it goes, and of an interface that is
//! gone the kernel tells what it had counted at its end.
//!
//! **A session that is to go** (`cut`, `refuse`): a directory gets a file that says so, a socket a line, and an interface is set
//! down. The session is over when its source says so; for the ledger one that was cut also when that is not heard in time, as of
//! any plane.
//!
//! **When the configuration changes:** another domain or other counters are taken while sessions go on. A source that is taken away
//! ends its sessions, with their last totals, and the commit waits for that: it never runs beside one that comes for the same place.
//!
//! | module | what it knows |
//! |---|---|
//! | [`directory`], [`socket`], [`interfaces`] | the kinds of sources: how each is told |
//! | [`desk`] | what they all do: up, update, count, down |
//! | [`source_plane`] | the plane: slots, events, what is durable |
//! | [`register`], [`tally`] | what outlives the process; what a session has counted, out of counters that are not its own |
//! | [`counting`], [`sweeper`], [`maps`] | who counts the octets; counters that are swept; the eBPF maps of the box |
//! | [`small_file`] | reading what somebody else writes |
//! | [`link_door`] | who is at the other end of interfaces, and that one be set down |
//! | [`running`] | the thread |

mod counting;
mod desk;
mod directory;
#[cfg(test)]
mod fixture;
mod interfaces;
mod link_door;
mod maps;
mod pattern;
mod register;
mod running;
mod small_file;
mod socket;
mod source_plane;
mod sweeper;
mod tally;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use model::report::SourceReport;
use model::settings::{CountedBy, CounterMaps, CounterOrigin, ObjectName, Settings, SourceKind, SourcePlace};
use plane::OwnedVerdict;
use serde_json::json;

use super::clock;
use super::link::Planes;
use super::messages::WorkerHandle;
use counting::Counting;
use desk::Desk;
use directory::Directory;
use interfaces::Interfaces;
use maps::Maps;
use running::Running;
use socket::Socket;
use source_plane::{Fault, Position};
use sweeper::Sweeper;

/// How a source is told of sessions. All of it happens on the source's own thread.
pub(crate) trait Teller: Send {
    /// What can be read when there is something to take.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;

    /// The sessions of an earlier life are announced: says who has come and gone meanwhile.
    ///
    /// # Errors
    /// The source is to end; anything else is noted at the desk.
    fn begin(&mut self, _desk: &mut Desk) -> Result<(), Fault> {
        Ok(())
    }

    /// Takes what there is.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn turn(&mut self, desk: &mut Desk) -> Result<(), Fault>;

    /// Passes a verdict on. One who was refused is still at the desk.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn hear(&mut self, verdict: &OwnedVerdict, desk: &mut Desk) -> Result<(), Fault>;

    /// The settings have changed.
    fn configure(&mut self, _wanted: &Wanted) {}

    /// Everything that was said up to here is durable.
    fn durable(&mut self, _through: Position) {}

    /// When it wants a turn, whatever comes.
    fn due(&self) -> Option<Instant> {
        None
    }
}

/// What is configured of one source, nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    domain: Option<ObjectName>,
    details: Option<String>,
    counters: CounterOrigin,
    /// Where the counters are eBPF maps.
    maps: CounterMaps,
}

/// Sources that a configuration needs and that do not run yet, and counters that running ones need.
pub(crate) struct NewSources {
    tellers: BTreeMap<SourcePlace, (Box<dyn Teller>, Counting)>,
    countings: BTreeMap<SourcePlace, Counting>,
}

/// All sources of the daemon.
pub(crate) struct Sources {
    directory: PathBuf,
    planes: Rc<RefCell<Planes>>,
    workers: Vec<WorkerHandle>,
    running: RefCell<BTreeMap<SourcePlace, Running>>,
}

impl NewSources {
    /// Opens what these settings need, while nothing runs.
    pub(crate) fn first(settings: &Settings) -> Result<NewSources, String> {
        open(settings, &BTreeMap::new())
    }
}

impl Sources {
    pub(crate) fn new(state_dir: &Path, planes: Rc<RefCell<Planes>>, workers: Vec<WorkerHandle>) -> Sources {
        Sources { directory: state_dir.join("sources"), planes, workers, running: RefCell::default() }
    }

    /// Opens what these settings need beside what runs, which goes on whatever becomes of the commit.
    pub(crate) fn open(&self, settings: &Settings) -> Result<NewSources, String> {
        open(settings, &self.running.borrow())
    }

    /// Runs the sources that the settings say, from now on. Gives back what is wrong with those that cannot.
    pub(crate) async fn configure(&self, settings: &Settings, new: NewSources) -> Vec<String> {
        let all = wanted(settings);
        let gone: Vec<Running> = {
            let mut running = self.running.borrow_mut();
            let gone: Vec<SourcePlace> = running.keys().filter(|place| !all.contains_key(place)).cloned().collect();
            gone.iter().filter_map(|place| running.remove(place)).collect()
        };
        Running::end_all(gone, &self.planes, &self.workers).await;
        let NewSources { tellers, mut countings } = new;
        for (place, running) in self.running.borrow_mut().iter_mut() {
            if let Some(wanted) = all.get(place) {
                running.configure(wanted, countings.remove(place));
            }
        }
        let mut problems = Vec::new();
        for (place, (teller, counting)) in tellers {
            let Some(wanted) = all.get(&place) else { continue };
            let started =
                Running::start(&place, wanted, (teller, counting), &self.directory, (&self.planes, &self.workers));
            match started {
                Ok(running) => drop(self.running.borrow_mut().insert(place, running)),
                Err(problem) => problems.push(format!("session-source {place} does not run: {problem}")),
            }
        }
        self.forget_others(&all);
        problems
    }

    /// Ends the threads; the sessions stay, and the next life goes on with them.
    pub(crate) fn leave(&self) {
        let running = std::mem::take(&mut *self.running.borrow_mut());
        running.values().for_each(Running::tell_to_leave);
        running.into_values().for_each(Running::join);
    }

    /// What the sources have to tell of themselves.
    pub(crate) fn report(&self) -> Vec<SourceReport> {
        self.running.borrow().values().map(Running::report).collect()
    }

    /// A register of a source that is not configured any more would be read when it comes back, and its sessions are over by then.
    fn forget_others(&self, all: &BTreeMap<SourcePlace, Wanted>) {
        let ours: Vec<String> = all.keys().map(plane_name).collect();
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if !ours.iter().any(|plane| entry.file_name() == plane.as_str()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Every source of the settings.
fn wanted(settings: &Settings) -> BTreeMap<SourcePlace, Wanted> {
    let sources = settings.session_sources.iter();
    let wanted = sources.map(|(place, source)| {
        let wanted = Wanted {
            domain: source.domain.clone(),
            details: source.details.clone(),
            counters: settings.counters_of(place, source),
            maps: settings.counter_maps.clone(),
        };
        (place.clone(), wanted)
    });
    wanted.collect()
}

fn open(settings: &Settings, running: &BTreeMap<SourcePlace, Running>) -> Result<NewSources, String> {
    let mut new = NewSources { tellers: BTreeMap::new(), countings: BTreeMap::new() };
    for (place, wanted) in wanted(settings) {
        let cannot = |problem| format!("session-source {place}: {problem}");
        match running.get(&place) {
            None => {
                let counting = open_counting(&wanted).map_err(cannot)?;
                let teller = open_teller(&place, &wanted).map_err(cannot)?;
                new.tellers.insert(place, (teller, counting));
            }
            Some(running) if running.counts_otherwise(&wanted) => {
                let counting = open_counting(&wanted).map_err(cannot)?;
                new.countings.insert(place, counting);
            }
            Some(_) => {}
        }
    }
    Ok(new)
}

fn open_teller(place: &SourcePlace, wanted: &Wanted) -> Result<Box<dyn Teller>, String> {
    Ok(match place.kind {
        SourceKind::Directory => Box::new(Directory::open(Path::new(&place.at))?),
        SourceKind::Socket => Box::new(Socket::open(Path::new(&place.at))?),
        SourceKind::Interfaces => Box::new(Interfaces::open(&place.at, wanted.details.as_deref().map(Path::new))?),
    })
}

fn open_counting(Wanted { counters: origin, maps, .. }: &Wanted) -> Result<Counting, String> {
    let interval = origin.interval();
    match origin.from {
        CountedBy::Table => Ok(Counting::Told),
        CountedBy::Interfaces => Sweeper::of_interfaces(interval).map(|sweeper| Counting::Swept(Box::new(sweeper))),
        CountedBy::Ebpf => {
            let maps = Maps::open(maps)?;
            Ok(Counting::Swept(Box::new(Sweeper::of_map(Box::new(maps), interval))))
        }
    }
}

/// The plane's name of a source: the same in every life.
fn plane_name(place: &SourcePlace) -> String {
    format!("{}-{:016x}", place.kind.as_str(), plane::record::session_hash(place.at.as_bytes()))
}

/// Whether a plane of this name could be a source, configured or not. Nobody else may be called so: the source would find its
/// name taken, or the sessions of a stranger under it.
pub(crate) fn is_plane_name(name: &str) -> bool {
    let Some((kind, number)) = name.rsplit_once('-') else { return false };
    let is_digit = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
    let is_kind =
        [SourceKind::Directory, SourceKind::Socket, SourceKind::Interfaces].iter().any(|of| of.as_str() == kind);
    is_kind && number.len() == 16 && number.bytes().all(is_digit)
}

/// A verdict in the form that `tollgate feed` prints, with the time of day.
fn verdict_line(verdict: &OwnedVerdict) -> Vec<u8> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium need 45 bits of 53")]
    let at = clock::now().wall.as_millis() as f64 / 1000.0;
    let line = json!({
        "session": String::from_utf8_lossy(verdict.session()),
        "verdict": verdict.sentence.as_str(),
        "reason": verdict.reason.as_str(),
        "at": at,
    });
    format!("{line}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_s_name_is_known_as_one() {
        for kind in [SourceKind::Directory, SourceKind::Socket, SourceKind::Interfaces] {
            for at in ["/run/sessions", "ppp*", ""] {
                let name = plane_name(&SourcePlace { kind, at: at.to_owned() });
                assert!(is_plane_name(&name), "{name}");
            }
        }
        for name in
            ["socket", "socket-1", "card-0123456789abcdef", "socket-0123456789ABCDEF", "socket-x-0123456789abcdef"]
        {
            assert!(!is_plane_name(name), "{name}");
        }
    }
}
