//! A worker: one core, one shard, one datapath, and one loop written from top to bottom.

mod receive;
mod relay;
mod sockets;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::Sender;
use engine::authorization::{Outcome, Token};
use engine::relay::Arrived;
use engine::{Found, Notice, PortId, Search, Searched, Shard, Survey, TransmitBatch};
use kernel::datapath::{Completion, Datapath};
use kernel::waker::Waker;
use lanes::growing::Growing;
use lanes::ring::Producer;
use ledger::frame::{self, RECORD_LEN_MAX};
use model::ids::BillId;
use model::record::Record;
use model::report::{AccessUser, SessionStory, SurveyReport};
use model::settings::{ServerPath, Settings};
use model::time::{Mono, Now};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::clock;
use super::messages::{WorkerInbox, WorkerMessage, WriterMessage};
use super::planes::LinkedPlanes;
use super::relay::RelaySetup;
use super::ring::WriterBell;
use super::server_news::{AnnouncingNews, ServerNews, WorkerNews};
use super::tls::TlsClients;
use receive::ReceiveBatch;
pub(crate) use relay::RelayDoor;
use sockets::Sockets;
pub(crate) use streams::Connections;

/// Events taken from one ring before the rest of the loop has its turn.
const EVENTS_MAX: usize = 256;
/// Records on their way to the disk beyond which events stay with their planes. They become durable in their order, so whoever comes
/// through another plane waits behind them: with four times as many a storm of log-ins comes in a fifth sooner, and he waits twice
/// as long.
const UNDER_WAY_MAX: u64 = 2048;
/// Batches sent before replies have their turn.
const BATCHES_MAX: usize = 16;
/// Sessions that a walk looks at in one round.
const SURVEYED_MAX: usize = 1024;
/// The longest sleep; nothing depends on it but the reading of this number.
const NAP: Duration = Duration::from_millis(500);
/// How long a worker that ends waits for room in its ring.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long a server that has no source ports waits for the next try.
const BIND_AGAIN: Duration = Duration::from_secs(30);

/// Everything that a worker owns.
pub(crate) struct Worker {
    pub(crate) shard: Shard,
    pub(crate) datapath: Datapath,
    pub(crate) ring: Producer,
    pub(crate) durable: Arc<Growing>,
    /// What the shard still needs of its records, for whoever throws segments away.
    pub(crate) needed: Arc<Growing>,
    pub(crate) writer: WriterBell,
    writer_inbox: Sender<WriterMessage>,
    pub(crate) inbox: WorkerInbox,
    /// Kept open while the datapath watches it.
    _waker: Arc<Waker>,
    pub(crate) planes: LinkedPlanes,
    sockets: Sockets,
    connections: Connections,
    relay: RelayDoor,
    batch: TransmitBatch,
    received: ReceiveBatch,
    /// Whether the last round left something undone that needs no waiting.
    hurried: bool,
    number: u16,
    /// Whether a server answers, as the writer knows it.
    answers: bool,
    /// Whether events were left to the planes because the ledger does not keep up: its next word ends the sleep.
    gated: bool,
    /// When servers without source ports are tried again.
    bind_again: Option<Mono>,
    /// To the control thread.
    news: UnboundedSender<WorkerNews>,
    /// Who waits to hear that the servers know that accounting has ceased.
    told_off: Vec<oneshot::Sender<(u64, u64)>>,
    /// Walks over the sessions that are under way, and who waits for what they find.
    surveys: Vec<(Survey, oneshot::Sender<SurveyReport>)>,
    /// Searches for one session each, and who waits for what is found.
    searches: Vec<(Search, Wanted)>,
    /// Who waits for the outcome of an order.
    orders: Vec<(Token, oneshot::Sender<Outcome>)>,
}

/// What is told of the session that a search finds.
enum Wanted {
    Row(oneshot::Sender<Option<AccessUser>>),
    Story(oneshot::Sender<Option<SessionStory>>),
}

/// One shard's end of its way to the writer.
pub(crate) struct Seat {
    pub(crate) number: u16,
    pub(crate) ring: Producer,
    pub(crate) durable: Arc<Growing>,
    pub(crate) needed: Arc<Growing>,
    /// Ends the worker's sleep.
    pub(crate) waker: Arc<Waker>,
}

