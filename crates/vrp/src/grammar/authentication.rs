//! Commands of the RADIUS server group view about authentication, which is the packet plane's. They are kept, printed and
//! shown, so that a router's configuration is taken as it is.

use std::fmt::Write as _;
use std::net::SocketAddr;

use model::settings::{AuthenticationRetries, AuthenticationServer, RadiusGroup};

use super::radius::{group_of, server_of, source_of};
use crate::command::{Action, Command, Done, Edit, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &[
            "radius-server authentication { ip:X.X.X.X | ip:X:X::X:X } port:INTEGER<1-65535> \
             [ vpn-instance vpn:INTERFACE \
             | source { interface:INTERFACE | ip-address source:X.X.X.X | ip-address source:X:X::X:X } \
             | { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } \
             | weight weight:INTEGER<0-100> ]*",
            "radius-server authentication { ip:X.X.X.X | ip:X:X::X:X } \
             { vpn-instance vpn:INTERFACE \
             | source { interface:INTERFACE | ip-address source:X.X.X.X | ip-address source:X:X::X:X } \
             | { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } }* \
             port:INTEGER<1-65535> [ weight weight:INTEGER<0-100> ]",
        ],
        undo: Some(Undo {
            formats: &["radius-server authentication { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ] \
                        [ port:INTEGER<1-65535> ]"],
            run: undo_server,
        }),
        help: &[
            ("authentication", "Authentication server: the packet plane's, kept and shown"),
            ("vpn-instance", "Of a VRF"),
            ("vpn", "Device of the VRF"),
            ("source", "Where requests leave from"),
            ("interface", "The address of this interface"),
            ("ip-address", "An address"),
        ],
        action: Action::Configure(server),
        stored: Stored::Lines(|settings, place| {
            let servers = group_of(settings, place).map_or(&[][..], |group| &group.authentication);
            servers.iter().map(stored_server).collect()
        }),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server authentication retransmit times:INTEGER<1-5> timeout seconds:INTEGER<3-25>"],
        undo: Some(Undo {
            formats: &["radius-server authentication retransmit"],
            run: |edit, _| {
                edit.group()?.authentication_retries = None;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("authentication", "Of authentication: the packet plane's, kept and shown"),
            ("retransmit", "Transmissions to one server"),
            ("times", "Their number, the first included"),
            ("timeout", "Wait for a reply"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(|edit, words| {
            let retries =
                AuthenticationRetries { transmissions: words.number("times"), timeout_s: words.number("seconds") };
            edit.group()?.authentication_retries = Some(retries);
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, place| {
            let retries = group_of(settings, place).and_then(|group| group.authentication_retries);
            let line = |AuthenticationRetries { transmissions, timeout_s }| {
                format!("radius-server authentication retransmit {transmissions} timeout {timeout_s}")
            };
            retries.map(line).into_iter().collect()
        }),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server type { standard | plus10 | plus11 }"],
        undo: Some(Undo { formats: &["radius-server type"], run: |_, _| Ok(Done::Applied) }),
        help: &[
            ("type", "Dialect of the servers"),
            ("standard", "RADIUS as the RFCs have it"),
            ("plus10", "The vendor's RADIUS+1.0; not available"),
            ("plus11", "The vendor's RADIUS+1.1; not available"),
        ],
        action: Action::Configure(|_, words| {
            if words.has("standard") { Ok(Done::Applied) } else { Err(Refusal::DialectUnavailable) }
        }),
        // There is only the default.
        stored: Stored::Lines(|_, _| Vec::new()),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server class-as-car [ enable-pir ]"],
        undo: Some(Undo { formats: &["radius-server class-as-car"], run: |_, _| Ok(Done::Applied) }),
        help: &[
            ("class-as-car", "Rates in Class: the packet plane's, which has Class from the server itself"),
            ("enable-pir", "With peak rates"),
        ],
        action: Action::Configure(|_, _| Err(Refusal::ClassAsCarUnavailable)),
        stored: Stored::Lines(|_, _| Vec::new()),
    },
];

/// The server of the line as it is to be; one of that address, port and VRF is replaced as a whole.
fn server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let (address, vpn): (SocketAddr, _) = server_of(words);
    let source = source_of(words, address)?;
    let servers = &edit.group()?.authentication;
    let place = servers.iter().position(|server| (server.address, server.vpn) == (address, vpn));
    if place.is_none() && servers.len() >= RadiusGroup::SERVER_COUNT_MAX {
        return Err(Refusal::ServersFull);
    }
    let current = place.and_then(|place| servers[place].shared_key.clone());
    let shared_key = edit.secret(words, current.as_ref())?;
    let weight = words.number_if("weight").unwrap_or(0);
    let server = AuthenticationServer { address, vpn, source, shared_key, weight };
    let servers = &mut edit.group()?.authentication;
    match place {
        Some(place) => servers[place] = server,
        None => servers.push(server),
    }
    Ok(Done::Applied)
}

/// Without a port, every server of the address goes, and without a VRF only those that are in none.
fn undo_server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let (ip, vpn, port) = (words.address("ip"), words.interface_if("vpn"), words.number_if::<u16>("port"));
    let servers = &mut edit.group()?.authentication;
    let count = servers.len();
    servers.retain(|server| {
        server.address.ip() != ip || server.vpn != vpn || port.is_some_and(|port| server.address.port() != port)
    });
    if servers.len() == count { Err(Refusal::ServerMissing) } else { Ok(Done::Applied) }
}

fn stored_server(server: &AuthenticationServer) -> String {
    let mut line = format!("radius-server authentication {} {}", server.address.ip(), server.address.port());
    if let Some(vpn) = &server.vpn {
        let _ = write!(line, " vpn-instance {vpn}");
    }
    if let Some(source) = &server.source {
        let _ = write!(line, " source {source}");
    }
    if let Some(secret) = &server.shared_key {
        let _ = write!(line, " shared-key-cipher {}", secret.stored());
    }
    let _ = write!(line, " weight {}", server.weight);
    line
}
