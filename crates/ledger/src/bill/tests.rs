use super::*;
use model::counters::{CounterSlot, Counters, Totals};
use model::domain::{Allowance, DualStack, Terms, TrafficUnit};
use model::ids::SessionSerial;
use model::record::{BillReason, Closed, Delivered, Opened, TakenOver, ZeroStop};
use model::report::LocalBill;
use model::settings::{OptionalAttribute, OptionalAttributes, PinnedScheme};
use model::time::{Mono, Now, Wall};
use wire::radius::encode::Encoder;

fn attributes() -> Vec<u8> {
    let mut room = [0; 1000];
    let mut run = Encoder::run(&mut room);
    run.bytes(Type::USER_NAME, b"alice@isp")
        .bytes(Type::ACCT_SESSION_ID, b"BNG1000000000000000000000001AAAAAA")
        .ipv4(Type::FRAMED_IP_ADDRESS, [100, 64, 0, 1].into())
        .u32(Type::NAS_PORT, 16_781_313)
        .bytes(Type::NAS_PORT_ID, b"slot=0;subslot=1;port=0;vlanid=1")
        .bytes(Type::CLASS, &[0x0a, 0x0b])
        .bytes(Type::CLASS, b"\xff")
        .prefix(Type::FRAMED_IPV6_PREFIX, Prefix { address: "2001:db8:1::".parse().unwrap(), length: 64 })
        .prefix(Type::DELEGATED_IPV6_PREFIX, Prefix { address: "2001:db8:8000::".parse().unwrap(), length: 56 })
        .bytes(Type::CALLING_STATION_ID, b"02-00-00-00-00-01")
        .vendor_bytes(huawei::USER_MAC, b"0200-0000-0001");
    run.finish().unwrap().to_vec()
}

fn moment(millis: u64) -> Now {
    Now { mono: Mono::ZERO, wall: Wall::from_millis(millis) }
}

/// The bill of INTERFACES.md section 6.
fn record(attributes: &[u8]) -> record::Bill<'_> {
    let serial = SessionSerial { epoch: 7, sequence: 1 };
    let v4 = Totals { in_octets: 1000, in_packets: 10, out_octets: 50_000, out_packets: 40 };
    record::Bill {
        id: BillId { epoch: 7, sequence: 42 },
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        zero_stop: ZeroStop::Unknown,
        server: Some(([127, 0, 0, 1], 1813).into()),
        nas_address: Some([127, 0, 0, 1].into()),
        opened: Opened {
            serial,
            taken_over: TakenOver::default(),
            plane: "vpp0",
            session: b"s1",
            domain: "isp",
            group: "g1",
            scheme: PinnedScheme::default(),
            interim_s: 0,
            terms: Terms::default(),
            allowance: Allowance::default(),
            session_timeout_s: 86_400,
            at: moment(1_795_000_000_250),
            counters: CounterSlot::default(),
            baseline: Counters::ZERO,
            attributes,
        },
        closed: Closed {
            serial,
            taken_over: TakenOver::default(),
            at: moment(1_795_000_009_250),
            cause: 1,
            session_time_s: 9,
            counters: Counters { v4, v6: Totals::default() },
        },
    }
}

fn json(bill: &Bill<'_>) -> String {
    let mut out = String::new();
    bill.write_json(&mut out);
    out
}

#[test]
fn json_is_as_the_interface_says() {
    let attributes = attributes();
    let text = json(&Bill::new("BNG1", record(&attributes)));
    let expected = concat!(
        r#"{"id":"BNG1-7-42","reason":"stop-unanswered","session":"BNG1000000000000000000000001AAAAAA","#,
        r#""plane_session":"s1","user":"alice@isp","domain":"isp","start":1795000000.250,"stop":1795000009.250,"#,
        r#""session_time":9,"cause":1,"in_octets":1000,"in_packets":10,"out_octets":50000,"out_packets":40,"#,
        r#""framed_ip":"100.64.0.1","mac":"02:00:00:00:00:01","nas_port":16781313,"#,
        r#""nas_port_id":"slot=0;subslot=1;port=0;vlanid=1","class":["0a0b","ff"],"#,
        r#""v6_in_octets":0,"v6_in_packets":0,"v6_out_octets":0,"v6_out_packets":0,"method":"radius","#,
        r#""delivered":"no","server":"127.0.0.1:1813","nas":"BNG1","plane":"vpp0","group":"g1","#,
        r#""framed_ipv6_prefix":"2001:db8:1::/64","delegated_prefix":"2001:db8:8000::/56","#,
        r#""calling":"02-00-00-00-00-01","event_timestamp":1795000009,"session_timeout":86400,"nas_address":"127.0.0.1"}"#,
        "\n"
    );
    assert_eq!(text, expected);
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[test]
fn hostile_text_stays_inside_its_field() {
    let mut room = [0; 300];
    let user = b"a\"b\\c,d\n\xff\x00\x7f\r\n%";
    let mut run = Encoder::run(&mut room);
    run.bytes(Type::USER_NAME, user);
    let attributes = run.finish().unwrap().to_vec();
    let bill = Bill::new("B,1", record(&attributes));
    let seen = String::from_utf8_lossy(user);

    let text = json(&bill);
    assert_eq!(text.lines().count(), 1);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["user"], *seen);

    let mut text = String::new();
    bill.write_csv(&mut text);
    let (fields, rest) = read_csv_line(&text).unwrap();
    assert_eq!((fields.len(), rest), (NAMES.len(), ""));
    assert_eq!((fields[0].as_str(), fields[4].as_str()), ("B,1-7-42", &*seen));
}

