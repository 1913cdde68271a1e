//! Crash after crash: the daemon is killed again and again while sessions come, move octets and go and the server
//! flaps; and the power is cut. At the end every session is in the detail file or in the bills with what the plane
//! counted.

use std::time::{Duration, Instant};

use crate::common::{Crowd, Daemon, Disk, FreeRadius, Habits, Life, Random, SECRET, Signal, Site, TICK, Told, Totals};
use crate::common::{free_port, seconds, wait_until};

/// A life in which Stops can become bills is longer than two of a server's shortest timeouts: when it is Down, what waits for a
/// place fails as well.
const LONG: Duration = Duration::from_millis(7_000);

/// Kills on one state directory.
const KILLS: usize = 40;

/// State directories: 200 kills in the long form.
fn rounds() -> u64 {
    if std::env::var("TOLLGATE_TEST_FULL").is_ok_and(|full| full == "1") { 5 } else { 1 }
}

/// `isp` bills what is not answered at once, `patient` sends it again, `plain` ends the accounting of a session whose
/// Start is not answered.
fn configure(site: &Site, port: u16) {
    let group = |name: &str, resend: &str| {
        format!(
            "radius-server group {name}\n radius-server shared-key {SECRET}\n \
             radius-server accounting 127.0.0.1 {port}\n radius-server retransmit 1 timeout 3\n {resend}\n#\n"
        )
    };
    let groups = group("isp", "undo radius-server accounting-stop-packet resend")
        + &group("patient", "radius-server accounting-stop-packet resend 20");
    site.configure(&format!(
        "radius-server dead-count 3 dead-interval 0\n{groups}aaa\n \
         accounting-scheme keep\n  accounting interim interval 3 second\n  \
         accounting start-fail online keep-accounting\n \
         accounting-scheme plain\n  accounting interim interval 3 second\n \
         domain isp\n  accounting-scheme keep\n  radius-server group isp\n \
         domain patient\n  accounting-scheme keep\n  radius-server group patient\n \
         domain plain\n  accounting-scheme plain\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n"
    ));
}

#[test]
fn every_session_survives_kill_9_in_a_loop() {
    (1..=rounds()).for_each(kill_in_a_loop);
}

