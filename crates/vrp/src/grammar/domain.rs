//! Commands of the domain view.

use model::settings::{Domain, ObjectName, Settings};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::Domain],
        level: 3,
        section: "4",
        formats: &["accounting-scheme scheme:NAME<1-32>"],
        undo: Some(Undo { formats: &["accounting-scheme"], run: undo_scheme }),
        help: &[("accounting-scheme", "Accounting scheme of its users"), ("scheme", "Name of the scheme")],
        action: Action::Configure(scheme),
        stored: Stored::Lines(stored_scheme),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["radius-server group group:NAME<1-32>"],
        undo: Some(Undo { formats: &["radius-server group"], run: undo_group }),
        help: &[],
        action: Action::Configure(group),
        stored: Stored::Lines(stored_group),
    },
    Command {
        views: &[View::Domain],
        level: 3,
        section: "4",
        formats: &["hwtacacs-server template:NAME<1-32>"],
        undo: Some(Undo { formats: &["hwtacacs-server"], run: undo_template }),
        help: &[],
        action: Action::Configure(template),
        stored: Stored::Lines(stored_template),
    },
    Command {
        views: &[View::Domain],
        level: 2,
        section: "4",
        formats: &["accounting-copy radius-server group:NAME<1-32>"],
        undo: Some(Undo { formats: &["accounting-copy"], run: undo_copy }),
        help: &[
            ("accounting-copy", "A second copy of all accounting packets"),
            ("radius-server", "To the servers of this group"),
        ],
        action: Action::Configure(copy),
        stored: Stored::Lines(stored_copy),
    },
];

fn scheme(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let scheme = words.object("scheme");
    let (scheme, _) = edit.settings.schemes.get_key_value(&scheme).ok_or(Refusal::SchemeMissing)?;
    let scheme = scheme.clone();
    let (name, domain) = edit.domain()?;
    let is_default = Domain::default().scheme_or_default(name).eq_ignore_ascii_case(scheme.as_str());
    domain.accounting_scheme = if is_default { None } else { Some(scheme) };
    Ok(Done::Applied)
}

fn undo_scheme(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.accounting_scheme = None;
    Ok(Done::Applied)
}

fn stored_scheme(settings: &Settings, place: &Place) -> Vec<String> {
    let scheme = domain_of(settings, place).and_then(|domain| domain.accounting_scheme.as_ref());
    scheme.map(|scheme| format!("accounting-scheme {scheme}")).into_iter().collect()
}

fn group(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let group = existing_group(edit, words)?;
    edit.domain()?.1.radius_group = Some(group);
    Ok(Done::Applied)
}

/// As it was first spelled.
fn existing_group(edit: &Edit<'_>, words: &Words) -> Result<ObjectName, Refusal> {
    let groups = &edit.settings.radius_groups;
    let (group, _) = groups.get_key_value(&words.object("group")).ok_or(Refusal::GroupMissing)?;
    Ok(group.clone())
}

fn undo_group(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.radius_group = None;
    Ok(Done::Applied)
}

fn stored_group(settings: &Settings, place: &Place) -> Vec<String> {
    let group = domain_of(settings, place).and_then(|domain| domain.radius_group.as_ref());
    group.map(|group| format!("radius-server group {group}")).into_iter().collect()
}

fn template(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let templates = &edit.settings.hwtacacs.templates;
    let (template, _) = templates.get_key_value(&words.object("template")).ok_or(Refusal::TemplateMissing)?;
    let template = template.clone();
    edit.domain()?.1.hwtacacs_template = Some(template);
    Ok(Done::Applied)
}

fn undo_template(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.hwtacacs_template = None;
    Ok(Done::Applied)
}

fn stored_template(settings: &Settings, place: &Place) -> Vec<String> {
    let template = domain_of(settings, place).and_then(|domain| domain.hwtacacs_template.as_ref());
    template.map(|template| format!("hwtacacs-server {template}")).into_iter().collect()
}

fn copy(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let group = existing_group(edit, words)?;
    edit.domain()?.1.accounting_copy = Some(group);
    Ok(Done::Applied)
}

fn undo_copy(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.domain()?.1.accounting_copy = None;
    Ok(Done::Applied)
}

fn stored_copy(settings: &Settings, place: &Place) -> Vec<String> {
    let group = domain_of(settings, place).and_then(|domain| domain.accounting_copy.as_ref());
    group.map(|group| format!("accounting-copy radius-server {group}")).into_iter().collect()
}

fn domain_of<'a>(settings: &'a Settings, place: &Place) -> Option<&'a Domain> {
    let Place::Domain(name) = place else { return None };
    settings.domains.get(name)
}
