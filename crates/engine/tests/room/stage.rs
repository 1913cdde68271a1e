//! A shard with one plane, one server and a ledger, all of them played.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use engine::{Birth, Limits, NoSlot, Received, Restored, Shard, Transmit, TransmitBatch};
use model::counters::{CounterSlot, CounterSource, Counters, Totals};
use model::domain::{Allowance, Terms};
use model::event::{Down, EventOrigin, PlaneEvent, Subscriber, Up, Update};
use model::ids::{BillId, PlaneIndex, SessionSerial};
use model::record::{
    Accepted, Announced, Bill, BillReason, Checkpointed, Closed, Delivered, Departure, Heard, Opened, Record, Returned,
    Sampled, StartFailed, TakenOver, ZeroStop,
};
use model::settings::{
    AccountingScheme, Domain, Interim, InterimSpelling, IntervalUnit, ObjectName, PinnedScheme, RadiusGroup,
    RadiusServer, Secret, ServerPath, Settings, StartFail,
};
use model::time::{Mono, Now, Wall};
use model::verdict::{Reason, Sentence};
use wire::radius::attribute::Type;
use wire::radius::server::respond;
use wire::radius::{Packet, attribute};

pub(crate) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 1813);
pub(crate) const SECRET: &[u8] = b"testing123";
pub(crate) const PLANE: PlaneIndex = PlaneIndex(0);
pub(crate) const PLANE_NAME: &str = "vpp0";
/// Wall time at the box's boot, milliseconds.
pub(crate) const BOOT: u64 = 1_795_000_000_000;

/// A hash that tests can foresee: the name's last octet.
pub(crate) fn name_hash(name: &[u8]) -> u64 {
    name.last().copied().unwrap_or_default().into()
}

pub(crate) fn at(millis: u64) -> Now {
    Now { mono: Mono::from_nanos(millis * 1_000_000), wall: Wall::from_millis(BOOT + millis) }
}

pub(crate) fn moved(octets: u64) -> Counters {
    Counters { v4: Totals { in_octets: octets, ..Totals::default() }, ..Counters::ZERO }
}

/// The plane's counters, by slot.
#[derive(Default)]
pub(crate) struct Table(RefCell<BTreeMap<u32, Counters>>);

impl Table {
    pub(crate) fn set(&self, slot: u32, counters: Counters) {
        self.0.borrow_mut().insert(slot, counters);
    }
}

impl CounterSource for Table {
    fn read(&self, _: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        self.0.borrow().get(&slot.slot).copied()
    }
}

/// `opened`, kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Birthmark {
    pub(crate) serial: SessionSerial,
    pub(crate) taken_over: TakenOver,
    pub(crate) session: Vec<u8>,
    group: String,
    scheme: PinnedScheme,
    terms: Terms,
    allowance: Allowance,
    interim_s: u32,
    pub(crate) at: Now,
    counters: CounterSlot,
    pub(crate) baseline: Counters,
    pub(crate) attributes: Vec<u8>,
}

impl Birthmark {
    fn of(opened: &Opened<'_>) -> Birthmark {
        Birthmark {
            serial: opened.serial,
            taken_over: opened.taken_over,
            session: opened.session.to_vec(),
            group: opened.group.to_owned(),
            scheme: opened.scheme,
            terms: opened.terms,
            allowance: opened.allowance,
            interim_s: opened.interim_s,
            at: opened.at,
            counters: opened.counters,
            baseline: opened.baseline,
            attributes: opened.attributes.to_vec(),
        }
    }

    pub(crate) fn opened(&self) -> Opened<'_> {
        Opened {
            serial: self.serial,
            taken_over: self.taken_over,
            plane: PLANE_NAME,
            session: &self.session,
            domain: "isp",
            group: &self.group,
            scheme: self.scheme,
            terms: self.terms,
            allowance: self.allowance,
            interim_s: self.interim_s,
            session_timeout_s: 0,
            at: self.at,
            counters: self.counters,
            baseline: self.baseline,
            attributes: &self.attributes,
        }
    }
}

