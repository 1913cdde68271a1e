//! A play with several servers, each of which answers or is silent, written down as it is seen from outside: one line for each
//! datagram, verdict, notice and bill, with its second. So a test reads like the page it proves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use engine::{News, Notice};
use model::counters::Counters;
use model::event::{PlaneEvent, Subscriber};
use model::report::{QueueSelector, UserSelector};
use model::settings::{AccountingScheme, Domain, ObjectName, RadiusGroup, RadiusServer, Secret, Settings};
use wire::radius::Code;
use wire::radius::attribute::{Type, acct_status_type};

use crate::stage::{Asked, Kept, SECRET, Setup, Stage, at, moved, settings};
use crate::transcript::Transcript;

/// The server of this number, from 1.
pub(crate) fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100 + number], 1813))
}

/// So many servers in the group, R = 3 and S = 5 s, no resending; the scheme as it is made.
pub(crate) fn plain(servers: u8) -> Settings {
    let mut settings = settings(Setup::default());
    let accounting = (1..=servers).map(|number| RadiusServer {
        shared_key: Some(Secret::new(SECRET.to_vec(), String::new())),
        ..RadiusServer::new(server(number))
    });
    let group = RadiusGroup { accounting: accounting.collect(), stop_resend: 0, ..RadiusGroup::default() };
    settings.radius_groups.insert(ObjectName::from("radius"), group);
    *scheme(&mut settings) = AccountingScheme::default();
    settings
}

/// The scheme of these settings.
pub(crate) fn scheme(settings: &mut Settings) -> &mut AccountingScheme {
    settings.schemes.get_mut(&ObjectName::from("scheme")).unwrap()
}

/// The group of these settings.
pub(crate) fn group(settings: &mut Settings) -> &mut RadiusGroup {
    settings.radius_groups.get_mut(&ObjectName::from("radius")).unwrap()
}

/// The domain of these settings.
pub(crate) fn domain(settings: &mut Settings) -> &mut Domain {
    settings.domains.get_mut(&ObjectName::from("isp")).unwrap()
}

/// The play.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    transcript: Transcript,
    silent: BTreeSet<SocketAddr>,
    answers_starts_only: bool,
    names: BTreeMap<Vec<u8>, String>,
    told: usize,
    /// Every datagram that has left.
    pub(crate) sent: Vec<Asked>,
}

impl Scene {
    /// Every server answers.
    pub(crate) fn new(settings: &Settings) -> Scene {
        Scene::of(Stage::with(1, at(100_000), settings, 64))
    }

    /// Of a stage that was made before.
    pub(crate) fn of(stage: Stage) -> Scene {
        let stage = stage.linked(1, 0);
        Scene {
            transcript: Transcript::begin(stage.now.mono),
            stage,
            silent: BTreeSet::new(),
            answers_starts_only: false,
            names: BTreeMap::new(),
            told: 0,
            sent: Vec::new(),
        }
    }

    /// From now on the server of this number does not answer.
    pub(crate) fn silence(mut self, number: u8) -> Scene {
        self.silent.insert(server(number));
        self
    }

    /// The servers answer Starts and nothing else.
    pub(crate) fn answer_starts_only(mut self) -> Scene {
        self.answers_starts_only = true;
        self
    }

    /// From now on it does.
    pub(crate) fn wake(mut self, number: u8) -> Scene {
        self.silent.remove(&server(number));
        self
    }

    pub(crate) fn up(mut self, name: &str, slot: u32) -> Scene {
        self.stage.up(name, slot);
        self
    }

    /// The plane says more of it than its name.
    pub(crate) fn up_as(mut self, name: &str, slot: u32, subscriber: Subscriber<'_>) -> Scene {
        self.stage.up_with(name, slot, subscriber);
        self
    }

    /// It belongs to this domain.
    pub(crate) fn up_in(mut self, domain: &str, name: &str, slot: u32) -> Scene {
        self.stage.up_in(domain, name, slot, Subscriber::default());
        self
    }

    /// And says it later.
    pub(crate) fn updates(mut self, name: &str, changed: Subscriber<'_>) -> Scene {
        self.stage.update(name, changed);
        self
    }

