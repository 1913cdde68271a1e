//! Commands of the RADIUS group view that say what packets carry, and what is told of the group's servers.

use model::settings::{OptionalAttribute, RadiusGroup, Settings, UserNameFormat};

use super::radius::group_of;
use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "3.5, 5.1",
        formats: &["radius-server accounting-stop-packet send force"],
        undo: Some(Undo {
            formats: &["radius-server accounting-stop-packet send force"],
            run: |edit, _| set(edit, |group| group.send_force = false),
        }),
        help: &[
            ("accounting-stop-packet", "Stops"),
            ("send", "When one is sent"),
            ("force", "For a user whom start-fail offline refuses as well"),
        ],
        action: Action::Configure(|edit, _| set(edit, |group| group.send_force = true)),
        stored: Stored::Lines(|settings, place| {
            flag(settings, place, |group| group.send_force, "radius-server accounting-stop-packet send force")
        }),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server user-name { domain-included | original }"],
        undo: Some(Undo {
            formats: &["radius-server user-name domain-included"],
            run: |edit, _| set(edit, |group| group.user_name = UserNameFormat::WithoutDomain),
        }),
        help: &[
            ("user-name", "What User-Name says"),
            ("domain-included", "The name with its domain; undo: without it"),
            ("original", "The name as the user typed it"),
        ],
        action: Action::Configure(user_name),
        stored: Stored::Lines(stored_user_name),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-attribute disable { acct-multi-session-id | calling-station-id | hw-connect-id | \
                    hw-domain-name | hw-ip-host-address | hw-startup-time-stamp | nas-port | nas-port-id } send"],
        undo: Some(Undo {
            formats: &["radius-attribute disable { acct-multi-session-id | calling-station-id | hw-connect-id | \
                        hw-domain-name | hw-ip-host-address | hw-startup-time-stamp | nas-port | nas-port-id } send"],
            run: |edit, words| {
                let attribute = attribute_of(words)?;
                set(edit, |group| {
                    group.disabled_attributes.remove(&attribute);
                })
            },
        }),
        help: &[
            ("radius-attribute", "Attributes of packets"),
            ("disable", "Leave an attribute out"),
            ("send", "Of what is sent"),
            ("acct-multi-session-id", "Acct-Multi-Session-Id (50)"),
            ("calling-station-id", "Calling-Station-Id (31)"),
            ("hw-connect-id", "HW-Connect-ID (26-26)"),
            ("hw-domain-name", "HW-Domain-Name (26-138)"),
            ("hw-ip-host-address", "HW-IP-Host-Address (26-60)"),
            ("hw-startup-time-stamp", "HW-Startup-Time-Stamp (26-59)"),
            ("nas-port", "NAS-Port (5)"),
            ("nas-port-id", "NAS-Port-Id (87)"),
        ],
        action: Action::Configure(|edit, words| {
            let attribute = attribute_of(words)?;
            set(edit, |group| {
                group.disabled_attributes.insert(attribute);
            })
        }),
        stored: Stored::Lines(stored_attributes),
    },
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.1",
        formats: &["radius-server alarm disable"],
        undo: Some(Undo {
            formats: &["radius-server alarm disable"],
            run: |edit, _| set(edit, |group| group.alarm_disabled = false),
        }),
        help: &[("alarm", "Alarms of its servers"), ("disable", "None are raised")],
        action: Action::Configure(|edit, _| set(edit, |group| group.alarm_disabled = true)),
        stored: Stored::Lines(|settings, place| {
            flag(settings, place, |group| group.alarm_disabled, "radius-server alarm disable")
        }),
    },
];

fn set(edit: &mut Edit<'_>, change: impl FnOnce(&mut RadiusGroup)) -> Result<Done, Refusal> {
    change(edit.group()?);
    Ok(Done::Applied)
}

fn flag(settings: &Settings, place: &Place, is_set: fn(&RadiusGroup) -> bool, line: &str) -> Vec<String> {
    group_of(settings, place).filter(|group| is_set(group)).map(|_| line.to_owned()).into_iter().collect()
}

fn user_name(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let is_original = words.has("original");
    let format = if is_original { UserNameFormat::Original } else { UserNameFormat::DomainIncluded };
    set(edit, |group| group.user_name = format)
}

fn stored_user_name(settings: &Settings, place: &Place) -> Vec<String> {
    let line = match group_of(settings, place).map(|group| group.user_name) {
        None | Some(UserNameFormat::DomainIncluded) => return Vec::new(),
        Some(UserNameFormat::Original) => "radius-server user-name original",
        Some(UserNameFormat::WithoutDomain) => "undo radius-server user-name domain-included",
    };
    vec![line.to_owned()]
}

fn attribute_of(words: &Words) -> Result<OptionalAttribute, Refusal> {
    let named = OptionalAttribute::ALL.into_iter().find(|attribute| words.has(attribute.as_str()));
    named.ok_or(Refusal::AttributeMissing)
}

fn stored_attributes(settings: &Settings, place: &Place) -> Vec<String> {
    let group = group_of(settings, place).into_iter();
    let line = |attribute: &OptionalAttribute| format!("radius-attribute disable {} send", attribute.as_str());
    group.flat_map(|group| group.disabled_attributes.iter().map(line)).collect()
}
