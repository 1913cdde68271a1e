//! A shell on a real terminal: `tollgate cli` in a tmux of its own, which types and reads the screen.

use std::path::PathBuf;
use std::process::Command;

use super::{Site, run_command, seconds, wait_until};

/// A terminal; dropped, it is gone with all that runs in it.
pub(crate) struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// A shell on a screen of this size, at its first prompt.
    pub(crate) fn open(site: &Site, name: &str, (columns, rows): (u16, u16)) -> Terminal {
        let terminal = Terminal { socket: site.path(&format!("{name}.tmux")) };
        let [columns, rows] = [columns, rows].map(|size| size.to_string());
        let shell = format!("{} cli --control {}", env!("CARGO_BIN_EXE_tollgate"), site.control().display());
        // What it said last stays to be read.
        let command = format!("{shell}; echo ended with $?; sleep 600");
        let settings = site.path(&format!("{name}.tmux.conf"));
        std::fs::write(&settings, "set -g status off\n").unwrap();
        terminal.tmux(&["-f", settings.to_str().unwrap(), "new-session", "-d", "-x", &columns, "-y", &rows, &command]);
        terminal.wait_for(">");
        terminal
    }

    /// Types characters as they stand.
    pub(crate) fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses a key by its name: `Enter`, `Tab`, `C-z`, `Up`.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line and presses Enter; the screen must then end in this.
    pub(crate) fn line(&self, text: &str, end: &str) {
        self.type_text(text);
        self.press("Enter");
        self.wait_for_end(end);
    }

    /// Types a transcript: lines that begin with a prompt, or are a question, are what is typed behind it, and the lines below
    /// are what is shown then. Each prompt and each shown line is compared; `…` stands for the rest of a line, alone for any
    /// lines. The last line is a prompt alone.
    pub(crate) fn transcript(&self, text: &str) {
        let mut lines = text.trim().lines().peekable();
        let mut typed = "";
        let mut before = String::new();
        while let Some(line) = lines.next() {
            let (prompt, next) = split_prompt(line).unwrap_or_else(|| panic!("no prompt: {line}"));
            typed = next;
            self.wait_for_end(&format!("{before}{prompt}"));
            before = self.screen();
            if typed.is_empty() {
                break;
            }
            self.type_text(typed);
            self.press("Enter");
            let mut expected = Vec::new();
            while let Some(shown) = lines.next_if(|line| split_prompt(line).is_none()) {
                expected.push(shown);
            }
            let next =
                lines.peek().and_then(|line| split_prompt(line)).unwrap_or_else(|| panic!("what comes after {line}?"));
            let (begin, end) = (format!("{before}{typed}\n"), format!("\n{}", next.0));
            wait_until(&format!("{line} is answered, and {end:?} follows"), seconds(20), || {
                let screen = self.screen();
                screen.starts_with(&begin) && screen[begin.len() - 1..].ends_with(&end)
            });
            let screen = self.screen();
            let shown = screen[begin.len() - 1..].strip_suffix(&end).expect("it ended so");
            let shown: Vec<&str> = shown.lines().skip(1).collect();
            assert!(
                is_like(&shown, &expected),
                "{line} is answered by\n{}\nand not by\n{}",
                shown.join("\n"),
                expected.join("\n")
            );
            before.clear();
        }
        assert!(typed.is_empty() && lines.next().is_none(), "a transcript ends with a prompt");
    }

    /// All that was on the screen, blanks at the ends of lines apart.
    pub(crate) fn screen(&self) -> String {
        let screen = self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]);
        let lines: Vec<&str> = screen.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    }

    /// The screen as it is now: what scrolled out of it is left out.
    pub(crate) fn visible(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).trim_end().to_owned()
    }

    /// Pastes lines, marked as a paste where the shell wants that.
    pub(crate) fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Waits until this stands on the screen.
    pub(crate) fn wait_for(&self, part: &str) {
        wait_until(&format!("the screen shows {part:?}"), seconds(20), || self.screen().contains(part));
    }

    /// Waits until the screen ends in this.
    pub(crate) fn wait_for_end(&self, end: &str) {
        wait_until(&format!("the screen ends in {end:?}"), seconds(20), || self.screen().ends_with(end));
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        run_command(Command::new("tmux").arg("-S").arg(&self.socket).args(arguments)).well()
    }
}

/// The prompt that a line begins with, `<…>`, `[…]` or a question, and what is typed behind it.
fn split_prompt(line: &str) -> Option<(&str, &str)> {
    let end = match line.as_bytes().first()? {
        b'<' => line.find('>')? + 1,
        b'[' => line.find(']')? + 1,
        _ => line.find("]:")? + 2,
    };
    Some((&line[..end], line[end..].trim()))
}

/// Whether lines are what was expected.
fn is_like(shown: &[&str], expected: &[&str]) -> bool {
    match expected {
        [] => shown.is_empty(),
        ["…", rest @ ..] => (0..=shown.len()).any(|skipped| is_like(&shown[skipped..], rest)),
        [line, rest @ ..] => {
            let Some((first, others)) = shown.split_first() else { return false };
            let is_same = line.strip_suffix('…').map_or(first == line, |begin| first.starts_with(begin));
            is_same && is_like(others, rest)
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A server that has gone needs no end.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").status();
    }
}
