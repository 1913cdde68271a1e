//! Files on their way to the bill server: taken from the writer one after the other, delivered, and what came of it told.

use std::rc::Rc;

use ledger::transfer::{Outcome, Upload, UploadFailure};
use tokio::sync::mpsc::UnboundedReceiver;

use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bill_server::{self, Delivered, DeliveryError};

/// Where host keys are remembered that were met first.
const KNOWN_HOSTS: &str = "bill-server.known";

/// Delivers for ever. Files of the pool and of the card may be on their way at once.
pub(crate) async fn serve(mut uploads: UnboundedReceiver<Upload>, daemon: Rc<Daemon>) {
    while let Some(upload) = uploads.recv().await {
        let daemon = daemon.clone();
        tokio::task::spawn_local(async move {
            let outcome = deliver(&daemon, &upload).await;
            daemon.tell_writer(WriterMessage::Uploaded(upload.number, outcome));
        });
    }
}

async fn deliver(daemon: &Daemon, upload: &Upload) -> Outcome {
    let settings = daemon.running();
    let settings = &settings.local_aaa_server;
    let Some(server) = &settings.bill_server else { return Outcome::Failed(UploadFailure::NotConfigured) };
    let known_hosts = daemon.state_dir.join(KNOWN_HOSTS);
    let (file, address) = (&*upload.name, server.address);
    match bill_server::deliver(server, settings, &known_hosts, upload).await {
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
        DeliveryError::NoSpace | DeliveryError::Incomplete => UploadFailure::NoSpace,
        DeliveryError::NameTaken => UploadFailure::NameTaken,
        DeliveryError::Denied
        | DeliveryError::BadName
        | DeliveryError::SftpFailure(_)
        | DeliveryError::TftpFailure(_) => UploadFailure::Refused,
        DeliveryError::NoCommonAlgorithm | DeliveryError::NoSftp | DeliveryError::Protocol => UploadFailure::Protocol,
    }
}
