use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::connection::Lines;
use super::*;
use crate::run::sources::counting::Counting;
use crate::run::sources::fixture::desk;

#[test]
fn a_connection_forgets_sessions_that_are_over() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("socket");
    let mut socket = Socket::open(&path).unwrap();
    let (mut desk, _) = desk(place.path(), Counting::Told);
    let mut hook = UnixStream::connect(&path).unwrap();
    for name in ["s1", "s2", "s3"] {
        writeln!(hook, "{}", json!({ "op": "up", "session": name, "user": "u" })).unwrap();
    }
    for name in ["s1", "s2", "nobody"] {
        writeln!(hook, "{}", json!({ "op": "down", "session": name })).unwrap();
    }
    socket.turn(&mut desk).unwrap();
    let remembered = |socket: &Socket| (socket.connections[0].sessions.len(), socket.connections[0].unjudged.len());
    assert_eq!((remembered(&socket), socket.over.len()), ((3, 3), 2), "their verdicts may be on the way");
    let long_ago = Instant::now().checked_sub(VERDICT_PATIENCE).unwrap();
    socket.over.values_mut().for_each(|since| *since = long_ago);
    socket.looked_through = long_ago;
    socket.turn(&mut desk).unwrap();
    assert_eq!((remembered(&socket), socket.over.len()), ((1, 1), 0));
}

#[test]
fn lines_are_found_however_they_come() {
    let text = b"one\n\ntwo three\nfour";
    for piece in 1..=text.len() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for octets in text.chunks(piece) {
            lines.push(octets);
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        assert_eq!(found, [&b"one"[..], b"", b"two three"], "in pieces of {piece}");
        assert_eq!((lines.length(), lines.rest(), lines.length(), lines.rest()), (4, Some(b"four".to_vec()), 0, None));
    }
}

#[test]
fn lines_that_wait_are_not_lost() {
    let mut lines = Lines::default();
    lines.push(b"one\ntwo\nth");
    assert_eq!(lines.next(), Some(b"one".to_vec()));
    lines.push(b"ree\n");
    assert_eq!((lines.next(), lines.next(), lines.next()), (Some(b"two".to_vec()), Some(b"three".to_vec()), None));
    assert_eq!((lines.length(), lines.octets.len()), (0, 0));
}

#[test]
fn a_listener_that_reads_hears_of_all_cuts_that_stand() {
    const SESSIONS: usize = 30_000;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("socket");
    let mut socket = Socket::open(&path).unwrap();
    let (mut desk, _) = desk(place.path(), Counting::Told);
    let line = |number: usize| {
        let name = format!("session-{number:06}");
        let line = json!({ "session": name, "verdict": "cut", "reason": "admin", "at": 1_795_000_000.25 });
        (name, format!("{line}\n").into_bytes())
    };
    let standing: HashMap<String, Vec<u8>> = (0..SESSIONS).map(line).collect();
    let owed: usize = standing.values().map(Vec::len).sum();
    assert!(owed > 2 << 20);
    socket.standing.clone_from(&standing);
    let mut hook = UnixStream::connect(&path).unwrap();
    writeln!(hook, "{}", json!({ "op": "listen" })).unwrap();
    std::thread::scope(|scope| {
        let heard = scope.spawn(move || {
            let mut all = Vec::new();
            hook.read_to_end(&mut all).unwrap();
            all
        });
        socket.turn(&mut desk).unwrap();
        loop {
            socket.durable(0);
            assert_eq!(socket.connections.len(), 1, "it reads");
            if socket.connections[0].unsent.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(socket);
        let heard = heard.join().unwrap();
        let greeting = heard.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        assert_eq!(heard.len() - greeting, owed);
        assert_eq!(heard.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()).count(), 1 + SESSIONS);
    });
}
