//! What the daemon gives up: names that it may write, system calls that it may make, memory that others may read.
//!
//! Files come first, before there is a second thread, for each thread is confined by itself and hands that on to those it starts.
//! System calls come last, when everything is open. Nothing of it can be widened later, so a commit that names a place where the
//! daemon may not write is refused before it changes anything.

use std::path::{Path, PathBuf};

use kernel::sandbox::{Confined, confine_calls, confine_files, keep_memory_private};
use model::settings::{Settings, SourceKind};

use crate::args::RunArgs;

/// Where the daemon writes.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The directories beneath which names are made and changed, as they are without links; `None`: any.
    writable: Option<Vec<PathBuf>>,
    calls: bool,
}

/// No core dump has a secret in it, and nobody reads one in the memory of this process. Holds with and without a sandbox.
pub(crate) fn keep_secrets_in_memory() {
    if let Err(error) = keep_memory_private() {
        tracing::warn!("core dumps of this process may hold secrets: {error}");
    }
}

impl Sandbox {
    /// Confines this thread, and those it will start, to the directories of these arguments and settings.
    pub(crate) fn enter(args: &RunArgs, key_file: &Path, settings: &Settings) -> Sandbox {
        if args.no_sandbox {
            tracing::warn!("--no-sandbox: files and system calls are not confined");
            return Sandbox { writable: None, calls: false };
        }
        let mut writable: Vec<PathBuf> = Vec::new();
        for place in places(args, key_file, settings) {
            match place.canonicalize() {
                Ok(directory) if directory.parent().is_some() => writable.push(directory),
                Ok(_) => tracing::warn!("nothing is written to the directory /, which would be everywhere"),
                Err(error) => tracing::warn!("nothing can be written to {} later: {error}", place.display()),
            }
        }
        writable.sort_unstable();
        writable.dedup_by(|next, before| next.starts_with(before));
        let shown = shown(&writable);
        let is_confined = match confine_files(writable.iter().map(PathBuf::as_path)) {
            Ok(Confined::Whole) => true,
            Ok(Confined::Partly) => {
                tracing::warn!("the kernel's Landlock is older than Linux 6.12: not all that should be confined is");
                true
            }
            Ok(Confined::Not) => {
                tracing::warn!(
                    "files are not confined: the kernel has no Landlock (Linux 5.13, `landlock` among the security \
                     modules of its command line)"
                );
                false
            }
            Err(error) => {
                tracing::warn!("files are not confined: {error}");
                false
            }
        };
        if is_confined {
            tracing::info!("files are written only beneath {shown}, and nothing is executed");
        }
        Sandbox { writable: is_confined.then_some(writable), calls: true }
    }

    /// Confines the system calls of all threads.
    pub(crate) fn close(&self) {
        if !self.calls {
            return;
        }
        match confine_calls() {
            Ok(Confined::Not) => {
                tracing::warn!(
                    "system calls are not confined: the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)"
                );
            }
            Ok(_) => tracing::info!("system calls are those that are needed, and no other"),
            Err(error) => tracing::warn!("system calls are not confined: {error}"),
        }
    }

    /// These settings name no place where the daemon would have to write and may not.
    ///
    /// # Errors
    ///
    /// The first such place, and what to do about it.
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), String> {
        let Some(writable) = &self.writable else { return Ok(()) };
        let may_write = |place: &Path| {
            nearest_directory(place).is_some_and(|found| writable.iter().any(|directory| found.starts_with(directory)))
        };
        match places_of(settings).into_iter().find(|(_, place)| !may_write(place)) {
            None => Ok(()),
            Some((named, _)) => Err(format!(
                "{named} is outside the directories that the daemon writes to ({}); start it with --writable and the \
                 directory of that path",
                shown(writable)
            )),
        }
    }
}

/// Every directory that this daemon writes to.
fn places(args: &RunArgs, key_file: &Path, settings: &Settings) -> Vec<PathBuf> {
    let mut places = vec![args.state_dir.clone()];
    places.extend(args.writable.iter().cloned());
    let files = [Some(&*args.config), Some(&args.control), Some(key_file)];
    places.extend(files.into_iter().flatten().map(directory_of));
    // A card that is mounted later is no part of the directory that is there now, but of the one above.
    if let Some(card) = &args.card_dir {
        places.extend(card.canonicalize());
        places.extend(nearest_directory(&directory_of(card)));
    }
    places.extend(places_of(settings).into_iter().map(|(_, place)| place));
    places
}

/// The directories that settings have written to, each with the path that they name. The directory of a session source may be
/// made anew by others: so it is the one above that counts.
fn places_of(settings: &Settings) -> Vec<(&str, PathBuf)> {
    let link = settings.plane_link.path.as_deref();
    let sources = settings.session_sources.keys().filter(|source| source.kind != SourceKind::Interfaces);
    link.into_iter().chain(sources.map(|source| &*source.at)).map(|path| (path, directory_of(path.as_ref()))).collect()
}

fn directory_of(path: &Path) -> PathBuf {
    std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_else(|| "/".into())
}

/// The directory, or the first one above it that is there, without links.
fn nearest_directory(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|above| above.canonicalize().ok().filter(|found| found.is_dir()))
}

fn shown(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::settings::SourcePlace;

    #[test]
    fn a_commit_names_only_places_where_the_daemon_writes() {
        let scratch = tempfile::tempdir().unwrap();
        let [ours, theirs] = ["ours", "theirs"].map(|name| scratch.path().canonicalize().unwrap().join(name));
        std::fs::create_dir(&ours).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        std::os::unix::fs::symlink(&theirs, ours.join("link")).unwrap();
        let check = |writable: Option<Vec<PathBuf>>, path: &Path| {
            let mut settings = Settings::default();
            settings.plane_link.path = Some(path.to_str().unwrap().to_owned());
            Sandbox { writable, calls: false }.check(&settings)
        };
        let confined = Some(vec![ours.clone()]);
        for inside in ["plane.sock", "new/and/deeper/plane.sock", "../ours/plane.sock"] {
            assert_eq!(check(confined.clone(), &ours.join(inside)), Ok(()), "{inside}");
        }
        for outside in [theirs.join("plane.sock"), ours.join("link/plane.sock"), "/plane.sock".into()] {
            let why = check(confined.clone(), &outside).unwrap_err();
            for part in [outside.to_str().unwrap(), ours.to_str().unwrap(), "--writable"] {
                assert!(why.contains(part), "{why}");
            }
            assert_eq!(check(None, &outside), Ok(()));
        }
    }

    #[test]
    fn sources_that_write_nothing_need_no_place() {
        let sandbox = Sandbox { writable: Some(Vec::new()), calls: false };
        let with = |kind, at: &str| {
            let mut settings = Settings::default();
            settings.session_sources.insert(SourcePlace { kind, at: at.to_owned() }, Default::default());
            sandbox.check(&settings)
        };
        assert_eq!(with(SourceKind::Interfaces, "ppp*"), Ok(()));
        assert!(with(SourceKind::Directory, "/run/sessions").is_err());
        assert!(with(SourceKind::Socket, "/run/sessions.sock").is_err());
    }
}
