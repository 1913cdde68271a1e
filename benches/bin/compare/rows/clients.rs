//! Clients that an operator or a programmer would pick, with packets as long as the daemon's.

use anyhow::Result;
use benches::grouped;

use crate::bench::Bench;
use crate::peers;
use crate::table::{Row, Target, us};

/// In its best case radclient has few packets, and sends them again and again.
const FEW: u32 = 250;
const REPEATS: u32 = 80;
const DISTINCT: u32 = 20_000;
const IN_TOKIO: u32 = 100_000;

/// # Errors
/// It could not be measured.
pub(crate) fn radclient(bench: &mut Bench) -> Result<Vec<Row>> {
    let few = peers::radclient(&bench.place, FEW, REPEATS, bench.length)?;
    let distinct = peers::radclient(&bench.place, DISTINCT, 1, bench.length)?;
    let own = us(bench.interims()?.us_each);
    let row = |what: String, peer, least| {
        Row::measured("radclient", what, own).target(Target::PeerTakes(least)).peer(us(peer))
    };
    Ok(vec![
        row(format!("against radclient, {FEW} packets repeated, -p128"), few, 10.0),
        row(format!("against radclient, {} distinct packets, -p128", grouped(DISTINCT)), distinct, 50.0),
    ])
}

/// # Errors
/// It could not be measured.
pub(crate) fn tokio(bench: &mut Bench) -> Result<Vec<Row>> {
    let peer = peers::tokio_client(&bench.place, IN_TOKIO, bench.length)?;
    let own = us(bench.interims()?.us_each);
    let what = "against a tokio client (`radius` 0.4), 64 in flight";
    Ok(vec![Row::measured("tokio", what, own).target(Target::PeerTakes(25.0)).peer(us(peer))])
}
