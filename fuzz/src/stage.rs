//! A shard with one plane, one domain and one server, and a ledger that takes every record, for targets whose octets reach
//! sessions. Whatever the shard hands out is held against what is promised of it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::{Birth, Limits, PortId, Shard, StreamOrder, TransmitBatch};
use model::counters::{CounterSlot, CounterSource, Counters};
use model::event::{EventOrigin, PlaneEvent, Subscriber, Up};
use model::ids::PlaneIndex;
use model::settings::{
    AccountingScheme, AuthorizationServer, Domain, Interim, InterimSpelling, IntervalUnit, ObjectName, RadiusGroup,
    RadiusServer, RadiusTls, Secret, ServerPath, Settings, StartFail,
};
use model::time::{Mono, Now, Wall};
use plane::record::session_hash;
use wire::radius::Packet;

use crate::bills::{Bills, NAS};

pub(crate) const SECRET: &[u8] = b"testing123";
/// Who answers requests for accounting, and who may ask for authorization.
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
const PLANE: PlaneIndex = PlaneIndex(0);
const PLANE_NAME: &str = "plane-0";

/// What carries requests to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Datagrams,
    Tls,
}

/// What every counter says.
#[derive(Default)]
struct Everywhere(Cell<Counters>);

impl CounterSource for Everywhere {
    fn read(&self, _: PlaneIndex, _: CounterSlot) -> Option<Counters> {
        Some(self.0.get())
    }
}

/// A request that has left.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) port: PortId,
    pub(crate) to: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

/// The shard, and what is around it.
pub(crate) struct Stage {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    /// Everything that has left, in its order.
    pub(crate) asked: Vec<Asked>,
    /// Connections that stand.
    pub(crate) open: BTreeSet<PortId>,
    counters: Everywhere,
    batch: TransmitBatch,
    /// The next event's place in its ring.
    position: u64,
    bills: Bills,
}

impl Stage {
    pub(crate) fn new(carrier: Carrier) -> Stage {
        let now = Now { mono: Mono::from_nanos(1_000_000_000_000), wall: Wall::from_millis(1_795_000_000_000) };
        let birth = Birth { epoch: 1, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
        let mut shard = Shard::new(birth, Limits { sessions: 8, requests: 16 }, now.mono);
        shard.handle_plane_known(now.mono, PLANE, PLANE_NAME, Vec::new());
        shard.configure(&settings(carrier));
        let unbound: Vec<ServerPath> = shard.unbound_ports().map(|(_, server)| server).collect();
        for server in unbound {
            shard.handle_bound(server, [192, 0, 2, 1].into());
        }
        shard.handle_plane_linked(now.mono, PLANE, PLANE_NAME, 1, 1);
        Stage {
            shard,
            now,
            asked: Vec::new(),
            open: BTreeSet::new(),
            counters: Everywhere::default(),
            batch: TransmitBatch::default(),
            position: 0,
            bills: Bills::new(),
        }
    }

    /// A subscriber comes online.
    pub(crate) fn up(&mut self, session: &[u8], user: &[u8]) {
        let subscriber = Subscriber { user: Some(user), domain: Some(b"isp"), ..Subscriber::default() };
        let counters = CounterSlot { slot: 1, generation: 1 };
        self.event(PlaneEvent::Up(Up { session, subscriber, counters, at: None }));
    }

    pub(crate) fn event(&mut self, event: PlaneEvent<'_>) {
        let origin = EventOrigin { plane: PLANE, ring: 0, position: self.position };
        self.position += 1;
        // One that cannot be taken now would be read again; here it is lost.
        let _ = self.shard.handle_event(self.now, origin, event, &self.counters);
    }

    pub(crate) fn count(&mut self, counters: Counters) {
        self.counters.0.set(counters);
    }

    /// Once around the worker's loop, with a disk that does not fail and a peer that takes every call.
    pub(crate) fn turn(&mut self) {
        self.shard.handle_timeout(self.now, &self.counters);
        self.shard.sweep(self.now, &self.counters);
        self.transmit();
        self.hand_out();
        self.shard.handle_durable(self.now, self.shard.record_count());
        while self.shard.poll_verdict().is_some() {}
        self.carry_out_orders();
        self.transmit();
        self.hand_out();
        self.carry_out_orders();
        while self.shard.poll_notice().is_some() {}
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono.plus(time);
        let millis = u64::try_from(time.as_millis()).expect("it is short");
        self.now.wall = Wall::from_millis(self.now.wall.as_millis() + millis);
    }

    fn transmit(&mut self) {
        loop {
            self.shard.poll_transmit(self.now, &self.counters, 64, &mut self.batch);
            if self.batch.is_empty() {
                return;
            }
            for sent in self.batch.iter() {
                let packet = Packet::parse(sent.octets).expect("our own packets are well-formed");
                assert_eq!(packet.octets().len(), sent.octets.len(), "nothing stands behind it");
                self.asked.push(Asked { port: sent.port, to: sent.to, octets: sent.octets.to_vec() });
            }
        }
    }

    fn hand_out(&mut self) {
        while let Some(record) = self.shard.poll_record() {
            self.bills.take(&record);
        }
    }

    fn carry_out_orders(&mut self) {
        while let Some(order) = self.shard.poll_stream_order() {
            match order {
                StreamOrder::Connect { port, .. } => {
                    assert!(self.open.insert(port), "a connection that stands is not called");
                    self.shard.handle_connected(self.now.mono, port);
                }
                StreamOrder::Close { port } => drop(self.open.remove(&port)),
            }
        }
    }

    /// The end of the play.
    pub(crate) fn finish(self) {
        self.bills.finish();
    }
}

/// Who cannot be accounted for stays online; an interim each minute; nothing is sent again for long, so that there are bills.
fn settings(carrier: Carrier) -> Settings {
    let key = || Some(Secret::new(SECRET.to_vec(), String::new()));
    let tls = RadiusTls { ca: "/ca.pem".to_owned(), cert: None, key: None, server_name: None };
    let server = RadiusServer {
        shared_key: key(),
        tls: (carrier == Carrier::Tls).then_some(tls),
        ..RadiusServer::new(SocketAddr::new(SERVER, 1813))
    };
    let group = RadiusGroup {
        accounting: vec![server],
        retransmit: 1,
        timeout_s: 3,
        source_ports: 2,
        stop_resend: 0,
        ..RadiusGroup::default()
    };
    let spelling = InterimSpelling::Interval;
    let interim = Interim { value: 60, unit: IntervalUnit::Second, hash: false, traffic: false, spelling };
    let scheme =
        AccountingScheme { interim: Some(interim), start_fail: StartFail::Online, ..AccountingScheme::default() };
    let domain = Domain {
        accounting_scheme: Some(ObjectName::from("scheme")),
        radius_group: Some(ObjectName::from("radius")),
        ..Domain::default()
    };
    let mut settings = Settings { sysname: NAS.to_owned(), ..Settings::default() };
    settings.radius_groups.insert(ObjectName::from("radius"), group);
    settings.schemes.insert(ObjectName::from("scheme"), scheme);
    settings.domains.insert(ObjectName::from("isp"), domain);
    settings.local_aaa_server.pool_enabled = true;
    let asker = AuthorizationServer { shared_key: key(), ..AuthorizationServer::default() };
    settings.radius_authorization.servers.insert(SERVER.into(), asker);
    settings
}
