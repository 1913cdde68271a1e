//! The ledger's side of a shard, as far as octets go: every record can be written down and reads back the same, and files of all
//! bills that come of them are complete and undamaged.

use ledger::bill::{Bill, BillFile, Format};
use ledger::{frame, verify};
use model::ids::BillId;
use model::record::{self, Record};
use model::time::Wall;

/// What the box is called.
pub(crate) const NAS: &str = "BNG1";
const FORMATS: [Format; 3] = [Format::Csv, Format::Json, Format::Detail];

/// Files of the bills that were made.
pub(crate) struct Bills {
    count: u64,
    files: [BillFile; 3],
}

impl Bills {
    pub(crate) fn new() -> Bills {
        Bills { count: 0, files: FORMATS.map(|format| BillFile::new(format, NAS)) }
    }

    /// A shard has said this.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        let mut room = [0; frame::RECORD_LEN_MAX];
        let len = frame::encode(record, &mut room).expect("whatever a shard says fits a record");
        assert_eq!(frame::decode(&room[..len]).as_ref(), Ok(record));
        if let Record::Billed(bill) = record {
            self.count += 1;
            let id = BillId { epoch: 1, sequence: self.count };
            let bill = Bill::new(NAS, record::Bill { id, ..*bill });
            for file in &mut self.files {
                // Without a packet there is no entry of detail text, and none is counted.
                let _ = file.push(&bill);
            }
        }
    }

    /// No more of them.
    pub(crate) fn finish(self) {
        for file in self.files {
            let (text, manifest) = file.finish("bills.lam", Wall::from_millis(1_795_000_000_000));
            let verdict = verify::bill_file(text.as_bytes(), &manifest);
            assert_eq!((verdict.faults, verdict.bills), (vec![], manifest.count), "{text}");
        }
    }
}
