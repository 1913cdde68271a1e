//! What the control thread holds, and the few things it does with it: commit, save, ask.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam::channel::Sender;
use ledger::segment::StoreId;
use model::report::ServerReport;
use model::settings::Settings;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::authorization;
use super::commits::Commits;
use super::control::peer;
use super::link::{self, Planes};
use super::messages::{WorkerHandle, WorkerMessage, WriterMessage};
use super::relay::{COMMIT_PATIENCE, NewSockets};
use super::ring::WriterBell;
use super::sandbox::Sandbox;
use super::sources::Sources;
use super::tls;
use crate::bills::Whereabouts;
use crate::secrets::KeySealer;

/// The control thread's state.
pub(crate) struct Daemon {
    pub(crate) settings: RefCell<Arc<Settings>>,
    pub(crate) sealer: KeySealer,
    pub(crate) config: PathBuf,
    pub(crate) control: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) card_dir: PathBuf,
    /// The store's name, and the number of this engine start on it.
    pub(crate) life: (StoreId, u32),
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) writer: Sender<WriterMessage>,
    pub(crate) bell: WriterBell,
    pub(crate) planes: Rc<RefCell<Planes>>,
    /// Whose turn it is to commit: one at a time, each over what the one before it left.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// What was committed, and who may commit.
    pub(crate) commits: Commits,
    /// Whose turn it is to read the ledger for a story.
    pub(crate) stories: tokio::sync::Mutex<()>,
    /// What had been counted of HWTACACS servers when an operator reset that; displays show what came since.
    pub(crate) hwtacacs_counted: RefCell<Vec<ServerReport>>,
    /// The task that takes planes, while a link is configured.
    pub(crate) link: RefCell<Option<JoinHandle<()>>>,
    pub(crate) authorization: Rc<authorization::Listener>,
    pub(crate) sources: Sources,
    /// What was read of certificate files.
    pub(crate) certificates: RefCell<tls::Book>,
    /// Where it may write.
    pub(crate) sandbox: Sandbox,
}

/// Writes where nobody waits for the disk: packets, planes and shells go on meanwhile. Whoever calls has the turn, so that files
/// are written in order.
pub(super) async fn on_disk(write: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(format!("writing was broken off: {error}")))
}

impl Daemon {
    pub(crate) fn tell_writer(&self, message: WriterMessage) {
        if self.writer.send(message).is_ok() {
            self.bell.ring();
        }
    }

    /// Puts settings into force that were made from `base`: all of them, or none and the reason. With them comes what is
    /// wrong with servers that cannot be spoken to for now. Whoever calls has the turn.
    pub(super) async fn put_into_force(
        &self,
        base: &Settings,
        settings: Arc<Settings>,
    ) -> Result<(Arc<Settings>, Vec<String>), String> {
        let before = self.running();
        if *base != *before {
            return Err("the running configuration was changed by another user meanwhile; \
                        refresh or clear the configuration candidate first"
                .to_owned());
        }
        // What can fail comes first.
        self.sandbox.check(&settings)?;
        let listener = match &settings.plane_link.path {
            Some(path) if before.plane_link.path.as_ref() != Some(path) => Some(
                link::bind(path.as_ref())
                    .map_err(|error| format!("the plane link cannot be bound to {path}: {error}"))?,
            ),
            _ => None,
        };
        let authorization = self.authorization.open(&settings)?;
        let relay = NewSockets::bind(&settings, before.relay.listen, self.workers.len(), COMMIT_PATIENCE).await?;
        let sources = self.sources.open(&settings)?;
        let (clients, mut problems) = self.read_certificates(&settings).await;
        problems.extend(self.configure_workers(&settings, &clients, relay).await?);
        let (bills, nas) = (settings.local_aaa_server.clone(), settings.sysname.clone());
        self.tell_writer(WriterMessage::Configure { bills, nas });
        if settings.plane_link.path != before.plane_link.path {
            self.replace_link(listener);
        }
        self.authorization.configure(&settings, authorization);
        problems.extend(self.sources.configure(&settings, sources).await);
        if settings.shell_groups != before.shell_groups
            && let Err(error) = peer::guard(&self.control, &settings.shell_groups)
        {
            problems.push(format!("the control socket keeps its mode: {error}"));
        }
        let known = vrp::short_secrets(&before);
        problems.extend(vrp::short_secrets(&settings).into_iter().filter(|problem| !known.contains(problem)));
        *self.settings.borrow_mut() = settings.clone();
        let whereabouts = self.whereabouts(&settings);
        if whereabouts != self.whereabouts(&before) {
            let state_dir = self.state_dir.clone();
            let why = || "the new settings were not recorded for `tollgate bills`".to_owned();
            if let Err(why) = on_disk(move || whereabouts.record(&state_dir).map_err(|_| why())).await {
                tracing::error!("{why}");
            }
        }
        Ok((settings, problems))
    }

    /// What the state directory is to say of a daemon with these settings.
    pub(crate) fn whereabouts(&self, settings: &Settings) -> Whereabouts {
        Whereabouts::new(&self.control, &self.state_dir, &self.card_dir, self.life, settings)
    }

    /// Closes the old plane link, and serves the new one. Planes that are linked stay linked.
    pub(crate) fn replace_link(&self, listener: Option<kernel::seqpacket::Listener>) {
        if let Some(old) = self.link.borrow_mut().take() {
            old.abort();
        }
        *self.link.borrow_mut() = listener
            .map(|listener| tokio::task::spawn_local(link::serve(listener, self.planes.clone(), self.workers.clone())));
    }

    async fn configure_workers(
        &self,
        settings: &Arc<Settings>,
        clients: &Arc<tls::TlsClients>,
        relay: NewSockets,
    ) -> Result<Vec<String>, String> {
        let mut problems: Vec<String> = Vec::new();
        let relay = relay.setups(settings, &mut self.planes.borrow_mut(), self.workers.len());
        for (worker, relay) in self.workers.iter().zip(relay) {
            let (reply, answer) = oneshot::channel();
            worker.tell(WorkerMessage::Configure(settings.clone(), clients.clone(), relay, reply));
            problems.extend(answer.await.map_err(|_| "a worker has ended".to_owned())?);
        }
        problems.sort_unstable();
        problems.dedup();
        Ok(problems.into_iter().map(|problem| format!("{problem}; it is tried again by and by")).collect())
    }

    /// Writes the running configuration to the startup file, whole or not at all. What is on trial is nothing to start with.
    pub(crate) async fn save(&self) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        if self.commits.trial().is_some() {
            return Err("a trial commit is not confirmed; commit or abort trial first".to_owned());
        }
        let (path, text) = (self.config.clone(), vrp::config::write(&self.running()));
        on_disk(move || kernel::file::replace_file(&path, text.as_bytes(), 0o600).map_err(|error| error.to_string()))
            .await
    }
}