impl Worker {
    pub(crate) fn new(
        shard: Shard,
        wires: (Datapath, Connections),
        seat: Seat,
        writer: (WriterBell, Sender<WriterMessage>),
        inbox: WorkerInbox,
        (planes, relay): (LinkedPlanes, RelayDoor),
        news: UnboundedSender<WorkerNews>,
    ) -> Worker {
        let Seat { number, ring, durable, needed, waker } = seat;
        Worker {
            shard,
            datapath: wires.0,
            ring,
            durable,
            needed,
            writer: writer.0,
            writer_inbox: writer.1,
            inbox,
            _waker: waker,
            planes,
            sockets: Sockets::default(),
            connections: wires.1,
            relay,
            batch: TransmitBatch::default(),
            received: ReceiveBatch::default(),
            hurried: false,
            number,
            answers: false,
            gated: false,
            bind_again: None,
            news,
            told_off: Vec::new(),
            surveys: Vec::new(),
            searches: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Runs until it is told to end.
    pub(crate) fn run(mut self) {
        loop {
            self.hurried = false;
            let now = clock::now();
            if !self.read_messages(now) {
                break;
            }
            self.take_events(now);
            self.take_datagrams(now);
            self.hurried |= self.relay.take(now, &mut self.shard, &self.datapath);
            self.connections.take(&mut self.shard, now);
            self.shard.handle_timeout(now, self.planes.counters());
            self.connections.obey(&mut self.shard, now);
            self.close_ports();
            self.bind_late(now);
            self.shard.sweep(now, self.planes.counters());
            // What has become durable may leave in this round: nothing else would end the sleep behind it.
            let durable = self.durable.reached();
            self.shard.handle_durable(now, durable);
            self.go_on_surveying();
            self.go_on_searching(now);
            self.answer_orders();
            self.answer_told_off();
            self.tell_needed();
            self.transmit(now);
            self.relay.transmit(now, durable, &mut self.datapath);
            self.connections.obey(&mut self.shard, now);
            self.hand_over_records();
            // The verdict first: who sees its events taken over may leave.
            self.planes.pass_verdicts(now, &mut self.shard, &mut self.relay);
            self.planes.publish(durable);
            self.log_notices();
            self.tell_answers();
            self.wait(now);
        }
        self.hand_over_everything();
    }

    fn read_messages(&mut self, now: Now) -> bool {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                WorkerMessage::Configure(settings, clients, relay, reply) => {
                    let _ = reply.send(self.configure(&settings, clients, relay, now));
                }
                WorkerMessage::Certificates(clients) => self.connections.set_clients(clients),
                WorkerMessage::Report(reply) => {
                    let _ = reply.send(self.shard.report());
                }
                WorkerMessage::RelayReport(reply) => {
                    let _ = reply.send(self.relay.report(&self.shard));
                }
                WorkerMessage::Survey(reply) => self.surveys.push((Survey::default(), reply)),
                WorkerMessage::AccessUsers(count, reply) => {
                    let _ = reply.send(self.shard.access_users(now, self.planes.counters(), count));
                }
                WorkerMessage::AccessUser(id, reply) => {
                    self.searches.push((Search::new(id.as_bytes()), Wanted::Row(reply)));
                }
                WorkerMessage::Story(id, reply) => {
                    self.searches.push((Search::new(id.as_bytes()), Wanted::Story(reply)));
                }
                WorkerMessage::ServerNews(server, news) => self.shard.handle_server_news(now.mono, server, news),
                WorkerMessage::QueuedStops(count, reply) => {
                    let _ = reply.send(self.shard.queued_stops(count));
                }
                WorkerMessage::ResendQueue(reply) => {
                    let _ = reply.send(self.shard.resend_queued(now.mono));
                }
                WorkerMessage::ResetQueue(selector, reply) => {
                    let _ = reply.send(self.shard.reset_queued(selector));
                }
                WorkerMessage::Cut(selector, reply) => {
                    let _ = reply.send(self.shard.cut_access_users(now, &selector));
                }
                WorkerMessage::Order(token, order, reply) => {
                    self.orders.push((token, reply));
                    self.shard.handle_order(now, token, &order);
                }
                WorkerMessage::Announcing(AnnouncingNews::OldStopsGone) => self.shard.handle_old_stops_gone(),
                WorkerMessage::Announcing(AnnouncingNews::StartsMayGo(server)) => {
                    self.shard.handle_starts_may_go(server);
                }
                WorkerMessage::ShutDown(reply) => {
                    let _ = reply.send(self.shard.shut_down(now));
                }
                WorkerMessage::AnnounceOff(reply) => {
                    self.shard.announce_off(now);
                    self.told_off.push(reply);
                }
                WorkerMessage::Replay(id, record) => self.replay(now, id, &record),
                WorkerMessage::Link(event) => {
                    self.planes.handle_link(event, now.mono, &mut self.shard, &mut self.datapath);
                }
                WorkerMessage::Shutdown => return false,
            }
        }
        true
    }

