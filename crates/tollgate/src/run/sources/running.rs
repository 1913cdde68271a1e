//! One source that runs: its thread, and the control thread's end of it.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};
use kernel::waker::Waker;
use model::ids::PlaneIndex;
use model::report::SourceReport;
use model::settings::{CountedBy, SourcePlace};
use model::verdict::{Reason, Sentence};

use super::counting::Counting;
use super::desk::{Desk, SharedReport};
use super::register::Entry;
use super::source_plane::{Fault, SourcePlane};
use super::{Teller, Wanted, plane_name};
use crate::run::link::{self, Planes};
use crate::run::messages::WorkerHandle;
use crate::run::spawn;

/// The longest sleep; nothing depends on it but the reading of this number.
const NAP: Duration = Duration::from_secs(5);
/// How long sources that are taken away may take until the Downs of their sessions are durable, all of them together. The commit
/// waits for that: whoever configures such a source again finds the old one gone, its socket and its register with it.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Acct-Terminate-Cause *Admin Reset*: an accounting that ends though the session stays.
const ADMIN_RESET: u8 = 6;
/// Acct-Terminate-Cause *NAS Request*: the source was taken away.
const NAS_REQUEST: u8 = 10;

/// What the thread is told.
enum Order {
    /// Obey these settings for sessions that come, and count octets so from now on, if that has changed.
    Configure(Wanted, Option<Counting>),
    /// End all sessions, and then yourself.
    End,
}

/// The control thread's end.
pub(crate) struct Running {
    wanted: Wanted,
    report: SharedReport,
    index: PlaneIndex,
    orders: Sender<Order>,
    bell: Arc<Waker>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Makes the plane, hands it to the workers and starts the thread.
    pub(crate) fn start(
        place: &SourcePlace,
        wanted: &Wanted,
        (teller, counting): (Box<dyn Teller>, Counting),
        directory: &Path,
        (planes, workers): (&Rc<RefCell<Planes>>, &[WorkerHandle]),
    ) -> Result<Running, String> {
        let failed = |error: io::Error| error.to_string();
        let name = plane_name(place);
        let stop = Arc::new(AtomicBool::new(false));
        let boot_id = kernel::clock::boot_id().map_err(failed)?;
        let opened = SourcePlane::open(&name, &directory.join(&name), &boot_id, stop.clone()).map_err(failed)?;
        let (plane, entries) = opened;
        let report: SharedReport = Arc::new(Mutex::new(SourceReport::new(place.clone(), &name)));
        let bell = Arc::new(Waker::new().map_err(failed)?);
        let (orders, inbox) = unbounded();
        let descriptors = plane.client().descriptors().map_err(failed)?;
        let introduced = link::introduce(plane.client().hello(), descriptors.into(), planes, workers);
        let (index, mut closed) = introduced.map_err(|answer| answer.as_str().to_owned())?;
        tokio::task::spawn_local(async move {
            while let Some(why) = closed.recv().await {
                tracing::error!(plane = name, "a session source is not heard any more: {why}");
            }
        });
        let desk = Desk::new(plane, counting, wanted.domain.clone(), report.clone());
        let source = Source { teller, desk, inbox, bell: bell.clone(), stop: stop.clone() };
        let Ok(thread) = spawn("tollgate-source", None, move || source.run(entries)) else {
            // The workers have it already, and its name is taken.
            link::part(index, planes, workers);
            return Err("no thread can start".to_owned());
        };
        Ok(Running { wanted: wanted.clone(), report, index, orders, bell, stop, thread })
    }

    /// Whether its octets are to be counted in another way.
    pub(crate) fn counts_otherwise(&self, wanted: &Wanted) -> bool {
        let is_by_map = wanted.counters.from == CountedBy::Ebpf;
        self.wanted.counters.from != wanted.counters.from || is_by_map && self.wanted.maps != wanted.maps
    }

    /// Has it obey other settings, with the counters that were opened for them.
    pub(crate) fn configure(&mut self, wanted: &Wanted, counting: Option<Counting>) {
        if self.wanted != *wanted {
            self.wanted = wanted.clone();
            self.tell(Order::Configure(wanted.clone(), counting));
        }
    }

