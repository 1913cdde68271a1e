use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::run::sources::counting::Counting;
use crate::run::sources::desk::SharedReport;
use crate::run::sources::fixture::desk;

/// A directory whose plane nobody reads: what is said fits into its ring.
struct Stage {
    place: TempDir,
    directory: Directory,
    desk: Desk,
    report: SharedReport,
}

impl Stage {
    fn new() -> Stage {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().join("sessions");
        let directory = Directory::open(&at).unwrap();
        let (desk, report) = desk(place.path(), Counting::Told);
        Stage { place, directory, desk, report }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path.join(name)
    }

    fn put(&self, name: &str, content: &Value) {
        fs::write(self.path(".new"), content.to_string()).unwrap();
        fs::rename(self.path(".new"), self.path(name)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn turn(&mut self) {
        self.directory.turn(&mut self.desk).unwrap();
    }

    fn walk_through(&mut self) {
        self.directory.rescan = Instant::now();
        self.turn();
    }

    /// How often a session came up and went.
    fn counted(&self) -> (u64, u64) {
        let report = self.report.lock().unwrap();
        (report.ups, report.downs)
    }

    fn problem(&self) -> String {
        self.report.lock().unwrap().last_error.as_ref().map(|(_, problem)| problem.clone()).unwrap_or_default()
    }

    /// Who is up, with what is said of the user.
    fn users(&self) -> Vec<(String, String)> {
        let live = self.desk.plane.live().iter();
        let user = |said: &Map<String, Value>| said["user"].as_str().unwrap().to_owned();
        let mut users: Vec<_> = live.map(|(name, live)| (name.clone(), user(&live.entry.said))).collect();
        users.sort();
        users
    }
}

fn user(session: &str, user: &str) -> Value {
    json!({ "session": session, "user": user })
}

fn is(session: &str, user: &str) -> (String, String) {
    (session.to_owned(), user.to_owned())
}

#[test]
fn a_session_whose_file_is_renamed_goes_on() {
    let mut stage = Stage::new();
    stage.put("m.json", &user("s1", "alice"));
    stage.turn();
    let mut before = "m.json";
    for name in ["z.json", "a.json", "n.json"] {
        fs::write(stage.path(&format!("{before}.verdict")), "cut").unwrap();
        stage.rename(before, name);
        stage.turn();
        assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice")], (1, 0)), "{name}");
        assert_eq!(fs::read_to_string(stage.path(&format!("{name}.verdict"))).unwrap(), "cut");
        before = name;
    }
    // Half of a renaming is told, and the other half later.
    stage.rename("n.json", "b.json");
    stage.directory.look(BTreeSet::from(["n.json".to_owned()]), true, &mut stage.desk).unwrap();
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice")], (1, 0)));
    // Nothing is told at all.
    stage.rename("b.json", "c.json");
    stage.directory.changes();
    stage.walk_through();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice")], (1, 0)));
    assert_eq!(stage.problem(), "");
    stage.remove("c.json");
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![], (1, 1)));
    assert!(!stage.path("c.json.verdict").exists());
}

#[test]
fn sessions_whose_files_swap_their_names_go_on() {
    let mut stage = Stage::new();
    stage.put("a.json", &user("s1", "alice"));
    stage.put("b.json", &user("s2", "bob"));
    stage.turn();
    stage.rename("a.json", "aside");
    stage.rename("b.json", "a.json");
    stage.rename("aside", "b.json");
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice"), is("s2", "bob")], (2, 0)));
    // One is written over with the other's.
    stage.rename("a.json", "b.json");
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s2", "bob")], (2, 1)));
    assert_eq!(stage.problem(), "");
}

#[test]
fn a_second_file_of_a_session_waits_until_the_first_has_gone() {
    let mut stage = Stage::new();
    stage.put("b.json", &user("s1", "alice"));
    stage.turn();
    stage.put("a.json", &user("s1", "bob"));
    stage.turn();
    assert_eq!(stage.problem(), "a.json: session s1 is that of b.json already");
    assert_eq!(stage.users(), [is("s1", "alice")]);
    stage.remove("b.json");
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "bob")], (1, 0)));
    // The one that waits may go first, and so may what a file says.
    stage.put("b.json", &user("s1", "carol"));
    stage.turn();
    stage.remove("b.json");
    stage.turn();
    assert_eq!(stage.users(), [is("s1", "bob")]);
    stage.put("a.json", &user("s2", "bob"));
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![is("s2", "bob")], (2, 1)));
}