#[test]
fn csv_has_the_names_of_json_in_its_header() {
    let attributes = attributes();
    let bill = Bill::new("BNG1", record(&attributes));
    let mut text = String::new();
    write_csv_header(&mut text);
    bill.write_csv(&mut text);
    let (header, rest) = read_csv_line(&text).unwrap();
    let (fields, rest) = read_csv_line(rest).unwrap();
    assert_eq!(rest, "");
    let object: serde_json::Value = serde_json::from_str(&json(&bill)).unwrap();
    for (name, field) in header.iter().zip(&fields) {
        match (&object[name], name.as_str()) {
            (serde_json::Value::Null, _) => assert_eq!(field, ""),
            (serde_json::Value::Array(_), _) => assert_eq!(field, "0a0b ff"),
            (_, "start") => assert_eq!(field, "1795000000.250"),
            (_, "stop") => assert_eq!(field, "1795000009.250"),
            (serde_json::Value::String(text), _) => assert_eq!(field, text),
            (other, _) => assert_eq!(field, &other.to_string()),
        }
    }
}

#[test]
fn a_row_says_what_the_attributes_say() {
    let address = "2001:db8:1::7".parse().unwrap();
    let mut room = [0; 100];
    let mut run = Encoder::run(&mut room);
    run.u32(Type::FRAMED_PROTOCOL, framed_protocol::PPP).ipv6(Type::FRAMED_IPV6_ADDRESS, address);
    let more = run.finish().unwrap();
    let one = attributes();
    let expected = LocalBill {
        number: 3,
        session_id: "BNG1000000000000000000000001AAAAAA".to_owned(),
        user: "alice@isp".to_owned(),
        start: Wall::from_millis(1_795_000_000_250),
        stop: Wall::from_millis(1_795_000_009_250),
        session_time_s: 9,
        framed_ip: Some([100, 64, 0, 1].into()),
        mac: Some([2, 0, 0, 0, 0, 1]),
        ipv6: "2001:db8:1::".parse().ok(),
        auth_type: String::new(),
        access_type: "IPoE".to_owned(),
        interface: "slot=0;subslot=1;port=0;vlanid=1".to_owned(),
        vlans: (None, Some(1)),
        cause: 1,
        counters: record(&one).closed.counters,
    };
    assert_eq!(Bill::new("BNG1", record(&one)).row(3), expected);
    let of_ppp = [&one[..], more].concat();
    let expected =
        LocalBill { ipv6: Some(address), auth_type: "PPP".to_owned(), access_type: "PPPoE".to_owned(), ..expected };
    assert_eq!(Bill::new("BNG1", record(&of_ppp)).row(3), expected);
}

