//! The RADIUS detail text: packets as a FreeRADIUS 3 detail reader takes them and sends them again.
//!
//! ```text
//! Tue Nov 21 03:32:00 2023
//! ⇥User-Name = "alice@isp"
//! ⇥Acct-Status-Type = Stop
//! ⇥Framed-IP-Address = 100.64.0.1
//! ⇥Class = 0x0a0b
//! ⇥Event-Timestamp = 1700537520
//! ⇥Timestamp = 1700537520
//!
//! ```
//!
//! The head line is the time of writing in UTC; a reader only looks whether it has the form of a time. `Timestamp`
//! is that same time, and a reader adds what has passed since to Acct-Delay-Time. Event-Timestamp is written as a number
//! and not as a date, because a reader takes a date in its own time zone.
//!
//! Text is quoted as FreeRADIUS quotes it, enumerated values are written by name. What differs from its own
//! writer: Event-Timestamp, as said; Message-Authenticator is left out, for it belongs to one datagram; an
//! attribute without a name in [`crate::radius::name`], or whose octets are no value of its form, is written as
//! `Attr-N = 0x…` or `Attr-26.V.N = 0x…`, which every reader takes.

use std::fmt::{self, Write};

use model::time::Wall;

use crate::radius::attribute::{Attribute, Attributes, Type, VendorAttributes, as_ipv6, as_prefix, as_u32, as_u64};
use crate::radius::name::{self, Form, Name};

mod date;

/// Writes one entry: the attributes of `run` in order, up to the first that is malformed. `at` is when the values
/// in it were true, in particular its Acct-Delay-Time.
pub fn write_entry(out: &mut impl Write, at: Wall, run: &[u8]) -> fmt::Result {
    let epoch_s = at.as_millis() / 1000;
    writeln!(out, "{}", date::Utc::from_epoch_s(epoch_s))?;
    for attribute in Attributes::of_run(run) {
        match attribute.kind {
            Type::MESSAGE_AUTHENTICATOR => {}
            Type::VENDOR_SPECIFIC => write_vendor_specific(out, attribute)?,
            kind => match name::of(kind).filter(|name| fits(name.form, attribute.value)) {
                Some(name) => write_named(out, name, attribute.value)?,
                None => write_unnamed(out, format_args!("Attr-{}", kind.0), attribute.value)?,
            },
        }
    }
    writeln!(out, "\tTimestamp = {epoch_s}\n")
}

/// A line for each attribute inside; one for the whole when it does not have the recommended form.
fn write_vendor_specific(out: &mut impl Write, attribute: Attribute<'_>) -> fmt::Result {
    let inside = VendorAttributes::of_value(attribute.value).filter(|inside| {
        let mut read = *inside;
        read.by_ref().count() > 0 && read.rest().is_empty()
    });
    let Some(inside) = inside else {
        return write_unnamed(out, format_args!("Attr-26"), attribute.value);
    };
    for attribute in inside {
        let (kind, value) = (attribute.kind, attribute.value);
        match name::of_vendor(kind).filter(|name| fits(name.form, value)) {
            Some(name) => write_named(out, name, value)?,
            None => write_unnamed(out, format_args!("Attr-26.{}.{}", kind.vendor, kind.number), value)?,
        }
    }
    Ok(())
}

fn fits(form: Form, value: &[u8]) -> bool {
    match form {
        Form::Text | Form::Octets => true,
        Form::Integer | Form::Time | Form::Ipv4 => value.len() == 4,
        Form::Ipv6 => value.len() == 16,
        Form::Prefix => as_prefix(value).is_some(),
        Form::InterfaceId => value.len() == 8,
    }
}

/// `value` fits the form.
fn write_named(out: &mut impl Write, name: &Name, value: &[u8]) -> fmt::Result {
    write!(out, "\t{} = ", name.text)?;
    match name.form {
        Form::Text => write_text(out, value)?,
        Form::Octets => write_octets(out, value)?,
        Form::Integer => {
            let number = as_u32(value).unwrap_or_default();
            match name.of_value(number) {
                Some(word) => out.write_str(word)?,
                None => write!(out, "{number}")?,
            }
        }
        Form::Time => write!(out, "{}", as_u32(value).unwrap_or_default())?,
        Form::Ipv4 => write!(out, "{}", std::net::Ipv4Addr::from_bits(as_u32(value).unwrap_or_default()))?,
        Form::Ipv6 => write!(out, "{}", as_ipv6(value).unwrap_or(std::net::Ipv6Addr::UNSPECIFIED))?,
        Form::Prefix => {
            if let Some(prefix) = as_prefix(value) {
                write!(out, "{}/{}", prefix.address, prefix.length)?;
            }
        }
        Form::InterfaceId => {
            let id = as_u64(value).unwrap_or_default();
            write!(out, "{:x}:{:x}:{:x}:{:x}", id >> 48, id >> 32 & 0xffff, id >> 16 & 0xffff, id & 0xffff)?;
        }
    }
    out.write_char('\n')
}

