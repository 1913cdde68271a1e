//! Commands of the HWTACACS template view but those of servers (BEHAVIOUR.md 6.1).

use model::domain::TrafficUnit;
use model::settings::{HwtacacsTemplate, Settings, UserNameFormat};

use super::hwtacacs::unbound;
use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server shared-key [ cipher ] secret:SECRET<1-255>"],
        undo: Some(Undo {
            formats: &["hwtacacs-server shared-key"],
            run: |edit, _| set(edit, |template| template.shared_key = None),
        }),
        help: &[
            ("shared-key", "Secret shared with the servers that have none of their own"),
            ("cipher", "In plain text or in its stored form, as without this word"),
        ],
        action: Action::Configure(shared_key),
        stored: Stored::Lines(|settings, place| {
            let secret = template_of(settings, place).and_then(|template| template.shared_key.as_ref());
            secret.map(|secret| format!("hwtacacs-server shared-key cipher {}", secret.stored())).into_iter().collect()
        }),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server source-ip source:X.X.X.X", "hwtacacs-server source-ipv6 source:X:X::X:X"],
        undo: Some(Undo { formats: &["hwtacacs-server { source-ip | source-ipv6 }"], run: undo_source }),
        help: &[
            ("source-ip", "Where connections to IPv4 servers leave from"),
            ("source-ipv6", "Where connections to IPv6 servers leave from, instead"),
            ("source", "An address of the box"),
        ],
        action: Action::Configure(|edit, words| set(edit, |template| template.source = words.address_if("source"))),
        stored: Stored::Lines(|settings, place| {
            let source = template_of(settings, place).and_then(|template| template.source);
            let word = |is_ipv4: bool| if is_ipv4 { "source-ip" } else { "source-ipv6" };
            source.map(|ip| format!("hwtacacs-server {} {ip}", word(ip.is_ipv4()))).into_iter().collect()
        }),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server timer response-timeout seconds:INTEGER<1-300>"],
        undo: Some(Undo {
            formats: &["hwtacacs-server timer response-timeout"],
            run: |edit, _| set_response_timeout(edit, HwtacacsTemplate::RESPONSE_TIMEOUT_DEFAULT_S),
        }),
        help: &[
            ("timer", "Times"),
            ("response-timeout", "Wait for a reply; changed only while no domain uses the template"),
            ("seconds", "Seconds"),
        ],
        action: Action::Configure(|edit, words| set_response_timeout(edit, words.number("seconds"))),
        stored: Stored::Lines(|settings, place| {
            let default = HwtacacsTemplate::RESPONSE_TIMEOUT_DEFAULT_S;
            let seconds = template_of(settings, place).map_or(default, |template| template.response_timeout_s);
            line(seconds != default, || format!("hwtacacs-server timer response-timeout {seconds}"))
        }),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server timer quiet minutes:INTEGER<0-255>"],
        undo: Some(Undo {
            formats: &["hwtacacs-server timer quiet"],
            run: |edit, _| set(edit, |template| template.quiet_min = HwtacacsTemplate::QUIET_DEFAULT_MIN),
        }),
        help: &[
            ("timer", "Times"),
            ("quiet", "How long a server that failed is left alone"),
            ("minutes", "Minutes; 0: until the one that is asked instead fails as well"),
        ],
        action: Action::Configure(|edit, words| set(edit, |template| template.quiet_min = words.number("minutes"))),
        stored: Stored::Lines(|settings, place| {
            let default = HwtacacsTemplate::QUIET_DEFAULT_MIN;
            let minutes = template_of(settings, place).map_or(default, |template| template.quiet_min);
            line(minutes != default, || format!("hwtacacs-server timer quiet {minutes}"))
        }),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server traffic-unit { byte | kbyte | mbyte | gbyte }"],
        undo: Some(Undo {
            formats: &["hwtacacs-server traffic-unit"],
            run: |edit, _| set(edit, |template| template.traffic_unit = TrafficUnit::default()),
        }),
        help: &[
            ("traffic-unit", "Unit of the octets in accounting packets"),
            ("byte", "1 octet"),
            ("kbyte", "1024 octets"),
            ("mbyte", "1048576 octets"),
            ("gbyte", "1073741824 octets"),
        ],
        action: Action::Configure(|edit, words| {
            let named = TrafficUnit::ALL.into_iter().find(|unit| words.has(unit.as_str()));
            set(edit, |template| template.traffic_unit = named.unwrap_or_default())
        }),
        stored: Stored::Lines(|settings, place| {
            let unit = template_of(settings, place).map(|template| template.traffic_unit).unwrap_or_default();
            line(unit != TrafficUnit::default(), || format!("hwtacacs-server traffic-unit {}", unit.as_str()))
        }),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs-server user-name { domain-included | original }"],
        undo: Some(Undo {
            formats: &["hwtacacs-server user-name domain-included"],
            run: |edit, _| set(edit, |template| template.user_name = UserNameFormat::WithoutDomain),
        }),
        help: &[
            ("user-name", "What the user field says"),
            ("domain-included", "The name with its domain; undo: without it"),
            ("original", "The name as the user typed it"),
        ],
        action: Action::Configure(|edit, words| {
            let is_original = words.has("original");
            let format = if is_original { UserNameFormat::Original } else { UserNameFormat::DomainIncluded };
            set(edit, |template| template.user_name = format)
        }),
        stored: Stored::Lines(stored_user_name),
    },
    Command {
        views: &[View::HwtacacsTemplate],
        level: 3,
        section: "owner's decision 9",
        formats: &["hwtacacs-server interim watchdog-alone"],
        undo: Some(Undo {
            formats: &["hwtacacs-server interim watchdog-alone"],
            run: |edit, _| set(edit, |template| template.watchdog_alone = false),
        }),
        help: &[
            ("interim", "Real-time accounting packets"),
            ("watchdog-alone", "With the flag WATCHDOG alone, for servers older than RFC 8907; else START beside it"),
        ],
        action: Action::Configure(|edit, _| set(edit, |template| template.watchdog_alone = true)),
        stored: Stored::Lines(|settings, place| {
            let is_set = template_of(settings, place).is_some_and(|template| template.watchdog_alone);
            line(is_set, || "hwtacacs-server interim watchdog-alone".to_owned())
        }),
    },
];

