//! What an acknowledged interim costs when as many sessions as there can be have one every ten seconds, against the floor at
//! its fastest.

use anyhow::Result;
use benches::grouped;

use crate::bench::{Bench, median};
use crate::floor::Floor;
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Row, Target, us};

/// Daemons, one after the other, with a floor before, between and after them.
const DAEMONS: usize = 2;
const WINDOWS: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Interims {
    pub(crate) us_each: f64,
    pub(crate) floor_us: f64,
    /// A second.
    pub(crate) rate: f64,
}

/// # Errors
/// Neither is to be had.
pub(crate) fn measure(bench: &Bench, server: Kind) -> Result<Interims> {
    let floor = Floor { server, rate: None, length: bench.length };
    let scene = Scene::ordinary(server, bench.scale.sessions(), bench.scale.interval_s(10));
    let (mut floors, mut costs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..DAEMONS {
        floors.push(floor.measure(&bench.place, bench.scale.floor())?);
        let stage = Stage::open(&bench.place, scene)?;
        stage.wait_until_steady();
        for _ in 0..WINDOWS {
            let window = stage.daemon.window(bench.scale.window())?;
            costs.push(window.us_each);
            rates.push(window.rate);
        }
    }
    floors.push(floor.measure(&bench.place, bench.scale.floor())?);
    Ok(Interims { us_each: median(&costs), floor_us: median(&floors), rate: median(&rates) })
}

/// # Errors
/// It could not be measured.
pub(crate) fn plain(bench: &mut Bench) -> Result<Vec<Row>> {
    let found = bench.interims()?;
    Ok(vec![row("interims", bench, found, "plain server", 1.25)])
}

/// # Errors
/// It could not be measured.
pub(crate) fn batching(bench: &Bench) -> Result<Vec<Row>> {
    let found = measure(bench, Kind::Batching)?;
    Ok(vec![row("batching", bench, found, "server that batches", 1.35)])
}

fn row(key: &'static str, bench: &Bench, found: Interims, server: &str, most: f64) -> Row {
    let what = format!("CPU of an acknowledged interim, {} sessions, {server}", grouped(bench.scale.sessions()));
    let due = f64::from(bench.scale.sessions() / bench.scale.interval_s(10));
    // Who has no time to send is measured in another state than who keeps up.
    let short = if found.rate < 0.95 * due { format!(" of {due:.0}/s that are due") } else { String::new() };
    let beside = format!("{:.0}/s{short}, {} octets", found.rate, bench.length);
    Row::measured(key, what, us(found.us_each))
        .target(Target::TimesFloor(most))
        .floor(us(found.floor_us))
        .beside(beside)
}
