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
    /// Authentication servers, which are the packet plane's: kept, printed and shown.
    pub authentication: [Option<HwtacacsServer>; HwtacacsRank::COUNT],
    /// Authorization servers, as those of authentication.
    pub authorization: [Option<HwtacacsServer>; HwtacacsRank::COUNT],
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
            authentication: [const { None }; HwtacacsRank::COUNT],
            authorization: [const { None }; HwtacacsRank::COUNT],
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

/// One server of a template.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AccountingMode, Domain, OptionalAttribute, OptionalAttributes, RadiusGroup, Settings};

    #[test]
    fn a_session_has_its_unit_and_its_name_from_whom_it_reports_to() {
        let mut settings = Settings::default();
        let group = RadiusGroup {
            traffic_unit: TrafficUnit::Kbyte,
            disabled_attributes: [OptionalAttribute::NasPort].into(),
            ..RadiusGroup::default()
        };
        let template = HwtacacsTemplate {
            traffic_unit: TrafficUnit::Mbyte,
            user_name: UserNameFormat::WithoutDomain,
            ..HwtacacsTemplate::default()
        };
        settings.radius_groups.insert("g1".into(), group);
        settings.hwtacacs.templates.insert("ht".into(), template);
        let bound =
            Domain { radius_group: Some("g1".into()), hwtacacs_template: Some("ht".into()), ..Domain::default() };
        let nas_port = OptionalAttributes::NONE.with(OptionalAttribute::NasPort);
        for (domain, mode, expected) in [
            (&bound, AccountingMode::Radius, (TrafficUnit::Kbyte, false, nas_port)),
            (&bound, AccountingMode::Hwtacacs, (TrafficUnit::Mbyte, true, OptionalAttributes::NONE)),
            (&Domain::default(), AccountingMode::Hwtacacs, (TrafficUnit::Byte, false, OptionalAttributes::NONE)),
            (&Domain::default(), AccountingMode::Radius, (TrafficUnit::Byte, false, OptionalAttributes::NONE)),
        ] {
            let terms = domain.terms(mode, &settings);
            assert_eq!((terms.traffic_unit, terms.without_domain, terms.left_out), expected, "{mode:?}");
        }
    }

    #[test]
    fn the_source_holds_for_servers_of_its_family_and_a_server_may_have_a_key_of_its_own() {
        let key = |text: &str| Secret::new(text.as_bytes().to_vec(), format!("%^%#{text}%^%#"));
        let server = |address: &str, shared_key| HwtacacsServer {
            address: address.parse().unwrap(),
            vpn: None,
            shared_key,
            mux_mode: false,
        };
        let source: IpAddr = [10, 0, 0, 1].into();
        let template =
            HwtacacsTemplate { source: Some(source), shared_key: Some(key("top")), ..HwtacacsTemplate::default() };
        let (v4, v6) = (server("192.0.2.1:49", None), server("[2001:db8::1]:49", Some(key("own"))));
        assert_eq!(template.path_of(&v4).source, Some(Source::Address(source)));
        assert_eq!(template.path_of(&v6).source, None);
        assert_eq!(template.key_of(&v4), Some(&key("top")));
        assert_eq!(template.key_of(&v6), Some(&key("own")));
        assert_eq!(template.path_of(&HwtacacsServer { mux_mode: true, ..v4 }).transport, Transport::TacacsSingle);
    }
}
