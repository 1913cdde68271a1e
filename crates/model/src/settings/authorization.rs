//! `radius-server authorization`: who may have subscribers logged out or changed (BEHAVIOUR.md 5.6, RFC 5176).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{ObjectName, Secret, Settings};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RadiusAuthorization {
    /// The servers, at most [`RadiusAuthorization::SERVER_COUNT_MAX`].
    pub servers: BTreeMap<IpAddr, AuthorizationServer>,
    /// `accounting-realtime-packet disable`: no interim follows a CoA (BEHAVIOUR.md 3.3, rule 9).
    pub realtime_packet_disabled: bool,
}

impl RadiusAuthorization {
    /// At most so many servers.
    pub const SERVER_COUNT_MAX: usize = 16;
}

/// One server that may speak to us.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationServer {
    /// Its own secret, which beats that of the group.
    pub shared_key: Option<Secret>,
    /// The group whose secret it has otherwise: that of its accounting server with this address, or the group's.
    pub server_group: Option<ObjectName>,
    /// The only address of this box that it may speak to, of its own family; `None`: any.
    pub destination_ip: Option<IpAddr>,
    /// The port that it speaks to; `None`: [`AuthorizationServer::PORT_DEFAULT`].
    pub destination_port: Option<u16>,
    /// How long an answer is kept for requests that come again, seconds, 0–300.
    pub ack_reserved_s: u16,
}

impl Default for AuthorizationServer {
    fn default() -> AuthorizationServer {
        AuthorizationServer {
            shared_key: None,
            server_group: None,
            destination_ip: None,
            destination_port: None,
            ack_reserved_s: AuthorizationServer::ACK_RESERVED_DEFAULT_S,
        }
    }
}

impl AuthorizationServer {
    /// RFC 5176 section 2.3.
    pub const PORT_DEFAULT: u16 = 3799;
    /// `ack-reserved-interval`.
    pub const ACK_RESERVED_DEFAULT_S: u16 = 30;
    /// The longest.
    pub const ACK_RESERVED_MAX_S: u16 = 300;

    /// Where the server of this address is listened to.
    pub fn destination(&self, server: IpAddr) -> SocketAddr {
        let any = match server {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let ip = self.destination_ip.unwrap_or(any);
        SocketAddr::new(ip, self.destination_port.unwrap_or(AuthorizationServer::PORT_DEFAULT))
    }
}

impl Settings {
    /// The secret that an authorization server is spoken to with.
    pub fn authorization_secret<'a>(&'a self, ip: IpAddr, server: &'a AuthorizationServer) -> Option<&'a Secret> {
        let of_group = || {
            let group = self.radius_groups.get(server.server_group.as_ref()?)?;
            let same = group.accounting.iter().find(|accounting| accounting.address.ip() == ip);
            same.and_then(|accounting| accounting.shared_key.as_ref()).or(group.shared_key.as_ref())
        };
        server.shared_key.as_ref().or_else(of_group)
    }
}
