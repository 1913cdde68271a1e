//! A RADIUS accounting server, as far as an engine can tell: it verifies, writes down, and answers; and its moods.
//!
//! What it wrote down is the oracle's evidence, whether its answer arrived or not. An identical request from the same
//! source within a while is not written down again, but answered again (RFC 5080 section 2.2.2).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::counters::Counters;
use model::time::Mono;
use wire::radius::attribute::{Type, acct_status_type, as_u32, huawei};
use wire::radius::authenticator::verify_request;
use wire::radius::{Code, Packet, VendorType, server::respond};

use crate::seed::Dice;

/// How long a request is remembered as one that was answered.
const DUPLICATES: Duration = Duration::from_secs(30);

/// How a server behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers within milliseconds.
    Well,
    /// Sees nothing.
    Silent,
    /// Writes down and does not answer.
    Mute,
    /// Answers after up to so many seconds.
    Slow(u64),
    /// Sees every second request, at random.
    Flapping,
    /// Answers twice.
    Twice,
    /// Has another secret than the box: it checks nothing, writes nothing down, and answers under its own.
    Misled,
    /// Answers Status-Server, and nothing else.
    HalfDead,
    /// Is away, and does not know afterwards whom it answered.
    Restarting,
    /// Sees nothing of some sessions' interims.
    HalfDeaf,
}

impl Mood {
    /// For figures.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Mood::Misled => "servers under another secret",
            Mood::HalfDead => "servers half dead",
            Mood::Restarting => "servers restarted",
            _ => "server moods",
        }
    }
}

/// One server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The secrets that it takes, the newest last. It answers with what it was asked with.
    pub(crate) secrets: Vec<Vec<u8>>,
    pub(crate) mood: Mood,
    dice: Dice,
    seen: BTreeMap<(SocketAddr, u8), ([u8; 16], Mono)>,
    /// Everything that it accounted, in order.
    pub(crate) memory: Vec<Accounted>,
    /// Requests that did not verify.
    pub(crate) refused: u64,
}

/// What a request said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u32,
    pub(crate) session_id: Vec<u8>,
    pub(crate) counters: Counters,
    pub(crate) session_time_s: u32,
    pub(crate) event_timestamp: u32,
    pub(crate) delay_s: u32,
    pub(crate) cause: u32,
    pub(crate) framed_ip: Option<u32>,
    pub(crate) has_message_authenticator: bool,
}

/// One accounted request.
#[derive(Clone, Debug)]
pub(crate) struct Accounted {
    pub(crate) said: Said,
}

impl Said {
    /// Reads a request; `None` when it is none, or lacks what every request carries.
    pub(crate) fn read(packet: &Packet<'_>) -> Option<Said> {
        let number = |kind| packet.find(kind).and_then(as_u32);
        let mut counters = Counters::default();
        let wide = |low, high| u64::from(number(low).unwrap_or(0)) | u64::from(number(high).unwrap_or(0)) << 32;
        counters.v4.in_octets = wide(Type::ACCT_INPUT_OCTETS, Type::ACCT_INPUT_GIGAWORDS);
        counters.v4.out_octets = wide(Type::ACCT_OUTPUT_OCTETS, Type::ACCT_OUTPUT_GIGAWORDS);
        counters.v4.in_packets = number(Type::ACCT_INPUT_PACKETS).unwrap_or(0).into();
        counters.v4.out_packets = number(Type::ACCT_OUTPUT_PACKETS).unwrap_or(0).into();
        let vendor = |kind: VendorType| {
            let found = packet.vendor_attributes().find(|attribute| attribute.kind == kind);
            u64::from(found.and_then(|attribute| as_u32(attribute.value)).unwrap_or(0))
        };
        counters.v6.in_octets =
            vendor(huawei::ACCT_IPV6_INPUT_OCTETS) | vendor(huawei::ACCT_IPV6_INPUT_GIGAWORDS) << 32;
        counters.v6.out_octets =
            vendor(huawei::ACCT_IPV6_OUTPUT_OCTETS) | vendor(huawei::ACCT_IPV6_OUTPUT_GIGAWORDS) << 32;
        counters.v6.in_packets = vendor(huawei::ACCT_IPV6_INPUT_PACKETS);
        counters.v6.out_packets = vendor(huawei::ACCT_IPV6_OUTPUT_PACKETS);
        Some(Said {
            status: number(Type::ACCT_STATUS_TYPE)?,
            session_id: packet.find(Type::ACCT_SESSION_ID)?.to_vec(),
            counters,
            session_time_s: number(Type::ACCT_SESSION_TIME).unwrap_or(0),
            event_timestamp: number(Type::EVENT_TIMESTAMP)?,
            delay_s: number(Type::ACCT_DELAY_TIME)?,
            cause: number(Type::ACCT_TERMINATE_CAUSE).unwrap_or(0),
            framed_ip: number(Type::FRAMED_IP_ADDRESS),
            has_message_authenticator: packet.find(Type::MESSAGE_AUTHENTICATOR).is_some(),
        })
    }

