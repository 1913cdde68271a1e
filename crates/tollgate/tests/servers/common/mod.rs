//! What the tests share: a site to run a daemon in, a RADIUS server, plane scripts, and waiting with a bound.

mod bad_line;
mod bill_servers;
mod certificates;
mod crowd;
mod daemon;
mod detail;
mod disk;
mod feed;
mod free_radius;
mod heard;
mod honest_plane;
mod intruder;
mod line_card;
mod lines;
mod process;
mod radsec_proxy;
mod random;
mod relay;
mod site;
mod sitting;
mod slow_server;
mod subscriber_line;
mod tacacs_packet;
mod tacacs_peer;
mod terminal;
mod told;
mod told_socket;
mod tracer;

use std::time::{Duration, Instant};

pub(crate) use bad_line::{BadLine, Weather};
pub(crate) use bill_servers::{OpenSsh, Plan, Tftpd, free_port};
pub(crate) use certificates::Authority;
pub(crate) use crowd::{Crowd, Habits, Life, TICK};
pub(crate) use daemon::{Daemon, Said, path, run_command, tollgate};
pub(crate) use detail::{Detail, Record};
pub(crate) use disk::{Disk, SmallDisk};
pub(crate) use feed::{Feed, Script, Totals, count, down, up};
pub(crate) use free_radius::FreeRadius;
pub(crate) use heard::HeardOnce;
pub(crate) use honest_plane::{BATCH, HonestPlane};
pub(crate) use intruder::{HEADER_WORDS, Intruder, answer, knock, until_closed};
pub(crate) use line_card::LineCard;
pub(crate) use lines::{Lines, ip, within};
pub(crate) use process::{Process, Signal};
pub(crate) use radsec_proxy::RadsecProxy;
pub(crate) use random::Random;
pub(crate) use relay::{Passing, Relay};
pub(crate) use site::{SECRET, Site};
pub(crate) use sitting::Sitting;
pub(crate) use slow_server::SlowServer;
pub(crate) use subscriber_line::{SubscriberLine, shell};
pub(crate) use tacacs_packet::Heard;
pub(crate) use tacacs_peer::{Manner, TacacsPeer};
pub(crate) use terminal::Terminal;
pub(crate) use told::{Places, Told};
pub(crate) use told_socket::ToldSocket;
pub(crate) use tracer::Tracer;

/// Polls until `done` gives something.
///
/// # Panics
/// When that takes longer than `patience`; `what` says what was waited for.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: still not so after {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// As [`wait_for`], for something that is or is not.
pub(crate) fn wait_until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    wait_for(what, patience, || done().then_some(()));
}

/// Whole seconds.
pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
