//! A play with servers that are spoken to through connections, written down as it is seen from outside: one line for each
//! connection, request, verdict, notice and bill, with its second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use engine::{News, Notice, PortId, StreamEnd, StreamOrder};
use model::settings::{ServerPath, Settings, Transport};
use wire::radius::Code;
use wire::radius::attribute::acct_status_type;
use wire::tacacs::{Flags, HEADER_SIZE, Header, obfuscate};

use crate::stage::{Asked, Kept, SECRET, Stage, at, moved};
use crate::transcript::Transcript;

/// What a peer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It takes connections and answers each request; whether many on one, the request says.
    #[default]
    Answers,
    /// The same, and never more than one on a connection.
    AnswersOnce,
    /// It takes connections and says nothing.
    Silent,
    /// Nobody listens.
    Refuses,
    /// Nothing comes back.
    Lost,
    /// It takes connections and closes them with the first request.
    Closes,
    /// It takes connections and closes them before any.
    HangsUp,
    /// It takes calls and tears them down before they stand.
    TearsDown,
    /// It answers that it has not recorded.
    Errs,
    /// It answers with another key.
    OtherKey,
    /// It answers something else.
    Garbage,
    /// It answers about a session that was never asked.
    OtherSession,
}

/// The octets of a TACACS+ request, as the peer reads them.
pub(crate) struct Record {
    pub(crate) header: Header,
    pub(crate) flags: u8,
    pub(crate) fields: [String; 3],
    pub(crate) arguments: Vec<String>,
}

impl Record {
    pub(crate) fn read(octets: &[u8]) -> Record {
        let mut packet = octets.to_vec();
        obfuscate(&mut packet, SECRET);
        let header = Header::parse(&packet).unwrap();
        let body = &packet[HEADER_SIZE..];
        assert_eq!(body.len(), header.length as usize);
        let count = usize::from(body[8]);
        let mut texts = &body[9 + count..];
        let mut take = |length: u8| {
            let (text, rest) = texts.split_at(length.into());
            texts = rest;
            String::from_utf8(text.to_vec()).unwrap()
        };
        let fields = [body[5], body[6], body[7]].map(&mut take);
        let arguments = body[9..9 + count].iter().map(|&length| take(length)).collect();
        assert!(texts.is_empty());
        Record { header, flags: body[0], fields, arguments }
    }

    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='))
    }

    /// What a server answers.
    fn reply(&self, status: u8, key: &[u8], flags: Flags) -> Vec<u8> {
        let header = Header { sequence: 2, flags, length: 5, ..self.header };
        let mut packet = [&header.octets()[..], &[0, 0, 0, 0, status]].concat();
        obfuscate(&mut packet, key);
        packet
    }
}

pub(crate) struct Play {
    pub(crate) stage: Stage,
    transcript: Transcript,
    peers: BTreeMap<SocketAddr, Peer>,
    /// Connections that stand.
    pub(crate) open: BTreeMap<PortId, ServerPath>,
    /// Every request that has left.
    pub(crate) sent: Vec<Asked>,
    pub(crate) connections: usize,
    told: usize,
}

impl Play {
    pub(crate) fn new(settings: &Settings) -> Play {
        let stage = Stage::with(1, at(100_000), settings, 1024).linked(1, 0);
        Play {
            transcript: Transcript::begin(stage.now.mono),
            stage,
            peers: BTreeMap::new(),
            open: BTreeMap::new(),
            sent: Vec::new(),
            connections: 0,
            told: 0,
        }
    }

    pub(crate) fn peer(mut self, server: SocketAddr, peer: Peer) -> Play {
        self.peers.insert(server, peer);
        self
    }

    pub(crate) fn up(mut self, name: &str, slot: u32) -> Play {
        self.stage.up(name, slot);
        self
    }

    pub(crate) fn down(mut self, name: &str) -> Play {
        self.stage.down(name);
        self
    }

    pub(crate) fn count(self, slot: u32, octets: u64) -> Play {
        self.stage.table.set(slot, moved(octets));
        self
    }

    pub(crate) fn commit(mut self, settings: &Settings) -> Play {
        self.stage.configure(settings);
        self
    }

    /// Every connection is torn down, as when the server dies.
    pub(crate) fn cut_connections(mut self, end: StreamEnd) -> Play {
        for port in std::mem::take(&mut self.open).into_keys() {
            self.stage.shard.handle_stream_end(self.stage.now.mono, port, end);
        }
        self
    }

    pub(crate) fn pass(mut self, seconds: u64) -> Play {
        let end = self.stage.now.mono.plus(Duration::from_secs(seconds));
        loop {
            self.turn();
            if self.stage.pass_towards(end) {
                return self;
            }
        }
    }

    /// What was seen since the last time must be this, line by line; blanks in front do not count.
    #[track_caller]
    pub(crate) fn sees(mut self, expected: &str) -> Play {
        self.transcript.check(expected);
        self
    }

    pub(crate) fn seen(&mut self) -> String {
        self.transcript.take()
    }

