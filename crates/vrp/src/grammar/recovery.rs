//! How a server that is Down is found out to be back.

use std::fmt::Write as _;

use model::settings::{RecoveryDetect, Settings};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[Command {
    views: &[View::System],
    level: 2,
    section: "5.2",
    formats: &["radius-server state-recovery-detect { authentication | accounting } [ username user:STRING<1-253> ] \
         [ detect-interval seconds:INTEGER<1-3600> ] [ detect-threshold probes:INTEGER<1-10> ]"],
    undo: Some(Undo {
        formats: &["radius-server state-recovery-detect { authentication | accounting }"],
        run: |edit, words| set(edit, words, None),
    }),
    help: &[
        ("state-recovery-detect", "Probes that ask servers that are down, instead of the end of the dead-time"),
        ("authentication", "Authentication servers"),
        ("accounting", "Accounting servers"),
        ("username", "A start and a stop of a test user, instead of Status-Server"),
        ("user", "The user's name"),
        ("detect-interval", "From one probe to the next"),
        ("seconds", "Seconds"),
        ("detect-threshold", "Answered probes in a row that bring a server back"),
        ("probes", "Their number"),
    ],
    action: Action::Configure(|edit, words| {
        let detect = RecoveryDetect {
            user: words.text_if("user").map(str::to_owned),
            interval_s: words.number_if("seconds").unwrap_or(RecoveryDetect::INTERVAL_DEFAULT_S),
            threshold: words.number_if("probes").unwrap_or(RecoveryDetect::THRESHOLD_DEFAULT),
        };
        set(edit, words, Some(detect))
    }),
    stored: Stored::Lines(stored),
}];

fn set(edit: &mut Edit<'_>, words: &Words, detect: Option<RecoveryDetect>) -> Result<Done, Refusal> {
    let recovery = &mut edit.settings.radius_recovery;
    let kind = if words.has("accounting") { &mut recovery.accounting } else { &mut recovery.authentication };
    *kind = detect;
    Ok(Done::Applied)
}

fn stored(settings: &Settings, _: &Place) -> Vec<String> {
    let recovery = &settings.radius_recovery;
    let kinds = [("authentication", &recovery.authentication), ("accounting", &recovery.accounting)];
    kinds.into_iter().filter_map(|(kind, detect)| Some(line(kind, detect.as_ref()?))).collect()
}

fn line(kind: &str, detect: &RecoveryDetect) -> String {
    let mut line = format!("radius-server state-recovery-detect {kind}");
    if let Some(user) = &detect.user {
        let _ = write!(line, " username {user}");
    }
    if detect.interval_s != RecoveryDetect::INTERVAL_DEFAULT_S {
        let _ = write!(line, " detect-interval {}", detect.interval_s);
    }
    if detect.threshold != RecoveryDetect::THRESHOLD_DEFAULT {
        let _ = write!(line, " detect-threshold {}", detect.threshold);
    }
    line
}
