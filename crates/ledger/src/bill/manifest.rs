//! What stands beside a file of bills, so that anybody can prove it complete.

use std::fmt;

use model::counters::Counters;
use model::ids::BillId;
use model::time::Wall;
use serde_json::Value;

use super::json::{print, write_hex, write_key, write_text};
use super::{BillName, Format};

/// The object in `<file>.manifest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file's name, without a folder.
    pub file: String,
    /// How its bills are written.
    pub format: Format,
    /// How many there are.
    pub count: u64,
    /// The first one's name; `None` in an empty file.
    pub first_id: Option<BillId>,
    /// The last one's name.
    pub last_id: Option<BillId>,
    /// Sums over the bills.
    pub octets: Octets,
    /// Of the file as it is.
    pub sha256: [u8; 32],
    /// The sysname.
    pub nas: String,
    /// When the file was made.
    pub created: Wall,
}

/// Sums of octets, in the sense of the fields of the same names of a bill. They wrap, as no true sum ever does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Octets {
    /// `in_octets`
    pub in_octets: u64,
    /// `out_octets`
    pub out_octets: u64,
    /// `v6_in_octets`
    pub v6_in_octets: u64,
    /// `v6_out_octets`
    pub v6_out_octets: u64,
}

impl Octets {
    pub(crate) fn add(&mut self, counters: &Counters) {
        self.in_octets = self.in_octets.wrapping_add(counters.v4.in_octets);
        self.out_octets = self.out_octets.wrapping_add(counters.v4.out_octets);
        self.v6_in_octets = self.v6_in_octets.wrapping_add(counters.v6.in_octets);
        self.v6_out_octets = self.v6_out_octets.wrapping_add(counters.v6.out_octets);
    }
}

/// The text is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadManifest;

impl fmt::Display for BadManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a manifest")
    }
}

impl std::error::Error for BadManifest {}

impl Manifest {
    /// One JSON object and a line feed.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        let text = |out: &mut String, name: &str, value: &str| {
            write_key(out, name);
            write_text(out, value);
            out.push(',');
        };
        let number = |out: &mut String, name: &str, value: u64| {
            write_key(out, name);
            print(out, format_args!("{value},"));
        };
        let id = |id: Option<BillId>| id.map(|id| BillName { nas: &self.nas, id }.to_string()).unwrap_or_default();
        text(&mut out, "file", &self.file);
        text(&mut out, "format", self.format.as_str());
        number(&mut out, "count", self.count);
        text(&mut out, "first_id", &id(self.first_id));
        text(&mut out, "last_id", &id(self.last_id));
        number(&mut out, "in_octets", self.octets.in_octets);
        number(&mut out, "out_octets", self.octets.out_octets);
        number(&mut out, "v6_in_octets", self.octets.v6_in_octets);
        number(&mut out, "v6_out_octets", self.octets.v6_out_octets);
        let mut sha256 = String::new();
        write_hex(&mut sha256, &self.sha256);
        text(&mut out, "sha256", &sha256);
        text(&mut out, "nas", &self.nas);
        write_key(&mut out, "created");
        print(&mut out, format_args!("{}}}\n", self.created));
        out
    }

    /// Reads what [`to_json`](Manifest::to_json) wrote, whatever the order of the fields.
    ///
    /// # Errors
    ///
    /// [`BadManifest`] when a field is missing or not of its kind.
    pub fn parse(octets: &[u8]) -> Result<Manifest, BadManifest> {
        let object: Value = serde_json::from_slice(octets).map_err(|_| BadManifest)?;
        read(&object).ok_or(BadManifest)
    }
}

fn read(object: &Value) -> Option<Manifest> {
    let text = |name| object.get(name)?.as_str();
    let number = |name| object.get(name)?.as_u64();
    let id = |name| match text(name)? {
        "" => Some(None),
        name => Some(Some(BillName::parse(name)?.id)),
    };
    Some(Manifest {
        file: text("file")?.to_owned(),
        format: Format::from_word(text("format")?)?,
        count: number("count")?,
        first_id: id("first_id")?,
        last_id: id("last_id")?,
        octets: Octets {
            in_octets: number("in_octets")?,
            out_octets: number("out_octets")?,
            v6_in_octets: number("v6_in_octets")?,
            v6_out_octets: number("v6_out_octets")?,
        },
        sha256: unhex(text("sha256")?)?,
        nas: text("nas")?.to_owned(),
        created: wall(object.get("created")?)?,
    })
}

/// Epoch seconds with three decimals; a double holds them exactly enough until the year 128,000, and later ones are none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn wall(seconds: &Value) -> Option<Wall> {
    let millis = (seconds.as_f64()? * 1000.0).round();
    (0.0..4e15).contains(&millis).then_some(Wall::from_millis(millis as u64))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    // A number might begin with a sign.
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (octet, at) in out.iter_mut().zip((0..64).step_by(2)) {
        *octet = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(out)
}
