//! The displays.

use super::CONFIGURATION;
use crate::command::{
    AccountingPacket, Action, Command, Control, Display, DisplayRequest, OwnDisplay, Place, Stored, View, Words,
};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &View::ALL,
        level: 3,
        section: "2.5",
        formats: &["display current-configuration"],
        undo: None,
        help: &[("current-configuration", "The running configuration")],
        action: Action::Display(|_, _| Display::Own(OwnDisplay::CurrentConfiguration)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.3",
        formats: &["display this"],
        undo: None,
        help: &[("this", "What is in force in the current view")],
        action: Action::Display(|_, _| Display::Own(OwnDisplay::This)),
        stored: Stored::Never,
    },
    Command {
        views: CONFIGURATION,
        level: 3,
        section: "2.2",
        formats: &["display configuration candidate [ changes | merge ]"],
        undo: None,
        help: &[
            ("candidate", "What is not committed"),
            ("changes", "Differences from the running configuration"),
            ("merge", "All of it, committed or not"),
        ],
        action: Action::Display(candidate),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "3.6",
        formats: &["display accounting-scheme [ scheme:NAME<1-32> | name scheme:NAME<1-32> ]"],
        undo: None,
        help: &[
            ("accounting-scheme", "Accounting schemes"),
            ("name", "One scheme by its name"),
            ("scheme", "Name of the scheme"),
        ],
        action: Action::Display(accounting_scheme),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "4",
        formats: &["display domain [ domain:NAME<1-64> ]"],
        undo: None,
        help: &[("domain", "Domains of users, or one of them")],
        action: Action::Display(domain),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.4",
        formats: &["display accounting health"],
        undo: None,
        help: &[("health", "Servers, backlog and its end, Stops, bills and disk on one screen")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::AccountingHealth)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.4",
        formats: &["display accounting session session:STRING<1-44> why"],
        undo: None,
        help: &[
            ("session", "Acct-Session-Id of a user that is online or not settled yet"),
            ("why", "What was sent to whom, what came back, and what comes next"),
        ],
        action: Action::Display(|_, words| {
            Display::Live(DisplayRequest::AccountingSession { session_id: words.text("session").to_owned() })
        }),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.4",
        formats: &["monitor accounting"],
        undo: None,
        help: &[("monitor", "Watch until a key is pressed"), ("accounting", "What display accounting health shows")],
        action: Action::Control(Control::Monitor),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "3.3",
        formats: &["display accounting phase"],
        undo: None,
        help: &[("phase", "When interims are due, as parts of their interval")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::AccountingPhase)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "3.3",
        formats: &["display accounting lateness"],
        undo: None,
        help: &[("lateness", "How long after they were due interims have left")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::AccountingLateness)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "INTERFACES 2",
        formats: &["display accounting policy"],
        undo: None,
        help: &[("policy", "Users that were refused or logged out, or would have been")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::AccountingPolicy)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "5.7",
        formats: &["display radius-server configuration [ group group:NAME<1-32> ]"],
        undo: None,
        help: &[("configuration", "Configuration and state of the servers")],
        action: Action::Display(radius_configuration),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "5.7",
        formats: &["display radius-server packet { ip-address ip:X.X.X.X | ipv6-address ip:X:X::X:X } \
                    [ vpn-instance vpn:INTERFACE ] [ port:INTEGER<1-65535> ] { accounting | authentication }"],
        undo: None,
        help: &[
            ("packet", "Packet counters of a server"),
            ("ip-address", "Server by its IPv4 address"),
            ("ipv6-address", "Server by its IPv6 address"),
            ("vpn-instance", "Server in a VRF"),
            ("vpn", "Device of the VRF"),
            ("accounting", "Accounting packets"),
            ("authentication", "Authentication packets: the packet plane counts them"),
        ],
        action: Action::Display(radius_packet),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "5.6, 8.1",
        formats: &["display radius-attribute server-group group:NAME<1-32> packet \
                    { accounting-on | accounting-off | accounting-start | accounting-interim | accounting-stop }"],
        undo: None,
        help: &[
            ("radius-attribute", "Attributes of packets"),
            ("server-group", "To the servers of a group"),
            ("packet", "In packets of this kind"),
            ("accounting-on", "Accounting-On"),
            ("accounting-off", "Accounting-Off"),
            ("accounting-start", "Starts"),
            ("accounting-interim", "Interims"),
            ("accounting-stop", "Stops"),
        ],
        action: Action::Display(radius_attribute),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.4",
        formats: &["display access-user [ session-id session:STRING<1-44> ]"],
        undo: None,
        help: &[
            ("access-user", "Users that are online or not settled yet"),
            ("session-id", "One of them in detail"),
            ("session", "Its Acct-Session-Id"),
        ],
        action: Action::Display(access_user),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "7.7",
        formats: &["display local-bill information"],
        undo: None,
        help: &[("information", "How full the stores are")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::LocalBillInformation)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "7.7",
        formats: &["display local-bill configuration"],
        undo: None,
        help: &[("configuration", "How bills are kept and transferred")],
        action: Action::Display(|_, _| Display::Own(OwnDisplay::LocalBillConfiguration)),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "7.6, 7.7",
        formats: &["display local-bill cache start:INTEGER<0-15999999> count:INTEGER<1-100>"],
        undo: None,
        help: &[
            ("cache", "Bills in the pool"),
            ("start", "Number of the first bill, less than the capacity"),
            ("count", "How many bills"),
        ],
        action: Action::Display(local_bill_cache),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "2.4",
        formats: &["display version"],
        undo: None,
        help: &[("version", "Version of the software")],
        action: Action::Display(|_, _| Display::Own(OwnDisplay::Version)),
        stored: Stored::Never,
    },
];

