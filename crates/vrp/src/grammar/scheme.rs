//! Commands of the accounting scheme view.

use model::settings::{
    AccountingMode, AccountingScheme, Interim, InterimFail, InterimFailPolicy, InterimSpelling, IntervalUnit, Settings,
    StartFail,
};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::Scheme],
        level: 2,
        section: "3.2",
        formats: &["accounting-mode { hwtacacs | none | radius }"],
        undo: Some(Undo { formats: &["accounting-mode"], run: undo_mode }),
        help: &[
            ("accounting-mode", "Accounting method"),
            ("hwtacacs", "HWTACACS servers"),
            ("none", "No accounting"),
            ("radius", "RADIUS servers"),
        ],
        action: Action::Configure(mode),
        stored: Stored::Lines(stored_mode),
    },
    Command {
        views: &[View::Scheme],
        level: 2,
        section: "3.2",
        formats: &["accounting start-fail { online [ keep-accounting ] | offline }"],
        undo: Some(Undo { formats: &["accounting start-fail"], run: undo_start_fail }),
        help: &[
            ("start-fail", "What to do when accounting cannot be started"),
            ("keep-accounting", "Go on accounting instead of sending a Stop at once"),
        ],
        action: Action::Configure(start_fail),
        stored: Stored::Lines(stored_start_fail),
    },
    Command {
        views: &[View::Scheme],
        level: 2,
        section: "3.2, 3.3",
        formats: &["accounting interim interval interval:INTEGER<0-65535> [ second ] [ traffic ] [ hash ]"],
        undo: Some(Undo { formats: &["accounting interim interval"], run: undo_interim }),
        help: &[
            ("interim", "Real-time accounting"),
            ("interval", "Interval in minutes; 0: off"),
            ("second", "The interval is in seconds"),
            ("traffic", "Send only when traffic has flowed"),
            ("hash", "First packet at a random moment between one and two intervals"),
        ],
        action: Action::Configure(interim_interval),
        stored: Stored::Lines(stored_interim),
    },
    Command {
        views: &[View::Scheme],
        level: 3,
        section: "3.2, 3.3",
        formats: &["accounting realtime interval:INTEGER<0-65535>"],
        undo: Some(Undo { formats: &["accounting realtime"], run: undo_interim }),
        help: &[("interval", "Interval in minutes; 0: off")],
        action: Action::Configure(realtime),
        // One setting, which is printed in one place: above.
        stored: Stored::Lines(|_, _| Vec::new()),
    },
    Command {
        views: &[View::Scheme],
        level: 3,
        section: "3.2, 3.4",
        formats: &["accounting interim-fail [ max-times times:INTEGER<1-255> ] { online | offline }"],
        undo: Some(Undo { formats: &["accounting interim-fail"], run: undo_interim_fail }),
        help: &[
            ("interim-fail", "What to do when real-time accounting fails"),
            ("max-times", "Failures in a row that are borne"),
            ("times", "Their number; the policy comes with the next one"),
        ],
        action: Action::Configure(interim_fail),
        stored: Stored::Lines(stored_interim_fail),
    },
    Command {
        views: &[View::Scheme],
        level: 3,
        section: "3.2, 3.5",
        formats: &["accounting send-update"],
        undo: Some(Undo { formats: &["accounting send-update"], run: undo_send_update }),
        help: &[("send-update", "Send a real-time accounting packet as soon as the start is acknowledged")],
        action: Action::Configure(send_update),
        stored: Stored::Lines(stored_send_update),
    },
    Command {
        views: &[View::Scheme],
        level: 2,
        section: "3.2",
        formats: &["accounting interim no-send remain-time seconds:INTEGER<1-65535>"],
        undo: Some(Undo { formats: &["accounting interim no-send remain-time"], run: |edit, _| no_send(edit, 0) }),
        help: &[
            ("interim", "Real-time accounting"),
            ("no-send", "Leave real-time accounting packets out"),
            ("remain-time", "When so little of the time quota is left"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(|edit, words| no_send(edit, words.number("seconds"))),
        stored: Stored::Lines(stored_no_send),
    },
    Command {
        views: &[View::Scheme],
        level: 3,
        section: "INTERFACES 2",
        formats: &["accounting policy { enforce | shadow }"],
        undo: Some(Undo { formats: &["accounting policy"], run: undo_policy }),
        help: &[
            ("policy", "Whether users are refused and logged out as the failure policies say"),
            ("enforce", "As they say"),
            ("shadow", "Only report who would be refused or logged out"),
        ],
        action: Action::Configure(policy),
        stored: Stored::Lines(stored_policy),
    },
];

fn mode(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let mode = if words.has("none") {
        AccountingMode::None
    } else if words.has("hwtacacs") {
        AccountingMode::Hwtacacs
    } else {
        AccountingMode::Radius
    };
    let (name, scheme) = edit.scheme()?;
    let is_default = mode == AccountingScheme::default().mode_or_default(name);
    scheme.mode = if is_default { None } else { Some(mode) };
    Ok(Done::Applied)
}

fn undo_mode(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.mode = None;
    Ok(Done::Applied)
}

fn stored_mode(settings: &Settings, place: &Place) -> Vec<String> {
    let mode = scheme_of(settings, place).and_then(|scheme| scheme.mode);
    let word = mode.map(|mode| match mode {
        AccountingMode::None => "none",
        AccountingMode::Radius => "radius",
        AccountingMode::Hwtacacs => "hwtacacs",
    });
    word.map(|word| format!("accounting-mode {word}")).into_iter().collect()
}

fn start_fail(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.start_fail = if words.has("offline") {
        StartFail::Offline
    } else if words.has("keep-accounting") {
        StartFail::OnlineKeepAccounting
    } else {
        StartFail::Online
    };
    Ok(Done::Applied)
}

fn undo_start_fail(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.start_fail = StartFail::default();
    Ok(Done::Applied)
}

fn stored_start_fail(settings: &Settings, place: &Place) -> Vec<String> {
    match scheme_of(settings, place).map(|scheme| scheme.start_fail) {
        None | Some(StartFail::Online) => Vec::new(),
        Some(StartFail::OnlineKeepAccounting) => vec!["accounting start-fail online keep-accounting".to_owned()],
        Some(StartFail::Offline) => vec!["accounting start-fail offline".to_owned()],
    }
}

fn interim_interval(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let unit = if words.has("second") { IntervalUnit::Second } else { IntervalUnit::Minute };
    set_interim(
        edit,
        Interim {
            value: words.number("interval"),
            unit,
            hash: words.has("hash"),
            traffic: words.has("traffic"),
            spelling: InterimSpelling::Interval,
        },
    )
}

fn realtime(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    set_interim(
        edit,
        Interim {
            value: words.number("interval"),
            unit: IntervalUnit::Minute,
            hash: false,
            traffic: false,
            spelling: InterimSpelling::Realtime,
        },
    )
}

/// 0 is the default and leaves nothing; with `traffic` or `hash` it stays, for these apply to an interval that the
/// authentication server gives as well (BEHAVIOUR.md 3.3, rule 2).
fn set_interim(edit: &mut Edit<'_>, interim: Interim) -> Result<Done, Refusal> {
    let is_default = interim.value == 0 && !interim.hash && !interim.traffic;
    edit.scheme()?.1.interim = if is_default { None } else { Some(interim) };
    Ok(Done::Applied)
}

/// One setting under two spellings: either undoes it (BEHAVIOUR.md 11.9).
fn undo_interim(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.interim = None;
    Ok(Done::Applied)
}

/// In the spelling in which it was typed.
fn stored_interim(settings: &Settings, place: &Place) -> Vec<String> {
    let Some(interim) = scheme_of(settings, place).and_then(|scheme| scheme.interim) else { return Vec::new() };
    let second = if interim.unit == IntervalUnit::Second { " second" } else { "" };
    let traffic = if interim.traffic { " traffic" } else { "" };
    let hash = if interim.hash { " hash" } else { "" };
    vec![match interim.spelling {
        InterimSpelling::Interval => format!("accounting interim interval {}{second}{traffic}{hash}", interim.value),
        InterimSpelling::Realtime => format!("accounting realtime {}", interim.value),
    }]
}

fn interim_fail(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    // Without `max-times` the number goes back to its default (BEHAVIOUR.md 11.15).
    let max_times = words.number_if("times").unwrap_or(InterimFail::default().max_times);
    let policy = if words.has("offline") { InterimFailPolicy::Offline } else { InterimFailPolicy::Online };
    edit.scheme()?.1.interim_fail = InterimFail { max_times, policy };
    Ok(Done::Applied)
}

fn undo_interim_fail(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.interim_fail = InterimFail::default();
    Ok(Done::Applied)
}

fn stored_interim_fail(settings: &Settings, place: &Place) -> Vec<String> {
    let default = InterimFail::default();
    let fail = scheme_of(settings, place).map_or(default, |scheme| scheme.interim_fail);
    if fail == default {
        return Vec::new();
    }
    let max_times =
        if fail.max_times == default.max_times { String::new() } else { format!("max-times {} ", fail.max_times) };
    let policy = match fail.policy {
        InterimFailPolicy::Online => "online",
        InterimFailPolicy::Offline => "offline",
    };
    vec![format!("accounting interim-fail {max_times}{policy}")]
}

fn send_update(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.send_update = true;
    Ok(Done::Applied)
}

fn undo_send_update(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.send_update = false;
    Ok(Done::Applied)
}

fn stored_send_update(settings: &Settings, place: &Place) -> Vec<String> {
    let is_on = scheme_of(settings, place).is_some_and(|scheme| scheme.send_update);
    if is_on { vec!["accounting send-update".to_owned()] } else { Vec::new() }
}

fn no_send(edit: &mut Edit<'_>, seconds: u16) -> Result<Done, Refusal> {
    edit.scheme()?.1.no_send_remain_s = seconds;
    Ok(Done::Applied)
}

fn stored_no_send(settings: &Settings, place: &Place) -> Vec<String> {
    let seconds = scheme_of(settings, place).map_or(0, |scheme| scheme.no_send_remain_s);
    if seconds == 0 { Vec::new() } else { vec![format!("accounting interim no-send remain-time {seconds}")] }
}

fn policy(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.shadow = words.has("shadow");
    Ok(Done::Applied)
}

fn undo_policy(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.scheme()?.1.shadow = false;
    Ok(Done::Applied)
}

fn stored_policy(settings: &Settings, place: &Place) -> Vec<String> {
    let is_shadow = scheme_of(settings, place).is_some_and(|scheme| scheme.shadow);
    if is_shadow { vec!["accounting policy shadow".to_owned()] } else { Vec::new() }
}

fn scheme_of<'a>(settings: &'a Settings, place: &Place) -> Option<&'a AccountingScheme> {
    let Place::Scheme(name) = place else { return None };
    settings.schemes.get(name)
}
