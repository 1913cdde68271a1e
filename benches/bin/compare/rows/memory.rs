//! What memory everybody needs.

use anyhow::Result;
use benches::grouped;

use crate::bench::Bench;
use crate::crowd::Comers;
use crate::stage::{Scene, Stage};
use crate::table::{Figure, Row, Target};

/// Nobody has an interim while memory is measured.
const LONG_S: u32 = 3600;

/// # Errors
/// It could not be measured.
pub(crate) fn row(stage: &Stage) -> Result<Row> {
    let Comers { sessions, dual_stack, .. } = stage.scene.comers;
    let now = stage.daemon.memory()?;
    let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / f64::from(sessions);
    let (kind, most) = if dual_stack { ("dual-stack", 512.0) } else { ("IPv4", 300.0) };
    let what = format!("own memory of a session, {kind}, {} of them", grouped(sessions));
    let shared = each(now.shared, stage.before.shared);
    let beside = format!("and {shared:.0} octets of counters shared with the packet plane");
    let result = Figure { value: each(now.own, stage.before.own), unit: "octets" };
    Ok(Row::measured("memory", what, result).target(Target::AtMost(most)).beside(beside))
}

/// # Errors
/// It could not be measured.
pub(crate) fn dual_stack(bench: &Bench) -> Result<Vec<Row>> {
    let mut scene = Scene::ordinary(crate::servers::Kind::Plain, bench.scale.sessions(), LONG_S);
    scene.comers.dual_stack = true;
    Ok(vec![row(&Stage::open(&bench.place, scene)?)?])
}
