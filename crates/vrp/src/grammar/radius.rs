//! Commands of the RADIUS server group view.

use std::fmt::Write as _;

use model::settings::{Algorithm, RadiusGroup, Secret, Settings};

use super::servers::{Service, server_of};
use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

/// How often a packet is tried again when the command names no number (BEHAVIOUR.md 5.5).
const RESEND_UNNUMBERED: u16 = 50;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> }"],
        undo: Some(Undo { formats: &["radius-server { shared-key | shared-key-cipher }"], run: undo_shared_key }),
        help: &[],
        action: Action::Configure(shared_key),
        stored: Stored::Lines(stored_shared_key),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &[
            "radius-server accounting { ip:X.X.X.X | ip:X:X::X:X } port:INTEGER<1-65535> \
             [ vpn-instance vpn:INTERFACE \
             | source { interface:INTERFACE | ip-address source:X.X.X.X | ip-address source:X:X::X:X } \
             | { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } | weight weight:INTEGER<0-100> \
             | message-authenticator \
             | tls ca ca:PATH<1-255> [ cert cert:PATH<1-255> key key:PATH<1-255> ] [ server-name name:STRING<1-253> ] ]*",
            "radius-server accounting { ip:X.X.X.X | ip:X:X::X:X } \
             { vpn-instance vpn:INTERFACE \
             | source { interface:INTERFACE | ip-address source:X.X.X.X | ip-address source:X:X::X:X } \
             | { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } | message-authenticator }* \
             port:INTEGER<1-65535> [ weight weight:INTEGER<0-100> ]",
        ],
        undo: Some(Undo {
            formats: &["radius-server accounting { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ] \
                        [ port:INTEGER<1-65535> ]"],
            run: |edit, words| Service::Accounting.undo(edit, words),
        }),
        help: &[
            ("accounting", "Accounting server"),
            ("vpn-instance", "Of a VRF"),
            ("vpn", "Device of the VRF"),
            ("source", "Where requests leave from"),
            ("interface", "The address of this interface"),
            ("ip-address", "An address"),
            ("tls", "Over TLS; shared-key is radsec unless the line names one"),
            ("ca", "Certificates of which one must have signed the server's, a PEM file"),
            ("cert", "Our certificate, a PEM file"),
            ("key", "The key to it, a PEM file"),
            ("server-name", "What the server's certificate must be for"),
            ("name", "Its name; the server's address when left out"),
        ],
        action: Action::Configure(|edit, words| Service::Accounting.set(edit, words)),
        stored: Stored::Lines(|settings, place| Service::Accounting.stored(settings, place)),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } \
                    accounting { ip:X.X.X.X | ip:X:X::X:X } [ vpn-instance vpn:INTERFACE ] port:INTEGER<1-65535>"],
        undo: Some(Undo {
            formats: &["radius-server { shared-key | shared-key-cipher } accounting { ip:X.X.X.X | ip:X:X::X:X } \
                        [ vpn-instance vpn:INTERFACE ] port:INTEGER<1-65535>"],
            run: |edit, words| set_key_of_server(edit, words, None),
        }),
        help: &[
            ("accounting", "Of one accounting server"),
            ("vpn-instance", "Of one in a VRF"),
            ("vpn", "Device of the VRF"),
        ],
        action: Action::Configure(key_of_server),
        // With its server.
        stored: Stored::Lines(|_, _| Vec::new()),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1, 5.3",
        formats: &["radius-server algorithm { loading-share | master-backup [ strict | sequence ]* }"],
        undo: Some(Undo { formats: &["radius-server algorithm"], run: undo_algorithm }),
        help: &[
            ("algorithm", "Which server is asked first"),
            ("loading-share", "One by weight"),
            ("master-backup", "The first that is up"),
            ("strict", "Whichever server authenticated the user"),
            ("sequence", "In configured order"),
        ],
        action: Action::Configure(algorithm),
        stored: Stored::Lines(stored_algorithm),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &[
            "radius-server { retransmit times:INTEGER<1-5> | timeout seconds:INTEGER<3-25> }*",
            "radius-server accounting retransmit times:INTEGER<1-5> timeout seconds:INTEGER<3-25>",
        ],
        undo: Some(Undo {
            formats: &["radius-server { retransmit | timeout }*", "radius-server accounting retransmit"],
            run: undo_retransmit,
        }),
        help: &[
            ("retransmit", "Transmissions to one server"),
            ("times", "Their number, the first included"),
            ("timeout", "Wait for a reply"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(retransmit),
        stored: Stored::Lines(stored_retransmit),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "INTERFACES 2",
        formats: &["radius-server source-ports count:INTEGER<1-256>"],
        undo: Some(Undo { formats: &["radius-server source-ports"], run: undo_source_ports }),
        help: &[("source-ports", "Source ports per server"), ("count", "Their number")],
        action: Action::Configure(source_ports),
        stored: Stored::Lines(stored_source_ports),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server source interface interface:INTERFACE"],
        undo: Some(Undo { formats: &["radius-server source interface"], run: undo_source }),
        help: &[
            ("source", "Where requests leave from, to servers that have no source of their own"),
            ("interface", "The address of this interface"),
        ],
        action: Action::Configure(source),
        stored: Stored::Lines(stored_source),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.5, owner's decision 2",
        formats: &["radius-server accounting-stop-packet resend [ count:INTEGER<1-65535> ]"],
        undo: Some(Undo { formats: &["radius-server accounting-stop-packet resend"], run: undo_stop_resend }),
        help: &[
            ("accounting-stop-packet", "Stops that no server answered"),
            ("resend", "Try them again"),
            ("count", "How often; 50 when left out"),
        ],
        action: Action::Configure(stop_resend),
        stored: Stored::Lines(stored_stop_resend),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.5",
        formats: &[
            "radius-server { accounting-start-packet | accounting-interim-packet } resend [ count:INTEGER<1-65535> ]",
        ],
        undo: Some(Undo {
            formats: &["radius-server { accounting-start-packet | accounting-interim-packet } resend"],
            run: |edit, words| set_resend(edit, words, 0),
        }),
        help: &[
            ("accounting-start-packet", "Starts that no server answered, where accounting goes on without them"),
            ("accounting-interim-packet", "Interims that no server answered"),
            ("resend", "Try them again"),
            ("count", "How often; 50 when left out"),
        ],
        action: Action::Configure(|edit, words| {
            set_resend(edit, words, words.number_if("count").unwrap_or(RESEND_UNNUMBERED))
        }),
        stored: Stored::Lines(stored_resends),
    },
];

