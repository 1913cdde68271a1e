//! Reading bill files back, as far as verifying them needs.

use serde_json::Value;
use sha2::{Digest, Sha256};
use wire::radius::attribute::{Type, VendorType, huawei};
use wire::radius::name;

use super::Ids;
use crate::bill::{BillName, Octets, read_csv_line};

/// What a file adds up to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) bills: u64,
    pub(super) octets: Octets,
    pub(super) ids: Ids,
    /// Lines that are no bill, counted from 1.
    pub(super) malformed: Vec<u64>,
}

/// One bill of a line.
#[derive(Clone, Copy)]
struct Line {
    id: model::ids::BillId,
    octets: Octets,
}

impl Tally {
    fn enter(&mut self, number: u64, line: Option<Line>) {
        match line {
            Some(Line { id, octets }) => {
                self.bills += 1;
                self.add(octets);
                self.ids.push(id);
            }
            None => self.malformed.push(number),
        }
    }

    fn add(&mut self, octets: Octets) {
        let sum = &mut self.octets;
        sum.in_octets = sum.in_octets.wrapping_add(octets.in_octets);
        sum.out_octets = sum.out_octets.wrapping_add(octets.out_octets);
        sum.v6_in_octets = sum.v6_in_octets.wrapping_add(octets.v6_in_octets);
        sum.v6_out_octets = sum.v6_out_octets.wrapping_add(octets.v6_out_octets);
    }
}

pub(super) fn sha256(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub(super) fn read_json(text: &[u8]) -> Tally {
    let mut tally = Tally::default();
    for (number, line) in (1..).zip(lines(text)) {
        tally.enter(number, json_line(line));
    }
    tally
}

fn json_line(line: &[u8]) -> Option<Line> {
    let object: Value = serde_json::from_slice(line).ok()?;
    let number = |name| object.get(name)?.as_u64();
    Some(Line {
        id: BillName::parse(object.get("id")?.as_str()?)?.id,
        octets: Octets {
            in_octets: number("in_octets")?,
            out_octets: number("out_octets")?,
            v6_in_octets: number("v6_in_octets")?,
            v6_out_octets: number("v6_out_octets")?,
        },
    })
}

pub(super) fn read_csv(text: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let text = String::from_utf8_lossy(text);
    let Some((header, mut rest)) = read_csv_line(&text) else {
        tally.malformed.push(1);
        return tally;
    };
    let column = |name| header.iter().position(|found| found == name);
    let columns = ["id", "in_octets", "out_octets", "v6_in_octets", "v6_out_octets"].map(column).into_iter().collect();
    let Some(columns): Option<Vec<usize>> = columns else {
        tally.malformed.push(1);
        return tally;
    };
    let mut number = 2;
    while !rest.is_empty() {
        let Some((fields, behind)) = read_csv_line(rest) else {
            tally.malformed.push(number);
            return tally;
        };
        tally.enter(number, csv_line(&fields, &columns).filter(|_| fields.len() == header.len()));
        rest = behind;
        number += 1;
    }
    tally
}

fn csv_line(fields: &[String], columns: &[usize]) -> Option<Line> {
    let field = |column: usize| fields.get(*columns.get(column)?);
    let number = |column| field(column)?.parse().ok();
    Some(Line {
        id: BillName::parse(field(0)?)?.id,
        octets: Octets {
            in_octets: number(1)?,
            out_octets: number(2)?,
            v6_in_octets: number(3)?,
            v6_out_octets: number(4)?,
        },
    })
}

/// Entries end with an empty line. In an entry a line is a tabulator, a name, ` = ` and a value without line ends.
pub(super) fn read_detail(text: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut entry = Entry::default();
    let mut count = 0;
    for (number, line) in (1..).zip(lines(text)) {
        count = number;
        if line.is_empty() {
            if entry.is_stop {
                tally.bills += 1;
                tally.add(entry.octets);
            } else {
                tally.malformed.push(number);
            }
            entry = Entry::default();
        } else {
            entry.is_open = true;
            entry.read(line);
        }
    }
    if entry.is_open {
        tally.malformed.push(count);
    }
    tally
}

#[derive(Default)]
struct Entry {
    is_open: bool,
    is_stop: bool,
    octets: Octets,
}

impl Entry {
    fn read(&mut self, line: &[u8]) {
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.trim_start().split_once(" = "))
        else {
            return;
        };
        let is = |kind: Type| name::of(kind).is_some_and(|known| known.text == name);
        // The field's dictionary has no right names for these, so they are written by number and in octets.
        let is_vendor = |kind: VendorType| {
            name.strip_prefix("Attr-26.").and_then(|name| name.split_once('.'))
                == Some((&kind.vendor.to_string(), &kind.number.to_string()))
        };
        if is(Type::ACCT_STATUS_TYPE) {
            self.is_stop = value == "Stop";
            return;
        }
        let number = match value.strip_prefix("0x") {
            Some(octets) => u32::from_str_radix(octets, 16),
            None => value.parse(),
        };
        let Ok(low) = number.map(u64::from) else { return };
        let high = low << 32;
        let octets = &mut self.octets;
        // An attribute occurs once in an entry, so its half of a sum is zero until it is met.
        if is(Type::ACCT_INPUT_OCTETS) {
            octets.in_octets |= low;
        } else if is(Type::ACCT_INPUT_GIGAWORDS) {
            octets.in_octets |= high;
        } else if is(Type::ACCT_OUTPUT_OCTETS) {
            octets.out_octets |= low;
        } else if is(Type::ACCT_OUTPUT_GIGAWORDS) {
            octets.out_octets |= high;
        } else if is_vendor(huawei::ACCT_IPV6_INPUT_OCTETS) {
            octets.v6_in_octets |= low;
        } else if is_vendor(huawei::ACCT_IPV6_INPUT_GIGAWORDS) {
            octets.v6_in_octets |= high;
        } else if is_vendor(huawei::ACCT_IPV6_OUTPUT_OCTETS) {
            octets.v6_out_octets |= low;
        } else if is_vendor(huawei::ACCT_IPV6_OUTPUT_GIGAWORDS) {
            octets.v6_out_octets |= high;
        }
    }
}

/// Lines without their line feeds; nothing after the last one.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}