    /// A bounded part of each walk over the sessions.
    fn go_on_surveying(&mut self) {
        let (shard, mut surveys) = (&self.shard, std::mem::take(&mut self.surveys));
        for (mut survey, reply) in surveys.drain(..) {
            match shard.survey(&mut survey, SURVEYED_MAX) {
                // Whoever asked may have gone.
                Some(found) => drop(reply.send(found)),
                None => self.surveys.push((survey, reply)),
            }
        }
        self.hurried |= !self.surveys.is_empty();
    }

    /// A bounded part of each search.
    fn go_on_searching(&mut self, now: Now) {
        for (mut search, wanted) in std::mem::take(&mut self.searches) {
            match self.shard.search(&mut search, SURVEYED_MAX) {
                Searched::GoesOn => self.searches.push((search, wanted)),
                // Whoever asked may have gone, and hears of nothing when this one is dropped.
                Searched::Nowhere => drop(wanted),
                Searched::Found(found) => self.tell_of(found, wanted, now),
            }
        }
        self.hurried |= !self.searches.is_empty();
    }

    fn tell_of(&self, found: Found, wanted: Wanted, now: Now) {
        let counters = self.planes.counters();
        match wanted {
            Wanted::Row(reply) => {
                let _ = reply.send(Some(self.shard.found_user(now, counters, found)));
            }
            Wanted::Story(reply) => {
                let _ = reply.send(Some(self.shard.story(now, counters, found)));
            }
        }
    }

    /// Sends a bill's Stop once more.
    fn replay(&mut self, now: Now, id: BillId, record: &[u8]) {
        let taken = match frame::decode(record) {
            Ok(Record::Billed(bill)) => self.shard.replay_bill(now, id, &bill).is_ok(),
            _ => false,
        };
        if !taken {
            self.tell_writer(WriterMessage::ReplayRefused(id));
        }
    }

    /// Tells the writer when the first server begins to answer, and when the last has ceased.
    fn tell_answers(&mut self) {
        let answers = self.shard.has_answering_server();
        if std::mem::replace(&mut self.answers, answers) != answers {
            self.tell_writer(WriterMessage::ServersAnswer { shard: self.number, answers });
        }
    }

    fn tell_writer(&self, message: WriterMessage) {
        if self.writer_inbox.send(message).is_ok() {
            self.writer.ring();
        }
    }

    /// Takes a configuration and binds the sockets that it needs. Gives back what is wrong with servers that cannot be
    /// spoken to for now: their groups make do with the others, and they are tried again by and by.
    pub(crate) fn configure(
        &mut self,
        settings: &Settings,
        clients: Arc<TlsClients>,
        relay: RelaySetup,
        now: Now,
    ) -> Vec<String> {
        self.connections.set_clients(clients);
        self.shard.configure(settings);
        let problem = self.relay.configure(relay, now, &mut self.shard, &mut self.datapath);
        let mut problems = self.bind_ports(now);
        problems.extend(problem);
        problems
    }

    /// Sockets of paths that no group leads to any more, and that nothing is out from.
    fn close_ports(&mut self) {
        while let Some(port) = self.shard.poll_unused_port() {
            self.sockets.close(&mut self.datapath, port);
        }
    }

    fn bind_late(&mut self, now: Now) {
        if self.bind_again.is_some_and(|at| at <= now.mono) {
            self.bind_ports(now);
        }
    }

    fn bind_ports(&mut self, now: Now) -> Vec<String> {
        let unbound: Vec<(PortId, ServerPath)> = self.shard.unbound_ports().collect();
        let mut servers: Vec<ServerPath> = unbound.iter().map(|&(_, server)| server).collect();
        servers.dedup();
        let mut problems = Vec::new();
        for server in servers {
            let ports = unbound.iter().filter(|&&(_, other)| other == server).map(|&(port, _)| port);
            let bound = match server.transport.is_stream() {
                // Connections are made when they are needed; where they come from is known now.
                true => sockets::source_towards_server(&server),
                false => self.sockets.bind(&mut self.datapath, &server, ports),
            };
            match bound {
                Ok(source) => self.shard.handle_bound(server, source),
                Err(problem) => {
                    self.shard.handle_not_bound(server);
                    problems.push(problem);
                }
            }
        }
        self.bind_again = (!problems.is_empty()).then(|| now.mono.plus(BIND_AGAIN));
        problems
    }

