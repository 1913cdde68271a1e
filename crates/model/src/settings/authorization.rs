//! `radius-server authorization`: who may have subscribers logged out or changed (BEHAVIOUR.md 5.6, RFC 5176).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{InterfaceName, ObjectName, RadiusServer, Secret, Settings};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RadiusAuthorization {
    /// The servers, at most [`RadiusAuthorization::SERVER_COUNT_MAX`].
    pub servers: BTreeMap<AuthorizationPath, AuthorizationServer>,
    /// `accounting-realtime-packet disable`: no interim follows a CoA (BEHAVIOUR.md 3.3, rule 9).
    pub realtime_packet_disabled: bool,
}

impl RadiusAuthorization {
    /// At most so many servers.
    pub const SERVER_COUNT_MAX: usize = 16;
}

/// Who an authorization server is. The same address in two VRFs is two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorizationPath {
    /// Its address.
    pub ip: IpAddr,
    /// The VRF that it is in, and is listened to in; `None`: the box's own routing table.
    pub vpn: Option<InterfaceName>,
}

impl From<IpAddr> for AuthorizationPath {
    /// As the box's own routing table leads there.
    fn from(ip: IpAddr) -> AuthorizationPath {
        AuthorizationPath { ip, vpn: None }
    }
}

impl fmt::Display for AuthorizationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip.fmt(f)?;
        self.vpn.map_or(Ok(()), |vpn| write!(f, " vpn-instance {vpn}"))
    }
}

/// One server that may speak to us.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationServer {
    /// Its own secret, which beats that of the group.
    pub shared_key: Option<Secret>,
    /// The group whose secret it has otherwise: that of its accounting server there, or the group's.
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
    pub fn authorization_secret<'a>(
        &'a self,
        path: AuthorizationPath,
        server: &'a AuthorizationServer,
    ) -> Option<&'a Secret> {
        let of_group = || {
            let group = self.radius_groups.get(server.server_group.as_ref()?)?;
            let is_same = |other: &&RadiusServer| (other.address.ip(), other.vpn) == (path.ip, path.vpn);
            let same = group.accounting.iter().find(is_same);
            same.and_then(|accounting| accounting.shared_key.as_ref()).or(group.shared_key.as_ref())
        };
        server.shared_key.as_ref().or_else(of_group)
    }
}
