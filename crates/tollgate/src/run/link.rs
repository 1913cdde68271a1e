//! The plane link: packet planes knock on a Unix socket, pass their memory, and are handed to the workers. The
//! socket then says one thing more, by being closed: that the plane is gone.
//!
//! Whoever may open the socket is let in, and is believed nothing. Full: who says no HELLO while many others say none
//! goes, the longest silent first ([`Greeting`]); a plane beyond the most is refused, and one that comes and goes is
//! answered later ([`Planes`]). What is refused is told by its name, each now and then.

mod greeting;
mod roster;
mod turned_away;

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kernel::seqpacket::{BindError, Listener, Stream};
use kernel::shared_memory::{MapError, SharedMemory};
use kernel::waker::Waker;
use model::ids::PlaneIndex;
use plane::Region;
use plane::hello::{Answer, HELLO_BYTES, HELLO_DESCRIPTORS, Hello, HelloError, Welcome};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::clock;
use super::messages::{WorkerHandle, WorkerMessage};
use super::sources;
use greeting::Greeting;
pub(crate) use roster::Planes;
use turned_away::TurnedAway;

/// The largest memory that a plane may pass: 16 million slots of 128 octets, and 64 rings of a million records.
const MEMORY_MAX: usize = 20 << 30;
/// How long a plane may take to say HELLO.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// A plane's memory as the workers see it.
pub(crate) type PlaneRegion = Region<SharedMemory>;

/// A packet plane came or went.
#[derive(Clone)]
pub(crate) enum LinkEvent {
    /// It has linked.
    Linked {
        plane: PlaneIndex,
        name: Arc<str>,
        epoch: u64,
        /// It announces nobody: whom it brings up is new ([`Hello::new_start`]).
        new_start: bool,
        /// Its counters have 32 bits ([`Hello::narrow`]).
        narrow: bool,
        region: Arc<PlaneRegion>,
        /// Rung by the plane.
        engine_bell: Arc<Waker>,
        /// Rung by the engine.
        plane_bell: Arc<Waker>,
        /// Closes the link.
        close: UnboundedSender<&'static str>,
    },
    /// Its link is gone.
    Lost { plane: PlaneIndex },
}

/// A descriptor that tokio watches while its owner reads it.
struct Watched<T>(T);

impl<T: AsFd> AsRawFd for Watched<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Has tokio watch a descriptor.
#[expect(deprecated, reason = "its successor is unsafe; a Watched owns its one descriptor and never changes it")]
fn watch<T: AsFd>(owner: T) -> std::io::Result<AsyncFd<Watched<T>>> {
    AsyncFd::with_interest(Watched(owner), Interest::READABLE)
}

/// Binds the link's socket, for its owner only.
pub(crate) fn bind(path: &Path) -> Result<Listener, BindError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(BindError::Io)?;
    }
    let listener = Listener::bind(path, 0o600)?;
    listener.set_nonblocking(true).map_err(BindError::Io)?;
    Ok(listener)
}

/// What every connection needs.
struct Desk {
    planes: Rc<RefCell<Planes>>,
    workers: Vec<WorkerHandle>,
    greeting: RefCell<Greeting>,
    turned_away: RefCell<TurnedAway>,
}

impl Desk {
    fn turn_away(&self, plane: &str, why: &'static str) {
        self.turned_away.borrow_mut().note(plane, why, clock::now().mono);
    }
}

