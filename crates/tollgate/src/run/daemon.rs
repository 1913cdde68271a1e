//! What the control thread holds, and the few things it does with it: commit, save, ask.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam::channel::Sender;
use model::settings::Settings;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::link::{self, Planes};
use super::messages::{WorkerHandle, WorkerMessage, WriterMessage};
use super::ring::WriterBell;
use crate::bills::Whereabouts;
use crate::secrets::KeySealer;

/// The control thread's state.
pub(crate) struct Daemon {
    pub(crate) settings: RefCell<Arc<Settings>>,
    pub(crate) sealer: KeySealer,
    pub(crate) config: PathBuf,
    pub(crate) control: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) writer: Sender<WriterMessage>,
    pub(crate) bell: WriterBell,
    pub(crate) planes: Rc<RefCell<Planes>>,
    /// The task that takes planes, while a link is configured.
    pub(crate) link: RefCell<Option<JoinHandle<()>>>,
}

impl Daemon {
    pub(crate) fn tell_writer(&self, message: WriterMessage) {
        if self.writer.send(message).is_ok() {
            self.bell.ring();
        }
    }

    /// Puts settings into force: all of them, or none and the reason.
    pub(crate) async fn commit(&self, settings: Arc<Settings>) -> Result<Arc<Settings>, String> {
        let before = self.running();
        // What can fail comes first: the link's socket, then the workers' source ports.
        let listener = match &settings.plane_link.path {
            Some(path) if before.plane_link.path.as_ref() != Some(path) => Some(
                link::bind(path.as_ref())
                    .map_err(|error| format!("the plane link cannot be bound to {path}: {error}"))?,
            ),
            _ => None,
        };
        if let Err(why) = self.configure_workers(&settings).await {
            // The old settings had their sockets, so this cannot fail in turn.
            let _ = self.configure_workers(&before).await;
            return Err(why);
        }
        self.tell_writer(WriterMessage::Configure(settings.local_aaa_server.clone()));
        if settings.plane_link.path != before.plane_link.path {
            self.replace_link(listener);
        }
        if settings.sysname != before.sysname {
            let whereabouts = Whereabouts { control: self.control.clone(), nas: settings.sysname.clone() };
            if whereabouts.record(&self.state_dir).is_err() {
                tracing::error!("the new sysname was not recorded for `tollgate bills`");
            }
        }
        *self.settings.borrow_mut() = settings.clone();
        Ok(settings)
    }

    /// Closes the old plane link, and serves the new one. Planes that are linked stay linked.
    pub(crate) fn replace_link(&self, listener: Option<kernel::seqpacket::Listener>) {
        if let Some(old) = self.link.borrow_mut().take() {
            old.abort();
        }
        *self.link.borrow_mut() = listener
            .map(|listener| tokio::task::spawn_local(link::serve(listener, self.planes.clone(), self.workers.clone())));
    }

    pub(crate) async fn configure_workers(&self, settings: &Arc<Settings>) -> Result<(), String> {
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.tell(WorkerMessage::Configure(settings.clone(), reply));
            answer.await.map_err(|_| "a worker has ended".to_owned())??;
        }
        Ok(())
    }

    /// Writes the running configuration to the startup file, whole or not at all.
    pub(crate) fn save(&self) -> Result<(), String> {
        let text = vrp::config::write(&self.running());
        kernel::file::replace_file(&self.config, text.as_bytes(), 0o600).map_err(|error| error.to_string())
    }
}
