//! Whether an interim costs more among many sessions: the same interval for ever more of them.

use anyhow::Result;
use benches::grouped;

use crate::bench::Bench;
use crate::floor::Floor;
use crate::rows::paced::beside_floor;
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Figure, Row, Target};

/// So many sessions, and what their interims cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) sessions: u32,
    pub(crate) us_each: f64,
    /// Of the floor at the same rate.
    pub(crate) floor_us: f64,
}

/// A hundredth and a tenth of all sessions.
///
/// # Errors
/// They could not be measured.
pub(crate) fn of_few(bench: &Bench) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for part in [100, 10] {
        let sessions = bench.scale.sessions() / part;
        let scene = Scene::ordinary(Kind::Plain, sessions, bench.scale.interval_s(10));
        let (us_each, floor_us) = beside_floor(bench, &Stage::open(&bench.place, scene)?)?;
        points.push(Point { sessions, us_each, floor_us });
    }
    Ok(points)
}

/// All of them.
///
/// # Errors
/// They could not be measured.
pub(crate) fn of_all(bench: &mut Bench) -> Result<Point> {
    let us_each = bench.interims()?.us_each;
    let sessions = bench.scale.sessions();
    let rate = Some(sessions / bench.scale.interval_s(10));
    let floor = Floor { server: Kind::Plain, rate, length: bench.length };
    Ok(Point { sessions, us_each, floor_us: floor.measure(&bench.place, bench.scale.floor())? })
}

pub(crate) fn row(points: &[Point]) -> Option<Row> {
    let (few, all) = (points.first()?, points.last()?);
    let told = |point: &Point| {
        let Point { us_each, floor_us, .. } = point;
        format!("{}: {us_each:.2} µs (floor paced alike {floor_us:.2})", grouped(point.sessions))
    };
    let beside = points.iter().map(told).collect::<Vec<_>>().join(", ");
    let what = format!("growth of that cost from {} to {} sessions", grouped(few.sessions), grouped(all.sessions));
    let result = Figure { value: all.us_each / few.us_each, unit: "×" };
    Some(Row::measured("growth", what, result).target(Target::AtMost(1.3)).beside(beside))
}
