//! The sample program on a line between two namespaces, with real traffic: the kernel's own counters of the interface are
//! the oracle.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use model::counters::{Counters, Totals};
use model::event::Prefix;
use plane::maps::{Key, Values};

use super::*;
use crate::run::sweep::fixture::{Kind, Line, V4, V6, run};

const VALUES: Values = Values { in_octets: 0, in_packets: Some(8), out_octets: 16, out_packets: Some(24) };

/// The sample program, built, loaded and pinned in a file system of the test, and attached to `line` of the BNG.
struct Program {
    directory: tempfile::TempDir,
}

impl Program {
    /// # Panics
    /// Without clang, bpftool and the headers of libbpf, and without the right to load programs: root has it.
    fn on(line: &Line) -> Program {
        // libbpf does not pin below a path with a dot.
        let directory = tempfile::Builder::new().prefix("tollgate-bpf").tempdir().unwrap();
        run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(directory.path()));
        let program = Program { directory };
        let built = tempfile::tempdir().unwrap();
        let object = built.path().join("count_subscribers.o");
        let headers = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/count_subscribers.bpf.c");
        let flags = ["-Wall", "-Wextra", "-Werror", "-O2", "-g", "-target", "bpf", &headers, "-c", "-o"];
        run(Command::new("clang").args(flags).arg(&object).arg(source));
        let pins = program.pins();
        let mut load = Command::new("bpftool");
        run(load.args(["prog", "loadall"]).arg(&object).arg(&pins).args(["type", "classifier", "pinmaps"]).arg(&pins));
        let pins = pins.display();
        line.bng.shell("tc qdisc add dev line clsact");
        for (direction, name) in [("ingress", "from_subscriber"), ("egress", "to_subscriber")] {
            let filter = format!("bpf direct-action object-pinned {pins}/{name}");
            line.bng.shell(&format!("tc filter add dev line {direction} {filter}"));
        }
        program
    }

    fn pins(&self) -> PathBuf {
        self.directory.path().join("tollgate")
    }

    fn open(&self, map: &str, key: Key) -> MapSweep {
        MapSweep::open(&self.pins().join(map), Layout { key, values: VALUES }).unwrap()
    }

    fn v4(&self) -> MapSweep {
        self.open("subscribers_v4", Key::V4)
    }

    /// Deletes the subscriber's IPv4 entry.
    fn forget(&self) {
        let IpAddr::V4(address) = V4[1] else { unreachable!("an IPv4 address") };
        let map = self.pins().join("subscribers_v4");
        let key = address.octets().map(|octet| octet.to_string());
        run(Command::new("bpftool").args(["map", "delete", "pinned"]).arg(map).arg("key").args(key));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).status();
    }
}

fn subject(address: IpAddr) -> Subject {
    match address {
        IpAddr::V4(address) => Subject::V4(address),
        IpAddr::V6(address) => Subject::V6(Prefix { address, length: 128 }),
    }
}

fn sweep(source: &mut MapSweep, address: IpAddr) -> Option<Reading> {
    let mut readings = [None; 2];
    source.sweep(&[subject(address), Subject::Interface(1)], &mut readings).unwrap();
    assert_eq!(readings[1], None);
    readings[0]
}

fn since(now: Totals, before: Totals) -> Totals {
    let of = |totals| Counters { v4: totals, ..Counters::ZERO };
    of(now).minus(of(before)).v4
}

#[test]
fn each_family_of_a_subscriber_is_what_the_interface_counted() {
    let line = Line::new(Kind::Veth);
    let program = Program::on(&line);
    let (mut v4, mut v6) = (program.v4(), program.open("subscribers_v6", Key::V6 { length: 64 }));
    assert_eq!((sweep(&mut v4, V4[1]), sweep(&mut v6, V6[1])), (None, None));
    let begin = line.bng.counted("line");
    line.exchange(V4, 100);
    let between = line.bng.counted("line");
    line.exchange(V6, 50);
    let end = line.bng.counted("line");
    let reading = sweep(&mut v4, V4[1]).unwrap();
    assert_eq!(reading.counters, Counters { v4: since(between, begin), ..Counters::ZERO });
    assert_eq!((reading.counters.v4.in_packets, reading.counters.v4.out_packets), (100, 200));
    let reading = sweep(&mut v6, V6[1]).unwrap();
    assert_eq!(reading.counters, Counters { v6: since(end, between), ..Counters::ZERO });
    assert_eq!(sweep(&mut v4, V4[0]), None, "the BNG's own address is no subscriber's");
    line.exchange(V4, 10);
    assert_eq!(sweep(&mut v4, V4[1]).unwrap().counters.v4, since(line.bng.counted("line"), since(end, between)));
}

#[test]
fn an_entry_that_is_deleted_and_made_again_loses_nothing_that_was_read() {
    let line = Line::new(Kind::Veth);
    let program = Program::on(&line);
    let begin = line.bng.counted("line");
    let mut source = program.v4();
    line.exchange(V4, 30);
    let first = sweep(&mut source, V4[1]).unwrap();
    // Made again before the next sweep, and after one that did not find it.
    program.forget();
    line.exchange(V4, 10);
    let second = sweep(&mut source, V4[1]).unwrap();
    program.forget();
    assert_eq!(sweep(&mut source, V4[1]), None);
    line.exchange(V4, 40);
    let third = sweep(&mut source, V4[1]).unwrap();
    let moved = [first, second, third].iter().fold(Totals::default(), |moved, reading| moved.plus(reading.counters.v4));
    assert_eq!(moved, since(line.bng.counted("line"), begin));
    assert!(first.generation != second.generation && second.generation != third.generation);
}

#[test]
fn few_of_many_are_asked_for_one_by_one() {
    let line = Line::new(Kind::Veth);
    let program = Program::on(&line);
    let mut source = program.v4();
    line.exchange(V4, 10);
    let map = program.pins().join("subscribers_v4");
    for last in 1..=100 {
        let mut update = Command::new("bpftool");
        update.args(["map", "update", "pinned"]).arg(&map).args(["key", "100", "64", "0", &last.to_string(), "value"]);
        run(update.args(["0"; 32]));
    }
    sweep(&mut source, V4[1]);
    assert_eq!(source.table.entry_count(), 101);
    line.exchange(V4, 10);
    let reading = sweep(&mut source, V4[1]).unwrap();
    assert_eq!(reading.counters.v4, line.bng.counted("line"));
    program.forget();
    assert_eq!((sweep(&mut source, V4[1]), source.table.entry_count()), (None, 100));
}

#[test]
fn a_map_that_is_not_as_declared_is_refused_with_a_reason() {
    let line = Line::new(Kind::Veth);
    let program = Program::on(&line);
    let open = |map: &str, key, out_packets| {
        let values = Values { out_packets: Some(out_packets), ..VALUES };
        MapSweep::open(&program.pins().join(map), Layout { key, values }).err().unwrap().to_string()
    };
    for (said, expected) in [
        (open("nothing", Key::V4, 24), "cannot open the map: No such file"),
        (open("subscribers_v6", Key::V4, 24), "cannot open the map: its keys have 16 octets"),
        (open("subscribers_v4", Key::V4, 25), "cannot open the map: its values have 32 octets"),
        (open("from_subscriber", Key::V4, 24), "cannot open the map: it is neither a hash map"),
    ] {
        assert!(said.starts_with(expected), "{said}");
    }
}
