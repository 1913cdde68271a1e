//! What a daemon sends, second by second, seen from a thread beside the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::daemon::Accounts;

const EVERY: Duration = Duration::from_secs(1);

/// Looks until it is asked for what it saw.
#[derive(Debug)]
pub(crate) struct Samples {
    enough: Arc<AtomicBool>,
    watcher: JoinHandle<Vec<(f64, u64)>>,
}

impl Samples {
    pub(crate) fn start(accounts: Accounts, since: Instant) -> Samples {
        let enough = Arc::new(AtomicBool::new(false));
        let noted = enough.clone();
        let watcher = std::thread::spawn(move || {
            let mut seen = Vec::new();
            let mut next = Instant::now();
            while !noted.load(Ordering::Relaxed) {
                if let Ok(counted) = accounts.counted() {
                    seen.push((since.elapsed().as_secs_f64(), counted.interims));
                }
                next += EVERY;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            seen
        });
        Samples { enough, watcher }
    }

    /// Seconds, and interims a second that were sent until then.
    pub(crate) fn finish(self) -> Vec<(f64, f64)> {
        self.enough.store(true, Ordering::Relaxed);
        let seen = self.watcher.join().unwrap_or_default();
        let pairs = seen.iter().zip(seen.iter().skip(1));
        pairs.map(|(one, two)| (two.0, (two.1 - one.1) as f64 / (two.0 - one.0))).collect()
    }
}
