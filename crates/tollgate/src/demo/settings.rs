//! The configuration of the demo, as an operator would type it:
//!
//! ```text
//! sysname DEMO
//! radius-server group demo
//!  radius-server accounting 127.0.0.1 <port>
//!  radius-server retransmit 1 timeout 3
//!  undo radius-server accounting-stop-packet resend
//! aaa
//!  accounting-scheme demo
//!   accounting interim interval <N> second hash
//!   accounting start-fail online keep-accounting
//!  domain demo
//!   accounting-scheme demo
//!   radius-server group demo
//! local-aaa-server
//!  local-bill-pool enable
//! ```

use std::net::SocketAddr;

use model::settings::{
    AccountingScheme, Domain, Interim, InterimSpelling, IntervalUnit, LocalAaaServer, ObjectName, RadiusGroup,
    RadiusServer, Secret, Settings, StartFail,
};

use super::schedule::Schedule;

/// What the engine and the server authenticate with.
pub(super) const SECRET: &[u8] = b"a secret between two threads";
/// The one domain, group and scheme.
pub(super) const NAME: &str = "demo";

/// The vendor's least timeout, seconds: what is not answered is a bill soon enough to be seen.
const TIMEOUT_S: u8 = 3;

pub(super) fn settings(server: SocketAddr, schedule: &Schedule) -> Settings {
    let name = || ObjectName::from(NAME);
    let mut settings = Settings { sysname: "DEMO".to_owned(), ..Settings::default() };
    settings.radius_groups.insert(name(), group(server));
    settings.schemes.insert(name(), scheme(schedule));
    let domain = Domain { accounting_scheme: Some(name()), radius_group: Some(name()), ..Domain::default() };
    settings.domains.insert(name(), domain);
    settings.local_aaa_server = LocalAaaServer { pool_enabled: true, ..LocalAaaServer::default() };
    settings.local_aaa_server.cache.capacity = schedule.lives().max(1);
    settings
}

fn group(server: SocketAddr) -> RadiusGroup {
    let server = RadiusServer::new(server);
    RadiusGroup {
        accounting: vec![server],
        shared_key: Some(Secret::new(SECRET.to_vec(), String::new())),
        retransmit: 1,
        timeout_s: TIMEOUT_S,
        stop_resend: 0,
        ..RadiusGroup::default()
    }
}

fn scheme(schedule: &Schedule) -> AccountingScheme {
    let interim = Interim {
        value: schedule.interim_s(),
        unit: IntervalUnit::Second,
        hash: true,
        traffic: false,
        spelling: InterimSpelling::Interval,
    };
    AccountingScheme {
        start_fail: StartFail::OnlineKeepAccounting,
        interim: Some(interim),
        ..AccountingScheme::default()
    }
}
