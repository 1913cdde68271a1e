//! How long the daemon's interims are: everybody it is held against sends packets of that length.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use benches::Place;
use wire::radius::Packet;
use wire::radius::server::respond;

use crate::crowd::{Comers, Crowd};
use crate::daemon::{Daemon, Setup};
use crate::servers::{Kind, SECRET};

const SESSIONS: u32 = 10_000;
const INTERVAL_S: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);
const ACCT_STATUS_TYPE: u8 = 40;
const INTERIM_UPDATE: [u8; 4] = [0, 0, 0, 3];

/// The mean, in octets, seen by a server that is in this process.
///
/// # Errors
/// None came.
pub(crate) fn mean(place: &Arc<Place>) -> Result<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    benches::hold_much(&socket)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let setup = Setup { interval_s: INTERVAL_S, start_fail_offline: false, apart: None };
    let daemon = Daemon::start_towards(place, Kind::Plain, socket.local_addr()?, Path::new(""), setup)?;
    let comers = Comers { sessions: SESSIONS, dual_stack: false, log_ins: 0 };
    let _crowd = Crowd::start(place, &daemon, comers)?;
    let (mut octets, mut interims, began) = (0, 0, Instant::now());
    // Two of everybody: the first may have counted nothing yet.
    while interims < 2 * u64::from(SESSIONS) {
        ensure!(began.elapsed() < PATIENCE, "{interims} interims came, of {SESSIONS} sessions");
        if let Some(length) = answer(&socket)? {
            octets += length;
            interims += 1;
        }
    }
    Ok(u16::try_from(octets / interims)?)
}

/// Answers one request; its length, if it is an interim.
fn answer(socket: &UdpSocket) -> Result<Option<u64>> {
    let (mut request, mut room) = ([0; 4096], [0; 4096]);
    let (length, from) = match socket.recv_from(&mut request) {
        Ok(received) => received,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) => bail!(error),
    };
    let Ok(packet) = Packet::parse(&request[..length]) else { return Ok(None) };
    if let Ok(reply) = respond(&packet, SECRET.as_bytes(), &mut room) {
        socket.send_to(reply, from)?;
    }
    let mut attributes = packet.attributes();
    let is_interim = attributes.any(|each| each.kind.0 == ACCT_STATUS_TYPE && each.value == INTERIM_UPDATE);
    Ok(is_interim.then_some(length as u64))
}
