//! Names in file systems that stay as they are (Landlock).

use std::io;
use std::path::Path;

use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    make_bitflags,
};

use super::Confined;

/// What is meant by confining: everything of this version of Landlock (Linux 6.12).
const ABI_MEANT: ABI = ABI::V6;

/// What may be done beneath a writable directory: files, directories and sockets, and nothing else that has a name.
const WRITING: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | MakeSock | RemoveFile | RemoveDir});

/// From now on this thread, and those that it starts, make, change and remove names only beneath these directories. They execute
/// no program, make no device, pipe or link, ask no device for anything by ioctl(2), send no signal to another process, and
/// mount nothing. Reading is as before, and so is what was opened before.
///
/// A directory is known by its inode: what is mounted on it later, or comes into its place, is another one. What comes to be
/// beneath it is part of it, whatever is mounted there.
///
/// # Errors
/// A directory that cannot be opened, with its path. Nothing is confined then.
pub fn confine_files<'a>(writable: impl IntoIterator<Item = &'a Path>) -> io::Result<Confined> {
    let meant = AccessFs::from_write(ABI_MEANT) | AccessFs::Execute;
    let mut rules = Ruleset::default()
        .handle_access(meant)
        .and_then(|rules| rules.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    for directory in writable {
        let opened = PathFd::new(directory).map_err(io::Error::other)?;
        rules = rules.add_rule(PathBeneath::new(opened, WRITING)).map_err(io::Error::other)?;
    }
    let status = rules.restrict_self().map_err(io::Error::other)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Whole,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}
