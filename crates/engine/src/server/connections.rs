//! A server that is spoken to through connections: which of them take a request, how many more are wanted, and what had an
//! identifier on one that has ended.

use model::settings::Transport;
use model::time::Mono;

use super::{Identifier, Port, PortId, Server, WATCH};
use crate::connection::{Connection, Single, State};
use crate::session::NONE;

impl Server {
    pub(crate) fn is_stream(&self) -> bool {
        self.path.transport.is_stream()
    }

    /// Whether a request can leave now, as far as connections go.
    pub(crate) fn is_connected(&self) -> bool {
        !self.is_stream() || self.ports.iter().any(|port| port.has_room(self.path.transport))
    }

    /// Whether something can be sent to it now, alive or not.
    pub(crate) fn is_reached(&self) -> bool {
        self.source.is_some() && self.is_connected()
    }

    /// The connection that a port is.
    pub(crate) fn connection(&mut self, port: u16) -> Option<&mut Connection> {
        self.ports.get_mut(usize::from(port))?.connection.as_mut()
    }

    /// How a port's connection stands.
    pub(crate) fn connection_state(&self, port: u16) -> State {
        let connection = self.ports.get(usize::from(port)).and_then(|port| port.connection.as_ref());
        connection.map_or(State::Closed, |connection| connection.state)
    }

    /// Whether the others do not wait for it: it is tried out again, or its connections led to nothing and it is not called for a
    /// while.
    pub(crate) fn is_doubtful(&self, now: Mono) -> bool {
        self.is_on_trial() || self.is_stream() && !self.is_connected() && !self.calls.may(now)
    }

    /// An identifier on the connection that the port is now.
    pub(crate) fn identifier(&self, port: u16, value: u8) -> Identifier {
        Identifier { port, value, life: self.ports[usize::from(port)].life() }
    }

    /// How many more connections `waiting` requests need: TLS and multiplexed TACACS+ have one more when none has room, the others
    /// one for each request, as far as the window goes.
    pub(crate) fn connections_wanted(&self, waiting: u32) -> u32 {
        let states = self.ports.iter().filter_map(|port| port.connection.as_ref().map(|connection| (port, connection)));
        let is_shared = match self.path.transport {
            Transport::Datagrams => return 0,
            Transport::Tls => true,
            Transport::TacacsSingle => !self.refuses_single,
            Transport::Tacacs => false,
        };
        let (mut coming, mut free, mut standing) = (0, 0, 0);
        for (port, connection) in states {
            coming += u32::from(matches!(connection.state, State::Calling(_)));
            free += u32::from(port.has_room(self.path.transport));
            standing += u32::from(connection.state == State::Open);
        }
        let is_one_enough = self.path.transport == Transport::TacacsSingle && is_shared && standing > 0;
        match is_shared {
            true => u32::from(coming + free == 0 && !is_one_enough),
            false => {
                waiting.min(self.window.width().saturating_sub(self.in_flight)).max(1).saturating_sub(coming + free)
            }
        }
    }

    /// Whether a connection stands on which it has answered.
    pub(crate) fn answers_elsewhere(&self) -> bool {
        let mut connections = self.ports.iter().filter_map(|port| port.connection.as_ref());
        connections.any(|connection| connection.state == State::Open && connection.has_answered)
    }

    /// Up to so many connections that may be called now, each with the port that it is; they are taken for called.
    pub(crate) fn call(&mut self, count: u32, now: Mono) -> impl Iterator<Item = PortId> {
        self.calls.is_wanted = count > 0;
        let (count, until) = (if self.calls.may(now) { count } else { 0 }, now.plus(self.call_timeout));
        let closed = self.ports.iter_mut().filter_map(|port| {
            let connection = port.connection.as_mut().filter(|connection| connection.state == State::Closed)?;
            Some((port.id, connection))
        });
        closed.take(count as usize).map(move |(id, connection)| {
            connection.state = State::Calling(until);
            id
        })
    }

    /// Ports whose connections were called and should stand by now.
    pub(crate) fn calls_overdue(&self, now: Mono) -> impl Iterator<Item = u16> {
        let is_overdue =
            move |connection: &Connection| matches!(connection.state, State::Calling(until) if until <= now);
        (0_u16..)
            .zip(&self.ports)
            .filter(move |(_, port)| port.connection.as_ref().is_some_and(is_overdue))
            .map(|(n, _)| n)
    }

    /// What asks on this connection whether anybody is at its other end; `None`: its identifiers are all in use.
    pub(crate) fn take_watch(&mut self, port: u16) -> Option<Identifier> {
        let place = &mut self.ports[usize::from(port)];
        let value = place.take()?;
        place.requests[usize::from(value)] = WATCH;
        Some(Identifier { port, value, life: place.life() })
    }

    /// Connections that have been quiet for too long, or whose peer has not answered that.
    pub(crate) fn watches_due(&self, now: Mono) -> impl Iterator<Item = u16> {
        let is_radius = self.path.transport == Transport::Tls;
        let ports = (0_u16..).zip(&self.ports).filter(move |_| is_radius);
        let is_due = move |port: &Port| port.next_watch().is_some_and(|at| at <= now);
        ports.filter(move |(_, port)| is_due(port)).map(|(number, _)| number)
    }

