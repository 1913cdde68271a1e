//! `tollgate cli`: commands to a running daemon. On a terminal it is a shell; with `-c`, or with standard input that is no
//! terminal, it runs them in one sitting and prints what a terminal would show without prompts.

mod pager;
mod terminal;

use std::io::{BufRead, BufReader, IsTerminal, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::args::CliArgs;
use crate::exit::{FAILED, Failure, Outcome};
use crate::output::{complain, print};
use crate::run::control::{Reply, Saying};

/// A connection to the daemon.
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Client {
    /// Connects, or says why not.
    pub(crate) fn connect(path: &Path) -> Result<Client, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::failed(format!("no daemon answers on {}: {error}; is `tollgate run` started?", path.display()))
        };
        let writer = UnixStream::connect(path).map_err(cannot)?;
        let reader = BufReader::new(writer.try_clone().map_err(cannot)?);
        Ok(Client { reader, writer })
    }

    /// Says something.
    pub(crate) fn say(&mut self, saying: &Saying) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(saying).map_err(Failure::failed)?;
        line.push(b'\n');
        self.writer.write_all(&line).map_err(|error| match self.hear() {
            // A daemon that turns a client away says why before it closes the door.
            Ok(reply) if reply.error => Failure::failed(reply.text.trim_start_matches("Error: ").trim_end()),
            _ => Failure::failed(format!("the daemon went away: {error}")),
        })
    }

    /// Hears one answer, or one part of it.
    pub(crate) fn hear(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err(Failure::failed("the daemon went away")),
            Ok(_) => {
                serde_json::from_str(&line).map_err(|_| Failure::failed("what answers is no tollgate of this version"))
            }
            Err(error) => Err(Failure::failed(format!("the daemon went away: {error}"))),
        }
    }
}

/// Runs the commands; the exit status is 1 as soon as one printed an error.
pub(crate) fn cli(args: &CliArgs) -> Outcome {
    let mut client = Client::connect(&args.control)?;
    if args.commands.is_empty() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return terminal::talk(client, args.json);
    }
    let mut sitting =
        Sitting { client: &mut client, json: args.json, failed: false, asks: false, uncommitted: false, ended: false };
    if args.commands.is_empty() {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
            sitting.execute(&line)?;
            if sitting.ended {
                break;
            }
        }
    } else {
        for command in &args.commands {
            sitting.execute(command)?;
            if sitting.ended {
                break;
            }
        }
    }
    sitting.finish()
}

struct Sitting<'a> {
    client: &'a mut Client,
    json: bool,
    failed: bool,
    asks: bool,
    uncommitted: bool,
    ended: bool,
}

impl Sitting<'_> {
    fn execute(&mut self, line: &str) -> Result<(), Failure> {
        self.client.say(&Saying::Line { text: line.to_owned(), json: self.json, terminal: false })?;
        let reply = self.client.hear()?;
        print(&reply.text)?;
        if reply.asks {
            print("\n")?;
        }
        self.failed |= reply.error;
        self.asks = reply.asks;
        self.uncommitted = reply.uncommitted;
        self.ended = reply.ended;
        Ok(())
    }

    /// A question that is still open is answered N; a candidate that was not committed is discarded, visibly, be it by
    /// that answer.
    fn finish(mut self) -> Outcome {
        let uncommitted = self.uncommitted && !self.ended;
        while self.asks && !self.ended {
            self.execute("N")?;
        }
        if uncommitted {
            complain("Warning: Uncommitted configurations were discarded.");
            self.failed = true;
        }
        if self.failed { Err(Failure::Said(FAILED)) } else { Ok(()) }
    }
}
