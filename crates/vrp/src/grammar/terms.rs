//! Commands of the domain view, and one of the RADIUS group view, that say how a subscriber is counted and reported, when its
//! accounting begins, and what happens when a quota is used up.

use model::domain::{DualStack, FlowStatistic, QuotaOut, StartDelay, TrafficUnit, UserTypes};
use model::settings::{Domain, Settings};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["flow-statistic { up | down }*"],
        undo: Some(Undo {
            formats: &["flow-statistic { up | down }*"],
            run: |edit, words| set_flow_statistic(edit, words, false),
        }),
        help: &[
            ("flow-statistic", "Directions that are counted"),
            ("up", "What users send"),
            ("down", "What users receive"),
        ],
        action: Action::Configure(|edit, words| set_flow_statistic(edit, words, true)),
        stored: Stored::Lines(stored_flow_statistic),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["accounting dual-stack { separate | identical }"],
        undo: Some(Undo { formats: &["accounting dual-stack"], run: undo_dual_stack }),
        help: &[
            ("dual-stack", "How IPv4 and IPv6 traffic is reported"),
            ("separate", "Each in its own attributes"),
            ("identical", "Both as one sum"),
        ],
        action: Action::Configure(dual_stack),
        stored: Stored::Lines(stored_dual_stack),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["accounting-start-delay seconds:INTEGER<1-300> { online | offline } \
                    [ user-type { ppp | ipoe | l2tp | static }* ]"],
        undo: Some(Undo { formats: &["accounting-start-delay"], run: undo_start_delay }),
        help: &[
            ("accounting-start-delay", "Begin accounting when both an IPv4 and an IPv6 address are known"),
            ("seconds", "Wait for so many seconds at most"),
            ("user-type", "Users that wait; PPP and L2TP when left out"),
            ("ppp", "PPP over Ethernet"),
            ("ipoe", "IP over Ethernet"),
            ("l2tp", "PPP over L2TP"),
            ("static", "Static users"),
        ],
        action: Action::Configure(start_delay),
        stored: Stored::Lines(stored_start_delay),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["accounting-start-delay ipv4 start-accounting immediately"],
        undo: Some(Undo {
            formats: &["accounting-start-delay ipv4 start-accounting immediately"],
            run: |edit, _| set_ipv4_starts(edit, false),
        }),
        help: &[
            ("accounting-start-delay", "Begin accounting when both an IPv4 and an IPv6 address are known"),
            ("ipv4", "An IPv4 address alone is enough"),
            ("start-accounting", "Begin accounting"),
            ("immediately", "At once"),
        ],
        action: Action::Configure(|edit, _| set_ipv4_starts(edit, true)),
        stored: Stored::Lines(stored_ipv4_starts),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4, 5.6",
        formats: &["quota-out { offline | online | redirect url url:STRING<1-200> [ redirect-stop-accounting ] \
                    | send-realtime-accounting }"],
        undo: Some(Undo { formats: &["quota-out"], run: undo_quota_out }),
        help: &[
            ("quota-out", "What to do when a quota is used up or the session timeout has run out"),
            ("redirect", "Lead the user elsewhere"),
            ("url", "Where to"),
            ("redirect-stop-accounting", "And end its accounting"),
            ("send-realtime-accounting", "Keep the user online and send a real-time accounting packet"),
        ],
        action: Action::Configure(quota_out),
        stored: Stored::Lines(stored_quota_out),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server traffic-unit { byte | kbyte | mbyte | gbyte }"],
        undo: Some(Undo { formats: &["radius-server traffic-unit"], run: undo_traffic_unit }),
        help: &[
            ("traffic-unit", "Unit of the octets in accounting packets"),
            ("byte", "1 octet"),
            ("kbyte", "1024 octets"),
            ("mbyte", "1048576 octets"),
            ("gbyte", "1073741824 octets"),
        ],
        action: Action::Configure(traffic_unit),
        stored: Stored::Lines(stored_traffic_unit),
    },
];

/// Only the directions that are named change.
fn set_flow_statistic(edit: &mut Edit<'_>, words: &Words, is_on: bool) -> Result<Done, Refusal> {
    let flow = &mut edit.domain()?.1.flow_statistic;
    flow.up = if words.has("up") { is_on } else { flow.up };
    flow.down = if words.has("down") { is_on } else { flow.down };
    Ok(Done::Applied)
}

fn stored_flow_statistic(settings: &Settings, place: &Place) -> Vec<String> {
    let FlowStatistic { up, down } = domain_of(settings, place).map(|domain| domain.flow_statistic).unwrap_or_default();
    let off: Vec<&str> = [("up", up), ("down", down)].into_iter().filter(|word| !word.1).map(|word| word.0).collect();
    if off.is_empty() { Vec::new() } else { vec![format!("undo flow-statistic {}", off.join(" "))] }
}

