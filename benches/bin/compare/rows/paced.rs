//! What an interim costs at the pace of ordinary intervals, where few are due at a time; the floor is paced alike.

use anyhow::Result;
use benches::grouped;

use crate::bench::{Bench, Scale, median};
use crate::floor::Floor;
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Row, Target, us};

const ROUNDS: usize = 3;

/// A million sessions with an interim in five minutes: about 3,100/s.
pub(crate) fn slow(scale: Scale) -> Scene {
    Scene::ordinary(Kind::Plain, scale.sessions(), scale.interval_s(322))
}

/// About 14,800/s.
pub(crate) fn fast(scale: Scale) -> Scene {
    Scene::ordinary(Kind::Plain, scale.sessions(), scale.interval_s(67))
}

/// Processor time of an interim in microseconds, and that of the floor at the same rate, taken in turn.
///
/// # Errors
/// Neither is to be had.
pub(crate) fn beside_floor(bench: &Bench, stage: &Stage) -> Result<(f64, f64)> {
    let floor = Floor { server: Kind::Plain, rate: Some(stage.scene.rate()), length: bench.length };
    stage.wait_until_steady();
    let (mut floors, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(floor.measure(&bench.place, bench.scale.floor())?);
        costs.push(stage.daemon.window(bench.scale.window())?.us_each);
    }
    Ok((median(&costs), median(&floors)))
}

/// # Errors
/// It could not be measured.
pub(crate) fn row(bench: &Bench, stage: &Stage) -> Result<Row> {
    let (cost, floor) = beside_floor(bench, stage)?;
    let Scene { comers, setup, .. } = stage.scene;
    let rate = grouped(stage.scene.rate());
    let what = format!("the same paced at {rate}/s ({} s), plain server", setup.interval_s);
    let beside = format!("{} sessions", grouped(comers.sessions));
    Ok(Row::measured("paced", what, us(cost)).target(Target::TimesFloor(1.25)).floor(us(floor)).beside(beside))
}