/// A session as records add up to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Live {
    pub(crate) born: Birthmark,
    pub(crate) accepted: Option<Accepted>,
    pub(crate) start_failed: Option<StartFailed>,
    pub(crate) sampled: Option<Sampled>,
    pub(crate) closed: Option<Closed>,
}

impl Live {
    pub(crate) fn whole(&self) -> Checkpointed<'_> {
        Checkpointed {
            opened: self.born.opened(),
            accepted: self.accepted,
            start_failed: self.start_failed,
            sampled: self.sampled,
            closed: self.closed,
        }
    }
}

/// A record, kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Opened(Birthmark),
    Accepted(Accepted),
    StartFailed(StartFailed),
    Sampled(Sampled),
    SampledMany(Vec<Sampled>),
    Closed(Closed),
    Over(SessionSerial),
    Billed { serial: SessionSerial, reason: BillReason, delivered: Delivered, closed: Closed },
    Checkpointed(Live),
    Heard { plane_epoch: u64, ring: u16, through: u64, shard: u16, shard_count: u16 },
    Announced(Announced),
    Booted([u8; 16]),
    Departed { departure: Departure, ids: Vec<BillId>, at: Wall, octets: (u64, u64) },
    Returned(Returned),
}

pub(crate) fn kept(record: &Record<'_>) -> Kept {
    match record {
        Record::Opened(opened) => Kept::Opened(Birthmark::of(opened)),
        Record::Accepted(accepted) => Kept::Accepted(*accepted),
        Record::StartFailed(failed) => Kept::StartFailed(*failed),
        Record::Sampled(sampled) => Kept::Sampled(*sampled),
        Record::SampledMany(samples) => Kept::SampledMany(samples.iter().collect()),
        Record::Closed(closed) => Kept::Closed(*closed),
        Record::Acknowledged(over) => Kept::Over(over.serial),
        Record::Billed(bill) => Kept::Billed {
            serial: bill.opened.serial,
            reason: bill.reason,
            delivered: bill.delivered,
            closed: bill.closed,
        },
        Record::Checkpointed(whole) => Kept::Checkpointed(Live {
            born: Birthmark::of(&whole.opened),
            accepted: whole.accepted,
            start_failed: whole.start_failed,
            sampled: whole.sampled,
            closed: whole.closed,
        }),
        Record::Heard(Heard { plane_epoch, ring, through, shard, shard_count, .. }) => Kept::Heard {
            plane_epoch: *plane_epoch,
            ring: *ring,
            through: *through,
            shard: *shard,
            shard_count: *shard_count,
        },
        Record::Announced(announced) => Kept::Announced(*announced),
        Record::Booted(booted) => Kept::Booted(booted.boot_id),
        Record::Departed(departed) => Kept::Departed {
            departure: departed.departure,
            ids: departed.bills.ids().collect(),
            at: departed.at,
            octets: (departed.in_octets, departed.out_octets),
        },
        Record::Returned(returned) => Kept::Returned(*returned),
        other => panic!("a shard does not write {other:?}"),
    }
}

/// What records add up to: the ledger's replay in small.
pub(crate) fn replay(records: &[Kept]) -> BTreeMap<SessionSerial, Live> {
    let mut live: BTreeMap<SessionSerial, Live> = BTreeMap::new();
    for record in records {
        match record.clone() {
            Kept::Opened(born) => match live.get_mut(&born.serial) {
                Some(known) => known.born = born,
                None => {
                    let (accepted, start_failed, sampled, closed) = (None, None, None, None);
                    live.insert(born.serial, Live { born, accepted, start_failed, sampled, closed });
                }
            },
            Kept::Accepted(accepted) => {
                live.entry(accepted.serial).and_modify(|live| live.accepted = Some(accepted));
            }
            Kept::StartFailed(failed) => {
                live.entry(failed.serial).and_modify(|live| live.start_failed = Some(failed));
            }
            Kept::Sampled(sampled) => {
                live.entry(sampled.serial).and_modify(|live| live.sampled = Some(sampled));
            }
            Kept::SampledMany(samples) => samples.into_iter().for_each(|sampled| {
                live.entry(sampled.serial).and_modify(|live| live.sampled = Some(sampled));
            }),
            Kept::Closed(closed) => {
                live.entry(closed.serial).and_modify(|live| live.closed = Some(closed));
            }
            Kept::Over(serial) | Kept::Billed { serial, .. } => {
                live.remove(&serial);
            }
            Kept::Checkpointed(whole) => {
                live.insert(whole.born.serial, whole);
            }
            Kept::Announced(_) | Kept::Booted(_) | Kept::Heard { .. } | Kept::Departed { .. } | Kept::Returned(_) => {}
        }
    }
    live
}

