//! How long a log-in waits for its verdict when the server has to hear of it first, beside the interims of everybody else.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::Place;
use benches::grouped;

use crate::bench::{Bench, median};
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Figure, Row, Target};

const RATE: u32 = 16_000;
const SECONDS: u32 = 10;
/// Beside the server's round trip and a group commit.
const ALLOWED_US: f64 = 2000.0;
const SYNCS: u32 = 100;
/// How often a group commit is played beside the log-ins.
const EVERY_MS: u32 = 20;

/// # Errors
/// It could not be measured.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let sync_us = sync_us(&bench.place)?;
    let mut scene = Scene::ordinary(Kind::Plain, bench.scale.sessions(), bench.scale.interval_s(60));
    scene.setup.start_fail_offline = true;
    scene.comers.log_ins = RATE;
    let stage = Stage::open(&bench.place, scene)?;
    stage.wait_until_steady();
    let before = stage.crowd.seconds().len();
    let beside = syncs(&bench.place, SECONDS * 1000 / EVERY_MS, Duration::from_millis(EVERY_MS.into()))?;
    let trip_us = stage.daemon.counted()?.round_trip.as_secs_f64() * 1e6;
    let seconds = stage.crowd.seconds();
    let seconds = seconds.get(before..).filter(|some| !some.is_empty()).context("nobody has logged in")?;
    let of = |value: fn(&crate::crowd::Second) -> f64| seconds.iter().map(value).collect::<Vec<_>>();
    let (p50s, p99s) = (of(|second| second.p50_us), of(|second| second.p99_us));
    let came = median(&of(|second| second.log_ins));
    let refused = seconds.last().map_or(0.0, |second| second.refused);
    let (beside_p50, beside_p99) = (percentile(&beside, 50) / 1e3, percentile(&beside, 99) / 1e3);
    let beside = format!(
        "p50 {:.1} ms, p99 of the worst second {:.1} ms; {came:.0} log-ins/s, {refused:.0} refused, {} interims/s; \
         round trip {trip_us:.0} µs, one fdatasync of 4 KiB {sync_us:.0} µs, and meanwhile p50 {beside_p50:.1} ms, p99 \
         {beside_p99:.1} ms",
        median(&p50s) / 1e3,
        p99s.iter().copied().fold(0.0, f64::max) / 1e3,
        grouped(scene.rate())
    );
    let what = format!("log-in to verdict at {}/s, start-fail offline, p99", grouped(RATE));
    let result = Figure { value: median(&p99s) / 1e3, unit: "ms" };
    let most = (trip_us + ALLOWED_US + sync_us) / 1e3;
    Ok(vec![Row::measured("log-ins", what, result).target(Target::AtMost(most)).beside(beside)])
}

/// What one group commit waits for at least on a disk that has nothing else to do, in microseconds.
pub(super) fn sync_us(place: &Place) -> Result<f64> {
    Ok(percentile(&syncs(place, SYNCS, Duration::ZERO)?, 50))
}

/// What group commits wait for at least: 4 KiB appended and synchronised, where the daemons have their state, so many times and
/// this far apart. In microseconds, the shortest first.
fn syncs(place: &Place, count: u32, apart: Duration) -> Result<Vec<f64>> {
    let path = place.path("appended");
    let mut file = File::create(&path)?;
    let octets = [0x5a; 4096];
    let mut took = Vec::new();
    for _ in 0..count {
        std::thread::sleep(apart);
        let began = Instant::now();
        file.write_all(&octets)?;
        file.sync_data()?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// Of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}