fn write_unnamed(out: &mut impl Write, name: fmt::Arguments<'_>, value: &[u8]) -> fmt::Result {
    write!(out, "\t{name} = ")?;
    write_octets(out, value)?;
    out.write_char('\n')
}

fn write_octets(out: &mut impl Write, value: &[u8]) -> fmt::Result {
    out.write_str("0x")?;
    value.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

/// Quoted. UTF-8 is written as it is; control characters and octets that are no UTF-8 as `\ooo`.
fn write_text(out: &mut impl Write, value: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => write!(out, "\\{character}")?,
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                '\0'..' ' | '\x7f' => write!(out, "\\{:03o}", u32::from(character))?,
                _ => out.write_char(character)?,
            }
        }
        chunk.invalid().iter().try_for_each(|octet| write!(out, "\\{octet:03o}"))?;
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of an entry between head and Timestamp, tabs taken off.
    fn lines(run: &[u8]) -> Vec<String> {
        let mut text = String::new();
        write_entry(&mut text, Wall::from_millis(1_700_537_520_999), run).unwrap();
        let body = text.strip_prefix("Tue Nov 21 03:32:00 2023\n").unwrap();
        let body = body.strip_suffix("\tTimestamp = 1700537520\n\n").unwrap();
        body.lines().map(|line| line.strip_prefix('\t').unwrap().to_owned()).collect()
    }

    /// Each of these attributes alone gives this line.
    #[test]
    fn attributes_as_lines() {
        let table: &[(&[u8], &str)] = &[
            (b"\x01\x0balice@isp", "User-Name = \"alice@isp\""),
            (b"\x01\x0ba\"b\\c\n\r\t%", r#"User-Name = "a\"b\\c\n\r\t%""#),
            (b"\x01\x07\x00\x1b\x7f\xff!", r#"User-Name = "\000\033\177\377!""#),
            (b"\x01\x08j\xc3\xbcrg\xc2", "User-Name = \"jürg\\302\""),
            (b"\x28\x06\0\0\0\x03", "Acct-Status-Type = Interim-Update"),
            (b"\x28\x06\0\0\0\x63", "Acct-Status-Type = 99"),
            (b"\x28\x05\0\0\x03", "Attr-40 = 0x000003"),
            (b"\x2e\x06\xff\xff\xff\xff", "Acct-Session-Time = 4294967295"),
            (b"\x3d\x06\0\0\0\x0f", "NAS-Port-Type = Ethernet"),
            (b"\x37\x06\x65\x5c\x24\xb0", "Event-Timestamp = 1700537520"),
            (b"\x08\x06\x64\x40\0\x01", "Framed-IP-Address = 100.64.0.1"),
            (b"\x19\x04\x0a\x0b", "Class = 0x0a0b"),
            (b"\x19\x02", "Class = 0x"),
            (b"\x61\x0c\0\x40\x20\x01\x0d\xb8\0\x01\0\0", "Framed-IPv6-Prefix = 2001:db8:1::/64"),
            (b"\x61\x04\0\x40", "Attr-97 = 0x0040"),
            (b"\x60\x0a\x02\0\0\xff\xfe\0\0\x01", "Framed-Interface-Id = 200:ff:fe00:1"),
            (b"\xc8\x03\x01", "Attr-200 = 0x01"),
            (b"\x1a\x0b\0\0\x07\xdb\x8a\x05isp", "Huawei-Domain-Name = \"isp\""),
            (b"\x1a\x0c\0\0\x07\xdb\xa6\x06\0\0\0\x05", "Attr-26.2011.166 = 0x00000005"),
            (b"\x1a\x09\0\0\0\x09\x01\x03z", "Attr-26.9.1 = 0x7a"),
            (b"\x1a\x09\0\0\0\x09\x01\x04z", "Attr-26 = 0x0000000901047a"),
            (b"\x1a\x04\0\0", "Attr-26 = 0x0000"),
        ];
        for (run, expected) in table {
            assert_eq!(lines(run), [*expected]);
        }
    }

    #[test]
    fn message_authenticator_stays_behind_and_a_torn_end_too() {
        let run = [&[80, 18][..], &[7; 16], &[25, 3, 1], &[25, 9, 1]].concat();
        assert_eq!(lines(&run), ["Class = 0x01"]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    proptest! {
        /// Whatever a NAS sends, an entry keeps its shape: nothing in a value can end a line or begin another.
        #[test]
        fn any_run_is_one_entry(run in prop::collection::vec(any::<u8>(), 0..600)) {
            for line in lines(&run) {
                let (name, value) = line.split_once(" = ").unwrap();
                prop_assert!(name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet)));
                prop_assert!(!value.contains(|character: char| character.is_ascii_control()));
                // A FreeRADIUS reader's line has room for 1,024 octets of value.
                prop_assert!(!value.is_empty() && value.len() < 1024);
            }
        }
    }
}
