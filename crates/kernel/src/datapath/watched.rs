//! What may end a wait besides datagrams.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::waker::Waker;

/// A handle of our own to what is watched.
#[derive(Debug)]
pub(super) enum Watched {
    /// It is drained here.
    Bell(Waker),
    /// Its owner takes what has come.
    Descriptor(OwnedFd),
}

impl Watched {
    pub(super) fn bell(waker: &Waker) -> io::Result<Watched> {
        waker.try_clone().map(Watched::Bell)
    }

    pub(super) fn descriptor(descriptor: BorrowedFd<'_>) -> io::Result<Watched> {
        descriptor.try_clone_to_owned().map(Watched::Descriptor)
    }

    /// Whether there is something to tell, now that it has become readable.
    pub(super) fn is_heard(&self) -> bool {
        match self {
            Watched::Bell(waker) => waker.drain(),
            Watched::Descriptor(_) => true,
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Watched::Bell(waker) => waker.as_fd(),
            Watched::Descriptor(descriptor) => descriptor.as_fd(),
        }
    }
}
