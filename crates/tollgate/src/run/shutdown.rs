//! `shutdown accounting`: everybody is logged out, their Stops are sent, and then the servers are told that accounting has
//! ceased (DESIGN.md section 4). The daemon goes on: it lets nobody in until it is started again.

use std::time::{Duration, Instant};

use engine::Ceasing;
use tokio::sync::oneshot;

use super::daemon::Daemon;
use super::messages::WorkerMessage;

/// What was owed so long after the last log-out is still sent, but not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Does all of it, and says what came of it.
pub(crate) async fn shut_down(daemon: &Daemon) -> String {
    let began = Instant::now();
    let first = shut_workers(daemon).await;
    let mut left = first;
    while left != Ceasing::default() && began.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        left = shut_workers(daemon).await;
    }
    let Ceasing { online, owing: stops } = left;
    let logged_out = first.online.saturating_sub(online);
    let (answered, silent) = announce_off(daemon).await;
    tracing::info!(target: "audit", logged_out, online, stops, answered, silent, "accounting was shut down");
    let stay = if online == 0 { String::new() } else { format!("{online} have not gone yet, ") };
    format!(
        "Info: {logged_out} users were logged out, {stay}{stops} Stops are still to be acknowledged.\n\
         Info: Accounting-Off was acknowledged by {answered} servers, and not by {silent}.\n\
         Info: No user is let in until the engine is started again."
    )
}

async fn shut_workers(daemon: &Daemon) -> Ceasing {
    let mut sum = Ceasing::default();
    for worker in &daemon.workers {
        let (reply, answer) = oneshot::channel();
        worker.tell(WorkerMessage::ShutDown(reply));
        let Ceasing { online, owing } = answer.await.unwrap_or_default();
        (sum.online, sum.owing) = (sum.online + online, sum.owing + owing);
    }
    sum
}

/// The first worker tells; it gives up by itself.
async fn announce_off(daemon: &Daemon) -> (u64, u64) {
    let Some(first) = daemon.workers.first() else { return (0, 0) };
    let (reply, answer) = oneshot::channel();
    first.tell(WorkerMessage::AnnounceOff(reply));
    answer.await.unwrap_or_default()
}
