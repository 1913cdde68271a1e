//! `tollgate bills verify`: proves a store, or bill files, and says what is wrong. The verdict is text for people, a JSON
//! object, or csv with a header line; in csv what is wrong goes to standard error, a line each.

use std::path::Path;
use std::time::Duration;

use kernel::file::DirectoryLock;
use ledger::verify::{StoreCheck, StoreVerdict, bill_file};
use serde_json::{Map, Value};

use super::{Whereabouts, files, words};
use crate::args::{FormatArg, StoreArgs};
use crate::exit::{Failure, Outcome};
use crate::output::{complain, print};
use crate::run::disk::{read_card, read_segments};
use crate::run::store;

/// How often a store is read in which a daemon moves bills and removes segments meanwhile, and how long between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// Reads a store as it stands. What a running daemon moves while it is read looks like damage; damage is there again.
fn judge(state_dir: &Path) -> Result<StoreVerdict, Failure> {
    for _ in 1..TRIES {
        let judged = read(state_dir);
        let is_sound = judged.as_ref().is_ok_and(StoreVerdict::is_sound);
        if is_sound || !DirectoryLock::is_held(state_dir).unwrap_or(false) {
            return judged;
        }
        std::thread::sleep(PAUSE);
    }
    read(state_dir)
}

fn read(state_dir: &Path) -> Result<StoreVerdict, Failure> {
    let mut check = StoreCheck::new();
    let cannot = |error| Failure::failed(format!("cannot read the store: {error}"));
    read_segments(&store::ledger_directory(state_dir), complain, |number, octets| {
        check.segment(number, &octets);
        octets
    })
    .map_err(cannot)?;
    let card_dir = Whereabouts::card_dir(state_dir);
    let card = if card_dir.is_dir() { Some(read_card(&card_dir, complain).map_err(cannot)?) } else { None };
    let judged = |error| Failure::failed(format!("the CF card cannot be judged: {error}"));
    let card = card.transpose().map_err(judged)?;
    check.finish_with(card.as_ref()).map_err(|error| Failure::failed(format!("the store cannot be judged: {error}")))
}

/// Proves a store.
pub(super) fn store(state_dir: &Path, args: &StoreArgs) -> Outcome {
    let verdict = judge(state_dir)?;
    let unbilled = if Whereabouts::is_pool_enabled(state_dir) { 0 } else { verdict.bills };
    let said = findings(&verdict);
    match args.format {
        None | Some(FormatArg::Detail) => {
            for line in &said {
                print(&format!("{line}\n"))?;
            }
            print(&format!("{}\n", summary(&verdict, args.unbilled.then_some(unbilled))))?;
        }
        Some(format) => {
            let figures = [
                ("segments", verdict.report.segments),
                ("records", verdict.report.records),
                ("records_lost", verdict.report.records_lost),
                ("bills", verdict.bills),
                ("unbilled", unbilled),
                ("in_octets", verdict.octets.in_octets),
                ("out_octets", verdict.octets.out_octets),
            ];
            let mut row = vec![("sound", Value::from(verdict.is_sound()))];
            row.extend(figures.map(|(name, figure)| (name, figure.into())));
            print_row(format, row, "findings", said, true)?;
        }
    }
    if !verdict.is_sound() {
        return Err(Failure::failed("the store is damaged or incomplete"));
    }
    if args.format.is_none_or(|format| format == FormatArg::Detail) {
        print("the store is complete and undamaged\n")?;
    }
    Ok(())
}

/// A line for each thing that was met.
fn findings(verdict: &StoreVerdict) -> Vec<String> {
    let mut said: Vec<String> = verdict.report.findings.iter().map(words::finding).collect();
    said.extend(verdict.gaps.iter().map(words::gap));
    said
}

fn summary(verdict: &StoreVerdict, unbilled: Option<u64>) -> String {
    let unbilled = unbilled.map_or_else(String::new, |count| format!(" ({count} of them unbilled)"));
    format!(
        "{} segments, {} records, {} bills{unbilled}, {} octets in, {} octets out",
        verdict.report.segments,
        verdict.report.records,
        verdict.bills,
        verdict.octets.in_octets,
        verdict.octets.out_octets
    )
}

/// Holds every file against its manifest. A bill file holds no unbilled ones.
pub(super) fn files(args: &StoreArgs) -> Outcome {
    let mut sound = true;
    for (index, path) in args.files.iter().enumerate() {
        let verdict = bill_file(&files::read(path)?, &files::manifest(path)?);
        let name = path.display();
        let faults: Vec<String> = verdict.faults.iter().map(words::file_fault).collect();
        sound &= faults.is_empty();
        let absent: u64 = verdict.elsewhere.iter().map(|gap| gap.count).sum();
        match args.format {
            None | Some(FormatArg::Detail) if faults.is_empty() => {
                let elsewhere = words::elsewhere(absent);
                print(&format!("{name}: {} bills, complete and undamaged{elsewhere}\n", verdict.bills))?;
            }
            None | Some(FormatArg::Detail) => {
                for fault in &faults {
                    print(&format!("{name}: {fault}\n"))?;
                }
            }
            Some(format) => {
                let row = vec![
                    ("file", Value::from(name.to_string())),
                    ("sound", faults.is_empty().into()),
                    ("bills", verdict.bills.into()),
                    ("unbilled", 0.into()),
                    ("in_octets", verdict.octets.in_octets.into()),
                    ("out_octets", verdict.octets.out_octets.into()),
                    ("elsewhere", absent.into()),
                ];
                print_row(format, row, "faults", faults, index == 0)?;
            }
        }
    }
    if sound { Ok(()) } else { Err(Failure::failed("a bill file is damaged or incomplete")) }
}

/// One verdict for a program; `first`: nothing was printed before it.
fn print_row(format: FormatArg, row: Vec<(&str, Value)>, list: &str, said: Vec<String>, first: bool) -> Outcome {
    if format == FormatArg::Json {
        let mut object: Map<String, Value> = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        object.insert(list.to_owned(), said.into());
        return print(&format!("{}\n", Value::Object(object)));
    }
    said.iter().for_each(|line| complain(line));
    let line = |cells: Vec<String>| format!("{}\n", cells.join(","));
    if first {
        print(&line(row.iter().map(|(name, _)| (*name).to_owned()).collect()))?;
    }
    print(&line(row.iter().map(|(_, value)| csv_cell(value)).collect()))
}

/// A value as RFC 4180 writes it.
fn csv_cell(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains([',', '"', '\n', '\r']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_stays_in_its_cell() {
        for (value, cell) in [
            (Value::from("bills.csv"), "bills.csv"),
            (Value::from("a,\"b\""), "\"a,\"\"b\"\"\""),
            (Value::from(7), "7"),
            (Value::from(true), "true"),
        ] {
            assert_eq!(csv_cell(&value), cell);
        }
    }
}
