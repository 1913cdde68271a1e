//! A resync of more sessions than there is room for, in C: it goes on as the engine makes it durable, and the verdicts that
//! come meanwhile are obeyed.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use model::counters::CounterSlot;
use model::ids::PlaneIndex;
use model::verdict::{Reason, Sentence, Verdict};
use plane::VerdictError;

use crate::c_header::compile;
use crate::engine::{PATIENCE, accept, listen, welcome};

const SESSIONS: usize = 500;

#[test]
fn a_long_resync_in_c_waits_for_room_and_obeys_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let (program, path) = (place.path().join("announce"), place.path().join("plane.sock"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/link/announce.c");
    compile("cc", &["-std=c11", "-o", program.to_str().unwrap(), source.to_str().unwrap()]).unwrap();
    let listener = listen(&path);
    let mut child = Command::new(program).arg(&path).spawn().unwrap();
    let mut linked = welcome(accept(&listener));
    // What it said while there was no engine is still there: a resync that came to no end.
    let mut ups = 0;
    let began = Instant::now();
    loop {
        let told = linked.next(0);
        let end = told == "ResyncEnd";
        if told.starts_with("Up") {
            ups += 1;
            let (session, sentence, reason) = (&b"s"[..], Sentence::Admit, Reason::Known);
            let verdict = Verdict { plane: PlaneIndex(0), session, counters: CounterSlot::default(), sentence, reason };
            // It reads its verdicts while it waits for room, so there is room for this one sooner or later.
            while linked.region.verdicts().push(&verdict) == Err(VerdictError::Full) {
                assert!(began.elapsed() < PATIENCE, "verdicts are not read");
                linked.durable();
                std::thread::yield_now();
            }
            linked.kick_plane();
        }
        linked.durable();
        if end {
            break;
        }
    }
    assert!(ups > SESSIONS, "{ups}");
    assert_eq!(linked.next(1), "ResyncBegin");
    assert!(child.wait().unwrap().success());
}
