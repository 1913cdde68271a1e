//! One worker: the loop around one shard, in the order that the design gives it. Between any two steps it may die.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use engine::authorization::{Order, Token};
use engine::{Birth, Limits, Notice, Received, Shard, TransmitBatch};
use ledger::frame;
use model::event::EventOrigin;
use model::ids::{BillId, PlaneIndex};
use model::record::{Record, TakenOver};
use model::time::{Mono, Now};
use model::verdict::{Reason, Sentence};

use super::{AnnouncingNews, Around, Death, Died, Links, Tables};
use crate::network::Datagram;
use crate::plane::{Plane, Said, VERDICTS_MAX};
use crate::scenario::Narrow;
use crate::seed::Dice;
use crate::trace::text;

/// Events that are taken in one turn.
const EVENTS_MAX: usize = 16;
/// Records of a ring that are not given back for a while.
const HELD_MAX: u64 = 48;
/// Datagrams that the socket's buffer holds; no more come together but in a flood.
const INBOX_MAX: usize = 4096;
/// More sessions than any world has at once, Stops that wait included.
const LIMITS: Limits = Limits { sessions: 4096, requests: 512 };

/// A source port.
struct Socket {
    number: u16,
    port: engine::PortId,
}

/// How far a plane's ring was read, and published as consumed.
#[derive(Default)]
struct Reading {
    cursor: u64,
    published: u64,
    /// Positions that may be published once so many records are durable.
    marks: VecDeque<(u64, u64)>,
}

/// One core.
pub(crate) struct Worker {
    pub(crate) shard: Shard,
    number: usize,
    shard_count: usize,
    sockets: Vec<Socket>,
    inbox: VecDeque<Datagram>,
    /// Datagrams that found no room in the buffer.
    pub(super) shed: u64,
    /// Encoded records on their way to the writer.
    pub(crate) ring: VecDeque<Vec<u8>>,
    /// Bills to be sent once more, in the octets of their records.
    pub(crate) replays: VecDeque<(BillId, Box<[u8]>)>,
    /// Those for which there was no room.
    pub(super) not_replayed: Vec<BillId>,
    /// Orders of authorization servers.
    pub(crate) orders: VecDeque<(Token, Order)>,
    ring_records_max: usize,
    /// What the ring held after the last turn, and whether some of it was new.
    ring_len: usize,
    rings_bell: bool,
    readings: Vec<Reading>,
    batch: TransmitBatch,
    durable: u64,
    /// It says what is consumed no sooner than this after it last did.
    publishes_every: Duration,
    publishes_next: Mono,
    /// It was told that its life ends.
    said_end: bool,
    /// Nothing leaves before.
    wire_free: Mono,
    /// It dies as soon as so many records are durable, and tells no more until then.
    dies_behind: Option<u64>,
    dice: Dice,
}

/// FNV-1a.
pub(super) fn name_hash(name: &[u8]) -> u64 {
    name.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}

/// Which of so many shards owns a session of this name.
pub(crate) fn shard_of(name: &[u8], shard_count: usize) -> usize {
    usize::try_from(name_hash(name) % shard_count as u64).unwrap_or_default()
}

impl Worker {
    pub(super) fn new(birth: Birth, narrow: &Narrow, now: Now, mut dice: Dice) -> Worker {
        let limits = Limits { sessions: narrow.sessions.unwrap_or(LIMITS.sessions), ..LIMITS };
        Worker {
            shard: Shard::new(birth, limits, now.mono),
            number: birth.shard.into(),
            shard_count: birth.shard_count.into(),
            sockets: Vec::new(),
            inbox: VecDeque::new(),
            shed: 0,
            ring: VecDeque::new(),
            replays: VecDeque::new(),
            not_replayed: Vec::new(),
            orders: VecDeque::new(),
            ring_records_max: dice.pick(&[1, 3, 16, 256]),
            ring_len: 0,
            rings_bell: false,
            readings: Vec::new(),
            batch: TransmitBatch::default(),
            durable: 0,
            publishes_every: dice.pick(&[0, 0, 0, 30, 120].map(Duration::from_secs)),
            publishes_next: now.mono,
            said_end: false,
            wire_free: now.mono,
            dies_behind: None,
            dice,
        }
    }

