//! When bills are transferred by themselves: at intervals that run from the commit that set them, and when a store reaches its
//! threshold (BEHAVIOUR.md 7.4).

use std::time::Duration;

use model::record::BillStore;
use model::settings::{CacheBackupMode, LocalAaaServer};
use model::time::{Mono, Now};

use super::Keeper;
use crate::transfer::{Stage, UploadFailure};

/// The next interval of each store.
pub(super) struct Triggers {
    due: [Mono; 2],
}

fn interval(settings: &LocalAaaServer, store: BillStore) -> Duration {
    let minutes = match store {
        BillStore::Cache => settings.cache.backup_interval_min,
        BillStore::Cfcard => settings.cfcard.backup_interval_min,
    };
    Duration::from_secs(60 * u64::from(minutes.max(1)))
}

const STORES: [BillStore; 2] = [BillStore::Cache, BillStore::Cfcard];

impl Triggers {
    pub(super) fn new(settings: &LocalAaaServer, now: Mono) -> Triggers {
        Triggers { due: STORES.map(|store| now.plus(interval(settings, store))) }
    }

    pub(super) fn configure(&mut self, before: &LocalAaaServer, after: &LocalAaaServer, now: Mono) {
        let is_new = after.pool_enabled && !before.pool_enabled;
        for (due, store) in self.due.iter_mut().zip(STORES) {
            if is_new || interval(before, store) != interval(after, store) {
                *due = now.plus(interval(after, store));
            }
        }
    }

    pub(super) fn poll_timeout(&self, settings: &LocalAaaServer) -> Option<Mono> {
        self.due.iter().min().copied().filter(|_| settings.pool_enabled)
    }
}

impl Keeper {
    pub(super) fn fire_intervals(&mut self, now: Now) {
        for (index, store) in STORES.into_iter().enumerate() {
            if self.triggers.due[index] > now.mono {
                continue;
            }
            let interval = interval(&self.settings, store);
            // Those missed while the box slept are not fired together.
            while self.triggers.due[index] <= now.mono {
                self.triggers.due[index] = self.triggers.due[index].plus(interval);
            }
            if self.settings.pool_enabled {
                self.transfer(store, now);
            }
        }
    }

    /// Does what the mode says with everything in a store.
    fn transfer(&mut self, store: BillStore, now: Now) {
        let is_empty = match store {
            BillStore::Cache => self.book.pool.bill_count() == 0,
            BillStore::Cfcard => self.card.bill_count() == 0,
        };
        if is_empty {
            return;
        }
        match (store, self.settings.cache.backup_mode) {
            (BillStore::Cache, CacheBackupMode::None) => {}
            (BillStore::Cache, CacheBackupMode::Cfcard) => self.move_all(),
            (BillStore::Cache, CacheBackupMode::Tftp | CacheBackupMode::Sftp) | (BillStore::Cfcard, _) => {
                match self.protocol(store) {
                    Ok(_) => self.ship_all(store, None, now),
                    // Without a bill server the card is simply where bills stay.
                    Err(_) if store == BillStore::Cfcard && self.settings.bill_server.is_none() => {}
                    Err(reason) => self.tell_failure(store, reason),
                }
            }
        }
    }

    /// Begins a transfer where a store has reached its threshold and none is under way.
    pub(super) fn apply_thresholds(&mut self, now: Now) {
        if self.book.pool.is_threshold_reached() && self.book.pool.bill_count() > 0 {
            match self.settings.cache.backup_mode {
                CacheBackupMode::None => {}
                CacheBackupMode::Cfcard => {
                    if self.card.is_ready() && !self.mover.is_busy() && self.card_room() > 0 {
                        self.move_all();
                    }
                }
                CacheBackupMode::Tftp | CacheBackupMode::Sftp => self.ship_when_idle(BillStore::Cache, now),
            }
        }
        if self.settings.pool_enabled && self.is_card_threshold_reached() && self.card.is_ready() {
            self.ship_when_idle(BillStore::Cfcard, now);
        }
    }

    fn ship_when_idle(&mut self, store: BillStore, now: Now) {
        let ship = &self.ships[usize::from(store == BillStore::Cfcard)];
        let is_idle = ship.job.is_none() && matches!(ship.stage, Stage::Idle);
        if !is_idle || self.server.until().is_some() {
            return;
        }
        match self.protocol(store) {
            Ok(_) => self.ship_all(store, None, now),
            Err(_) if self.settings.bill_server.is_none() && store == BillStore::Cfcard => {}
            Err(reason) => self.tell_failure(store, reason),
        }
    }

    pub(super) fn is_card_threshold_reached(&self) -> bool {
        let count = self.card.bill_count() as u64;
        count > 0 && count >= self.settings.cfcard.threshold_count()
    }

    /// Whether the bills of a store have no way out for now.
    pub(super) fn is_stuck(&self, store: BillStore) -> bool {
        let server = |store| self.server.is_failing() || self.protocol(store) == Err(UploadFailure::NotConfigured);
        match (store, self.settings.cache.backup_mode) {
            (BillStore::Cache, CacheBackupMode::None) => true,
            (BillStore::Cache, CacheBackupMode::Cfcard) => {
                self.card.is_failing() || (self.card.is_ready() && self.card_room() == 0)
            }
            (BillStore::Cache, CacheBackupMode::Tftp | CacheBackupMode::Sftp) | (BillStore::Cfcard, _) => server(store),
        }
    }
}