    pub(super) fn next_watch(&self) -> Option<Mono> {
        let ports = self.ports.iter().filter(|_| self.path.transport == Transport::Tls);
        ports.filter_map(Port::next_watch).min()
    }

    pub(super) fn next_call_end(&self) -> Option<Mono> {
        let untils = self.ports.iter().filter_map(|port| match port.connection.as_ref()?.state {
            State::Calling(until) => Some(until),
            State::Closed | State::Open => None,
        });
        untils.min()
    }

    /// Whether a connection that ends now was of no use: nothing was asked through it, and it stood for a moment only. A balancer
    /// with nobody behind it does so.
    pub(crate) fn has_hung_up(&self, port: u16, now: Mono) -> bool {
        let port = &self.ports[usize::from(port)];
        port.used() == 0 && port.connection.as_ref().is_some_and(|connection| connection.was_in_vain(now))
    }

    /// Connections that stand or are called.
    pub(crate) fn connections(&self) -> impl Iterator<Item = u16> {
        let is_open =
            |port: &Port| port.connection.as_ref().is_some_and(|connection| connection.state != State::Closed);
        (0_u16..).zip(&self.ports).filter(move |(_, port)| is_open(port)).map(|(number, _)| number)
    }

    /// The server has said whether it takes several requests on one connection.
    pub(crate) fn learn_single(&mut self, port: u16, agrees: bool) {
        self.refuses_single = !agrees;
        if let Some(connection) = self.connection(port) {
            connection.single = if agrees { Single::Agreed } else { Single::Refused };
        }
    }

    /// A connection has ended: whatever had an identifier on it has none any more. Gives the requests among them.
    pub(crate) fn disconnect(&mut self, port: u16) -> Vec<u32> {
        let Port { used, requests, connection, .. } = &mut self.ports[usize::from(port)];
        if let Some(connection) = connection {
            connection.close();
        }
        let cut_off: Vec<u32> = requests.iter().copied().filter(|&request| request < WATCH).collect();
        (*used, **requests) = ([0; 4], [NONE; 256]);
        self.quarantine.retain(|(_, identifier)| identifier.port != port);
        self.in_flight -= u32::try_from(cut_off.len()).expect("at most 256");
        cut_off
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};
    use std::time::Duration;

    use model::settings::{RadiusHealth, ServerPath};

    use super::super::{Lookup, Standing};
    use super::*;
    use crate::health::Rules;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn another_connection_comes_when_the_first_has_no_identifier_left() {
        let path = ServerPath { transport: Transport::Tls, ..SocketAddr::from(([127, 0, 0, 1], 2083)).into() };
        let mut server = Server::new(path, Rules::from(&RadiusHealth::default()));
        server.source = Some(IpAddr::from([127, 0, 0, 1]));
        for port in 0..2 {
            server.add_port(PortId(port));
        }
        assert_eq!((server.standing(at(0)), server.connections_wanted(1000)), (Standing::Full, 1));
        for port in 0..2 {
            assert_eq!(server.call(1, at(0)).collect::<Vec<_>>(), [PortId(port.into())]);
            assert_eq!(server.connections_wanted(1000), 0, "one is on its way");
            server.connection(port).unwrap().open(at(0));
            assert_eq!(server.connections_wanted(1000), 0);
            let taken: Vec<_> = (0..300).filter_map(|request| server.take_identifier(request)).collect();
            assert_eq!(taken.len(), 256);
            assert!(taken.iter().all(|identifier| identifier.port == port));
            assert_eq!((server.is_connected(), server.connections_wanted(1000)), (false, 1));
        }
        assert_eq!(server.call(1, at(0)).count(), 0, "there are no more");
        let old = server.identifier(0, 9);
        assert_eq!(server.disconnect(0).len(), 256);
        assert_eq!((server.in_flight, server.lookup(old)), (256, Lookup::Unknown));
        server.call(1, at(1)).for_each(drop);
        server.connection(0).unwrap().open(at(1));
        let new = server.take_identifier(7).unwrap();
        assert_ne!(new.life, old.life);
        server.rest(old, at(1), Duration::ZERO);
        server.handle_timeout(at(100));
        assert_eq!(server.lookup(new), Lookup::Request(7), "an old identifier frees no new one");
    }

    #[test]
    fn one_that_takes_no_further_connection_answers_on_the_others() {
        let path = ServerPath { transport: Transport::Tls, ..SocketAddr::from(([127, 0, 0, 1], 2083)).into() };
        let mut server = Server::new(path, Rules::from(&RadiusHealth::default()));
        (0..2).for_each(|port| _ = server.add_port(PortId(port)));
        server.call(1, at(0)).for_each(drop);
        assert!(!server.answers_elsewhere(), "called");
        server.connection(0).unwrap().open(at(0));
        assert!(!server.answers_elsewhere(), "nothing came yet");
        server.connection(0).unwrap().has_answered = true;
        server.call(1, at(0)).for_each(drop);
        server.disconnect(1);
        assert!(server.answers_elsewhere());
        server.disconnect(0);
        assert!(!server.answers_elsewhere());
    }
}
