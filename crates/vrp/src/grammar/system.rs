//! Commands of the system view.

use std::fmt::Write as _;

use model::settings::{LocalAaaServer, PlaneLink, RadiusGroup, RadiusHealth, Settings, ShellLevel};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 2,
        section: "2.1",
        formats: &["sysname name:STRING<1-64>"],
        undo: Some(Undo { formats: &["sysname"], run: undo_sysname }),
        help: &[("sysname", "Name of the box"), ("name", "The name; Acct-Session-Id begins with its first seven")],
        action: Action::Configure(sysname),
        stored: Stored::Lines(stored_sysname),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &["session-id prefix prefix:STRING<1-7>"],
        undo: Some(Undo { formats: &["session-id prefix"], run: undo_session_id_prefix }),
        help: &[("session-id", "Acct-Session-Id"), ("prefix", "What it begins with, instead of the sysname")],
        action: Action::Configure(session_id_prefix),
        stored: Stored::Lines(stored_session_id_prefix),
    },
    Command {
        views: &[View::System],
        level: 3,
        section: "2.4",
        formats: &["control-socket group members:NAME<1-32> level { monitoring | configuration | management }"],
        undo: Some(Undo { formats: &["control-socket group members:NAME<1-32>"], run: undo_shell_group }),
        help: &[
            ("control-socket", "Socket that shells connect to; without a group it is its owner's only"),
            ("group", "Group of the system whose members may use it"),
            ("members", "Name of the group"),
            ("level", "What its members may do"),
            ("monitoring", "Display"),
            ("configuration", "Display and configure"),
            ("management", "Everything"),
        ],
        action: Action::Configure(shell_group),
        stored: Stored::Lines(stored_shell_groups),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &["plane-link path path:PATH<1-107>"],
        undo: Some(Undo { formats: &["plane-link path"], run: undo_plane_link_path }),
        help: &[("path", "Socket where packet planes link in")],
        action: Action::Configure(plane_link_path),
        stored: Stored::Lines(stored_plane_link_path),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &["plane-link grace seconds:INTEGER<0-86400>"],
        undo: Some(Undo { formats: &["plane-link grace"], run: undo_plane_link_grace }),
        help: &[("grace", "How long sessions outlive the link"), ("seconds", "Seconds; 0: for ever")],
        action: Action::Configure(plane_link_grace),
        stored: Stored::Lines(stored_plane_link_grace),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 2",
        formats: &["accounting checkpoint-interval seconds:INTEGER<1-3600>"],
        undo: Some(Undo { formats: &["accounting checkpoint-interval"], run: undo_checkpoint_interval }),
        help: &[
            ("checkpoint-interval", "How often every session is written down with its counters"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(checkpoint_interval),
        stored: Stored::Lines(stored_checkpoint_interval),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.2",
        formats: &["radius-server { dead-count count:INTEGER<3-65535> [ fail-rate percent:INTEGER<1-100> ] \
             | dead-time minutes:INTEGER<1-65535> [ recover-count invalid ] | dead-interval seconds:INTEGER<0-60> }*"],
        undo: Some(Undo {
            formats: &["radius-server { dead-count | dead-time | dead-interval }*"],
            run: undo_radius_health,
        }),
        help: &[
            ("dead-count", "Unanswered packets in a row that end a server"),
            ("count", "Their number"),
            ("fail-rate", "Share of unanswered packets that ends it as well"),
            ("percent", "Per cent; 100: the number alone decides"),
            ("dead-time", "How long it is left alone"),
            ("minutes", "Minutes"),
            ("recover-count", "Replies meanwhile"),
            ("invalid", "They do not bring it back"),
            ("dead-interval", "How long it has not answered by then"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(radius_health),
        stored: Stored::Lines(stored_radius_health),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "5.1",
        formats: &["radius-server group group:NAME<1-32>"],
        undo: Some(Undo { formats: &["radius-server group group:NAME<1-32>"], run: undo_radius_group }),
        help: &[],
        action: Action::Enter(radius_group),
        stored: Stored::Sections(stored_radius_groups),
    },
    // Before AAA, for a domain names a template that exists.
    super::hwtacacs::TEMPLATE,
    Command {
        views: &[View::System],
        level: 2,
        section: "2.1",
        formats: &["aaa"],
        undo: None,
        help: &[],
        action: Action::Enter(|_, _| Ok(Place::Aaa)),
        stored: Stored::Sections(|_| vec![Place::Aaa]),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "7.1",
        formats: &["local-aaa-server"],
        undo: None,
        help: &[("local-aaa-server", "Local AAA server: bills that no accounting server took")],
        action: Action::Enter(|_, _| Ok(Place::LocalAaaServer)),
        stored: Stored::Sections(stored_local_aaa_server),
    },
];

fn sysname(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    words.text("name").clone_into(&mut edit.settings.sysname);
    Ok(Done::Applied)
}

fn undo_sysname(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.sysname = Settings::default().sysname;
    Ok(Done::Applied)
}

fn stored_sysname(settings: &Settings, _: &Place) -> Vec<String> {
    let is_default = settings.sysname == Settings::default().sysname;
    if is_default { Vec::new() } else { vec![format!("sysname {}", settings.sysname)] }
}

fn session_id_prefix(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.session_id_prefix = Some(words.text("prefix").to_owned());
    Ok(Done::Applied)
}

fn undo_session_id_prefix(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.session_id_prefix = None;
    Ok(Done::Applied)
}

fn stored_session_id_prefix(settings: &Settings, _: &Place) -> Vec<String> {
    settings.session_id_prefix.iter().map(|prefix| format!("session-id prefix {prefix}")).collect()
}

fn shell_group(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let level = ShellLevel::ALL.into_iter().find(|level| words.keywords.last() == Some(&level.as_str()));
    edit.settings.shell_groups.insert(words.text("members").to_owned(), level.unwrap_or(ShellLevel::Monitoring));
    Ok(Done::Applied)
}

fn undo_shell_group(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.shell_groups.remove(words.text("members"));
    Ok(Done::Applied)
}

fn stored_shell_groups(settings: &Settings, _: &Place) -> Vec<String> {
    let groups = settings.shell_groups.iter();
    groups.map(|(group, level)| format!("control-socket group {group} level {}", level.as_str())).collect()
}

fn plane_link_path(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.plane_link.path = Some(words.text("path").to_owned());
    Ok(Done::Applied)
}

fn undo_plane_link_path(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.plane_link.path = None;
    Ok(Done::Applied)
}

fn stored_plane_link_path(settings: &Settings, _: &Place) -> Vec<String> {
    settings.plane_link.path.iter().map(|path| format!("plane-link path {path}")).collect()
}

fn plane_link_grace(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.plane_link.grace_s = words.number("seconds");
    Ok(Done::Applied)
}

fn undo_plane_link_grace(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.plane_link.grace_s = PlaneLink::default().grace_s;
    Ok(Done::Applied)
}

fn stored_plane_link_grace(settings: &Settings, _: &Place) -> Vec<String> {
    let grace_s = settings.plane_link.grace_s;
    if grace_s == PlaneLink::default().grace_s { Vec::new() } else { vec![format!("plane-link grace {grace_s}")] }
}

fn checkpoint_interval(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.checkpoint_interval_s = words.number("seconds");
    Ok(Done::Applied)
}

fn undo_checkpoint_interval(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.checkpoint_interval_s = Settings::CHECKPOINT_INTERVAL_DEFAULT_S;
    Ok(Done::Applied)
}

fn stored_checkpoint_interval(settings: &Settings, _: &Place) -> Vec<String> {
    match settings.checkpoint_interval_s {
        Settings::CHECKPOINT_INTERVAL_DEFAULT_S => Vec::new(),
        seconds => vec![format!("accounting checkpoint-interval {seconds}")],
    }
}

/// Each part that is typed replaces that part as a whole.
fn radius_health(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let default = RadiusHealth::default();
    let health = &mut edit.settings.radius_health;
    if let Some(count) = words.number_if("count") {
        health.dead_count = count;
        health.fail_rate = words.number_if("percent").unwrap_or(default.fail_rate);
    }
    if let Some(minutes) = words.number_if("minutes") {
        health.dead_time_min = minutes;
        health.recover_count_invalid = words.has("recover-count");
    }
    if let Some(seconds) = words.number_if("seconds") {
        health.dead_interval_s = seconds;
    }
    Ok(Done::Applied)
}

fn undo_radius_health(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let default = RadiusHealth::default();
    let health = &mut edit.settings.radius_health;
    if words.has("dead-count") {
        (health.dead_count, health.fail_rate) = (default.dead_count, default.fail_rate);
    }
    if words.has("dead-time") {
        health.dead_time_min = default.dead_time_min;
        health.recover_count_invalid = default.recover_count_invalid;
    }
    if words.has("dead-interval") {
        health.dead_interval_s = default.dead_interval_s;
    }
    Ok(Done::Applied)
}

fn stored_radius_health(settings: &Settings, _: &Place) -> Vec<String> {
    let (health, default) = (&settings.radius_health, RadiusHealth::default());
    let mut line = String::from("radius-server");
    if (health.dead_count, health.fail_rate) != (default.dead_count, default.fail_rate) {
        let _ = write!(line, " dead-count {}", health.dead_count);
    }
    if health.fail_rate != default.fail_rate {
        let _ = write!(line, " fail-rate {}", health.fail_rate);
    }
    if (health.dead_time_min, health.recover_count_invalid) != (default.dead_time_min, default.recover_count_invalid) {
        let _ = write!(line, " dead-time {}", health.dead_time_min);
    }
    if health.recover_count_invalid {
        line.push_str(" recover-count invalid");
    }
    if health.dead_interval_s != default.dead_interval_s {
        let _ = write!(line, " dead-interval {}", health.dead_interval_s);
    }
    if line == "radius-server" { Vec::new() } else { vec![line] }
}

fn radius_group(edit: &mut Edit<'_>, words: &Words) -> Result<Place, Refusal> {
    let groups = &mut edit.settings.radius_groups;
    let name = words.object("group");
    if let Some((first_spelling, _)) = groups.get_key_value(&name) {
        return Ok(Place::RadiusGroup(first_spelling.clone()));
    }
    groups.insert(name.clone(), RadiusGroup::default());
    Ok(Place::RadiusGroup(name))
}

fn undo_radius_group(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let group = words.object("group");
    if !edit.settings.radius_groups.contains_key(&group) {
        return Err(Refusal::GroupMissing);
    }
    let mut domains = edit.settings.domains.iter();
    if let Some((domain, _)) = domains.find(|(_, domain)| domain.reports_to(&group)) {
        return Err(Refusal::GroupBound(domain.clone()));
    }
    let mut servers = edit.settings.radius_authorization.servers.iter();
    if let Some((&path, _)) = servers.find(|(_, server)| server.server_group.as_ref() == Some(&group)) {
        return Err(Refusal::GroupAuthorizes(path));
    }
    edit.settings.radius_groups.remove(&group);
    Ok(Done::Applied)
}

fn stored_radius_groups(settings: &Settings) -> Vec<Place> {
    settings.radius_groups.keys().cloned().map(Place::RadiusGroup).collect()
}

fn stored_local_aaa_server(settings: &Settings) -> Vec<Place> {
    if settings.local_aaa_server == LocalAaaServer::default() { Vec::new() } else { vec![Place::LocalAaaServer] }
}
