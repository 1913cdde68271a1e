//! The two pictures of the manual.

use std::path::Path;

use anyhow::{Context, Result};
use benches::grouped;
use benches::plot::{Axis, Chart, Series};

use crate::rows::growth::Point;
use crate::stage::Scene;

/// # Errors
/// The file cannot be written.
pub(crate) fn draw_costs(directory: &Path, points: &[Point], interval_s: u32) -> Result<()> {
    let place = |point: &Point| f64::from(point.sessions).log10();
    let marks = points.iter().map(|point| (place(point), grouped(point.sessions)));
    let of = |value: fn(&Point) -> f64| points.iter().map(|point| (place(point), value(point))).collect::<Vec<_>>();
    let (own, floor) = (of(|point| point.us_each), of(|point| point.floor_us));
    let (first, last) = (own.first().context("nothing was measured")?.0, own.last().context("nothing was measured")?.0);
    let label = "CPU of an acknowledged interim, µs";
    let chart = Chart {
        title: format!("CPU of an interim by the number of sessions, each with one every {interval_s} s"),
        // Some room beside the outermost points, whose figures stand above them.
        x: Axis {
            label: "sessions (logarithmic)".to_owned(),
            range: (first - 0.2, last + 0.2),
            marks: marks.collect(),
        },
        y: Axis::from_zero(label, own.iter().chain(&floor).map(|(_, value)| value * 1.1)),
        series: vec![
            Series { name: "tollgate".to_owned(), points: own, dots: true },
            Series { name: "the floor at the same rate".to_owned(), points: floor, dots: true },
        ],
    };
    write(directory, "cpu-per-interim.svg", &chart)
}

/// # Errors
/// The file cannot be written.
pub(crate) fn draw_sends(directory: &Path, scene: Scene, sends: Vec<(f64, f64)>) -> Result<()> {
    let end = sends.last().context("nothing was seen")?.0;
    let (sessions, interval_s) = (grouped(scene.comers.sessions), scene.setup.interval_s);
    let rate = f64::from(scene.rate());
    let chart = Chart {
        title: format!("Interims sent: {sessions} sessions that came together, one every {interval_s} s"),
        x: Axis { range: (0.0, end), ..Axis::from_zero("seconds since all are online", std::iter::once(end)) },
        y: Axis::from_zero("interims a second", sends.iter().map(|(_, rate)| *rate).chain([rate])),
        series: vec![
            Series { name: "sent".to_owned(), points: sends, dots: false },
            Series {
                name: "sessions / interval".to_owned(),
                points: vec![(f64::from(interval_s), rate), (end, rate)],
                dots: false,
            },
        ],
    };
    write(directory, "sends-per-second.svg", &chart)
}

fn write(directory: &Path, name: &str, chart: &Chart) -> Result<()> {
    let path = directory.join(name);
    std::fs::write(&path, chart.svg()).with_context(|| format!("{} cannot be written", path.display()))
}
