//! A file of bills and its manifest as a bill server gives them back: any octets, and any change to good ones. Verifying names
//! what is wrong, counts no bill twice, and a file that is not as it was made is never called complete.
//!
//! The first octet says the format; the rest is a file, and a list of changes to a good one: three octets each, where and what.

use std::fmt::Write as _;

use ledger::bill::{Bill, BillFile, Format, Manifest};
use ledger::verify::{self, FileFault};
use model::counters::{Counters, Totals};
use model::domain::{Allowance, Terms};
use model::ids::{BillId, SessionSerial};
use model::record::{self, BillReason, Closed, Delivered, Opened, TakenOver, ZeroStop};
use model::settings::PinnedScheme;
use model::time::{Mono, Now, Wall};
use wire::radius::Type;

const FORMATS: [Format; 3] = [Format::Csv, Format::Json, Format::Detail];

/// Attributes that say who a subscriber is, or what is.
const WHO: [Type; 7] = [
    Type::USER_NAME,
    Type::CLASS,
    Type::NAS_PORT_ID,
    Type::CALLING_STATION_ID,
    Type::ACCT_SESSION_ID,
    Type::NAS_IDENTIFIER,
    Type::FRAMED_IP_ADDRESS,
];
/// Octets of each, so that even a short input says several.
const VALUE_MAX: usize = 29;

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    any_text(format, rest);
    changed_file(format, rest);
    bills_of_any_text(rest);
}

fn any_text(format: Format, text: &[u8]) {
    let verdict = verify::bill_file(text, &Manifest { format, ..Manifest::default() });
    assert!(verdict.faults.contains(&FileFault::Sha256), "no text has that digest");
    assert!(verdict.elsewhere.is_empty() && verdict.bills <= text.split(|octet| *octet == b'\n').count() as u64);
    // A manifest that claims what the file adds up to has nothing but its digest against it, or more is told by name.
    let claims = Manifest { format, count: verdict.bills, octets: verdict.octets, ..Manifest::default() };
    let verdict = verify::bill_file(text, &claims);
    let is_sum = |fault: &FileFault| matches!(fault, FileFault::Count { .. } | FileFault::Octets { .. });
    assert!(!verdict.faults.iter().any(is_sum));
}

/// Every octet of a file counts.
fn changed_file(format: Format, changes: &[u8]) {
    let (good, manifest) = file(format, b"\x01\x06user", 3);
    assert_eq!(verify::bill_file(good.as_bytes(), &manifest).faults, []);
    let mut text = good.clone().into_bytes();
    for change in changes.chunks_exact(3).take(8) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % text.len();
        text[at] = change[2];
    }
    let verdict = verify::bill_file(&text, &manifest);
    assert_eq!(verdict.faults.is_empty(), text == good.as_bytes());
    let cut = &good.as_bytes()[..good.len() - 1 - changes.len() % good.len().min(64)];
    assert!(verify::bill_file(cut, &manifest).faults.contains(&FileFault::Sha256));
}

/// Attributes of a session are octets of a subscriber: no file of its bills is malformed by them.
fn bills_of_any_text(octets: &[u8]) {
    let mut attributes = Vec::new();
    for (value, kind) in octets.chunks(VALUE_MAX).zip(WHO.iter().cycle()) {
        attributes.extend([kind.0, value.len().to_le_bytes()[0] + 2]);
        attributes.extend_from_slice(value);
    }
    for format in FORMATS {
        let (text, manifest) = file(format, &attributes, 2);
        let verdict = verify::bill_file(text.as_bytes(), &manifest);
        assert_eq!((verdict.faults, verdict.bills), (vec![], manifest.count), "{text}");
        let written = manifest.to_json();
        assert_eq!(Manifest::parse(written.as_bytes()), Ok(manifest));
    }
}

/// A file of so many bills, and its manifest.
pub(crate) fn file(format: Format, attributes: &[u8], count: u64) -> (String, Manifest) {
    let mut file = BillFile::new(format, "BNG-1");
    for sequence in 1..=count {
        // No packet, no entry; then it is not counted either.
        let _ = file.push(&Bill::new("BNG-1", bill(sequence, attributes)));
    }
    let mut name = String::from("bills");
    let _ = write!(name, ".{}", format.as_str());
    file.finish(&name, Wall::from_millis(1_795_000_009_250))
}

/// A bill of a session with these attributes.
pub(crate) fn bill(sequence: u64, attributes: &[u8]) -> record::Bill<'_> {
    let serial = SessionSerial { epoch: 7, sequence };
    let v4 = Totals { in_octets: (5 << 32) + sequence, out_octets: 1000, ..Totals::default() };
    let v6 = Totals { in_octets: 7, out_octets: 6 << 32, ..Totals::default() };
    record::Bill {
        id: BillId { epoch: 7, sequence },
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        zero_stop: ZeroStop::Unknown,
        server: None,
        nas_address: None,
        opened: Opened {
            serial,
            taken_over: TakenOver::default(),
            plane: "plane-0",
            session: attributes.get(..attributes.len().min(64)).unwrap_or_default(),
            domain: "isp",
            group: "",
            scheme: PinnedScheme::default(),
            interim_s: 0,
            terms: Terms::default(),
            allowance: Allowance::default(),
            session_timeout_s: 0,
            at: Now::default(),
            counters: model::counters::CounterSlot::default(),
            baseline: Counters::ZERO,
            attributes,
        },
        closed: Closed {
            serial,
            taken_over: TakenOver::default(),
            at: Now { mono: Mono::ZERO, wall: Wall::from_millis(1_795_000_009_250) },
            cause: 1,
            session_time_s: 9,
            counters: Counters { v4, v6 },
        },
    }
}
