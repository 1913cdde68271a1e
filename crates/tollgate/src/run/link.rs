//! The plane link: packet planes knock on a Unix socket, pass their memory, and are handed to the workers. The
//! socket then says one thing more, by being closed: that the plane is gone.

use std::cell::RefCell;
use std::collections::HashSet;
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
use plane::hello::{Answer, HELLO_BYTES, HELLO_DESCRIPTORS, Hello, Welcome};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::messages::{WorkerHandle, WorkerMessage};

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

/// The planes' numbers for this life, and who is linked now.
#[derive(Default)]
pub(crate) struct Planes {
    names: Vec<Arc<str>>,
    linked: HashSet<PlaneIndex>,
}

impl Planes {
    /// The number of the plane of this name; a new one gets the next.
    pub(crate) fn index(&mut self, name: &str) -> Option<PlaneIndex> {
        let known = self.names.iter().position(|known| &**known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        u16::try_from(index).ok().map(PlaneIndex)
    }
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

/// Takes planes for ever.
pub(crate) async fn serve(listener: Listener, planes: Rc<RefCell<Planes>>, workers: Vec<WorkerHandle>) {
    let Ok(listener) = watch(listener) else {
        tracing::error!("the plane link cannot be watched");
        return;
    };
    loop {
        match listener.async_io(Interest::READABLE, |listener| listener.0.accept()).await {
            Ok(stream) => {
                tokio::task::spawn_local(link(stream, planes.clone(), workers.clone()));
            }
            Err(error) => {
                tracing::warn!("a packet plane could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One plane, from HELLO to the end of its link.
async fn link(stream: Stream, planes: Rc<RefCell<Planes>>, workers: Vec<WorkerHandle>) {
    if stream.set_nonblocking(true).is_err() {
        return;
    }
    let Ok(stream) = watch(stream) else { return };
    let mut room = [0; HELLO_BYTES + 1];
    let hello = stream.async_io(Interest::READABLE, |stream| stream.0.recv_with_fds(&mut room, HELLO_DESCRIPTORS));
    let Ok(Ok((length, descriptors))) = tokio::time::timeout(HELLO_PATIENCE, hello).await else {
        tracing::warn!("a packet plane said no HELLO");
        return;
    };
    let hello = match Hello::decode(&room[..length]) {
        Ok(hello) => hello,
        Err(error) => {
            tracing::warn!("a packet plane was refused: {error:?}");
            let _ = stream.get_ref().0.send_with_fds(&Welcome::refusing(error).encode(), &[]);
            return;
        }
    };
    let welcomed = welcome(&hello, descriptors, &planes, &workers);
    let answer = welcomed.as_ref().err().copied().unwrap_or(Answer::Accepted);
    // Said before the workers hear of it, so that the plane's first announcements find it linked.
    if stream.get_ref().0.send_with_fds(&Welcome::new(answer).encode(), &[]).is_err() && welcomed.is_ok() {
        return forget(&planes, &hello);
    }
    let (close, mut closed) = unbounded_channel();
    match welcomed {
        Err(answer) => tracing::warn!(plane = hello.name(), "the packet plane was refused: {}", answer.as_str()),
        Ok((plane, region, engine_bell, plane_bell)) => {
            tracing::info!(plane = hello.name(), "the packet plane has linked");
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
            workers.iter().for_each(|worker| worker.tell(WorkerMessage::Link(event.clone())));
            drop(event);
            let end = stream.async_io(Interest::READABLE, |stream| stream.0.recv_with_fds(&mut room, 0));
            tokio::select! {
                // Whatever is said after WELCOME, and the end of the connection, end the link.
                _ = end => tracing::warn!(plane = hello.name(), "the packet plane's link is gone"),
                Some(why) = closed.recv() => {
                    tracing::error!(plane = hello.name(), "the packet plane's link was closed: {why}");
                }
            }
            workers.iter().for_each(|worker| worker.tell(WorkerMessage::Link(LinkEvent::Lost { plane })));
            forget(&planes, &hello);
        }
    }
}

type Welcomed = (PlaneIndex, Arc<PlaneRegion>, Arc<Waker>, Arc<Waker>);

/// Checks what a plane passed.
fn welcome(
    hello: &Hello,
    descriptors: Vec<OwnedFd>,
    planes: &RefCell<Planes>,
    workers: &[WorkerHandle],
) -> Result<Welcomed, Answer> {
    let [memory, engine_bell, plane_bell] =
        <[OwnedFd; HELLO_DESCRIPTORS]>::try_from(descriptors).map_err(|_| Answer::Descriptors)?;
    let engine_bell = Waker::from_received(engine_bell).map_err(|_| Answer::Descriptors)?;
    let plane_bell = Waker::from_received(plane_bell).map_err(|_| Answer::Descriptors)?;
    let memory = SharedMemory::map(memory, MEMORY_MAX).map_err(|error| match error {
        MapError::Unsealed => Answer::Unsealed,
        MapError::NotSharedMemory => Answer::Descriptors,
        MapError::Length(_) | MapError::Io(_) => Answer::Memory,
    })?;
    let shards = u16::try_from(workers.len()).map_err(|_| Answer::TooMany)?;
    let region = Region::open(memory, hello.epoch, shards).map_err(Answer::from)?;
    let mut planes = planes.borrow_mut();
    let plane = planes.index(hello.name()).ok_or(Answer::TooMany)?;
    if !planes.linked.insert(plane) {
        return Err(Answer::NameTaken);
    }
    Ok((plane, region, Arc::new(engine_bell), Arc::new(plane_bell)))
}

fn forget(planes: &RefCell<Planes>, hello: &Hello) {
    let mut planes = planes.borrow_mut();
    if let Some(plane) = planes.index(hello.name()) {
        planes.linked.remove(&plane);
    }
}
