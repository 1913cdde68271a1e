//! Disks that fail under a daemon at work: full, read-only, away, EIO. An alarm tells of it, accounting to servers goes on as far
//! as nothing unwritten has to be promised, and at the end every session is in the detail file or in the bills with what
//! the plane counted. (A card that vanishes: see `local_bills.rs`.)

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::{
    Crowd, Daemon, Disk, Feed, FreeRadius, Habits, Life, Places, Signal, Site, SmallDisk, TICK, Told, Totals, Tracer,
};
use crate::common::{count, down, free_port, path, run_command, seconds, tollgate, up, wait_until};

const FAILS: &str = "the ledger's disk fails";
const WORKS: &str = "the ledger's disk works again; nothing was lost";

/// What comes at once when a disk has healed may be more than the server's socket takes.
const TRANSMISSIONS: u8 = 4;

/// Sessions that stay until the end.
const RESIDENTS: usize = 40;

/// A site with a server, a daemon, and sessions that come, move octets and go. The store fails in ways that a test knows.
struct Play<'a> {
    site: &'a Site,
    server: PathBuf,
    radius: FreeRadius,
    daemon: Option<Daemon>,
    crowd: Crowd,
    /// Another plane, whose sessions stay, and whose log-ins a test looks at one by one.
    feed: Feed,
    herald: Vec<Life>,
}

impl<'a> Play<'a> {
    /// `transmissions`: of a request, before it counts as not answered.
    fn start(site: &'a Site, habits: &Habits<'_>, transmissions: u8) -> Play<'a> {
        let (port, server) = (free_port(), site.path("radius"));
        let group = format!(
            " radius-server retransmit {transmissions} timeout 3\n undo radius-server accounting-stop-packet resend\n"
        );
        let scheme = "  accounting interim interval 3 second\n  accounting start-fail online keep-accounting\n";
        site.configure_one(port, &group, scheme);
        let radius = FreeRadius::start(&server, port);
        let daemon = Some(Daemon::start_with(site, "auto", 2));
        let (crowd, feed) = (Crowd::start(site, habits), Feed::listen(site));
        let mut play = Play { site, server, radius, daemon, crowd, feed, herald: Vec::new() };
        // The crowd's sessions are short.
        (0..RESIDENTS).for_each(|_| drop(play.come()));
        play.wait_for_more(&["Start", "Interim-Update", "Stop"]);
        play
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// More records of these kinds reach the server.
    #[track_caller]
    fn wait_for_more(&self, kinds: &[&str]) {
        let count = || {
            let detail = FreeRadius::detail(&self.server);
            kinds.iter().map(|kind| detail.count(kind)).collect::<Vec<_>>()
        };
        let before = count();
        wait_until(&format!("more of {kinds:?} are recorded"), seconds(30), || {
            count().iter().zip(&before).all(|(now, before)| *now > before + 20)
        });
    }

    /// Another one logs in.
    fn come(&mut self) -> String {
        let (name, totals) = (format!("herald{}", self.herald.len()), Totals::of(self.herald.len() as u64, 1));
        let history = vec![(Instant::now(), totals)];
        self.herald.push(Life { user: format!("{name}@isp"), admitted: true, gone: true, history });
        self.feed.say([up(&name, "isp"), count(&name, totals)]);
        name
    }

    fn wait_until_let_in(&self, name: &str) {
        assert_eq!(self.feed.verdict_on(name, seconds(20)), ("admit".to_owned(), "opened".to_owned()));
    }

    fn wait_for_alarm(&self, fault: &str) {
        let alarm = format!("{FAILS} ({fault}");
        wait_until("an alarm is raised", seconds(30), || self.daemon().logged(&alarm) > 0);
    }

    /// Whatever is tried, it is told once; and nobody spins.
    fn check_is_calm(&self, fault: &str) {
        let load = self.daemon().load(seconds(2));
        assert!(load < 0.7, "{load} of a core is used");
        assert_eq!((self.daemon().logged(FAILS), self.daemon().logged(WORKS)), (1, 0));
        assert_eq!(self.daemon().logged(&format!("{FAILS} ({fault}")), 1);
    }

