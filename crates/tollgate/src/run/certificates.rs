//! When certificate files are read: at each commit, and once a day, so that those that were renewed serve without a commit and
//! those that end are told of in time.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::settings::Settings;

use super::clock;
use super::daemon::Daemon;
use super::messages::WorkerMessage;
use super::tls::TlsClients;

/// How long what was read is relied on.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

impl Daemon {
    /// Reads the files that these settings name, where nobody waits for the disk. Beside what workers begin TLS with comes what
    /// is wrong with files. Whoever calls has the turn.
    pub(super) async fn read_certificates(&self, settings: &Arc<Settings>) -> (Arc<TlsClients>, Vec<String>) {
        let (mut book, settings, now) = (self.certificates.take(), settings.clone(), clock::now().wall);
        let reading = tokio::task::spawn_blocking(move || {
            let read = book.read(&settings, now);
            (book, read)
        });
        match reading.await {
            Ok((book, read)) => {
                self.certificates.replace(book);
                read
            }
            Err(error) => (Arc::default(), vec![format!("reading certificates was broken off: {error}")]),
        }
    }

    /// Reads them again and again.
    pub(super) async fn watch_certificates(self: Rc<Self>) {
        loop {
            tokio::time::sleep(AGE_MAX).await;
            let _turn = self.turn.lock().await;
            let (clients, problems) = self.read_certificates(&self.running()).await;
            problems.iter().for_each(|problem| tracing::warn!("{problem}"));
            self.workers.iter().for_each(|worker| worker.tell(WorkerMessage::Certificates(clients.clone())));
        }
    }
}
