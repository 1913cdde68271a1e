//! The eBPF maps of the box as one source of counters: IPv4 addresses are looked up in the one, IPv6 prefixes in the other.
//!
//! A map that is not pinned yet, or has been pinned anew because its program was loaded again, is opened at the next sweep: the daemon may
//! start before the program, and outlive it. What a new map counts is added to what the old one had counted.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::settings::{CounterMap, CounterMaps, MapValues};
use plane::maps::{Key, Layout, Values};
use plane::sweep::{Reading, Subject};

use crate::run::sweep::map::MapSweep;
use crate::run::sweep::{Sweep, SweepError};

/// The maps.
pub(crate) struct Maps {
    all: Vec<Pinned>,
}

/// One map, by where it is pinned.
struct Pinned {
    path: PathBuf,
    layout: Layout,
    opened: Option<Opened>,
    /// How often it was opened.
    times: u32,
    /// The last sweep went well.
    is_read: bool,
}

struct Opened {
    /// Which file it was.
    inode: u64,
    map: MapSweep,
}

impl Maps {
    /// Opens what is pinned already.
    ///
    /// # Errors
    /// A map that is there and cannot be read as is declared.
    pub(crate) fn open(settings: &CounterMaps) -> Result<Maps, String> {
        let v4 = settings.v4.iter().map(|map| Pinned::new(map, Key::V4));
        let v6 = settings.v6.iter().map(|(map, length)| Pinned::new(map, Key::V6 { length: *length }));
        let mut all: Vec<Pinned> = v4.chain(v6).collect();
        for pinned in &mut all {
            match pinned.keep_up() {
                Err(error) if error.error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{}: {error}", pinned.path.display())),
                Ok(_) => {}
            }
        }
        Ok(Maps { all })
    }
}

impl Pinned {
    fn new(map: &CounterMap, key: Key) -> Pinned {
        let MapValues { in_octets, in_packets, out_octets, out_packets } = map.values;
        let layout = Layout { key, values: Values { in_octets, in_packets, out_octets, out_packets } };
        Pinned { path: PathBuf::from(&map.path), layout, opened: None, times: 0, is_read: false }
    }

    /// The map that is pinned now.
    fn keep_up(&mut self) -> Result<&mut MapSweep, SweepError> {
        let Pinned { path, layout, opened, times, .. } = self;
        let found = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.ino());
        let inode =
            found(path).map_err(|error| SweepError { tried: "find the map where it is to be pinned", error })?;
        match opened {
            Some(Opened { inode: known, .. }) if *known == inode => {}
            _ => {
                *opened = Some(Opened { inode, map: MapSweep::open(path, *layout)? });
                *times += 1;
            }
        }
        match opened {
            Some(Opened { map, .. }) => Ok(map),
            None => Err(SweepError { tried: "open the map", error: io::ErrorKind::NotFound.into() }),
        }
    }

    fn is_for(&self, subject: Subject) -> bool {
        matches!((self.layout.key, subject), (Key::V4, Subject::V4(_)) | (Key::V6 { .. }, Subject::V6(_)))
    }
}

impl Sweep for Maps {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        assert_eq!(subjects.len(), readings.len(), "one place for each subject");
        readings.fill(None);
        let mut failed = None;
        for pinned in &mut self.all {
            let asked: Vec<usize> = (0..subjects.len()).filter(|at| pinned.is_for(subjects[*at])).collect();
            if asked.is_empty() {
                continue;
            }
            let own: Vec<Subject> = asked.iter().map(|at| subjects[*at]).collect();
            let mut found = vec![None; own.len()];
            let swept = pinned.keep_up().and_then(|map| map.sweep(&own, &mut found));
            pinned.is_read = swept.is_ok();
            // One map that is not there leaves the other as it is.
            if let Err(error) = swept {
                failed.get_or_insert(error);
                continue;
            }
            // What counts in another map is somebody else.
            let life = pinned.times << 24;
            for (at, reading) in asked.into_iter().zip(found) {
                readings[at] =
                    reading.map(|Reading { counters, generation }| Reading { counters, generation: generation ^ life });
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn place(&self, subject: Subject) -> u64 {
        let pinned = self.all.iter().find(|pinned| pinned.is_for(subject));
        pinned.map_or(0, |pinned| {
            plane::record::session_hash(format!("{:?} {:?}", pinned.path, pinned.layout).as_bytes())
        })
    }

    fn has_read(&self, subject: Subject) -> bool {
        let is_of_it = |pinned: &&Pinned| pinned.is_read && pinned.is_for(subject);
        let opened = self.all.iter().filter(is_of_it).filter_map(|pinned| pinned.opened.as_ref());
        opened.into_iter().any(|opened| opened.map.has_read(subject))
    }
}
