//! Which socket a port of the shard stands for, and where requests leave from.

use std::net::{IpAddr, SocketAddr};

use engine::PortId;
use kernel::datapath::{BindSpec, Datapath, SocketIndex};
use kernel::source::{Family, address_of, source_towards};
use model::settings::{InterfaceName, ServerPath, Source};

/// The kernel's buffer of each socket, octets: four thousand replies.
const SOCKET_BUFFER: u32 = 1 << 20;

/// Which socket belongs to which port of the shard.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) of_port: Vec<Option<SocketIndex>>,
    pub(super) of_socket: Vec<Option<PortId>>,
}

impl Sockets {
    fn join(&mut self, port: PortId, socket: SocketIndex) {
        let place = port.0 as usize;
        if self.of_port.len() <= place {
            self.of_port.resize(place + 1, None);
        }
        self.of_port[place] = Some(socket);
        if self.of_socket.len() <= socket.number() {
            self.of_socket.resize(socket.number() + 1, None);
        }
        self.of_socket[socket.number()] = Some(port);
    }

    /// Closes a port's socket.
    pub(super) fn close(&mut self, datapath: &mut Datapath, port: PortId) {
        if let Some(socket) = self.of_port.get_mut(port.0 as usize).and_then(Option::take) {
            self.of_socket[socket.number()] = None;
            datapath.close(socket);
        }
    }

    /// Binds all of a server's ports, or none.
    pub(super) fn bind(
        &mut self,
        datapath: &mut Datapath,
        server: &ServerPath,
        ports: impl Iterator<Item = PortId>,
    ) -> Result<IpAddr, String> {
        let source = source_towards_server(server)?;
        let (local, device) = (SocketAddr::new(source, 0), server.vpn.as_ref().map(InterfaceName::as_str));
        let spec = BindSpec { local, device, receive_buffer: SOCKET_BUFFER, send_buffer: SOCKET_BUFFER };
        let mut bound = Vec::new();
        for port in ports {
            match datapath.bind(spec) {
                Ok(socket) => bound.push((port, socket)),
                Err(error) => {
                    bound.iter().for_each(|&(_, socket)| datapath.close(socket));
                    return Err(format!("no source port towards {server}: {error}"));
                }
            }
        }
        bound.into_iter().for_each(|(port, socket)| self.join(port, socket));
        Ok(source)
    }
}

/// The same, or the sentence that says why there is none.
pub(super) fn source_towards_server(server: &ServerPath) -> Result<IpAddr, String> {
    source_of(server).map_err(|error| format!("no source address towards {server}: {error}"))
}

/// The address that requests for this server leave from.
pub(super) fn source_of(server: &ServerPath) -> std::io::Result<IpAddr> {
    match server.source {
        None => source_towards(server.address, server.vpn.as_ref().map(InterfaceName::as_str)),
        Some(Source::Interface(name)) => address_of(name.as_str(), Family::of(&server.address)),
        Some(Source::Address(address)) => Ok(address),
    }
}
