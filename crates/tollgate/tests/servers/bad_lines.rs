//! Several servers, and lines that fail: who is asked, and that every session is accounted for once whatever gets lost.
//!
//! What is read back are the servers' own files, all together, as whoever bills from them reads them: copies of a request that
//! was sent again count once.

use std::path::PathBuf;
use std::time::Instant;

use crate::common::{BadLine, Crowd, Daemon, Detail, FreeRadius, Habits, HeardOnce, Life, SECRET, Signal, Site, TICK};
use crate::common::{Weather, free_port, seconds, wait_until};

/// A FreeRADIUS and its place.
struct Server {
    directory: PathBuf,
    port: u16,
    process: Option<FreeRadius>,
}

impl Server {
    fn start(site: &Site, name: &str) -> Server {
        let (directory, port) = (site.path(name), free_port());
        let process = Some(FreeRadius::start(&directory, port));
        Server { directory, port, process }
    }

    fn kill(&mut self) {
        self.process.take().unwrap().stop(Signal::KILL);
    }

    fn come_back(&mut self) {
        self.process = Some(FreeRadius::start(&self.directory, self.port));
    }

    fn detail(&self) -> Detail {
        FreeRadius::detail(&self.directory)
    }

    fn count(&self, kind: &str) -> usize {
        FreeRadius::count(&self.directory, kind)
    }
}

/// A group that is named as its domain and its scheme, with these servers. No Stop is ever given up.
fn group(name: &str, ports: &[u16], lines: &str) -> String {
    let servers: String = ports.iter().map(|port| format!(" radius-server accounting 127.0.0.1 {port}\n")).collect();
    format!(
        "radius-server group {name}\n radius-server shared-key {SECRET}\n{servers}{lines} \
         radius-server accounting-start-packet resend 99\n radius-server accounting-stop-packet resend 99\n#\n"
    )
}

/// For each of these a scheme and a domain: everybody stays online, and all is told in the end.
fn domains(names: &[&str], interval: u16) -> String {
    let scheme = |name| {
        format!(
            " accounting-scheme {name}\n  accounting start-fail online keep-accounting\n  \
             accounting interim interval {interval} second hash\n"
        )
    };
    let domain = |name| format!(" domain {name}\n  accounting-scheme {name}\n  radius-server group {name}\n");
    ["aaa\n".to_owned()].into_iter().chain(names.iter().map(scheme)).chain(names.iter().map(domain)).collect()
}