fn shared_key(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let current = edit.group()?.shared_key.clone();
    let secret = edit.secret(words, current.as_ref())?;
    edit.group()?.shared_key = secret;
    Ok(Done::Applied)
}

fn undo_shared_key(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.group()?.shared_key = None;
    Ok(Done::Applied)
}

fn stored_shared_key(settings: &Settings, place: &Place) -> Vec<String> {
    let secret = group_of(settings, place).and_then(|group| group.shared_key.as_ref());
    secret.map(|secret| format!("radius-server shared-key-cipher {}", secret.stored())).into_iter().collect()
}

fn key_of_server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let (address, vpn) = server_of(words);
    let server = edit.group()?.accounting.iter().find(|server| server.is_at(address, vpn));
    let current = server.ok_or(Refusal::ServerMissing)?.shared_key.clone();
    let secret = edit.secret(words, current.as_ref())?;
    set_key_of_server(edit, words, secret)
}

fn set_key_of_server(edit: &mut Edit<'_>, words: &Words, secret: Option<Secret>) -> Result<Done, Refusal> {
    let (address, vpn) = server_of(words);
    let server = edit.group()?.accounting.iter_mut().find(|server| server.is_at(address, vpn));
    server.ok_or(Refusal::ServerMissing)?.shared_key = secret;
    Ok(Done::Applied)
}

fn algorithm(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let group = edit.group()?;
    group.algorithm = if words.has("loading-share") { Algorithm::LoadingShare } else { Algorithm::MasterBackup };
    (group.strict, group.sequence) = (words.has("strict"), words.has("sequence"));
    Ok(Done::Applied)
}

fn undo_algorithm(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    let group = edit.group()?;
    (group.algorithm, group.strict, group.sequence) = (Algorithm::default(), false, false);
    Ok(Done::Applied)
}

