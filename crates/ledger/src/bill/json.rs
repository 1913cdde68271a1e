//! One object per line (RFC 8259). What is absent is left out.

use std::fmt::Write as _;

use super::{Bill, Value};

pub(super) fn write(bill: &Bill<'_>, out: &mut String) {
    out.push('{');
    let mut separator = "";
    for (name, value) in bill.fields() {
        if value == Value::Absent {
            continue;
        }
        out.push_str(separator);
        write_key(out, name);
        write_value(out, &value);
        separator = ",";
    }
    out.push_str("}\n");
}

pub(super) fn write_key(out: &mut String, name: &str) {
    write_text(out, name);
    out.push(':');
}

fn write_value(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Absent => out.push_str("null"),
        Value::Number(number) => print(out, format_args!("{number}")),
        Value::Time(time) => print(out, format_args!("{time}")),
        Value::Octets(octets) => write_text(out, &String::from_utf8_lossy(octets)),
        Value::Text(text) => write_text(out, text),
        Value::Hex(list) => {
            out.push('[');
            for (index, octets) in list.iter().enumerate() {
                out.push_str(if index == 0 { "\"" } else { ",\"" });
                write_hex(out, octets);
                out.push('"');
            }
            out.push(']');
        }
    }
}

/// A string with its quotes. Control characters are escaped (RFC 8259 section 7), everything else stands as it is.
pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control < ' ' || control == '\x7f' => print(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

pub(super) fn write_hex(out: &mut String, octets: &[u8]) {
    for octet in octets {
        print(out, format_args!("{octet:02x}"));
    }
}

/// Writing to a string does not fail.
pub(super) fn print(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}
