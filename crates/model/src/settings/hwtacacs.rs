//! HWTACACS servers: templates of up to four, and how often Stops are tried again (BEHAVIOUR.md section 6).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{InterfaceName, ObjectName, Secret, ServerPath, Source, Transport, UserNameFormat};
use crate::domain::TrafficUnit;

/// All that is said of HWTACACS.
#[derive(Clone, Debug, PartialEq)]
pub struct Hwtacacs {
    /// `undo hwtacacs enable`: no server is spoken to.
    pub is_disabled: bool,
    /// `hwtacacs-server accounting-stop-packet resend enable N`: how often a Stop that no server of its template acknowledged is
    /// tried again, 1–300; `None`: `disable`, which sends it once, to the current server only (owner's decision 9).
    pub stop_resend: Option<u16>,
    /// Templates by name.
    pub templates: BTreeMap<ObjectName, HwtacacsTemplate>,
}

impl Hwtacacs {
    /// Times that a Stop is tried again.
    pub const STOP_RESEND_DEFAULT: u16 = 3;
    /// At most so many templates.
    pub const TEMPLATE_COUNT_MAX: usize = 256;
}

impl Default for Hwtacacs {
    fn default() -> Hwtacacs {
        Hwtacacs { is_disabled: false, stop_resend: Some(Hwtacacs::STOP_RESEND_DEFAULT), templates: BTreeMap::new() }
    }
}

/// A template of HWTACACS servers.
#[derive(Clone, Debug, PartialEq)]
pub struct HwtacacsTemplate {
    /// Accounting servers by [`HwtacacsRank`]: the primary is asked first.
    pub accounting: [Option<HwtacacsServer>; HwtacacsRank::COUNT],
    /// The key of servers that have none of their own.
    pub shared_key: Option<Secret>,
    /// `source-ip`: where connections leave from.
    pub source: Option<IpAddr>,
    /// Seconds to wait for a reply, and for a connection, 1–300.
    pub response_timeout_s: u16,
    /// Minutes until a server that failed is asked again, 0–255; 0: not before the one in use fails as well.
    pub quiet_min: u8,
    /// What octets are counted in.
    pub traffic_unit: TrafficUnit,
    /// What `user` says.
    pub user_name: UserNameFormat,
    /// Interims carry WATCHDOG (0x08) alone, as daemons older than RFC 8907 expect, instead of WATCHDOG and START (0x0A).
    pub watchdog_alone: bool,
}

impl Default for HwtacacsTemplate {
    fn default() -> HwtacacsTemplate {
        HwtacacsTemplate {
            accounting: [const { None }; HwtacacsRank::COUNT],
            shared_key: None,
            source: None,
            response_timeout_s: HwtacacsTemplate::RESPONSE_TIMEOUT_DEFAULT_S,
            quiet_min: HwtacacsTemplate::QUIET_DEFAULT_MIN,
            traffic_unit: TrafficUnit::default(),
            user_name: UserNameFormat::default(),
            watchdog_alone: false,
        }
    }
}

impl HwtacacsTemplate {
    /// Seconds.
    pub const RESPONSE_TIMEOUT_DEFAULT_S: u16 = 5;
    /// Minutes.
    pub const QUIET_DEFAULT_MIN: u8 = 5;
    /// The port of a server that names none.
    pub const PORT_DEFAULT: u16 = 49;

    /// Its accounting servers, the primary first.
    pub fn servers(&self) -> impl Iterator<Item = &HwtacacsServer> {
        self.accounting.iter().flatten()
    }

    /// The key that `server` is spoken to with.
    pub fn key_of<'a>(&'a self, server: &'a HwtacacsServer) -> Option<&'a Secret> {
        server.shared_key.as_ref().or(self.shared_key.as_ref())
    }

    /// The way to `server`. The source holds for servers of its own family.
    pub fn path_of(&self, server: &HwtacacsServer) -> ServerPath {
        let source = self.source.filter(|source| source.is_ipv4() == server.address.is_ipv4());
        let transport = if server.mux_mode { Transport::TacacsSingle } else { Transport::Tacacs };
        ServerPath { address: server.address, vpn: server.vpn, source: source.map(Source::Address), transport }
    }
}

/// The place of a server in its template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HwtacacsRank {
    /// Asked first.
    #[default]
    Primary = 0,
    /// Asked when the primary fails.
    Secondary = 1,
    /// `third`
    Third = 2,
    /// `fourth`
    Fourth = 3,
}

impl HwtacacsRank {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// All of them, in the order in which they are asked.
    pub const ALL: [HwtacacsRank; HwtacacsRank::COUNT] =
        [HwtacacsRank::Primary, HwtacacsRank::Secondary, HwtacacsRank::Third, HwtacacsRank::Fourth];

    /// The keyword; none for the primary.
    pub const fn keyword(self) -> Option<&'static str> {
        match self {
            HwtacacsRank::Primary => None,
            HwtacacsRank::Secondary => Some("secondary"),
            HwtacacsRank::Third => Some("third"),
            HwtacacsRank::Fourth => Some("fourth"),
        }
    }
}

/// One accounting server of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct HwtacacsServer {
    /// Address and port.
    pub address: SocketAddr,
    /// The VRF that it is in.
    pub vpn: Option<InterfaceName>,
    /// Its own key, which beats the template's.
    pub shared_key: Option<Secret>,
    /// One connection carries many requests at once (RFC 8907 section 4.3), instead of a connection for each.
    pub mux_mode: bool,
}