    fn turn(&mut self) {
        loop {
            self.stage.turn();
            self.tell();
            let asked = std::mem::take(&mut self.stage.asked);
            let mut is_quiet = asked.is_empty();
            while let Some(order) = self.stage.shard.poll_stream_order() {
                is_quiet = false;
                self.carry_out(order);
            }
            for asked in asked {
                self.answer(asked);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn carry_out(&mut self, order: StreamOrder) {
        let now = self.stage.now.mono;
        match order {
            StreamOrder::Close { port } => {
                if let Some(server) = self.open.remove(&port) {
                    self.line(&format!("closed to {}", number_of(server.address)));
                }
            }
            StreamOrder::Connect { port, server } => match self.peers.get(&server.address).copied().unwrap_or_default()
            {
                Peer::Refuses => {
                    self.line(&format!("refused by {}", number_of(server.address)));
                    self.stage.shard.handle_stream_end(now, port, StreamEnd::Refused);
                }
                Peer::Lost => self.line(&format!("calling {}", number_of(server.address))),
                Peer::HangsUp => {
                    self.line(&format!("hung up by {}", number_of(server.address)));
                    self.stage.shard.handle_connected(now, port);
                    self.stage.shard.handle_stream_end(now, port, StreamEnd::Closed);
                }
                Peer::TearsDown => {
                    self.line(&format!("torn down by {}", number_of(server.address)));
                    self.stage.shard.handle_stream_end(now, port, StreamEnd::Reset);
                }
                _ => {
                    self.line(&format!("connected to {}", number_of(server.address)));
                    self.connections += 1;
                    self.open.insert(port, server);
                    self.stage.shard.handle_connected(now, port);
                }
            },
        }
    }

    fn answer(&mut self, asked: Asked) {
        // What was polled for a connection that is closed by now is dropped by whoever carries it.
        match self.open.get(&asked.port).map(|server| server.transport) {
            Some(Transport::Tls) => self.answer_radius(asked),
            Some(_) => self.answer_tacacs(asked),
            None => {}
        }
    }

    fn answer_radius(&mut self, asked: Asked) {
        let kind = match asked.packet().code() {
            Code::STATUS_SERVER => "status-server".to_owned(),
            _ => match asked.status() {
                acct_status_type::START => format!("start {}", asked.user()),
                acct_status_type::INTERIM_UPDATE => format!("interim {}", asked.user()),
                acct_status_type::STOP => format!("stop {}", asked.user()),
                _ => "on".to_owned(),
            },
        };
        self.line(&format!("{kind} to {}", number_of(asked.to)));
        self.stage.shard.handle_written(asked.port, asked.octets.len());
        let (port, now) = (asked.port, self.stage.now);
        match self.peers.get(&asked.to).copied().unwrap_or_default() {
            Peer::Answers => {
                let reply = self.stage.reply_to(&asked);
                let (first, rest) = reply.split_at(7);
                self.stage.shard.handle_octets(now, port, first);
                self.stage.shard.handle_octets(now, port, rest);
            }
            Peer::Garbage => self.stage.shard.handle_octets(now, port, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Peer::Closes => {
                self.open.remove(&port);
                self.stage.shard.handle_stream_end(now.mono, port, StreamEnd::Reset);
            }
            _ => {}
        }
        self.sent.push(asked);
    }

    fn answer_tacacs(&mut self, asked: Asked) {
        let record = Record::read(&asked.octets);
        let kind = match record.flags {
            0x02 => "start",
            0x04 => "stop",
            0x08 => "watchdog",
            0x0a => "interim",
            other => panic!("{other:#x}"),
        };
        let user = record.fields[0].split('@').next().unwrap_or_default();
        self.line(&format!("{kind} {user} to {}", number_of(asked.to)));
        self.stage.shard.handle_written(asked.port, asked.octets.len());
        let peer = self.peers.get(&asked.to).copied().unwrap_or_default();
        let single = if peer == Peer::AnswersOnce { Flags::NONE } else { record.header.flags };
        let reply = match peer {
            Peer::Answers | Peer::AnswersOnce => Some(record.reply(1, SECRET, single)),
            Peer::Errs => Some(record.reply(2, SECRET, single)),
            Peer::OtherKey => Some(record.reply(1, b"another", single)),
            Peer::Garbage => Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            Peer::OtherSession => {
                let header = Header { session_id: record.header.session_id ^ 0x100, ..record.header };
                Some(Record { header, ..Record::read(&asked.octets) }.reply(1, SECRET, single))
            }
            Peer::Silent | Peer::Refuses | Peer::Lost | Peer::Closes | Peer::HangsUp | Peer::TearsDown => None,
        };
        let port = asked.port;
        self.sent.push(asked);
        if let Some(reply) = reply {
            // Octet by octet: a stream knows no packets.
            reply.iter().for_each(|octet| self.stage.shard.handle_octets(self.stage.now, port, &[*octet]));
        } else if peer == Peer::Closes && self.open.remove(&port).is_some() {
            self.stage.shard.handle_stream_end(self.stage.now.mono, port, StreamEnd::Closed);
        }
    }

    fn line(&mut self, text: &str) {
        self.transcript.line(self.stage.now.mono, text);
    }

    fn tell(&mut self) {
        for (session, sentence, reason) in std::mem::take(&mut self.stage.verdicts) {
            self.line(&format!("{} {session} {}", sentence.as_str(), reason.as_str()));
        }
        while let Some(notice) = self.stage.shard.poll_notice() {
            let text = match notice {
                Notice::Server(server, News::Down) => format!("{} down", number_of(server.address)),
                Notice::Server(server, News::Up) => format!("{} up", number_of(server.address)),
                Notice::BadReply { server, error } => format!("{} said: {}", number_of(server.address), error.as_str()),
                Notice::InterimFailed(_) => "interims failed".to_owned(),
                _ => continue,
            };
            self.line(&text);
        }
        let bills = self.stage.records[self.told..].iter().filter_map(|record| match record {
            Kept::Billed { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        let bills: Vec<&'static str> = bills.collect();
        self.told = self.stage.records.len();
        for reason in bills {
            self.line(&format!("bill {reason}"));
        }
    }
}

fn number_of(server: SocketAddr) -> u8 {
    let number = server.ip().to_string().rsplit('.').next().and_then(|octet| octet.parse::<u8>().ok());
    number.unwrap_or_default().saturating_sub(100)
}
