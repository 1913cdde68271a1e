//! What one seed sets up: who is configured how, and which faults this world has.

mod narrow;
mod stretch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::domain::{DualStack, FlowStatistic, QuotaOut, StartDelay, TrafficUnit, UserTypes};
use model::event::Access;
use model::settings::{
    AccountingMode, AccountingOn, AccountingScheme, Algorithm, BillFormat, BillReplay, BillServer, BillServerLogin,
    CacheBackupMode, CacheRounds, CacheWarning, Domain, Interim, InterimFail, InterimFailPolicy, InterimSpelling,
    IntervalUnit, LimitedServers, LocalAaaServer, ObjectName, PlaneLink, RadiusCache, RadiusGroup, RadiusHealth,
    RadiusLimits, RadiusServer, RecoveryDetect, Secret, Settings, SpeedLimit, StartFail,
};

use crate::fallible::Fails;
use crate::seed::Dice;
use crate::world::Load;
pub(crate) use narrow::Narrow;
pub(crate) use stretch::Stretch;

/// Beside the stream of a world: what domains say was asked of chance later than all the rest, and worlds without it, those
/// that tests name among them, are what they were.
pub(crate) const TERMS: u64 = 5274;

/// The same of probes, and of who is asked first.
const PROBES: u64 = 7666;

/// The same of copies, and of Stops for those who are refused.
const BESIDE_COPIES: u64 = 4111;

/// The same of servers that hear not all of it.
const HALF_DEAF: u64 = 3187;

/// What the command line may fix; the seed fixes the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knobs {
    /// Virtual minutes with faults.
    pub minutes: Option<u64>,
    /// Session names over all planes.
    pub sessions: Option<usize>,
    /// Sessions, their intervals and the pauses between faults last so many times longer than the seed says; 1–1,000.
    pub stretch: Option<u64>,
    /// One operation fails, besides what the seed says.
    pub fails: Option<Fails>,
    /// This instead of faults.
    pub load: Option<Load>,
}

/// Which kinds of faults a world has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Loss, duplication, reordering, corruption, forgery.
    pub(crate) network: bool,
    /// Servers are silent, mute, slow, flapping, or answer twice.
    pub(crate) servers: bool,
    /// Writes and syncs fail for a while.
    pub(crate) disk: bool,
    /// They take long.
    pub(crate) disk_slow: bool,
    /// The process is killed.
    pub(crate) kills: bool,
    /// And what was not synced is lost with it.
    pub(crate) power: bool,
    /// It is told to end, and started again.
    pub(crate) restarts: bool,
    /// Links to planes are lost and come back.
    pub(crate) links: bool,
    /// Planes lose their memory.
    pub(crate) planes: bool,
    /// Threads are not scheduled for a while.
    pub(crate) stalls: bool,
    /// The CF card is pulled out and put back.
    pub(crate) card: bool,
    /// The bill server fails, or its answers are lost.
    pub(crate) bill_server: bool,
    /// The box is booted: its clock begins anew, and the planes lose everything.
    pub(crate) reboots: bool,
    /// An operator moves, ships and deletes bills by hand, and changes what is configured of them.
    pub(crate) operator: bool,
}

/// One world before it begins.
pub(crate) struct Scenario {
    pub(crate) settings: Settings,
    pub(crate) domains: Vec<String>,
    pub(crate) servers: Vec<(SocketAddr, Vec<u8>)>,
    /// Has a copy of what some domains account.
    pub(crate) copy_server: Option<CopyServer>,
    pub(crate) planes: usize,
    pub(crate) names_per_plane: usize,
    /// A subscriber does something every so many seconds at most.
    pub(crate) pace_s: u64,
    pub(crate) shards: u16,
    /// Octets of a segment and of a batch.
    pub(crate) log: (u64, usize),
    pub(crate) has_card: bool,
    pub(crate) faults: Faults,
    /// Domains say how subscribers are counted, delayed and limited, and some are limited.
    pub(crate) has_terms: bool,
    /// Servers never answer some sessions' interims, and nothing else is wrong on the way to them.
    pub(crate) is_half_deaf: bool,
    /// How long the world is in trouble.
    pub(crate) trouble: Duration,
    pub(crate) stretch: Stretch,
    /// One operation of a disk, of the bill server or of the network fails besides.
    pub(crate) fails_once: bool,
    /// More goes wrong than `faults` says.
    pub(crate) is_odd: bool,
    pub(crate) narrow: Narrow,
    /// It is loaded so that what is due may be late.
    pub(crate) is_loaded: bool,
}

