//! What the control thread asks of the others. Questions are few and answers go back through a channel of their own,
//! so a slow asker holds nobody up.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use kernel::waker::Waker;
use ledger::pool::BillRef;
use model::report::{AccessUser, LocalBillInformation, ShardReport};
use model::settings::{LocalAaaServer, Settings};
use tokio::sync::oneshot;

use super::link::LinkEvent;

/// For a worker.
pub(crate) enum WorkerMessage {
    /// Take this configuration; the answer says which servers cannot be spoken to for now.
    Configure(Arc<Settings>, oneshot::Sender<Vec<String>>),
    /// Tell what you know of yourself.
    Report(oneshot::Sender<ShardReport>),
    /// Tell the first so many sessions.
    AccessUsers(usize, oneshot::Sender<Vec<AccessUser>>),
    /// Tell the session of this Acct-Session-Id.
    AccessUser(String, oneshot::Sender<Option<AccessUser>>),
    /// A packet plane came or went.
    Link(LinkEvent),
    /// Hand everything to the writer and end.
    Shutdown,
}

/// For the writer.
pub(crate) enum WriterMessage {
    /// The pool's settings have changed.
    Configure(LocalAaaServer),
    /// Tell how full the pool is.
    Information(oneshot::Sender<LocalBillInformation>),
    /// Tell where the durable bills stand, oldest first.
    Bills(oneshot::Sender<Vec<BillRef>>),
    /// The same of those that wait for a pool.
    Unbilled(oneshot::Sender<Vec<BillRef>>),
    /// The workers have ended: make everything durable and end.
    Shutdown,
}

/// The control thread's end towards one worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) messages: Sender<WorkerMessage>,
    pub(crate) waker: Arc<Waker>,
}

impl WorkerHandle {
    /// Hands a message over. A worker that has ended takes none, and whoever waits for an answer sees its channel
    /// closed.
    pub(crate) fn tell(&self, message: WorkerMessage) {
        if self.messages.send(message).is_ok() {
            self.waker.wake();
        }
    }
}

/// A worker's end.
pub(crate) type WorkerInbox = Receiver<WorkerMessage>;