    /// The authentication server gave it this interval.
    pub(crate) fn up_with_interval(mut self, name: &str, slot: u32, interval_s: u32) -> Scene {
        let subscriber = Subscriber { acct_interim_interval: Some(interval_s), ..Subscriber::default() };
        self.stage.up_with(name, slot, subscriber);
        self
    }

    /// The server of this number authenticated it.
    pub(crate) fn up_by(mut self, name: &str, slot: u32, number: u8) -> Scene {
        let auth_server = Some(server(number).ip());
        self.stage.up_with(name, slot, Subscriber { auth_server, ..Subscriber::default() });
        self
    }

    /// The plane announces it, once more, with the server that authenticated it.
    pub(crate) fn announce_by(mut self, name: &str, slot: u32, number: u8) -> Scene {
        self.stage.event(PlaneEvent::ResyncBegin);
        self = self.up_by(name, slot, number);
        self.stage.event(PlaneEvent::ResyncEnd);
        self
    }

    /// The subscriber has this address from now on.
    pub(crate) fn moves(mut self, name: &str, address: [u8; 4]) -> Scene {
        self.stage.update(name, Subscriber { framed_ip: Some(address.into()), ..Subscriber::default() });
        self
    }

    pub(crate) fn down(mut self, name: &str) -> Scene {
        self.stage.down(name);
        self
    }

    /// The plane says this cause, and these octets in all.
    pub(crate) fn down_with(mut self, name: &str, cause: u8, octets: Option<u64>) -> Scene {
        self.stage.down_with(name, cause, octets.map(moved));
        self
    }

    /// An operator cuts them; so many were there.
    #[track_caller]
    pub(crate) fn cut(mut self, selector: &UserSelector, expected: u64) -> Scene {
        assert_eq!(self.stage.shard.cut_access_users(self.stage.now, selector), expected, "{selector:?}");
        self
    }

    /// `radius-server cache resend packet`.
    #[track_caller]
    pub(crate) fn resend_queued(mut self, expected: u64) -> Scene {
        assert_eq!(self.stage.shard.resend_queued(self.stage.now.mono), expected);
        self
    }

    /// `reset radius-server accounting-stop-packet all`, or for one server.
    #[track_caller]
    pub(crate) fn reset_queued(mut self, number: Option<u8>, expected: u64) -> Scene {
        let server = number.map(|number| server(number).ip());
        assert_eq!(self.stage.shard.reset_queued(QueueSelector { hwtacacs: false, server }), expected);
        self
    }

    /// A commit.
    pub(crate) fn commit(mut self, settings: &Settings) -> Scene {
        self.stage.configure(settings);
        self
    }

    /// The engine dies and starts again; the plane links once more and announces these.
    pub(crate) fn restart(mut self, epoch: u32, settings: &Settings, sessions: &[(&str, u32)]) -> Scene {
        let live = self.stage.live();
        let table = std::mem::take(&mut self.stage.table);
        let mut stage = Stage::with(epoch, self.stage.now, settings, 64);
        for live in live.values() {
            stage.restore(live, None).unwrap();
        }
        self.stage = stage.linked(1, 1000 * u64::from(epoch));
        self.stage.table = table;
        self.told = 0;
        self.stage.resync(sessions);
        self
    }

    /// A number in the last request that left.
    #[track_caller]
    pub(crate) fn last(&self, kind: Type) -> Option<u32> {
        self.sent.last().unwrap().u32(kind)
    }

    /// The subscriber behind this counter has moved so much by now.
    pub(crate) fn count(self, slot: u32, octets: u64) -> Scene {
        self.stage.table.set(slot, moved(octets));
        self
    }

    /// The same, with all counters.
    pub(crate) fn counts(self, slot: u32, counters: Counters) -> Scene {
        self.stage.table.set(slot, counters);
        self
    }

    /// Octets from the subscriber in the last request that left, gigawords included.
    #[track_caller]
    pub(crate) fn input_octets(&self) -> u64 {
        let number = |kind| u64::from(self.last(kind).unwrap());
        number(Type::ACCT_INPUT_GIGAWORDS) << 32 | number(Type::ACCT_INPUT_OCTETS)
    }

