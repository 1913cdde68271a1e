//! The oracle: it sees everything, the engine's inside excepted, and knows what must be true.
//!
//! | file | what it judges |
//! |---|---|
//! | this one | the truth: who was online, what was counted, who was let in |
//! | `boots` | how sessions end with the box, and what of them is missing then |
//! | `book` | what the ledger is told of each session, and what of it is durable |
//! | `interims` | that what is due leaves |
//! | `bills` | where bills are, and what is done with them |
//! | `wire` | what leaves, in which order, under which identifier; which replies are genuine |
//! | `orders` | what authorization servers ask for, and are told |
//! | `announcing` | what servers are told of the beginning of accounting |
//! | `probes` | what is asked of servers that are Down |
//! | `copies` | what a second group of servers is told |
//! | `verdicts` | who may be admitted, refused, cut |
//! | `reckoning` | the end: where every session ended up |

mod announcing;
mod bills;
mod book;
mod boots;
mod copies;
mod interims;
mod orders;
mod probes;
mod reckoning;
mod verdicts;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use engine::News;
use model::counters::{Counters, Totals};
use model::domain::{FlowStatistic, QuotaAction, Terms};
use model::ids::SessionSerial;
use model::settings::{AccountingMode, CacheBackupMode, LocalAaaServer, ObjectName, Settings};
use model::time::{Mono, Now};

use crate::plane::{Limits, Plane, Saying, What, Who};
use crate::scenario::Scenario;
use announcing::Announcing;
use bills::Bills;
use book::{Book, Fact};
use boots::Boots;
use copies::Copies;
use interims::Wellness;
use orders::Orders;
use probes::Probes;
use wire::Attempt;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that was broken.
    pub rule: &'static str,
    /// By whom and how.
    pub what: String,
}

/// One time that a subscriber was online: the truth.
pub(crate) struct Incarnation {
    pub(crate) plane: usize,
    pub(crate) name: Vec<u8>,
    pub(crate) user: Vec<u8>,
    /// Addresses that it has had.
    pub(crate) addresses: Vec<u32>,
    pub(crate) mode: AccountingMode,
    /// What it moved, over all generations of its counters.
    pub(crate) counted: Counters,
    /// What it had moved by these moments, the last of them.
    pub(crate) history: VecDeque<(Mono, Counters)>,
    /// The plane lost counters that the engine may not have read.
    pub(crate) counters_lost: bool,
    /// The plane lost events about it.
    pub(crate) vanished: bool,
    /// It has gone, with this cause.
    pub(crate) gone: Option<u8>,
    pub(crate) let_in: bool,
    flow: FlowStatistic,
    quota_out: QuotaAction,
    limits: Limits,
    pub(crate) turned_away: bool,
    /// It was to be logged out, and its plane did not obey.
    stays: bool,
    /// The engine did not let it in, for accounting was shut down.
    shut_out: bool,
}

/// Everything that is known.
pub(crate) struct Oracle {
    settings: Settings,
    domains: Vec<String>,
    /// The secrets that each server takes, the newest last.
    servers: BTreeMap<SocketAddr, Vec<Vec<u8>>>,
    is_punctual: bool,
    incarnations: Vec<Incarnation>,
    /// The session behind each Up and Down, by plane, its epoch and the position.
    said: BTreeMap<(String, u64, u64), usize>,
    /// The newest session of each name that the engine was told of, by plane.
    newest: BTreeMap<(usize, Vec<u8>), usize>,
    books: BTreeMap<SessionSerial, Book>,
    /// Books that there have been of each session.
    by_incarnation: BTreeMap<usize, BTreeSet<SessionSerial>>,
    by_session_id: BTreeMap<Vec<u8>, SessionSerial>,
    bills: Bills,
    boots: Boots,
    orders: Orders,
    announcing: Announcing,
    /// What each shard's records of this life say, and how many of them the log has announced.
    appended: Vec<(Vec<Fact>, usize)>,
    /// Every record that the ledger was ever asked to write.
    written: BTreeSet<Vec<u8>>,
    /// What recovery has just read, and what it read that is durable since.
    just_read: BTreeMap<u64, Vec<u8>>,
    read: BTreeMap<u64, Vec<u8>>,
    /// Neither disk ever fails.
    disk_is_well: bool,
    /// A bill that finds no room has nowhere else to wait.
    may_drop: bool,
    /// The wall clock was set: ages that are measured on it are wrong.
    clock_is_set: bool,
    attempts: BTreeMap<(SocketAddr, u8), Attempt>,
    /// When the engine last changed its mind about a server.
    health_changed: Option<Mono>,
    /// When that happened last, or a commit left a group other servers: those that stay may be Down.
    asked_changed: Option<Mono>,
    probes: Probes,
    wellness: Wellness,
    copies: Copies,
    lives: u32,
    /// There may be no room for somebody.
    is_narrow: bool,
    pub(crate) violation: Option<Violation>,
}

