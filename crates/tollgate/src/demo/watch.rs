//! Watches the engine four times a second, as `display` commands would, and tells the view.

use std::sync::atomic::Ordering;
use std::time::Duration;

use model::report::{ServerReport, ShardReport};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::schedule::{Phase, Schedule};
use super::stage::{Fate, Stage};
use super::view::{Scene, View};
use crate::exit::Failure;
use crate::run::Engine;
use crate::run::messages::{WorkerMessage, WriterMessage};

const TICK: Duration = Duration::from_millis(250);
/// Nothing happens for so long after the end of the play: it is not worth waiting for more.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is worth telling afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Requests in the busiest quarter of a second, per second.
    pub(super) best_rate: u64,
    /// Requests over the whole play, sent again ones included.
    pub(super) requests: u64,
    pub(super) took: Duration,
    /// Mean of the round trips, weighted by replies, nanoseconds.
    pub(super) round_trip_ns: u64,
}

/// What was seen at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    sessions: u64,
    stops_waiting: u64,
    bills: u64,
    server: ServerReport,
}

impl Sample {
    fn requests(&self) -> u64 {
        let ServerReport { starts, interims, stops, retransmissions, .. } = self.server;
        starts + interims + stops + retransmissions
    }
}

/// Watches until the play has ended, or somebody ends it.
pub(super) fn watch(engine: &Engine, stage: &Stage, schedule: &Schedule, view: &mut View) -> Result<Fate, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the view cannot start: {error}")))?;
    runtime.block_on(follow(engine, stage, schedule, view))
}

async fn follow(engine: &Engine, stage: &Stage, schedule: &Schedule, view: &mut View) -> Result<Fate, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("signals cannot be awaited: {error}"));
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = sample(engine, stage).await?;
    let mut told = Told::new(&last);
    let mut figures = Figures::default();
    let mut weight = 0u128;
    let mut moved_at = Duration::ZERO;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = interrupted.recv() => return Ok(Fate::Interrupted),
            _ = terminated.recv() => return Ok(Fate::Interrupted),
        }
        let now = sample(engine, stage).await?;
        let over = (now.at - last.at).max(Duration::from_millis(1));
        let rate = |new: u64, old: u64| per_second(new - old, over);
        let requests = rate(now.requests(), last.requests());
        let replies = now.server.responses - last.server.responses;
        weight += u128::from(replies) * u128::from(now.server.round_trip_ns);
        figures.best_rate = figures.best_rate.max(requests);
        if (now.sessions, now.requests(), now.bills) != (last.sessions, last.requests(), last.bills) {
            moved_at = now.at;
        }
        let serving = stage.serving.load(Ordering::Relaxed);
        told.tell(view, &now, schedule, serving);
        view.show(&Scene {
            at: now.at,
            phase: schedule.phase(now.at),
            online: stage.online.load(Ordering::Relaxed).into(),
            requests,
            replies: per_second(replies, over),
            round_trip_ns: now.server.round_trip_ns,
            interims: now.server.interims,
            stops_waiting: now.stops_waiting,
            bills: now.bills,
            up: now.server.up,
            serving,
        });
        last = now;
        let is_over = stage.all_gone.load(Ordering::Acquire) && now.sessions == 0;
        let is_stuck = now.at > schedule.end.max(moved_at) + PATIENCE;
        if is_over || is_stuck {
            break;
        }
    }
    figures.requests = last.requests();
    figures.took = last.at;
    let mean = weight / u128::from(last.server.responses.max(1));
    figures.round_trip_ns = u64::try_from(mean).unwrap_or(u64::MAX);
    Ok(Fate::Played(figures))
}

async fn sample(engine: &Engine, stage: &Stage) -> Result<Sample, Failure> {
    let gone = |_| Failure::failed("the engine has ended");
    let (reply, report) = oneshot::channel();
    engine
        .workers
        .first()
        .ok_or_else(|| Failure::failed("the engine has no worker"))?
        .tell(WorkerMessage::Report(reply));
    let (reply, bills) = oneshot::channel();
    let _ = engine.writer.send(WriterMessage::Information(reply));
    engine.bell.ring();
    let ShardReport { sessions, stops_unacknowledged, servers, .. } = report.await.map_err(gone)?;
    let bills = bills.await.map_err(gone)?.cache.bills;
    let server = servers.first().copied().ok_or_else(|| Failure::failed("the engine has no server"))?;
    Ok(Sample { at: stage.elapsed(), sessions, stops_waiting: stops_unacknowledged, bills, server })
}

fn per_second(count: u64, over: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / over.as_nanos()).unwrap_or(u64::MAX)
}

/// What the view was told in words already.
struct Told {
    phase: Phase,
    up: bool,
    serving: bool,
    any_bill: bool,
}

impl Told {
    fn new(first: &Sample) -> Told {
        Told { phase: Phase::Coming, up: first.server.up, serving: true, any_bill: false }
    }

    /// Says in plain words what has changed.
    fn tell(&mut self, view: &mut View, now: &Sample, schedule: &Schedule, serving: bool) {
        if self.serving != serving {
            self.serving = serving;
            view.say(
                now.at,
                if serving {
                    "The accounting server is back on the same port."
                } else {
                    "The accounting server stops: it answers no more, then closes its socket."
                },
            );
        }
        if self.up != now.server.up {
            self.up = now.server.up;
            view.say(
                now.at,
                if now.server.up {
                    "A probe was answered: the engine takes the server for Up."
                } else {
                    "Nothing was answered for more than 5 s: the engine takes the server for Down."
                },
            );
        }
        if !self.any_bill && now.bills > 0 {
            self.any_bill = true;
            view.say(now.at, "The first Stops were given up: local bills stand for them.");
        }
        let phase = schedule.phase(now.at);
        if self.phase != phase {
            self.phase = phase;
            match phase {
                Phase::Flowing => view.say(now.at, "All subscribers are online."),
                Phase::Leaving => view.say(now.at, "All subscribers go offline."),
                Phase::Draining => view.say(now.at, "The last subscriber has gone; what is owed is still sent."),
                Phase::Coming | Phase::Outage | Phase::Recovering => {}
            }
        }
    }
}
