//! Bills as text: a line each, a line for each field, or as files hold them.

use std::fmt::Write as _;

use ledger::bill::{Bill, BillFile, Value};
use model::time::Wall;

/// Text in the making.
pub(super) enum Printed {
    List(String),
    Show(String),
    File { file: Box<BillFile>, is_first: bool, left_out: u64 },
}

impl Printed {
    pub(super) fn list(is_first: bool) -> Printed {
        let mut text = String::new();
        if is_first {
            line(
                &mut text,
                ["Bill", "Reason", "Delivered", "User", "Session", "Stop", "In-octets", "Out-octets"]
                    .map(str::to_owned),
            );
        }
        Printed::List(text)
    }

    pub(super) fn show() -> Printed {
        Printed::Show(String::new())
    }

    pub(super) fn file(file: BillFile, is_first: bool) -> Printed {
        Printed::File { file: Box::new(file), is_first, left_out: 0 }
    }

    pub(super) fn push(&mut self, bill: &Bill<'_>) {
        match self {
            Printed::List(text) => {
                let value = |wanted: &str| {
                    bill.fields().find(|(name, _)| *name == wanted).map_or_else(String::new, |(_, value)| plain(&value))
                };
                let names = ["id", "reason", "delivered", "user", "session", "stop", "in_octets", "out_octets"];
                line(text, names.map(value));
            }
            Printed::Show(text) => {
                let _ = writeln!(text, "Contents of Bill {}:", bill.name());
                for (name, value) in bill.fields().filter(|(_, value)| *value != Value::Absent) {
                    let _ = writeln!(text, "  {name:<22}: {}", plain(&value));
                }
                text.push('\n');
            }
            Printed::File { file, left_out, .. } => *left_out += u64::from(file.push(bill).is_err()),
        }
    }

    pub(super) fn finish(self) -> String {
        match self {
            Printed::List(text) | Printed::Show(text) => text,
            Printed::File { file, is_first, left_out } => {
                if left_out > 0 {
                    tracing::warn!(
                        "{left_out} bills do not fit into one packet and are left out: export them as csv or json"
                    );
                }
                let is_csv = file.format() == ledger::bill::Format::Csv;
                let (text, _) = file.finish("", Wall::from_millis(0));
                // The header stands once, whatever the number of pieces.
                match text.split_once('\n').filter(|_| is_csv && !is_first) {
                    Some((_, bills)) => bills.to_owned(),
                    None => text,
                }
            }
        }
    }
}

fn line(text: &mut String, columns: [String; 8]) {
    let [id, reason, delivered, user, session, stop, in_octets, out_octets] = columns;
    let _ = writeln!(
        text,
        "{id:<18} {reason:<16} {delivered:<9} {user:<24} {session:<34} {stop:<15} {in_octets:>16} {out_octets:>16}"
    );
}

/// A value for people; control characters of what a subscriber sent do not reach the terminal.
fn plain(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "-".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Octets(octets) => String::from_utf8_lossy(octets).escape_debug().to_string(),
        Value::Text(text) => text.clone(),
        Value::Hex(list) => {
            let hex = |octets: &&[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
            list.iter().map(hex).collect::<Vec<_>>().join(" ")
        }
    }
}
