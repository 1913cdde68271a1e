//! The running configuration as one tree. `vrp` turns text into it and back; the engine takes it whole.
//!
//! Every field holds what the operator set; an `Option` that is `None` and every `Default` is the value that
//! `display current-configuration` does not print (BEHAVIOUR.md section 10).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::domain::{DualStack, FlowStatistic, QuotaOut, StartDelay, Terms, TrafficUnit};

mod announcement;
mod authentication;
mod authorization;
mod bills;
mod hwtacacs;
mod packets;
mod recovery;
mod relay;
mod scheme;
mod server;
mod shell;
mod sources;
mod tls;

pub use announcement::AccountingOn;
pub use authentication::AuthenticationRetries;
pub use authorization::{AuthorizationPath, AuthorizationServer, RadiusAuthorization};
pub use bills::{
    BillFormat, BillReplay, BillServer, BillServerLogin, BillStoreSettings, CacheBackupMode, CfcardBackupMode,
    HostKeyPolicy, LocalAaaServer,
};
pub use hwtacacs::{Hwtacacs, HwtacacsRank, HwtacacsServer, HwtacacsTemplate};
pub use packets::{OptionalAttribute, OptionalAttributes, UserNameFormat};
pub use recovery::{RadiusRecovery, RecoveryDetect};
pub use relay::{DisconnectFail, Relay, RelayClient, RelayInterim};
pub use scheme::{
    AccountingMode, AccountingScheme, CutBrake, Interim, InterimFail, InterimFailPolicy, InterimSpelling, IntervalUnit,
    PinnedScheme, StartFail,
};
pub use server::{InterfaceName, RadiusServer, ServerPath, Source, Transport};
pub use shell::ShellLevel;
pub use sources::{
    CountedBy, CounterMap, CounterMaps, CounterOrigin, MapValues, SessionSource, SourceKind, SourcePlace,
};
pub use tls::RadiusTls;

/// The whole running configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The box's name, 1–64 characters; NAS-Identifier and the prompt.
    pub sysname: String,
    /// What Acct-Session-Id begins with, 1–7 characters, instead of the first seven of the sysname.
    pub session_id_prefix: Option<String>,
    /// Where packet planes link in.
    pub plane_link: PlaneLink,
    /// Whom this box is an accounting server to.
    pub relay: Relay,
    /// Where the daemon itself learns who is online.
    pub session_sources: BTreeMap<SourcePlace, SessionSource>,
    /// Where the octets of their sessions are counted, of sources that do not say it.
    pub counter_source: Option<CounterOrigin>,
    /// The eBPF maps that they may be counted in.
    pub counter_maps: CounterMaps,
    /// When a RADIUS server is taken for dead, and for how long.
    pub radius_health: RadiusHealth,
    /// How one that is Down is found out to be back.
    pub radius_recovery: RadiusRecovery,
    /// How much RADIUS servers are asked at most.
    pub radius_limits: BTreeMap<LimitedServers, RadiusLimits>,
    /// The same of authentication servers: the packet plane's, kept and shown.
    pub radius_authentication_limits: BTreeMap<LimitedServers, RadiusLimits>,
    /// The queue of Stops that are tried again.
    pub radius_cache: RadiusCache,
    /// Who may have subscribers logged out or changed (RFC 5176).
    pub radius_authorization: RadiusAuthorization,
    /// Groups of RADIUS servers.
    pub radius_groups: BTreeMap<ObjectName, RadiusGroup>,
    /// HWTACACS servers.
    pub hwtacacs: Hwtacacs,
    /// Accounting schemes, built-in ones included.
    pub schemes: BTreeMap<ObjectName, AccountingScheme>,
    /// Domains, built-in ones included.
    pub domains: BTreeMap<ObjectName, Domain>,
    /// The local bill pool.
    pub local_aaa_server: LocalAaaServer,
    /// How often every session is sampled into the ledger, seconds, 1–3,600.
    pub checkpoint_interval_s: u16,
    /// `accounting policy brake`; `None`: off.
    pub cut_brake: Option<CutBrake>,
    /// Who may use the control socket beside its owner: the members of these groups of the system.
    pub shell_groups: BTreeMap<String, ShellLevel>,
}

