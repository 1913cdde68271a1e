//! What the shell does with users that are online.

use model::report::UserSelector;
use tokio::sync::oneshot;

use super::daemon::Daemon;
use super::messages::WorkerMessage;

/// Has everybody cut who is meant; says how many. The planes are told as soon as that is durable.
pub(crate) async fn cut(selector: &UserSelector, daemon: &Daemon) -> Result<u64, vrp::Refusal> {
    let mut count = 0;
    for worker in &daemon.workers {
        let (reply, answer) = oneshot::channel();
        worker.tell(WorkerMessage::Cut(selector.clone(), reply));
        count += answer.await.unwrap_or(0);
    }
    if count == 0 { Err(vrp::Refusal::SessionMissing) } else { Ok(count) }
}
