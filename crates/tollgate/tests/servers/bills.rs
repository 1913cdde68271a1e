//! Bills are the same whoever tells them; what is saved starts again; and a secret is never in clear.

use std::path::Path;

use crate::common::{
    Daemon, Feed, SECRET, Site, Totals, Tracer, count, down, free_port, path, seconds, tollgate, up, wait_until,
};

const SESSIONS: u64 = 7;

/// Every way to ask a store for its bills.
const WAYS: [&[&str]; 6] = [
    &["bills", "list"],
    &["bills", "show"],
    &["bills", "export"],
    &["bills", "export", "--format", "csv"],
    &["bills", "export", "--format", "json"],
    &["bills", "export", "--unbilled"],
];

fn tell_all(state: &Path) -> Vec<String> {
    let state = ["--state-dir", state.to_str().unwrap()];
    WAYS.iter().map(|way| tollgate(way.iter().chain(&state)).well()).collect()
}

/// A daemon whose server does not answer makes a bill of each session.
fn make_bills(site: &Site) -> Daemon {
    let group = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
    site.configure_one(free_port(), group, "  accounting start-fail online keep-accounting\n");
    let daemon = Daemon::start(site, "auto");
    let mut feed = Feed::listen(site);
    feed.say((0..SESSIONS).map(|number| up(&format!("s{number}"), "isp")));
    feed.say((0..SESSIONS).flat_map(|number| {
        let name = format!("s{number}");
        [count(&name, Totals::of(number, number)), down(&name, 1)]
    }));
    feed.finish(seconds(30));
    wait_until("every session is billed", seconds(40), || daemon.bills().len() as u64 == SESSIONS);
    daemon
}

#[test]
fn bills_of_a_running_and_of_a_stopped_store_agree() {
    let site = Site::new();
    let daemon = make_bills(&site);
    let running = tell_all(&site.state());
    let state = site.state();
    let verify = || tollgate(["bills", "verify", "--state-dir", state.to_str().unwrap()]).well();
    assert!(verify().contains("7 bills"), "{}", verify());

    let bills = daemon.bills();
    let mut totals: Vec<Totals> = bills.iter().map(Totals::of_bill).collect();
    totals.sort_unstable();
    let mut expected: Vec<Totals> = (0..SESSIONS).map(|number| Totals::of(number, number)).collect();
    expected.sort_unstable();
    assert_eq!(totals, expected);
    for bill in &bills {
        assert_eq!((&bill["reason"], &bill["nas"]), (&"stop-unanswered".into(), &"BNG1".into()), "{bill}");
    }
    let [list, show, detail, csv, json, unbilled] = &running[..] else { panic!("six ways") };
    assert_eq!((list.lines().count(), csv.lines().count(), json.lines().count()), (8, 8, 7), "{list}{csv}{json}");
    assert_eq!(show.matches("Contents of Bill ").count(), 7, "{show}");
    assert_eq!(crate::common::Detail::parse(&format!("{detail}\n")).count("Stop"), 7, "{detail}");
    assert!(unbilled.trim().is_empty(), "{unbilled}");
    let id = bills[3]["id"].as_str().unwrap();
    let one = tollgate(["bills", "show", "--id", id, "--state-dir", state.to_str().unwrap()]).well();
    assert!(one.starts_with(&format!("Contents of Bill {id}:")) && one.matches("Contents").count() == 1, "{one}");

    daemon.kill9();
    assert_eq!(tell_all(&state), running, "a killed store says something else");
    Daemon::start(&site, "auto").terminate();
    assert_eq!(tell_all(&state), running, "a stopped store says something else");
    verify();
}