/// The group that has copies.
pub(crate) const COPIES: &str = "copies";

/// The server that has copies.
#[derive(Clone, Debug)]
pub(crate) struct CopyServer {
    pub(crate) address: SocketAddr,
    pub(crate) secret: Vec<u8>,
    pub(crate) dice: Dice,
}

impl Scenario {
    pub(crate) fn new(dice: &mut Dice, knobs: Knobs) -> Scenario {
        let mut terms = dice.beside(TERMS);
        let has_terms = terms.chance(50);
        let mut probes = dice.beside(PROBES);
        let mut copies = dice.beside(BESIDE_COPIES);
        let mut half_deaf = dice.beside(HALF_DEAF);
        let servers: Vec<_> = (1..=dice.between(1, 3))
            .map(|n| {
                let address = SocketAddr::from(([10, 0, 0, n.to_le_bytes()[0]], 1813));
                (address, format!("secret of {n}").into_bytes())
            })
            .collect();
        let mut settings = Settings { sysname: "BNG1".to_owned(), ..Settings::default() };
        // A plane that does not come back in time has its sessions closed, and then they are other sessions.
        settings.plane_link = PlaneLink { path: None, grace_s: 0 };
        let group_count = dice.between(1, 2);
        for n in 0..group_count {
            settings.radius_groups.insert(ObjectName::from(group_name(n).as_str()), group(dice, &servers));
        }
        let mut domains = Vec::new();
        for n in 0..dice.between(1, 4) {
            let (name, scheme_name) = (format!("isp{n}"), format!("scheme{n}"));
            settings.schemes.insert(ObjectName::from(scheme_name.as_str()), scheme(dice));
            let radius_group =
                (!dice.chance(4)).then(|| ObjectName::from(group_name(dice.below(group_count)).as_str()));
            let accounting_scheme = Some(ObjectName::from(scheme_name.as_str()));
            let name = ObjectName::from(name.as_str());
            let mut domain = Domain { accounting_scheme, radius_group, ..Domain::default() };
            if has_terms {
                set_terms(&mut terms, &mut domain, &mut settings);
            }
            settings.domains.insert(name.clone(), domain);
            domains.push(name.as_str().to_owned());
        }
        settings.radius_health = health(dice);
        settings.radius_cache = cache(dice);
        settings.radius_limits = limits(dice);
        settings.checkpoint_interval_s = dice.pick(&[1, 10, 60]);
        settings.local_aaa_server = local_bills(dice);
        let log = dice.pick(&[(16 << 10, 8 << 10), (32 << 10, 8 << 10), (64 << 10, 16 << 10), (256 << 10, 16 << 10)]);
        let has_card = dice.chance(70) || settings.local_aaa_server.cache.backup_mode == CacheBackupMode::Cfcard;
        let planes = if dice.chance(25) { 2 } else { 1 };
        let storm = dice.chance(4);
        let names = if storm { dice.between(300, 600) } else { dice.between(1, 40) };
        let names = knobs.sessions.unwrap_or(usize::try_from(names).unwrap_or_default());
        let minutes = knobs.minutes.unwrap_or(if storm { 2 } else { dice.between(2, 7) });
        let mut scenario = Scenario {
            settings,
            domains,
            servers,
            copy_server: None,
            planes,
            names_per_plane: names.div_ceil(planes),
            pace_s: dice.pick(&[10, 40, 120]),
            shards: if dice.chance(50) { 1 } else { 2 + u16::from(dice.chance(50)) },
            log,
            has_card,
            faults: faults(dice),
            has_terms,
            is_half_deaf: false,
            trouble: Duration::from_secs(60 * minutes),
            stretch: Stretch::default(),
            fails_once: knobs.fails.is_some(),
            is_odd: false,
            narrow: Narrow::default(),
            is_loaded: false,
        };
        let may_be_half_deaf = scenario.is_punctual();
        scenario.is_half_deaf = half_deaf.chance(25) && may_be_half_deaf;
        set_recovery(&mut probes, &mut scenario.settings);
        for group in scenario.settings.radius_groups.values_mut() {
            group.send_force = copies.chance(25);
        }
        if copies.chance(25) {
            scenario.copy(&mut copies);
        }
        if let Some(times) = knobs.stretch {
            scenario.lengthen(Stretch::new(times), knobs.minutes.is_none());
        }
        scenario
    }

