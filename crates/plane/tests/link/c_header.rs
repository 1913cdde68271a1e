//! The C header: it compiles without a warning as C and as C++, its numbers and structures are ours, and a plane made of
//! it is understood.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, Authentic, ClassList, Down, PlaneEvent, Prefix, Reset, Subscriber, Up, Update};
use model::ids::{PLANE_NAME_MAX, PLANE_SESSION_MAX, PlaneIndex};
use model::time::Wall;
use model::verdict::{Reason, Sentence, Verdict};
use plane::record::{Kind, Tag};
use plane::{hello, layout, record};

use crate::engine::{accept, listen, welcome};

pub(crate) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Runs a compiler with all warnings as errors; the error is what it said.
pub(crate) fn compile(compiler: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(include())
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Compiles `static_assert(left == right)` for every row.
fn check(rows: &[(&str, u64)]) {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("numbers.c");
    let rows: String = rows.iter().map(|(c, rust)| format!("_Static_assert({c} == {rust}ull, \"{c}\");\n")).collect();
    std::fs::write(&source, format!("#include \"tollgate_plane.h\"\n{rows}int main(void) {{ return 0; }}\n")).unwrap();
    compile("cc", &["-std=c11", "-fsyntax-only", source.to_str().unwrap()]).unwrap();
}

#[test]
fn numbers_are_the_same() {
    check(&[
        ("TOLLGATE_VERSION", u64::from(plane::VERSION)),
        ("TOLLGATE_MAGIC", layout::MAGIC),
        ("TOLLGATE_HASH_FNV1A", layout::HASH_FNV1A),
        ("TOLLGATE_PAGE_BYTES", layout::PAGE_BYTES as u64),
        ("TOLLGATE_RECORD_BYTES", layout::RECORD_BYTES as u64),
        ("TOLLGATE_VERDICT_BYTES", layout::VERDICT_BYTES as u64),
        ("TOLLGATE_RING_CONTROL_BYTES", layout::RING_CONTROL_BYTES as u64),
        ("TOLLGATE_PRODUCED", layout::PRODUCED as u64),
        ("TOLLGATE_CONSUMED", layout::CONSUMED as u64),
        ("TOLLGATE_ENGINE_WAITING", layout::ENGINE_WAITING as u64),
        ("TOLLGATE_ENGINE_WANTS_ROOM", layout::ENGINE_WANTS_ROOM as u64),
        ("TOLLGATE_PLANE_WAITING", layout::PLANE_WAITING as u64),
        ("TOLLGATE_RINGS_MAX", u64::from(layout::RINGS_MAX)),
        ("TOLLGATE_RECORDS_MIN", u64::from(layout::RECORDS_MIN)),
        ("TOLLGATE_RECORDS_MAX", u64::from(layout::RECORDS_MAX)),
        ("TOLLGATE_SLOTS_MAX", u64::from(layout::SLOTS_MAX)),
        ("TOLLGATE_EVENT_RECORDS_MAX", record::EVENT_RECORDS_MAX as u64),
        ("TOLLGATE_FIRST_BODY_BYTES", record::FIRST_BODY_BYTES as u64),
        ("TOLLGATE_NEXT_BODY_BYTES", record::NEXT_BODY_BYTES as u64),
        ("TOLLGATE_BODY_BYTES_MAX", record::BODY_BYTES_MAX as u64),
        ("TOLLGATE_SESSION_MAX", PLANE_SESSION_MAX as u64),
        ("TOLLGATE_NAME_MAX", PLANE_NAME_MAX as u64),
        ("TOLLGATE_CLASS_MAX", ClassList::MAX as u64),
        ("TOLLGATE_HELLO_BYTES", hello::HELLO_BYTES as u64),
        ("TOLLGATE_WELCOME_BYTES", hello::WELCOME_BYTES as u64),
    ]);
}

#[test]
fn structures_stand_as_drawn() {
    check(&[
        ("offsetof(struct tollgate_header, version)", 8),
        ("offsetof(struct tollgate_header, epoch)", 16),
        ("offsetof(struct tollgate_header, bytes)", 24),
        ("offsetof(struct tollgate_header, rings)", 32),
        ("offsetof(struct tollgate_header, records)", 40),
        ("offsetof(struct tollgate_header, slots)", 48),
        ("offsetof(struct tollgate_header, slot_bytes)", 56),
        ("offsetof(struct tollgate_header, verdicts)", 64),
        ("offsetof(struct tollgate_header, hash)", 72),
        ("offsetof(struct tollgate_header, rings_offset)", 80),
        ("offsetof(struct tollgate_header, ring_bytes)", 88),
        ("offsetof(struct tollgate_header, verdicts_offset)", 96),
        ("offsetof(struct tollgate_header, counters_offset)", 104),
        ("sizeof(struct tollgate_header)", 112),
        ("sizeof(struct tollgate_head)", 8),
        ("offsetof(struct tollgate_head, body_bytes)", 4),
        ("offsetof(struct tollgate_head, lap)", 6),
        ("sizeof(struct tollgate_verdict_record)", layout::VERDICT_BYTES as u64),
        ("offsetof(struct tollgate_verdict_record, sentence)", 8),
        ("offsetof(struct tollgate_verdict_record, reason)", 9),
        ("offsetof(struct tollgate_verdict_record, session_len)", 10),
        ("offsetof(struct tollgate_verdict_record, slot)", 16),
        ("offsetof(struct tollgate_verdict_record, generation)", 20),
        ("offsetof(struct tollgate_verdict_record, session)", 24),
        ("offsetof(struct tollgate_counter_record, last_generation)", 4),
        ("offsetof(struct tollgate_counter_record, v4)", 8),
        ("offsetof(struct tollgate_counter_record, v6)", 40),
        ("sizeof(struct tollgate_hello)", hello::HELLO_BYTES as u64),
        ("offsetof(struct tollgate_hello, version)", 8),
        ("offsetof(struct tollgate_hello, name_len)", 12),
        ("offsetof(struct tollgate_hello, epoch)", 16),
        ("offsetof(struct tollgate_hello, memory_bytes)", 24),
        ("offsetof(struct tollgate_hello, name)", 32),
        ("sizeof(struct tollgate_welcome)", hello::WELCOME_BYTES as u64),
        ("offsetof(struct tollgate_welcome, plane_version)", 12),
        ("offsetof(struct tollgate_welcome, answer)", 16),
        ("sizeof(struct tollgate_ring)", 128),
    ]);
}

#[test]
fn words_have_the_same_numbers() {
    let tags = [
        ("SESSION", Tag::Session),
        ("AT", Tag::At),
        ("COUNTER_SLOT", Tag::CounterSlot),
        ("CAUSE", Tag::Cause),
        ("TOTALS_V4", Tag::TotalsV4),
        ("TOTALS_V6", Tag::TotalsV6),
        ("USER", Tag::User),
        ("DOMAIN", Tag::Domain),
        ("FRAMED_IP", Tag::FramedIp),
        ("FRAMED_IPV6_PREFIX", Tag::FramedIpv6Prefix),
        ("DELEGATED_PREFIX", Tag::DelegatedPrefix),
        ("FRAMED_IPV6_ADDRESS", Tag::FramedIpv6Address),
        ("INTERFACE_ID", Tag::InterfaceId),
        ("MAC", Tag::Mac),
        ("CALLING", Tag::Calling),
        ("NAS_PORT", Tag::NasPort),
        ("NAS_PORT_ID", Tag::NasPortId),
        ("ACCESS", Tag::Access),
        ("AUTHENTIC", Tag::Authentic),
        ("CLASS", Tag::Class),
        ("INTERIM_INTERVAL", Tag::InterimInterval),
        ("SESSION_TIMEOUT", Tag::SessionTimeout),
        ("TIME_QUOTA", Tag::TimeQuota),
        ("VOLUME_QUOTA", Tag::VolumeQuota),
        ("MULTI_SESSION_ID", Tag::MultiSessionId),
        ("AUTH_SERVER", Tag::AuthServer),
    ];
    let kinds = [
        ("UP", Kind::Up),
        ("UPDATE", Kind::Update),
        ("DOWN", Kind::Down),
        ("RESET", Kind::Reset),
        ("RESYNC_BEGIN", Kind::ResyncBegin),
        ("RESYNC_END", Kind::ResyncEnd),
    ];
    let mut rows: Vec<(String, u64)> = Vec::new();
    rows.extend(tags.map(|(name, tag)| (format!("TOLLGATE_TAG_{name}"), tag as u64)));
    rows.extend(kinds.map(|(name, kind)| (format!("TOLLGATE_KIND_{name}"), kind as u64)));
    // The words that are printed are the names in capitals.
    let name = |word: &str| format!("TOLLGATE_{}", word.to_uppercase().replace('-', "_"));
    rows.extend((1..).map_while(Sentence::from_u8).map(|sentence| (name(sentence.as_str()), sentence as u64)));
    rows.extend((1..=u8::MAX).filter_map(Reason::from_u8).map(|reason| (name(reason.as_str()), reason as u64)));
    rows.extend([("PPPOE", Access::Pppoe), ("IPOE", Access::Ipoe)].map(|(word, access)| (name(word), access as u64)));
    rows.extend([("L2TP", Access::L2tp), ("STATIC", Access::Static)].map(|(word, access)| (name(word), access as u64)));
    rows.extend(
        [("RADIUS", Authentic::Radius), ("LOCAL", Authentic::Local)].map(|(word, who)| (name(word), who as u64)),
    );
    rows.push((name("REMOTE"), Authentic::Remote as u64));
    let rows: Vec<(&str, u64)> = rows.iter().map(|(name, number)| (name.as_str(), *number)).collect();
    check(&rows);
}

#[test]
fn it_is_also_cpp() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("plane.cc");
    let plane = std::fs::read_to_string(program()).unwrap();
    std::fs::write(&source, plane).unwrap();
    compile("c++", &["-std=c++17", "-fsyntax-only", source.to_str().unwrap()]).unwrap();
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/link/plane.c")
}

