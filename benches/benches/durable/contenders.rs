//! Those who make records durable.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::RECORD_LEN;

mod bare;
mod keeper;
#[cfg(feature = "peers")]
mod sqlite;

/// As the daemon has it.
const SEGMENT_OCTETS: u64 = 16 << 20;

/// Makes batches of records durable.
pub(super) trait Contender {
    fn name(&self) -> &'static str;

    /// So many records of [`RECORD_LEN`] octets are durable when it returns.
    fn append(&mut self, records: usize);
}

pub(super) fn contenders(directory: &Directory) -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(bare::Round::new(directory.path())),
        Box::new(bare::Segments::new(directory.path())),
        Box::new(keeper::Kept::new(directory.path())),
        #[cfg(feature = "peers")]
        Box::new(sqlite::Rows::new(directory.path())),
    ]
}

/// Directories made so far.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Files that a bench makes, removed when it ends.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Directory {
        let parent = std::env::var_os("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("durable-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Directory(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