    /// Nothing is written any more: whoever is online is accounted for, and nobody is promised anything. The name of one who
    /// waits.
    fn check_without_a_disk(&mut self, fault: &str) -> String {
        self.wait_for_alarm(fault);
        self.daemon().wait_until_quiet();
        let server = self.server.clone();
        let stable = || {
            let detail = FreeRadius::detail(&server);
            (detail.count("Start"), detail.count("Stop"))
        };
        let mut last = (stable(), Instant::now());
        wait_until("no Start and no Stop leaves", seconds(30), || {
            let now = stable();
            if now != last.0 {
                last = (now, Instant::now());
            }
            last.1.elapsed() > seconds(1)
        });
        let name = self.come();
        self.check_is_calm(fault);
        self.wait_for_more(&["Interim-Update"]);
        assert_eq!(stable(), last.0, "a Start or a Stop left before its record was written");
        assert!(self.feed.verdicts().iter().all(|(session, ..)| *session != name), "{name} was promised something");
        name
    }

    /// The disk works, and everything goes on by itself.
    fn check_has_healed(&self) {
        wait_until("the alarm is taken back", seconds(30), || self.daemon().logged(WORKS) == 1);
        self.wait_for_more(&["Start", "Stop"]);
        assert_eq!((self.daemon().logged(FAILS), self.daemon().logged(WORKS)), (1, 1));
    }

    fn kill9(&mut self) {
        self.daemon.take().unwrap().kill9();
    }

    fn terminate_with(&mut self, code: i32) {
        self.daemon.take().unwrap().terminate_with(code);
    }

    fn start_again(&mut self) {
        self.daemon = Some(Daemon::start_with(self.site, "auto", 1));
    }

    /// Everybody goes, and everything is where it belongs.
    fn finish(mut self) -> Places {
        let daemon = self.daemon.take().unwrap();
        let gone = (0..self.herald.len()).map(|number| format!("herald{number}"));
        self.feed.say(gone.map(|name| down(&name, 1)));
        self.feed.finish(seconds(60));
        let mut lives = self.crowd.finish(seconds(60));
        lives.append(&mut self.herald);
        wait_until("every session is over", seconds(60), || daemon.states().is_empty());
        daemon.wait_until_quiet();
        let verdict = tollgate(["bills", "verify", "--state-dir", self.site.state().to_str().unwrap()]).well();
        assert!(verdict.ends_with("the store is complete and undamaged\n"), "{verdict}");
        let bills = daemon.bills();
        daemon.terminate();
        let detail = FreeRadius::detail(&self.server);
        let places = Told::gather(&detail, &bills).check_all(&lives);
        assert!(places.stopped > 100, "{places:?}");
        report(&format!("{} sessions, {places:?}", lives.len()));
        places
    }

    /// As [`Play::finish`], when the server was there all the time.
    fn finish_without_bills(self) {
        let places = self.finish();
        assert_eq!(places.billed, 0, "{places:?}");
    }
}

#[expect(clippy::print_stderr, reason = "the figures are for people")]
fn report(figures: &str) {
    eprintln!("{figures}");
}

/// So many lines, and log-ins and log-outs a second.
fn habits(lines: usize, pace: u32) -> Habits<'static> {
    Habits { lines, pace, tick: TICK, domains: &["isp"], first: 0, names_come_again: true }
}

#[test]
fn a_full_disk_loses_nothing_and_heals() {
    const FULL: &str = "NoSpace";
    let site = Site::new();
    let disk = SmallDisk::of_state(&site);
    // Many, and not all at once: each is a write of its own, so that a segment is soon written full.
    let crowd = Habits { tick: Duration::from_millis(1), ..habits(500, 800) };
    let mut play = Play::start(&site, &crowd, 1);

    // There is room in the segment: bills are made.
    disk.fill();
    play.radius.signal(Signal::STOP);
    wait_until("bills are made", seconds(20), || play.daemon().bills().len() > 20);
    play.radius.signal(Signal::CONT);
    play.wait_for_more(&["Start", "Stop"]);

    // The next segment cannot be made, long before it is needed: an alarm, and everything goes on.
    play.wait_for_alarm(FULL);
    play.wait_for_more(&["Start", "Interim-Update", "Stop"]);
    let name = play.come();
    play.wait_until_let_in(&name);
    assert_eq!((play.daemon().logged(FAILS), play.daemon().logged(WORKS)), (1, 0));

    // The segment has no room any more either.
    let name = play.check_without_a_disk(FULL);
    disk.free();
    play.wait_until_let_in(&name);
    play.check_has_healed();

    // An orderly end needs no space, a start does: for a segment, or, where an old one has just gone, for something less.
    disk.fill();
    play.terminate_with(0);
    let said = tollgate(Daemon::arguments(&site));
    assert!(said.err.contains("No space left on device"), "{}", said.err);
    said.refused(1, &["tollgate: ", "cannot"]);
    disk.free();
    play.start_again();
    play.wait_for_more(&["Start", "Stop"]);
    let places = play.finish();
    assert!(places.billed > 20, "{places:?}");
}

