//! What the ledger has written down of one session, for `display accounting session X why`.
//!
//! The segments are read as they lie on the disk, beside the daemon's own writing: what is not durable yet is not there, and what
//! compaction has folded into a checkpoint is one record. A million sessions' log takes a second or two; nobody else waits.

use std::path::Path;
use std::time::Duration;

use ledger::frame;
use ledger::recover::{RecordBatch, RecordSink, Recovery, Stored};
use ledger::segment::Place;
use model::ids::SessionSerial;
use model::record::{Record, Sampled, Started};
use model::report::{SessionStory, StorySource, StoryStep};
use model::time::{Mono, Wall};

use super::clock;
use super::disk::read_segments;
use super::store::ledger_directory;

/// Adds the records that are durable, in their place among the steps.
pub(crate) async fn add_records(story: &mut SessionStory, state_dir: &Path) {
    let (serial, directory) = (story.user.serial, ledger_directory(state_dir));
    let boot_id = kernel::clock::boot_id().ok();
    let read = tokio::task::spawn_blocking(move || {
        let mut recovery = Recovery::new(Biography { serial, boot_id, steps: Vec::new() });
        // A segment that goes meanwhile told nothing that others do not tell.
        let _ = read_segments(
            &directory,
            |_| {},
            |number, octets| {
                recovery.segment(number, &octets);
                octets
            },
        );
        // The newest batch is taken in at the end, for it might be torn.
        let known = recovery.sink().steps.clone();
        recovery.finish().map_or(known, |(recovered, _)| recovered.state.steps)
    });
    let journal = std::mem::take(&mut story.steps);
    let mut steps = dated(read.await.unwrap_or_default());
    steps.extend(dated(journal));
    steps.sort_by_key(|(at, _)| *at);
    story.steps = steps.into_iter().map(|(_, step)| step).collect();
}

/// Each step with its time, or with that of the step before it.
fn dated(steps: Vec<StoryStep>) -> Vec<(u64, StoryStep)> {
    let mut last = 0;
    let date = |step: StoryStep| {
        last = step.at.map_or(last, Wall::as_millis);
        (last, step)
    };
    steps.into_iter().map(date).collect()
}

/// Keeps what is told of one session.
struct Biography {
    serial: SessionSerial,
    boot_id: Option<[u8; 16]>,
    steps: Vec<StoryStep>,
}

impl RecordSink for Biography {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}

    fn records(&mut self, batch: &RecordBatch<'_>) {
        for Stored { octets, .. } in batch.iter() {
            let Ok(record) = frame::decode(octets) else { continue };
            if let Some((at, event)) = event_of(&record, self.serial) {
                let at = self.date(at, batch.life());
                self.steps.push(StoryStep { at, source: StorySource::Ledger, event, server: None });
            }
        }
    }
}

/// When something happened, as its record says it.
#[derive(Clone, Copy)]
enum Moment {
    Wall(Wall),
    Mono(Mono),
    Unsaid,
}

impl Biography {
    /// Moments on the clock of an earlier boot are dated by that life's own beginning.
    fn date(&self, moment: Moment, life: Option<&Started>) -> Option<Wall> {
        let mono = match moment {
            Moment::Wall(at) => return Some(at),
            Moment::Unsaid => return None,
            Moment::Mono(mono) => mono,
        };
        let base = match life {
            Some(life) if Some(life.boot_id) != self.boot_id => life.at,
            _ => clock::now(),
        };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(0);
        let (ahead, behind) = (millis(mono.since(base.mono)), millis(base.mono.since(mono)));
        Some(Wall::from_millis((base.wall.as_millis() + ahead).saturating_sub(behind)))
    }
}

/// What a sample says.
fn event_of_sample(sampled: &Sampled) -> (Moment, String) {
    let failures = match sampled.interim_failures {
        0 => String::new(),
        failures => format!(", {failures} interims failed in a row"),
    };
    (Moment::Mono(sampled.at), format!("sampled, {} octets in all{failures}", sampled.counters.octets()))
}

/// What a record says of this session.
fn event_of(record: &Record<'_>, serial: SessionSerial) -> Option<(Moment, String)> {
    let counted = |counters: model::counters::Counters| format!("{} octets in all", counters.octets());
    Some(match record {
        Record::Opened(opened) if opened.serial == serial => {
            (Moment::Wall(opened.at.wall), "opened, or what is said of it has changed".to_owned())
        }
        Record::Accepted(accepted) if accepted.serial == serial => {
            let how =
                if accepted.keep_accounting { "accounting runs without a Start" } else { "the Start is acknowledged" };
            (Moment::Mono(accepted.at), how.to_owned())
        }
        Record::StartFailed(failed) if failed.serial == serial => {
            (Moment::Unsaid, "the Start failed; it stays online without accounting".to_owned())
        }
        Record::Sampled(sampled) if sampled.serial == serial => event_of_sample(sampled),
        Record::SampledMany(samples) => event_of_sample(&samples.iter().find(|sampled| sampled.serial == serial)?),
        Record::Closed(closed) if closed.serial == serial => {
            let (cause, seconds) = (closed.cause, closed.session_time_s);
            (Moment::Wall(closed.at.wall), format!("closed, cause {cause}, {seconds} s, {}", counted(closed.counters)))
        }
        Record::Checkpointed(checkpoint) if checkpoint.opened.serial == serial => match checkpoint.sampled {
            Some(sampled) => (Moment::Mono(sampled.at), format!("written whole, {}", counted(sampled.counters))),
            None => (Moment::Unsaid, "written whole".to_owned()),
        },
        Record::Acknowledged(acknowledged) if acknowledged.serial == serial => {
            (Moment::Unsaid, "over: nothing is owed to a server".to_owned())
        }
        Record::Billed(bill) if bill.opened.serial == serial => {
            (Moment::Unsaid, "over: a bill stands for it".to_owned())
        }
        _ => return None,
    })
}
