//! `tollgate feed`: plays a plane script over the native link, with the same client library that a packet plane uses.

mod link;
mod play;

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use crate::args::FeedArgs;
use crate::exit::{Failure, Outcome};
use crate::script::{self, Line};
use play::{NAP, Pace, Player};

/// Plays the script to its end; sessions still up are then stopped, unless they are kept.
pub(crate) fn feed(args: &FeedArgs) -> Outcome {
    let pace = match (args.asap, args.speed) {
        (true, _) => Pace::Asap,
        (false, Some(speed)) if speed.is_finite() && speed > 0.0 => Pace::Speed(speed),
        (false, Some(_)) => return Err(Failure::usage("--speed needs a number above 0")),
        (false, None) => Pace::Speed(1.0),
    };
    let name = args.plane.clone().unwrap_or_else(|| default_name(&args.file));
    if args.file.as_os_str() == "-" {
        let mut player = Player::new(args, &name, pace)?;
        let lines = standard_input();
        for number in 0.. {
            // Verdicts and the link are looked after while whoever writes takes its time.
            let line = loop {
                match lines.recv_timeout(NAP) {
                    Err(RecvTimeoutError::Timeout) => player.look()?,
                    Err(RecvTimeoutError::Disconnected) => return player.finish(args.keep),
                    Ok(line) => break line,
                }
            };
            let line = line.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
            if let Some(line) = read_line("standard input", number, &line)? {
                player.play(&line)?;
            }
        }
        player.finish(args.keep)
    } else {
        // A file is read whole before the first line is played: a mistake in it plays nothing.
        let lines = read_file(args)?;
        let mut player = Player::new(args, &name, pace)?;
        for line in &lines {
            player.play(line)?;
        }
        player.finish(args.keep)
    }
}

/// Lines of standard input, read by a thread of their own: a read cannot be waited for together with the link.
fn standard_input() -> Receiver<std::io::Result<String>> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1024);
    std::thread::spawn(move || std::io::stdin().lock().lines().try_for_each(|line| sender.send(line)));
    receiver
}

fn read_file(args: &FeedArgs) -> Result<Vec<Line>, Failure> {
    let shown = args.file.display().to_string();
    let file =
        std::fs::File::open(&args.file).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let mut lines = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| Failure::failed(format!("cannot read {shown}: {error}")))?;
        lines.extend(read_line(&shown, number, &line)?);
    }
    Ok(lines)
}

fn read_line(file: &str, number: usize, line: &str) -> Result<Option<Line>, Failure> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    script::read(line).map(Some).map_err(|what| Failure::usage(format!("{file}:{}: {what}", number + 1)))
}

/// The plane's name when none is given: a hash of the script's path, so that the same script is the same plane.
fn default_name(file: &std::path::Path) -> String {
    let absolute = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    format!("feed-{:016x}", plane::record::session_hash(absolute.as_os_str().as_encoded_bytes()))
}
