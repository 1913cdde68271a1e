//! Comma-separated values with the quoting of RFC 4180: a field with a comma, a quote or a line end is put in quotes, and a
//! quote in it is doubled. Lines end with a line feed, as the text tools of a bill server like it.

use super::json::{print, write_hex};
use super::{Bill, NAMES, Value};

pub(super) fn write_header(out: &mut String) {
    out.push_str(&NAMES.join(","));
    out.push('\n');
}

pub(super) fn write(bill: &Bill<'_>, out: &mut String) {
    let mut separator = "";
    for (_, value) in bill.fields() {
        out.push_str(separator);
        separator = ",";
        match value {
            Value::Absent => {}
            Value::Number(number) => print(out, format_args!("{number}")),
            Value::Time(time) => print(out, format_args!("{time}")),
            Value::Octets(octets) => write_text(out, &String::from_utf8_lossy(octets)),
            Value::Text(text) => write_text(out, &text),
            Value::Hex(list) => {
                for (index, octets) in list.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { " " });
                    write_hex(out, octets);
                }
            }
        }
    }
    out.push('\n');
}

fn write_text(out: &mut String, text: &str) {
    if !text.contains(['"', ',', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// Reads one line, which may contain line ends inside quotes: its fields, and the text behind it. `None` when a quote
/// is not closed, or something follows a closing quote.
pub fn read_line(text: &str) -> Option<(Vec<String>, &str)> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = read_field(rest)?;
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => {
                let behind = behind.strip_prefix('\r').unwrap_or(behind);
                return Some((fields, behind.strip_prefix('\n').unwrap_or(behind)));
            }
        }
    }
}

fn read_field(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n', '\r']).unwrap_or(text.len());
        let (field, behind) = text.split_at(end);
        return Some((field.to_owned(), behind));
    };
    let mut field = String::new();
    loop {
        let (part, behind) = rest.split_once('"')?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                field.push('"');
                rest = behind;
            }
            None if behind.is_empty() || behind.starts_with([',', '\n', '\r']) => return Some((field, behind)),
            None => return None,
        }
    }
}
