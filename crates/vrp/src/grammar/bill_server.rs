//! Commands of the local AAA server view about the bill server: where it is, and how it is known and logged in to.

use std::fmt::Write as _;

use model::record::BillStore;
use model::settings::{
    BillServer, BillServerLogin, CacheBackupMode, CfcardBackupMode, HostKeyPolicy, LocalAaaServer, Settings,
};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.1",
        formats: &["bill-server ip:X.X.X.X filename file:NAME<1-30> \
                    [ user-name user:STRING<1-64> password cipher secret:SECRET<1-16> port:INTEGER<1-65535> ]"],
        undo: Some(Undo { formats: &["bill-server"], run: undo_bill_server }),
        help: &[
            ("filename", "What the names of bill files begin with"),
            ("file", "Main name of the files"),
            ("user-name", "Log in over SFTP; without it only TFTP can be used"),
            ("user", "Name of the user"),
            ("password", "Password of the user"),
            ("cipher", "The password follows, plain or as stored"),
            ("port", "TCP port of SFTP"),
        ],
        action: Action::Configure(bill_server),
        stored: Stored::Lines(stored_bill_server),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2",
        formats: &["bill-server tftp-port port:INTEGER<1-65535>"],
        undo: Some(Undo { formats: &["bill-server tftp-port"], run: undo_tftp_port }),
        help: &[("tftp-port", "Port of TFTP"), ("port", "UDP port; 69 by default")],
        action: Action::Configure(tftp_port),
        stored: Stored::Lines(stored_tftp_port),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2",
        formats: &["bill-server host-key { fingerprint:SHA256 | accept-first }"],
        undo: Some(Undo { formats: &["bill-server host-key"], run: undo_host_key }),
        help: &[
            ("host-key", "Which host key of an SFTP server is taken; none by default"),
            ("fingerprint", "The key of this fingerprint"),
            ("accept-first", "The first key that is met, from then on"),
        ],
        action: Action::Configure(host_key),
        stored: Stored::Lines(stored_host_key),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2",
        formats: &["bill-server key-file path:PATH<1-255>"],
        undo: Some(Undo { formats: &["bill-server key-file"], run: undo_key_file }),
        help: &[("key-file", "Private key to log in with, instead of the password"), ("path", "OpenSSH key file")],
        action: Action::Configure(key_file),
        stored: Stored::Lines(stored_key_file),
    },
];

/// Whether there is a bill server, with a login if `over_sftp` (BEHAVIOUR.md 7.1).
pub(super) fn demand(server: &LocalAaaServer, over_sftp: bool) -> Result<(), Refusal> {
    match &server.bill_server {
        None => Err(Refusal::BillServerMissing),
        Some(BillServer { login: None, .. }) if over_sftp => Err(Refusal::BillServerLoginMissing),
        Some(_) => Ok(()),
    }
}

/// The server as it is to be: what was configured before is replaced as a whole, its login too. A backup mode that
/// needs the login is looked at when the candidate is committed, for it may be the next to change.
fn bill_server(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let address = words.ipv4("ip");
    let server = edit.settings.local_aaa_server.bill_server.as_ref();
    let current = server.and_then(|server| server.login.as_ref()).map(|login| login.password.clone());
    let login = match (words.text_if("user"), edit.secret(words, current.as_ref())?, words.number_if("port")) {
        (Some(user), Some(password), Some(port)) => Some(BillServerLogin { user: user.to_owned(), password, port }),
        _ => None,
    };
    let file_name = words.text("file").to_owned();
    edit.settings.local_aaa_server.bill_server = Some(BillServer { address, file_name, login });
    Ok(Done::Applied)
}

/// Not while a backup mode names the server: the mode could not have been set without it. The CF card's default mode
/// names none, it only waits for one.
fn undo_bill_server(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    let server = &mut edit.settings.local_aaa_server;
    let (cache, cfcard) = (server.cache.backup_mode, server.cfcard.backup_mode);
    if matches!(cache, CacheBackupMode::Tftp | CacheBackupMode::Sftp) {
        return Err(Refusal::BillServerUsed { store: BillStore::Cache, mode: cache.as_str() });
    }
    if cfcard != CfcardBackupMode::default() {
        return Err(Refusal::BillServerUsed { store: BillStore::Cfcard, mode: cfcard.as_str() });
    }
    server.bill_server = None;
    Ok(Done::Applied)
}

fn stored_bill_server(settings: &Settings, _: &Place) -> Vec<String> {
    settings.local_aaa_server.bill_server.iter().map(stored_server).collect()
}

fn stored_server(server: &BillServer) -> String {
    let mut line = format!("bill-server {} filename {}", server.address, server.file_name);
    if let Some(login) = &server.login {
        let (user, password, port) = (&login.user, login.password.stored(), login.port);
        let _ = write!(line, " user-name {user} password cipher {password} {port}");
    }
    line
}

fn tftp_port(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.tftp_port = words.number("port");
    Ok(Done::Applied)
}

fn undo_tftp_port(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.tftp_port = LocalAaaServer::TFTP_PORT_DEFAULT;
    Ok(Done::Applied)
}

fn stored_tftp_port(settings: &Settings, _: &Place) -> Vec<String> {
    match settings.local_aaa_server.tftp_port {
        LocalAaaServer::TFTP_PORT_DEFAULT => Vec::new(),
        port => vec![format!("bill-server tftp-port {port}")],
    }
}

fn host_key(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.host_key = match words.text_if("fingerprint") {
        Some(fingerprint) => HostKeyPolicy::Pinned(fingerprint.to_owned()),
        None => HostKeyPolicy::AcceptFirst,
    };
    Ok(Done::Applied)
}

fn undo_host_key(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.host_key = HostKeyPolicy::default();
    Ok(Done::Applied)
}

fn stored_host_key(settings: &Settings, _: &Place) -> Vec<String> {
    match &settings.local_aaa_server.host_key {
        HostKeyPolicy::Refuse => Vec::new(),
        HostKeyPolicy::Pinned(fingerprint) => vec![format!("bill-server host-key {fingerprint}")],
        HostKeyPolicy::AcceptFirst => vec!["bill-server host-key accept-first".to_owned()],
    }
}

fn key_file(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.key_file = Some(words.text("path").to_owned());
    Ok(Done::Applied)
}

fn undo_key_file(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.key_file = None;
    Ok(Done::Applied)
}

fn stored_key_file(settings: &Settings, _: &Place) -> Vec<String> {
    settings.local_aaa_server.key_file.iter().map(|path| format!("bill-server key-file {path}")).collect()
}
