//! One plane, one domain, one group with one server, for tests that include this.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::Shard;
use model::ids::PlaneIndex;
use model::settings::{
    AccountingScheme, Domain, Interim, InterimSpelling, IntervalUnit, ObjectName, RadiusGroup, RadiusServer, Secret,
    Settings, StartFail,
};
use model::time::Mono;

pub(crate) const PLANE: PlaneIndex = PlaneIndex(0);
pub(crate) const SECRET: &[u8] = b"testing123";
pub(crate) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 1813);

/// Who logs in waits for the server. Interims every minute, hashed; a Stop is tried again so often.
pub(crate) fn settings(stop_resend: u16) -> Settings {
    let name = |name: &str| ObjectName::from(name);
    let mut settings = Settings::default();
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = RadiusServer { shared_key, ..RadiusServer::new(SERVER) };
    let group = RadiusGroup { accounting: vec![server], stop_resend, ..RadiusGroup::default() };
    settings.radius_groups.insert(name("radius"), group);
    let spelling = InterimSpelling::Interval;
    let interim = Interim { value: 60, unit: IntervalUnit::Second, hash: true, traffic: false, spelling };
    let start_fail = StartFail::Offline;
    let scheme = AccountingScheme { interim: Some(interim), start_fail, ..AccountingScheme::default() };
    settings.schemes.insert(name("scheme"), scheme);
    let (scheme, radius) = (Some(name("scheme")), Some(name("radius")));
    let domain = Domain { accounting_scheme: scheme, radius_group: radius, ..Domain::default() };
    settings.domains.insert(name("isp"), domain);
    settings
}

/// The plane is linked, the server can be spoken to.
pub(crate) fn link(shard: &mut Shard, settings: &Settings, now: Mono) {
    shard.handle_plane_known(now, PLANE, "vpp0", Vec::new());
    shard.configure(settings);
    shard.handle_bound(SERVER.into(), IpAddr::from([192, 0, 2, 1]));
    shard.handle_plane_linked(now, PLANE, "vpp0", 1, 1);
}