fn stored_algorithm(settings: &Settings, place: &Place) -> Vec<String> {
    let Some(group) = group_of(settings, place) else { return Vec::new() };
    let line = "radius-server algorithm";
    match (group.algorithm, group.strict, group.sequence) {
        (Algorithm::MasterBackup, false, false) => Vec::new(),
        (Algorithm::MasterBackup, true, false) => vec![format!("{line} master-backup strict")],
        (Algorithm::MasterBackup, false, true) => vec![format!("{line} master-backup sequence")],
        (Algorithm::MasterBackup, true, true) => vec![format!("{line} master-backup strict sequence")],
        (Algorithm::LoadingShare, ..) => vec![format!("{line} loading-share")],
    }
}

fn retransmit(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let group = edit.group()?;
    group.retransmit = words.number_if("times").unwrap_or(group.retransmit);
    group.timeout_s = words.number_if("seconds").unwrap_or(group.timeout_s);
    Ok(Done::Applied)
}

fn undo_retransmit(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let default = RadiusGroup::default();
    let group = edit.group()?;
    // The form that says whom it is about sets both.
    let both = words.has("accounting");
    if both || words.has("retransmit") {
        group.retransmit = default.retransmit;
    }
    if both || words.has("timeout") {
        group.timeout_s = default.timeout_s;
    }
    Ok(Done::Applied)
}

fn stored_retransmit(settings: &Settings, place: &Place) -> Vec<String> {
    let Some(group) = group_of(settings, place) else { return Vec::new() };
    let default = RadiusGroup::default();
    let mut line = String::from("radius-server");
    if group.retransmit != default.retransmit {
        let _ = write!(line, " retransmit {}", group.retransmit);
    }
    if group.timeout_s != default.timeout_s {
        let _ = write!(line, " timeout {}", group.timeout_s);
    }
    if line == "radius-server" { Vec::new() } else { vec![line] }
}

fn source_ports(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.group()?.source_ports = words.number("count");
    Ok(Done::Applied)
}

fn undo_source_ports(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.group()?.source_ports = RadiusGroup::default().source_ports;
    Ok(Done::Applied)
}

fn stored_source_ports(settings: &Settings, place: &Place) -> Vec<String> {
    let default = RadiusGroup::default().source_ports;
    let count = group_of(settings, place).map_or(default, |group| group.source_ports);
    if count == default { Vec::new() } else { vec![format!("radius-server source-ports {count}")] }
}

fn source(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.group()?.source = words.interface_if("interface");
    Ok(Done::Applied)
}

fn undo_source(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.group()?.source = None;
    Ok(Done::Applied)
}

fn stored_source(settings: &Settings, place: &Place) -> Vec<String> {
    let source = group_of(settings, place).and_then(|group| group.source);
    source.map(|interface| format!("radius-server source interface {interface}")).into_iter().collect()
}

fn stop_resend(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.group()?.stop_resend = words.number_if("count").unwrap_or(RESEND_UNNUMBERED);
    Ok(Done::Applied)
}

fn set_resend(edit: &mut Edit<'_>, words: &Words, times: u16) -> Result<Done, Refusal> {
    let group = edit.group()?;
    if words.has("accounting-start-packet") {
        group.start_resend = times;
    } else {
        group.interim_resend = times;
    }
    Ok(Done::Applied)
}

fn stored_resends(settings: &Settings, place: &Place) -> Vec<String> {
    let Some(group) = group_of(settings, place) else { return Vec::new() };
    let resends = [("start", group.start_resend), ("interim", group.interim_resend)];
    let line = |(kind, times)| format!("radius-server accounting-{kind}-packet resend {times}");
    resends.into_iter().filter(|(_, times)| *times > 0).map(line).collect()
}

/// Not back to the default of 3, but off (owner's decision 2).
fn undo_stop_resend(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.group()?.stop_resend = 0;
    Ok(Done::Applied)
}

fn stored_stop_resend(settings: &Settings, place: &Place) -> Vec<String> {
    match group_of(settings, place).map(|group| group.stop_resend) {
        None | Some(RadiusGroup::STOP_RESEND_DEFAULT) => Vec::new(),
        Some(0) => vec!["undo radius-server accounting-stop-packet resend".to_owned()],
        Some(count) => vec![format!("radius-server accounting-stop-packet resend {count}")],
    }
}

pub(super) fn group_of<'a>(settings: &'a Settings, place: &Place) -> Option<&'a RadiusGroup> {
    let Place::RadiusGroup(name) = place else { return None };
    settings.radius_groups.get(name)
}
