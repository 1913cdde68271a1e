//! What the shell does with local bills: rows for `display local-bill cache`, and the actions.

use ledger::bill::Bill;
use model::report::LocalBill;
use tokio::sync::oneshot;
use vrp::ActionRequest;

use super::bills;
use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bills::BillReader;

/// Moves or deletes bills at once.
pub(crate) async fn act(request: &ActionRequest, daemon: &Daemon) -> Result<(), String> {
    match request {
        ActionRequest::CacheBackup => ask(daemon, WriterMessage::BackupCache).await,
        ActionRequest::CfcardBackup { file_name } => {
            ask(daemon, |reply| WriterMessage::BackupCfcard(file_name.clone(), reply)).await
        }
        ActionRequest::ShutdownAccounting
        | ActionRequest::CutAccessUser(_)
        | ActionRequest::ResendQueue
        | ActionRequest::ResetQueue(_)
        | ActionRequest::ResetHwtacacsStatistics
        | ActionRequest::Rollback(_) => Err("that is no matter of local bills".to_owned()),
        ActionRequest::CfcardReset => {
            let bills = ask(daemon, WriterMessage::ResetCfcard).await?;
            tracing::warn!(target: "audit", bills, "the CF card was reset");
            Ok(())
        }
    }
}

async fn ask<T, E: ToString>(
    daemon: &Daemon,
    question: impl FnOnce(oneshot::Sender<Result<T, E>>) -> WriterMessage,
) -> Result<T, String> {
    let (reply, answer) = oneshot::channel();
    daemon.tell_writer(question(reply));
    let answer = answer.await.map_err(|_| "the store of local bills does not answer".to_owned())?;
    answer.map_err(|refused| refused.to_string())
}

/// Bills of the pool from number `start` on.
pub(crate) async fn rows(daemon: &Daemon, start: u32, count: u32) -> Result<Vec<LocalBill>, vrp::Refusal> {
    let unavailable = vrp::Refusal::BillStoreUnavailable;
    let [first, many] = [start, count].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let ask = async || {
        let (reply, answer) = oneshot::channel();
        daemon.tell_writer(WriterMessage::Cache { start: first, count: many, reply });
        answer.await.ok()
    };
    let bills = ask().await.ok_or_else(|| unavailable.clone())?;
    let mut reader = BillReader::new(&daemon.state_dir, &daemon.card_dir);
    let rows = bills::read(&bills, bills::id_of, ask, |bills| {
        let numbered = (u64::from(start)..).zip(bills);
        // A row does not name the box.
        numbered.map(|(number, kept)| Ok(Bill::new("", reader.bill(kept)?).row(number))).collect()
    });
    rows.await.map_err(|_| unavailable)
}
