//! Playing: each line at its time, every verdict as it comes, and the link brought back when it is lost.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters};
use model::event::{Down, Up, Update};
use model::time::Wall;
use model::verdict::Sentence;
use plane::client::{Options, PlaneClient, Sending};

use super::script::{At, Line, Op, Person};
use crate::args::FeedArgs;
use crate::exit::{Failure, Outcome};

/// How fast a script is played.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many times as fast as it is written.
    Speed(f64),
    /// As fast as the link takes it.
    Asap,
}

/// Sessions that can be up at once.
const SLOTS: u32 = 1 << 20;
/// Records of the event ring, 256 octets each.
const RECORDS: u32 = 1 << 16;
/// Verdicts that may wait to be read.
const VERDICTS: u32 = 1 << 14;
/// How long one look at the link may take while nothing is due.
const LOOK: Duration = Duration::from_millis(20);

/// A session that is up.
struct Live {
    person: Box<Person>,
    slot: CounterSlot,
    counters: Counters,
}