impl Default for Settings {
    fn default() -> Settings {
        let mut settings = Settings {
            sysname: "HUAWEI".to_owned(),
            session_id_prefix: None,
            plane_link: PlaneLink::default(),
            relay: Relay::default(),
            session_sources: BTreeMap::new(),
            counter_source: None,
            counter_maps: CounterMaps::default(),
            radius_health: RadiusHealth::default(),
            radius_recovery: RadiusRecovery::default(),
            radius_limits: BTreeMap::new(),
            radius_authentication_limits: BTreeMap::new(),
            radius_cache: RadiusCache::default(),
            radius_authorization: RadiusAuthorization::default(),
            radius_groups: BTreeMap::new(),
            hwtacacs: Hwtacacs::default(),
            schemes: BTreeMap::new(),
            domains: BTreeMap::new(),
            local_aaa_server: LocalAaaServer::default(),
            checkpoint_interval_s: Settings::CHECKPOINT_INTERVAL_DEFAULT_S,
            cut_brake: None,
            shell_groups: BTreeMap::new(),
        };
        for name in BUILT_IN_SCHEMES {
            settings.schemes.insert(ObjectName::from(name), AccountingScheme::default());
        }
        for name in BUILT_IN_DOMAINS {
            settings.domains.insert(ObjectName::from(name), Domain::default());
        }
        settings
    }
}

impl Settings {
    /// Whether every group that names this server has its alarms disabled.
    pub fn is_alarm_disabled(&self, server: &ServerPath) -> bool {
        let names =
            |group: &&RadiusGroup| group.accounting.iter().any(|member| member.is_at(server.address, server.vpn));
        let mut naming = self.radius_groups.values().filter(names).peekable();
        naming.peek().is_some() && naming.all(|group| group.alarm_disabled)
    }

    /// `accounting checkpoint-interval` (INTERFACES.md section 2).
    pub const CHECKPOINT_INTERVAL_DEFAULT_S: u16 = 60;
}

/// Schemes that always exist and cannot be deleted (BEHAVIOUR.md section 1).
pub const BUILT_IN_SCHEMES: [&str; 3] = ["default", "default0", "default1"];

/// Domains that always exist and cannot be deleted (BEHAVIOUR.md section 4).
pub const BUILT_IN_DOMAINS: [&str; 3] = ["default0", "default1", "default_admin"];

/// The domain of a subscriber whose event and user name tell none (INTERFACES.md section 2).
pub const DEFAULT_DOMAIN: &str = "default1";

/// At most so many accounting schemes (BEHAVIOUR.md 3.1).
pub const SCHEME_COUNT_MAX: usize = 256;

/// A name that is matched without regard to case and printed as it was first typed (BEHAVIOUR.md section 1).
#[derive(Clone, Debug)]
pub struct ObjectName(Box<str>);

