//! A file of bills in the making.

use model::time::Wall;
use sha2::{Digest, Sha256};

use super::{Bill, Format, Manifest, NoPacket};

/// Gathers bills into the text of one file, and what its manifest says of them.
///
/// ```
/// # use ledger::bill::{BillFile, Format};
/// let file = BillFile::new(Format::Csv, "BNG1");
/// let (text, manifest) = file.finish("bills-20261118104640001.csv", model::time::Wall::from_millis(0));
/// assert_eq!((manifest.count, text.lines().count()), (0, 1));
/// ```
#[derive(Clone, Debug)]
pub struct BillFile {
    text: String,
    manifest: Manifest,
}

impl BillFile {
    /// An empty file of the box called `nas`.
    pub fn new(format: Format, nas: &str) -> BillFile {
        let mut text = String::new();
        if format == Format::Csv {
            super::write_csv_header(&mut text);
        }
        BillFile { text, manifest: Manifest { format, nas: nas.to_owned(), ..Manifest::default() } }
    }

    /// Adds a bill. Bills come in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`NoPacket`], in detail only; the bill was not added.
    pub fn push(&mut self, bill: &Bill<'_>) -> Result<(), NoPacket> {
        match self.manifest.format {
            Format::Detail => bill.write_detail(&mut self.text)?,
            Format::Csv => bill.write_csv(&mut self.text),
            Format::Json => bill.write_json(&mut self.text),
        }
        let manifest = &mut self.manifest;
        manifest.count += 1;
        manifest.first_id.get_or_insert(bill.id());
        manifest.last_id = Some(bill.id());
        let counters = bill.record().closed.counters;
        manifest.octets.add(&counters);
        Ok(())
    }

    /// How its bills are written.
    pub fn format(&self) -> Format {
        self.manifest.format
    }

    /// How many bills there are.
    pub fn bill_count(&self) -> u64 {
        self.manifest.count
    }

    /// The file's text, and the manifest beside it.
    pub fn finish(self, name: &str, created: Wall) -> (String, Manifest) {
        let sha256 = Sha256::digest(self.text.as_bytes()).into();
        (self.text, Manifest { file: name.to_owned(), sha256, created, ..self.manifest })
    }
}
