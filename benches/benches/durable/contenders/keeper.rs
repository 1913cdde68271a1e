//! The keeper, and the disk as the daemon's writer has it: what the log waits for is done at once, files are made and removed by a
//! thread of their own.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use benches::{new_store, record};
use crossbeam::channel::{Receiver, Sender, unbounded};
use kernel::file::LogFile;
use ledger::keeper::{Keeper, OperationId, Request};
use ledger::log::LogBounds;
use model::time::Now;

use super::{Contender, RECORD_LEN, SEGMENT_OCTETS};

enum Work {
    Create { segment: u64, len: u64 },
    Remove { segment: u64 },
}

/// A directory of segments.
pub(super) struct Files {
    directory: PathBuf,
    writing: Option<(u64, LogFile)>,
    work: Option<Sender<Work>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    pub(super) fn new(directory: &Path) -> Files {
        let (work, receiver) = unbounded();
        let (sender, done) = unbounded();
        let path = directory.to_owned();
        let thread = std::thread::spawn(move || {
            for work in receiver {
                match work {
                    Work::Create { segment, len } => drop(LogFile::create(&file(&path, segment), len).expect("room")),
                    Work::Remove { segment } => kernel::file::remove(&file(&path, segment)).expect("it is there"),
                }
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        Files { directory: directory.to_owned(), writing: None, work: Some(work), done, thread: Some(thread) }
    }

    pub(super) fn create(&mut self, segment: u64, len: u64) {
        self.begin(Work::Create { segment, len });
    }

    pub(super) fn remove(&mut self, segment: u64) {
        self.begin(Work::Remove { segment });
    }

    fn begin(&mut self, work: Work) {
        self.work.as_ref().expect("it takes work until it ends").send(work).expect("the thread lives");
    }

    /// Until the oldest work that was begun has ended.
    pub(super) fn wait(&mut self) {
        self.done.recv().expect("the thread lives");
    }

    fn has_ended(&mut self) -> bool {
        self.done.try_recv().is_ok()
    }

    pub(super) fn write(&mut self, segment: u64, offset: u64, octets: &[u8]) {
        self.writing(segment).write_all_at(offset, octets).expect("a write");
    }

    pub(super) fn sync(&mut self, segment: u64) {
        self.writing(segment).sync_data().expect("a sync");
    }

    fn writing(&mut self, segment: u64) -> &LogFile {
        let open = match self.writing.take() {
            Some((number, open)) if number == segment => open,
            _ => LogFile::open(&file(&self.directory, segment)).expect("it was made"),
        };
        &self.writing.insert((segment, open)).1
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn file(directory: &Path, segment: u64) -> PathBuf {
    directory.join(segment.to_string())
}

/// A keeper that has begun.
pub(super) struct Kept {
    keeper: Keeper,
    files: Files,
    /// What the other thread does, in order.
    under_way: Vec<OperationId>,
    record: Vec<u8>,
    appended: u64,
}

impl Kept {
    pub(super) fn new(directory: &Path) -> Kept {
        let directory = directory.join("kept");
        std::fs::create_dir_all(&directory).expect("a directory");
        let bounds = LogBounds::new(SEGMENT_OCTETS, 1 << 20).expect("they are possible");
        let start = new_store(bounds, Now::default());
        let mut kept = Kept {
            keeper: Keeper::begin(start, Now::default()),
            files: Files::new(&directory),
            under_way: Vec::new(),
            record: record(RECORD_LEN),
            appended: 0,
        };
        while !kept.keeper.is_begun() {
            kept.turn();
        }
        kept
    }

    /// One turn of the writer's loop.
    fn turn(&mut self) {
        let now = Now::default();
        self.keeper.handle_timeout(now);
        while self.files.has_ended() {
            let id = self.under_way.remove(0);
            self.keeper.handle_completed(id, Ok(()), now);
        }
        let mut has_done = false;
        while let Some(operation) = self.keeper.poll_operation() {
            let id = operation.id;
            match operation.request {
                Request::Write { segment, offset, bytes } => self.files.write(segment, offset, bytes),
                Request::Sync { segment } => self.files.sync(segment),
                Request::CreateSegment { segment, len } => {
                    self.files.create(segment, len);
                    self.under_way.push(id);
                    continue;
                }
                Request::RemoveSegment { segment } => {
                    self.files.remove(segment);
                    self.under_way.push(id);
                    continue;
                }
                Request::Read { .. } | Request::SetAside { .. } | Request::OpenCard => {
                    unreachable!("there are no bills, no damage and no card")
                }
            }
            has_done = true;
            self.keeper.handle_completed(id, Ok(()), now);
        }
        // Nobody needs what is durable, so segments go as they fill up.
        self.keeper.handle_needed_from(0, self.keeper.durable_through(0));
        if !has_done && self.keeper.waiting() > 0 && !self.under_way.is_empty() {
            self.files.wait();
            let id = self.under_way.remove(0);
            self.keeper.handle_completed(id, Ok(()), now);
        }
    }
}

impl Contender for Kept {
    fn name(&self) -> &'static str {
        "keeper"
    }

    fn append(&mut self, records: usize) {
        for _ in 0..records {
            self.keeper.append(0, &self.record).expect("the batch has room");
        }
        self.appended += records as u64;
        while self.keeper.durable_through(0) < self.appended {
            self.turn();
        }
    }
}