fn candidate(_: &Place, words: &Words) -> Display {
    Display::Own(if words.has("changes") {
        OwnDisplay::CandidateChanges
    } else if words.has("merge") {
        OwnDisplay::CandidateMerge
    } else {
        OwnDisplay::CandidateOnly
    })
}

/// With a name, or in the view of a scheme: that one.
fn accounting_scheme(place: &Place, words: &Words) -> Display {
    let here = match place {
        Place::Scheme(name) => Some(name.clone()),
        _ => None,
    };
    let named = words.text_if("scheme").map(Into::into);
    Display::Own(named.or(here).map_or(OwnDisplay::Schemes, OwnDisplay::Scheme))
}

/// With a name, or in the view of a domain: that one.
fn domain(place: &Place, words: &Words) -> Display {
    let here = match place {
        Place::Domain(name) => Some(name.clone()),
        _ => None,
    };
    let named = words.text_if("domain").map(Into::into);
    Display::Own(named.or(here).map_or(OwnDisplay::Domains, OwnDisplay::Domain))
}

fn radius_configuration(_: &Place, words: &Words) -> Display {
    Display::Live(DisplayRequest::RadiusServerConfiguration { group: words.text_if("group").map(Into::into) })
}

fn radius_attribute(_: &Place, words: &Words) -> Display {
    let named = AccountingPacket::ALL.into_iter().find(|packet| words.has(packet.as_str()));
    let packet = named.unwrap_or(AccountingPacket::Start);
    Display::Own(OwnDisplay::RadiusAttributes { group: words.object("group"), packet })
}

fn radius_packet(_: &Place, words: &Words) -> Display {
    if words.has("authentication") {
        return Display::Own(OwnDisplay::AuthenticationPackets);
    }
    let (address, vpn, port) = (words.address("ip"), words.interface_if("vpn"), words.number_if("port"));
    Display::Live(DisplayRequest::RadiusServerPacket { address, vpn, port })
}

fn local_bill_cache(_: &Place, words: &Words) -> Display {
    Display::Live(DisplayRequest::LocalBillCache { start: words.number("start"), count: words.number("count") })
}

fn access_user(_: &Place, words: &Words) -> Display {
    Display::Live(match words.text_if("session") {
        Some(session) => DisplayRequest::AccessUser { session_id: session.to_owned() },
        None => DisplayRequest::AccessUsers,
    })
}
