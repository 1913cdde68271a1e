//! A play with several servers, each of which answers or is silent, written down as it is seen from outside: one line for each
//! datagram, verdict, notice and bill, with its second. So a test reads like the page it proves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use engine::{News, Notice};
use model::settings::{AccountingScheme, AccountingServer, ObjectName, RadiusGroup, Secret, Settings};
use model::time::Mono;
use wire::radius::attribute::acct_status_type;

use crate::stage::{Asked, Kept, SECRET, Setup, Stage, at, moved, settings};

/// The server of this number, from 1.
pub(crate) fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100 + number], 1813))
}

/// So many servers in the group, R = 3 and S = 5 s, no resending; the scheme as it is made.
pub(crate) fn plain(servers: u8) -> Settings {
    let mut settings = settings(Setup::default());
    let accounting = (1..=servers).map(|number| AccountingServer {
        address: server(number),
        shared_key: Some(Secret::new(SECRET.to_vec(), String::new())),
        weight: 0,
        message_authenticator: false,
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

/// The play.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    began: Mono,
    silent: BTreeSet<SocketAddr>,
    names: BTreeMap<Vec<u8>, String>,
    told: usize,
    /// Every datagram that has left.
    pub(crate) sent: Vec<Asked>,
    lines: String,
}

impl Scene {
    /// Every server answers.
    pub(crate) fn new(settings: &Settings) -> Scene {
        let stage = Stage::with(1, at(100_000), settings, 64).linked(1, 0);
        Scene {
            began: stage.now.mono,
            stage,
            silent: BTreeSet::new(),
            names: BTreeMap::new(),
            told: 0,
            sent: Vec::new(),
            lines: String::new(),
        }
    }

    /// From now on the server of this number does not answer.
    pub(crate) fn silence(mut self, number: u8) -> Scene {
        self.silent.insert(server(number));
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

    pub(crate) fn down(mut self, name: &str) -> Scene {
        self.stage.down(name);
        self
    }

    /// The subscriber behind this counter has moved so much by now.
    pub(crate) fn count(self, slot: u32, octets: u64) -> Scene {
        self.stage.table.set(slot, moved(octets));
        self
    }

    /// A commit.
    pub(crate) fn commit(mut self, settings: &Settings) -> Scene {
        self.stage.configure(settings);
        self
    }

    /// Lets time pass.
    pub(crate) fn pass(mut self, seconds: u64) -> Scene {
        let end = self.stage.now.mono.plus(Duration::from_secs(seconds));
        loop {
            self.turn();
            let soonest = self.stage.now.mono.plus(Duration::from_millis(1));
            let next = self.stage.shard.poll_timeout().unwrap_or(end).max(soonest);
            if next > end {
                self.stage.pass(end.since(self.stage.now.mono));
                return self;
            }
            self.stage.pass(next.since(self.stage.now.mono));
        }
    }

    /// What was seen since the last time must be this, line by line; blanks in front do not count.
    #[track_caller]
    pub(crate) fn sees(mut self, expected: &str) -> Scene {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let lines = std::mem::take(&mut self.lines);
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "\n{lines}");
        self
    }

    /// What was seen since the last time, for tests that ask less of it.
    pub(crate) fn seen(&mut self) -> String {
        std::mem::take(&mut self.lines)
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
                if !self.silent.contains(&asked.to) {
                    self.stage.reply(&asked);
                }
                self.sent.push(asked);
            }
        }
    }

    fn line(&mut self, text: &str) {
        // To a tenth: timers may be late by a few milliseconds.
        let tenths = self.stage.now.mono.since(self.began).as_millis() / 100;
        self.lines.push_str(&format!("{} {text}\n", tenths as f64 / 10.0));
    }

    fn tell_of(&mut self, asked: &Asked) {
        let kind = match asked.status() {
            acct_status_type::START => "start",
            acct_status_type::INTERIM_UPDATE => "interim",
            acct_status_type::STOP => "stop",
            _ => "other",
        };
        self.names.entry(asked.session_id()).or_insert_with(|| asked.user());
        let number = asked.to.ip().to_string().rsplit('.').next().map_or(0, |octet| octet.parse::<u8>().unwrap() - 100);
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
                Notice::InterimFailed(_) => "interims failed".to_owned(),
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