#[test]
fn a_disk_that_becomes_read_only_loses_nothing_and_heals() {
    let site = Site::new();
    let disk = Disk::of_ledger(&site);
    let mut play = Play::start(&site, &habits(200, 100), TRANSMISSIONS);

    // The operator mounts it anew, under the daemon at work, which must have let it go.
    disk.make_read_only();
    let name = play.check_without_a_disk("Io");
    assert!(play.daemon().logged("Read-only file system") >= 1);
    disk.restore();
    play.wait_until_let_in(&name);
    play.check_has_healed();

    // Or he ends the daemon first; it says that it could not write everything.
    disk.make_read_only();
    wait_until("another alarm is raised", seconds(30), || play.daemon().logged(FAILS) == 2);
    play.come();
    play.terminate_with(1);
    disk.restore();
    play.start_again();
    play.wait_for_more(&["Start", "Stop"]);
    play.finish_without_bills();
}

#[test]
fn nothing_is_written_while_the_ledger_is_not_mounted() {
    const AWAY: &str = "is its file system mounted?";
    let site = Site::new();
    let disk = Disk::on_ledger(&site);
    let mut play = Play::start(&site, &habits(200, 100), TRANSMISSIONS);
    disk.make_read_only();
    let name = play.check_without_a_disk("Io");

    // The operator takes his time. Where the disk was there is a directory that takes everything.
    disk.unmount();
    wait_until("it is missed", seconds(30), || play.daemon().logged(AWAY) > 0);
    play.check_is_calm("Io");
    let found: Vec<_> = std::fs::read_dir(site.state().join("ledger")).unwrap().collect();
    assert!(found.is_empty(), "{found:?}");
    disk.mount();
    play.wait_until_let_in(&name);
    play.check_has_healed();

    // Everything that was acknowledged is on the disk, and nothing beneath it.
    play.kill9();
    disk.restore();
    play.start_again();
    play.wait_for_more(&["Start", "Stop"]);
    play.finish_without_bills();
}

#[test]
fn a_bad_sector_costs_what_stands_in_it_and_no_more() {
    let site = Site::new();
    site.configure_one(free_port(), "", "  accounting start-fail online keep-accounting\n");
    for life in 0..3 {
        let daemon = Daemon::start(&site, "auto");
        let mut feed = Feed::listen(&site);
        feed.say([up(&format!("s{life}"), "isp")]);
        feed.verdict_on(&format!("s{life}"), seconds(20));
        daemon.kill9();
    }
    let segments = || {
        let entries = std::fs::read_dir(site.state().join("ledger")).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<_> = entries.filter(|file| file.extension().is_some_and(|end| end == "seg")).collect();
        segments.sort();
        segments
    };
    // The store's first one is there, so that the others can be read without a header.
    assert_eq!(segments().len(), 3);
    let bad = segments()[1].clone();
    let number: u64 = bad.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let state = site.state();
    let verify = |files: &[PathBuf], times| {
        let mut command = Tracer::unreadable(&site, files, times);
        run_command(command.args(["bills", "verify", "--state-dir", path(&state)]))
    };

    // Everything at once, 64 KiB, 4 KiB and 512 octets: the second copy of the header can be read.
    let said = verify(std::slice::from_ref(&bad), Some(4));
    let told =
        |octets: &str| format!("{}: the disk cannot read the octets {octets}; they count as damage", bad.display());
    assert!(said.err.contains(&told("0 to 511")), "{}", said.err);
    assert!(said.out.contains(&format!("case G, segment {number} at octet 0 (1024 octets)")), "{}", said.out);
    assert!(said.well().ends_with("the store is complete and undamaged\n"));

    // With all of the first 4 KiB, records are gone. The others are there, and the daemon goes on with them.
    let said = verify(std::slice::from_ref(&bad), Some(11));
    assert!(said.err.contains(&told("0 to 4095")), "{}", said.err);
    assert!(said.out.contains(&format!(", segment {number} at octet 0 (")), "{}", said.out);
    said.refused(1, &["the store is damaged or incomplete"]);
    let daemon =
        Daemon::start_by(&mut Tracer::unreadable(&site, std::slice::from_ref(&bad), Some(11)), &site, "auto", &[]);
    assert_eq!((daemon.logged(&told("0 to 4095")), daemon.logged("the ledger is damaged: case D")), (1, 1));
    assert!(!daemon.states().is_empty());
    daemon.terminate();

    // A disk that gives nothing at all is no damaged ledger.
    verify(&segments(), None).refused(1, &["cannot read the store", "Input/output error"]);
    let said = run_command(Tracer::unreadable(&site, &segments(), None).args(Daemon::arguments(&site)));
    said.refused(1, &["cannot read the ledger", "Input/output error"]);
}

