//! Commands that move the sitting itself, and those on commits.

use super::CONFIGURATION;
use crate::command::{
    Action, ActionRequest, Command, CommitPoint, Control, Display, DisplayRequest, Operate, Operation, Place, Stored,
    View, Words,
};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::User],
        level: 2,
        section: "2.1",
        formats: &["system-view [ immediately ]"],
        undo: None,
        help: &[
            ("system-view", "Enter the system view"),
            ("immediately", "Every line takes effect as it is typed, without commit"),
        ],
        action: Action::Control(Control::SystemView),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 2,
        section: "2.3",
        formats: &["save"],
        undo: None,
        help: &[("save", "Write the running configuration to the startup file")],
        action: Action::Control(Control::Save),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 0,
        section: "2.3",
        formats: &["quit"],
        undo: None,
        help: &[("quit", "Leave the current view")],
        action: Action::Control(Control::Quit),
        stored: Stored::Never,
    },
    Command {
        views: CONFIGURATION,
        level: 0,
        section: "2.3",
        formats: &["return"],
        undo: None,
        help: &[("return", "Return to the user view")],
        action: Action::Control(Control::Return),
        stored: Stored::Never,
    },
    Command {
        views: CONFIGURATION,
        level: 2,
        section: "2.2",
        formats: &["commit [ trial [ seconds:INTEGER<60-65535> ] ] [ label label:LABEL<1-256> ] \
                    [ description text:LINE<1-60> ]"],
        undo: None,
        help: &[
            ("commit", "Put the candidate configuration into force"),
            ("trial", "For a time; a second commit within it keeps it"),
            ("seconds", "The time, seconds; 600 by default"),
            ("label", "Give the commit a name"),
            ("description", "Say what it is about"),
            ("text", "The description, to the end of the line"),
        ],
        action: Action::Control(Control::Commit),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 2,
        section: "2.2",
        formats: &["abort trial"],
        undo: None,
        help: &[("abort", "Stop something that is under way"), ("trial", "Roll a trial commit back now")],
        action: Action::Control(Control::AbortTrial),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "2.2",
        formats: &["rollback configuration { last count:INTEGER<1-80> | to { commit-id id:INTEGER<1-4294967295> \
                    | label label:LABEL<1-256> } }"],
        undo: None,
        help: &[
            ("rollback", "Go back to an earlier commit, at once"),
            ("last", "Take back the newest commits"),
            ("count", "How many of them"),
            ("to", "To what was in force after a commit"),
            ("commit-id", "The commit by its number"),
            ("id", "Its number, as display configuration commit list shows it"),
            ("label", "The newest commit of this label"),
        ],
        action: Action::Operate(rollback),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "2.2",
        formats: &["display configuration commit list [ count:INTEGER<1-80> ]"],
        undo: None,
        help: &[
            ("commit", "Commits"),
            ("list", "What was committed when and by whom"),
            ("count", "The newest so many"),
        ],
        action: Action::Display(commit_list),
        stored: Stored::Never,
    },
    Command {
        views: &View::ALL,
        level: 3,
        section: "2.2",
        formats: &["display configuration trial status"],
        undo: None,
        help: &[("trial", "The trial commit"), ("status", "Whether there is one, and how long it has still")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::TrialStatus)),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "2.2",
        formats: &["lock configuration"],
        undo: None,
        help: &[("lock", "Nobody else may commit until unlock or the end of this sitting")],
        action: Action::Control(Control::Lock),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 3,
        section: "2.2",
        formats: &["unlock configuration"],
        undo: None,
        help: &[("unlock", "Others may commit again")],
        action: Action::Control(Control::Unlock),
        stored: Stored::Never,
    },
    Command {
        views: &[View::User],
        level: 0,
        section: "2.3",
        formats: &["screen-length lines:INTEGER<0-512> temporary"],
        undo: None,
        help: &[
            ("screen-length", "Lines that are shown before the terminal waits for a key"),
            ("lines", "Their number; 0: it never waits"),
            ("temporary", "Until the end of this sitting"),
        ],
        action: Action::Control(Control::ScreenLength),
        stored: Stored::Never,
    },
    Command {
        views: CONFIGURATION,
        level: 2,
        section: "2.2",
        formats: &["clear configuration candidate"],
        undo: None,
        help: &[("candidate", "Drop what is not committed")],
        action: Action::Control(Control::ClearCandidate),
        stored: Stored::Never,
    },
    Command {
        views: CONFIGURATION,
        level: 2,
        section: "2.2",
        formats: &["refresh configuration candidate"],
        undo: None,
        help: &[
            ("refresh", "Take over what others have committed"),
            ("candidate", "What is not committed is laid over it; where both differ, it wins"),
        ],
        action: Action::Control(Control::RefreshCandidate),
        stored: Stored::Never,
    },
];

const ROLLBACK: &str = "Warning: The configuration will be rolled back at once. Continue? [Y/N]:";

fn rollback(operate: &Operate<'_>, words: &Words) -> Result<Operation, Refusal> {
    if !operate.confirmed {
        return Ok(Operation::Ask(ROLLBACK.to_owned()));
    }
    let point = match (words.number_if("count"), words.text_if("label")) {
        (Some(count), _) => CommitPoint::Last(count),
        (None, Some(label)) => CommitPoint::Label(label.to_owned()),
        (None, None) => CommitPoint::Id(words.number("id")),
    };
    Ok(Operation::Do(ActionRequest::Rollback(point)))
}

fn commit_list(_: &Place, words: &Words) -> Display {
    Display::Live(DisplayRequest::CommitList { count: words.number_if("count") })
}
