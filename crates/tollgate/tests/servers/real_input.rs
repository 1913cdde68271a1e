//! Octets that the kernel counted: a packet plane in C, made of the header and nothing else, accounts for subscribers
//! behind real interfaces, and FreeRADIUS records what the kernel says, to the octet.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Daemon, Detail, FreeRadius, Lines, Process, Record, SECRET, Site, Totals};
use crate::common::{free_port, run_command, seconds, wait_until};

/// Sessions in the plane's other mode.
const MANY: usize = 10_000;
/// The name of them all; the plane's names for them are in NAS-Port-Id.
const CROWD: &str = "crowd@many";
/// The lines: one that is quiet when its session comes and goes, and two that never are.
const QUIET: u8 = 0;
const SHARED: u8 = 1;
const BUSY: u8 = 2;

#[test]
fn accounts_for_what_the_kernel_counts_over_io_uring() {
    accounts_for_what_the_kernel_counts("io-uring");
}

#[test]
fn accounts_for_what_the_kernel_counts_over_epoll() {
    accounts_for_what_the_kernel_counts("epoll");
}

fn accounts_for_what_the_kernel_counts(datapath: &str) {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    configure(&site, port);
    let program = compile(&site);
    let lines = Lines::new(3);
    let _radius = FreeRadius::start(&server, port);
    let recorded = |kind: &str| FreeRadius::detail(&server).count(kind);
    let daemon = Daemon::start(&site, datapath);
    let mut plane = VethPlane::start(&site, &program, &lines);

    let _flows = [lines.flow(SHARED), lines.flow(BUSY)];
    lines.flow(QUIET).stop();
    let before = lines.counted(QUIET);
    plane.say(&["up line0 quiet@isp", "up line1 first@isp", "up line2 busy@isp"]);
    plane.wait_for(3, "admit", seconds(30));
    let flow = lines.flow(QUIET);
    wait_until("interims are recorded", seconds(30), || recorded("Interim-Update") >= 3);

    // Killed, the daemon finds the counters where it left them: the plane kept its memory, and comes back with it.
    daemon.kill9();
    let daemon = Daemon::start(&site, datapath);
    plane.wait_for(2, "linked", seconds(30));
    plane.wait_for(6, "admit", seconds(30));
    let interims = recorded("Interim-Update");
    wait_until("interims go on", seconds(30), || recorded("Interim-Update") >= interims + 6);

    // One goes while packets flow, and another one comes to its line at once.
    plane.say(&["down line1", "up line1 second@isp"]);
    plane.wait_for(7, "admit", seconds(30));
    flow.stop();
    let after = lines.counted(QUIET);
    plane.say(&["down line0"]);
    plane.wait_for(2, "down", seconds(30));
    // Packets that are nobody's.
    lines.flow(QUIET).stop();
    assert!(lines.counted(QUIET).in_octets > after.in_octets);
    let told = plane.finish(seconds(60));
    wait_until("every Stop is recorded", seconds(60), || daemon.states().is_empty());

    let (detail, lives) = (FreeRadius::detail(&server), told.lives());
    assert_eq!(lives["line0"], [[before, after]], "the plane and the test have read the same");
    check_life(&detail, "quiet@isp", [before, after], 2);
    check_life(&detail, "first@isp", lives["line1"][0], 2);
    check_life(&detail, "second@isp", lives["line1"][1], 0);
    check_life(&detail, "busy@isp", lives["line2"][0], 2);

    accounts_for_many(&site, &program, &lines, daemon);
}

/// Ten thousand sessions of the same plane, on the same daemon.
fn accounts_for_many(site: &Site, program: &Path, lines: &Lines, daemon: Daemon) {
    let mut plane = VethPlane::start(site, program, lines);
    plane.say(&[&format!("many {MANY} {CROWD}")]);
    plane.wait_for(MANY, "admit", seconds(120));
    // A Start that is still unsent when its session goes would be left out: the Stop says it all.
    let server = site.path("radius");
    wait_until("every Start is recorded", seconds(120), || {
        FreeRadius::detail(&server).of("Start").filter(|start| start.text("User-Name") == CROWD).count() >= MANY
    });
    let told = plane.finish(seconds(120));
    wait_until("every Stop is recorded", seconds(120), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let (starts, stops, lives) = (by_port(&detail, "Start"), by_port(&detail, "Stop"), told.lives());
    let mut ids = BTreeSet::new();
    for number in 0..MANY {
        let name = format!("m{number}");
        let [start] = starts[name.as_str()][..] else { panic!("{name} has several Starts") };
        let [stop] = stops[name.as_str()][..] else { panic!("{name} has several Stops") };
        let [life] = lives[name.as_str()][..] else { panic!("{name} has several lives") };
        assert_eq!(stop.totals(), moved(life), "{name}");
        assert_eq!(stop.session(), start.session(), "{name}");
        assert!(ids.insert(start.session()), "{name} has another session's id");
    }
    assert_eq!((starts.len(), stops.len()), (MANY, MANY));
}

/// The crowd's records of a kind by NAS-Port-Id, which is the session's name in the plane.
fn by_port<'a>(detail: &'a Detail, kind: &str) -> BTreeMap<&'a str, Vec<&'a Record>> {
    let mut ports: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in detail.of(kind).filter(|record| record.text("User-Name") == CROWD) {
        ports.entry(record.text("NAS-Port-Id")).or_default().push(record);
    }
    ports
}

