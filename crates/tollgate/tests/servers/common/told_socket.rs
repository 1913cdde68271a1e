//! A connection to a session source's socket.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::seconds;

/// An open connection.
pub(crate) struct ToldSocket {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl ToldSocket {
    pub(crate) fn open(path: &Path) -> ToldSocket {
        let writer = UnixStream::connect(path).unwrap();
        writer.set_read_timeout(Some(seconds(30))).unwrap();
        ToldSocket { reader: BufReader::new(writer.try_clone().unwrap()), writer }
    }

    /// Says a line, whatever it is.
    pub(crate) fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Says octets, whatever they are; false when the other side does not take them any more.
    pub(crate) fn try_say(&mut self, octets: &[u8]) -> bool {
        self.writer.set_write_timeout(Some(seconds(20))).unwrap();
        self.writer.write_all(octets).is_ok()
    }

    /// The next line; `None` when the other side has closed.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            // It was closed before everything was read.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            read => read.unwrap(),
        };
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
    }

    /// Says a line; what is answered to it, verdicts being passed over.
    pub(crate) fn ask(&mut self, line: &Value) -> Value {
        self.say(&line.to_string());
        loop {
            let answer = self.hear().expect("an answer");
            if answer.get("verdict").is_none() {
                return answer;
            }
        }
    }

    /// Says a line that is taken.
    #[track_caller]
    pub(crate) fn taken(&mut self, line: &Value) {
        let answer = self.ask(line);
        assert_eq!(answer["taken"], true, "{line}: {answer}");
        assert_eq!(answer["session"], line["session"]);
    }

    /// The next verdict: whom it is on, what, and why.
    pub(crate) fn verdict(&mut self) -> (String, String, String) {
        loop {
            let line = self.hear().expect("a verdict");
            let word = |name: &str| line[name].as_str().map(str::to_owned);
            if let (Some(session), Some(verdict), Some(reason)) = (word("session"), word("verdict"), word("reason")) {
                return (session, verdict, reason);
            }
        }
    }

    /// Says everything at once and closes its own half, as `echo … | socat` does; what was answered.
    pub(crate) fn one_shot(path: &Path, lines: &str) -> Vec<Value> {
        let mut socket = ToldSocket::open(path);
        let mut writer = socket.writer.try_clone().unwrap();
        // What is answered is read meanwhile: neither side has room for everything.
        std::thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(lines.as_bytes()).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            std::iter::from_fn(|| socket.hear()).collect()
        })
    }
}
