//! What the tests of several modules need: a small memory, and any event.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use lanes::sync::AtomicU64;
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, Authentic, ClassList, Down, PlaneEvent, Prefix, Reset, Subscriber, Up, Update};
use model::time::Wall;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::layout::{Geometry, Layout};
use crate::region::{Memory, Region};
use crate::words::WORD;

/// Words that two sides of a test share.
pub(crate) type Words = Arc<[AtomicU64]>;

pub(crate) const EPOCH: u64 = 0x0102_0304_0506_0708;

pub(crate) const SMALL: Geometry = Geometry { rings: 2, records: 16, slots: 8, dual_stack: true, verdicts: 16 };

/// A fresh memory, formatted by the plane.
pub(crate) fn plane(geometry: Geometry) -> (Words, Arc<Memory<Words>>) {
    let bytes = Layout::new(geometry, EPOCH).unwrap().bytes();
    let words: Words = (0..bytes / WORD).map(|_| AtomicU64::new(0)).collect();
    let memory = Memory::format(Arc::clone(&words), geometry, EPOCH).unwrap();
    (words, Arc::new(memory))
}

/// The engine's half of it.
pub(crate) fn engine(words: &Words, readers: u16) -> Arc<Region<Words>> {
    Region::open(Arc::clone(words), EPOCH, readers).unwrap()
}

/// An Up with nothing but what it must have.
pub(crate) fn up<'a>(session: &'a [u8], user: &'a [u8]) -> PlaneEvent<'a> {
    let subscriber = Subscriber { user: Some(user), ..Subscriber::default() };
    PlaneEvent::Up(Up { session, subscriber, counters: CounterSlot { slot: 1, generation: 1 }, at: None })
}

/// A Down of the session.
pub(crate) fn down(session: &[u8]) -> PlaneEvent<'_> {
    PlaneEvent::Down(Down { session, cause: 1, totals: None, at: None })
}

/// An event that owns its octets.
#[derive(Clone, Debug)]
pub(crate) struct OwnedEvent {
    kind: u8,
    session: Vec<u8>,
    texts: [Option<Vec<u8>>; 5],
    class: Vec<Vec<u8>>,
    fixed: Subscriber<'static>,
    slot: CounterSlot,
    at: Option<Wall>,
    cause: u8,
    totals: Option<Counters>,
}

impl OwnedEvent {
    pub(crate) fn event(&self) -> PlaneEvent<'_> {
        let session = &self.session[..];
        let (slot, at) = (self.slot, self.at);
        match self.kind {
            0 => {
                let mut subscriber = self.subscriber();
                subscriber.user = subscriber.user.or(Some(b"somebody"));
                PlaneEvent::Up(Up { session, subscriber, counters: slot, at })
            }
            1 => PlaneEvent::Update(Update { session, changed: self.subscriber(), at }),
            2 => PlaneEvent::Down(Down { session, cause: self.cause, totals: self.totals, at }),
            3 => PlaneEvent::Reset(Reset { session, counters: slot }),
            4 => PlaneEvent::ResyncBegin,
            _ => PlaneEvent::ResyncEnd,
        }
    }

    fn subscriber(&self) -> Subscriber<'_> {
        let [user, domain, calling, nas_port_id, multi_session_id] = self.texts.each_ref().map(Option::as_deref);
        let mut class = ClassList::default();
        for item in &self.class {
            assert!(class.push(item));
        }
        Subscriber { user, domain, calling, nas_port_id, multi_session_id, class, ..self.fixed }
    }
}

/// Any event within the ranges that `model` names.
pub(crate) fn any_event() -> impl Strategy<Value = OwnedEvent> {
    let text = || prop_oneof![8 => octets(1..20), 1 => octets(1..=253)];
    let texts = [option::of(text()), option::of(text()), option::of(text()), option::of(text()), option::of(text())];
    let session = prop_oneof![8 => octets(1..12), 1 => octets(1..=64)];
    let class = prop::collection::vec(text(), 0..=ClassList::MAX);
    let slot = (any::<u32>(), 1..=u32::MAX).prop_map(|(slot, generation)| CounterSlot { slot, generation });
    let at = option::of(any::<u64>().prop_map(Wall::from_millis));
    let totals = option::of((any_totals(), any_totals()).prop_map(|(v4, v6)| Counters { v4, v6 }));
    (0..6u8, session, texts, class, any_fixed(), slot, at, any::<u8>(), totals).prop_map(
        |(kind, session, texts, class, fixed, slot, at, cause, totals)| OwnedEvent {
            kind,
            session,
            texts,
            class,
            fixed,
            slot,
            at,
            cause,
            totals,
        },
    )
}

fn octets(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), len)
}

fn any_totals() -> impl Strategy<Value = Totals> {
    any::<[u64; 4]>().prop_map(|[in_octets, in_packets, out_octets, out_packets]| Totals {
        in_octets,
        in_packets,
        out_octets,
        out_packets,
    })
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any::<u128>(), 0..=128u8).prop_map(|(bits, length)| {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Prefix { address: Ipv6Addr::from_bits(bits & mask), length }
    })
}

fn any_fixed() -> impl Strategy<Value = Subscriber<'static>> {
    let access = select(vec![Access::Pppoe, Access::Ipoe, Access::L2tp, Access::Static]);
    let authentic = select(vec![Authentic::Radius, Authentic::Local, Authentic::Remote]);
    let addresses = (
        option::of(any::<u32>().prop_map(Ipv4Addr::from_bits)),
        option::of(any_prefix()),
        option::of(any_prefix()),
        option::of(any::<u128>().prop_map(Ipv6Addr::from_bits)),
        any::<Option<u64>>(),
        any::<Option<[u8; 6]>>(),
        option::of(any::<IpAddr>()),
    );
    let rest = (any::<Option<u32>>(), option::of(access), option::of(authentic));
    let limits = (any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u64>>(), any::<Option<u64>>());
    (addresses, rest, limits).prop_map(|(addresses, rest, limits)| Subscriber {
        framed_ip: addresses.0,
        framed_ipv6_prefix: addresses.1,
        delegated_prefix: addresses.2,
        framed_ipv6_address: addresses.3,
        interface_id: addresses.4,
        mac: addresses.5,
        auth_server: addresses.6,
        nas_port: rest.0,
        access: rest.1,
        authentic: rest.2,
        acct_interim_interval: limits.0,
        session_timeout: limits.1,
        time_quota: limits.2,
        volume_quota: limits.3,
        ..Subscriber::default()
    })
}

/// An admission.
pub(crate) fn verdict(session: &[u8]) -> model::verdict::Verdict<'_> {
    let (sentence, reason) = (model::verdict::Sentence::Admit, model::verdict::Reason::Opened);
    model::verdict::Verdict {
        plane: model::ids::PlaneIndex(0),
        session,
        counters: CounterSlot::default(),
        sentence,
        reason,
    }
}