    /// What it has to tell of itself.
    pub(crate) fn report(&self) -> SourceReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends sources with their sessions, all at once, and takes their planes from the workers. One whose last words find no room
    /// is broken off; the engine then ends its sessions as those of a plane that is gone.
    pub(crate) async fn end_all(sources: Vec<Running>, planes: &RefCell<Planes>, workers: &[WorkerHandle]) {
        sources.iter().for_each(|source| source.tell(Order::End));
        let until = tokio::time::Instant::now() + LAST_WORDS;
        for source in sources {
            let Running { index, thread, stop, bell, .. } = source;
            let mut joined = tokio::task::spawn_blocking(move || thread.join());
            if tokio::time::timeout_at(until, &mut joined).await.is_err() {
                stop.store(true, Ordering::Relaxed);
                bell.wake();
                let _ = joined.await;
            }
            link::part(index, planes, workers);
        }
    }

    /// Has the thread end; its sessions stay.
    pub(crate) fn tell_to_leave(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.wake();
    }

    /// Waits for the thread, which was told to end.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }

    fn tell(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.bell.wake();
        }
    }
}

/// What the thread owns.
struct Source {
    teller: Box<dyn Teller>,
    desk: Desk,
    inbox: Receiver<Order>,
    bell: Arc<Waker>,
    stop: Arc<AtomicBool>,
}

impl Source {
    fn run(mut self, entries: Vec<Entry>) {
        let begun = self.desk.restore(entries).and_then(|()| self.teller.begin(&mut self.desk));
        if let Err(Fault::Refused(problem)) = &begun {
            self.desk.note(problem);
        }
        while !self.stop.load(Ordering::Relaxed) {
            match self.turn() {
                Ok(true) => self.sleep(),
                Ok(false) | Err(Fault::Stopped) => return,
                Err(Fault::Refused(problem)) => self.desk.note(&problem),
            }
        }
    }

    /// One turn; false when it was the last.
    fn turn(&mut self) -> Result<bool, Fault> {
        self.bell.drain();
        while let Ok(order) = self.inbox.try_recv() {
            match order {
                Order::Configure(wanted, counting) => {
                    self.teller.configure(&wanted);
                    self.desk.domain = wanted.domain;
                    if let Some(counting) = counting {
                        self.desk.count_by(counting);
                    }
                    self.desk.counting.set_interval(wanted.counters.interval());
                }
                Order::End => {
                    self.end();
                    return Ok(false);
                }
            }
        }
        // First what is durable: a verdict that was seen together with it is told behind the answer.
        let through = self.desk.plane.durable();
        self.hear()?;
        self.teller.turn(&mut self.desk)?;
        self.teller.durable(through);
        if let Err(problem) = self.desk.counting.keep_up() {
            self.desk.note(&problem);
        }
        self.desk.sweep();
        Ok(true)
    }

    fn hear(&mut self) -> Result<(), Fault> {
        while let Some(verdict) = self.desk.poll_verdict() {
            self.teller.hear(&verdict, &mut self.desk)?;
            let session = String::from_utf8_lossy(verdict.session()).into_owned();
            let is_up = self.desk.plane.live().contains_key(&session);
            match verdict.sentence {
                Sentence::Refuse => self.desk.refused(&session),
                // It stays, but it is not spoken of any more.
                Sentence::Redirect if verdict.reason == Reason::AccountingStopped && is_up => {
                    self.desk.down(&session, ADMIN_RESET, None)?;
                }
                Sentence::Redirect | Sentence::Admit | Sentence::Cut => {}
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        let sessions: Vec<String> = self.desk.plane.live().keys().cloned().collect();
        for session in sessions {
            if let Err(Fault::Stopped) = self.desk.down(&session, NAS_REQUEST, None) {
                return;
            }
        }
        self.desk.plane.settle(until.saturating_duration_since(Instant::now()));
    }

    fn sleep(&mut self) {
        let now = Instant::now();
        let due = [self.teller.due(), self.desk.counting.due()].into_iter().flatten().min();
        let timeout = due.map_or(NAP, |due| due.saturating_duration_since(now).min(NAP));
        let mut descriptors = self.teller.descriptors();
        descriptors.push(self.bell.as_fd());
        self.desk.plane.wait(&descriptors, timeout);
    }
}