fn dual_stack(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.dual_stack = if words.has("identical") { DualStack::Identical } else { DualStack::Separate };
    Ok(Done::Applied)
}

fn undo_dual_stack(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.dual_stack = DualStack::default();
    Ok(Done::Applied)
}

fn stored_dual_stack(settings: &Settings, place: &Place) -> Vec<String> {
    match domain_of(settings, place).map(|domain| domain.dual_stack) {
        None | Some(DualStack::Separate) => Vec::new(),
        Some(DualStack::Identical) => vec!["accounting dual-stack identical".to_owned()],
    }
}

/// Replaced as a whole: without `user-type` it is for PPP and L2TP users again.
fn start_delay(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let named = UserTypes::WORDS.into_iter().filter(|(word, _)| words.has(word));
    let named = named.fold(UserTypes::NONE, |types, (_, access)| types.with(access));
    edit.domain()?.1.start_delay = Some(StartDelay {
        seconds: words.number("seconds"),
        offline: words.has("offline"),
        user_types: if named == UserTypes::NONE { UserTypes::default() } else { named },
    });
    Ok(Done::Applied)
}

fn undo_start_delay(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.start_delay = None;
    Ok(Done::Applied)
}

fn stored_start_delay(settings: &Settings, place: &Place) -> Vec<String> {
    let Some(delay) = domain_of(settings, place).and_then(|domain| domain.start_delay) else { return Vec::new() };
    vec![format!("accounting-start-delay {}", delay_words(delay))]
}

/// The command behind its first word.
pub(crate) fn delay_words(delay: StartDelay) -> String {
    let policy = if delay.offline { "offline" } else { "online" };
    let mut words = format!("{} {policy}", delay.seconds);
    if delay.user_types != UserTypes::default() {
        words.push_str(" user-type");
        for (word, _) in UserTypes::WORDS.into_iter().filter(|(_, access)| delay.user_types.has(*access)) {
            words.push(' ');
            words.push_str(word);
        }
    }
    words
}

fn set_ipv4_starts(edit: &mut Edit<'_>, is_on: bool) -> Result<Done, Refusal> {
    edit.domain()?.1.ipv4_starts = is_on;
    Ok(Done::Applied)
}

fn stored_ipv4_starts(settings: &Settings, place: &Place) -> Vec<String> {
    let is_on = domain_of(settings, place).is_some_and(|domain| domain.ipv4_starts);
    if is_on { vec!["accounting-start-delay ipv4 start-accounting immediately".to_owned()] } else { Vec::new() }
}

fn quota_out(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.quota_out = if words.has("redirect") {
        QuotaOut::Redirect { url: words.text("url").to_owned(), stop_accounting: words.has("redirect-stop-accounting") }
    } else if words.has("send-realtime-accounting") {
        QuotaOut::SendRealtimeAccounting
    } else if words.has("online") {
        QuotaOut::Online
    } else {
        QuotaOut::Offline
    };
    Ok(Done::Applied)
}

fn undo_quota_out(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.quota_out = QuotaOut::default();
    Ok(Done::Applied)
}

fn stored_quota_out(settings: &Settings, place: &Place) -> Vec<String> {
    match domain_of(settings, place).map(|domain| &domain.quota_out) {
        None | Some(QuotaOut::Offline) => Vec::new(),
        Some(quota_out) => vec![format!("quota-out {}", quota_out_words(quota_out))],
    }
}

/// The command behind its first word.
pub(crate) fn quota_out_words(quota_out: &QuotaOut) -> String {
    match quota_out {
        QuotaOut::Offline => "offline".to_owned(),
        QuotaOut::Online => "online".to_owned(),
        QuotaOut::Redirect { url, stop_accounting: false } => format!("redirect url {url}"),
        QuotaOut::Redirect { url, stop_accounting: true } => format!("redirect url {url} redirect-stop-accounting"),
        QuotaOut::SendRealtimeAccounting => "send-realtime-accounting".to_owned(),
    }
}

fn traffic_unit(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let named = TrafficUnit::ALL.into_iter().find(|unit| words.has(unit.as_str()));
    edit.group()?.traffic_unit = named.unwrap_or_default();
    Ok(Done::Applied)
}

fn undo_traffic_unit(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.group()?.traffic_unit = TrafficUnit::default();
    Ok(Done::Applied)
}

fn stored_traffic_unit(settings: &Settings, place: &Place) -> Vec<String> {
    let Place::RadiusGroup(name) = place else { return Vec::new() };
    match settings.radius_groups.get(name).map(|group| group.traffic_unit) {
        None | Some(TrafficUnit::Byte) => Vec::new(),
        Some(unit) => vec![format!("radius-server traffic-unit {}", unit.as_str())],
    }
}

fn domain_of<'a>(settings: &'a Settings, place: &Place) -> Option<&'a Domain> {
    let Place::Domain(name) = place else { return None };
    settings.domains.get(name)
}
