//! Commands of the local AAA server view about bills: the pool, the CF card, and how bills are written.
//!
//! What the pool and the card have in common is one command with two keywords.

use model::record::BillStore;
use model::settings::{BillFormat, BillReplay, CacheBackupMode, CfcardBackupMode, LocalAaaServer, Settings};

use super::bill_server::demand;
use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

/// What stands before the bill server in the saved text.
pub(super) const POOL: &[Command] = &[Command {
    views: &[View::LocalAaaServer],
    level: 2,
    section: "7.1",
    formats: &["local-bill-pool enable"],
    undo: Some(Undo { formats: &["local-bill-pool enable"], run: undo_pool }),
    help: &[("local-bill-pool", "Local bill pool"), ("enable", "Make bills of what no server took")],
    action: Action::Configure(pool),
    stored: Stored::Lines(stored_pool),
}];

/// What stands behind it.
pub(super) const STORES: &[Command] = &[
    Command {
        views: &[View::LocalAaaServer],
        level: 3,
        section: "7.1",
        formats: &["local-bill cache backup-mode { cfcard | none | tftp | sftp }"],
        undo: Some(Undo {
            formats: &["local-bill cache backup-mode [ cfcard | none | tftp | sftp ]"],
            run: undo_cache_backup_mode,
        }),
        help: &[
            ("backup-mode", "Where the bills of the pool go by themselves"),
            ("cfcard", "To the CF card"),
            ("none", "Nowhere"),
            ("tftp", "To the bill server over TFTP"),
            ("sftp", "To the bill server over SFTP"),
        ],
        action: Action::Configure(cache_backup_mode),
        stored: Stored::Lines(stored_cache_backup_mode),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 3,
        section: "7.1",
        formats: &["local-bill cfcard backup-mode { tftp | sftp }"],
        undo: Some(Undo { formats: &["local-bill cfcard backup-mode [ tftp | sftp ]"], run: undo_cfcard_backup_mode }),
        help: &[
            ("backup-mode", "How the bills of the CF card go to the bill server"),
            ("tftp", "Over TFTP"),
            ("sftp", "Over SFTP"),
        ],
        action: Action::Configure(cfcard_backup_mode),
        stored: Stored::Lines(stored_cfcard_backup_mode),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.1",
        formats: &["local-bill { cache | cfcard } backup-interval minutes:INTEGER<1-65535>"],
        undo: Some(Undo { formats: &["local-bill { cache | cfcard } backup-interval"], run: undo_backup_interval }),
        help: &[("backup-interval", "Time between transfers"), ("minutes", "Minutes")],
        action: Action::Configure(backup_interval),
        stored: Stored::Lines(|settings, _| stored_numbers(settings, "backup-interval", intervals)),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.1",
        formats: &["local-bill { cache | cfcard } alarm-threshold percent:INTEGER<50-100>"],
        undo: Some(Undo { formats: &["local-bill { cache | cfcard } alarm-threshold"], run: undo_alarm_threshold }),
        help: &[("alarm-threshold", "When the store counts as nearly full"), ("percent", "Per cent of the capacity")],
        action: Action::Configure(alarm_threshold),
        stored: Stored::Lines(|settings, _| stored_numbers(settings, "alarm-threshold", thresholds)),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.3, owner's decision 10",
        formats: &["local-bill { cache | cfcard } capacity bills:INTEGER<1-16000000>"],
        undo: Some(Undo { formats: &["local-bill { cache | cfcard } capacity"], run: undo_capacity }),
        help: &[("capacity", "How many bills the store holds"), ("bills", "Their number")],
        action: Action::Configure(capacity),
        stored: Stored::Lines(|settings, _| stored_numbers(settings, "capacity", capacities)),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2",
        formats: &["local-bill format { detail | csv | json }"],
        undo: Some(Undo { formats: &["local-bill format"], run: undo_format }),
        help: &[
            ("format", "How bill files are written"),
            ("detail", "As a RADIUS server's detail reader takes them"),
            ("csv", "A header line, then a bill per line"),
            ("json", "An object per line"),
        ],
        action: Action::Configure(format),
        stored: Stored::Lines(stored_format),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2",
        formats: &["local-bill file-size bills:INTEGER<1-10000>"],
        undo: Some(Undo { formats: &["local-bill file-size"], run: undo_file_size }),
        help: &[("file-size", "How many bills one file holds"), ("bills", "Their number")],
        action: Action::Configure(file_size),
        stored: Stored::Lines(stored_file_size),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "INTERFACES 2, owner's decision 4",
        formats: &["local-bill cache replay { enable [ start-failed ] | disable }"],
        undo: Some(Undo { formats: &["local-bill cache replay"], run: undo_replay }),
        help: &[
            ("replay", "Bills for accounting servers that answer again"),
            ("enable", "Send them as Stops"),
            ("start-failed", "Those of sessions whose Start failed as well"),
            ("disable", "Leave them to the bill server"),
        ],
        action: Action::Configure(replay),
        stored: Stored::Lines(stored_replay),
    },
];

