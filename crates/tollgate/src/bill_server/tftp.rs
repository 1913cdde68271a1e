//! Files over TFTP: each is read first, so that nobody else's is written over, then put, then read back.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kernel::clock;
use ledger::tftp::{BadName, Dally, ErrorCode, Failure, Outcome, Transfer, Tuning};
use ledger::transfer::Upload;
use model::time::Mono;
use tokio::net::UdpSocket;

use super::{Delivered, DeliveryError};

/// More than any block that is asked for; a longer datagram is cut, and refused as too long.
const ROOM: usize = 2048;

/// Brings both files there. The manifest leaves when the file has been read back.
pub(super) async fn deliver(server: SocketAddr, upload: &Upload) -> Result<Delivered, DeliveryError> {
    let [(name, octets), (manifest_name, manifest)] = upload.files();
    let bills = place(server, name, octets).await?;
    match place(server, manifest_name, manifest).await {
        Ok(delivered) => Ok(bills.and(delivered)),
        // An earlier try left one, as far as anybody can see.
        Err(DeliveryError::NameTakenUnseen) => Ok(Delivered::Unverified),
        Err(error) => Err(error.at_manifest()),
    }
}

async fn place(server: SocketAddr, name: &str, octets: &[u8]) -> Result<Delivered, DeliveryError> {
    let is_seen = match compare(server, name, octets).await? {
        Ok(Outcome::Same) => return Ok(Delivered::Verified),
        Ok(Outcome::Different) => return Err(DeliveryError::NameTaken),
        // The beginning of our file: a put that was broken off. While tftpd-hpa has not closed what it just read it is silent to
        // the request that follows; the second copy, a second later, is answered.
        Ok(Outcome::Shorter { .. } | Outcome::Stored) => true,
        // There is none, or the server does not say.
        Err(Failure::Refused(_)) => false,
        Err(failure) => return Err(failure.into()),
    };
    match drive(Transfer::put(server, name, octets, Tuning::default())?).await? {
        Err(Failure::Refused(ErrorCode::FileExists)) if !is_seen => return Err(DeliveryError::NameTakenUnseen),
        put => put?,
    };
    match compare(server, name, octets).await? {
        Ok(Outcome::Same) => Ok(Delivered::Verified),
        Ok(Outcome::Shorter { .. } | Outcome::Different | Outcome::Stored) => Err(DeliveryError::Incomplete),
        Err(Failure::Refused(_)) => Ok(Delivered::Unverified),
        Err(failure) => Err(failure.into()),
    }
}

async fn compare(server: SocketAddr, name: &str, octets: &[u8]) -> Result<Result<Outcome, Failure>, DeliveryError> {
    drive(Transfer::compare(server, name, octets, Tuning::default())?).await
}

/// Runs a transfer on a socket, and so a port, of its own (RFC 1350 section 4).
async fn drive(mut transfer: Transfer<'_>) -> Result<Result<Outcome, Failure>, DeliveryError> {
    let unreachable = |error: std::io::Error| DeliveryError::Unreachable(error.kind());
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(unreachable)?;
    let mut room = [0; ROOM];
    let mut out = Vec::with_capacity(ROOM);
    loop {
        while let Some(to) = transfer.poll_transmit(now(), &mut out) {
            socket.send_to(&out, to).await.map_err(unreachable)?;
            out.clear();
        }
        if let Some(outcome) = transfer.outcome() {
            if let Some(dally) = transfer.dally(now()) {
                tokio::spawn(linger(socket, dally));
            }
            return Ok(outcome);
        }
        let patience = transfer.poll_timeout().map_or(Duration::ZERO, |deadline| deadline.since(now()));
        match tokio::time::timeout(patience, socket.recv_from(&mut room)).await {
            Ok(Ok((length, from))) => transfer.handle_datagram(from, &room[..length]),
            Ok(Err(error)) => return Err(unreachable(error)),
            Err(_) => transfer.handle_timeout(now()),
        }
    }
}

/// Answers a server that lost the last acknowledgement; what goes wrong here touches nothing but the server's log.
async fn linger(socket: UdpSocket, mut dally: Dally) {
    let mut room = [0; ROOM];
    let mut out = Vec::new();
    while let Ok(Ok((length, from))) =
        tokio::time::timeout(dally.until().since(now()), socket.recv_from(&mut room)).await
    {
        dally.handle_datagram(from, &room[..length]);
        while let Some(to) = dally.poll_transmit(&mut out) {
            let _ = socket.send_to(&out, to).await;
            out.clear();
        }
    }
}

fn now() -> Mono {
    Mono::from_nanos(clock::boottime_nanos())
}

impl From<BadName> for DeliveryError {
    fn from(_: BadName) -> DeliveryError {
        DeliveryError::BadName
    }
}

impl From<Failure> for DeliveryError {
    fn from(failure: Failure) -> DeliveryError {
        match failure {
            Failure::TimedOut => DeliveryError::TimedOut,
            Failure::BadOptions => DeliveryError::Protocol,
            Failure::Refused(ErrorCode::DiskFull) => DeliveryError::NoSpace,
            Failure::Refused(ErrorCode::AccessViolation) => DeliveryError::Denied,
            Failure::Refused(ErrorCode::FileExists) => DeliveryError::NameTaken,
            Failure::Refused(code) => DeliveryError::TftpFailure(code),
        }
    }
}