    /// Binds a socket for every port that has none, from this number on.
    pub(super) fn bind(&mut self, source: IpAddr, mut number: u16) -> u16 {
        let unbound: Vec<_> = self.shard.unbound_ports().collect();
        for &(port, server) in &unbound {
            self.sockets.push(Socket { number, port });
            number = number.checked_add(1).unwrap_or(1024);
            self.shard.handle_bound(server, source);
        }
        number
    }

    /// A datagram arrives, and is lost where there is no room for it.
    pub(super) fn receive(&mut self, datagram: &Datagram) {
        if self.inbox.len() < INBOX_MAX {
            self.inbox.push_back(datagram.clone());
        } else {
            self.shed += 1;
        }
    }

    /// One of its ports.
    pub(super) fn some_port(&self, dice: &mut Dice) -> Option<u16> {
        let place = (!self.sockets.is_empty()).then(|| dice.index(self.sockets.len()))?;
        Some(self.sockets[place].number)
    }

    pub(super) fn owns(&self, number: u16) -> bool {
        self.sockets.iter().any(|socket| socket.number == number)
    }

    /// Has a place for every plane that is known.
    pub(super) fn note_links(&mut self, links: &Links) {
        self.readings.resize_with(links.names.len(), Reading::default);
    }

    /// A plane links; its ring is read from where it was consumed.
    pub(super) fn link(&mut self, now: Mono, index: PlaneIndex, name: &str, epoch: u64, consumed: u64) {
        let place = usize::from(index.0);
        self.readings.resize_with(self.readings.len().max(place + 1), Reading::default);
        self.readings[place] = Reading { cursor: consumed, published: consumed, marks: VecDeque::new() };
        self.shard.handle_plane_linked(now, index, name, epoch, 1);
    }

    /// What this worker has published of a plane's ring.
    pub(super) fn published(&self, index: PlaneIndex) -> u64 {
        self.readings[usize::from(index.0)].published
    }

    /// Whether the writer has done something for it: records are durable, or the ring has room again.
    pub(super) fn has_news(&self, durable: u64) -> bool {
        durable > self.durable || self.ring.len() < self.ring_len && self.shard.owes_records()
    }

    /// Whether it has put records into its ring since the last turn.
    pub(super) fn has_records(&self) -> bool {
        self.rings_bell
    }