/// A request that has left, as the server reads it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// When it left.
    pub(crate) at: Mono,
    /// The server.
    pub(crate) to: SocketAddr,
    pub(crate) port: engine::PortId,
    pub(crate) octets: Vec<u8>,
}

impl Asked {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.octets).unwrap()
    }

    pub(crate) fn u32(&self, kind: Type) -> Option<u32> {
        self.packet().find(kind).and_then(attribute::as_u32)
    }

    pub(crate) fn status(&self) -> u32 {
        self.u32(Type::ACCT_STATUS_TYPE).unwrap()
    }

    pub(crate) fn session_id(&self) -> Vec<u8> {
        self.packet().find(Type::ACCT_SESSION_ID).unwrap().to_vec()
    }

    /// Whom it is about: what stands before the `@` of User-Name.
    pub(crate) fn user(&self) -> String {
        let user = String::from_utf8_lossy(self.packet().find(Type::USER_NAME).unwrap()).into_owned();
        user.split('@').next().unwrap_or_default().to_owned()
    }
}

/// What the tests set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) interim_s: u16,
    pub(crate) start_fail: StartFail,
    pub(crate) stop_resend: u16,
    pub(crate) checkpoint_interval_s: u16,
    pub(crate) sessions: usize,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { interim_s: 0, start_fail: StartFail::Online, stop_resend: 0, checkpoint_interval_s: 60, sessions: 64 }
    }
}

pub(crate) fn settings(setup: Setup) -> Settings {
    let name = |name: &str| ObjectName::from(name);
    let mut settings = Settings { sysname: "BNG1".to_owned(), ..Settings::default() };
    settings.checkpoint_interval_s = setup.checkpoint_interval_s;
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = RadiusServer { shared_key, ..RadiusServer::new(SERVER) };
    let group = RadiusGroup {
        accounting: vec![server],
        retransmit: 2,
        timeout_s: 3,
        source_ports: 1,
        stop_resend: setup.stop_resend,
        ..RadiusGroup::default()
    };
    settings.radius_groups.insert(name("radius"), group);
    let interim = Interim {
        value: setup.interim_s,
        unit: IntervalUnit::Second,
        hash: false,
        traffic: false,
        spelling: InterimSpelling::Interval,
    };
    let scheme = AccountingScheme {
        start_fail: setup.start_fail,
        interim: (setup.interim_s > 0).then_some(interim),
        ..AccountingScheme::default()
    };
    settings.schemes.insert(name("scheme"), scheme);
    let (scheme, radius) = (Some(name("scheme")), Some(name("radius")));
    let domain = Domain { accounting_scheme: scheme, radius_group: radius, ..Domain::default() };
    settings.domains.insert(name("isp"), domain);
    settings
}

/// The shard and what it says.
pub(crate) struct Stage {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) table: Table,
    /// Records that were handed out in this life, in their order.
    pub(crate) records: Vec<Kept>,
    /// And how many octets the ledger takes for each.
    pub(crate) weights: Vec<usize>,
    pub(crate) durable: u64,
    /// Requests that nobody has answered.
    pub(crate) asked: Vec<Asked>,
    /// What the plane was told: of whom, what, and why.
    pub(crate) verdicts: Vec<(String, Sentence, Reason)>,
    /// Servers that no socket leads to.
    pub(crate) absent: Vec<ServerPath>,
    batch: TransmitBatch,
    position: u64,
}

impl Stage {
    /// A life that begins at `now`, with sessions of earlier ones.
    pub(crate) fn new(epoch: u32, now: Now, setup: Setup) -> Stage {
        Stage::with(epoch, now, &settings(setup), setup.sessions)
    }