#[test]
fn the_ledger_s_directory_is_refused_as_a_card() {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    Daemon::start(&site, "auto").terminate();
    let (ledger, link) = (site.state().join("ledger"), site.path("link"));
    std::os::unix::fs::symlink(&ledger, &link).unwrap();
    for card in [&ledger, &link] {
        let arguments = Daemon::arguments(&site).into_iter().chain(["--card-dir".into(), card.into()]);
        tollgate(arguments).refused(2, &["the CF card cannot be in", path(card), "the ledger's directory"]);
    }
    let verdict = tollgate(["bills", "verify", "--state-dir", path(&site.state())]).well();
    assert!(verdict.ends_with("the store is complete and undamaged\n"), "{verdict}");
}

#[test]
fn a_disk_that_refuses_writes_loses_nothing_and_heals() {
    let site = Site::new();
    let mut play = Play::start(&site, &habits(200, 100), TRANSMISSIONS);
    let tracer = Tracer::fail(&site, play.daemon().id(), "pwrite64", "fdatasync");
    let name = play.check_without_a_disk("Io");
    let trace = tracer.detach();
    let tries = trace.matches("(INJECTED)").count();
    assert!((2..200).contains(&tries), "{tries} tries");
    play.wait_until_let_in(&name);
    play.check_has_healed();
    play.finish_without_bills();
}

#[test]
fn a_sync_that_fails_is_not_tried_again_on_the_same_file() {
    let site = Site::new();
    let disk = Disk::of_state(&site);
    let mut play = Play::start(&site, &habits(200, 100), TRANSMISSIONS);
    let tracer = Tracer::fail(&site, play.daemon().id(), "fdatasync", "pwrite64,openat");
    let name = play.check_without_a_disk("Io");
    let trace = tracer.detach();
    check_failed_files_are_left_alone(&trace);
    play.wait_until_let_in(&name);
    play.check_has_healed();

    // What was not synced is gone with the power. What was told to the server and to the plane was.
    disk.cut();
    play.kill9();
    disk.restore();
    play.start_again();
    play.wait_for_more(&["Start", "Stop"]);
    play.finish_without_bills();
}

/// A file whose sync failed is neither written nor synced any more, unless it was made anew.
fn check_failed_files_are_left_alone(trace: &str) {
    let path_of = |line: &str| Some(line.split_once('<')?.1.split_once(".seg>")?.0.to_owned());
    let mut failed = BTreeSet::new();
    let mut failures = 0;
    for line in trace.lines() {
        assert!(!line.contains("(deleted)"), "a file that nobody can find any more is used: {line}");
        if line.contains("O_EXCL") {
            // The name in quotes, for the directory has no descriptor.
            let name = line.split('"').nth(1).and_then(|path| path.strip_suffix(".seg"));
            let name = name.and_then(|name| name.rsplit('/').next()).unwrap_or_default().to_owned();
            failed.retain(|path: &String| !path.ends_with(&name));
        } else if let Some(path) = path_of(line).filter(|_| !line.contains("openat")) {
            assert!(!failed.contains(&path), "{path} is not to be trusted: {line}");
            // Its end may stand on a line of its own; they all fail.
            if line.contains("fdatasync(") {
                failures += 1;
                failed.insert(path);
            }
        }
    }
    // More than the one segment that was in use.
    assert!((2..100).contains(&failures), "{failures} syncs failed");
}
