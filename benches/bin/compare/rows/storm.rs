//! Everybody logs in at once, and what that means to those who have nothing to do with it.
//!
//! ```text
//!   plane `bench`, domain isp:     1,000,000 as fast as the link takes them ──▶ server of isp
//!   plane `apart`, domain apart:   500/s, each lets in when its server has heard of it ──▶ a server of its own
//! ```
//!
//! Both have the same worker, and the same ledger. Whoever comes through the other plane logs in before the storm and during it;
//! of each time the worst second counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::grouped;

use crate::bench::Bench;
use crate::crowd::{Crowd, Second};
use crate::daemon::Daemon;
use crate::rows::log_ins::sync_us;
use crate::servers::{Kind, Server};
use crate::stage::{Scene, all_accounted};
use crate::table::{Figure, Row, Target};

/// Nobody has an interim meanwhile.
const LONG_S: u32 = 3600;
/// A second, apart.
const RATE: u32 = 500;
/// How long they log in before the storm, without the first second.
const QUIET: Duration = Duration::from_secs(6);
/// What a log-in may take longer than without a storm, beside a group commit.
const ALLOWED_MS: f64 = 2.0;

/// # Errors
/// It could not be measured, or somebody was lost.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let place = &bench.place;
    let sync_ms = sync_us(place)? / 1e3;
    let mut scene = Scene::ordinary(Kind::Plain, bench.scale.sessions(), LONG_S);
    let (server, apart) = (Server::start(place, Kind::Plain)?, Server::start(place, Kind::Plain)?);
    scene.setup.apart = Some(apart.address);
    let daemon = Daemon::start(place, &server, scene.setup)?;
    let others = Crowd::start_apart(place, &daemon, RATE)?;
    std::thread::sleep(QUIET + Duration::from_secs(1));
    let quiet = worst(others.seconds().get(1..).unwrap_or_default()).context("nobody has logged in apart")?;
    let (before, began) = (others.seconds().len(), Instant::now());
    let mut crowd = Crowd::start(place, &daemon, scene.comers)?;
    let admitted_s = crowd.admitted()?;
    all_accounted(&daemon, scene.comers.sessions)?;
    let took_s = began.elapsed().as_secs_f64();
    let during = others.seconds();
    let during = worst(during.get(before..).unwrap_or_default()).context("nobody has logged in during the storm")?;
    ensure!(during.refused == 0.0, "{} of those apart were refused", during.refused);
    let memory = daemon.memory()?;
    let sessions = grouped(scene.comers.sessions);
    let beside = format!(
        "{:.0}/s with their counters moving; none refused, every Start acknowledged after {took_s:.1} s; resident at most {:.0} MiB",
        f64::from(scene.comers.sessions) / admitted_s,
        memory.peak as f64 / f64::from(1 << 20)
    );
    let what = format!("log-in storm: {sessions} `up` as fast as the link takes them");
    let storm = Row::measured("storm", what, Figure { value: admitted_s, unit: "s" }).beside(beside);
    let what = format!("log-in to verdict of {RATE}/s who are apart from that storm, p99 of the worst second");
    let ms = |us: f64| us / 1e3;
    let beside = format!(
        "without the storm {:.1} ms; p50 {:.1} ms, without {:.1} ms; a group commit {sync_ms:.1} ms",
        ms(quiet.p99_us),
        ms(during.p50_us),
        ms(quiet.p50_us)
    );
    let result = Figure { value: ms(during.p99_us), unit: "ms" };
    let most = ms(quiet.p99_us) + ALLOWED_MS + sync_ms;
    Ok(vec![storm, Row::measured("storm", what, result).target(Target::AtMost(most)).beside(beside)])
}

/// That with the highest p99.
fn worst(seconds: &[Second]) -> Option<Second> {
    let came = seconds.iter().copied().filter(|second| second.log_ins > 0.0);
    came.max_by(|one, two| one.p99_us.total_cmp(&two.p99_us))
}
