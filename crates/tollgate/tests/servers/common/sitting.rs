//! A shell without a terminal: lines straight to the control socket, and what comes back.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::{Site, seconds};

/// An open sitting.
pub(crate) struct Sitting {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Sitting {
    pub(crate) fn open(site: &Site) -> Sitting {
        let writer = UnixStream::connect(site.control()).unwrap();
        writer.set_read_timeout(Some(seconds(60))).unwrap();
        Sitting { reader: BufReader::new(writer.try_clone().unwrap()), writer }
    }

    /// Types a line, and does not wait for its answer.
    pub(crate) fn say(&mut self, line: &str) {
        self.writer.write_all(&request(line)).unwrap();
    }

    /// Types the same line again and again, until the daemon takes no more of it or has taken `most`. Says how many it took.
    pub(crate) fn insist(&mut self, line: &str, most: usize) -> usize {
        let request = request(line);
        self.writer.set_nonblocking(true).unwrap();
        // A socket of this kind takes a short write whole or not at all.
        let took_all = |writer: &mut UnixStream| match writer.write(&request) {
            Ok(octets) => octets == request.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        };
        let taken = (0..most).take_while(|_| took_all(&mut self.writer)).count();
        self.writer.set_nonblocking(false).unwrap();
        taken
    }

    /// The next answer: what is printed.
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Types a line: what is printed, and whether it is an error.
    pub(crate) fn ask(&mut self, line: &str) -> (String, bool) {
        self.say(line);
        let reply = self.hear();
        (reply["text"].as_str().unwrap().to_owned(), reply["error"].as_bool().unwrap())
    }

    /// Types a line that must go well.
    #[track_caller]
    pub(crate) fn obey(&mut self, line: &str) -> String {
        let (text, is_error) = self.ask(line);
        assert!(!is_error, "{line}: {text}");
        text
    }
}

fn request(line: &str) -> Vec<u8> {
    let saying = json!({ "line": { "text": line, "json": false, "terminal": false } });
    format!("{saying}\n").into_bytes()
}