    /// `start`, `interim` or `stop`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.status {
            acct_status_type::START => "start",
            acct_status_type::STOP => "stop",
            acct_status_type::INTERIM_UPDATE => "interim",
            _ => "strange",
        }
    }
}

impl Server {
    pub(crate) fn new(address: SocketAddr, secret: Vec<u8>, dice: Dice) -> Server {
        Server {
            address,
            secrets: vec![secret],
            mood: Mood::Well,
            dice,
            seen: BTreeMap::new(),
            memory: Vec::new(),
            refused: 0,
        }
    }

    /// Takes a datagram and says what is sent back, and after how long.
    pub(crate) fn handle(&mut self, now: Mono, from: SocketAddr, octets: &[u8]) -> Vec<(Duration, Vec<u8>)> {
        if self.mood == Mood::Silent || self.mood == Mood::Flapping && self.dice.chance(50) {
            return Vec::new();
        }
        if self.mood == Mood::Restarting {
            self.seen.clear();
            return Vec::new();
        }
        let Ok(packet) = Packet::parse(octets) else { return Vec::new() };
        if self.mood == Mood::Misled {
            return self.answer(&packet, b"a secret that nobody else has");
        }
        if self.mood == Mood::HalfDead && packet.code() != Code::STATUS_SERVER {
            return Vec::new();
        }
        let Some(secret) = self.secrets.iter().find(|secret| verify_request(&packet, secret).is_ok()).cloned() else {
            self.refused += 1;
            return Vec::new();
        };
        if packet.code() == Code::STATUS_SERVER {
            return self.answer(&packet, &secret);
        }
        let Some(said) = Said::read(&packet) else { return Vec::new() };
        let is_unheard = said.status == acct_status_type::INTERIM_UPDATE
            && said.session_id.last().is_some_and(|last| last.is_multiple_of(5));
        if self.mood == Mood::HalfDeaf && is_unheard {
            return Vec::new();
        }
        let key = (from, packet.identifier());
        let again = self
            .seen
            .get(&key)
            .is_some_and(|(authenticator, at)| authenticator == packet.authenticator() && now.since(*at) < DUPLICATES);
        if !again {
            self.seen.insert(key, (*packet.authenticator(), now));
            self.memory.push(Accounted { said });
        }
        self.answer(&packet, &secret)
    }

    fn answer(&mut self, packet: &Packet<'_>, secret: &[u8]) -> Vec<(Duration, Vec<u8>)> {
        if self.mood == Mood::Mute {
            return Vec::new();
        }
        let mut room = [0; 4096];
        let Ok(reply) = respond(packet, secret, &mut room) else { return Vec::new() };
        let reply = reply.to_vec();
        let delay = match self.mood {
            Mood::Slow(seconds) => self.dice.seconds(0, seconds),
            _ => self.dice.millis(0, 3),
        };
        let mut replies = vec![(delay, reply.clone())];
        if self.mood == Mood::Twice {
            replies.push((delay + self.dice.millis(0, 4000), reply));
        }
        replies
    }

    /// Whether a Stop of this session was written down that is not the one with zero counters which plain
    /// `start-fail online` sends.
    pub(crate) fn stops<'a>(&'a self, session_id: &'a [u8]) -> impl Iterator<Item = &'a Said> {
        self.memory
            .iter()
            .map(|accounted| &accounted.said)
            .filter(move |said| said.status == acct_status_type::STOP && said.session_id == session_id)
    }
}
