//! How late interims leave when all sessions have one a minute, and the daemon has one core and no other.
//!
//! The daemon counts by how much each was late when it was written, in the turn of its worker's loop that sends it. That they do
//! not drift is a test of the engine, `interims_do_not_drift_in_a_day`, under virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::grouped;
use serde_json::Value;

use crate::bench::Bench;
use crate::daemon::Daemon;
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Figure, Row, Target};

const INTERVAL_S: u32 = 60;
/// Beside the tick.
const ALLOWED_MS: f64 = 5.0;
/// Of the core, in per cent.
const ALLOWED_PART: f64 = 15.0;

/// Interims so far, by how many milliseconds they were late at most.
struct Lateness {
    tick_ms: f64,
    buckets: BTreeMap<u64, u64>,
}

/// # Errors
/// It could not be measured.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let scene = Scene::ordinary(Kind::Plain, bench.scale.sessions(), bench.scale.interval_s(INTERVAL_S));
    let stage = Stage::open(&bench.place, scene)?;
    stage.keep_apart()?;
    stage.wait_until_steady();
    let (before, waited_before) = (Lateness::read(&stage.daemon)?, stage.daemon.waiting_time()?);
    let (used_before, began) = (stage.daemon.processor_time()?, Instant::now());
    // Everybody has one in that time.
    std::thread::sleep(Duration::from_secs(scene.setup.interval_s.into()));
    let (used, took) = (stage.daemon.processor_time()?.saturating_sub(used_before), began.elapsed());
    let waited = stage.daemon.waiting_time()?.saturating_sub(waited_before);
    let lateness = Lateness::read(&stage.daemon)?;
    let tick_ms = lateness.tick_ms;
    let buckets = lateness.since(&before);
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    ensure!(count > 0, "no interim has left");
    let at_most = |part: f64| at_most_ms(&buckets, (count as f64 * part).ceil());
    let beside = format!(
        "tick {tick_ms} ms, p50 {:.0} ms, p99 {:.0} ms, the latest {:.0} ms; {} interims, {:.0}/s, on one core",
        at_most(0.5),
        at_most(0.99),
        at_most(1.0),
        grouped(u32::try_from(count)?),
        count as f64 / took.as_secs_f64(),
    );
    let (sessions, interval_s) = (grouped(scene.comers.sessions), scene.setup.interval_s);
    let what = format!("lateness of hashed interims, {sessions} sessions / {interval_s} s, p99.9");
    let late = Row::measured("lateness", what, Figure { value: at_most(0.999), unit: "ms" });
    let part = used.as_secs_f64() * 100.0 / took.as_secs_f64();
    let beside_part = format!(
        "{:.2} µs an interim, all threads, which were kept from the core for {:.1} % of the time",
        used.as_secs_f64() * 1e6 / count as f64,
        waited.as_secs_f64() * 100.0 / took.as_secs_f64()
    );
    let engine = Row::measured("lateness", "what that takes of the core", Figure { value: part, unit: "%" });
    Ok(vec![
        late.target(Target::AtMost(tick_ms + ALLOWED_MS)).beside(beside),
        engine.target(Target::AtMost(ALLOWED_PART)).beside(beside_part),
    ])
}

impl Lateness {
    fn read(daemon: &Daemon) -> Result<Lateness> {
        let [shown] = daemon.desk().displays(["display accounting lateness"])?;
        let tick_ms = shown["tick_ms"].as_f64().context("tollgate does not tell its tick")?;
        let buckets = shown["buckets"].as_array().context("tollgate does not tell its lateness")?;
        let pair = |bucket: &Value| Some((bucket["late_ms"].as_u64()?, bucket["interims"].as_u64()?));
        Ok(Lateness { tick_ms, buckets: buckets.iter().filter_map(pair).collect() })
    }

    fn since(mut self, before: &Lateness) -> Vec<(u64, u64)> {
        for (end, count) in &mut self.buckets {
            *count -= before.buckets.get(end).copied().unwrap_or(0).min(*count);
        }
        self.buckets.into_iter().collect()
    }
}

/// By how many milliseconds so many of them were late at most.
fn at_most_ms(buckets: &[(u64, u64)], wanted: f64) -> f64 {
    let mut sum = 0;
    let found = buckets.iter().find(|(_, count)| {
        sum += count;
        sum as f64 >= wanted
    });
    found.map_or(f64::NAN, |(end, _)| *end as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_is_left_out() {
        let told = |buckets: &[(u64, u64)]| Lateness { tick_ms: 16.0, buckets: buckets.iter().copied().collect() };
        let since = told(&[(1, 10), (2, 5), (9, 1)]).since(&told(&[(1, 10), (2, 1)]));
        assert_eq!(since, [(1, 0), (2, 4), (9, 1)]);
        assert_eq!([1.0, 4.0, 5.0].map(|wanted| at_most_ms(&since, wanted)), [2.0, 2.0, 9.0]);
    }
}
