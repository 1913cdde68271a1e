//! When a thread that waits for work must be woken: never while it is awake, which costs whoever has work for it one load, and
//! always when it would not see that work.
//!
//! ```text
//!   sleeper:  lie down, look for work once more, sleep unless there is some, get up
//!   others:   publish work, ask whether the sleeper must be woken, wake it
//! ```
//!
//! Both sides write first and look then, and a fence stands between: at least one of them sees what the other has written.

use crate::sync::{AtomicBool, Ordering, fence};

/// Whether a thread sleeps, or is about to.
#[derive(Debug)]
pub struct Doze(AtomicBool);

impl Default for Doze {
    fn default() -> Doze {
        Doze(AtomicBool::new(false))
    }
}

impl Doze {
    /// The sleeper will sleep, if it finds no work from now on.
    pub fn lie_down(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The sleeper is awake.
    pub fn get_up(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the sleeper may not see what was published before this, and must be woken.
    pub fn must_be_woken(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed)
    }
}
