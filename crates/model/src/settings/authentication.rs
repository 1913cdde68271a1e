//! Servers that authenticate users. The packet plane speaks to them; here they are kept, printed and shown.

use std::net::SocketAddr;

use super::{InterfaceName, Secret, Source};

/// One authentication server of a group (BEHAVIOUR.md 5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct AuthenticationServer {
    /// Address and port.
    pub address: SocketAddr,
    /// The VRF that it is in.
    pub vpn: Option<InterfaceName>,
    /// Where requests leave from.
    pub source: Option<Source>,
    /// Its own secret, which beats the group's.
    pub shared_key: Option<Secret>,
    /// Its share under loading-share, 0–100.
    pub weight: u8,
}

/// `radius-server authentication retransmit`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationRetries {
    /// Transmissions to one server, the first included, 1–5.
    pub transmissions: u8,
    /// Seconds to wait for each reply, 3–25.
    pub timeout_s: u8,
}