    /// The same with any settings; every server can be reached.
    pub(crate) fn with(epoch: u32, now: Now, settings: &Settings, sessions: usize) -> Stage {
        Stage::of_shard((0, 1), epoch, now, settings, sessions)
    }

    /// The same for this shard of so many.
    pub(crate) fn of_shard(
        (shard, shard_count): (u16, u16),
        epoch: u32,
        now: Now,
        settings: &Settings,
        sessions: usize,
    ) -> Stage {
        let birth = Birth { epoch, key: [7; 16], started: now.wall, shard, shard_count, session_hash: name_hash };
        let limits = Limits { sessions, requests: 256 };
        let mut shard = Shard::new(birth, limits, now.mono);
        shard.handle_plane_known(now.mono, PLANE, PLANE_NAME, Vec::new());
        let mut stage = Stage {
            shard,
            now,
            table: Table::default(),
            records: Vec::new(),
            weights: Vec::new(),
            durable: 0,
            asked: Vec::new(),
            verdicts: Vec::new(),
            absent: Vec::new(),
            batch: TransmitBatch::default(),
            position: 0,
        };
        stage.configure(settings);
        stage
    }

    /// A commit; new servers can be reached at once.
    pub(crate) fn configure(&mut self, settings: &Settings) {
        self.shard.configure(settings);
        let unbound: Vec<ServerPath> = self.shard.unbound_ports().map(|(_, server)| server).collect();
        for server in unbound.into_iter().filter(|server| !self.absent.contains(server)) {
            self.shard.handle_bound(server, IpAddr::from([192, 0, 2, 1]));
        }
    }

    /// The same, with its plane linked in this memory and read from here.
    pub(crate) fn linked(mut self, epoch: u64, position: u64) -> Stage {
        self.shard.handle_plane_linked(self.now.mono, PLANE, PLANE_NAME, epoch, 1);
        self.position = position;
        self
    }

    pub(crate) fn restore(&mut self, live: &Live, rebooted: Option<Wall>) -> Result<(), NoSlot> {
        self.shard.restore(self.now, &[Restored { plane: PLANE, whole: live.whole(), rebooted }])
    }

    pub(crate) fn event(&mut self, event: PlaneEvent<'_>) {
        let origin = EventOrigin { plane: PLANE, ring: 0, position: self.position };
        self.position += 1;
        self.shard.handle_event(self.now, origin, event, &self.table).unwrap();
    }

    pub(crate) fn up(&mut self, name: &str, slot: u32) {
        self.up_with(name, slot, Subscriber::default());
    }

    /// Its name and domain are put in.
    pub(crate) fn up_with(&mut self, name: &str, slot: u32, subscriber: Subscriber<'_>) {
        self.up_in("isp", name, slot, subscriber);
    }

    pub(crate) fn up_in(&mut self, domain: &str, name: &str, slot: u32, subscriber: Subscriber<'_>) {
        let user = format!("{name}@{domain}");
        let subscriber = Subscriber { user: Some(user.as_bytes()), domain: Some(domain.as_bytes()), ..subscriber };
        let counters = CounterSlot { slot, generation: 1 };
        self.event(PlaneEvent::Up(Up { session: name.as_bytes(), subscriber, counters, at: None }));
    }

    pub(crate) fn update(&mut self, name: &str, changed: Subscriber<'_>) {
        self.event(PlaneEvent::Update(Update { session: name.as_bytes(), changed, at: None }));
    }

    pub(crate) fn down(&mut self, name: &str) {
        self.down_with(name, 1, None);
    }

    pub(crate) fn down_with(&mut self, name: &str, cause: u8, totals: Option<Counters>) {
        self.event(PlaneEvent::Down(Down { session: name.as_bytes(), cause, totals, at: None }));
    }

    /// The plane says all over again who is there.
    pub(crate) fn resync(&mut self, sessions: &[(&str, u32)]) {
        self.event(PlaneEvent::ResyncBegin);
        for &(name, slot) in sessions {
            self.up(name, slot);
        }
        self.event(PlaneEvent::ResyncEnd);
    }