#[test]
fn forms_and_unbilled_bills_are_the_same_on_a_stopped_store() {
    let site = Site::new();
    let daemon = make_bills(&site);
    let state = site.state();
    let bills = |arguments: &[&str], state: &Path| {
        tollgate(["bills"].iter().chain(arguments).chain(&["--state-dir", state.to_str().unwrap()]))
    };
    let id = daemon.bills()[2]["id"].as_str().unwrap().to_owned();
    let one = bills(&["show", "--id", &id, "--format", "json"], &state).well();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&one).unwrap()["id"], id.as_str());
    let said = bills(&["show", "--id", "BNG1-1-99", "--id", &id, "--id", "nonesuch"], &state);
    assert_eq!(said.out.matches("Contents of Bill").count(), 1, "{}", said.out);
    said.refused(1, &["there are no bills BNG1-1-99, nonesuch"]);

    let said = daemon.cli(&["system-view", "local-aaa-server", "undo local-bill-pool enable", "Y", "commit"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let ask = |state: &Path| -> Vec<String> {
        let mut told = Vec::new();
        for verb in ["list", "show", "export"] {
            for form in [&[][..], &["--format", "detail"], &["--format", "csv"], &["--format", "json"]] {
                let billed = bills(&[&[verb][..], form].concat(), state).well();
                let unbilled = bills(&[&[verb, "--unbilled"][..], form].concat(), state).well();
                let headers = usize::from(form.last() == Some(&"csv") || (verb, form.len()) == ("list", 0));
                assert_eq!(billed.lines().count(), headers, "{verb} {form:?} shows unbilled bills:\n{billed}");
                told.push(unbilled);
            }
        }
        told
    };
    let running = ask(&state);
    assert_eq!((running[0].lines().count(), running[2].lines().count(), running[3].lines().count()), (8, 8, 7));
    assert_eq!((&running[3], &running[2]), (&running[11], &running[10]), "a form has one meaning");
    bills(&["show", "--id", &id], &state).refused(1, &["there is no bill", &id]);
    bills(&["show", "--id", &id, "--unbilled"], &state).well();
    daemon.terminate();
    assert_eq!(ask(&state), running, "a stopped store says something else");
    bills(&["show", "--id", &id], &state).refused(1, &["there is no bill", &id]);
    bills(&["show", "--id", &id, "--unbilled"], &state).well();

    let verdict = bills(&["verify", "--format", "json", "--unbilled"], &state).well();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!((&verdict["bills"], &verdict["unbilled"], &verdict["sound"]), (&7.into(), &7.into(), &true.into()));
    assert!(bills(&["verify", "--unbilled"], &state).well().contains("7 bills (7 of them unbilled)"));
    assert_eq!(bills(&["verify", "--format", "csv"], &state).well().lines().count(), 2);

    // A copy is read as it is, and stays as it is.
    let copy = site.path("copy");
    assert!(std::process::Command::new("cp").arg("-r").args([&state, &copy]).status().unwrap().success());
    std::fs::remove_file(copy.join("lock")).unwrap();
    let before = files(&copy);
    assert_eq!(ask(&copy), running, "a copy says something else");
    bills(&["verify"], &copy).well();
    assert_eq!(files(&copy), before, "a file was made in the copy");
}

#[test]
fn bills_of_a_killed_store_are_shown_after_their_sync() {
    let site = Site::new();
    make_bills(&site).kill9();
    let state = site.state();
    // The card has a segment, too.
    std::fs::write(state.join("cfcard/0000000000000001.seg"), [0; 8192]).unwrap();
    let segments = files(&state).into_iter().filter(|file| file.extension().is_some_and(|end| end == "seg"));
    let segments: Vec<_> = segments.map(|file| file.canonicalize().unwrap()).collect();
    assert!(segments.len() >= 2, "{segments:?}");
    for way in [&["bills", "list"][..], &["bills", "export", "--format", "json"]] {
        let (said, trace) =
            Tracer::of_command(&site, "fdatasync,write", way.iter().chain(&["--state-dir", path(&state)]));
        assert!(said.well().lines().count() >= 7);
        let shown = trace.find("write(1<").expect("something is shown");
        for segment in &segments {
            let synced = trace.find(&format!("<{}>) = 0", segment.display()));
            assert!(synced.is_some_and(|at| at < shown), "{} is not synced:\n{trace}", segment.display());
        }
    }
}

#[test]
fn a_ledger_that_is_not_the_one_that_was_is_not_begun_anew() {
    let site = Site::new();
    make_bills(&site).terminate();
    let (ledger, record) = (site.state().join("ledger"), site.state().join("daemon.json"));
    let [old, newest, other] = ["old", "newest", "other"].map(|name| site.path(name));
    assert!(std::process::Command::new("cp").arg("-r").args([&ledger, &old]).status().unwrap().success());
    (0..2).for_each(|_| Daemon::start(&site, "auto").terminate());
    // Its file system is not mounted.
    std::fs::rename(&ledger, &newest).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    let refused = |parts: &[&str]| tollgate(Daemon::arguments(&site)).refused(1, &[&[path(&record)], parts].concat());
    refused(&["is empty", "3 engine starts", "mounted?"]);
    // Another one's is.
    std::fs::rename(&record, site.path("record")).unwrap();
    Daemon::start(&site, "auto").terminate();
    std::fs::rename(site.path("record"), &record).unwrap();
    refused(&["is not the one", "mounted?"]);
    // An older copy is: no engine start has a number twice.
    std::fs::rename(&ledger, &other).unwrap();
    std::fs::rename(&old, &ledger).unwrap();
    let daemon = Daemon::start(&site, "auto");
    assert_eq!(daemon.logged("ids go on behind those recorded"), 1);
    let recorded: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert_eq!(recorded["epoch"], 4);
    daemon.terminate();
}

#[test]
fn what_is_saved_starts_again_and_secrets_are_never_in_clear() {
    let site = Site::new();
    let daemon = make_bills(&site);
    let written = std::fs::read(site.config()).unwrap();
    assert!(holds(&written, SECRET.as_bytes()), "the secret was written in clear by hand");
    let commands = ["display current-configuration", "display radius-server configuration", "save", "Y"];
    let said = daemon.cli(&commands).well();
    let mut outputs = tell_all(&site.state());
    outputs.push(said);
    outputs.push(daemon.display("display radius-server configuration").to_string());
    let shown = daemon.cli(&["display current-configuration"]).well();
    daemon.terminate();

    let saved = std::fs::read_to_string(site.config()).unwrap();
    assert_eq!(saved, shown, "what was saved is not what was shown");
    let (config, key) = (site.config(), site.state().join("secret.key"));
    let config = config.to_str().unwrap();
    outputs.push(tollgate(["check", config]).well());
    outputs.push(tollgate(["check", "--key-file", key.to_str().unwrap(), config]).well());
    let daemon = Daemon::start(&site, "auto");
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), saved);
    daemon.terminate();

    for output in &outputs {
        assert!(!output.contains(SECRET), "the secret is in:\n{output}");
    }
    for file in files(site.directory.path()) {
        let octets = std::fs::read(&file).unwrap();
        assert!(!holds(&octets, SECRET.as_bytes()), "the secret is in {}", file.display());
    }
}

/// Every regular file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn holds(octets: &[u8], wanted: &[u8]) -> bool {
    let mut begins = octets.iter().enumerate().filter(|(_, octet)| **octet == wanted[0]);
    begins.any(|(at, _)| octets[at..].starts_with(wanted))
}
