//! Commands of the local AAA server view that move or delete bills at once. They are no configuration, so they are judged
//! by what is in force, mark no prompt and are never saved (BEHAVIOUR.md 2.2).

use model::settings::CfcardBackupMode;

use super::bill_server::demand;
use crate::command::{Action, ActionRequest, Command, Operate, Operation, Stored, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::LocalAaaServer],
        level: 3,
        section: "7.1, 11.6",
        formats: &["local-bill cache backup"],
        undo: None,
        help: &[("backup", "Transfer the bills of the pool now")],
        action: Action::Operate(|_, _| Ok(Operation::Do(ActionRequest::CacheBackup))),
        stored: Stored::Never,
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 3,
        section: "7.1",
        formats: &["local-bill cfcard backup [ file:STEM<1-30> ]"],
        undo: None,
        help: &[
            ("backup", "Transfer the bills of the CF card now"),
            ("file", "Main name of the files, without a suffix; that of the bill server when left out"),
        ],
        action: Action::Operate(cfcard_backup),
        stored: Stored::Never,
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 3,
        section: "7.1",
        formats: &["local-bill cfcard reset"],
        undo: None,
        help: &[("reset", "Delete the bills of the CF card")],
        action: Action::Operate(cfcard_reset),
        stored: Stored::Never,
    },
];

/// The CF card has no other way out than a bill server.
fn cfcard_backup(operate: &Operate<'_>, words: &Words) -> Result<Operation, Refusal> {
    let server = operate.local_aaa_server();
    demand(server, server.cfcard.backup_mode == CfcardBackupMode::Sftp)?;
    let file_name = words.text_if("file").map(str::to_owned);
    Ok(Operation::Do(ActionRequest::CfcardBackup { file_name }))
}

fn cfcard_reset(operate: &Operate<'_>, _: &Words) -> Result<Operation, Refusal> {
    Ok(if operate.confirmed {
        Operation::Do(ActionRequest::CfcardReset)
    } else {
        Operation::Ask(
            "Warning: All bills on the CF card will be deleted and cannot be restored.\n\
             Are you sure to continue? [Y/N]:"
                .to_owned(),
        )
    })
}
