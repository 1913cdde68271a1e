//! The server lines of a RADIUS group: what accounting and authentication have in common.

use std::fmt::Write as _;
use std::net::SocketAddr;

use model::settings::{InterfaceName, RadiusGroup, RadiusServer, RadiusTls, Settings, Source};

use super::radius::group_of;
use crate::command::{Done, Edit, Place, Words};
use crate::error::Refusal;

/// What a server is for. A group has a list for each.
#[derive(Clone, Copy)]
pub(super) enum Service {
    Accounting,
    Authentication,
}

impl Service {
    /// Its keyword.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Service::Accounting => "accounting",
            Service::Authentication => "authentication",
        }
    }

    const fn servers(self, group: &RadiusGroup) -> &Vec<RadiusServer> {
        match self {
            Service::Accounting => &group.accounting,
            Service::Authentication => &group.authentication,
        }
    }

    const fn servers_mut(self, group: &mut RadiusGroup) -> &mut Vec<RadiusServer> {
        match self {
            Service::Accounting => &mut group.accounting,
            Service::Authentication => &mut group.authentication,
        }
    }

    /// The server of the line as it is to be; one of that address, port and VRF is replaced as a whole.
    pub(super) fn set(self, edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
        let (address, vpn) = server_of(words);
        let source = source_of(words, address)?;
        let servers = self.servers(edit.group()?);
        let place = servers.iter().position(|server| server.is_at(address, vpn));
        if place.is_none() && servers.len() >= RadiusGroup::SERVER_COUNT_MAX {
            return Err(Refusal::ServersFull);
        }
        let current = place.and_then(|place| servers[place].shared_key.clone());
        let shared_key = edit.secret(words, current.as_ref())?;
        let server = RadiusServer {
            address,
            vpn,
            source,
            shared_key,
            weight: words.number_if("weight").unwrap_or(0),
            message_authenticator: words.has("message-authenticator"),
            tls: tls_of(words),
        };
        let servers = self.servers_mut(edit.group()?);
        match place {
            Some(place) => servers[place] = server,
            None => servers.push(server),
        }
        Ok(Done::Applied)
    }

    /// Without a port, every server of the address goes, and without a VRF only those that are in none.
    pub(super) fn undo(self, edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
        let (ip, vpn, port) = (words.address("ip"), words.interface_if("vpn"), words.number_if::<u16>("port"));
        let servers = self.servers_mut(edit.group()?);
        let count = servers.len();
        servers.retain(|RadiusServer { address, vpn: of, .. }| {
            address.ip() != ip || *of != vpn || port.is_some_and(|port| address.port() != port)
        });
        if servers.len() == count { Err(Refusal::ServerMissing) } else { Ok(Done::Applied) }
    }

    pub(super) fn stored(self, settings: &Settings, place: &Place) -> Vec<String> {
        let servers = group_of(settings, place).map_or(&[][..], |group| self.servers(group));
        servers.iter().map(|server| self.line(server)).collect()
    }

    fn line(self, server: &RadiusServer) -> String {
        let mut line = format!("radius-server {} {} {}", self.word(), server.address.ip(), server.address.port());
        if let Some(vpn) = &server.vpn {
            let _ = write!(line, " vpn-instance {vpn}");
        }
        if let Some(source) = &server.source {
            let _ = write!(line, " source {source}");
        }
        if let Some(secret) = &server.shared_key {
            let _ = write!(line, " shared-key-cipher {}", secret.stored());
        }
        let _ = write!(line, " weight {}", server.weight);
        if server.message_authenticator {
            line.push_str(" message-authenticator");
        }
        if let Some(tls) = &server.tls {
            write_tls(&mut line, tls);
        }
        line
    }
}

/// The server that a line names.
pub(super) fn server_of(words: &Words) -> (SocketAddr, Option<InterfaceName>) {
    (SocketAddr::new(words.address("ip"), words.number("port")), words.interface_if("vpn"))
}

/// Where requests to this server are to leave from, in its own family.
fn source_of(words: &Words, server: SocketAddr) -> Result<Option<Source>, Refusal> {
    match words.address_if("source") {
        Some(source) if source.is_ipv4() != server.is_ipv4() => Err(Refusal::SourceFamily),
        Some(source) => Ok(Some(Source::Address(source))),
        None => Ok(words.interface_if("interface").map(Source::Interface)),
    }
}

/// How to speak to it over TLS; `None`: in datagrams.
fn tls_of(words: &Words) -> Option<RadiusTls> {
    let text = |name| words.text_if(name).map(str::to_owned);
    let (cert, key, server_name) = (text("cert"), text("key"), text("name"));
    text("ca").map(|ca| RadiusTls { ca, cert, key, server_name })
}

fn write_tls(line: &mut String, tls: &RadiusTls) {
    let _ = write!(line, " tls ca {}", tls.ca);
    for (keyword, value) in [("cert", &tls.cert), ("key", &tls.key), ("server-name", &tls.server_name)] {
        if let Some(value) = value {
            let _ = write!(line, " {keyword} {value}");
        }
    }
}