fn set(edit: &mut Edit<'_>, change: impl FnOnce(&mut HwtacacsTemplate)) -> Result<Done, Refusal> {
    change(edit.template()?.1);
    Ok(Done::Applied)
}

fn line(is_set: bool, text: impl Fn() -> String) -> Vec<String> {
    is_set.then(text).into_iter().collect()
}

fn shared_key(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let current = edit.template()?.1.shared_key.clone();
    let secret = edit.secret(words, current.as_ref())?;
    set(edit, |template| template.shared_key = secret)
}

/// The source of the other family stays.
fn undo_source(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let of_ipv4 = words.has("source-ip");
    set(edit, |template| {
        template.source.take_if(|source| source.is_ipv4() == of_ipv4);
    })
}

/// What is so already may be said again at any time.
fn set_response_timeout(edit: &mut Edit<'_>, seconds: u16) -> Result<Done, Refusal> {
    let (name, template) = edit.template()?;
    if template.response_timeout_s != seconds {
        let name = name.clone();
        unbound(edit.settings, &name)?;
    }
    set(edit, |template| template.response_timeout_s = seconds)
}

fn stored_user_name(settings: &Settings, place: &Place) -> Vec<String> {
    let line = match template_of(settings, place).map(|template| template.user_name) {
        None | Some(UserNameFormat::DomainIncluded) => return Vec::new(),
        Some(UserNameFormat::Original) => "hwtacacs-server user-name original",
        Some(UserNameFormat::WithoutDomain) => "undo hwtacacs-server user-name domain-included",
    };
    vec![line.to_owned()]
}

pub(super) fn template_of<'a>(settings: &'a Settings, place: &Place) -> Option<&'a HwtacacsTemplate> {
    let Place::HwtacacsTemplate(name) = place else { return None };
    settings.hwtacacs.templates.get(name)
}