#[test]
fn what_is_no_file_is_not_waited_for_and_changes_nothing() {
    let mut stage = Stage::new();
    stage.put("a.json", &user("s1", "alice"));
    stage.turn();
    let pipe = stage.path("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink(&pipe, stage.path("b.json")).unwrap();
    stage.walk_through();
    assert_eq!(stage.problem(), "b.json: it is no regular file");
    fs::rename(&pipe, stage.path("a.json")).unwrap();
    stage.turn();
    assert_eq!(stage.problem(), "a.json: it is no regular file");
    symlink("/dev/zero", stage.path("c.json")).unwrap();
    stage.walk_through();
    assert_eq!(stage.problem(), "c.json: it is no regular file");
    fs::write(stage.path("d.json"), vec![b' '; 100_000]).unwrap();
    stage.turn();
    assert_eq!(stage.problem(), "d.json: it has more than 65536 octets");
    // A link may lead to what only the daemon can read: it is not followed, however well that would be written.
    fs::write(stage.path("elsewhere"), user("s5", "mallory").to_string()).unwrap();
    symlink(stage.path("elsewhere"), stage.path("e.json")).unwrap();
    stage.walk_through();
    assert_eq!(stage.problem(), "e.json: it is no regular file");
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice")], (1, 0)));
    ["a.json", "b.json", "c.json", "d.json", "e.json"].iter().for_each(|name| stage.remove(name));
    stage.turn();
    assert_eq!((stage.users(), stage.counted()), (vec![], (1, 1)));
}

#[test]
fn a_verdict_is_written_to_no_file_but_its_own() {
    let stage = Stage::new();
    let (others, verdict, new) = (stage.path("others"), stage.path("a.json.verdict"), stage.path(NEW_VERDICT));
    fs::write(&others, "theirs").unwrap();
    for link in [&verdict, &new] {
        symlink(&others, link).unwrap();
        stage.directory.write_verdict("a.json", b"cut").unwrap();
        assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
        assert!(verdict.symlink_metadata().unwrap().is_file());
        fs::remove_file(&verdict).unwrap();
        mknodat(CWD, link, FileType::Fifo, Mode::RWXU, 0).unwrap();
        stage.directory.write_verdict("a.json", b"cut").unwrap();
        assert_eq!(fs::read_to_string(&verdict).unwrap(), "cut");
        fs::remove_file(&verdict).unwrap();
    }
    assert!(!new.exists() && !is_session_file(NEW_VERDICT));
}

#[test]
fn a_session_that_could_not_be_told_of_is_tried_again() {
    let mut stage = Stage::new();
    let register = stage.place.path().join("register");
    fs::rename(&register, stage.place.path().join("away")).unwrap();
    stage.put("a.json", &user("s1", "alice"));
    stage.turn();
    assert!(stage.problem().starts_with("a.json: the session cannot be written down"), "{}", stage.problem());
    stage.walk_through();
    assert_eq!(stage.users(), []);
    fs::rename(stage.place.path().join("away"), &register).unwrap();
    stage.walk_through();
    assert_eq!(stage.users(), [is("s1", "alice")]);
    let errors = stage.report.lock().unwrap().errors;
    stage.walk_through();
    assert_eq!(stage.report.lock().unwrap().errors, errors);
}

#[test]
fn a_field_that_is_not_said_any_more_stays() {
    let mut stage = Stage::new();
    stage.put("a.json", &json!({ "user": "alice", "framed_ip": "100.64.0.1" }));
    stage.turn();
    stage.put("a.json", &json!({ "user": "bob" }));
    stage.turn();
    let said = stage.desk.plane.live()["a"].entry.said.clone();
    assert_eq!(Value::Object(said), json!({ "user": "bob", "framed_ip": "100.64.0.1" }));
}

#[test]
fn a_directory_that_is_not_there_ends_nobody() {
    let mut stage = Stage::new();
    stage.put("a.json", &user("s1", "alice"));
    stage.turn();
    let away = stage.place.path().join("away");
    fs::rename(&stage.directory.path, &away).unwrap();
    stage.turn();
    fs::remove_file(away.join("a.json")).unwrap();
    stage.turn();
    assert!(stage.problem().starts_with("the directory cannot be read"), "{}", stage.problem());
    assert_eq!((stage.users(), stage.counted()), (vec![is("s1", "alice")], (1, 0)));
    fs::rename(&away, &stage.directory.path).unwrap();
    stage.walk_through();
    assert_eq!((stage.users(), stage.counted()), (vec![], (1, 1)));
}
