//! Session sources that are told in JSON: a directory of files, and lines on a socket. FreeRADIUS says what came of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use plane::hello::Answer;
use serde_json::{Value, json};

use crate::common::{
    Daemon, Detail, Disk, FreeRadius, Intruder, Record, SECRET, Site, ToldSocket, Totals, answer, count, down,
    free_port, knock, seconds, up, wait_until,
};

/// A site with these sources and one server.
fn configure(site: &Site, port: u16, sources: &str) {
    site.configure(&format!(
        "{sources}#\nradius-server group isp\n radius-server shared-key {SECRET}\n \
         radius-server accounting 127.0.0.1 {port}\n#\n\
         aaa\n accounting-scheme isp\n  accounting start-fail online keep-accounting\n domain isp\n  accounting-scheme isp\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n"
    ));
}

fn wait_for_records(server: &Path, kind: &str, records: usize) -> Detail {
    let what = format!("{records} of {kind}");
    wait_until(&what, seconds(30), || FreeRadius::detail(server).sessions(kind) == records);
    FreeRadius::detail(server)
}

/// What a user's only session has of a kind.
fn only<'a>(detail: &'a Detail, kind: &str, user: &str) -> &'a Record {
    let of_user: Vec<&Record> = detail.of(kind).filter(|record| record.text("User-Name") == user).collect();
    let is_one = of_user.windows(2).all(|pair| pair[0].session() == pair[1].session());
    assert!(is_one && !of_user.is_empty(), "{kind} of {user}: {of_user:?}");
    of_user[0]
}

/// Writes a file as it has to be written: whole, under another name, and then renamed.
fn put(directory: &Path, name: &str, content: &Value) {
    let hidden = directory.join(format!(".{name}"));
    std::fs::write(&hidden, content.to_string()).unwrap();
    std::fs::rename(hidden, directory.join(name)).unwrap();
}

fn with_totals(mut content: Value, totals: Totals) -> Value {
    let said = count("", totals);
    for key in ["in_octets", "in_packets", "out_octets", "out_packets"] {
        content[key] = said[key].clone();
    }
    content
}

