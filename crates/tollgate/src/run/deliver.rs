//! Files on their way to the bill server: taken from the writer one after the other, delivered, and what came of it told.

use std::rc::Rc;

use ledger::transfer::{Outcome, Upload, UploadFailure};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

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
            let (number, delivering) = (upload.number, daemon.clone());
            let delivery = tokio::task::spawn_local(async move { deliver(&delivering, &upload).await });
            daemon.tell_writer(WriterMessage::Uploaded(number, outcome(delivery).await));
        });
    }
}

/// What came of a delivery. One that panicked has failed like one that the server broke off: a server that says what nobody
/// thought of holds up its own file only.
async fn outcome(delivery: JoinHandle<Outcome>) -> Outcome {
    delivery.await.unwrap_or_else(|error| {
        tracing::error!("the delivery of a bill file has ended: {error}");
        Outcome::Failed(UploadFailure::Protocol)
    })
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

    #[tokio::test]
    async fn a_delivery_that_panics_has_failed() {
        let panics = tokio::spawn(async { panic!("a server says what nobody thought of") });
        assert_eq!(outcome(panics).await, Outcome::Failed(UploadFailure::Protocol));
        assert_eq!(outcome(tokio::spawn(async { Outcome::Delivered })).await, Outcome::Delivered);
    }
}
