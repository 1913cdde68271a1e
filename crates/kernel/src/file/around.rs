//! Reading around what a medium does not give.
//!
//! **In:** a reader, and room for what it reads. **Out:** the room filled, with filler where the medium fails with EIO, and where that
//! is, to 512 octets. **Never:** another error passed over. **Bounded:** beyond a number of failures only larger pieces are tried.

use std::io;
use std::ops::Range;

/// What is asked of a medium at once when it did not give more, in octets; each begins at a multiple of its length.
const PIECES: [usize; 3] = [64 << 10, 4 << 10, 512];

/// After so many failures the smallest pieces are not tried any more: a drive may take seconds for each.
const FAILURES_MAX: u32 = 1000;

/// `read` is asked for octets from an offset on. After EIO it is asked for less and less; behind a place that cannot be read, for
/// everything again.
pub(super) fn read_around(
    room: &mut [u8],
    filler: u8,
    mut read: impl FnMut(usize, &mut [u8]) -> io::Result<usize>,
) -> io::Result<(usize, Vec<Range<usize>>)> {
    let mut unreadable: Vec<Range<usize>> = Vec::new();
    let (mut done, mut failures) = (0, 0);
    // Which of the pieces is asked for; before the first one: all that is left.
    let mut narrowed = 0;
    while done < room.len() {
        let end = match narrowed {
            0 => room.len(),
            _ => (done + 1).next_multiple_of(PIECES[narrowed - 1]).min(room.len()),
        };
        match read(done, &mut room[done..end]) {
            Ok(0) => break,
            Ok(octets) => done += octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                failures += 1;
                let narrowest = if failures > FAILURES_MAX { 1 } else { PIECES.len() };
                if narrowed < narrowest {
                    narrowed += 1;
                    continue;
                }
                room[done..end].fill(filler);
                match unreadable.last_mut().filter(|last| last.end == done) {
                    Some(last) => last.end = end,
                    None => unreadable.push(done..end),
                }
                done = end;
            }
            Err(error) => return Err(error),
        }
        // Where a larger piece begins, it is tried again.
        while narrowed > 0 && done.is_multiple_of(PIECES[narrowed.saturating_sub(2)]) {
            narrowed -= 1;
        }
    }
    Ok((done, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `len` octets of a medium that has these bad places and gives less than asked for in front of one, as the kernel does.
    /// How many octets are read, which of them are filler, and how many reads failed.
    fn read_bad(len: usize, bad: &[Range<usize>]) -> (usize, Vec<Range<usize>>, u32) {
        let mut room = vec![0; len];
        let mut failures = 0;
        let (done, unreadable) = read_around(&mut room, 9, |offset, room| {
            let end = offset + room.len();
            let next = bad.iter().filter(|bad| bad.end > offset && bad.start < end).map(|bad| bad.start).min();
            let good = next.map_or(end, |next| next.max(offset)) - offset;
            room[..good].fill(7);
            failures += u32::from(good == 0);
            if good == 0 { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(good) }
        })
        .unwrap();
        let mut expected = vec![7; len];
        unreadable.iter().for_each(|range| expected[range.clone()].fill(9));
        assert!(room == expected, "{unreadable:?} and nothing else is filler");
        (done, unreadable, failures)
    }

    #[test]
    fn what_a_medium_does_not_give_is_read_around() {
        const LEN: usize = 300_000;
        // Where each bad place begins, and how long it is.
        let check = |bad: &[(usize, usize)], failures_max: u32| {
            let bad: Vec<Range<usize>> = bad.iter().map(|(begin, len)| *begin..begin + len).collect();
            let (done, found, failures) = read_bad(LEN, &bad);
            assert_eq!((done, &found), (LEN, &bad));
            assert!(failures <= failures_max, "{bad:?}: {failures} reads failed");
        };
        check(&[], 0);
        // The whole, 64 KiB, 4 KiB, the block itself.
        check(&[(0, 512)], 4);
        check(&[(99_840, 512)], 4);
        check(&[(LEN / 512 * 512, LEN % 512)], 4);
        check(&[(131_072, 4096)], 11);
        check(&[(4608, 512), (199_680, 512)], 8);
        check(&[(1024, 512), (2048, 512)], 5);
        check(&[(0, LEN)], 700);
    }

    #[test]
    fn a_medium_that_gives_nothing_is_soon_given_up() {
        const LEN: usize = 16 << 20;
        let (done, unreadable, failures) = read_bad(LEN, std::slice::from_ref(&(0..LEN)));
        assert_eq!((done, unreadable.len(), unreadable[0].len()), (LEN, 1, LEN));
        assert!(failures < 2 * FAILURES_MAX, "{failures} reads failed");
    }

    #[test]
    fn only_what_is_unreadable_is_read_around() {
        for error in [libc::EBADF, libc::EACCES, libc::ENXIO] {
            let refused = read_around(&mut [0; 8], 9, |_, _| Err(io::Error::from_raw_os_error(error))).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(error));
        }
        let mut interruptions = 3;
        let read = read_around(&mut [0; 8], 9, |offset, room| match offset {
            5.. => Ok(0),
            _ if interruptions > 0 => {
                interruptions -= 1;
                Err(io::ErrorKind::Interrupted.into())
            }
            _ => Ok(room.len().min(5)),
        });
        assert_eq!(read.unwrap(), (5, Vec::new()), "the file ends before the room does");
    }
}