    /// Hands out up to so many records.
    pub(crate) fn hand_out(&mut self, most: usize) {
        for _ in 0..most {
            let Some(record) = self.shard.poll_record() else { return };
            self.weights.push(engine::record_octets(&record));
            self.records.push(kept(&record));
        }
        assert_eq!(self.shard.record_count(), self.records.len() as u64);
    }

    pub(crate) fn make_durable(&mut self, through: u64) {
        self.durable = through.max(self.durable);
        self.shard.handle_durable(self.now, self.durable);
    }

    /// Lets leave what is due.
    pub(crate) fn transmit(&mut self) {
        loop {
            self.shard.poll_transmit(self.now, &self.table, 64, &mut self.batch);
            if self.batch.is_empty() {
                return;
            }
            for sent in self.batch.iter() {
                let Transmit { port, to, octets } = sent;
                self.asked.push(Asked { at: self.now.mono, to, port, octets: octets.to_vec() });
            }
        }
    }

    /// The server answers all that was asked.
    pub(crate) fn answer(&mut self) -> Vec<Asked> {
        let asked = std::mem::take(&mut self.asked);
        for asked in &asked {
            self.reply(asked);
        }
        asked
    }

    /// The server answers this one.
    pub(crate) fn reply(&mut self, asked: &Asked) {
        let octets = &self.reply_to(asked);
        let received = Received { port: asked.port, from: asked.to, octets, truncated: false };
        self.shard.handle_datagrams(self.now, &[received]);
    }

    /// What it would answer.
    pub(crate) fn reply_to(&self, asked: &Asked) -> Vec<u8> {
        respond(&asked.packet(), SECRET, &mut [0; 4096]).unwrap().to_vec()
    }

    /// Once around the worker's loop, with a disk that does not fail.
    pub(crate) fn turn(&mut self) {
        self.shard.handle_timeout(self.now, &self.table);
        self.shard.sweep(self.now, &self.table);
        self.transmit();
        self.hand_out(usize::MAX);
        self.make_durable(self.records.len() as u64);
        while let Some(verdict) = self.shard.poll_verdict() {
            let session = String::from_utf8_lossy(verdict.session).into_owned();
            self.verdicts.push((session, verdict.sentence, verdict.reason));
        }
        self.transmit();
        self.hand_out(usize::MAX);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.now.mono = self.now.mono.plus(time);
        self.now.wall = Wall::from_millis(self.now.wall.as_millis() + millis);
    }

    /// Goes on to the next time at which the shard asks to be called, or to the end. True: it is there.
    pub(crate) fn pass_towards(&mut self, end: Mono) -> bool {
        let soonest = self.now.mono.plus(Duration::from_millis(1));
        let next = self.shard.poll_timeout().unwrap_or(end).max(soonest);
        self.pass(next.min(end).since(self.now.mono));
        next > end
    }

    /// Lets time pass as the shard asks to be called, up to `time`, with a server that answers or does not.
    pub(crate) fn run(&mut self, time: Duration, answers: bool) -> Vec<Asked> {
        let end = self.now.mono.plus(time);
        let mut all = Vec::new();
        loop {
            self.turn();
            if answers {
                all.extend(self.answer());
                self.turn();
            } else {
                all.append(&mut self.asked);
            }
            if self.pass_towards(end) {
                return all;
            }
        }
    }

    pub(crate) fn live(&self) -> BTreeMap<SessionSerial, Live> {
        replay(&self.records)
    }

    pub(crate) fn only_live(&self) -> Live {
        let live = self.live();
        assert_eq!(live.len(), 1, "{live:?}");
        live.into_values().next().unwrap()
    }
}

/// A bill as the ledger hands it over.
pub(crate) fn bill<'a>(live: &'a Live, closed: Closed) -> Bill<'a> {
    Bill {
        id: BillId::default(),
        reason: BillReason::StopUnanswered,
        delivered: Delivered::Unknown,
        zero_stop: ZeroStop::Unknown,
        server: None,
        nas_address: None,
        opened: live.born.opened(),
        closed,
    }
}
