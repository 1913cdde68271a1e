//! A worker's connections to servers that are spoken to over TCP or TLS: the shard orders them, here they are made.
//!
//! **Comes in:** orders and packets of the shard, readiness of the datapath. **Goes out:** what becomes of connections, octets
//! that came in, in clear. **Never:** where a packet ends, or when to call again: that is the shard's.
//!
//! A connection that TLS protects stands for the shard when its handshake is over, and what the socket has taken of records is
//! told as packets. Why a handshake failed, or who cut a connection, is logged once for each cause and server, until it answers again.
//!
//! **Full:** the shard leaves no more than 64 KiB and a packet unwritten; a queue that takes no more all the same ends its
//! connection. No number or descriptor left: the call fails, and comes again.
//!
//! **Memory:** that of [`kernel::stream`] with 160 KiB of queue for each connection, and about 20 KiB for TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::{PortId, Shard, StreamEnd, StreamOrder};
use kernel::datapath::{Datapath, WatchIndex};
use kernel::stream::{ConnectSpec, EndCause, NotTaken, StreamEvent, StreamIndex, StreamLimits, Streams};
use model::settings::{InterfaceName, ServerPath, Transport};
use model::time::{Mono, Now};

use super::sockets::source_of;
use crate::run::tls::session::TlsSession;
use crate::run::tls::{TlsClients, cause};

/// Octets queued for one connection at most: what the shard leaves unwritten, in records of TLS around the shortest packets.
const QUEUE_OCTETS: usize = 160 * 1024;

/// A server that closes so soon behind a handshake does not take our certificate, or misses one. TLS 1.3 judges it when we are
/// through (RFC 8446 section 4.4.2.4), and not every server sends the alert.
const JUDGEMENT: Duration = Duration::from_secs(1);

/// One connection.
struct Line {
    port: PortId,
    server: ServerPath,
    tls: Option<Box<TlsSession>>,
    /// Which of the [`Connections::clients`] that have been here it began with.
    files: u64,
    /// When its handshake was over, until the server has said something behind it.
    untried_since: Option<Mono>,
}

/// A worker's connections.
pub(crate) struct Connections {
    streams: Streams,
    watch: WatchIndex,
    /// The datapath has said that there is something to look at.
    is_ready: bool,
    of_port: Vec<Option<StreamIndex>>,
    of_stream: Vec<Option<Line>>,
    clients: Arc<TlsClients>,
    /// Counts them.
    files: u64,
    /// What was said of servers whose TLS fails.
    said: BTreeMap<ServerPath, String>,
    /// Servers that have answered through TLS with the files of now, and not cut a handshake since.
    proved: BTreeSet<ServerPath>,
    /// Ends that are still to be told.
    ended: Vec<(PortId, StreamEnd)>,
    plain: Vec<u8>,
    wire: Vec<u8>,
}

impl Connections {
    /// Makes room for so many, whose readiness ends the datapath's wait.
    pub(crate) fn open(streams: u16, datapath: &mut Datapath) -> io::Result<Connections> {
        let streams = Streams::open(StreamLimits { streams, queue: QUEUE_OCTETS })?;
        let watch = datapath.watch_descriptor(&streams)?;
        Ok(Connections {
            streams,
            watch,
            is_ready: false,
            of_port: Vec::new(),
            of_stream: Vec::new(),
            clients: Arc::default(),
            files: 0,
            said: BTreeMap::new(),
            proved: BTreeSet::new(),
            ended: Vec::new(),
            plain: Vec::new(),
            wire: Vec::new(),
        })
    }

    /// What connections begin with from now on; those that stand keep what they have.
    pub(super) fn set_clients(&mut self, clients: Arc<TlsClients>) {
        self.said.clear();
        self.proved.clear();
        self.clients = clients;
        self.files += 1;
    }

    /// A watch has ended the wait.
    pub(super) fn note_woken(&mut self, watch: WatchIndex) {
        self.is_ready |= watch == self.watch;
    }

    /// Whether something is left that needs no waiting.
    pub(super) fn has_more(&self) -> bool {
        self.streams.has_more()
    }

    /// Tells the shard what has come, and does what it orders.
    pub(super) fn take(&mut self, shard: &mut Shard, now: Now) {
        if (std::mem::take(&mut self.is_ready) || self.streams.has_more())
            && let Err(error) = self.streams.look()
        {
            tracing::error!("the streams fail: {error}");
        }
        self.tell(shard, now);
    }

    /// Queues a packet. One whose connection has ended meanwhile goes nowhere: the shard is about to hear of that.
    pub(super) fn write(&mut self, port: PortId, packet: &[u8]) {
        let Some(&Some(stream)) = self.of_port.get(port.0 as usize) else { return };
        let Some(line) = self.of_stream[stream.number()].as_mut() else { return };
        let octets = match &mut line.tls {
            None => packet,
            Some(session) => {
                self.wire.clear();
                if session.put(packet, &mut self.wire).is_err() {
                    return self.end(stream, StreamEnd::Tls);
                }
                &self.wire
            }
        };
        let written = self.streams.write(stream, octets);
        if written == Err(NotTaken::Full) {
            self.end(stream, StreamEnd::Overflow);
        }
    }