fn pool(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.pool_enabled = true;
    Ok(Done::Applied)
}

/// Asks first while bills are inside (owner's decision 10).
fn undo_pool(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    let pool_enabled = &mut edit.settings.local_aaa_server.pool_enabled;
    let bill_count = if *pool_enabled && !edit.confirmed { (edit.bill_count)() } else { 0 };
    if bill_count > 0 {
        return Ok(Done::Ask(format!(
            "Warning: The local bill pool holds {bill_count} bills.\nAre you sure to continue? [Y/N]:"
        )));
    }
    *pool_enabled = false;
    Ok(Done::Applied)
}

fn stored_pool(settings: &Settings, _: &Place) -> Vec<String> {
    if settings.local_aaa_server.pool_enabled { vec!["local-bill-pool enable".to_owned()] } else { Vec::new() }
}

fn cache_backup_mode(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let server = &mut edit.settings.local_aaa_server;
    server.cache.backup_mode = if words.has("sftp") {
        demand(server, true)?;
        CacheBackupMode::Sftp
    } else if words.has("tftp") {
        demand(server, false)?;
        CacheBackupMode::Tftp
    } else if words.has("none") {
        CacheBackupMode::None
    } else {
        CacheBackupMode::Cfcard
    };
    Ok(Done::Applied)
}

fn undo_cache_backup_mode(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cache.backup_mode = CacheBackupMode::default();
    Ok(Done::Applied)
}

fn stored_cache_backup_mode(settings: &Settings, _: &Place) -> Vec<String> {
    let mode = settings.local_aaa_server.cache.backup_mode;
    let is_default = mode == CacheBackupMode::default();
    if is_default { Vec::new() } else { vec![format!("local-bill cache backup-mode {}", mode.as_str())] }
}

fn cfcard_backup_mode(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let server = &mut edit.settings.local_aaa_server;
    let over_sftp = words.has("sftp");
    demand(server, over_sftp)?;
    server.cfcard.backup_mode = if over_sftp { CfcardBackupMode::Sftp } else { CfcardBackupMode::Tftp };
    Ok(Done::Applied)
}

fn undo_cfcard_backup_mode(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cfcard.backup_mode = CfcardBackupMode::default();
    Ok(Done::Applied)
}

fn stored_cfcard_backup_mode(settings: &Settings, _: &Place) -> Vec<String> {
    let mode = settings.local_aaa_server.cfcard.backup_mode;
    let is_default = mode == CfcardBackupMode::default();
    if is_default { Vec::new() } else { vec![format!("local-bill cfcard backup-mode {}", mode.as_str())] }
}

fn backup_interval(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    *interval_of(&mut edit.settings.local_aaa_server, store_of(words)) = words.number("minutes");
    Ok(Done::Applied)
}

fn undo_backup_interval(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    to_default(edit, words, interval_of);
    Ok(Done::Applied)
}

fn alarm_threshold(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    *threshold_of(&mut edit.settings.local_aaa_server, store_of(words)) = words.number("percent");
    Ok(Done::Applied)
}

fn undo_alarm_threshold(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    to_default(edit, words, threshold_of);
    Ok(Done::Applied)
}

fn capacity(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    *capacity_of(&mut edit.settings.local_aaa_server, store_of(words)) = words.number("bills");
    Ok(Done::Applied)
}

fn undo_capacity(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    to_default(edit, words, capacity_of);
    Ok(Done::Applied)
}

