//! Accounting-On and -Off (RFC 2866 section 5.1): whether servers are told, and the command that ends all accounting.

use model::settings::{AccountingOn, Settings};

use crate::command::{
    Action, ActionRequest, Command, Done, Edit, Operate, Operation, Place, Stored, Undo, View, Words,
};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::RadiusGroup],
        level: 2,
        section: "5.6, INTERFACES 2",
        formats: &["radius-server accounting-on enable [ wait ]"],
        undo: Some(Undo {
            formats: &["radius-server accounting-on enable"],
            run: |edit, _| set(edit, AccountingOn::Disabled),
        }),
        help: &[
            ("accounting-on", "Tell servers that accounting begins with a boot of the box"),
            ("enable", "They are told, and that it has ceased, too"),
            ("wait", "The first Start waits for the answer"),
        ],
        action: Action::Configure(|edit, words| {
            set(edit, if words.has("wait") { AccountingOn::Wait } else { AccountingOn::Enabled })
        }),
        stored: Stored::Lines(stored),
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "INTERFACES 2",
        formats: &["shutdown accounting"],
        undo: None,
        help: &[("shutdown", "End a service"), ("accounting", "Log everybody out and tell the servers")],
        action: Action::Operate(shut_down),
        stored: Stored::Never,
    },
];

fn set(edit: &mut Edit<'_>, accounting_on: AccountingOn) -> Result<Done, Refusal> {
    edit.group()?.accounting_on = accounting_on;
    Ok(Done::Applied)
}

fn stored(settings: &Settings, place: &Place) -> Vec<String> {
    let Place::RadiusGroup(name) = place else { return Vec::new() };
    let line = "radius-server accounting-on enable";
    match settings.radius_groups.get(name).map(|group| group.accounting_on) {
        None | Some(AccountingOn::Disabled) => Vec::new(),
        Some(AccountingOn::Enabled) => vec![line.to_owned()],
        Some(AccountingOn::Wait) => vec![format!("{line} wait")],
    }
}

fn shut_down(operate: &Operate<'_>, _: &Words) -> Result<Operation, Refusal> {
    Ok(if operate.confirmed {
        Operation::Do(ActionRequest::ShutdownAccounting)
    } else {
        Operation::Ask(
            "Warning: All users will be logged out, and none is let in until the engine is started again.\n\
             Are you sure to continue? [Y/N]:"
                .to_owned(),
        )
    })
}