impl Oracle {
    /// Nothing has happened.
    pub(crate) fn new(scenario: &Scenario) -> Oracle {
        let interval_s = scenario.settings.checkpoint_interval_s;
        Oracle {
            settings: scenario.settings.clone(),
            domains: scenario.domains.clone(),
            servers: scenario.servers.iter().map(|(at, secret)| (*at, vec![secret.clone()])).collect(),
            is_punctual: scenario.is_punctual(),
            incarnations: Vec::new(),
            said: BTreeMap::new(),
            newest: BTreeMap::new(),
            books: BTreeMap::new(),
            by_incarnation: BTreeMap::new(),
            by_session_id: BTreeMap::new(),
            bills: Bills::default(),
            boots: Boots::new(scenario.planes, scenario.samples_in_time(), interval_s.into()),
            orders: Orders::default(),
            announcing: Announcing::default(),
            appended: Vec::new(),
            written: BTreeSet::new(),
            just_read: BTreeMap::new(),
            read: BTreeMap::new(),
            disk_is_well: !scenario.faults.disk && !scenario.faults.card && !scenario.fails_once && !scenario.is_odd,
            may_drop: scenario.settings.local_aaa_server.cache.backup_mode == CacheBackupMode::None,
            clock_is_set: false,
            attempts: BTreeMap::new(),
            health_changed: None,
            asked_changed: None,
            probes: Probes::default(),
            wellness: Wellness::new(scenario),
            copies: Copies::new(scenario.copy_server.clone(), scenario.copies_in_time()),
            lives: 0,
            is_narrow: scenario.may_be_full(),
            violation: None,
        }
    }

    /// Sessions that there were.
    pub(crate) fn incarnation_count(&self) -> u64 {
        self.incarnations.len() as u64
    }

    /// Only the first is told: the others follow from it.
    fn violate(&mut self, rule: &'static str, what: String) {
        self.violation.get_or_insert(Violation { rule, what });
    }

