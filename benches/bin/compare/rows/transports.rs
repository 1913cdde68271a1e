//! The other ways to a server, beside RADIUS over UDP with as many sessions.

use anyhow::Result;
use benches::grouped;

use crate::bench::Bench;
use crate::servers::Kind;
use crate::stage::{Scene, Stage};
use crate::table::{Row, us};

const SESSIONS: u32 = 20_000;

/// # Errors
/// One of them could not be measured.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let interval_s = bench.scale.interval_s(10);
    let mut rows = Vec::new();
    let mut udp = None;
    for (kind, name) in [(Kind::Plain, "RADIUS/UDP"), (Kind::Tls, "RADIUS/TLS"), (Kind::Tacacs, "HWTACACS mux-mode")] {
        let stage = Stage::open(&bench.place, Scene::ordinary(kind, SESSIONS, interval_s))?;
        stage.wait_until_steady();
        let window = stage.daemon.window(bench.scale.window() * 2)?;
        let first = *udp.get_or_insert(window.us_each);
        let beside = format!("{:.0}/s, {:.1} × RADIUS/UDP", window.rate, window.us_each / first);
        let what = format!("CPU of an acknowledged interim, {} sessions, {name}", grouped(SESSIONS));
        rows.push(Row::measured("transports", what, us(window.us_each)).beside(beside));
    }
    Ok(rows)
}
