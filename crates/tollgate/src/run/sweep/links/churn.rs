//! Something that changes without a pause in a namespace of the test, so that hardly a dump is whole.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::run::sweep::fixture::Namespace;

/// Interfaces that come: they do that faster than others go.
pub(crate) const INTERFACES: &str = "link add type ifb\n";
/// How often `ip` is begun at most: a slow machine is not to be filled up.
const ROUNDS_MAX: usize = 200;

/// Gives `ip` these lines again and again while something is done.
pub(crate) fn while_it_changes<T>(namespace: &Namespace, lines: &str, act: impl FnOnce() -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.repeat(20)).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS_MAX {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                namespace.ip(&format!("-batch {}", file.path().display()));
            }
        });
        // Whatever becomes of it, the thread has an end.
        let done = catch_unwind(AssertUnwindSafe(act));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| resume_unwind(panic))
    })
}
