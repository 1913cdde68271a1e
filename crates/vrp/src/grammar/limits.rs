//! How much servers are asked at most, and by whom: accounting servers by this box, authentication servers by the packet plane,
//! for which the limits are kept and printed.

use std::collections::BTreeMap;

use model::settings::{LimitedServers, RadiusLimits, SpeedLimit};

use super::servers::Service;
use crate::command::{Action, Command, Done, Stored, Undo, View, Words};
use crate::error::Refusal;

/// The declaration of a service's limits, which differ in the one word and in where they are kept.
macro_rules! limits {
    ($word:literal, $help:literal, $service:expr, $kept:ident) => {
        Command {
            views: &[View::System],
            level: 2,
            section: "5.1",
            formats: &[concat!(
                "radius-server ",
                $word,
                " [ { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ] ] [ port:INTEGER<1-65535> ] ",
                "{ pending-limit count:INTEGER<1-65535> | speed-limit packets:INTEGER<1-65535> seconds:INTEGER<1-3600> }"
            )],
            undo: Some(Undo {
                formats: &[concat!(
                    "radius-server ",
                    $word,
                    " [ { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ] ] [ port:INTEGER<1-65535> ] ",
                    "{ pending-limit | speed-limit }"
                )],
                run: |edit, words| undo(&mut edit.settings.$kept, words),
            }),
            help: &[
                ($word, $help),
                ("ip", "Those of this address only"),
                ("vpn-instance", "In a VRF; without it those in none"),
                ("vpn", "Device of the VRF"),
                ("port", "Those on this port only"),
                ("pending-limit", "Requests that wait for replies at once, at most"),
                ("count", "Their number"),
                ("speed-limit", "Requests in a time, at most"),
                ("packets", "Their number"),
                ("seconds", "The time, seconds"),
            ],
            action: Action::Configure(|edit, words| set(&mut edit.settings.$kept, words)),
            stored: Stored::Lines(|settings, _| stored(&settings.$kept, $service)),
        }
    };
}

pub(super) const COMMANDS: &[Command] = &[
    limits!("accounting", "Accounting servers", Service::Accounting, radius_limits),
    limits!(
        "authentication",
        "Authentication servers: the packet plane's, kept and shown",
        Service::Authentication,
        radius_authentication_limits
    ),
];

type Limits = BTreeMap<LimitedServers, RadiusLimits>;

fn limited_servers(words: &Words) -> LimitedServers {
    LimitedServers { ip: words.address_if("ip"), vpn: words.interface_if("vpn"), port: words.number_if("port") }
}

fn set(limits: &mut Limits, words: &Words) -> Result<Done, Refusal> {
    let limits = limits.entry(limited_servers(words)).or_default();
    if words.has("pending-limit") {
        limits.pending = Some(words.number("count"));
    } else {
        limits.speed = Some(SpeedLimit { count: words.number("packets"), seconds: words.number("seconds") });
    }
    Ok(Done::Applied)
}

fn undo(all: &mut Limits, words: &Words) -> Result<Done, Refusal> {
    let servers = limited_servers(words);
    let Some(limits) = all.get_mut(&servers) else { return Ok(Done::Applied) };
    if words.has("pending-limit") {
        limits.pending = None;
    } else {
        limits.speed = None;
    }
    if *limits == RadiusLimits::default() {
        all.remove(&servers);
    }
    Ok(Done::Applied)
}

fn stored(limits: &Limits, service: Service) -> Vec<String> {
    let mut lines = Vec::new();
    for (servers, limits) in limits {
        let ip = servers.ip.map(|ip| format!(" {ip}")).unwrap_or_default();
        let port = servers.port.map(|port| format!(" {port}")).unwrap_or_default();
        let vpn = servers.vpn.map(|vpn| format!(" vpn-instance {vpn}")).unwrap_or_default();
        let servers = format!("radius-server {}{ip}{vpn}{port}", service.word());
        lines.extend(limits.pending.map(|count| format!("{servers} pending-limit {count}")));
        lines.extend(
            limits.speed.map(|SpeedLimit { count, seconds }| format!("{servers} speed-limit {count} {seconds}")),
        );
    }
    lines
}
