//! `relay`: the accounting server that this box is to NAS that speak RADIUS (INTERFACES.md section 5).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{ObjectName, Secret};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relay {
    /// Where NAS send their accounting to; `None`: nobody is listened to.
    pub listen: Option<SocketAddr>,
    /// Who is listened to, by the address that its requests come from; at most [`Relay::CLIENT_COUNT_MAX`].
    pub clients: BTreeMap<IpAddr, RelayClient>,
}

impl Relay {
    /// At most so many clients.
    pub const CLIENT_COUNT_MAX: usize = 4096;
}

/// One NAS, or whatever stands in front of many.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayClient {
    /// What its requests are signed with, and requests to it.
    pub shared_key: Secret,
    /// The domain that all its sessions belong to; `None`: as their user names say.
    pub domain: Option<ObjectName>,
    /// Where it takes Disconnect-Requests (RFC 5176); `None`: it takes none.
    pub disconnect_port: Option<u16>,
    /// What becomes of a session that the NAS was to log out and has not.
    pub disconnect_fail: DisconnectFail,
    /// When servers are told what its sessions have counted.
    pub interim: RelayInterim,
    /// After so many intervals of the NAS without a word of it a session is over; 0: never. 0–100.
    pub silence: u8,
}

impl RelayClient {
    /// `silence`, where the line does not say.
    pub const SILENCE_DEFAULT: u8 = 3;

    /// One that only has a secret.
    pub fn new(shared_key: Secret) -> RelayClient {
        RelayClient {
            shared_key,
            domain: None,
            disconnect_port: None,
            disconnect_fail: DisconnectFail::default(),
            interim: RelayInterim::default(),
            silence: RelayClient::SILENCE_DEFAULT,
        }
    }
}

/// When servers are told what sessions of a relay client have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayInterim {
    /// Whenever the NAS tells it.
    #[default]
    Follow,
    /// Every so many seconds, 60–3,932,100, with what the NAS told last.
    Every(u32),
}

/// What becomes of a session whose NAS refuses a Disconnect-Request, or does not answer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisconnectFail {
    /// It is accounted for as before: the subscriber is online.
    #[default]
    Keep,
    /// Its accounting ends.
    Stop,
}