    /// Some domains have a copy of their accounting.
    fn copy(&mut self, dice: &mut Dice) {
        let address = SocketAddr::from(([10, 0, 1, 1], 1813));
        let server = CopyServer { address, secret: b"secret of the copies".to_vec(), dice: dice.fork() };
        let accounting = vec![RadiusServer {
            shared_key: Some(Secret::new(server.secret.clone(), String::new())),
            message_authenticator: dice.chance(50),
            ..RadiusServer::new(address)
        }];
        let name = ObjectName::from(COPIES);
        self.settings.radius_groups.insert(name.clone(), RadiusGroup { accounting, ..RadiusGroup::default() });
        for domain in self.settings.domains.values_mut() {
            domain.accounting_copy = dice.chance(70).then(|| name.clone());
        }
        self.copy_server = Some(server);
    }

    /// In some worlds groups have their servers told when accounting begins. With dice of its own, so that the other worlds stay
    /// as they are.
    pub(crate) fn tell_servers(&mut self, dice: &mut Dice) {
        if dice.chance(19) {
            for group in self.settings.radius_groups.values_mut() {
                group.accounting_on =
                    dice.pick(&[AccountingOn::Disabled, AccountingOn::Enabled, AccountingOn::Wait, AccountingOn::Wait]);
            }
        }
    }

    /// Whether a server has subscribers logged out and changed.
    pub(crate) fn is_ordered(&self) -> bool {
        !self.settings.radius_authorization.servers.is_empty()
    }

    /// Whether something is in the way that `faults` does not say.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.fails_once || self.is_odd || self.is_loaded
    }

    /// Whether a sample that is due can only be late by the engine's own doing.
    pub(crate) fn samples_in_time(&self) -> bool {
        let Faults { disk, disk_slow, stalls, reboots, .. } = self.faults;
        reboots && !disk && !disk_slow && !stalls && !self.is_disturbed()
    }

    /// Whether a copy server hears everything in time.
    pub(crate) fn copies_in_time(&self) -> bool {
        let Faults { network, servers, operator, reboots, .. } = self.faults;
        let is_calm = !network && !servers && !operator && !reboots && !self.is_disturbed();
        is_calm && self.settings.radius_limits.is_empty()
    }

    /// Whether an interim that is due can only be late by the engine's own doing.
    pub(crate) fn is_punctual(&self) -> bool {
        let Faults { network, servers, stalls, .. } = self.faults;
        let limited = !self.settings.radius_limits.is_empty();
        !network && !servers && !stalls && !limited && !self.is_half_deaf && self.is_roomy()
    }

    /// Whether servers bear all that they are asked, be that limited or not, and nothing else is in the way.
    pub(crate) fn is_roomy(&self) -> bool {
        self.names_per_plane <= 40 && !self.is_disturbed()
    }

    /// Whether no fault but the death of the process keeps a request from its server, or an answer from the engine.
    pub(crate) fn is_heard(&self) -> bool {
        let Faults { network, servers, stalls, .. } = self.faults;
        !network && !servers && !stalls && !self.is_disturbed()
    }

    /// Whether the ledger takes at once what it is told.
    pub(crate) fn is_disk_in_time(&self) -> bool {
        let Faults { disk, disk_slow, .. } = self.faults;
        !disk && !disk_slow && !self.is_disturbed()
    }
}

fn group_name(n: u64) -> String {
    format!("group{n}")
}

