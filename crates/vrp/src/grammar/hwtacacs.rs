//! Commands about HWTACACS that belong to no template: the switch, templates themselves, and the Stops that no server
//! acknowledged (BEHAVIOUR.md section 6).

use model::report::QueueSelector;
use model::settings::{Hwtacacs, HwtacacsTemplate, ObjectName, Settings};

use crate::command::{
    Action, ActionRequest, Command, Display, DisplayRequest, Done, Edit, Operate, Operation, Place, Stored, Undo, View,
    Words,
};
use crate::error::Refusal;

/// Enters the view of a template.
pub(super) const TEMPLATE: Command = Command {
    views: &[View::System],
    level: 3,
    section: "6.1",
    formats: &["hwtacacs-server template template:NAME<1-32>"],
    undo: Some(Undo { formats: &["hwtacacs-server template template:NAME<1-32>"], run: undo_template }),
    help: &[],
    action: Action::Enter(template),
    stored: Stored::Sections(|settings| {
        settings.hwtacacs.templates.keys().cloned().map(Place::HwtacacsTemplate).collect()
    }),
};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 3,
        section: "6.1",
        formats: &["hwtacacs enable"],
        undo: Some(Undo { formats: &["hwtacacs enable"], run: |edit, _| set_enabled(edit, false) }),
        help: &[("hwtacacs", "Whether HWTACACS servers are spoken to"), ("enable", "They are; undo: they are not")],
        action: Action::Configure(|edit, _| set_enabled(edit, true)),
        stored: Stored::Lines(|settings, _| {
            let is_disabled = settings.hwtacacs.is_disabled;
            is_disabled.then(|| "undo hwtacacs enable".to_owned()).into_iter().collect()
        }),
    },
    Command {
        views: &[View::System],
        level: 3,
        section: "6.2",
        formats: &["hwtacacs-server accounting-stop-packet resend { disable | enable number:INTEGER<1-300> }"],
        undo: Some(Undo {
            formats: &["hwtacacs-server accounting-stop-packet resend"],
            run: |edit, _| set_resend(edit, Hwtacacs::default().stop_resend),
        }),
        help: &[
            ("accounting-stop-packet", "Stops that no server answered"),
            ("resend", "Whether they are sent again"),
            ("disable", "Each is sent once"),
            ("enable", "Each is sent again"),
            ("number", "How often; 3 by default"),
        ],
        action: Action::Configure(|edit, words| set_resend(edit, words.number_if("number"))),
        stored: Stored::Lines(stored_resend),
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "6.2",
        formats: &["display hwtacacs-server template [ template:NAME<1-32> | name template:NAME<1-32> [ verbose ] ]"],
        undo: None,
        help: &[
            ("template", "HWTACACS server templates, or one of them"),
            ("name", "One template by its name"),
            ("verbose", "With the counters of its accounting servers"),
        ],
        action: Action::Display(|_, words| {
            let template = words.text_if("template").map(ObjectName::from);
            Display::Live(DisplayRequest::HwtacacsServerTemplate { template, verbose: words.has("verbose") })
        }),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "6.2",
        formats: &["display hwtacacs-server accounting-stop-packet { all | number:INTEGER<1-65535> | ip ip:X.X.X.X \
                    | ipv6 ip:X:X::X:X }"],
        undo: None,
        help: &[
            ("accounting-stop-packet", "Stops that no server answered"),
            ("all", "Those of all servers"),
            ("number", "All from this one on"),
            ("ip", "Those of one server"),
            ("ipv6", "Those of one server"),
        ],
        action: Action::Display(|_, words| {
            let first = words.number_if("number").unwrap_or(1);
            Display::Live(DisplayRequest::HwtacacsQueuedStops { first, server: words.address_if("ip") })
        }),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "6.2",
        formats: &["reset hwtacacs-server accounting-stop-packet { all | ip ip:X.X.X.X | ipv6 ip:X:X::X:X }"],
        undo: None,
        help: &[
            ("reset", "Clear"),
            ("accounting-stop-packet", "Stops that no server answered: a bill stands for each"),
            ("all", "Those of all servers"),
            ("ip", "Those of one server"),
            ("ipv6", "Those of one server"),
        ],
        action: Action::Operate(|_, words| {
            let selector = QueueSelector { hwtacacs: true, server: words.address_if("ip") };
            Ok(Operation::Do(ActionRequest::ResetQueue(selector)))
        }),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "6.2",
        formats: &["reset hwtacacs-server statistics { accounting | all | authentication | authorization }"],
        undo: None,
        help: &[
            ("reset", "Clear"),
            ("statistics", "Counters of HWTACACS servers"),
            ("accounting", "Of accounting"),
            ("all", "Of all that is counted here, which is accounting"),
            ("authentication", "Of authentication, which is the packet plane's"),
            ("authorization", "Of authorization, which is the packet plane's"),
        ],
        action: Action::Operate(reset_statistics),
        stored: Stored::Never,
    },
];

fn template(edit: &mut Edit<'_>, words: &Words) -> Result<Place, Refusal> {
    let templates = &mut edit.settings.hwtacacs.templates;
    let name = words.object("template");
    if let Some((first_spelling, _)) = templates.get_key_value(&name) {
        return Ok(Place::HwtacacsTemplate(first_spelling.clone()));
    }
    if templates.len() >= Hwtacacs::TEMPLATE_COUNT_MAX {
        return Err(Refusal::TemplatesFull);
    }
    templates.insert(name.clone(), HwtacacsTemplate::default());
    Ok(Place::HwtacacsTemplate(name))
}

fn undo_template(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let template = words.object("template");
    if !edit.settings.hwtacacs.templates.contains_key(&template) {
        return Err(Refusal::TemplateMissing);
    }
    unbound(edit.settings, &template)?;
    edit.settings.hwtacacs.templates.remove(&template);
    Ok(Done::Applied)
}

/// Refuses what may not be done to a template while a domain is bound to it.
pub(super) fn unbound(settings: &Settings, template: &ObjectName) -> Result<(), Refusal> {
    let mut domains = settings.domains.iter();
    let bound = domains.find(|(_, domain)| domain.hwtacacs_template.as_ref() == Some(template));
    bound.map_or(Ok(()), |(domain, _)| Err(Refusal::TemplateBound(domain.clone())))
}

fn set_enabled(edit: &mut Edit<'_>, is_enabled: bool) -> Result<Done, Refusal> {
    edit.settings.hwtacacs.is_disabled = !is_enabled;
    Ok(Done::Applied)
}

fn set_resend(edit: &mut Edit<'_>, times: Option<u16>) -> Result<Done, Refusal> {
    edit.settings.hwtacacs.stop_resend = times;
    Ok(Done::Applied)
}

fn stored_resend(settings: &Settings, _: &Place) -> Vec<String> {
    let line = "hwtacacs-server accounting-stop-packet resend";
    match settings.hwtacacs.stop_resend {
        Some(Hwtacacs::STOP_RESEND_DEFAULT) => Vec::new(),
        Some(times) => vec![format!("{line} enable {times}")],
        None => vec![format!("{line} disable")],
    }
}

fn reset_statistics(_: &Operate<'_>, words: &Words) -> Result<Operation, Refusal> {
    if words.has("authentication") || words.has("authorization") {
        return Err(Refusal::PlaneCounts);
    }
    Ok(Operation::Do(ActionRequest::ResetHwtacacsStatistics))
}