    /// Every record that it owes has been taken by the writer.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && !self.shard.owes_records()
    }

    /// Once around the loop. True when something was done, and the next turn should follow at once.
    pub(super) fn turn(
        &mut self,
        now: Now,
        links: &Links,
        durable: u64,
        ending: bool,
        around: &mut Around,
        death: &mut Death,
    ) -> Result<bool, Died> {
        let mut progress = false;
        if !ending {
            progress |= self.take_orders(now, around, death)?;
            progress |= self.take_events(now, links, around, death)?;
            progress |= self.take_datagrams(now, around, death)?;
            progress |= self.take_replays(now, around, death)?;
            let tables = Tables { planes: &around.planes, links };
            self.shard.handle_timeout(now, &tables);
            while let Some(port) = self.shard.poll_unused_port() {
                self.sockets.retain(|socket| socket.port != port);
            }
            self.shard.sweep(now, &tables);
            death.step()?;
            progress |= self.transmit(now, links, around, death)?;
        }
        if ending && !self.said_end {
            self.said_end = true;
            self.shard.handle_end();
        }
        self.rings_bell = self.take_records(now, around, death)?;
        self.ring_len = self.ring.len();
        progress |= self.rings_bell;
        self.mark(links);
        progress |= self.hand_out_verdicts(links, around, death)?;
        if durable > self.durable {
            self.durable = durable;
            self.shard.handle_durable(now, durable);
            progress = true;
            if self.dies_behind.is_some_and(|count| count <= durable) {
                return Err(Died);
            }
        }
        self.publish(now.mono, links);
        death.step()?;
        self.hear_notices(now, around);
        Ok(progress)
    }

    fn take_orders(&mut self, now: Now, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        while let Some((token, order)) = self.orders.pop_front() {
            around.oracle.order_taken(now.mono, self.number, token, order.is_trial());
            self.shard.handle_order(now, token, &order);
            any = true;
            death.step()?;
        }
        Ok(any)
    }

    fn take_events(&mut self, now: Now, links: &Links, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        let Around { planes, oracle, trace, .. } = around;
        let tables = Tables { planes, links };
        for (index, number) in links.linked() {
            let reading = &mut self.readings[usize::from(index.0)];
            let mut is_read_out = false;
            for _ in 0..EVENTS_MAX {
                let Some(saying) = planes[number].next(reading.cursor) else {
                    is_read_out = true;
                    break;
                };
                let mine = saying.what.name().is_none_or(|name| shard_of(name, self.shard_count) == self.number);
                if mine {
                    let origin = EventOrigin { plane: index, ring: 0, position: saying.position };
                    if self.shard.handle_event(now, origin, saying.what.event(), &tables).is_err() {
                        break;
                    }
                    let name = text(saying.what.name().unwrap_or_default());
                    trace.say(format_args!(
                        "shard {}: vpp{number}@{} {} {name} #{}",
                        self.number,
                        saying.position,
                        saying.what.word(),
                        saying.incarnation as isize
                    ));
                    oracle.handed(number, saying);
                }
                reading.cursor = saying.end;
                any = true;
                death.step()?;
            }
            self.shard.handle_ring_read(index, 0, reading.cursor);
            if !is_read_out || planes[number].is_crowded(reading.cursor) {
                self.shard.handle_plane_events_left(now.mono, index);
            }
        }
        Ok(any)
    }

    fn take_datagrams(&mut self, now: Now, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let count = self.inbox.len().min(self.dice.pick(&[1, 64, 64]));
        let datagrams: Vec<Datagram> = self.inbox.drain(..count).collect();
        let received = datagrams.iter().filter_map(|datagram| {
            let socket = self.sockets.iter().find(|socket| socket.number == datagram.to.port())?;
            Some(Received { port: socket.port, from: datagram.from, octets: &datagram.octets, truncated: false })
        });
        let received: Vec<Received<'_>> = received.collect();
        for datagram in &datagrams {
            around.oracle.reply_handed(now, datagram);
        }
        self.shard.handle_datagrams(now, &received);
        death.step()?;
        Ok(count > 0)
    }

    fn take_replays(&mut self, now: Now, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        while let Some((id, octets)) = self.replays.pop_front() {
            let Ok(Record::Billed(bill)) = frame::decode(&octets) else { continue };
            if self.shard.replay_bill(now, id, &bill).is_err() {
                around.trace.say(format_args!("shard {}: no room to replay {id:?}", self.number));
                self.not_replayed.push(id);
                continue;
            }
            around.trace.say(format_args!("shard {}: replays {id:?}", self.number));
            around.oracle.replay_begins(id, &bill);
            any = true;
            death.step()?;
        }
        Ok(any)
    }

    fn transmit(&mut self, now: Now, links: &Links, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        if now.mono < self.wire_free {
            return Ok(false);
        }
        // Now and then the way to the wire is full after a batch.
        while !(any && self.dice.chance(5)) {
            let room = self.dice.pick(&[1, 3, 64, 64]);
            let Around { planes, oracle, trace, sent, .. } = around;
            self.shard.poll_transmit(now, &Tables { planes, links }, room, &mut self.batch);
            if self.batch.is_empty() {
                break;
            }
            any = true;
            for transmit in self.batch.iter() {
                let socket = self.sockets.iter().find(|socket| socket.port == transmit.port);
                let number = socket.expect("every port that sends is bound").number;
                let from = SocketAddr::new(super::boot::NAS, number);
                oracle.leaves(now, from, transmit.to, transmit.octets, trace);
                sent.push(Datagram { from, to: transmit.to, octets: transmit.octets.to_vec() });
                death.step()?;
            }
            if around.narrow.wire && self.dice.chance(60) {
                let pause = self.dice.pick(&[30, 300, 3000]);
                self.wire_free = now.mono.plus(self.dice.millis(1, pause));
                break;
            }
        }
        Ok(any)
    }

    /// When datagrams that wait may leave.
    pub(super) fn wire_is_free_at(&self, now: Mono) -> Option<Mono> {
        Some(self.wire_free).filter(|&free| free > now)
    }

    fn take_records(&mut self, now: Now, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        while self.ring.len() < self.ring_records_max
            && self.dies_behind.is_none()
            && let Some(record) = self.shard.poll_record()
        {
            let says_more_follows = matches!(&record, Record::Closed(closed) if closed.cause == 0 || closed.taken_over.ring & TakenOver::IMPLIED != 0);
            around.oracle.owed(&record, now.mono, &mut around.trace);
            let mut octets = vec![0; frame::RECORD_LEN_MAX];
            let length = frame::encode(&record, &mut octets).expect("every record fits");
            assert_eq!(engine::record_octets(&record), length, "the shard knows what its records weigh");
            octets.truncate(length);
            self.ring.push_back(octets);
            if around.narrow.life && says_more_follows && self.dice.chance(30) {
                self.dies_behind = Some(self.shard.record_count());
            }
            any = true;
            death.step()?;
        }
        Ok(any)
    }

    /// When nothing is left to tell, all that was read of the planes is in the records that were polled.
    fn mark(&mut self, links: &Links) {
        if !self.shard.has_told_all() {
            return;
        }
        let count = self.shard.record_count();
        for (index, _) in links.linked() {
            let reading = &mut self.readings[usize::from(index.0)];
            let marked = reading.marks.back().map_or(reading.published, |&(position, _)| position);
            if reading.cursor > marked {
                reading.marks.push_back((reading.cursor, count));
            }
        }
    }

    /// When it has something to say of what is consumed.
    pub(super) fn publishes_at(&self) -> Option<Mono> {
        let due = |reading: &Reading| reading.marks.front().is_some_and(|&(_, count)| count <= self.durable);
        self.readings.iter().any(due).then_some(self.publishes_next)
    }

    fn publish(&mut self, now: Mono, links: &Links) {
        // A plane that finds its ring full waits, so the ring is not left to fill up.
        let is_filling = self.readings.iter().any(|reading| reading.cursor - reading.published > HELD_MAX);
        if now < self.publishes_next && !is_filling {
            return;
        }
        self.publishes_next = now.plus(self.publishes_every);
        for (index, _) in links.linked() {
            let reading = &mut self.readings[usize::from(index.0)];
            while let Some(&(position, count)) = reading.marks.front()
                && count <= self.durable
            {
                reading.published = position;
                reading.marks.pop_front();
            }
        }
    }

    fn hand_out_verdicts(&mut self, links: &Links, around: &mut Around, death: &mut Death) -> Result<bool, Died> {
        let mut any = false;
        let has_room =
            |planes: &[Plane]| links.linked().all(|(_, number)| planes[number].verdicts.len() < VERDICTS_MAX);
        while has_room(&around.planes)
            && let Some(verdict) = self.shard.poll_verdict()
        {
            any = true;
            let plane = links.plane(verdict.plane);
            let (name, sentence) = (verdict.session.to_vec(), verdict.sentence);
            around.trace.say(format_args!(
                "shard {}: {} {} ({})",
                self.number,
                sentence.as_str(),
                text(&name),
                verdict.reason.as_str()
            ));
            // A verdict for a plane that is away is lost: the plane announces the session when it is back.
            if let Some(number) = plane {
                let Some((incarnation, is_remembered)) = around.planes[number].whose(verdict.counters) else {
                    around.oracle.verdict_on_nobody(&verdict);
                    continue;
                };
                around.oracle.verdict(incarnation, &verdict);
                // Where the subscriber goes is not played: its accounting ends as that of one who is cut.
                let stops = verdict.reason == Reason::AccountingStopped;
                let sentence = if stops { Sentence::Cut } else { sentence };
                around.planes[number].verdicts.push_back(Said { incarnation, is_remembered, name, sentence });
            }
            death.step()?;
        }
        Ok(any)
    }

    fn hear_notices(&mut self, now: Now, around: &mut Around) {
        while let Some(notice) = self.shard.poll_notice() {
            around.trace.say(format_args!("shard {}: {notice:?}", self.number));
            match notice {
                Notice::OldStopsGone => around.announcing_news.push(AnnouncingNews::OldStopsGone),
                Notice::StartsMayGo(server) => around.announcing_news.push(AnnouncingNews::StartsMayGo(server)),
                _ => {}
            }
            if let Notice::Server(server, news) = notice {
                around.oracle.server_health_changed(now.mono, server.address, news);
                around.server_news.push((server, news));
            }
        }
    }
}
