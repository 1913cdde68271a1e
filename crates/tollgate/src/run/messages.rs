//! What the control thread asks of the others. Questions are few and answers go back through a channel of their own,
//! so a slow asker holds nobody up.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use engine::authorization::{Order, Outcome as Obeyed, Token};
use engine::{Ceasing, News};
use kernel::waker::Waker;
use ledger::keeper::{BackupRefused, ResetRefused};
use ledger::transfer::Outcome;
use model::ids::BillId;
use model::report::{
    AccessUser, LocalBillInformation, QueueSelector, QueuedStop, RelayReport, SessionStory, ShardReport, SurveyReport,
    UserSelector,
};
use model::settings::{LocalAaaServer, ServerPath, Settings};
use tokio::sync::oneshot;

use super::link::LinkEvent;
use super::relay::RelaySetup;
use super::server_news::AnnouncingNews;
use super::tls::TlsClients;
use crate::bills::Kept;

/// For a worker.
pub(crate) enum WorkerMessage {
    /// Take this configuration, what TLS begins with, and the relay; the answer says which servers cannot be spoken to for now.
    Configure(Arc<Settings>, Arc<TlsClients>, RelaySetup, oneshot::Sender<Vec<String>>),
    /// Begin TLS with this from now on.
    Certificates(Arc<TlsClients>),
    /// Tell what you know of yourself.
    Report(oneshot::Sender<ShardReport>),
    /// Tell what relay clients have said.
    RelayReport(oneshot::Sender<RelayReport>),
    /// Walk over all sessions and tell what they are.
    Survey(oneshot::Sender<SurveyReport>),
    /// Tell the first so many sessions.
    AccessUsers(usize, oneshot::Sender<Vec<AccessUser>>),
    /// Tell the first so many Stops in the queue.
    QueuedStops(usize, oneshot::Sender<Vec<QueuedStop>>),
    /// Send what waits in the queue now, and tell how much that is.
    ResendQueue(oneshot::Sender<u64>),
    /// Give up what is meant of what waits in the queue, and tell how much that was.
    ResetQueue(QueueSelector, oneshot::Sender<u64>),
    /// Cut these subscribers, and tell how many there were.
    Cut(UserSelector, oneshot::Sender<u64>),
    /// Obey an authorization server, and say so when the ledger has it.
    Order(Token, Arc<Order>, oneshot::Sender<Obeyed>),
    /// Tell the session of this Acct-Session-Id.
    AccessUser(String, oneshot::Sender<Option<AccessUser>>),
    /// Tell the story of the session of this Acct-Session-Id.
    Story(String, oneshot::Sender<Option<SessionStory>>),
    /// A packet plane came or went.
    Link(LinkEvent),
    /// Another worker found out that a server is Down, or answers again.
    ServerNews(ServerPath, News),
    /// Another worker knows something of the beginning of accounting.
    Announcing(AnnouncingNews),
    /// Log everybody out and let nobody in; the answer says how many are still online.
    ShutDown(oneshot::Sender<Ceasing>),
    /// Tell the servers that accounting has ceased; the answer says how many have answered, and how many have not.
    AnnounceOff(oneshot::Sender<(u64, u64)>),
    /// Send this bill's Stop once more.
    Replay(BillId, Box<[u8]>),
    /// Hand everything to the writer and end.
    Shutdown,
}

/// For the writer.
pub(crate) enum WriterMessage {
    /// The settings of local bills, or the sysname, have changed.
    Configure { bills: LocalAaaServer, nas: String },
    /// Tell how full the pool and the card are.
    Information(oneshot::Sender<LocalBillInformation>),
    /// Tell where the durable bills stand, oldest first.
    Bills(oneshot::Sender<Vec<Kept>>),
    /// The same of those that wait for a pool.
    Unbilled(oneshot::Sender<Vec<Kept>>),
    /// The same of some in the pool, counted from 0.
    Cache { start: usize, count: usize, reply: oneshot::Sender<Vec<Kept>> },
    /// `local-bill cache backup`.
    BackupCache(oneshot::Sender<Result<(), BackupRefused>>),
    /// `local-bill cfcard backup [ FILE ]`.
    BackupCfcard(Option<String>, oneshot::Sender<Result<(), BackupRefused>>),
    /// `local-bill cfcard reset`; the answer says how many bills went.
    ResetCfcard(oneshot::Sender<Result<u64, ResetRefused>>),
    /// How an upload went.
    Uploaded(u64, Outcome),
    /// Whether a server of this shard answers.
    ServersAnswer { shard: u16, answers: bool },
    /// A worker has no room for a bill that it was to replay.
    ReplayRefused(BillId),
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