    /// Step 1 and 2: events of the planes, as long as the ledger keeps up.
    fn take_events(&mut self, now: Now) {
        // With a full ring, what the planes say stays with them.
        let under_way = self.shard.record_count() - self.durable.reached();
        self.gated = self.shard.owes_records() || under_way > UNDER_WAY_MAX;
        self.relay.gate(self.gated);
        if self.gated {
            // Samples and checkpoints alone have not woken it.
            self.writer.ring();
            self.shard.handle_events_left(now.mono);
            return;
        }
        self.hurried |= self.planes.take_events(&mut self.shard, now, EVENTS_MAX);
    }

    /// Step 6: replies, verified many at once.
    fn take_datagrams(&mut self, now: Now) {
        loop {
            self.received.clear();
            while !self.received.is_full()
                && let Some(completion) = self.datapath.next()
            {
                match completion {
                    Completion::Datagram { socket, from, bytes, truncated } if self.relay.is_its(socket) => {
                        let arrived = Arrived { from, octets: bytes, truncated };
                        self.relay.receive(now, &mut self.shard, socket, &arrived);
                    }
                    Completion::Datagram { socket, from, bytes, truncated } => {
                        if let Some(&Some(port)) = self.sockets.of_socket.get(socket.number()) {
                            self.received.push(port, from, bytes, truncated);
                        }
                    }
                    Completion::TransmitFailed { to, datagrams, error, .. } => {
                        // The wait for a reply runs out as if the network had lost it.
                        tracing::debug!(%to, datagrams, ?error, "not sent");
                    }
                    // Bells only end the wait; the loop looks at everything else anyway.
                    Completion::Woken { watch } => self.connections.note_woken(watch),
                }
            }
            if self.received.is_empty() {
                return;
            }
            self.received.hand_over(&mut self.shard, now);
        }
    }

    /// Steps 4 and 5: what is due, as long as there is room.
    fn transmit(&mut self, now: Now) {
        for _ in 0..BATCHES_MAX {
            let room = self.datapath.transmit_room();
            if room == 0 {
                return;
            }
            self.shard.poll_transmit(now, self.planes.counters(), room, &mut self.batch);
            if self.batch.is_empty() {
                return;
            }
            for transmit in self.batch.iter() {
                if let Some(&Some(socket)) = self.sockets.of_port.get(transmit.port.0 as usize) {
                    // Not queued is as good as lost: it is sent again when its wait runs out.
                    let _ = self.datapath.transmit(socket, transmit.to, transmit.octets);
                } else {
                    self.connections.write(transmit.port, transmit.octets);
                }
            }
            // How much has left decides how much more may.
            self.connections.flush(&mut self.shard, now);
        }
        self.hurried = true;
    }

    /// Step 8: room first, record second. Nobody waits for a sample or a checkpoint, so these alone do not wake the writer.
    fn hand_over_records(&mut self) {
        let (mut any, mut urgent) = (false, false);
        while let Some(mut grant) = self.ring.reserve(RECORD_LEN_MAX) {
            let Some(record) = self.shard.poll_record() else { break };
            let is_sample = matches!(record, Record::Sampled(_) | Record::SampledMany(_));
            urgent |= !is_sample && !matches!(record, Record::Checkpointed(_) | Record::Heard(_));
            let length = frame::encode(&record, &mut grant).expect("a record is no longer than the longest");
            grant.commit_len(length);
            any = true;
        }
        if any {
            self.ring.publish();
        }
        if urgent || !self.orders.is_empty() || self.relay.waits() || self.shard.owes_records() {
            self.writer.ring();
        }
        if self.shard.has_told_of_sessions() {
            self.relay.mark(self.shard.record_count());
        }
        if self.shard.has_told_all() {
            self.planes.mark(self.shard.record_count());
        }
    }

    fn answer_told_off(&mut self) {
        if !self.told_off.is_empty()
            && let Some(counts) = self.shard.told_off()
        {
            for reply in self.told_off.drain(..) {
                // Who does not wait any more needs no answer.
                let _ = reply.send(counts);
            }
        }
    }

    /// Who gave an order hears of it when the ledger has what it changed.
    fn answer_orders(&mut self) {
        while let Some((token, outcome)) = self.shard.poll_outcome() {
            if let Some(place) = self.orders.iter().position(|(other, _)| *other == token) {
                // Who does not wait any more needs no answer.
                let _ = self.orders.swap_remove(place).1.send(outcome);
            }
        }
    }

    fn tell_needed(&self) {
        let needed = self.shard.needed_from();
        if self.needed.reached() != needed {
            self.needed.announce(needed);
        }
    }

