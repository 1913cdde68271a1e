//! Text a screen at a time: `---- More ----`, and a key says how it goes on.
//!
//! Blank and Page Down show the next screen, Enter the next line, every other key ends the text (BEHAVIOUR.md 2.3). The
//! screen is measured again at each stop, so a window may change its size meanwhile.

use std::io::Read as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};

use crate::exit::{Failure, Outcome};
use crate::output::print;
use crate::run::control::Reply;

const MORE: &str = "  ---- More ----";
/// Back to the first column, and nothing stands there any more.
const WIPE: &str = "\r\x1b[K";
/// Another screen than that of the lines, and back.
const OWN_SCREEN: &str = "\x1b[?1049h";
const BEFORE: &str = "\x1b[?1049l";
/// To the upper left corner of an empty screen.
const HOME: &str = "\x1b[H\x1b[J";
/// Between two answers.
const PAUSE: Duration = Duration::from_secs(1);
/// When the terminal does not say how large it is.
const ROWS_DEFAULT: usize = 24;

/// What the user wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Screen,
    Line,
    End,
}

/// Prints `text`. `length`: lines of a screen, 0 is all at once, `None` as many as the terminal has.
pub(super) fn page(text: &str, length: Option<u16>) -> Outcome {
    let mut rest = text;
    let (mut room, mut columns) = screen(length);
    loop {
        let (now, later) = split(rest, room, columns);
        print(now)?;
        if later.is_empty() {
            return Ok(());
        }
        print(MORE)?;
        let wish = wish()?;
        print(WIPE)?;
        rest = later;
        (room, columns) = match wish {
            Wish::Screen => screen(length),
            Wish::Line => (1, columns),
            Wish::End => return Ok(()),
        };
    }
}

/// Shows an answer in a screen of its own, and the next one in its place each second, until a key is pressed.
pub(super) fn watch(first: Reply, mut next: impl FnMut() -> Result<Reply, Failure>) -> Result<Reply, Failure> {
    let mut reply = first;
    let terminal = RawTerminal::enter()?;
    print(OWN_SCREEN)?;
    let watched = loop {
        let (rows, columns) = screen(None);
        let cut = |line: &str| line.chars().take(columns).collect::<String>() + "\r\n";
        let shown: String = reply.text.lines().take(rows).map(cut).collect();
        print(&format!("{HOME}{shown}"))?;
        match is_pressed(PAUSE) {
            Ok(true) => break Ok(reply),
            Ok(false) => {}
            Err(error) => break Err(error),
        }
        match next() {
            Ok(answer) if answer.again => reply = answer,
            // The command is not what it was: that is for the ordinary screen.
            answer => break answer,
        }
    };
    drop(terminal);
    print(BEFORE)?;
    watched
}

/// Waits for a key, and takes it.
fn is_pressed(pause: Duration) -> Result<bool, Failure> {
    let no_key = |error: std::io::Error| Failure::failed(format!("no key: {error}"));
    let timeout = Timespec::try_from(pause).map_err(|_| Failure::failed("no key"))?;
    let input = std::io::stdin();
    let ready = poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&timeout));
    match ready {
        Ok(0) | Err(Errno::INTR) => return Ok(false),
        Ok(_) => {}
        Err(error) => return Err(no_key(error.into())),
    }
    input.lock().read(&mut [0; 8]).map_err(no_key)?;
    Ok(true)
}

/// How many rows are shown at once, and how long each is; the last one of the terminal is for the question.
fn screen(length: Option<u16>) -> (usize, usize) {
    let size = tcgetwinsize(std::io::stdout()).ok();
    let of = |side: fn(&Winsize) -> u16, otherwise: usize| match size.as_ref().map(side) {
        None | Some(0) => otherwise,
        Some(side) => usize::from(side),
    };
    let rows = match length {
        Some(0) => usize::MAX,
        Some(lines) => usize::from(lines),
        None => of(|size| size.ws_row, ROWS_DEFAULT).saturating_sub(1).max(1),
    };
    (rows, of(|size| size.ws_col, usize::MAX))
}

/// The first lines that fit into so many rows, one at least, and what comes after them. A line that is longer than a row
/// goes on in the next.
fn split(text: &str, rows: usize, columns: usize) -> (&str, &str) {
    let mut used = 0;
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        used += line.trim_end().chars().count().div_ceil(columns).max(1);
        if used > rows && end > 0 {
            break;
        }
        end += line.len();
    }
    text.split_at(end)
}

/// Waits for a key.
fn wish() -> Result<Wish, Failure> {
    let terminal = RawTerminal::enter()?;
    let mut keys = [0; 8];
    let count = std::io::stdin().lock().read(&mut keys).map_err(|error| Failure::failed(format!("no key: {error}")))?;
    drop(terminal);
    Ok(meant(&keys[..count]))
}

fn meant(keys: &[u8]) -> Wish {
    match keys {
        b" " | b"\x1b[6~" => Wish::Screen,
        b"\r" | b"\n" | b"\x1b[B" => Wish::Line,
        _ => Wish::End,
    }
}

/// A terminal whose keys are set otherwise, until it is dropped.
pub(super) struct RawTerminal(Termios);

impl RawTerminal {
    /// Every key is handed over at once.
    fn enter() -> Result<RawTerminal, Failure> {
        RawTerminal::set(Termios::make_raw)
    }

    /// Ctrl+C and Ctrl+Z end or stop nothing: what they mean is for the shell to say.
    pub(super) fn without_signals() -> Result<RawTerminal, Failure> {
        RawTerminal::set(|termios| termios.local_modes.remove(LocalModes::ISIG))
    }

    fn set(change: impl FnOnce(&mut Termios)) -> Result<RawTerminal, Failure> {
        let cannot = |error| Failure::failed(format!("the terminal cannot be set: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(cannot)?;
        let mut raw = before.clone();
        change(&mut raw);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(cannot)?;
        Ok(RawTerminal(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no setting.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_behind_lines() {
        assert_eq!(split("a\nb\nc\n", 2, 80), ("a\nb\n", "c\n"));
        assert_eq!(split("a\nb\n", 2, 80), ("a\nb\n", ""));
        assert_eq!(split("a\nb", 9, 80), ("a\nb", ""));
        assert_eq!(split("", 1, 80), ("", ""));
        assert_eq!(split("a\nb\n", usize::MAX, 80), ("a\nb\n", ""));
        assert_eq!(split("four\n\nb\n", 3, 2), ("four\n\n", "b\n"), "a long line takes two rows");
        assert_eq!(
            split("a long line\nb\n", 1, 2),
            ("a long line\n", "b\n"),
            "one that is longer than the screen is shown"
        );
    }

    #[test]
    fn keys_mean_what_they_mean_on_a_router() {
        assert_eq!(meant(b" "), Wish::Screen);
        assert_eq!(meant(b"\r"), Wish::Line);
        for key in [&b"q"[..], b"\x03", b"\x1a", b"\x1b", b"", b"x"] {
            assert_eq!(meant(key), Wish::End, "{key:?}");
        }
    }
}
