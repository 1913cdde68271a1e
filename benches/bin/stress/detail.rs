//! The text of a detail file, read as it lies there: it may be larger than memory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use model::counters::Totals;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Start,
    Interim,
    Stop,
    /// Of the box, not of a session.
    Other,
}

/// A record, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Option<Kind>,
    pub(crate) session: String,
    pub(crate) user: String,
    /// With their gigawords.
    pub(crate) totals: Totals,
}

/// Calls `take` with every record that is whole. Gives back the octets of the file, and how many records were not whole: one that was
/// being written when the server was killed.
///
/// # Errors
/// The file cannot be read, or `take` fails.
pub(crate) fn read(path: &Path, mut take: impl FnMut(&Record) -> Result<()>) -> Result<(u64, u64)> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let (octets, mut torn) = (file.metadata()?.len(), 0);
    let (mut reader, mut line, mut record) =
        (BufReader::with_capacity(1 << 20, file), String::new(), Record::default());
    loop {
        line.clear();
        let is_end = reader.read_line(&mut line)? == 0;
        if line == "\n" {
            if record.kind.is_some() && !record.session.is_empty() {
                take(&record)?;
            } else {
                torn += 1;
            }
            record = Record::default();
        } else if is_end {
            torn += u64::from(record != Record::default());
            return Ok((octets, torn));
        } else if let Some(attribute) = line.strip_prefix('\t') {
            record.add(attribute.trim_end());
        } else if record != Record::default() {
            // A head, where the end of the record before it is missing.
            torn += 1;
            record = Record::default();
        }
    }
}

impl Record {
    fn add(&mut self, attribute: &str) {
        let Some((name, value)) = attribute.split_once(" = ") else { return };
        let text = value.trim_matches('"');
        let number = || value.parse::<u64>().unwrap_or(0);
        match name {
            "Acct-Status-Type" => {
                self.kind = Some(match text {
                    "Start" => Kind::Start,
                    "Interim-Update" => Kind::Interim,
                    "Stop" => Kind::Stop,
                    _ => Kind::Other,
                });
            }
            "Acct-Session-Id" => text.clone_into(&mut self.session),
            "User-Name" => text.clone_into(&mut self.user),
            "Acct-Input-Octets" => self.totals.in_octets += number(),
            "Acct-Input-Gigawords" => self.totals.in_octets += number() << 32,
            "Acct-Input-Packets" => self.totals.in_packets = number(),
            "Acct-Output-Octets" => self.totals.out_octets += number(),
            "Acct-Output-Gigawords" => self.totals.out_octets += number() << 32,
            "Acct-Output-Packets" => self.totals.out_packets = number(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_one_by_one_and_torn_ones_are_left_out() -> Result<()> {
        let place = benches::Place::new()?;
        let path = place.path("detail");
        let text = "Sun Nov 22 10:00:00 2026\n\tAcct-Status-Type = Stop\n\tAcct-Session-Id = \"a\"\n\tUser-Name = \"u\"\n\
                    \tAcct-Output-Octets = 7\n\tAcct-Output-Gigawords = 2\n\tAcct-Output-Packets = 3\n\n\
                    Sun Nov 22 10:00:00 2026\n\tAcct-Status-Type = Sta\
                    Sun Nov 22 10:00:01 2026\n\tUser-Name = \"torn\"\n\
                    Sun Nov 22 10:00:02 2026\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"b\"\n\n\
                    Sun Nov 22 10:00:03 2026\n\tAcct-Status-Type = Start\n";
        std::fs::write(&path, text)?;
        let mut read_so = Vec::new();
        let (octets, torn) = read(&path, |record| {
            read_so.push(record.clone());
            Ok(())
        })?;
        assert_eq!((octets, torn, read_so.len()), (text.len() as u64, 2, 2));
        let totals = Totals { out_octets: (2 << 32) + 7, out_packets: 3, ..Totals::default() };
        let stop = Record { kind: Some(Kind::Stop), session: "a".into(), user: "u".into(), totals };
        assert_eq!(read_so[0], stop);
        assert_eq!((read_so[1].kind, read_so[1].session.as_str()), (Some(Kind::Start), "b"));
        Ok(())
    }
}
