//! Patches as `git diff` writes them, put in strictly: what a hunk finds must stand in its file exactly once, wherever that is by
//! now. So code may move, and a patch whose place is gone says so.

use std::path::Path;

/// One planted bug.
pub(crate) struct Patch {
    pub(crate) name: String,
    /// What is wrong then, from the comment in front.
    pub(crate) bug: String,
    files: Vec<Change>,
}

struct Change {
    /// From the root of the workspace.
    path: String,
    hunks: Vec<Hunk>,
}

#[derive(Default)]
struct Hunk {
    before: String,
    after: String,
}

impl Patch {
    /// Reads `NAME.patch`.
    pub(crate) fn read(path: &Path) -> Patch {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (mut bug, mut files) = (Vec::new(), Vec::<Change>::new());
        for line in text.lines() {
            let hunks = files.last_mut().map(|change| &mut change.hunks);
            if let Some(path) = line.strip_prefix("+++ b/") {
                files.push(Change { path: path.to_owned(), hunks: Vec::new() });
            } else if line.starts_with("--- ") || line.starts_with("diff ") || line.starts_with("index ") {
            } else if let Some(comment) = line.strip_prefix("# ") {
                bug.push(comment.to_owned());
            } else if let Some(hunks) = hunks {
                match (line.split_at_checked(1), hunks.last_mut()) {
                    (Some(("@", _)), _) => hunks.push(Hunk::default()),
                    (Some((sign, rest)), Some(hunk)) => hunk.add(sign, rest, &name),
                    (None, Some(hunk)) => hunk.add(" ", "", &name),
                    _ => panic!("{name}.patch: a line before the first hunk: {line}"),
                }
            }
        }
        let is_whole = !bug.is_empty() && !files.is_empty() && files.iter().all(|change| !change.hunks.is_empty());
        assert!(is_whole, "{name}.patch: wanted is a line `# what the bug is`, and what `git diff` writes");
        Patch { name, bug: bug.join(" "), files }
    }

    /// The files that it changes.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|change| change.path.as_str())
    }

    /// Its files as they stand below `root`, with the bug in them.
    ///
    /// # Errors
    /// It does not apply any more: what, and where.
    pub(crate) fn applied(&self, root: &Path) -> Result<Vec<(&str, String)>, String> {
        let wrong = |change: &Change, why: &str| {
            let Patch { name, .. } = self;
            format!("crates/sim/mutants/{name}.patch does not apply any more: {}: {why}", change.path)
        };
        let mut files = Vec::new();
        for change in &self.files {
            let mut text =
                std::fs::read_to_string(root.join(&change.path)).map_err(|e| wrong(change, &e.to_string()))?;
            for Hunk { before, after } in &change.hunks {
                let count = text.matches(before.as_str()).count();
                if count != 1 {
                    let why =
                        format!("this stands there {count} times, and should once; plant the bug anew:\n{before}");
                    return Err(wrong(change, &why));
                }
                text = text.replacen(before.as_str(), after, 1);
            }
            files.push((change.path.as_str(), text));
        }
        Ok(files)
    }
}

impl Hunk {
    fn add(&mut self, sign: &str, rest: &str, name: &str) {
        let (before, after) = match sign {
            " " => (true, true),
            "-" => (true, false),
            "+" => (false, true),
            _ => panic!("{name}.patch: a line of a hunk begins with a blank, - or +: {sign}{rest}"),
        };
        for (text, _) in [(&mut self.before, before), (&mut self.after, after)].into_iter().filter(|(_, is)| *is) {
            text.push_str(rest);
            text.push('\n');
        }
    }
}