fn format(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let named = BillFormat::ALL.into_iter().find(|format| words.has(format.as_str()));
    edit.settings.local_aaa_server.format = named.unwrap_or_default();
    Ok(Done::Applied)
}

fn undo_format(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.format = BillFormat::default();
    Ok(Done::Applied)
}

fn stored_format(settings: &Settings, _: &Place) -> Vec<String> {
    let format = settings.local_aaa_server.format;
    let is_default = format == BillFormat::default();
    if is_default { Vec::new() } else { vec![format!("local-bill format {}", format.as_str())] }
}

fn file_size(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.file_size = words.number("bills");
    Ok(Done::Applied)
}

fn undo_file_size(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.file_size = LocalAaaServer::FILE_SIZE_DEFAULT;
    Ok(Done::Applied)
}

fn stored_file_size(settings: &Settings, _: &Place) -> Vec<String> {
    match settings.local_aaa_server.file_size {
        LocalAaaServer::FILE_SIZE_DEFAULT => Vec::new(),
        bills => vec![format!("local-bill file-size {bills}")],
    }
}

fn replay(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.replay = if words.has("start-failed") {
        BillReplay::EnabledStartFailed
    } else if words.has("enable") {
        BillReplay::Enabled
    } else {
        BillReplay::Disabled
    };
    Ok(Done::Applied)
}

fn undo_replay(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.replay = BillReplay::default();
    Ok(Done::Applied)
}

fn stored_replay(settings: &Settings, _: &Place) -> Vec<String> {
    match settings.local_aaa_server.replay {
        BillReplay::Disabled => Vec::new(),
        BillReplay::Enabled => vec!["local-bill cache replay enable".to_owned()],
        BillReplay::EnabledStartFailed => vec!["local-bill cache replay enable start-failed".to_owned()],
    }
}

/// The store that the line names.
fn store_of(words: &Words) -> BillStore {
    if words.has("cache") { BillStore::Cache } else { BillStore::Cfcard }
}

fn interval_of(server: &mut LocalAaaServer, store: BillStore) -> &mut u16 {
    match store {
        BillStore::Cache => &mut server.cache.backup_interval_min,
        BillStore::Cfcard => &mut server.cfcard.backup_interval_min,
    }
}

fn threshold_of(server: &mut LocalAaaServer, store: BillStore) -> &mut u8 {
    match store {
        BillStore::Cache => &mut server.cache.alarm_threshold,
        BillStore::Cfcard => &mut server.cfcard.alarm_threshold,
    }
}

fn capacity_of(server: &mut LocalAaaServer, store: BillStore) -> &mut u32 {
    match store {
        BillStore::Cache => &mut server.cache.capacity,
        BillStore::Cfcard => &mut server.cfcard.capacity,
    }
}

fn to_default<T: Copy>(edit: &mut Edit<'_>, words: &Words, number_of: fn(&mut LocalAaaServer, BillStore) -> &mut T) {
    let store = store_of(words);
    *number_of(&mut edit.settings.local_aaa_server, store) = *number_of(&mut LocalAaaServer::default(), store);
}

/// A line for each store whose number is not the default; `numbers` are those of the pool and the card.
fn stored_numbers(settings: &Settings, keyword: &str, numbers: fn(&LocalAaaServer) -> [u32; 2]) -> Vec<String> {
    let (set, default) = (numbers(&settings.local_aaa_server), numbers(&LocalAaaServer::default()));
    let stores = [BillStore::Cache, BillStore::Cfcard].into_iter().zip(set.into_iter().zip(default));
    stores
        .filter(|(_, (number, default))| number != default)
        .map(|(store, (number, _))| format!("local-bill {} {keyword} {number}", store.as_str()))
        .collect()
}

fn intervals(server: &LocalAaaServer) -> [u32; 2] {
    [server.cache.backup_interval_min.into(), server.cfcard.backup_interval_min.into()]
}

fn thresholds(server: &LocalAaaServer) -> [u32; 2] {
    [server.cache.alarm_threshold.into(), server.cfcard.alarm_threshold.into()]
}

fn capacities(server: &LocalAaaServer) -> [u32; 2] {
    [server.cache.capacity, server.cfcard.capacity]
}