/// The server was told of one session in one life with what the kernel counted in between, and of its growth meanwhile.
fn check_life(detail: &Detail, user: &str, life: [Totals; 2], interims_min: usize) {
    let of =
        |kind: &str| -> Vec<&Record> { detail.of(kind).filter(|record| record.text("User-Name") == user).collect() };
    let ([start], [stop]) = (&of("Start")[..], &of("Stop")[..]) else { panic!("{user}: not one Start and one Stop") };
    assert_eq!(stop.session(), start.session(), "{user}");
    assert_eq!(stop.totals(), moved(life), "{user}: the kernel counted {life:?}");
    assert!(stop.totals().in_octets > 0 && stop.totals().out_octets > 0, "{user} moved nothing");
    let interims = of("Interim-Update");
    let mut growth: Vec<Totals> = interims.iter().chain([stop]).map(|record| record.totals()).collect();
    // The last one may have been sent twice over the restart.
    growth.dedup();
    let grows = |pair: &[Totals]| pair[0].in_octets < pair[1].in_octets && pair[0].out_octets < pair[1].out_octets;
    assert!(growth.windows(2).all(grows), "{user}: {growth:?}");
    assert!(growth.len() > interims_min, "{user}: {growth:?}");
}

/// What was counted between two readings.
fn moved([before, after]: [Totals; 2]) -> Totals {
    Totals {
        in_octets: after.in_octets - before.in_octets,
        in_packets: after.in_packets - before.in_packets,
        out_octets: after.out_octets - before.out_octets,
        out_packets: after.out_packets - before.out_packets,
    }
}

fn configure(site: &Site, port: u16) {
    site.configure(&format!(
        "radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {port}\n#\n\
         aaa\n accounting-scheme often\n  accounting interim interval 3 second\n accounting-scheme never\n \
         domain isp\n  accounting-scheme often\n  radius-server group isp\n \
         domain many\n  accounting-scheme never\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n"
    ));
}

/// Compiles the header's example with every warning an error.
fn compile(site: &Site) -> PathBuf {
    let plane = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plane");
    let program = site.path("veth_plane");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]).arg(plane.join("include"));
    run_command(compiler.arg("-o").arg(&program).arg(plane.join("examples/veth_plane.c"))).well();
    program
}

/// `veth_plane` at work in the BNG's namespace.
struct VethPlane {
    process: Process,
    output: PathBuf,
}

impl VethPlane {
    fn start(site: &Site, program: &Path, lines: &Lines) -> VethPlane {
        let output = site.path("veth_plane.out");
        let process = Process::start(
            Command::new("ip")
                .args(["netns", "exec", &lines.bng()])
                .arg(program)
                .arg(site.link())
                .arg("veth-plane")
                .stdin(Stdio::piped())
                .stdout(std::fs::File::create(&output).unwrap()),
        );
        VethPlane { process, output }
    }

    fn say(&mut self, commands: &[&str]) {
        let text: String = commands.iter().map(|command| format!("{command}\n")).collect();
        self.process.child().stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until it has said so many lines that begin with this word.
    fn wait_for(&self, count: usize, word: &str, patience: Duration) {
        wait_until(&format!("the plane has said {word} {count} times"), patience, || {
            let told = Told::read(&self.output);
            assert_eq!(told.count("not-done"), 0, "{:?}", told.lines);
            told.count(word) >= count
        });
    }

    /// No more will be said to it: it ends all sessions and leaves when they are taken over.
    fn finish(mut self, patience: Duration) -> Told {
        drop(self.process.child().stdin.take());
        let status = self.process.wait(patience);
        assert!(status.success(), "veth_plane: {status}");
        Told::read(&self.output)
    }
}

/// What the plane has said, in words.
struct Told {
    lines: Vec<Vec<String>>,
}

impl Told {
    fn read(output: &Path) -> Told {
        let text = std::fs::read_to_string(output).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Told { lines: whole.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect() }
    }

    fn count(&self, word: &str) -> usize {
        self.lines.iter().filter(|line| line[0] == word).count()
    }

    /// The kernel's counters at the begin and the end of each session, by the plane's name for it.
    fn lives(&self) -> BTreeMap<&str, Vec<[Totals; 2]>> {
        let mut lives: BTreeMap<&str, Vec<[Totals; 2]>> = BTreeMap::new();
        let mut begun = BTreeMap::new();
        for line in &self.lines {
            let [word, name, counters @ ..] = &line[..] else { panic!("no name: {line:?}") };
            if word == "up" {
                assert_eq!(begun.insert(name, totals(counters)), None, "{name} came twice");
            } else if word == "down" {
                lives.entry(name).or_default().push([begun.remove(name).unwrap(), totals(counters)]);
            }
        }
        lives
    }
}

fn totals(words: &[String]) -> Totals {
    let numbers: Vec<u64> = words.iter().map(|word| word.parse().unwrap()).collect();
    let [in_octets, in_packets, out_octets, out_packets] = numbers[..] else { panic!("four counters: {words:?}") };
    Totals { in_octets, in_packets, out_octets, out_packets }
}