    /// The last words: every record that is owed reaches the writer, unless the disk fails. What does not was promised to
    /// nobody: its events stay with the planes.
    fn hand_over_everything(&mut self) {
        self.shard.handle_end();
        self.hand_over_records();
        let patience = clock::now().mono.plus(LAST_WORDS);
        while self.shard.owes_records() && clock::now().mono < patience {
            self.shard.handle_durable(clock::now(), self.durable.reached());
            std::thread::sleep(Duration::from_millis(1));
            self.hand_over_records();
        }
    }

    fn log_notices(&mut self) {
        while let Some(notice) = self.shard.poll_notice() {
            match notice {
                Notice::Server(server, news) => {
                    // Who has ended needs no news.
                    let _ = self.news.send(WorkerNews::Server(ServerNews { shard: self.number, server, news }));
                }
                Notice::PathLeft(server) => {
                    let _ = self.news.send(WorkerNews::PathLeft(server));
                }
                Notice::OldStopsGone => self.tell_others(AnnouncingNews::OldStopsGone),
                Notice::StartsMayGo(server) => self.tell_others(AnnouncingNews::StartsMayGo(server)),
                Notice::Announced { server, is_off, is_answered } => {
                    let packet = if is_off { "Accounting-Off" } else { "Accounting-On" };
                    if is_answered {
                        tracing::info!(%server, "{packet} was acknowledged");
                    } else {
                        tracing::warn!(%server, "{packet} was not acknowledged; it is not sent any more");
                    }
                }
                Notice::BadReply { server, error } => {
                    tracing::warn!(%server, "{error}; the connection is closed");
                }
                Notice::WouldCut(serial) => {
                    tracing::warn!(
                        epoch = serial.epoch,
                        sequence = serial.sequence,
                        "the user would be logged out; accounting policy shadow keeps it online"
                    );
                }
                Notice::WouldRefuse(serial) => {
                    tracing::warn!(
                        epoch = serial.epoch,
                        sequence = serial.sequence,
                        "the log-in would be refused; accounting policy shadow lets it in"
                    );
                }
                Notice::BrakeHolds { online } => {
                    tracing::error!(target: "alarm", online, "hwAcctCutBrakeHolds");
                }
                Notice::BrakeReleased { held } => {
                    tracing::warn!(target: "alarm", held, "hwAcctCutBrakeReleased");
                }
                Notice::QueueFills { users, most } => {
                    let shard = self.number;
                    tracing::warn!(target: "alarm", shard, users, most, "hwRadiusAcctCacheHigh");
                }
                Notice::QueueDrains { users, most } => {
                    let shard = self.number;
                    tracing::warn!(target: "alarm", shard, users, most, "hwRadiusAcctCacheHighClear");
                }
                Notice::CountersFell(serial) => {
                    tracing::warn!(
                        epoch = serial.epoch,
                        sequence = serial.sequence,
                        "counters fell without a new generation; they are taken to have begun again"
                    );
                }
                Notice::QuotaOut(serial) => {
                    tracing::info!(
                        epoch = serial.epoch,
                        sequence = serial.sequence,
                        "a quota is used up, or the session timeout has run out; quota-out keeps the user online"
                    );
                }
                Notice::CopyGivenUp(serial) => {
                    let (epoch, sequence) = (serial.epoch, serial.sequence);
                    tracing::warn!(
                        epoch,
                        sequence,
                        "no copy server answered; the user's accounting is not copied any more"
                    );
                }
                Notice::InterimFailed(serial) => {
                    tracing::warn!(
                        epoch = serial.epoch,
                        sequence = serial.sequence,
                        "real-time accounting failed; the user stays online"
                    );
                }
            }
        }
    }

    fn tell_others(&self, news: AnnouncingNews) {
        // Who has ended needs no news.
        let _ = self.news.send(WorkerNews::Announcing(self.number, news));
    }

    fn wait(&mut self, now: Now) {
        let timeouts = [self.shard.poll_timeout(), self.relay.poll_timeout()];
        let until = timeouts.into_iter().flatten().min().map_or(NAP, |at| at.since(now.mono));
        let hurried = self.hurried || self.connections.has_more();
        let mut timeout = if hurried { Duration::ZERO } else { until.min(NAP).min(self.planes.longest_sleep()) };
        if !timeout.is_zero() && !self.gated && !self.planes.about_to_sleep() {
            timeout = Duration::ZERO;
        }
        let together = match self.orders.is_empty() && self.told_off.is_empty() {
            true if self.relay.gathers() => engine::BATCH_MAX,
            true => self.shard.replies_in_no_hurry(),
            false => 1,
        };
        if let Err(error) = self.datapath.submit_and_gather(Some(timeout), together) {
            tracing::error!("the datapath fails: {error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.planes.awake();
    }
}
