//! Authorization servers: who may have subscribers logged out or changed (RFC 5176).

use std::fmt::Write as _;

use model::settings::{AuthorizationPath, AuthorizationServer, RadiusAuthorization, Settings};

use crate::command::{
    Action, Command, Display, DisplayRequest, Done, Edit, OwnDisplay, Place, Stored, Undo, View, Words,
};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 2,
        section: "5.6, owner's decision 14",
        formats: &[
            "radius-server authorization ip:X.X.X.X [ vpn-instance vpn:INTERFACE ] \
             [ destination-ip to:X.X.X.X ] [ destination-port port:INTEGER<1-65535> ] \
             { { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } \
             | server-group group:NAME<1-32> }* [ ack-reserved-interval seconds:INTEGER<0-300> ]",
            "radius-server authorization ip:X:X::X:X [ vpn-instance vpn:INTERFACE ] \
             [ destination-ip to:X:X::X:X ] [ destination-port port:INTEGER<1-65535> ] \
             { { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } \
             | server-group group:NAME<1-32> }* [ ack-reserved-interval seconds:INTEGER<0-300> ]",
        ],
        undo: Some(Undo {
            formats: &["radius-server authorization { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ]"],
            run: undo_server,
        }),
        help: &[
            ("authorization", "Servers that may log users out or change them"),
            ("vpn-instance", "It is in a VRF, and listened to there"),
            ("vpn", "Device of the VRF"),
            ("destination-ip", "The only address of this box that it may speak to"),
            ("to", "Address of this box"),
            ("destination-port", "The port that it speaks to; 3799 when left out"),
            ("port", "UDP port of this box"),
            ("server-group", "Group whose secret it has when it has none of its own"),
            ("ack-reserved-interval", "How long an answer is kept for requests that come again"),
            ("seconds", "Seconds; 30 when left out"),
        ],
        action: Action::Configure(server),
        stored: Stored::Lines(stored_servers),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "3.3",
        formats: &["radius-server authorization accounting-realtime-packet disable"],
        undo: Some(Undo {
            formats: &["radius-server authorization accounting-realtime-packet disable"],
            run: |edit, _| {
                edit.settings.radius_authorization.realtime_packet_disabled = false;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("authorization", "Servers that may log users out or change them"),
            ("accounting-realtime-packet", "The interim that follows a change"),
            ("disable", "None follows"),
        ],
        action: Action::Configure(|edit, _| {
            edit.settings.radius_authorization.realtime_packet_disabled = true;
            Ok(Done::Applied)
        }),
        stored: Stored::Lines(|settings, _| {
            let line = "radius-server authorization accounting-realtime-packet disable";
            let is_set = settings.radius_authorization.realtime_packet_disabled;
            is_set.then(|| line.to_owned()).into_iter().collect()
        }),
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "5.6",
        formats: &["display radius-server authorization configuration"],
        undo: None,
        help: &[("authorization", "Servers that may log users out or change them")],
        action: Action::Display(|_, _| Display::Own(OwnDisplay::Authorization)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "5.7",
        formats: &["display radius-server packet { ip-address ip:X.X.X.X | ipv6-address ip:X:X::X:X } \
                    [ vpn-instance vpn:INTERFACE ] { coa | dm }"],
        undo: None,
        help: &[
            ("packet", "Packet counters of a server"),
            ("ip-address", "Server by its IPv4 address"),
            ("ipv6-address", "Server by its IPv6 address"),
            ("vpn-instance", "Server in a VRF"),
            ("vpn", "Device of the VRF"),
            ("coa", "Requests to change users"),
            ("dm", "Requests to log users out"),
        ],
        action: Action::Display(|_, words| {
            Display::Live(DisplayRequest::AuthorizationPacket { server: path_of(words), coa: words.has("coa") })
        }),
        stored: Stored::Never,
    },
];

/// Which server the line names.
fn path_of(words: &Words) -> AuthorizationPath {
    AuthorizationPath { ip: words.address("ip"), vpn: words.interface_if("vpn") }
}

/// The server of the line as it is to be; one of that address in that VRF is replaced as a whole.
fn server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let path = path_of(words);
    let servers = &edit.settings.radius_authorization.servers;
    if !servers.contains_key(&path) && servers.len() >= RadiusAuthorization::SERVER_COUNT_MAX {
        return Err(Refusal::AuthorizationServersFull);
    }
    let current = servers.get(&path).and_then(|server| server.shared_key.clone());
    let server = AuthorizationServer {
        shared_key: edit.secret(words, current.as_ref())?,
        server_group: words.text_if("group").map(Into::into),
        destination_ip: words.address_if("to"),
        destination_port: words.number_if("port").filter(|port| *port != AuthorizationServer::PORT_DEFAULT),
        ack_reserved_s: words.number_if("seconds").unwrap_or(AuthorizationServer::ACK_RESERVED_DEFAULT_S),
    };
    edit.settings.radius_authorization.servers.insert(path, server);
    Ok(Done::Applied)
}

fn undo_server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let servers = &mut edit.settings.radius_authorization.servers;
    servers.remove(&path_of(words)).map(|_| Done::Applied).ok_or(Refusal::AuthorizationServerMissing)
}

fn stored_servers(settings: &Settings, _: &Place) -> Vec<String> {
    settings.radius_authorization.servers.iter().map(stored_server).collect()
}

fn stored_server((path, server): (&AuthorizationPath, &AuthorizationServer)) -> String {
    let mut line = format!("radius-server authorization {path}");
    if let Some(to) = server.destination_ip {
        let _ = write!(line, " destination-ip {to}");
    }
    if let Some(port) = server.destination_port {
        let _ = write!(line, " destination-port {port}");
    }
    if let Some(secret) = &server.shared_key {
        let _ = write!(line, " shared-key-cipher {}", secret.stored());
    }
    if let Some(group) = &server.server_group {
        let _ = write!(line, " server-group {group}");
    }
    if server.ack_reserved_s != AuthorizationServer::ACK_RESERVED_DEFAULT_S {
        let _ = write!(line, " ack-reserved-interval {}", server.ack_reserved_s);
    }
    line
}