fn faults(dice: &mut Dice) -> Faults {
    // A fifth of the worlds is calm, a fifth has every trouble at once.
    match dice.below(5) {
        0 => Faults::default(),
        1 => Faults {
            network: true,
            servers: true,
            disk: true,
            disk_slow: true,
            kills: true,
            power: true,
            restarts: true,
            links: true,
            planes: true,
            stalls: true,
            card: true,
            bill_server: true,
            reboots: true,
            operator: true,
        },
        _ => Faults {
            network: dice.chance(40),
            servers: dice.chance(50),
            disk: dice.chance(30),
            disk_slow: dice.chance(30),
            kills: dice.chance(50),
            power: dice.chance(50),
            restarts: dice.chance(30),
            links: dice.chance(30),
            planes: dice.chance(20),
            stalls: dice.chance(20),
            card: dice.chance(50),
            bill_server: dice.chance(60),
            reboots: dice.chance(40),
            operator: dice.chance(50),
        },
    }
}

fn group(dice: &mut Dice, servers: &[(SocketAddr, Vec<u8>)]) -> RadiusGroup {
    let first = dice.index(servers.len());
    let count = 1 + dice.index(servers.len());
    let accounting = (0..count).map(|n| {
        let (address, secret) = &servers[(first + n) % servers.len()];
        let shared_key = Some(Secret::new(secret.clone(), String::new()));
        RadiusServer {
            shared_key,
            weight: dice.pick(&[0, 1, 5]),
            message_authenticator: dice.chance(50),
            ..RadiusServer::new(*address)
        }
    });
    let accounting = accounting.collect();
    RadiusGroup {
        accounting,
        shared_key: None,
        algorithm: dice.pick(&[Algorithm::MasterBackup, Algorithm::LoadingShare]),
        strict: false,
        sequence: false,
        retransmit: dice.pick(&[1, 2, 3]),
        timeout_s: dice.pick(&[3, 4, 6]),
        source_ports: dice.pick(&[1, 1, 2, 16]),
        source: None,
        stop_resend: dice.pick(&[0, 0, 1, 2, 3]),
        start_resend: dice.pick(&[0, 0, 1, 4]),
        interim_resend: dice.pick(&[0, 0, 1, 4]),
        ..RadiusGroup::default()
    }
}

fn set_terms(dice: &mut Dice, domain: &mut Domain, settings: &mut Settings) {
    let delay = StartDelay {
        seconds: dice.pick(&[3, 30]),
        offline: dice.chance(50),
        user_types: dice.pick(&[UserTypes::default(), UserTypes::default(), UserTypes::NONE.with(Access::Ipoe)]),
    };
    let redirect = |stop_accounting| QuotaOut::Redirect { url: "http://pay.example/".to_owned(), stop_accounting };
    domain.flow_statistic = FlowStatistic { up: !dice.chance(10), down: !dice.chance(10) };
    domain.dual_stack = dice.pick(&[DualStack::Separate, DualStack::Identical]);
    domain.start_delay = dice.chance(25).then_some(delay);
    domain.ipv4_starts = dice.chance(25);
    domain.quota_out = match dice.below(5) {
        0 => QuotaOut::Online,
        1 => QuotaOut::SendRealtimeAccounting,
        2 => redirect(false),
        3 => redirect(true),
        _ => QuotaOut::Offline,
    };
    for group in settings.radius_groups.values_mut() {
        group.traffic_unit = dice.pick(&[TrafficUnit::Byte, TrafficUnit::Byte, TrafficUnit::Kbyte, TrafficUnit::Gbyte]);
    }
    for scheme in settings.schemes.values_mut() {
        scheme.no_send_remain_s = dice.pick(&[0, 0, 45]);
    }
}

fn health(dice: &mut Dice) -> RadiusHealth {
    RadiusHealth {
        dead_count: dice.pick(&[3, 10, 10]),
        fail_rate: dice.pick(&[100, 100, 30]),
        dead_interval_s: dice.pick(&[0, 5, 5]),
        dead_time_min: dice.pick(&[1, 3]),
        recover_count_invalid: dice.chance(20),
    }
}

