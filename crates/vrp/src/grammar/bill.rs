//! Commands of the local AAA server view.

use model::settings::{CacheBackupMode, LocalAaaServer, Settings};

use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.1",
        formats: &["local-bill-pool enable"],
        undo: Some(Undo { formats: &["local-bill-pool enable"], run: undo_pool }),
        help: &[("local-bill-pool", "Local bill pool"), ("enable", "Make bills of what no server took")],
        action: Action::Configure(pool),
        stored: Stored::Lines(stored_pool),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.3, owner's decision 10",
        formats: &["local-bill cache capacity bills:INTEGER<1-16000000>"],
        undo: Some(Undo { formats: &["local-bill cache capacity"], run: undo_capacity }),
        help: &[("capacity", "How many bills the pool holds"), ("bills", "Their number")],
        action: Action::Configure(capacity),
        stored: Stored::Lines(stored_capacity),
    },
    Command {
        views: &[View::LocalAaaServer],
        level: 2,
        section: "7.1",
        formats: &["local-bill cache alarm-threshold percent:INTEGER<50-100>"],
        undo: Some(Undo { formats: &["local-bill cache alarm-threshold"], run: undo_alarm_threshold }),
        help: &[("alarm-threshold", "When the pool counts as nearly full"), ("percent", "Per cent of the capacity")],
        action: Action::Configure(alarm_threshold),
        stored: Stored::Lines(stored_alarm_threshold),
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

fn capacity(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cache.capacity = words.number("bills");
    Ok(Done::Applied)
}

fn undo_capacity(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cache.capacity = CacheBackupMode::CAPACITY_DEFAULT;
    Ok(Done::Applied)
}

fn stored_capacity(settings: &Settings, _: &Place) -> Vec<String> {
    let capacity = settings.local_aaa_server.cache.capacity;
    let is_default = capacity == CacheBackupMode::CAPACITY_DEFAULT;
    if is_default { Vec::new() } else { vec![format!("local-bill cache capacity {capacity}")] }
}

fn alarm_threshold(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cache.alarm_threshold = words.number("percent");
    Ok(Done::Applied)
}

fn undo_alarm_threshold(edit: &mut Edit<'_>, _: &Words) -> Result<Done, Refusal> {
    edit.settings.local_aaa_server.cache.alarm_threshold = LocalAaaServer::default().cache.alarm_threshold;
    Ok(Done::Applied)
}

fn stored_alarm_threshold(settings: &Settings, _: &Place) -> Vec<String> {
    let threshold = settings.local_aaa_server.cache.alarm_threshold;
    let is_default = threshold == LocalAaaServer::default().cache.alarm_threshold;
    if is_default { Vec::new() } else { vec![format!("local-bill cache alarm-threshold {threshold}")] }
}
