//! Commands of the RADIUS server group view about authentication, which is the packet plane's. They are kept, printed and
//! shown, so that a router's configuration is taken as it is.

use model::settings::AuthenticationRetries;

use super::radius::group_of;
use super::servers::Service;
use crate::command::{Action, Command, Done, Stored, Undo, View};
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
            run: |edit, words| Service::Authentication.undo(edit, words),
        }),
        help: &[
            ("authentication", "Authentication server: the packet plane's, kept and shown"),
            ("vpn-instance", "Of a VRF"),
            ("vpn", "Device of the VRF"),
            ("source", "Where requests leave from"),
            ("interface", "The address of this interface"),
            ("ip-address", "An address"),
        ],
        action: Action::Configure(|edit, words| Service::Authentication.set(edit, words)),
        stored: Stored::Lines(|settings, place| Service::Authentication.stored(settings, place)),
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