#[test]
fn detail_is_one_complete_stop() {
    let attributes = attributes();
    let mut record = record(&attributes);
    record.closed.counters.v4.out_octets = 12_020_245_692;
    let mut text = String::new();
    Bill::new("BNG1", record).write_detail(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for line in [
        "User-Name = \"alice@isp\"",
        "Acct-Session-Id = \"BNG1000000000000000000000001AAAAAA\"",
        "NAS-Identifier = \"BNG1\"",
        "NAS-IP-Address = 127.0.0.1",
        "Acct-Status-Type = Stop",
        "Acct-Delay-Time = 0",
        "Event-Timestamp = 1795000009",
        "Timestamp = 1795000009",
        "Acct-Session-Time = 9",
        "Acct-Input-Octets = 1000",
        "Acct-Input-Gigawords = 0",
        // BEHAVIOUR.md section 12, vector 14.
        "Acct-Output-Octets = 3430311100",
        "Acct-Output-Gigawords = 2",
        "Acct-Input-Packets = 10",
        "Acct-Output-Packets = 40",
        "Acct-Terminate-Cause = User-Request",
        "Class = 0x0a0b",
        "Class = 0xff",
        "Framed-IP-Address = 100.64.0.1",
    ] {
        assert_eq!(lines.iter().filter(|found| **found == line).count(), 1, "{line} in {text}");
    }
    assert!(text.ends_with("\n\n"), "an empty line ends the entry");
}

/// A bill that is replayed says what its Stop said.
#[test]
fn detail_has_the_unit_and_the_families_of_the_session() {
    let attributes = attributes();
    let mut record = record(&attributes);
    record.closed.counters.v4.out_octets = 3 << 20;
    record.closed.counters.v6 = Totals { in_octets: 2_000, out_octets: 1 << 20, out_packets: 2, in_packets: 1 };
    let (dual_stack, traffic_unit) = (DualStack::Identical, TrafficUnit::Kbyte);
    record.opened.terms = Terms { dual_stack, traffic_unit, ..Terms::default() };
    let mut text = String::new();
    Bill::new("BNG1", record).write_detail(&mut text).unwrap();
    // 1,000 + 2,000 octets are 2 whole units.
    for line in
        ["Acct-Input-Octets = 2", "Acct-Output-Octets = 4096", "Acct-Input-Packets = 11", "Acct-Output-Packets = 42"]
    {
        assert!(text.lines().any(|found| found.trim() == line), "{line} in {text}");
    }
    assert!(!text.contains("Acct-IPv6"), "{text}");
}

/// A bill that is replayed leaves out what its Stop left out; what is no packet has it.
#[test]
fn detail_leaves_out_what_the_packets_of_the_session_did() {
    let attributes = attributes();
    let mut record = record(&attributes);
    let port = OptionalAttribute::NasPortId;
    for (left_out, expected) in [(OptionalAttributes::NONE, 1), (OptionalAttributes::NONE.with(port), 0)] {
        record.opened.terms.left_out = left_out;
        let bill = Bill::new("BNG1", record);
        let mut text = String::new();
        bill.write_detail(&mut text).unwrap();
        assert_eq!(text.matches("NAS-Port-Id").count(), expected, "{text}");
        assert_eq!(text.matches("User-Name").count(), 1, "{text}");
        assert_eq!(bill.row(3).interface, "slot=0;subslot=1;port=0;vlanid=1");
        assert!(json(&bill).contains("slot=0;subslot=1"));
    }
}

/// What is no packet says who it is.
#[test]
fn detail_has_the_user_s_name_as_packets_had_it() {
    let attributes = attributes();
    let mut record = record(&attributes);
    let whole = Bill::new("BNG1", record).row(3).user;
    record.opened.terms.without_domain = true;
    let bill = Bill::new("BNG1", record);
    let mut text = String::new();
    bill.write_detail(&mut text).unwrap();
    let (user, _) = whole.rsplit_once('@').unwrap();
    assert!(text.lines().any(|line| line.trim() == format!("User-Name = \"{user}\"")), "{text}");
    assert_eq!(bill.row(3).user, whole);
}

#[test]
fn a_relayed_session_keeps_its_own_nas() {
    let mut room = [0; 300];
    let mut run = Encoder::run(&mut room);
    run.bytes(Type::NAS_IDENTIFIER, b"bras7");
    let attributes = run.finish().unwrap().to_vec();
    let bill = Bill::new("BNG1", record(&attributes));
    let mut text = String::new();
    bill.write_detail(&mut text).unwrap();
    assert!(text.contains("NAS-Identifier = \"bras7\"") && !text.contains("BNG1"));
    assert!(json(&bill).contains(r#""nas_identifier":"bras7""#));
}

#[test]
fn what_does_not_fit_into_a_packet_is_no_detail_entry() {
    let attributes: Vec<u8> = [25, 255].into_iter().chain([1; 253]).cycle().take(15 * 255).collect();
    let bill = Bill::new(&"n".repeat(64), record(&attributes)).write_detail(&mut String::new());
    assert_eq!(bill, Ok(()));
    let attributes: Vec<u8> = [25, 255].into_iter().chain([1; 253]).cycle().take(16 * 255 - 100).collect();
    let nas = "n".repeat(64);
    let mut text = String::new();
    assert_eq!(Bill::new(&nas, record(&attributes)).write_detail(&mut text), Err(NoPacket::TooLong));
    assert_eq!(text, "");
}

/// Owner's decision 9.
#[test]
fn a_bill_of_hwtacacs_says_so_and_is_never_detail() {
    let mut record = record(b"");
    record.opened.scheme.mode = model::settings::AccountingMode::Hwtacacs;
    let bill = Bill::new("BNG1", record);
    let mut text = String::new();
    assert_eq!((bill.write_detail(&mut text), &text[..]), (Err(NoPacket::Hwtacacs), ""));
    assert!(json(&bill).contains(r#""method":"hwtacacs""#));
}

#[test]
fn only_a_start_failed_bill_speaks_of_the_zero_stop() {
    let mut record = record(b"");
    assert!(!json(&Bill::new("BNG1", record)).contains("zero_stop"));
    record.reason = BillReason::StartFailed;
    assert!(json(&Bill::new("BNG1", record)).contains(r#""zero_stop":"unknown""#));
    record.zero_stop = ZeroStop::Acknowledged;
    assert!(json(&Bill::new("BNG1", record)).contains(r#""zero_stop":"acknowledged""#));
}

#[test]
fn names_and_addresses_are_read_as_they_are_written() {
    let name = BillName { nas: "BNG-1", id: BillId { epoch: 7, sequence: 42 } };
    assert_eq!(BillName::parse(&name.to_string()), Some(name));
    for text in ["", "BNG1", "BNG1-7", "BNG1-x-42", "BNG1-7-"] {
        assert_eq!(BillName::parse(text), None, "{text}");
    }
    for text in ["0200-0000-00a1", "02:00:00:00:00:A1", "0200000000a1"] {
        assert_eq!(mac(text.as_bytes()), Some([2, 0, 0, 0, 0, 0xa1]), "{text}");
    }
    for text in ["", "0200-0000-00a", "0200-0000-00a1f", "0200-0000-00g1"] {
        assert_eq!(mac(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_manifest_is_read_as_it_is_written() {
    let attributes = attributes();
    for format in [Format::Detail, Format::Csv, Format::Json] {
        let mut file = BillFile::new(format, "BNG\"1");
        file.push(&Bill::new("BNG\"1", record(&attributes))).unwrap();
        let (_, manifest) = file.finish("bills-20261118104640001.lam", Wall::from_millis(1_795_000_100_500));
        let text = manifest.to_json();
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest.clone()));
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((object["count"].as_u64(), object["in_octets"].as_u64()), (Some(1), Some(1000)));
        assert_eq!(object["created"].to_string(), "1795000100.5");
        for name in ["file", "format", "count", "first_id", "last_id", "out_octets", "sha256", "nas", "created"] {
            let mut object = object.clone();
            object.as_object_mut().unwrap().remove(name);
            assert_eq!(Manifest::parse(object.to_string().as_bytes()), Err(BadManifest), "{name} is required");
        }
    }
    assert_eq!(Manifest::parse(b"{}"), Err(BadManifest));
    assert_eq!(Manifest::parse(b"\xff"), Err(BadManifest));
}

#[test]
fn a_manifest_whose_digest_is_not_all_digits_is_none() {
    let (_, manifest) = BillFile::new(Format::Json, "BNG1").finish("bills.lam", Wall::from_millis(0));
    let good = manifest.to_json();
    let digit = manifest.sha256[0];
    for (digits, is_good) in [(format!("{digit:02x}"), true), (format!("{digit:02X}"), true), ("+1".to_owned(), false)]
    {
        let text = good.replacen(&format!("\"{digit:02x}"), &format!("\"{digits}"), 1);
        assert_eq!(Manifest::parse(text.as_bytes()).is_ok(), is_good, "{text}");
    }
}

#[test]
fn the_time_of_a_manifest_is_read_to_the_millisecond_or_refused() {
    let (_, manifest) = BillFile::new(Format::Json, "BNG1").finish("bills.lam", Wall::from_millis(0));
    for first in [0, 999, 1_795_000_100_500, 3_999_999_999_990_000, 4_398_046_511_104_000, 8_990_000_000_000_000] {
        for millis in first..first + 999 {
            let manifest = Manifest { created: Wall::from_millis(millis), ..manifest.clone() };
            let expected = if millis < 4_000_000_000_000_000 { Ok(manifest.clone()) } else { Err(BadManifest) };
            assert_eq!(Manifest::parse(manifest.to_json().as_bytes()), expected);
        }
    }
}
