//! One accounting server, and the path to it: through which device, and from which address (BEHAVIOUR.md 5.1).
//!
//! A server is its address, its port and its `vpn-instance`; where requests leave from belongs to the path. Whoever sends
//! knows a server by the whole path, for the sockets of another path are other sockets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::{RadiusTls, Secret};

/// The name of a network interface or of a VRF, which Linux makes a device too: 1–15 octets, as the kernel takes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName {
    /// What is behind the name is zeros.
    octets: [u8; InterfaceName::LENGTH_MAX],
    length: u8,
}

impl InterfaceName {
    /// Octets; the kernel's IFNAMSIZ without the zero at its end.
    pub const LENGTH_MAX: usize = 15;

    /// `None`: no interface can have that name. A visible ASCII character each, none of them `/` or `:`, and neither `.`
    /// nor `..`.
    pub fn new(name: &str) -> Option<InterfaceName> {
        let is_allowed = |octet: u8| octet.is_ascii_graphic() && octet != b'/' && octet != b':';
        if name.is_empty() || name == "." || name == ".." || !name.bytes().all(is_allowed) {
            return None;
        }
        let mut octets = [0; InterfaceName::LENGTH_MAX];
        octets.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(InterfaceName { octets, length: u8::try_from(name.len()).ok()? })
    }

    /// As the kernel knows it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..usize::from(self.length)]).expect("a name is made of ASCII")
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Where requests leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The address that this interface has, of the server's family.
    Interface(InterfaceName),
    /// This address, of the server's family.
    Address(IpAddr),
}

impl fmt::Display for Source {
    /// As the command line spells it behind `source`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Interface(name) => name.fmt(f),
            Source::Address(address) => write!(f, "ip-address {address}"),
        }
    }
}

/// What carries requests to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// RADIUS over UDP.
    #[default]
    Datagrams,
    /// RADIUS over TLS (RFC 6614).
    Tls,
    /// TACACS+ over TCP, a connection for each request.
    Tacacs,
    /// TACACS+ over TCP, one connection for many requests (RFC 8907 section 4.3).
    TacacsSingle,
}

impl Transport {
    /// Whether requests are TACACS+ packets.
    pub const fn is_tacacs(self) -> bool {
        matches!(self, Transport::Tacacs | Transport::TacacsSingle)
    }

    /// Whether requests go through a connection.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Transport::Datagrams)
    }
}

/// A server, and the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerPath {
    /// Address and port.
    pub address: SocketAddr,
    /// The VRF that it is in; `None`: the box's own routing table.
    pub vpn: Option<InterfaceName>,
    /// `None`: as the routing table says.
    pub source: Option<Source>,
    /// What carries requests.
    pub transport: Transport,
}

impl ServerPath {
    /// Whether both lead to one server: from other sources it is the same one.
    pub fn is_same_server(&self, other: &ServerPath) -> bool {
        self.address == other.address && self.vpn == other.vpn
    }

    /// The server alone, whichever path leads to it.
    pub const fn server(self) -> ServerPath {
        ServerPath { source: None, transport: Transport::Datagrams, ..self }
    }
}

impl From<SocketAddr> for ServerPath {
    /// As the routing table leads there.
    fn from(address: SocketAddr) -> ServerPath {
        ServerPath { address, vpn: None, source: None, transport: Transport::Datagrams }
    }
}

impl fmt::Display for ServerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if let Some(vpn) = &self.vpn {
            write!(f, " vpn-instance {vpn}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " source {source}")?;
        }
        Ok(())
    }
}

/// One server of a group: of accounting, or of authentication, which is kept for the packet plane (BEHAVIOUR.md 5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct RadiusServer {
    /// Address and port.
    pub address: SocketAddr,
    /// The VRF that it is in.
    pub vpn: Option<InterfaceName>,
    /// Where requests leave from, which beats what the group says.
    pub source: Option<Source>,
    /// Its own secret, which beats the group's.
    pub shared_key: Option<Secret>,
    /// Share under `loading-share`; printed even when 0.
    pub weight: u8,
    /// Whether requests carry Message-Authenticator; off by default, for servers disagree on it (RFC 2869 section 5.14).
    pub message_authenticator: bool,
    /// Over TLS instead of in datagrams; accounting only.
    pub tls: Option<RadiusTls>,
}

impl RadiusServer {
    /// One of which nothing more is said.
    pub fn new(address: SocketAddr) -> RadiusServer {
        RadiusServer {
            address,
            vpn: None,
            source: None,
            shared_key: None,
            weight: 0,
            message_authenticator: false,
            tls: None,
        }
    }

    /// Whether it is the server of this address, port and VRF.
    pub fn is_at(&self, address: SocketAddr, vpn: Option<InterfaceName>) -> bool {
        self.address == address && self.vpn == vpn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_kernel_takes() {
        for good in ["a", "LoopBack0", "eth0.100", "fifteen-octets!", "..."] {
            assert_eq!(InterfaceName::new(good).map(|name| name.to_string()), Some(good.to_owned()));
        }
        for bad in ["", ".", "..", "a/b", "eth0:1", "two words", "sixteen-octets!!", "é", "a\u{0}"] {
            assert_eq!(InterfaceName::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_told_as_it_is_typed() {
        let name = |name: &str| InterfaceName::new(name).unwrap();
        let mut path = ServerPath::from("192.0.2.1:1813".parse::<SocketAddr>().unwrap());
        assert_eq!(path.to_string(), "192.0.2.1:1813");
        let plain = path;
        path.source = Some(Source::Interface(name("lo1")));
        assert_eq!(path.to_string(), "192.0.2.1:1813 source lo1");
        assert!(plain.is_same_server(&path));
        assert_eq!(path.server(), plain);
        path.vpn = Some(name("aaa"));
        path.source = Some(Source::Address([10, 0, 0, 1].into()));
        assert_eq!(path.to_string(), "192.0.2.1:1813 vpn-instance aaa source ip-address 10.0.0.1");
        assert!(!plain.is_same_server(&path));
    }
}
