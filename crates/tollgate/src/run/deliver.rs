//! Files on their way to the bill server: taken from the writer one after the other, delivered, and what came of it told.
//!
//! A delivery has a thread of its own, for it speaks to somebody else's server through the largest libraries of the house. If it
//! panics, or hangs where no timer of its own reaches it, that file has not been delivered, and everything else goes on: shells,
//! planes and the workers have other threads.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ledger::transfer::{Outcome, Upload, UploadFailure};
use model::settings::Settings;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bill_server::{self, Delivered, DeliveryError, Patience};

/// Where host keys are remembered that were met first.
const KNOWN_HOSTS: &str = "bill-server.known";

/// How much longer than its own patience a delivery may take before it is taken to hang.
const GRACE: Duration = Duration::from_secs(30);

/// Deliveries that hang at once, at most: then no other is begun. A thread cannot be ended from outside, only left alone.
const HANGING_MAX: usize = 4;

/// Delivers for ever. Files of the pool and of the card may be on their way at once.
pub(crate) async fn serve(mut uploads: UnboundedReceiver<Upload>, daemon: Rc<Daemon>) {
    let hanging = Arc::new(());
    while let Some(upload) = uploads.recv().await {
        let (daemon, presence) = (daemon.clone(), hanging.clone());
        let is_full = Arc::strong_count(&hanging) > HANGING_MAX + 1;
        tokio::task::spawn_local(async move {
            let number = upload.number;
            let outcome = if is_full {
                tracing::error!(
                    "{HANGING_MAX} deliveries of bill files hang: the next start of the daemon delivers again"
                );
                Outcome::Failed(UploadFailure::Timeout)
            } else {
                let (settings, known_hosts) = (daemon.running(), daemon.state_dir.join(KNOWN_HOSTS));
                let longest = Patience::for_upload(&upload).whole + GRACE;
                let delivery = move || async move {
                    let _present = presence;
                    deliver(&settings, &known_hosts, &upload).await
                };
                apart(longest, delivery).await
            };
            daemon.tell_writer(WriterMessage::Uploaded(number, outcome));
        });
    }
}

/// Has a delivery made on a thread of its own. One that panicked has failed like one that the server broke off: a server that says
/// what nobody thought of holds up its own file only. One that takes longer is left to itself, and has failed.
async fn apart<D, F>(longest: Duration, delivery: D) -> Outcome
where
    D: FnOnce() -> F + Send + 'static,
    F: Future<Output = Outcome>,
{
    let (tell, told) = oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.map(|runtime| tokio::task::LocalSet::new().block_on(&runtime, delivery()));
        // Nobody listens any more to one that has hung.
        let _ = tell.send(outcome.unwrap_or(Outcome::Failed(UploadFailure::Timeout)));
    };
    if let Err(error) = std::thread::Builder::new().name("tollgate-deliver".to_owned()).spawn(work) {
        tracing::error!("no thread delivers the bill file: {error}");
        return Outcome::Failed(UploadFailure::Timeout);
    }
    match tokio::time::timeout(longest, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            tracing::error!("the delivery of a bill file has ended in a panic");
            Outcome::Failed(UploadFailure::Protocol)
        }
        Err(_) => {
            tracing::error!("the delivery of a bill file hangs, and is left alone");
            Outcome::Failed(UploadFailure::Timeout)
        }
    }
}

async fn deliver(settings: &Settings, known_hosts: &Path, upload: &Upload) -> Outcome {
    let settings = &settings.local_aaa_server;
    let Some(server) = &settings.bill_server else { return Outcome::Failed(UploadFailure::NotConfigured) };
    let (file, address) = (&*upload.name, server.address);
    match bill_server::deliver(server, settings, known_hosts, upload).await {
        Ok(Delivered::Verified) => {
            tracing::info!(file, %address, "a bill file was delivered");
            Outcome::Delivered
        }
        Ok(Delivered::Unverified) => {
            // Some servers acknowledge what they cannot store: the bills stay until the file was seen whole.
            tracing::warn!(file, %address, "the TFTP server does not let the file be read back: allow it, or use SFTP");
            Outcome::Failed(UploadFailure::Unverified)
        }
        Err(error) => {
            tracing::warn!(file, %address, "a bill file was not delivered: {error}");
            Outcome::Failed(reason(&error))
        }
    }
}

fn reason(error: &DeliveryError) -> UploadFailure {
    match error {
        DeliveryError::NoLogin => UploadFailure::NotConfigured,
        DeliveryError::Unreachable(_) | DeliveryError::Cut => UploadFailure::Unreachable,
        DeliveryError::TimedOut => UploadFailure::Timeout,
        DeliveryError::HostKeyUnknown { .. }
        | DeliveryError::HostKeyChanged { .. }
        | DeliveryError::BadPin
        | DeliveryError::KnownHosts(_) => UploadFailure::HostKey,
        DeliveryError::KeyFile(_) | DeliveryError::LoginRefused => UploadFailure::LoginRefused,
        DeliveryError::NoSpace => UploadFailure::NoSpace,
        DeliveryError::Incomplete => UploadFailure::Incomplete,
        DeliveryError::NameTaken => UploadFailure::NameTaken,
        DeliveryError::NameTakenUnseen => UploadFailure::NameTakenUnseen,
        DeliveryError::ManifestTaken => UploadFailure::ManifestTaken,
        DeliveryError::Denied
        | DeliveryError::BadName
        | DeliveryError::SftpFailure(_)
        | DeliveryError::TftpFailure(_) => UploadFailure::Refused,
        DeliveryError::NoCommonAlgorithm | DeliveryError::NoSftp | DeliveryError::Protocol => UploadFailure::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something that has come to be meanwhile on the thread that waits.
    async fn beside(outcome: impl Future<Output = Outcome>) -> (Outcome, u32) {
        let mut ticks = 0;
        let mut timer = tokio::time::interval(Duration::from_millis(1));
        tokio::pin!(outcome);
        loop {
            tokio::select! {
                outcome = &mut outcome => return (outcome, ticks),
                _ = timer.tick() => ticks += 1,
            }
        }
    }

    #[tokio::test]
    async fn a_delivery_that_panics_has_failed() {
        let panics = || async { panic!("a server says what nobody thought of") };
        assert_eq!(apart(GRACE, panics).await, Outcome::Failed(UploadFailure::Protocol));
        assert_eq!(apart(GRACE, || async { Outcome::Delivered }).await, Outcome::Delivered);
    }

    #[tokio::test]
    async fn a_delivery_that_hangs_holds_up_nobody_and_has_failed() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        // No timer of its runtime would ever end this.
        let hangs = move || async move {
            let _ = released.recv();
            Outcome::Delivered
        };
        let (outcome, ticks) = beside(apart(Duration::from_millis(200), hangs)).await;
        assert_eq!(outcome, Outcome::Failed(UploadFailure::Timeout));
        assert!(ticks > 10, "the thread that waits did something else only {ticks} times");
        drop(release);
    }
}
