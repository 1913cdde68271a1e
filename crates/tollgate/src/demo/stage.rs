//! What the threads of the demo share: one clock and a few numbers for the view.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::watch::Figures;
use crate::exit::Failure;

/// How the play ended.
pub(super) enum Fate {
    /// As it should.
    Played(Figures),
    /// Somebody pressed Ctrl+C.
    Interrupted,
}

/// Shared by the plane, the server and the view.
pub(super) struct Stage {
    began: Instant,
    /// Sessions that the plane has online.
    pub(super) online: AtomicU32,
    /// Whether every session of the plane has ended and the engine has taken that over.
    pub(super) all_gone: AtomicBool,
    /// Whether the server has its socket and answers.
    pub(super) serving: AtomicBool,
    ended: AtomicBool,
}

impl Stage {
    /// The play begins now.
    pub(super) fn open() -> Stage {
        Stage {
            began: Instant::now(),
            online: AtomicU32::new(0),
            all_gone: AtomicBool::new(false),
            serving: AtomicBool::new(true),
            ended: AtomicBool::new(false),
        }
    }

    /// Since the play began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends everybody home.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// A thread on the stage.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    stage: &Arc<Stage>,
    play: impl FnOnce(&Stage) -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    let stage = Arc::clone(stage);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || play(&stage))
        .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))
}
