//! Commands of the AAA view.

use model::settings::{
    AccountingScheme, BUILT_IN_DOMAINS, BUILT_IN_SCHEMES, CutBrake, Domain, ObjectName, SCHEME_COUNT_MAX, Settings,
};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::Aaa],
        level: 3,
        section: "INTERFACES 2",
        formats: &["accounting policy brake percent:INTEGER<1-100> seconds:INTEGER<1-86400>"],
        undo: Some(Undo { formats: &["accounting policy brake"], run: undo_brake }),
        help: &[
            ("policy", "Failure policies of all accounting schemes"),
            ("brake", "Limit on users that real-time accounting failures log out"),
            ("percent", "Share of the online users, per cent"),
            ("seconds", "Period, seconds"),
        ],
        action: Action::Configure(brake),
        stored: Stored::Lines(stored_brake),
    },
    Command {
        views: &[View::Aaa],
        level: 3,
        section: "3.1",
        formats: &["accounting-scheme scheme:NAME<1-32>"],
        undo: Some(Undo { formats: &["accounting-scheme scheme:NAME<1-32>"], run: undo_accounting_scheme }),
        help: &[("accounting-scheme", "Accounting scheme"), ("scheme", "Name of the scheme")],
        action: Action::Enter(accounting_scheme),
        stored: Stored::Sections(stored_schemes),
    },
    Command {
        views: &[View::Aaa],
        level: 2,
        section: "4",
        formats: &["domain domain:NAME<1-64>"],
        undo: Some(Undo { formats: &["domain domain:NAME<1-64>"], run: undo_domain }),
        help: &[("domain", "Domain of users")],
        action: Action::Enter(domain),
        stored: Stored::Sections(stored_domains),
    },
];

fn brake(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.cut_brake = Some(CutBrake { percent: words.number("percent"), seconds: words.number("seconds") });
    Ok(Done::Applied)
}

fn undo_brake(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.cut_brake = None;
    Ok(Done::Applied)
}

fn stored_brake(settings: &Settings, _: &Place) -> Vec<String> {
    let line = |brake: CutBrake| format!("accounting policy brake {} {}", brake.percent, brake.seconds);
    settings.cut_brake.map(line).into_iter().collect()
}

fn accounting_scheme(edit: &mut Edit<'_>, words: &Words) -> Result<Place, Refusal> {
    let schemes = &mut edit.settings.schemes;
    let name = words.object("scheme");
    if let Some((first_spelling, _)) = schemes.get_key_value(&name) {
        return Ok(Place::Scheme(first_spelling.clone()));
    }
    if schemes.len() >= SCHEME_COUNT_MAX {
        return Err(Refusal::SchemesFull);
    }
    schemes.insert(name.clone(), AccountingScheme::default());
    Ok(Place::Scheme(name))
}

fn undo_accounting_scheme(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let scheme = words.object("scheme");
    if is_built_in(&BUILT_IN_SCHEMES, &scheme) {
        return Err(Refusal::SchemeBuiltIn);
    }
    if !edit.settings.schemes.contains_key(&scheme) {
        return Err(Refusal::SchemeMissing);
    }
    let mut domains = edit.settings.domains.iter();
    if let Some((domain, _)) = domains.find(|(_, domain)| domain.accounting_scheme.as_ref() == Some(&scheme)) {
        return Err(Refusal::SchemeBound(domain.clone()));
    }
    edit.settings.schemes.remove(&scheme);
    Ok(Done::Applied)
}

fn stored_schemes(settings: &Settings) -> Vec<Place> {
    settings.schemes.keys().cloned().map(Place::Scheme).collect()
}

fn domain(edit: &mut Edit<'_>, words: &Words) -> Result<Place, Refusal> {
    let domains = &mut edit.settings.domains;
    let name = words.object("domain");
    if let Some((first_spelling, _)) = domains.get_key_value(&name) {
        return Ok(Place::Domain(first_spelling.clone()));
    }
    domains.insert(name.clone(), Domain::default());
    Ok(Place::Domain(name))
}

fn undo_domain(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let domain = words.object("domain");
    if is_built_in(&BUILT_IN_DOMAINS, &domain) {
        return Err(Refusal::DomainBuiltIn);
    }
    edit.settings.domains.remove(&domain).map(|_| Done::Applied).ok_or(Refusal::DomainMissing)
}

fn stored_domains(settings: &Settings) -> Vec<Place> {
    settings.domains.keys().cloned().map(Place::Domain).collect()
}

fn is_built_in(names: &[&str], name: &ObjectName) -> bool {
    names.iter().any(|built_in| built_in.eq_ignore_ascii_case(name.as_str()))
}
