//! A bill server: it takes files of bills, refuses them, or takes them and is not heard.
//!
//! A file that it has already under the same name, of the same octets, it has; one of other octets breaks a rule, unless
//! somebody else put it there.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::transfer::{Outcome, Upload, UploadFailure};

use crate::fallible::FailingUpload;
use crate::oracle::Oracle;
use crate::seed::Dice;

/// How it behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BillMood {
    /// It takes every file.
    Well,
    /// It fails with one of many failures.
    Failing,
    /// It takes files, and the answer is lost.
    Mute,
    /// It has another file under some of the names.
    Crowded,
}

/// The server.
pub(crate) struct BillServer {
    pub(crate) mood: BillMood,
    /// An attempt takes up to so many seconds longer.
    pub(crate) slowness_s: u64,
    dice: Dice,
    /// Whole files.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Names that somebody else's files have.
    foreign: Vec<String>,
}

impl BillServer {
    pub(crate) fn new(dice: Dice) -> BillServer {
        BillServer { mood: BillMood::Well, slowness_s: 0, dice, files: BTreeMap::new(), foreign: Vec::new() }
    }

    /// How long an attempt takes.
    pub(crate) fn delay(&mut self) -> Duration {
        let most = self.dice.pick(&[50, 1000, 10_000]);
        let usual = self.dice.millis(1, most);
        if self.slowness_s > 0 { usual + self.dice.seconds(60, 60 + self.slowness_s) } else { usual }
    }

    /// A file arrives, or does not.
    pub(crate) fn take(&mut self, upload: &Upload, oracle: &mut Oracle) -> Outcome {
        let failures = [
            UploadFailure::Unreachable,
            UploadFailure::Timeout,
            UploadFailure::HostKey,
            UploadFailure::LoginRefused,
            UploadFailure::Refused,
            UploadFailure::NoSpace,
            UploadFailure::Protocol,
        ];
        let is_known = self.files.contains_key(&upload.name);
        if self.foreign.contains(&upload.name) {
            return Outcome::Failed(UploadFailure::NameTaken);
        }
        match self.mood {
            BillMood::Failing if self.dice.chance(90) => Outcome::Failed(self.dice.pick(&failures)),
            BillMood::Mute if self.dice.chance(70) => {
                self.store(upload, oracle);
                Outcome::Failed(UploadFailure::Timeout)
            }
            // It took the file, nobody heard of that, and whoever collects files has put another one there.
            BillMood::Crowded if is_known && self.dice.chance(30) => Outcome::Failed(UploadFailure::NameTaken),
            BillMood::Crowded if self.dice.chance(20) => {
                self.store(upload, oracle);
                Outcome::Failed(self.dice.pick(&[UploadFailure::ManifestTaken, UploadFailure::Unverified]))
            }
            BillMood::Crowded if !is_known && self.dice.chance(50) => {
                self.foreign.push(upload.name.clone());
                Outcome::Failed(UploadFailure::NameTaken)
            }
            _ => {
                self.store(upload, oracle);
                Outcome::Delivered
            }
        }
    }

    /// How many files it has.
    pub(crate) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// A file does not arrive, or nobody hears that it has.
    pub(crate) fn fail(&mut self, upload: &Upload, failing: FailingUpload, oracle: &mut Oracle) -> Outcome {
        match failing {
            FailingUpload::Refused(failure) => Outcome::Failed(failure),
            FailingUpload::Unheard => {
                if !self.foreign.contains(&upload.name) {
                    self.store(upload, oracle);
                }
                Outcome::Failed(UploadFailure::Timeout)
            }
        }
    }

    /// The process died meanwhile: the file may have arrived.
    pub(crate) fn interrupt(&mut self, upload: &Upload, oracle: &mut Oracle) {
        if !self.foreign.contains(&upload.name) && self.mood != BillMood::Failing && self.dice.chance(50) {
            self.store(upload, oracle);
        }
    }

    fn store(&mut self, upload: &Upload, oracle: &mut Oracle) {
        let known = self.files.insert(upload.name.clone(), upload.octets.clone());
        oracle.delivered(upload, known.as_deref());
    }
}