    fn require(&mut self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.violate(rule, what());
        }
    }

    /// A subscriber came online.
    pub(crate) fn came(&mut self, plane: usize, name: &[u8], domain: usize, who: &Who) -> usize {
        let domain = ObjectName::from(self.domains[domain].as_str());
        let scheme = self.settings.domains[&domain].scheme_or_default(domain.as_str()).to_owned();
        let mode = self.settings.schemes[&ObjectName::from(scheme.as_str())].mode_or_default(&scheme);
        let domain = &self.settings.domains[&domain];
        let (flow, quota_out) = (domain.flow_statistic, domain.quota_out.action());
        self.incarnations.push(Incarnation {
            plane,
            name: name.to_vec(),
            user: who.user.clone(),
            addresses: vec![who.framed_ip.to_bits()],
            mode,
            counted: Counters::ZERO,
            history: VecDeque::new(),
            counters_lost: false,
            vanished: false,
            gone: None,
            let_in: false,
            flow,
            quota_out,
            limits: who.limits,
            turned_away: false,
            stays: false,
            shut_out: false,
        });
        self.incarnations.len() - 1
    }

    /// It has another address.
    pub(crate) fn moved(&mut self, incarnation: usize, framed_ip: Ipv4Addr) {
        self.incarnations[incarnation].addresses.push(framed_ip.to_bits());
    }

    /// It moved octets.
    pub(crate) fn counted(&mut self, now: Mono, incarnation: usize, more: Counters) {
        let truth = &mut self.incarnations[incarnation];
        truth.counted = truth.counted.plus(truth.flow.of(more));
        self.keep_counted(now, incarnation);
    }

    /// Another configuration is committed.
    pub(crate) fn configured(&mut self, settings: &LocalAaaServer) {
        self.may_drop |= settings.cache.backup_mode == CacheBackupMode::None;
    }

    /// Groups are committed that are other ones; a server may have another secret from now on.
    pub(crate) fn committed(&mut self, now: Mono, settings: &Settings, secrets: &[(SocketAddr, Vec<u8>)]) {
        self.asked_changed = Some(now);
        self.settings = settings.clone();
        for (server, secret) in secrets {
            let known = self.servers.entry(*server).or_default();
            if known.last() != Some(secret) {
                known.push(secret.clone());
            }
        }
        self.announcing_configured();
    }

    /// Somebody sets the wall clock.
    pub(crate) fn clock_set(&mut self) {
        self.clock_is_set = true;
    }

    /// The plane lost its counters.
    pub(crate) fn counters_lost(&mut self, incarnation: usize) {
        self.incarnations[incarnation].counters_lost = true;
    }

    /// It went offline.
    pub(crate) fn gone(&mut self, incarnation: usize, cause: u8) {
        let truth = &mut self.incarnations[incarnation];
        (truth.gone, truth.history) = (Some(cause), VecDeque::new());
    }

    /// The plane does not log it out.
    pub(crate) fn stays(&mut self, incarnation: usize) {
        self.incarnations[incarnation].stays = true;
    }

    /// The plane lost events about it, or the session itself.
    pub(crate) fn vanished(&mut self, incarnation: usize) {
        self.incarnations[incarnation].vanished = true;
    }

    /// The plane let it in.
    pub(crate) fn let_in(&mut self, incarnation: usize) {
        self.incarnations[incarnation].let_in = true;
    }

    /// The plane did not let it in.
    pub(crate) fn turned_away(&mut self, incarnation: usize) {
        let Incarnation { let_in, shut_out, stays, .. } = self.incarnations[incarnation];
        // Who is not accounted for is new to every life, and is let out when accounting is shut down. So is who was cut and stays.
        self.require(!let_in || shut_out || stays, "who was admitted is not refused", || {
            format!("session #{incarnation}")
        });
        self.incarnations[incarnation].turned_away = true;
    }

    /// An Up or a Down stands there in a plane's ring.
    pub(crate) fn said(&mut self, plane: &str, epoch: u64, position: u64, incarnation: usize) {
        self.said.insert((plane.to_owned(), epoch, position), incarnation);
    }

    /// The engine took an event.
    pub(crate) fn handed(&mut self, plane: usize, saying: &Saying) {
        if let What::Up { name, .. } = &saying.what {
            let newest = self.newest.entry((plane, name.clone())).or_default();
            *newest = (*newest).max(saying.incarnation);
            if self.announcing.is_shut() && self.books_of(saying.incarnation).next().is_none() {
                self.incarnations[saying.incarnation].shut_out = true;
            }
        }
    }

    /// The engine will not read again what lies before `through`: it must be durable.
    pub(crate) fn consumed(&mut self, plane: &Plane, through: u64) {
        let mut position = plane.consumed;
        while let Some(saying) = plane.next(position).filter(|saying| saying.end <= through) {
            let incarnation = saying.incarnation;
            match saying.what {
                What::Up { .. } => {
                    let accounted = self.incarnations[incarnation].mode == AccountingMode::Radius;
                    let shut_out = self.incarnations[incarnation].shut_out;
                    // Where there was no room for it, the verdict may still be on its way, or it is announced once more.
                    let may_be_shut_out = self.is_narrow && !self.incarnations[incarnation].let_in;
                    let is_durable = self.books_of(incarnation).any(|book| book.is_opened_durable());
                    let kept = !accounted || shut_out || may_be_shut_out || is_durable;
                    self.require(kept, "consumed means durable", || format!("the Up of #{incarnation}"));
                }
                What::Down { .. } => {
                    let kept =
                        self.books_of(incarnation).all(|book| book.is_closed_durable() || book.is_over_durable());
                    self.require(kept, "consumed means durable", || format!("the Down of #{incarnation}"));
                }
                _ => {}
            }
            position = saying.end;
        }
    }

    /// The engine believes otherwise about a server.
    pub(crate) fn server_health_changed(&mut self, now: Mono, server: SocketAddr, news: News) {
        (self.health_changed, self.asked_changed) = (Some(now), Some(now));
        self.probes.news(server, news);
    }

    fn books_of(&self, incarnation: usize) -> impl Iterator<Item = &Book> {
        let serials = self.by_incarnation.get(&incarnation).into_iter().flatten();
        serials.filter_map(|serial| self.books.get(serial))
    }
}

/// Whether every number of `few` is at most that of `many`.
fn is_within(few: &Counters, many: &Counters) -> bool {
    let within = |few: &Totals, many: &Totals| {
        few.in_octets <= many.in_octets
            && few.in_packets <= many.in_packets
            && few.out_octets <= many.out_octets
            && few.out_packets <= many.out_packets
    };
    within(&few.v4, &many.v4) && within(&few.v6, &many.v6)
}

/// As a packet carries them: in their unit, families as configured, and packets in 32 bits.
fn as_sent(terms: &Terms, counters: &Counters) -> Counters {
    let counters = terms.reported(counters);
    let low = |totals: Totals| Totals {
        in_packets: totals.in_packets & 0xffff_ffff,
        out_packets: totals.out_packets & 0xffff_ffff,
        ..totals
    };
    Counters { v4: low(counters.v4), v6: low(counters.v6) }
}

/// The moment, in whole seconds after another.
fn seconds_since(now: Now, earlier: Now) -> u64 {
    now.mono.since(earlier.mono).as_secs()
}