    /// Lets leave what is queued, and tells the shard how much that was.
    pub(super) fn flush(&mut self, shard: &mut Shard, now: Now) {
        self.streams.flush();
        self.tell(shard, now);
    }

    /// Does what the shard orders.
    pub(super) fn obey(&mut self, shard: &mut Shard, now: Now) {
        while let Some(order) = shard.poll_stream_order() {
            match order {
                StreamOrder::Connect { port, server } => {
                    if let Err(end) = self.connect(port, server) {
                        shard.handle_stream_end(now.mono, port, end);
                    }
                }
                StreamOrder::Close { port } => self.close(port),
            }
        }
    }

    fn tell(&mut self, shard: &mut Shard, now: Now) {
        loop {
            // What the shard has ordered holds before the next is told: a port may stand for another connection then.
            for (port, end) in self.ended.drain(..) {
                shard.handle_stream_end(now.mono, port, end);
            }
            self.obey(shard, now);
            let Some(event) = self.streams.next() else { return };
            match event {
                StreamEvent::Connected(stream) => self.connected(stream, shard, now),
                StreamEvent::Octets(stream, octets) => {
                    let Some(Some(line)) = self.of_stream.get_mut(stream.number()) else { continue };
                    match &mut line.tls {
                        None => shard.handle_octets(now, line.port, octets),
                        Some(session) => {
                            self.plain.clear();
                            let was_established = session.is_established();
                            let taken = session.take(octets, &mut self.plain);
                            self.took(stream, was_established, taken, shard, now);
                        }
                    }
                }
                StreamEvent::Written(stream, octets) => {
                    let Some(Some(line)) = self.of_stream.get_mut(stream.number()) else { continue };
                    let octets = line.tls.as_mut().map_or(octets, |session| session.written(octets));
                    shard.handle_written(line.port, octets);
                }
                StreamEvent::Ended(stream, cause) => self.ended_by_itself(stream, cause, now),
            }
        }
    }

    fn connect(&mut self, port: PortId, server: ServerPath) -> Result<(), StreamEnd> {
        if server.transport == Transport::Tls && self.clients.get(&server).is_none() {
            // Whoever read its files has said why.
            return Err(StreamEnd::Local);
        }
        let stream = self.try_connect(&server).map_err(|error| {
            tracing::debug!(%server, "no connection: {error}");
            end_of(EndCause::of(&error))
        })?;
        if self.of_stream.len() <= stream.number() {
            self.of_stream.resize_with(stream.number() + 1, || None);
        }
        self.of_stream[stream.number()] =
            Some(Line { port, server, tls: None, files: self.files, untried_since: None });
        if self.of_port.len() <= port.0 as usize {
            self.of_port.resize(port.0 as usize + 1, None);
        }
        self.of_port[port.0 as usize] = Some(stream);
        Ok(())
    }

    fn try_connect(&mut self, server: &ServerPath) -> io::Result<StreamIndex> {
        let local = Some(source_of(server)?);
        let device = server.vpn.as_ref().map(InterfaceName::as_str);
        self.streams.connect(ConnectSpec { local, device, to: server.address })
    }

    /// The peer has accepted: a handshake begins, or the connection stands.
    fn connected(&mut self, stream: StreamIndex, shard: &mut Shard, now: Now) {
        let Some(Some(line)) = self.of_stream.get_mut(stream.number()) else { return };
        if line.server.transport != Transport::Tls {
            shard.handle_connected(now.mono, line.port);
            return;
        }
        // The files may have become unusable since the call.
        let begun = self.clients.get(&line.server).and_then(|client| TlsSession::begin(client).ok());
        match begun {
            Some(session) => {
                line.tls = Some(Box::new(session));
                self.send(stream);
            }
            None => self.end(stream, StreamEnd::Local),
        }
    }

    /// TLS has taken what came in, `plain` holds what it carried.
    fn took(
        &mut self,
        stream: StreamIndex,
        was_established: bool,
        taken: Result<bool, rustls::Error>,
        shard: &mut Shard,
        now: Now,
    ) {
        let Some(Some(line)) = self.of_stream.get_mut(stream.number()) else { return };
        let (port, server) = (line.port, line.server);
        let established = line.tls.as_ref().filter(|session| !was_established && session.is_established());
        if taken.is_ok()
            && let Some(session) = established
        {
            tracing::debug!(%server, version = session.version(), "TLS stands");
            line.untried_since = Some(now.mono);
            shard.handle_connected(now.mono, port);
        }
        // What answers to a handshake leaves, and an alert before the end.
        self.send(stream);
        match taken {
            Ok(is_closed) => {
                if !self.plain.is_empty() {
                    self.said.remove(&server);
                    if let Some(Some(line)) = self.of_stream.get_mut(stream.number()) {
                        line.untried_since = None;
                        if line.files == self.files {
                            self.proved.insert(server);
                        }
                    }
                    shard.handle_octets(now, port, &self.plain);
                }
                if is_closed {
                    self.end(stream, StreamEnd::Closed);
                }
            }
            Err(error) => {
                if let Some(client) = self.clients.get(&server) {
                    let cause = cause(&error, client);
                    self.say(server, refusal(&cause));
                }
                self.streams.flush();
                self.end(stream, StreamEnd::Tls);
            }
        }
    }

