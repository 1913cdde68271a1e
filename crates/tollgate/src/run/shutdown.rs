//! `shutdown accounting`: everybody is logged out, their Stops are sent, and then the servers are told that accounting has
//! ceased (DESIGN.md section 4). The daemon goes on: it lets nobody in until it is started again.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::control::reports;
use super::daemon::Daemon;
use super::messages::WorkerMessage;

/// What was owed so long after the last log-out is still sent, but not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Does all of it, and says what came of it.
pub(crate) async fn shut_down(daemon: &Daemon) -> String {
    let began = Instant::now();
    let mut users = None;
    let owed = loop {
        let online = shut_workers(daemon).await;
        let logged_out = *users.get_or_insert(online);
        let owed: u64 = reports(daemon).await.iter().map(|report| report.stops_unacknowledged).sum();
        if online + owed == 0 || began.elapsed() >= PATIENCE {
            break (logged_out, owed);
        }
        tokio::time::sleep(LOOK).await;
    };
    let (logged_out, stops) = owed;
    let (answered, silent) = announce_off(daemon).await;
    tracing::info!(target: "audit", logged_out, stops, answered, silent, "accounting was shut down");
    format!(
        "Info: {logged_out} users were logged out, {stops} Stops are still to be acknowledged.\n\
         Info: Accounting-Off was acknowledged by {answered} servers, and not by {silent}.\n\
         Info: No user is let in until the engine is started again."
    )
}

async fn shut_workers(daemon: &Daemon) -> u64 {
    let mut online = 0;
    for worker in &daemon.workers {
        let (reply, answer) = oneshot::channel();
        worker.tell(WorkerMessage::ShutDown(reply));
        online += answer.await.unwrap_or(0);
    }
    online
}

/// The first worker tells; it gives up by itself.
async fn announce_off(daemon: &Daemon) -> (u64, u64) {
    let Some(first) = daemon.workers.first() else { return (0, 0) };
    let (reply, answer) = oneshot::channel();
    first.tell(WorkerMessage::AnnounceOff(reply));
    answer.await.unwrap_or_default()
}