impl ObjectName {
    /// As it was first typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ObjectName {
    fn from(name: &str) -> ObjectName {
        ObjectName(name.into())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for ObjectName {
    fn eq(&self, other: &ObjectName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ObjectName {}

impl PartialOrd for ObjectName {
    fn partial_cmp(&self, other: &ObjectName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectName {
    fn cmp(&self, other: &ObjectName) -> Ordering {
        let folded = |name: &str| name.bytes().map(|octet| octet.to_ascii_lowercase()).collect::<Vec<u8>>();
        folded(&self.0).cmp(&folded(&other.0))
    }
}

/// Where packet planes link in (INTERFACES.md section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaneLink {
    /// The Unix socket; `None`: no link.
    pub path: Option<String>,
    /// Seconds that the sessions of a plane outlive its link; 0: for ever. 0–86,400.
    pub grace_s: u32,
}

impl Default for PlaneLink {
    fn default() -> PlaneLink {
        PlaneLink { path: None, grace_s: 300 }
    }
}

/// A secret, with the stored form it was read from so that an unchanged one prints unchanged. Its octets are
/// wiped when it is dropped, and never printed.
#[derive(Clone)]
pub struct Secret {
    octets: Zeroizing<Vec<u8>>,
    stored: String,
}

impl Secret {
    /// `octets` in clear, `stored` as `%^%#…%^%#`.
    pub fn new(octets: Vec<u8>, stored: String) -> Secret {
        Secret { octets: Zeroizing::new(octets), stored }
    }

    /// In clear, for the authenticator only.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// As `display current-configuration` prints it.
    pub fn stored(&self) -> &str {
        &self.stored
    }
}

/// Two secrets are equal when they authenticate alike, however they are stored.
impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

/// When a RADIUS server is taken for dead, and for how long (BEHAVIOUR.md 5.2); the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadiusHealth {
    /// Unanswered transmissions in a row, 3–65,535.
    pub dead_count: u16,
    /// Per cent of the transmissions that ended without a reply, 1–100; 100: the count alone decides.
    pub fail_rate: u8,
    /// Seconds that must have passed since the first of them, 0–60.
    pub dead_interval_s: u8,
    /// Minutes until it is tried again, 1–65,535.
    pub dead_time_min: u16,
    /// A reply does not end the dead-time.
    pub recover_count_invalid: bool,
}

impl Default for RadiusHealth {
    fn default() -> RadiusHealth {
        RadiusHealth {
            dead_count: 10,
            fail_rate: 100,
            dead_interval_s: 5,
            dead_time_min: 3,
            recover_count_invalid: false,
        }
    }
}

/// Whom `radius-server accounting [IP [vpn-instance V]] [PORT] { pending-limit | speed-limit }` speaks of (BEHAVIOUR.md 5.1): all
/// accounting servers, or those with this address, or this port, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitedServers {
    /// Of this address only.
    pub ip: Option<IpAddr>,
    /// With an address: in this VRF; `None`: in none.
    pub vpn: Option<InterfaceName>,
    /// On this port only.
    pub port: Option<u16>,
}

/// How much an accounting server is asked at most, by this box (BEHAVIOUR.md 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RadiusLimits {
    /// Requests that wait for its replies at once, 1–65,535.
    pub pending: Option<u16>,
    /// Requests in a time.
    pub speed: Option<SpeedLimit>,
}

/// `speed-limit N SEC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeedLimit {
    /// Requests, 1–65,535; what is transmitted again is not counted.
    pub count: u16,
    /// Seconds, 1–3,600.
    pub seconds: u16,
}

/// The queue of accounting packets that no server acknowledged (BEHAVIOUR.md 5.5), of the whole box. A user has one packet in
/// it at most: what is newer replaces what is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RadiusCache {
    /// Packets at most, 8,192–256,000; see [`RadiusCache::users_most`].
    pub packets: u32,
    /// How much of the memory that log-ins leave free it may take, 50–85 per cent.
    pub memory_threshold: u8,
    /// When its fill is told of; `None`: never.
    pub warning: Option<CacheWarning>,
    /// So many users every so often, instead of each in its own time.
    pub rounds: Option<CacheRounds>,
    /// `cache keep packet`: nothing is given up because its tries are used up.
    pub keep_packets: bool,
    /// `pending-limit optimize`: a try that found no place on any server is not counted.
    pub pending_limit_optimize: bool,
}

impl Default for RadiusCache {
    fn default() -> RadiusCache {
        RadiusCache {
            packets: RadiusCache::PACKETS_DEFAULT,
            memory_threshold: RadiusCache::MEMORY_THRESHOLD_DEFAULT,
            warning: None,
            rounds: None,
            keep_packets: false,
            pending_limit_optimize: false,
        }
    }
}

impl RadiusCache {
    /// Packets, and then no more than 4,096 users.
    pub const PACKETS_DEFAULT: u32 = 8192;
    /// Per cent.
    pub const MEMORY_THRESHOLD_DEFAULT: u8 = 75;

    /// Users at most, for each has one packet: 4,096 by default, as many as packets when those were configured.
    pub fn users_most(&self) -> u32 {
        if self.packets == RadiusCache::PACKETS_DEFAULT { 4096 } else { self.packets }
    }
}