    /// Queues what TLS has to say for itself.
    fn send(&mut self, stream: StreamIndex) {
        let Some(Some(Line { tls: Some(session), .. })) = self.of_stream.get_mut(stream.number()) else { return };
        self.wire.clear();
        session.drain(&mut self.wire);
        if self.streams.write(stream, &self.wire) == Err(NotTaken::Full) {
            self.end(stream, StreamEnd::Overflow);
        } else {
            self.streams.flush();
        }
    }

    fn ended_by_itself(&mut self, stream: StreamIndex, cause: EndCause, now: Now) {
        let Some(line) = self.forget(stream) else { return };
        let is_by_peer = matches!(cause, EndCause::Closed | EndCause::Reset);
        let verdict = line.tls.as_ref().filter(|_| is_by_peer).and_then(|session| line.verdict(session, now.mono));
        // One that took us a moment ago was cut, as by a restart or on the way; if it does so once more, it means us.
        let verdict = verdict.filter(|_| !self.proved.remove(&line.server));
        let end = match verdict {
            Some(verdict) => {
                self.say(line.server, refusal(verdict));
                StreamEnd::Tls
            }
            None => {
                if line.tls.is_some() {
                    self.say(line.server, format!("RADIUS over TLS was cut: {}", cut_by(cause)));
                }
                end_of(cause)
            }
        };
        tracing::debug!(server = %line.server, ?end, "a connection has ended");
        self.ended.push((line.port, end));
    }

    /// Ends a connection, and lets the shard know.
    fn end(&mut self, stream: StreamIndex, end: StreamEnd) {
        if let Some(line) = self.forget(stream) {
            self.ended.push((line.port, end));
        }
        self.streams.close(stream);
    }

    /// Closes the connection that a port stands for, in order.
    fn close(&mut self, port: PortId) {
        let Some(&Some(stream)) = self.of_port.get(port.0 as usize) else { return };
        if let Some(Line { tls: Some(mut session), server, .. }) = self.forget(stream) {
            if !session.is_established() {
                self.say(server, refusal("it had not answered the handshake when the connection was given up"));
            }
            self.wire.clear();
            session.close(&mut self.wire);
            // What does not go at once is not waited for.
            if self.streams.write(stream, &self.wire).is_ok() {
                self.streams.flush();
            }
        }
        self.streams.close(stream);
    }

    fn forget(&mut self, stream: StreamIndex) -> Option<Line> {
        let line = self.of_stream.get_mut(stream.number())?.take()?;
        self.of_port[line.port.0 as usize] = None;
        Some(line)
    }

    /// Logs what became of TLS, unless that is what was said last.
    fn say(&mut self, server: ServerPath, sentence: String) {
        if self.said.get(&server) != Some(&sentence) {
            tracing::warn!(%server, "{sentence}");
            self.said.insert(server, sentence);
        }
    }
}

fn refusal(cause: &str) -> String {
    format!("no RADIUS over TLS: {cause}")
}

/// Who ended a connection that stood, without the end that TLS has for that.
fn cut_by(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Closed => "the server closed the connection, and did not say so within TLS",
        EndCause::Reset => "the server, or something before it, reset the connection",
        EndCause::Refused | EndCause::Unreachable | EndCause::TimedOut => "the network gave the connection up",
        EndCause::Local => "this box gave the connection up",
    }
}

impl Line {
    /// What it means for TLS that the peer has ended the connection; `None`: nothing.
    fn verdict(&self, session: &TlsSession, now: Mono) -> Option<&'static str> {
        if !session.is_established() {
            return Some("it ended the connection in the middle of the handshake");
        }
        let is_judged = self.untried_since.is_some_and(|since| now.since(since) < JUDGEMENT);
        is_judged
            .then_some("it ended the connection right behind the handshake: it may miss our certificate, or refuse it")
    }
}

fn end_of(cause: EndCause) -> StreamEnd {
    match cause {
        EndCause::Refused => StreamEnd::Refused,
        EndCause::Unreachable => StreamEnd::Unreachable,
        EndCause::TimedOut => StreamEnd::TimedOut,
        EndCause::Closed => StreamEnd::Closed,
        EndCause::Local => StreamEnd::Local,
        EndCause::Reset => StreamEnd::Reset,
    }
}
