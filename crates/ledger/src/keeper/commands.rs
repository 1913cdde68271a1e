//! What an operator does by hand: `local-bill cache backup`, `local-bill cfcard backup`, `local-bill cfcard reset`.

use std::fmt;

use model::record::{BillStore, Departure, Record, TransferAbandoned};
use model::settings::CacheBackupMode;
use model::time::Now;

use super::Keeper;
use crate::transfer::{Made, Protocol, Stage, Trip};

/// Why a backup is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupRefused {
    /// There is no pool.
    NoPool,
    /// No bill server is configured.
    NoServer,
    /// The mode is SFTP, and the bill server has no user, password and port.
    NoLogin,
    /// The card cannot be used.
    NoCard,
    /// The store is empty: nothing is done, no file is made.
    Empty,
}

impl fmt::Display for BackupRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackupRefused::NoPool => "the local bill pool is not enabled",
            BackupRefused::NoServer => "no bill server is configured",
            BackupRefused::NoLogin => "the bill server has no user, password and port for SFTP",
            BackupRefused::NoCard => "the CF card cannot be used",
            BackupRefused::Empty => "there are no bills",
        })
    }
}

/// Why the card is not reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetRefused {
    /// The card cannot be used.
    NoCard,
}

impl fmt::Display for ResetRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the CF card cannot be used")
    }
}

impl Keeper {
    /// `local-bill cache backup`: everything in the pool goes where the mode says; in mode `none` to the bill server if there is
    /// one, otherwise to the card (BEHAVIOUR.md 11.6). What waits for a failing server or card is tried at once.
    ///
    /// # Errors
    ///
    /// [`BackupRefused`]: nothing is done.
    pub fn backup_cache(&mut self, now: Now) -> Result<(), BackupRefused> {
        if !self.settings.pool_enabled {
            return Err(BackupRefused::NoPool);
        }
        if self.book.pool.bill_count() == 0 {
            return Err(BackupRefused::Empty);
        }
        let to_server = match self.settings.cache.backup_mode {
            CacheBackupMode::Cfcard => false,
            CacheBackupMode::Tftp | CacheBackupMode::Sftp => true,
            CacheBackupMode::None => self.settings.bill_server.is_some(),
        };
        if to_server {
            self.check_server(BillStore::Cache)?;
            self.server.try_at_once();
            self.ship_all(BillStore::Cache, None, now);
        } else {
            if self.card.is_absent() {
                return Err(BackupRefused::NoCard);
            }
            self.card.try_at_once();
            self.move_all();
        }
        self.advance(now);
        Ok(())
    }

    /// `local-bill cfcard backup [ FILE ]`: everything on the card goes to the bill server, at once.
    ///
    /// # Errors
    ///
    /// [`BackupRefused`]: nothing is done.
    pub fn backup_cfcard(&mut self, file: Option<&str>, now: Now) -> Result<(), BackupRefused> {
        self.check_server(BillStore::Cfcard)?;
        if !self.card.is_ready() {
            return Err(BackupRefused::NoCard);
        }
        if self.card.bill_count() == 0 {
            return Err(BackupRefused::Empty);
        }
        self.server.try_at_once();
        self.ship_all(BillStore::Cfcard, file, now);
        self.advance(now);
        Ok(())
    }

    /// `local-bill cfcard reset`: every bill on the card is given up for good; says how many. Files of the card's bills that are
    /// on their way are abandoned. What is being moved stays in the pool. When the card is missing, the bills that should be on it
    /// are given up.
    ///
    /// # Errors
    ///
    /// [`ResetRefused`]: nothing is done.
    pub fn reset_cfcard(&mut self, now: Now) -> Result<u64, ResetRefused> {
        if self.card.is_missing() {
            self.abandon_card_files();
            let bills = self.give_up_card(now.wall);
            self.advance(now);
            return Ok(bills);
        }
        let Some(shelf) = self.card.shelf().filter(|_| self.card.is_ready()) else { return Err(ResetRefused::NoCard) };
        // Those on their way out have their own records.
        let staying = shelf.iter().filter(|bill| !bill.is_leaving);
        let bills: Vec<_> = staying.map(|bill| (bill.id, bill.in_octets, bill.out_octets)).collect();
        if bills.is_empty() {
            return Ok(0);
        }
        self.card.begin_reset(bills.iter().map(|(id, ..)| *id));
        self.cancel_moves();
        self.abandon_card_files();
        self.tell_departed(BillStore::Cfcard, Departure::Reset, &bills, now.wall);
        self.advance(now);
        Ok(bills.len() as u64)
    }

    /// No file of the card's bills is sent any more.
    fn abandon_card_files(&mut self) {
        let ship = &mut self.ships[1];
        ship.job = None;
        // Its beginning is on the way to the disk, and nobody else has seen it.
        if let Stage::Announcing(Made { trip: Trip { number, .. }, .. }) = ship.stage {
            ship.stage = Stage::Settling(number);
            self.tell(&Record::TransferAbandoned(TransferAbandoned { number, may_be_there: false }));
        }
        let open = self.book.transfers.values().filter(|open| open.store == BillStore::Cfcard && !open.is_ending);
        let numbers: Vec<u64> = open.map(|open| open.number).collect();
        for number in numbers {
            self.tell(&Record::TransferAbandoned(TransferAbandoned { number, may_be_there: true }));
        }
    }

    fn check_server(&self, store: BillStore) -> Result<Protocol, BackupRefused> {
        if self.settings.bill_server.is_none() {
            return Err(BackupRefused::NoServer);
        }
        self.protocol(store).map_err(|_| BackupRefused::NoLogin)
    }
}