/// `cache-warning-threshold upper-limit U lower-limit L`, per cent of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheWarning {
    /// Raised at this fill, 1–100.
    pub upper: u8,
    /// Cleared at this one, 0–99 and below the other; 0: when it is empty.
    pub lower: u8,
}

/// `cache retransmit K timeout S`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheRounds {
    /// Users in a round, 1–65,535.
    pub users: u16,
    /// Seconds between rounds, 1–3,600.
    pub seconds: u16,
}

impl Settings {
    /// What holds for this server. Of two that speak of it, the one that names the address goes first, then the one that
    /// names the port.
    pub fn limits_of(&self, server: &ServerPath) -> RadiusLimits {
        let named = [(true, true), (true, false), (false, true), (false, false)];
        let limits = named.map(|(ip, port)| {
            let servers = LimitedServers {
                ip: ip.then_some(server.address.ip()),
                vpn: server.vpn.filter(|_| ip),
                port: port.then_some(server.address.port()),
            };
            self.radius_limits.get(&servers).copied().unwrap_or_default()
        });
        RadiusLimits {
            pending: limits.iter().find_map(|limits| limits.pending),
            speed: limits.iter().find_map(|limits| limits.speed),
        }
    }
}

/// How a group chooses the server of a transaction (BEHAVIOUR.md 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The first that is Up, in configured order.
    #[default]
    MasterBackup,
    /// By weight among those that are Up.
    LoadingShare,
}

/// A group of RADIUS servers (BEHAVIOUR.md 5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct RadiusGroup {
    /// Authentication servers in configured order, at most 16.
    pub authentication: Vec<RadiusServer>,
    /// How the packet plane is to ask them; `None`: as accounting servers are asked.
    pub authentication_retries: Option<AuthenticationRetries>,
    /// Accounting servers in configured order, at most 16.
    pub accounting: Vec<RadiusServer>,
    /// The secret of servers that have none of their own.
    pub shared_key: Option<Secret>,
    /// Which of them is asked first.
    pub algorithm: Algorithm,
    /// `master-backup strict`: the server that authenticated the user is not preferred.
    pub strict: bool,
    /// `master-backup sequence`: in configured order, as it is anyway; kept and printed.
    pub sequence: bool,
    /// Transmissions to one server, the first included, 1–5.
    pub retransmit: u8,
    /// Seconds to wait for each reply, 3–25.
    pub timeout_s: u8,
    /// Source ports per server, 1–256.
    pub source_ports: u16,
    /// The interface whose address requests leave from, to servers that have no source of their own.
    pub source: Option<InterfaceName>,
    /// `accounting-stop-packet send force`: whom `start-fail offline` refuses has a Stop all the same.
    pub send_force: bool,
    /// What User-Name says.
    pub user_name: UserNameFormat,
    /// What its packets do without.
    pub disabled_attributes: BTreeSet<OptionalAttribute>,
    /// No alarms are raised for its servers.
    pub alarm_disabled: bool,
    /// How often a failed Stop is tried again as a new transaction, 0 (off) – 65,535 (BEHAVIOUR.md 5.5).
    pub stop_resend: u16,
    /// How often a failed Start is tried again where accounting goes on without it, 0 (off) – 65,535.
    pub start_resend: u16,
    /// How often a failed interim is tried again before the next one is due, 0 (off) – 65,535.
    pub interim_resend: u16,
    /// What octets are counted in.
    pub traffic_unit: TrafficUnit,
    /// Whether its servers are told when accounting begins and ceases.
    pub accounting_on: AccountingOn,
}

impl Default for RadiusGroup {
    fn default() -> RadiusGroup {
        RadiusGroup {
            authentication: Vec::new(),
            authentication_retries: None,
            accounting: Vec::new(),
            shared_key: None,
            algorithm: Algorithm::default(),
            strict: false,
            sequence: false,
            retransmit: 3,
            timeout_s: 5,
            source_ports: 16,
            source: None,
            send_force: false,
            user_name: UserNameFormat::default(),
            disabled_attributes: BTreeSet::new(),
            alarm_disabled: false,
            stop_resend: RadiusGroup::STOP_RESEND_DEFAULT,
            start_resend: 0,
            interim_resend: 0,
            traffic_unit: TrafficUnit::default(),
            accounting_on: AccountingOn::Disabled,
        }
    }
}