/// Half of the worlds send probes, or ask the server that authenticated a user first.
fn set_recovery(dice: &mut Dice, settings: &mut Settings) {
    let is_asked = dice.chance(50);
    let detect = RecoveryDetect {
        user: dice.chance(40).then(|| "tester".to_owned()),
        interval_s: dice.pick(&[1, 10, 60]),
        threshold: dice.pick(&[1, 1, 2]),
    };
    settings.radius_recovery.accounting = (is_asked && dice.chance(60)).then_some(detect);
    for group in settings.radius_groups.values_mut() {
        group.strict = group.algorithm == Algorithm::MasterBackup && !(is_asked && dice.chance(70));
    }
}

/// The queue is often so small that somebody has to leave it.
fn cache(dice: &mut Dice) -> RadiusCache {
    RadiusCache {
        packets: dice.pick(&[RadiusCache::PACKETS_DEFAULT, 20, 3]),
        memory_threshold: dice.pick(&[50, 75, 85]),
        warning: dice.pick(&[None, Some(CacheWarning { upper: 80, lower: 20 })]),
        rounds: dice.pick(&[None, None, Some(CacheRounds { users: 2, seconds: 10 })]),
        keep_packets: dice.chance(20),
        pending_limit_optimize: dice.chance(30),
    }
}

fn limits(dice: &mut Dice) -> BTreeMap<LimitedServers, RadiusLimits> {
    let limits = RadiusLimits {
        pending: dice.pick(&[None, None, Some(1), Some(20)]),
        speed: dice.pick(&[None, None, Some(SpeedLimit { count: 50, seconds: 1 })]),
    };
    let is_set = limits != RadiusLimits::default();
    is_set.then_some((LimitedServers { ip: None, vpn: None, port: None }, limits)).into_iter().collect()
}

/// Stores are so small that bills have to leave them.
pub(crate) fn local_bills(dice: &mut Dice) -> LocalAaaServer {
    let mut bills =
        LocalAaaServer { pool_enabled: dice.chance(85), format: BillFormat::Json, ..LocalAaaServer::default() };
    bills.bill_server = dice.chance(85).then(bill_server);
    bills.file_size = dice.pick(&[1, 3, 10, 100]);
    bills.replay =
        dice.pick(&[BillReplay::Disabled, BillReplay::Disabled, BillReplay::Enabled, BillReplay::EnabledStartFailed]);
    bills.cache.capacity = dice.pick(&[3, 8, 20, 1000]);
    bills.cache.alarm_threshold = dice.pick(&[50, 75, 100]);
    bills.cache.backup_mode = dice.pick(&[
        CacheBackupMode::Cfcard,
        CacheBackupMode::Cfcard,
        CacheBackupMode::None,
        CacheBackupMode::Sftp,
        CacheBackupMode::Tftp,
    ]);
    bills.cache.backup_interval_min = dice.pick(&[1, 3, 60]);
    bills.cfcard.capacity = dice.pick(&[3, 20, 1000]);
    bills.cfcard.backup_interval_min = dice.pick(&[1, 3, 60]);
    bills
}

/// The one that there is.
pub(crate) fn bill_server() -> BillServer {
    BillServer {
        address: [192, 0, 2, 9].into(),
        file_name: "bills".to_owned(),
        login: Some(BillServerLogin {
            user: "sim".to_owned(),
            password: Secret::new(b"a password".to_vec(), String::new()),
            port: 22,
        }),
    }
}

fn scheme(dice: &mut Dice) -> AccountingScheme {
    let seconds = dice.pick(&[0, 15, 30, 60, 90]);
    let interim = Interim {
        value: seconds,
        unit: IntervalUnit::Second,
        hash: dice.chance(60),
        traffic: dice.chance(25),
        spelling: InterimSpelling::Interval,
    };
    AccountingScheme {
        mode: dice.chance(8).then_some(AccountingMode::None),
        start_fail: dice.pick(&[StartFail::Online, StartFail::OnlineKeepAccounting, StartFail::Offline]),
        interim: (seconds > 0).then_some(interim),
        interim_fail: InterimFail {
            max_times: dice.pick(&[1, 2, 3]),
            policy: dice.pick(&[InterimFailPolicy::Online, InterimFailPolicy::Offline]),
        },
        send_update: dice.chance(25),
        no_send_remain_s: 0,
        shadow: dice.chance(20),
    }
}
