//! Commands that move the sitting itself.

use super::CONFIGURATION;
use crate::command::{Action, Command, Control, Stored, View};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::User],
        level: 2,
        section: "2.1",
        formats: &["system-view"],
        undo: None,
        help: &[("system-view", "Enter the system view")],
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
        formats: &["commit"],
        undo: None,
        help: &[("commit", "Put the candidate configuration into force")],
        action: Action::Control(Control::Commit),
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
];
