//! An eventfd (eventfd(2)) that ends a wait in [`crate::datapath`] from any thread, or from another process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;

/// Rings a bell that somebody waits on. Shared between threads in an `Arc`; between processes by its descriptor.
///
/// Rings that nobody has heard yet count as one.
#[derive(Debug)]
pub struct Waker {
    event: OwnedFd,
    /// The descriptor came from another process, which may change its flags or fill its counter at any time.
    foreign: bool,
}

impl Waker {
    /// A new bell.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> io::Result<Waker> {
        // SAFETY: no pointer is passed.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just returned this descriptor and nobody else knows it.
        Ok(Waker { event: unsafe { OwnedFd::from_raw_fd(event) }, foreign: false })
    }

    /// The bell behind a descriptor that another process passed.
    ///
    /// # Errors
    /// `InvalidInput` when it is anything but an eventfd: a pipe or a file could make the waiting thread hang.
    pub fn from_received(event: OwnedFd) -> io::Result<Waker> {
        let target = std::fs::read_link(PathBuf::from(format!("/proc/self/fd/{}", event.as_raw_fd())))?;
        if target.as_os_str() != "anon_inode:[eventfd]" {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `event` is an open descriptor and the commands take an integer.
        let status = unsafe {
            match libc::fcntl(event.as_raw_fd(), libc::F_GETFL) {
                -1 => -1,
                flags => libc::fcntl(event.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK),
            }
        };
        if status < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Waker { event, foreign: true })
    }

    /// Ends the wait of whoever watches this bell, or its next one. Never waits.
    ///
    /// A peer may have filled the counter of a bell that it passed; the bell then rings already, and nothing is
    /// written. A peer that clears the non-blocking flag *and* fills the counter between two of our instructions could
    /// still delay us; that takes a hostile packet plane with the rights to open the link.
    pub fn wake(&self) {
        if self.foreign && !self.has_room() {
            return;
        }
        let one = 1_u64.to_ne_bytes();
        // SAFETY: eight octets of this frame, read before the call returns. The result does not matter: the only
        // failure of a non-blocking eventfd is a full counter, and a full counter rings.
        unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Takes the rings that came so far; `true` when there was one. Never waits, whatever flags a peer has set.
    pub fn drain(&self) -> bool {
        let mut count = [0_u8; 8];
        let room = libc::iovec { iov_base: count.as_mut_ptr().cast(), iov_len: count.len() };
        // SAFETY: one vector of eight writable octets of this frame; RWF_NOWAIT makes the read return at once even
        // when a peer has cleared O_NONBLOCK; the offset -1 means a stream.
        let read = unsafe { libc::preadv2(self.event.as_raw_fd(), &raw const room, 1, -1, libc::RWF_NOWAIT) };
        read == 8
    }

    /// A second handle to the same bell.
    pub(crate) fn try_clone(&self) -> io::Result<Waker> {
        Ok(Waker { event: self.event.try_clone()?, foreign: self.foreign })
    }

    /// Whether one more ring can be written without waiting.
    fn has_room(&self) -> bool {
        let mut question = libc::pollfd { fd: self.event.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd of this frame, with a timeout of zero.
        let answered = unsafe { libc::poll(&raw mut question, 1, 0) };
        answered == 1 && question.revents & libc::POLLOUT != 0
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl From<Waker> for OwnedFd {
    fn from(waker: Waker) -> OwnedFd {
        waker.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rings_are_heard_once() {
        let waker = Waker::new().unwrap();
        assert!(!waker.drain());
        waker.wake();
        waker.wake();
        assert!(waker.drain());
        assert!(!waker.drain());
    }

    #[test]
    fn both_sides_of_a_passed_bell_ring() {
        let ours = Waker::new().unwrap();
        let theirs = Waker::from_received(ours.as_fd().try_clone_to_owned().unwrap()).unwrap();
        theirs.wake();
        assert!(ours.drain());
        ours.wake();
        assert!(theirs.drain());
    }

    #[test]
    fn a_peer_cannot_make_us_wait() {
        // SAFETY: no pointer is passed; the descriptor is owned from here on.
        let event = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, 0)) };
        let peer = event.try_clone().unwrap();
        let waker = Waker::from_received(event).unwrap();
        // SAFETY: an open descriptor and an integer: the peer makes it blocking again.
        assert_eq!(unsafe { libc::fcntl(peer.as_raw_fd(), libc::F_SETFL, 0) }, 0);
        assert!(!waker.drain(), "empty and blocking");

        let full = (u64::MAX - 1).to_ne_bytes();
        // SAFETY: eight octets of this frame.
        assert_eq!(unsafe { libc::write(peer.as_raw_fd(), full.as_ptr().cast(), 8) }, 8);
        waker.wake();
        assert!(waker.drain(), "full and blocking");
    }

    #[test]
    fn only_an_eventfd_is_a_bell() {
        let file = tempfile::tempfile().unwrap();
        let (pipe, _other) = io::pipe().unwrap();
        for descriptor in [OwnedFd::from(file), OwnedFd::from(pipe)] {
            assert_eq!(Waker::from_received(descriptor).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
