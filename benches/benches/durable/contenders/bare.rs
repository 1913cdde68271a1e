//! The octets and nothing else.

use std::path::Path;

use kernel::file::LogFile;

use super::keeper::Files;
use super::{Contender, RECORD_LEN, SEGMENT_OCTETS};

const ROUND_OCTETS: u64 = 64 << 20;

/// A zeroed file, written round and round.
pub(super) struct Round {
    file: LogFile,
    at: u64,
    octets: Vec<u8>,
}

impl Round {
    pub(super) fn new(directory: &Path) -> Round {
        let file = LogFile::create(&directory.join("round"), ROUND_OCTETS).expect("there is room");
        Round { file, at: 0, octets: Vec::new() }
    }
}

impl Contender for Round {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn append(&mut self, records: usize) {
        self.octets.resize(records * RECORD_LEN, 0x5A);
        let len = self.octets.len() as u64;
        if self.at + len > ROUND_OCTETS {
            self.at = 0;
        }
        self.file.write_all_at(self.at, &self.octets).expect("a write");
        self.file.sync_data().expect("a sync");
        self.at += len;
    }
}

/// One zeroed file after the other, made and removed by another thread, as segments are.
pub(super) struct Segments {
    files: Files,
    segment: u64,
    at: u64,
    octets: Vec<u8>,
}

impl Segments {
    pub(super) fn new(directory: &Path) -> Segments {
        let directory = directory.join("bare");
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut files = Files::new(&directory);
        files.create(0, SEGMENT_OCTETS);
        files.wait();
        files.create(1, SEGMENT_OCTETS);
        Segments { files, segment: 0, at: 0, octets: Vec::new() }
    }
}

impl Contender for Segments {
    fn name(&self) -> &'static str {
        "bare, as segments"
    }

    fn append(&mut self, records: usize) {
        self.octets.resize(records * RECORD_LEN, 0x5A);
        let len = self.octets.len() as u64;
        if self.at + len > SEGMENT_OCTETS {
            self.files.wait();
            self.files.remove(self.segment);
            self.files.wait();
            (self.segment, self.at) = (self.segment + 1, 0);
            self.files.create(self.segment + 1, SEGMENT_OCTETS);
        }
        self.files.write(self.segment, self.at, &self.octets);
        self.files.sync(self.segment);
        self.at += len;
    }
}
