//! SQLite: a write-ahead log that is synced with every transaction.

use std::path::Path;

use rusqlite::Connection;

use super::{Contender, RECORD_LEN};

/// A table of records, numbered as they come.
pub(super) struct Rows(Connection);

impl Rows {
    pub(super) fn new(directory: &Path) -> Rows {
        let connection = Connection::open(directory.join("records.sqlite")).expect("a database");
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).expect("a journal mode");
        assert_eq!(mode, "wal");
        connection
            .execute_batch(
                "PRAGMA synchronous = FULL; CREATE TABLE records (sequence INTEGER PRIMARY KEY, octets BLOB)",
            )
            .expect("a table");
        Rows(connection)
    }
}

impl Contender for Rows {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn append(&mut self, records: usize) {
        let transaction = self.0.transaction().expect("nobody else writes");
        let mut statement = transaction.prepare_cached("INSERT INTO records (octets) VALUES (?)").expect("it is right");
        for _ in 0..records {
            statement.execute([[0x5A_u8; RECORD_LEN].as_slice()]).expect("a row");
        }
        drop(statement);
        transaction.commit().expect("a commit");
    }
}
