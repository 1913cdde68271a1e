//! The daemon, and what it says of itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{Place, Tollgate};

use crate::radius::SECRET;

const COUNTERS: &str = "display radius-server packet ip-address 127.0.0.1 accounting";
const BACKLOG: &str = "display radius-server backlog";
const HEALTH: &str = "display accounting health";

pub(crate) struct Daemon {
    place: Arc<Place>,
    tollgate: Tollgate,
}

/// What it had counted at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Since the run began.
    pub(crate) at: Duration,
    /// Packets, those that were sent again among them.
    pub(crate) sent: u64,
    pub(crate) again: u64,
    pub(crate) acknowledged: u64,
    /// What waits to be sent, or to be sent again.
    pub(crate) backlog: u64,
}

impl Sample {
    /// A second.
    pub(crate) fn sent_since(&self, before: &Sample) -> f64 {
        rate(self.sent, before.sent, self.at, before.at)
    }

    /// A second.
    pub(crate) fn acknowledged_since(&self, before: &Sample) -> f64 {
        rate(self.acknowledged, before.acknowledged, self.at, before.at)
    }
}

fn rate(now: u64, before: u64, at: Duration, then: Duration) -> f64 {
    now.saturating_sub(before) as f64 / at.saturating_sub(then).as_secs_f64().max(1e-3)
}

impl Daemon {
    /// Towards a server at this port of the loopback.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(place: &Arc<Place>, server: u16, interval_s: u32) -> Result<Daemon> {
        let tollgate = Tollgate::start(place, &configuration(server, interval_s))?;
        Ok(Daemon { place: place.clone(), tollgate })
    }

    /// Where packet planes link in.
    pub(crate) fn link(&self) -> &Path {
        &self.tollgate.link
    }

    /// # Errors
    /// It does not answer.
    pub(crate) fn sample(&self, began: Instant) -> Result<Sample> {
        let [counters, backlog] = self.tollgate.desk.displays([COUNTERS, BACKLOG])?;
        let counters = counters.get(0).unwrap_or(&counters);
        let count = |name: &str| counters[name].as_u64().with_context(|| format!("{COUNTERS}: {name}: {counters}"));
        let group = &backlog["groups"][0];
        let waits = |name: &str| group[name].as_u64().unwrap_or(0);
        let again = count("retransmissions")?;
        Ok(Sample {
            at: began.elapsed(),
            sent: count("starts")? + count("interims")? + count("stops")? + again,
            again,
            acknowledged: count("responses")?,
            backlog: ["starts", "stops", "stops_again", "interims", "resting"].map(waits).iter().sum(),
        })
    }

    /// Whether it knows no session any more.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        let [health] = self.tollgate.desk.displays([HEALTH])?;
        Ok(health["sessions"] == 0 && health["stops_unacknowledged"] == 0)
    }

    /// All local bills, a line of JSON each.
    ///
    /// # Errors
    /// They cannot be had.
    pub(crate) fn bills(&self) -> Result<String> {
        let mut command = self.place.program("tollgate");
        command.args(["bills", "export", "--format", "json", "--state-dir"]).arg(&self.tollgate.state);
        let answer = command.output()?;
        let error = String::from_utf8_lossy(&answer.stderr);
        ensure!(answer.status.success(), "{command:?} has failed: {error}");
        Ok(String::from_utf8(answer.stdout)?)
    }
}

/// Whoever is online stays online whatever the server does, and a Stop that is given up is a bill.
fn configuration(server: u16, interval_s: u32) -> String {
    format!(
        "sysname STRESS\n#\nradius-server group g1\n radius-server shared-key {SECRET}\n \
         radius-server accounting 127.0.0.1 {server}\n radius-server retransmit 3 timeout 3\n \
         undo radius-server accounting-stop-packet resend\n#\naaa\n accounting-scheme s1\n  \
         accounting interim interval {interval_s} second hash\n  accounting start-fail online keep-accounting\n \
         domain isp\n  accounting-scheme s1\n  radius-server group g1\n#\nlocal-aaa-server\n local-bill-pool enable\n \
         local-bill cache backup-mode none\n local-bill cache capacity 2000000\n#\nreturn\n"
    )
}