    /// Lets time pass.
    pub(crate) fn pass(mut self, seconds: u64) -> Scene {
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
    pub(crate) fn sees(mut self, expected: &str) -> Scene {
        self.transcript.check(expected);
        self
    }

    /// What was seen since the last time, for tests that ask less of it.
    pub(crate) fn seen(&mut self) -> String {
        self.transcript.take()
    }

    fn turn(&mut self) {
        loop {
            self.stage.turn();
            self.tell();
            let asked = std::mem::take(&mut self.stage.asked);
            if asked.is_empty() {
                return;
            }
            for asked in asked {
                self.tell_of(&asked);
                let is_start = asked.u32(Type::ACCT_STATUS_TYPE) == Some(acct_status_type::START);
                let is_heard = !self.answers_starts_only || is_start;
                if is_heard && !self.silent.contains(&asked.to) {
                    self.stage.reply(&asked);
                }
                self.sent.push(asked);
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.transcript.line(self.stage.now.mono, text);
    }

    fn tell_of(&mut self, asked: &Asked) {
        let number = asked.to.ip().to_string().rsplit('.').next().map_or(0, |octet| octet.parse::<u8>().unwrap() - 100);
        if asked.packet().code() == Code::STATUS_SERVER {
            self.line(&format!("status-server to {number}"));
            return;
        }
        if let acct_status_type::ACCOUNTING_ON | acct_status_type::ACCOUNTING_OFF = asked.status() {
            let word = if asked.status() == acct_status_type::ACCOUNTING_ON { "on" } else { "off" };
            self.line(&format!("{word} to {number}"));
            return;
        }
        let kind = match asked.status() {
            acct_status_type::START => "start",
            acct_status_type::INTERIM_UPDATE => "interim",
            acct_status_type::STOP => "stop",
            _ => "other",
        };
        self.names.entry(asked.session_id()).or_insert_with(|| asked.user());
        self.line(&format!("{kind} {} to {number}", asked.user()));
    }

    fn tell(&mut self) {
        for (session, sentence, reason) in std::mem::take(&mut self.stage.verdicts) {
            self.line(&format!("{} {session} {}", sentence.as_str(), reason.as_str()));
        }
        while let Some(notice) = self.stage.shard.poll_notice() {
            let text = match notice {
                Notice::Server(_, News::Down) => "server down".to_owned(),
                Notice::Server(_, News::Up) => "server up".to_owned(),
                // A commit says as much; and datagrams know no bad replies.
                Notice::PathLeft(_) | Notice::BadReply { .. } => continue,
                Notice::InterimFailed(_) => "interims failed".to_owned(),
                Notice::WouldCut(_) => "would cut".to_owned(),
                Notice::WouldRefuse(_) => "would refuse".to_owned(),
                Notice::BrakeHolds { .. } => "brake holds".to_owned(),
                Notice::BrakeReleased { .. } => "brake released".to_owned(),
                Notice::QueueFills { users, most } => format!("queue fills: {users} of {most}"),
                Notice::QueueDrains { users, most } => format!("queue drains: {users} of {most}"),
                Notice::CountersFell(_) => "counters fell".to_owned(),
                Notice::QuotaOut(_) => "quota out".to_owned(),
                Notice::CopyGivenUp(_) => "copy given up".to_owned(),
                Notice::OldStopsGone => "old stops gone".to_owned(),
                Notice::StartsMayGo(_) => "starts may go".to_owned(),
                Notice::Announced { is_off, is_answered, .. } => {
                    let word = if is_off { "off" } else { "on" };
                    format!("{word} {}", if is_answered { "acknowledged" } else { "given up" })
                }
            };
            self.line(&text);
        }
        let bills: Vec<&'static str> = self.stage.records[self.told..].iter().filter_map(bill_in).collect();
        self.told = self.stage.records.len();
        for reason in bills {
            self.line(&format!("bill {reason}"));
        }
    }
}

fn bill_in(record: &Kept) -> Option<&'static str> {
    match record {
        Kept::Billed { reason, .. } => Some(reason.as_str()),
        _ => None,
    }
}