/// Everybody has gone, and everything was acknowledged: no bill stands for anybody.
fn finish(crowd: Crowd, daemon: Daemon) -> Vec<Life> {
    let lives = crowd.finish(seconds(60));
    wait_until("everything is acknowledged", seconds(300), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    assert!(bills.is_empty(), "{bills:?}");
    daemon.terminate();
    assert!(lives.iter().all(|life| life.gone));
    lives
}

/// Each master has a backup; one is killed, the line to the other is cut.
#[test]
fn a_master_that_was_lost_is_passed_over_for_its_dead_time_and_asked_again_and_nothing_is_lost() {
    let site = Site::new();
    let [mut killed, killed_s_backup, cut, cut_s_backup] =
        ["killed", "killed-backup", "cut", "cut-backup"].map(|name| Server::start(&site, name));
    let line = BadLine::lay(cut.port, Weather::FINE);
    let two = " radius-server retransmit 2 timeout 3\n";
    site.configure(
        &[
            "radius-server dead-count 3\nradius-server dead-time 1 recover-count invalid\n\
             radius-server dead-interval 0\n#\n",
            &group("killed", &[killed.port, killed_s_backup.port], two),
            &group("cut", &[line.port(), cut_s_backup.port], two),
            &domains(&["killed", "cut"], 10),
        ]
        .concat(),
    );
    let daemon = Daemon::start(&site, "auto");
    let habits =
        Habits { lines: 150, pace: 30, tick: TICK, domains: &["killed", "cut"], first: 0, names_come_again: true };
    let crowd = Crowd::start(&site, &habits);
    wait_until("both masters work", seconds(40), || killed.count("Stop") > 20 && cut.count("Stop") > 20);
    for backup in [&killed_s_backup, &cut_s_backup] {
        assert!(backup.detail().records.is_empty(), "the master was there all the time");
    }

    killed.kill();
    line.cut();
    wait_until("both are Down", seconds(40), || daemon.logged("hwRadiusAcctServerDown") == 2);
    let died = Instant::now();
    wait_until("the backups work", seconds(40), || {
        killed_s_backup.count("Stop") > 20 && cut_s_backup.count("Stop") > 20
    });
    // By now nothing that was begun on a master is with it any more.
    wait_until("all that was out has gone on", seconds(60), || died.elapsed() > seconds(12));
    killed.come_back();
    line.mend();
    let masters = [&killed, &cut].map(|server| server.detail().records.len());
    wait_until("the dead-time has nearly passed", seconds(60), || died.elapsed() > seconds(55));
    assert_eq!([&killed, &cut].map(|server| server.detail().records.len()), masters, "it is asked before its time");
    wait_until("both are Up", seconds(40), || daemon.logged("hwRadiusAcctServerUp") == 2);
    let back = died.elapsed();
    println!("asked again {back:?} after they were Down");
    let before = [&killed_s_backup, &cut_s_backup].map(|server| server.count("Start"));
    wait_until("the masters work again", seconds(40), || {
        let all = [&killed, &cut].map(|server| server.detail().records.len());
        all.iter().zip(masters).all(|(now, then)| *now > then + 100)
    });
    let after = [&killed_s_backup, &cut_s_backup].map(|server| server.count("Start"));
    // But for what was on its way just then.
    let few = before.iter().zip(after).all(|(before, after)| after <= before + 3);
    assert!(few, "the backups are asked although the masters are Up: {before:?}, {after:?}");

    let lives = finish(crowd, daemon);
    let details = [&killed, &killed_s_backup, &cut, &cut_s_backup].map(Server::detail);
    let heard = HeardOnce::gather(&details);
    println!("{:?}", heard.check_all(&lives, seconds(12)));
}

#[test]
fn loading_share_asks_each_server_by_its_weight() {
    const WEIGHTS: [f64; 3] = [1.0, 2.0, 5.0];
    let site = Site::new();
    let servers = ["one", "two", "five"].map(|name| Server::start(&site, name));
    let [one, two, five] = &servers;
    site.configure(&format!(
        "radius-server group share\n radius-server shared-key {SECRET}\n radius-server algorithm loading-share\n \
         radius-server accounting 127.0.0.1 {} weight 1\n radius-server accounting 127.0.0.1 {} weight 2\n \
         radius-server accounting 127.0.0.1 {} weight 5\n#\n{}",
        one.port,
        two.port,
        five.port,
        domains(&["share"], 5)
    ));
    let daemon = Daemon::start(&site, "auto");
    let habits = Habits { lines: 3_000, pace: 300, tick: TICK, domains: &["share"], first: 0, names_come_again: true };
    let crowd = Crowd::start(&site, &habits);
    wait_until("there were some thousand Starts", seconds(60), || {
        servers.iter().map(|server| server.count("Start")).sum::<usize>() > 3_000
    });
    let lives = finish(crowd, daemon);
    let details = [one, two, five].map(Server::detail);
    println!("{:?}", HeardOnce::gather(&details).check_all(&lives, seconds(0)));

    // Starts and interims come evenly, so that no window is ever full; the Stops at the end come at once.
    let counts = details.each_ref().map(|detail| (detail.count("Start") + detail.count("Interim-Update")) as f64);
    let sum: f64 = counts.iter().sum();
    let expected = WEIGHTS.map(|weight| sum * weight / WEIGHTS.iter().sum::<f64>());
    let chi_square: f64 = counts.iter().zip(expected).map(|(count, due)| (count - due).powi(2) / due).sum();
    // At two degrees of freedom.
    let chance = (-chi_square / 2.0).exp();
    println!("{counts:?} of {expected:.0?}: chi-square {chi_square:.2}, which chance exceeds with p {chance:.4}");
    assert!(chi_square < 23.03, "by chance once in 100,000 runs: {counts:?}, {chi_square}");
}

#[test]
fn over_bad_lines_a_master_dies_and_returns_and_every_session_is_accounted_for_once() {
    // Three of a hundred, each way.
    fail_over(30, 4_000, 120, 15, 1_000);
}

#[test]
fn over_lines_that_lose_a_tenth_each_way_nothing_is_lost_either() {
    fail_over(100, 300, 6, 15, 40);
}

/// Both servers are at the end of lines that lose so many of a thousand datagrams; `pace` log-ins and log-outs a second. The master
/// is killed when it has heard `starts` Starts, and comes back when the backup has heard as many.
#[expect(clippy::print_stdout, reason = "the figures of two tests")]
fn fail_over(lost: usize, lines: usize, pace: u32, interval: u16, starts: usize) {
    let site = Site::new();
    let [mut master, backup] = ["master", "backup"].map(|name| Server::start(&site, name));
    let ways = [(master.port, 1), (backup.port, 2)].map(|(port, seed)| BadLine::lay(port, Weather::bad(seed, lost)));
    site.configure(
        &[
            "radius-server dead-count 5\nradius-server dead-time 1\nradius-server dead-interval 0\n#\n",
            &group("isp", &ways.each_ref().map(BadLine::port), " radius-server retransmit 3 timeout 3\n"),
            &domains(&["isp"], interval),
        ]
        .concat(),
    );
    let daemon = Daemon::start_with(&site, "auto", 2);
    let habits = Habits { lines, pace, tick: TICK, domains: &["isp"], first: 0, names_come_again: true };
    let crowd = Crowd::start(&site, &habits);
    wait_until("the master works", seconds(100), || master.count("Start") > starts);
    master.kill();
    wait_until("the backup works", seconds(100), || backup.count("Start") > starts);
    master.come_back();
    let before = master.count("Start");
    wait_until("the master works again", seconds(200), || master.count("Start") > before + starts);
    let began = Instant::now();
    let lives = finish(crowd, daemon);
    let took = began.elapsed();
    let details = [&master, &backup].map(Server::detail);
    // A Start may have waited for its turn, and then for nine seconds at each server.
    let sums = HeardOnce::gather(&details).check_all(&lives, seconds(40));
    let carried = ways.map(BadLine::end);
    println!("{sums:?}; {took:?} from the last log-out to the last reply; {carried:?}");
    assert!(sums.without_start * 10 < sums.sessions && sums.interims > sums.sessions / 20, "{sums:?}");
    assert!(sums.repeated > 0, "nothing came twice: these lines are not as bad as they should be");
    for carried in carried {
        let due = carried.taken * lost as u64 / 1_000;
        assert!(carried.lost * 3 > due && carried.doubled > 0 && carried.passed > 5, "{carried:?}");
    }
}
