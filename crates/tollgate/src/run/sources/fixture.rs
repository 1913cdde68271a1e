//! A desk whose plane nobody reads: what is said has to fit into its ring.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use model::report::SourceReport;
use model::settings::{SourceKind, SourcePlace};

use super::counting::Counting;
use super::desk::{Desk, SharedReport};
use super::source_plane::SourcePlane;

/// A life of a source, with what an earlier one has left in the register under `directory`.
pub(super) fn desk(directory: &Path, counting: Counting) -> (Desk, SharedReport) {
    let stop = Arc::new(AtomicBool::new(false));
    let (plane, entries) = SourcePlane::open("stage", &directory.join("register"), &[1; 16], stop).unwrap();
    let place = SourcePlace { kind: SourceKind::Socket, at: directory.display().to_string() };
    let report = Arc::new(Mutex::new(SourceReport::new(place, "stage")));
    let mut desk = Desk::new(plane, counting, None, report.clone());
    desk.restore(entries).unwrap();
    (desk, report)
}
