//! The files of segments: their names, and reading all of them.
//!
//! **In:** a directory. **Out:** every segment in it, whole, by number. Octets that the medium does not give (EIO) are filler, and
//! an error says which; recovery judges them as any other damage. A directory of which the medium gives nothing at all is an error:
//! that is no damage but a dead disk. **Memory:** one segment.

use std::ops::Range;
use std::path::{Path, PathBuf};

use kernel::file::{FileError, LogFile};
use ledger::segment::SEGMENT_LEN_MAX;

/// What a segment's file name ends with.
const SEGMENT_EXTENSION: &str = "seg";

/// What stands for octets that cannot be read. Zeros would look like a torn write, ones like the end of a batch.
pub(super) const FILLER: u8 = 0xD5;

/// Unreadable places of a file that are told one by one.
const PLACES_MAX: usize = 8;

/// Says a line to whoever should know: the log, or the user of a command.
pub(crate) type Tell = fn(&str);

/// To the log, as an error.
pub(crate) fn to_log(line: &str) {
    tracing::error!("{line}");
}

/// The file of a segment.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.{SEGMENT_EXTENSION}"))
}

/// The segments that there are, by number: files whose names are exactly those that [`segment_path`] gives. A file that
/// somebody has put beside them under another name is none.
fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let entries = kernel::file::list(directory)?;
    let mut segments: Vec<(u64, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| {
            let path = directory.join(entry.name);
            let number = path.file_stem()?.to_str()?.parse::<u64>().ok()?;
            (number > 0 && path == segment_path(directory, number)).then_some((number, path))
        })
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Reads every segment, by number, one at a time; `take` is given its number and its octets, and gives memory for the next.
pub(crate) fn read_segments(
    directory: &Path,
    tell: Tell,
    mut take: impl FnMut(u64, Vec<u8>) -> Vec<u8>,
) -> Result<(), FileError> {
    let mut octets = Vec::new();
    let (mut dead, mut is_alive) = (None, false);
    for (number, path) in segments(directory)? {
        let file = LogFile::open_read_only(&path)?;
        // No segment is longer; a file that is has nothing of ours behind that.
        let len = file.length()?.min(SEGMENT_LEN_MAX);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if octets.capacity() < len {
            // Zeros that the system gives need not be written.
            octets = vec![0; len];
        }
        octets.resize(len, 0);
        let (read, unreadable) = file.read_around(&mut octets, FILLER)?;
        octets.truncate(read);
        let is_dead = read > 0 && unreadable.iter().map(Range::len).sum::<usize>() == read;
        if is_dead {
            dead.get_or_insert_with(|| path.clone());
        }
        is_alive |= !is_dead;
        if !unreadable.is_empty() {
            tell(&unreadable_words(&path, &unreadable));
        }
        octets = take(number, octets);
    }
    match dead {
        Some(path) if !is_alive => Err(FileError::unreadable(&path)),
        _ => Ok(()),
    }
}

fn unreadable_words(path: &Path, unreadable: &[Range<usize>]) -> String {
    let mut places: Vec<String> =
        unreadable.iter().take(PLACES_MAX).map(|range| format!("{} to {}", range.start, range.end - 1)).collect();
    if unreadable.len() > PLACES_MAX {
        places.push(format!("and at {} more places", unreadable.len() - PLACES_MAX));
    }
    format!("{}: the disk cannot read the octets {}; they count as damage", path.display(), places.join(", "))
}

/// Makes durable what a process that died has written to the segments.
pub(crate) fn sync_segments(directory: &Path) -> Result<(), FileError> {
    segments(directory)?.iter().try_for_each(|(_, path)| LogFile::open_read_only(path)?.sync_data())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_the_names_of_segments_are_segments() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["0000000000000001.seg", "1.seg", "0.seg", "0000000000000000.seg", "+000000000000002.seg"] {
            std::fs::write(scratch.path().join(name), b"x").unwrap();
        }
        let mut numbers = Vec::new();
        read_segments(scratch.path(), to_log, |number, octets| {
            numbers.push(number);
            octets
        })
        .unwrap();
        assert_eq!(numbers, [1]);
        sync_segments(scratch.path()).unwrap();
    }

    #[test]
    fn unreadable_places_are_told_and_not_without_end() {
        let places: Vec<Range<usize>> = (0..10).map(|number| number * 1024..number * 1024 + 512).collect();
        let words = |count: usize| unreadable_words(Path::new("/l/1.seg"), &places[..count]);
        let told = "/l/1.seg: the disk cannot read the octets 0 to 511, 1024 to 1535; they count as damage";
        assert_eq!(words(2), told);
        assert!(words(10).ends_with("7168 to 7679, and at 2 more places; they count as damage"), "{}", words(10));
    }
}