fn kill_in_a_loop(seed: u64) {
    let site = Site::new();
    let port = free_port();
    configure(&site, port);
    let mut server = Flapping::start(&site, port);
    let habits = Habits {
        lines: 200,
        pace: 120,
        tick: TICK,
        domains: &["isp", "patient", "plain"],
        first: 0,
        names_come_again: true,
    };
    let crowd = Crowd::start(&site, &habits);
    let mut random = Random::new(seed);
    for life in 0..KILLS {
        let datapath = ["io-uring", "epoll"][random.below(2)];
        let shards = [1, 2][random.below(2)];
        let long = match life % 16 {
            3 => server.kill(),
            11 => server.hold(),
            _ => false,
        };
        let daemon = Daemon::start_with(&site, datapath, shards);
        let alive = Duration::from_millis(100 + random.below(500) as u64);
        std::thread::sleep(if long { LONG } else { alive / 2 });
        if random.below(5) == 0 {
            server.hold();
        }
        std::thread::sleep(alive / 2);
        server.recover();
        daemon.kill9();
    }
    let daemon = Daemon::start_with(&site, "auto", 2);
    let lives = crowd.finish(seconds(60));
    wait_until("every session is over", seconds(90), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    daemon.terminate();
    let detail = FreeRadius::detail(&server.directory);
    let told = Told::gather(&detail, &bills);
    let places = told.check_all(&lives);
    report(&format!("{KILLS} kills, {} sessions, {places:?}", lives.len()));
    // Were the servers never away, or the sessions never there, nothing would have been shown.
    assert!(lives.len() > 20 * KILLS && places.billed > KILLS / 2, "{} sessions, {places:?}", lives.len());
    assert!(places.stopped > 10 * KILLS && places.start_failed > 0, "{places:?}");
}

/// FreeRADIUS, which is there, is not, or does not answer.
struct Flapping {
    directory: std::path::PathBuf,
    port: u16,
    running: Option<FreeRadius>,
    held: bool,
}

impl Flapping {
    fn start(site: &Site, port: u16) -> Flapping {
        let directory = site.path("radius");
        let running = Some(FreeRadius::start(&directory, port));
        Flapping { directory, port, running, held: false }
    }

    fn kill(&mut self) -> bool {
        self.recover();
        let running = self.running.take();
        running.map(|server| server.stop(Signal::KILL)).is_some()
    }

    /// Requests wait in its socket.
    fn hold(&mut self) -> bool {
        if let (Some(server), false) = (&self.running, self.held) {
            server.signal(Signal::STOP);
            self.held = true;
        }
        self.held
    }

    fn recover(&mut self) {
        if let (Some(server), true) = (&self.running, self.held) {
            server.signal(Signal::CONT);
        }
        self.held = false;
        if self.running.is_none() {
            self.running = Some(FreeRadius::start(&self.directory, self.port));
        }
    }
}

#[expect(clippy::print_stderr, reason = "the figures are for people")]
fn report(figures: &str) {
    eprintln!("{figures}");
}

/// How often sessions are written down; whoever is late by a second is not late.
const CHECKPOINTS: Duration = seconds(2);
const SLACK: Duration = seconds(1);

#[test]
fn a_power_cut_loses_one_checkpoint_interval_at_most() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    let disk = Disk::of_state(&site);
    site.configure_one(port, "", "");
    let config = std::fs::read_to_string(site.config()).unwrap();
    let interval = format!("accounting checkpoint-interval {}\n#\naaa\n", CHECKPOINTS.as_secs());
    std::fs::write(site.config(), config.replacen("aaa\n", &interval, 1)).unwrap();
    let _radius = FreeRadius::start(&server, port);
    let mut lives = Vec::new();
    for shards in [1, 2] {
        let daemon = Daemon::start_with(&site, "auto", shards);
        let habits =
            Habits { lines: 200, pace: 60, tick: TICK, domains: &["isp"], first: lives.len(), names_come_again: false };
        let crowd = Crowd::start(&site, &habits);
        // Long enough that most sessions have been written down more than once.
        std::thread::sleep(4 * CHECKPOINTS);
        disk.cut();
        let cut = Instant::now();
        daemon.kill9();
        lives.extend(crowd.vanish().into_iter().map(|life| (life, cut)));
        disk.restore();
    }
    // A plane with a memory of its own, which announces nobody.
    let daemon = Daemon::start(&site, "auto");
    let nobody = Habits { lines: 1, pace: 0, tick: TICK, domains: &["isp"], first: 0, names_come_again: false };
    let crowd = Crowd::start(&site, &nobody);
    wait_until("every session is over", seconds(60), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty(), "the server was there all the time");
    daemon.terminate();
    drop(crowd);

    let detail = FreeRadius::detail(&server);
    let told = Told::gather(&detail, &[]);
    let (mut lost_service, mut missing) = (0, 0);
    for (life, cut) in &lives {
        let Some(account) = told.accounts.get(life.user.as_str()) else {
            assert!(!life.admitted, "{} was let in and is nowhere", life.user);
            continue;
        };
        account.id(&life.user);
        let (recorded, cause) = account.stop().unwrap_or_else(|| panic!("{} has no Stop", life.user));
        if cause == "Lost-Service" {
            check_is_late_by_an_interval(life, *cut, recorded);
            missing += life.totals().out_octets - recorded.out_octets;
            lost_service += 1;
        } else {
            assert!(life.gone, "{} was there at the power cut", life.user);
            assert_eq!(recorded, life.totals(), "{}", life.user);
        }
    }
    report(&format!(
        "{} sessions, {lost_service} of them there at a power cut, which lack {missing} octets out",
        lives.len()
    ));
    assert!(
        lost_service > 100 && missing > 0,
        "only {lost_service} of {} sessions were there at a power cut",
        lives.len()
    );
}

/// What was written down last is no more than was counted, and no less than what was counted an interval before.
fn check_is_late_by_an_interval(life: &Life, cut: Instant, recorded: Totals) {
    let (least, most) = (life.totals_at(cut - CHECKPOINTS - SLACK), life.totals());
    let within = |octets: fn(&Totals) -> u64| (octets(&least)..=octets(&most)).contains(&octets(&recorded));
    assert!(
        within(|totals| totals.in_octets) && within(|totals| totals.out_octets),
        "{}: {recorded:?} is not between {least:?} and {most:?}",
        life.user
    );
}
