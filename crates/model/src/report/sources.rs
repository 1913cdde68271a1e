//! What session sources have seen.

use std::time::Duration;

use crate::settings::SourcePlace;
use crate::time::Wall;

/// One session source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// Which.
    pub place: SourcePlace,
    /// The packet plane that it is; its sessions are this plane's.
    pub plane: String,
    /// Who is up.
    pub sessions: u64,
    /// Sessions that came up since the source was started.
    pub ups: u64,
    /// Sessions that went since then.
    pub downs: u64,
    /// Sweeps of the counters.
    pub sweeps: u64,
    /// How long the last sweep took.
    pub sweep_time: Duration,
    /// Sessions whose counters the last sweep did not find.
    pub uncounted: u64,
    /// How often something went wrong.
    pub errors: u64,
    /// The last of it, and when.
    pub last_error: Option<(Wall, String)>,
}

impl SourceReport {
    /// One that has seen nothing yet.
    pub fn new(place: SourcePlace, plane: &str) -> SourceReport {
        SourceReport {
            place,
            plane: plane.to_owned(),
            sessions: 0,
            ups: 0,
            downs: 0,
            sweeps: 0,
            sweep_time: Duration::ZERO,
            uncounted: 0,
            errors: 0,
            last_error: None,
        }
    }
}