/// Takes planes for ever.
pub(crate) async fn serve(listener: Listener, planes: Rc<RefCell<Planes>>, workers: Vec<WorkerHandle>) {
    let Ok(listener) = watch(listener) else {
        tracing::error!("the plane link cannot be watched");
        return;
    };
    let desk = Rc::new(Desk { planes, workers, greeting: RefCell::default(), turned_away: RefCell::default() });
    loop {
        match listener.async_io(Interest::READABLE, |listener| listener.0.accept()).await {
            Ok(stream) => {
                tokio::task::spawn_local(link(stream, desk.clone()));
            }
            Err(error) => {
                tracing::warn!("a packet plane could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One plane, from HELLO to the end of its link.
async fn link(stream: Stream, desk: Rc<Desk>) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let Ok(stream) = watch(stream) else { return };
    let (octets, descriptors) = match hear(&stream, &desk).await {
        Ok(heard) => heard,
        Err(why) => return desk.turn_away("", why),
    };
    let hello = match Hello::decode(&octets) {
        Ok(hello) => hello,
        Err(error) => {
            let answer = match error {
                HelloError::Malformed => Answer::Malformed,
                HelloError::Version { .. } => Answer::Version,
            };
            desk.turn_away("", answer.as_str());
            let _ = stream.get_ref().0.send_with_fds(&Welcome::refusing(error).encode(), &[]);
            return;
        }
    };
    if sources::is_plane_name(hello.name()) {
        return refuse(&stream, &desk, &hello, Answer::NameTaken);
    }
    // Claimed before its memory is looked at: a plane that is linked uses that memory.
    let claimed = desk.planes.borrow_mut().claim(hello.name(), clock::now().mono);
    let (plane, pause) = match claimed {
        Ok(claimed) => claimed,
        Err(answer) => return refuse(&stream, &desk, &hello, answer),
    };
    tokio::time::sleep(pause).await;
    match open(&hello, descriptors, desk.workers.len()).await {
        Ok(opened) => stay(&stream, &desk, &hello, plane, opened).await,
        Err(answer) => refuse(&stream, &desk, &hello, answer),
    }
    desk.planes.borrow_mut().release(plane, clock::now().mono);
}

fn refuse(stream: &AsyncFd<Watched<Stream>>, desk: &Desk, hello: &Hello, answer: Answer) {
    desk.turn_away(hello.name(), answer.as_str());
    // Who does not listen need not know.
    let _ = stream.get_ref().0.send_with_fds(&Welcome::new(answer).encode(), &[]);
}

/// The first message of a connection, and what came with it. The error says why there is none.
async fn hear(stream: &AsyncFd<Watched<Stream>>, desk: &Desk) -> Result<(Vec<u8>, Vec<OwnedFd>), &'static str> {
    let mut room = [0; HELLO_BYTES + 1];
    let (ticket, crowded) = desk.greeting.borrow_mut().enter();
    let heard = tokio::select! {
        biased;
        heard = stream.async_io(Interest::READABLE, |stream| stream.0.recv_with_fds(&mut room, HELLO_DESCRIPTORS)) => {
            heard.map_err(|_| "its HELLO is longer than any, or brings more than three descriptors")
        }
        _ = crowded => Err("it says no HELLO, and too many others say none"),
        () = tokio::time::sleep(HELLO_PATIENCE) => Err("it says no HELLO"),
    };
    desk.greeting.borrow_mut().leave(ticket);
    match heard? {
        (0, _) => Err("it went before it said HELLO"),
        (length, descriptors) => Ok((room[..length].to_vec(), descriptors)),
    }
}

/// The life of a link that is accepted.
async fn stay(stream: &AsyncFd<Watched<Stream>>, desk: &Desk, hello: &Hello, plane: PlaneIndex, opened: Opened) {
    // Said before the workers hear of it, so that the plane's first announcements find it linked.
    if stream.get_ref().0.send_with_fds(&Welcome::new(Answer::Accepted).encode(), &[]).is_err() {
        return desk.turn_away(hello.name(), "it went before it was answered");
    }
    tracing::info!(plane = hello.name(), "the packet plane has linked");
    let mut closed = hand_over(hello, plane, opened, &desk.workers);
    let mut room = [0];
    tokio::select! {
        // Whatever is said after WELCOME, and the end of the connection, end the link.
        _ = stream.async_io(Interest::READABLE, |stream| stream.0.recv_with_fds(&mut room, 0)) => {
            tracing::warn!(plane = hello.name(), "the packet plane's link is gone");
        }
        Some(why) = closed.recv() => {
            tracing::error!(plane = hello.name(), "the packet plane's link was closed: {why}");
        }
    }
    tell(&desk.workers, &LinkEvent::Lost { plane });
}

/// Links a plane of this process, which says what a HELLO would. Whoever holds the other end of the channel hears why the workers
/// read it no more.
pub(crate) fn introduce(
    hello: &Hello,
    descriptors: Vec<OwnedFd>,
    planes: &RefCell<Planes>,
    workers: &[WorkerHandle],
) -> Result<(PlaneIndex, UnboundedReceiver<&'static str>), Answer> {
    // Nobody is kept waiting for its own comings and goings.
    let (plane, _) = planes.borrow_mut().claim(hello.name(), clock::now().mono)?;
    match check(hello.epoch, descriptors, workers.len()) {
        Ok(opened) => Ok((plane, hand_over(hello, plane, opened, workers))),
        Err(answer) => {
            planes.borrow_mut().release(plane, clock::now().mono);
            Err(answer)
        }
    }
}

/// A plane of this process has gone.
pub(crate) fn part(plane: PlaneIndex, planes: &RefCell<Planes>, workers: &[WorkerHandle]) {
    tell(workers, &LinkEvent::Lost { plane });
    planes.borrow_mut().release(plane, clock::now().mono);
}

/// Gives a plane that was let in to the workers.
fn hand_over(
    hello: &Hello,
    plane: PlaneIndex,
    opened: Opened,
    workers: &[WorkerHandle],
) -> UnboundedReceiver<&'static str> {
    let (close, closed) = unbounded_channel();
    let (region, engine_bell, plane_bell) = opened;
    let event = LinkEvent::Linked {
        plane,
        name: hello.name().into(),
        epoch: hello.epoch,
        new_start: hello.new_start,
        narrow: hello.narrow,
        region,
        engine_bell,
        plane_bell,
        close,
    };
    tell(workers, &event);
    closed
}

fn tell(workers: &[WorkerHandle], event: &LinkEvent) {
    workers.iter().for_each(|worker| worker.tell(WorkerMessage::Link(event.clone())));
}

/// A plane's memory, the bell that it rings and the one that it hears.
type Opened = (Arc<PlaneRegion>, Arc<Waker>, Arc<Waker>);

/// Checks what a plane passed. On another thread: a large memory takes its time, and nobody else waits for it.
async fn open(hello: &Hello, descriptors: Vec<OwnedFd>, shards: usize) -> Result<Opened, Answer> {
    let epoch = hello.epoch;
    // A check that did not come to its end found nothing to believe.
    tokio::task::spawn_blocking(move || check(epoch, descriptors, shards)).await.unwrap_or(Err(Answer::Memory))
}

fn check(epoch: u64, descriptors: Vec<OwnedFd>, shards: usize) -> Result<Opened, Answer> {
    let [memory, engine_bell, plane_bell] =
        <[OwnedFd; HELLO_DESCRIPTORS]>::try_from(descriptors).map_err(|_| Answer::Descriptors)?;
    let engine_bell = Waker::from_received(engine_bell).map_err(|_| Answer::Descriptors)?;
    let plane_bell = Waker::from_received(plane_bell).map_err(|_| Answer::Descriptors)?;
    let memory = SharedMemory::map(memory, MEMORY_MAX).map_err(|error| match error {
        MapError::Unsealed => Answer::Unsealed,
        MapError::NotSharedMemory => Answer::Descriptors,
        MapError::Length(_) | MapError::Io(_) => Answer::Memory,
    })?;
    let shards = u16::try_from(shards).map_err(|_| Answer::TooMany)?;
    let region = Region::open(memory, epoch, shards).map_err(Answer::from)?;
    Ok((region, Arc::new(engine_bell), Arc::new(plane_bell)))
}