impl RadiusGroup {
    /// Owner's decision 2.
    pub const STOP_RESEND_DEFAULT: u16 = 3;
    /// At most so many accounting servers.
    pub const SERVER_COUNT_MAX: usize = 16;

    /// The secret that `server` is spoken to with. That of the group is one for datagrams: over TLS a server has its own, or the
    /// one that RFC 6614 sets.
    pub fn secret_of<'a>(&'a self, server: &'a RadiusServer) -> Option<&'a Secret> {
        let otherwise = if server.tls.is_some() { Some(&*tls::RADSEC) } else { self.shared_key.as_ref() };
        server.shared_key.as_ref().or(otherwise)
    }

    /// The way that requests of this group take to `server`.
    pub fn path_of(&self, server: &RadiusServer) -> ServerPath {
        let source = server.source.or(self.source.map(Source::Interface));
        let transport = if server.tls.is_some() { Transport::Tls } else { Transport::Datagrams };
        ServerPath { address: server.address, vpn: server.vpn, source, transport }
    }
}

/// A domain (BEHAVIOUR.md section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// `None`: the default of this domain, see [`Domain::scheme_or_default`].
    pub accounting_scheme: Option<ObjectName>,
    /// The group its sessions report to.
    pub radius_group: Option<ObjectName>,
    /// The HWTACACS template its sessions report to, where the scheme says so.
    pub hwtacacs_template: Option<ObjectName>,
    /// The group that has a copy of all their accounting.
    pub accounting_copy: Option<ObjectName>,
    /// Which directions are counted.
    pub flow_statistic: FlowStatistic,
    /// Whether the address families are told apart.
    pub dual_stack: DualStack,
    /// Whether a Start waits for both addresses.
    pub start_delay: Option<StartDelay>,
    /// `accounting-start-delay ipv4 start-accounting immediately`.
    pub ipv4_starts: bool,
    /// What happens when a quota is used up.
    pub quota_out: QuotaOut,
}

impl Domain {
    /// Whether its sessions report to this group, or are copied to it.
    pub fn reports_to(&self, group: &ObjectName) -> bool {
        [&self.radius_group, &self.accounting_copy].into_iter().flatten().any(|own| own == group)
    }

    /// `default0` for domains `default0` and `default_admin`, `default1` for every other.
    pub fn scheme_or_default(&self, name: &str) -> &str {
        match &self.accounting_scheme {
            Some(scheme) => scheme.as_str(),
            None if name.eq_ignore_ascii_case("default0") || name.eq_ignore_ascii_case("default_admin") => "default0",
            None => "default1",
        }
    }

    /// What a session takes at log-in of the domain, and of the group or the template that the scheme's `mode` has it report
    /// to, beside the scheme.
    pub fn terms(&self, mode: AccountingMode, settings: &Settings) -> Terms {
        let (traffic_unit, user_name, left_out) = match mode {
            AccountingMode::Hwtacacs => {
                let template = self.hwtacacs_template.as_ref().and_then(|name| settings.hwtacacs.templates.get(name));
                let template = template.map(|template| (template.traffic_unit, template.user_name));
                let (traffic_unit, user_name) = template.unwrap_or_default();
                (traffic_unit, user_name, OptionalAttributes::NONE)
            }
            AccountingMode::None | AccountingMode::Radius => {
                let default = RadiusGroup::default();
                let group = self.radius_group.as_ref().and_then(|name| settings.radius_groups.get(name));
                let group = group.unwrap_or(&default);
                (group.traffic_unit, group.user_name, group.disabled_attributes.iter().copied().collect())
            }
        };
        Terms {
            flow: self.flow_statistic,
            dual_stack: self.dual_stack,
            traffic_unit,
            start_delay: self.start_delay,
            ipv4_starts: self.ipv4_starts,
            without_domain: user_name == UserNameFormat::WithoutDomain,
            left_out,
        }
    }
}