/// What `plane.c` says of s1.
fn alice<'a>(class: &'a [&'a [u8]]) -> Subscriber<'a> {
    let mut list = ClassList::default();
    assert!(class.iter().all(|class| list.push(class)));
    Subscriber {
        user: Some(b"alice@isp"),
        domain: Some(b"isp"),
        framed_ip: "100.64.0.1".parse().ok(),
        framed_ipv6_prefix: Some(Prefix { address: "2001:db8:1::".parse().unwrap(), length: 64 }),
        delegated_prefix: Some(Prefix { address: "2001:db8:8000::".parse().unwrap(), length: 56 }),
        framed_ipv6_address: "2001:db8:2::7".parse().ok(),
        interface_id: Some(0x0102_0304_0506_0708),
        mac: Some([2, 0, 0, 0, 0, 1]),
        calling: Some(b"02-00-00-00-00-01"),
        nas_port: Some(16_781_313),
        nas_port_id: Some(&[b'x'; 253]),
        access: Some(Access::Pppoe),
        authentic: Some(Authentic::Radius),
        class: list,
        acct_interim_interval: Some(60),
        session_timeout: Some(86_400),
        time_quota: Some(0),
        volume_quota: Some(1 << 40),
        multi_session_id: Some(b"multi"),
        auth_server: Some([192, 0, 2, 7].into()),
    }
}

#[test]
fn a_plane_in_c_is_understood() {
    let place = tempfile::tempdir().unwrap();
    let (binary, path) = (place.path().join("plane"), place.path().join("plane.sock"));
    compile("cc", &["-std=c11", "-o", binary.to_str().unwrap(), program().to_str().unwrap()]).unwrap();
    let listener = listen(&path);
    let child = Command::new(&binary).arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut linked = welcome(accept(&listener));
    assert_eq!(linked.hello.name(), "c-plane");
    // Slot 0 in its first generation, which the memory's epoch gives.
    let generation = u32::try_from(linked.hello.epoch >> 32).unwrap().checked_add(1).unwrap_or(1);
    let slot = CounterSlot { slot: 0, generation };
    let long = [b'x'; 253];
    let class: [&[u8]; 2] = [b"gold", &long];
    let at = Some(Wall::from_millis(1_795_000_000_250));
    assert_eq!(linked.next(0), "ResyncBegin");
    let up = PlaneEvent::Up(Up { session: b"s1", subscriber: alice(&class), counters: slot, at });
    assert_eq!(linked.next(0), format!("{up:?}"));
    assert_eq!(linked.next(0), "ResyncEnd");

    linked.durable();
    let (sentence, reason) = (Sentence::Admit, Reason::Known);
    let known = Verdict { plane: PlaneIndex(0), session: b"s1", counters: slot, sentence, reason };
    linked.region.verdicts().push(&known).unwrap();
    linked.kick_plane();

    let changed = Subscriber { acct_interim_interval: Some(120), ..Subscriber::default() };
    let renewed = CounterSlot { generation: slot.generation.checked_add(1).unwrap_or(1), ..slot };
    let v4 = Totals { in_octets: 1, in_packets: 2, out_octets: 3, out_packets: 4 };
    let v6 = Totals { in_octets: 5, in_packets: 6, out_octets: 7, out_packets: 8 };
    let totals = Some(Counters { v4, v6 });
    let at = Some(Wall::from_millis(1_795_000_009_250));
    for event in [
        PlaneEvent::Update(Update { session: b"s1", changed, at: None }),
        PlaneEvent::Reset(Reset { session: b"s1", counters: renewed }),
        PlaneEvent::Down(Down { session: b"s1", cause: 1, totals, at }),
        PlaneEvent::Down(Down { session: b"s2", cause: 0, totals: None, at: None }),
    ] {
        assert_eq!(linked.next(0), format!("{event:?}"));
    }
    assert_eq!(linked.region.counters().read(renewed), totals);
    assert_eq!(linked.region.counters().read(slot), None);

    let down = |session| format!("{:?}", PlaneEvent::Down(Down { session, cause: 0, totals: None, at: None }));
    for _ in 0..16 {
        assert_eq!(linked.next(1), down(b"s3"));
    }
    linked.durable();
    assert_eq!(linked.next(1), down(b"s4"));

    // The engine goes and comes back: the same memory is passed again, and what was not durable is delivered again.
    let epoch = linked.hello.epoch;
    drop(linked);
    let mut linked = welcome(accept(&listener));
    assert_eq!(linked.hello.epoch, epoch);
    assert_eq!(linked.next(1), down(b"s4"));
    linked.durable();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
}