#[test]
fn files_of_a_directory_are_sessions_and_outlive_kill_9() {
    let site = Site::new();
    let (port, server, directory) = (free_port(), site.path("radius"), site.path("sessions"));
    configure(&site, port, &format!("session-source directory {} domain isp\n", directory.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    // Made by the daemon, as nobody else had.
    let alice = json!({"user": "alice", "framed_ip": "100.64.0.1", "access": "ipoe"});
    for (name, content) in [("alice.json", &alice), ("bob.json", &json!({"user": "bob"}))] {
        put(&directory, name, content);
    }
    put(&directory, "carol.json", &json!({"user": "carol", "cause": 5}));
    put(&directory, "no-session.txt", &json!({"user": "nobody"}));
    std::fs::write(directory.join("broken.json"), "{\"user\":").unwrap();
    let detail = wait_for_records(&server, "Start", 3);
    assert_eq!(only(&detail, "Start", "alice").text("Framed-IP-Address"), "100.64.0.1");
    // A change is an update, and tells the server of the new address.
    let mut moved = with_totals(alice, Totals::of(1, 1));
    moved["framed_ip"] = "100.64.0.9".into();
    put(&directory, "alice.json", &moved);
    let detail = wait_for_records(&server, "Interim-Update", 1);
    assert_eq!(only(&detail, "Interim-Update", "alice").text("Framed-IP-Address"), "100.64.0.9");
    let shown = daemon.display("display session-source");
    let source = &shown["sources"][0];
    assert_eq!((&source["sessions"], &source["ups"], &source["downs"]), (&json!(3), &json!(3), &json!(0)), "{shown}");
    assert!(source["last_error"].as_str().unwrap().starts_with("broken.json: "), "{shown}");
    daemon.kill9();
    // Meanwhile one goes, one comes, and one goes on counting.
    std::fs::remove_file(directory.join("broken.json")).unwrap();
    std::fs::remove_file(directory.join("bob.json")).unwrap();
    put(&directory, "dave.json", &json!({"user": "dave", "session": "d-1"}));
    put(&directory, "alice.json", &with_totals(moved, Totals::of(2, 2)));
    let daemon = Daemon::start(&site, "auto");
    let detail = wait_for_records(&server, "Start", 4);
    assert_eq!(only(&detail, "Start", "dave").text("Acct-Status-Type"), "Start");
    let detail = wait_for_records(&server, "Stop", 1);
    assert_eq!(only(&detail, "Stop", "bob").session(), only(&detail, "Start", "bob").session());
    for name in ["alice.json", "carol.json", "dave.json"] {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    let detail = wait_for_records(&server, "Stop", 4);
    let stop = only(&detail, "Stop", "alice");
    assert_eq!((stop.totals(), stop.session()), (Totals::of(2, 2), only(&detail, "Start", "alice").session()));
    assert_eq!(only(&detail, "Stop", "carol").text("Acct-Terminate-Cause"), "Session-Timeout");
    assert!(daemon.bills().is_empty());
    daemon.terminate();
}

#[test]
fn a_session_of_a_directory_that_is_cut_has_a_file_that_says_so() {
    let site = Site::new();
    let (port, server, directory) = (free_port(), site.path("radius"), site.path("sessions"));
    configure(&site, port, &format!("session-source directory {} domain isp\n", directory.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    put(&directory, "alice.json", &json!({"user": "alice"}));
    put(&directory, "eve.json", &json!({"user": "eve", "domain": "nowhere"}));
    wait_for_records(&server, "Start", 1);
    daemon.cli(&["cut access-user username alice", "Y"]);
    let [cut, refused] = ["alice", "eve"].map(|name| directory.join(format!("{name}.json.verdict")));
    let says = |file: &Path, what: &str| std::fs::read_to_string(file).is_ok_and(|said| said.contains(what));
    wait_until("alice is cut", seconds(10), || says(&cut, "\"cut-by-operator\""));
    wait_until("eve is refused", seconds(10), || says(&refused, "\"no-domain\""));
    // Whoever runs the sessions obeys.
    std::fs::remove_file(directory.join("alice.json")).unwrap();
    let detail = wait_for_records(&server, "Stop", 1);
    assert_eq!(only(&detail, "Stop", "alice").text("Acct-Terminate-Cause"), "Admin-Reset");
    wait_until("the verdict goes with its session", seconds(10), || !cut.exists());
    assert_eq!(daemon.display("display session-source")["sources"][0]["sessions"], 0);
    daemon.terminate();
}

#[test]
fn a_session_of_a_directory_that_was_told_to_be_over_stays_so_until_it_is_another() {
    let site = Site::new();
    let (port, server, directory) = (free_port(), site.path("radius"), site.path("sessions"));
    site.configure(&format!(
        "session-source directory {} domain isp\n#\nradius-server group isp\n radius-server shared-key {SECRET}\n \
         radius-server accounting 127.0.0.1 {port}\n#\naaa\n accounting-scheme isp\n domain isp\n  accounting-scheme isp\n  \
         radius-server group isp\n  quota-out redirect url http://192.0.2.1/ redirect-stop-accounting\n",
        directory.display()
    ));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let refused = json!({"user": "eve", "domain": "nowhere"});
    let limited = json!({"user": "alice", "volume_quota": 1000});
    put(&directory, "eve.json", &refused);
    put(&directory, "alice.json", &limited);
    wait_for_records(&server, "Start", 1);
    let verdict = directory.join("eve.json.verdict");
    wait_until("eve is refused", seconds(10), || verdict.exists());
    put(&directory, "alice.json", &with_totals(limited.clone(), Totals::of(5000, 0)));
    wait_for_records(&server, "Stop", 1);
    // Counters, and a file that is written anew, are nothing new of the subscriber.
    let shown = || daemon.display("display session-source")["sources"][0].clone();
    for round in 1..=3 {
        put(&directory, "eve.json", &with_totals(refused.clone(), Totals::of(round, 0)));
        put(&directory, "alice.json", &with_totals(limited.clone(), Totals::of(5000 + round, 0)));
        // Looked at behind them.
        put(&directory, "zoe.json", &json!({"user": format!("zoe{round}"), "session": format!("z{round}")}));
        wait_for_records(&server, "Start", 1 + usize::try_from(round).unwrap());
        let shown = shown();
        assert_eq!((&shown["ups"], &shown["sessions"]), (&json!(2 + round), &json!(1)), "{shown}");
    }
    // Another domain and another quota are.
    put(&directory, "eve.json", &json!({"user": "eve"}));
    put(&directory, "alice.json", &json!({"user": "alice", "volume_quota": 1_000_000_000_000_u64}));
    let detail = wait_for_records(&server, "Start", 6);
    only(&detail, "Start", "eve");
    assert_eq!(detail.of("Start").filter(|start| start.text("User-Name") == "alice").count(), 2);
    assert!(!verdict.exists());
    assert_eq!((&shown()["ups"], &shown()["sessions"]), (&json!(7), &json!(3)));
    daemon.terminate();
}

#[test]
fn lines_on_a_socket_are_answered_when_they_are_durable() {
    let site = Site::new();
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(&site, port, &format!("session-source socket {}\n", path.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A hook says its line and goes; the answer and the verdict come to it all the same.
    let said = ToldSocket::one_shot(&path, &format!("{}\n", up("s1", "isp")));
    assert_eq!(said[0], json!({"session": "s1", "taken": true}), "{said:?}");
    assert_eq!((&said[1]["verdict"], said.len()), (&json!("admit"), 2), "{said:?}");
    let mut socket = ToldSocket::open(&path);
    socket.taken(&up("s2", "isp"));
    assert_eq!(socket.verdict(), ("s2".to_owned(), "admit".to_owned(), "opened".to_owned()));
    socket.taken(&count("s1", Totals::of(1, 1)));
    socket.taken(&count("s2", Totals::of(5, 0)));
    for (line, why) in [
        ("{\"op\":\"up\"".to_owned(), "EOF"),
        (json!({"op": "up", "session": "s3"}).to_string(), "needs a \"user\""),
        (json!({"op": "up", "session": "s3", "user": "u", "frame_ip": "1.2.3.4"}).to_string(), "unknown field"),
        (count("s9", Totals::of(1, 1)).to_string(), "no such session is up"),
        (down("s9", 1).to_string(), "no such session is up"),
        (json!({"op": "resync"}).to_string(), "nothing to announce"),
    ] {
        socket.say(&line);
        let answer = socket.hear().unwrap();
        assert_eq!(answer["taken"], false, "{line}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{line}: {answer}");
    }
    // A name that comes up again is a new session, and what the old one counted is its own.
    socket.taken(&up("s2", "isp"));
    let detail = wait_for_records(&server, "Stop", 1);
    assert_eq!(only(&detail, "Stop", "s2@isp").totals(), Totals::of(5, 0));
    // Counters that begin again lose nothing, and neither does a crash.
    socket.taken(&json!({"op": "reset", "session": "s1"}));
    socket.taken(&count("s1", Totals::of(2, 0)));
    daemon.kill9();
    let daemon = Daemon::start_with(&site, "auto", 1);
    daemon.wait_for_sessions(2, "Accounting");
    let mut socket = ToldSocket::open(&path);
    let (one, other) = (Totals::of(1, 1), Totals::of(2, 0));
    let sum = Totals {
        in_octets: one.in_octets + other.in_octets,
        in_packets: one.in_packets + other.in_packets,
        out_octets: one.out_octets + other.out_octets,
        out_packets: one.out_packets + other.out_packets,
    };
    socket.taken(&json!({"op": "down", "session": "s1", "cause": 1}));
    // The last totals may come with the end.
    let mut last = count("s2", Totals::of(9, 3));
    last["op"] = "down".into();
    socket.taken(&last);
    let detail = wait_for_records(&server, "Stop", 3);
    assert_eq!(only(&detail, "Stop", "s1@isp").totals(), sum);
    let of_s2 = detail.of("Stop").filter(|stop| stop.text("User-Name") == "s2@isp").map(Record::totals);
    let of_s2: Vec<Totals> = of_s2.collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(of_s2, [Totals::of(5, 0), Totals::of(9, 3)]);
    assert_eq!(detail.sessions("Start"), 3);
    daemon.terminate();
    assert!(!path.exists());
}

#[test]
fn who_listens_hears_every_verdict_and_a_source_comes_and_goes_by_commit() {
    let site = Site::new();
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(&site, port, "");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let source = format!("session-source socket {}", path.display());
    daemon.cli(&["system-view", &source, "commit"]).well();
    let taken = format!("session-source directory {}", site.config().display());
    let refused = daemon.cli(&["system-view", &taken, "commit"]);
    assert!(refused.code == Some(1) && refused.out.contains("cannot be watched"), "{}", refused.out);
    let missing = daemon.cli(&["system-view", &format!("{source} domain nowhere"), "commit"]);
    assert!(missing.code == Some(1) && missing.out.contains("does not exist"), "{}", missing.out);
    let mut socket = ToldSocket::open(&path);
    socket.taken(&up("s1", "isp"));
    socket.taken(&up("s2", "isp"));
    let mut listener = ToldSocket::open(&path);
    assert_eq!(listener.ask(&json!({"op": "listen"})), json!({"listening": true, "sessions": 2}));
    daemon.cli(&["cut access-user username s1@isp", "Y"]);
    let cut = ("s1".to_owned(), "cut".to_owned(), "cut-by-operator".to_owned());
    assert_eq!(listener.verdict(), cut);
    // It stands until the session has gone, whatever else is said of it.
    socket.taken(&count("s1", Totals::of(3, 0)));
    let mut late = ToldSocket::open(&path);
    late.say("{\"op\":\"listen\"}");
    assert_eq!(late.verdict(), cut);
    socket.taken(&count("s2", Totals::of(7, 0)));
    // Another domain changes nothing for those who are there; without the source they are gone.
    daemon.cli(&["system-view", &format!("{source} domain isp"), "commit"]).well();
    socket.taken(&json!({"op": "up", "session": "s3", "user": "carol"}));
    daemon.wait_for_sessions(3, "Accounting");
    daemon.cli(&["system-view", &format!("undo {source}"), "commit"]).well();
    let detail = wait_for_records(&server, "Stop", 3);
    assert_eq!(only(&detail, "Stop", "s2@isp").totals(), Totals::of(7, 0));
    assert_eq!(only(&detail, "Stop", "carol").text("Acct-Terminate-Cause"), "NAS-Request");
    assert!(!path.exists() && daemon.display("display session-source")["sources"].as_array().unwrap().is_empty());
    // It comes back without them.
    daemon.cli(&["system-view", &source, "commit"]).well();
    ToldSocket::open(&path).taken(&up("s1", "isp"));
    wait_for_records(&server, "Start", 4);
    assert_eq!(daemon.states().len(), 1);
    daemon.terminate();
}

#[test]
fn a_socket_that_is_misused_serves_others_all_the_same() {
    let site = Site::new();
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(&site, port, &format!("session-source socket {} domain isp\n", path.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    // Some that say nothing, and one that goes in the middle of a line.
    let idle: Vec<ToldSocket> = (0..100).map(|_| ToldSocket::open(&path)).collect();
    let said = ToldSocket::one_shot(&path, "{\"op\":\"up\",\"session\":");
    assert!(said.len() == 1 && said[0]["taken"] == false, "{said:?}");
    // One line without an end, and octets that are no text.
    let endless = format!("{{\"op\":\"up\",\"session\":\"{}", "s".repeat(100_000));
    let mut socket = ToldSocket::open(&path);
    socket.try_say(endless.as_bytes());
    let answer = socket.hear().unwrap();
    assert!(answer["error"].as_str().unwrap().contains("65536 octets"), "{answer}");
    assert!(socket.hear().is_none(), "it is closed");
    let mut socket = ToldSocket::open(&path);
    socket.try_say(b"\xff\xfe{}\n[1,2]\n\"text\"\nnull\n\n   \n");
    for _ in 0..4 {
        assert_eq!(socket.hear().unwrap()["taken"], false);
    }
    let long = "x".repeat(65);
    for line in [json!({"op": "up", "session": long, "user": "u"}), json!({"op": "up", "session": "", "user": "u"})] {
        assert!(socket.ask(&line)["error"].as_str().unwrap().contains("1 to 64 octets"));
    }
    // One that never reads is sent away; another one is served meanwhile.
    let mut deaf = ToldSocket::open(&path);
    let question = format!("{}\n", json!({"op": "down", "session": "nobody-is-called-like-that"})).repeat(500);
    while deaf.try_say(question.as_bytes()) {}
    ToldSocket::open(&path).taken(&json!({"op": "up", "session": "s1", "user": "alice"}));
    wait_for_records(&server, "Start", 1);
    drop(idle);
    daemon.terminate();
}

#[test]
fn two_thousand_lines_at_once_are_answered_in_order_and_outlive_kill_9() {
    const SESSIONS: usize = 2_000;
    let site = Site::new();
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(&site, port, &format!("session-source socket {}\n", path.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let lines = |line: fn(&str) -> Value| {
        (0..SESSIONS).map(|number| format!("{}\n", line(&format!("s{number}")))).collect::<String>()
    };
    let all_taken = |said: &[Value]| {
        let taken: Vec<&Value> = said.iter().filter(|line| line["taken"] == true).collect();
        let names = taken.iter().map(|line| line["session"].as_str().unwrap().to_owned());
        assert!(names.eq((0..SESSIONS).map(|number| format!("s{number}"))), "{} are taken", taken.len());
    };
    all_taken(&ToldSocket::one_shot(&path, &lines(|name| up(name, "isp"))));
    all_taken(&ToldSocket::one_shot(&path, &lines(|name| count(name, Totals::of(name.len() as u64, 1)))));
    daemon.kill9();
    let daemon = Daemon::start_with(&site, "auto", 1);
    let shown = || daemon.display("display session-source")["sources"][0]["sessions"].clone();
    wait_until("all are there again", seconds(30), || shown() == SESSIONS);
    all_taken(&ToldSocket::one_shot(&path, &lines(|name| down(name, 1))));
    let detail = wait_for_records(&server, "Stop", SESSIONS);
    assert_eq!(detail.sessions("Start"), SESSIONS);
    for stop in detail.of("Stop") {
        let name = stop.text("User-Name").trim_end_matches("@isp");
        assert_eq!(stop.totals(), Totals::of(name.len() as u64, 1), "{stop:?}");
    }
    assert!(std::fs::read_dir(site.state().join("sources")).unwrap().flatten().all(|register| {
        let left = std::fs::read_dir(register.path()).unwrap().flatten();
        left.filter(|file| file.path().extension().is_some()).count() == 0
    }));
    daemon.terminate();
}

#[test]
fn no_plane_is_called_as_a_source_is() {
    let site = Site::new();
    configure(&site, free_port(), "");
    let daemon = Daemon::start(&site, "auto");
    let answered = |name: &str| {
        let plane = Intruder::new(name, 1, 16);
        answer(&knock(&site.link(), &plane.hello(), &plane.descriptors()).unwrap()).unwrap()
    };
    for name in ["directory-0123456789abcdef", "socket-fedcba9876543210", "interfaces-0000000000000000"] {
        assert_eq!(answered(name), Answer::NameTaken, "{name}");
    }
    assert_eq!(answered("socket-0"), Answer::Accepted);
    daemon.terminate();
}

#[test]
fn a_connection_whose_answers_wait_for_the_ledger_is_not_read_on() {
    let site = Site::new();
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(&site, port, &format!("session-source socket {}\n", path.display()));
    let _radius = FreeRadius::start(&server, port);
    let disk = Disk::of_ledger(&site);
    let daemon = Daemon::start(&site, "auto");
    ToldSocket::open(&path).taken(&up("s0", "isp"));
    disk.make_read_only();
    // One answer that waits, and as many behind it as will be.
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(format!("{}\n", up("s1", "isp")).as_bytes()).unwrap();
    stream.set_write_timeout(Some(seconds(3))).unwrap();
    let line = format!("{}\n", json!({"op": "down", "session": "nobody"}));
    let lines = line.repeat(1000);
    let mut said = 0;
    let end = loop {
        match stream.write(&lines.as_bytes()[said % line.len()..]) {
            Ok(octets) => said += octets,
            Err(error) => break error,
        }
        assert!(said < 4 << 20, "it is read on for ever");
    };
    assert_eq!(end.kind(), ErrorKind::WouldBlock);
    // Others are served meanwhile.
    let mut other = ToldSocket::open(&path);
    assert_eq!(other.ask(&json!({"op": "listen"}))["listening"], true);
    assert!(daemon.load(seconds(1)) < 0.7, "it spins");
    disk.restore();
    // Everything is answered, in order.
    stream.set_read_timeout(Some(seconds(60))).unwrap();
    let reader = BufReader::new(stream.try_clone().unwrap());
    let rest = &line.as_bytes()[said % line.len()..];
    let answered = std::thread::scope(|scope| {
        let answers = scope.spawn(|| reader.lines().map(|line| line.unwrap()).collect::<Vec<String>>());
        stream.set_write_timeout(Some(seconds(30))).unwrap();
        stream.write_all(rest).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        answers.join().unwrap()
    });
    assert_eq!(answered[0], json!({"session": "s1", "taken": true}).to_string());
    let refused = answered.iter().filter(|answer| answer.contains("no such session is up")).count();
    assert_eq!(refused, said.div_ceil(line.len()) + usize::from(said % line.len() == 0));
    daemon.terminate();
}

#[test]
fn sources_that_are_taken_away_have_their_last_words_together() {
    const SOURCES: usize = 4;
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    let paths: Vec<_> = (0..SOURCES).map(|number| site.path(&format!("sessions{number}.sock"))).collect();
    let sources: Vec<String> = paths.iter().map(|path| format!("session-source socket {}", path.display())).collect();
    configure(&site, port, &format!("{}\n", sources.join("\n")));
    let _radius = FreeRadius::start(&server, port);
    let disk = Disk::of_ledger(&site);
    let daemon = Daemon::start(&site, "auto");
    for (number, path) in paths.iter().enumerate() {
        ToldSocket::open(path).taken(&up(&format!("s{number}"), "isp"));
    }
    wait_for_records(&server, "Start", SOURCES);
    disk.make_read_only();
    // Their ends are not durable, and are not waited for any longer than those of one.
    let mut commands = vec!["system-view".to_owned()];
    commands.extend(sources.iter().map(|source| format!("undo {source}")));
    commands.push("commit".to_owned());
    let began = Instant::now();
    daemon.cli(&commands.iter().map(String::as_str).collect::<Vec<_>>()).well();
    let took = began.elapsed();
    assert!(took > seconds(3) && took < seconds(9), "{took:?}");
    assert!(paths.iter().all(|path| !path.exists()));
    // What they have said is heard when the ledger has it.
    disk.restore();
    let detail = wait_for_records(&server, "Stop", SOURCES);
    assert!(detail.of("Stop").all(|stop| stop.text("Acct-Terminate-Cause") == "NAS-Request"));
    daemon.terminate();
}
