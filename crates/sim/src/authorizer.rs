//! A server that has subscribers logged out and changed (RFC 5176), as a client of the engine: it asks over the same bad
//! way, waits, and asks again in the same words; now and then with a secret that is not its own, of sessions that there
//! are not, or in words that it has used before.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use model::settings::{AuthorizationServer, Secret, Settings};
use model::time::Now;
use wire::radius::attribute::{Attribute, Type};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Authenticator, Code, Encoder, Packet};

use crate::oracle::Oracle;
use crate::plane::Plane;
use crate::scenario::Stretch;
use crate::seed::Dice;

/// Where it is, and what it signs with.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9)), 40_000);
const SECRET: &[u8] = b"secret of the authorizer";
/// Times that it says the same.
const TRIES: u32 = 5;

/// Which sessions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    SessionId(Vec<u8>),
    User(Vec<u8>),
    Address(u32),
    /// None of this box.
    Nobody(Option<Vec<u8>>),
}

/// What is to be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Disconnect,
    /// What is not named stays as it is.
    Change {
        interim_s: Option<u32>,
        timeout_s: Option<u32>,
        class: Option<Vec<u8>>,
    },
}

/// A request as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    pub(crate) wish: Wish,
    /// Signed with the secret that is configured.
    pub(crate) is_genuine: bool,
    /// It says when it was made.
    pub(crate) is_dated: bool,
}

/// The server.
pub(crate) struct Authorizer {
    dice: Dice,
    stretch: Stretch,
    count: u32,
    /// What it has said, by its authenticator.
    said: BTreeMap<Authenticator, Vec<u8>>,
    /// What it waits for, and how often it has said it.
    open: Option<(Authenticator, u32)>,
}

impl Authorizer {
    pub(crate) fn new(dice: Dice, stretch: Stretch) -> Authorizer {
        Authorizer { dice, stretch, count: 0, said: BTreeMap::new(), open: None }
    }

    /// It is known to the engine.
    pub(crate) fn introduce(settings: &mut Settings) {
        let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
        let server = AuthorizationServer { shared_key, ..AuthorizationServer::default() };
        settings.radius_authorization.servers.insert(ADDRESS.ip().into(), server);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ADDRESS
    }

    /// What it says now, and how long until it speaks again.
    pub(crate) fn speak(&mut self, now: Now, planes: &[Plane], oracle: &mut Oracle) -> (Option<Vec<u8>>, Duration) {
        let again = self.open.filter(|(_, times)| *times < TRIES);
        let octets = match again {
            Some((authenticator, times)) => {
                self.open = Some((authenticator, times + 1));
                self.said.get(&authenticator).cloned()
            }
            None => {
                self.open = None;
                self.begin(now, planes, oracle)
            }
        };
        let pause = match self.open {
            // Impatient ones ask again before an answer can be there.
            Some(_) => self.dice.pick(&[2, 2000, 5000]),
            None => self.dice.pick(&[100, 5000, 20_000]),
        };
        let pause = self.dice.millis(pause / 2, pause);
        (octets, if self.open.is_some() { pause } else { self.stretch.of(pause) })
    }

    /// An answer came.
    pub(crate) fn hear(&mut self, octets: &[u8]) {
        let Some((asked, _)) = self.open else { return };
        if Packet::parse(octets).is_ok_and(|packet| verify_response(&packet, &asked, SECRET).is_ok()) {
            self.open = None;
        }
    }

    fn begin(&mut self, now: Now, planes: &[Plane], oracle: &mut Oracle) -> Option<Vec<u8>> {
        if self.dice.chance(15) && !self.said.is_empty() {
            // Somebody plays an old one.
            let place = self.dice.index(self.said.len());
            return self.said.values().nth(place).cloned();
        }
        let asked = Asked {
            target: self.target(planes, oracle)?,
            wish: self.wish(),
            is_genuine: !self.dice.chance(10),
            is_dated: self.dice.chance(70),
        };
        let octets = self.write(now, &asked);
        let authenticator = *Packet::parse(&octets).ok()?.authenticator();
        self.said.insert(authenticator, octets.clone());
        self.open = Some((authenticator, 1));
        oracle.asked(authenticator, asked);
        Some(octets)
    }

    fn target(&mut self, planes: &[Plane], oracle: &Oracle) -> Option<Target> {
        let plane = &planes[self.dice.index(planes.len())];
        Some(match self.dice.below(10) {
            0..=4 => Target::SessionId(oracle.some_session_id(&mut self.dice)?),
            5 | 6 => Target::User(plane.somebody(&mut self.dice)?.0),
            7 => Target::Address(plane.somebody(&mut self.dice)?.1),
            8 => Target::Nobody(None),
            _ => Target::Nobody(Some(oracle.some_session_id(&mut self.dice)?)),
        })
    }

    fn wish(&mut self) -> Wish {
        if self.dice.chance(50) {
            return Wish::Disconnect;
        }
        let class = u8::try_from(self.dice.below(250)).unwrap_or_default();
        Wish::Change {
            interim_s: self
                .dice
                .pick(&[None, Some(60), Some(75), Some(120)])
                .map(|seconds| self.stretch.of_interval_s(seconds)),
            timeout_s: self
                .dice
                .pick(&[None, None, Some(86_400), Some(90_000)])
                .map(|seconds| self.stretch.of_s(seconds)),
            class: Some(vec![class; 4]),
        }
    }

    fn write(&mut self, now: Now, asked: &Asked) -> Vec<u8> {
        self.count += 1;
        let code = if asked.wish == Wish::Disconnect { Code::DISCONNECT_REQUEST } else { Code::COA_REQUEST };
        let mut room = [0; 1024];
        let mut packet = Encoder::packet(&mut room, code, self.count.to_le_bytes()[0]);
        let mut text = |kind, value: &[u8]| _ = packet.attribute(Attribute { kind, value });
        match &asked.target {
            Target::SessionId(id) => text(Type::ACCT_SESSION_ID, id),
            Target::User(user) => text(Type::USER_NAME, user),
            Target::Address(address) => text(Type::FRAMED_IP_ADDRESS, &address.to_be_bytes()),
            Target::Nobody(None) => text(Type::ACCT_SESSION_ID, b"none of ours"),
            Target::Nobody(Some(id)) => {
                text(Type::ACCT_SESSION_ID, id);
                text(Type::NAS_IDENTIFIER, b"another");
            }
        }
        if let Wish::Change { class: Some(class), .. } = &asked.wish {
            text(Type::CLASS, class);
        }
        // No two requests are the same.
        text(Type::PROXY_STATE, &self.count.to_be_bytes());
        if let Wish::Change { interim_s, timeout_s, .. } = asked.wish {
            interim_s.into_iter().for_each(|value| _ = packet.u32(Type::ACCT_INTERIM_INTERVAL, value));
            timeout_s.into_iter().for_each(|value| _ = packet.u32(Type::SESSION_TIMEOUT, value));
        }
        if asked.is_dated {
            packet.u32(Type::EVENT_TIMESTAMP, now.wall.event_timestamp());
        }
        let packet = packet.finish().expect("the request is short");
        let secret = if asked.is_genuine { SECRET } else { b"another secret" };
        sign_request(&mut Unsigned { packet, secret, message_authenticator: false });
        packet.to_vec()
    }
}

/// Whether an answer is signed for this request.
pub(crate) fn is_signed(answer: &Packet<'_>, asked: &Authenticator) -> bool {
    verify_response(answer, asked, SECRET).is_ok()
}
