//! Unix sockets of type `SOCK_SEQPACKET`: connected, whole messages, and descriptors beside the bytes (unix(7)). And the
//! one thing that a `SOCK_STREAM` listener needs beyond the standard library: a name that is private from the start.
//!
//! For the control thread; a message allocates only when descriptors came with it. What a peer sends is bounded by the
//! caller: a message longer than the room, or more descriptors than expected, is an error and nothing of it is kept.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::ptr;

use socket2::{Domain, SockAddr, Socket, Type};

/// Most descriptors in one message, a bound of ours; the kernel's is 253.
pub const DESCRIPTORS_MAX: usize = 64;

/// Connections that wait for [`Listener::accept`]; more are refused by the kernel.
const BACKLOG: libc::c_int = 16;

/// The same for [`listen_stream`].
const STREAM_BACKLOG: libc::c_int = 128;

/// Octets of the descriptor that are kept for each message's control header.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();

/// Control data with room for [`DESCRIPTORS_MAX`] descriptors, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_HEADER + DESCRIPTORS_MAX * size_of::<libc::c_int>()]);

/// Why a listener could not be made.
#[derive(Debug)]
pub enum BindError {
    /// Somebody listens on that path.
    InUse,
    /// The path holds something that is no socket; it is left alone.
    NotASocket,
    /// The operating system refused.
    Io(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::InUse => write!(out, "another process listens on that path"),
            BindError::NotASocket => write!(out, "the path holds something that is no socket"),
            BindError::Io(error) => error.fmt(out),
        }
    }
}

impl Error for BindError {}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> BindError {
        BindError::Io(error)
    }
}

/// Waits for connections on a path; the path is removed on drop.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: PathBuf,
}

impl Listener {
    /// Listens on `path` with the permission bits `mode`. A socket that a dead process left there is replaced.
    ///
    /// # Errors
    /// [`BindError::InUse`] when somebody answers on it; that socket stays as it is.
    pub fn bind(path: &Path, mode: u32) -> Result<Listener, BindError> {
        let listener = Listener { socket: bind(Type::SEQPACKET, path, mode)?, path: path.to_owned() };
        listener.socket.listen(BACKLOG)?;
        Ok(listener)
    }

    /// The next connection; with [`Listener::set_nonblocking`], `WouldBlock` when there is none.
    ///
    /// # Errors
    /// Also when the process has no descriptor left.
    pub fn accept(&self) -> io::Result<Stream> {
        self.socket.accept().map(|(socket, _)| Stream { socket })
    }

    /// Chooses whether [`Listener::accept`] waits. Accepted streams wait until told otherwise.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A path that somebody else took away meanwhile is no loss.
        let _ = fs::remove_file(&self.path);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Listens on `path` for connections of type `SOCK_STREAM`, with the permission bits `mode`. A socket that a dead
/// process left there is replaced; the new one's name stays when it is dropped.
///
/// # Errors
/// [`BindError::InUse`] when somebody answers on it; that socket stays as it is.
pub fn listen_stream(path: &Path, mode: u32) -> Result<UnixListener, BindError> {
    let socket = bind(Type::STREAM, path, mode)?;
    socket.listen(STREAM_BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// A socket whose name has the permission bits `mode` and never had wider ones.
fn bind(kind: Type, path: &Path, mode: u32) -> Result<Socket, BindError> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    // A socket's name is born with the mode of its descriptor, so no wider one is ever visible.
    // SAFETY: an open descriptor and an integer.
    if unsafe { libc::fchmod(socket.as_raw_fd(), mode & 0o777) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error.into());
        }
        remove_stale(path)?;
        socket.bind(&address)?;
    }
    // The umask may have taken bits away that were asked for.
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))?;
    Ok(socket)
}

/// Removes a socket on which nobody answers.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(BindError::NotASocket);
    }
    let probe = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    // A live listener with a full backlog would make a blocking connect wait; it answers `WouldBlock` instead.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        // Only this answer proves that no process holds the socket; a live one of another type answers otherwise.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        _ => Err(BindError::InUse),
    }
}

/// Connects to the listener on `path`.
///
/// # Errors
/// `NotFound` and `ConnectionRefused` when nobody listens there.
pub fn connect(path: &Path) -> io::Result<Stream> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(Stream { socket })
}

/// One end of a connection. Messages arrive whole and in order.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
}

impl Stream {
    /// Two connected ends, for a plane inside this process and for tests.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn pair() -> io::Result<(Stream, Stream)> {
        let (left, right) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        Ok((Stream { socket: left }, Stream { socket: right }))
    }

    /// Chooses whether sending and receiving wait.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Receives one message into `room` and up to `descriptors_max` (at most [`DESCRIPTORS_MAX`]) descriptors with it,
    /// which are closed in children. `(0, [])` is the end of the connection.
    ///
    /// # Errors
    /// `InvalidData` when the message was longer than `room` or brought more descriptors; the message is lost and
    /// whatever came with it is closed. `WouldBlock` when non-blocking and nothing is there.
    pub fn recv_with_fds(&self, room: &mut [u8], descriptors_max: usize) -> io::Result<(usize, Vec<OwnedFd>)> {
        assert!(descriptors_max <= DESCRIPTORS_MAX, "more descriptors than there is control space for");
        let mut control = Control([MaybeUninit::uninit(); _]);
        let mut data = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        let mut header = empty_header(&raw mut data);
        header.msg_control = control.0.as_mut_ptr().cast();
        // Exactly this much and no padding: the kernel would put one descriptor more into the padding.
        header.msg_controllen = CONTROL_HEADER + descriptors_max * size_of::<libc::c_int>();
        // SAFETY: the header points to one vector over `room`, writable for this call, and to `control` of at least
        // `msg_controllen` octets; the kernel keeps neither after the call.
        let received = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        // Owned before anything is judged, so that every way out closes them.
        let descriptors = take_descriptors(&header);
        if header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((length, descriptors))
    }

    /// Sends one message, and `descriptors` (at most [`DESCRIPTORS_MAX`]) with it, all or nothing.
    ///
    /// # Errors
    /// `BrokenPipe` when the peer is gone; `WouldBlock` when non-blocking and the peer does not read; `InvalidInput` for
    /// a message without bytes, which the peer could not tell from the end.
    pub fn send_with_fds(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.is_empty() || descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut control = Control([MaybeUninit::zeroed(); _]);
        let mut data = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut header = empty_header(&raw mut data);
        if !descriptors.is_empty() {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_HEADER + size_of_val(descriptors);
            put_descriptors(&mut control, descriptors);
        }
        // SAFETY: the header points to one vector over `bytes`, which sendmsg only reads, and to `control` of at least
        // `msg_controllen` octets; the kernel keeps neither after the call.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map(drop).map_err(|_| io::Error::last_os_error())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<OwnedFd> for Stream {
    /// A connected socket that was inherited or received.
    fn from(descriptor: OwnedFd) -> Stream {
        Stream { socket: descriptor.into() }
    }
}

/// A header with one vector of data and nothing else.
fn empty_header(data: *mut libc::iovec) -> libc::msghdr {
    libc::msghdr {
        msg_name: ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: data,
        msg_iovlen: 1,
        msg_control: ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    }
}

/// Writes one `SCM_RIGHTS` message with all `descriptors` into `control`.
fn put_descriptors(control: &mut Control, descriptors: &[BorrowedFd<'_>]) {
    let header = libc::cmsghdr {
        cmsg_len: CONTROL_HEADER + size_of_val(descriptors),
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    let base = control.0.as_mut_ptr();
    // SAFETY: `Control` is aligned for a header and has room for it and DESCRIPTORS_MAX integers, which the caller has
    // checked; a `BorrowedFd` is an integer that stays open for this call.
    unsafe {
        base.cast::<libc::cmsghdr>().write(header);
        let integers = base.add(CONTROL_HEADER).cast::<libc::c_int>();
        for (position, descriptor) in descriptors.iter().enumerate() {
            integers.add(position).write(descriptor.as_raw_fd());
        }
    }
}

/// Takes over every descriptor in the control data that the kernel has filled in.
fn take_descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: CMSG_FIRSTHDR gives null or the start of the control data when it holds at least a header, and the kernel
    // has set `msg_controllen` to what it wrote.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, hence a whole header that the kernel wrote, aligned as `Control` is.
        let written = unsafe { message.read() };
        if written.cmsg_level == libc::SOL_SOCKET && written.cmsg_type == libc::SCM_RIGHTS {
            let count = written.cmsg_len.saturating_sub(CONTROL_HEADER) / size_of::<libc::c_int>();
            for position in 0..count {
                // SAFETY: `cmsg_len` counts header and integers that the kernel wrote; each integer is a descriptor
                // that was opened for us in this call, read once and owned from here on.
                let descriptor = unsafe {
                    let integers = libc::CMSG_DATA(message).cast::<libc::c_int>();
                    OwnedFd::from_raw_fd(integers.add(position).read_unaligned())
                };
                descriptors.push(descriptor);
            }
        }
        // SAFETY: `message` is a header inside the control data of `header`.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    fn open_descriptor_count() -> usize {
        fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn messages_arrive_whole_and_with_their_descriptors() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link");
        let listener = Listener::bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let plane = connect(&path).unwrap();
        let engine = listener.accept().unwrap();

        let (mut reader, writer) = io::pipe().unwrap();
        plane.send_with_fds(b"hello", &[writer.as_fd(), reader.as_fd()]).unwrap();
        plane.send_with_fds(b"plain", &[]).unwrap();
        drop(writer);
        let mut room = [0; 64];
        let (length, descriptors) = engine.recv_with_fds(&mut room, 2).unwrap();
        assert_eq!((&room[..length], descriptors.len()), (&b"hello"[..], 2));
        let mut descriptors = descriptors.into_iter();
        File::from(descriptors.next().unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");

        let (length, descriptors) = engine.recv_with_fds(&mut room, 0).unwrap();
        assert_eq!((&room[..length], descriptors.len()), (&b"plain"[..], 0));
        drop(plane);
        assert!(matches!(engine.recv_with_fds(&mut room, 0), Ok((0, none)) if none.is_empty()));
        assert_eq!(engine.send_with_fds(b"late", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    /// One test, as it counts the descriptors of the process: nextest gives every test its own.
    #[test]
    fn what_does_not_fit_is_an_error_and_leaves_nothing_open() {
        let (ours, theirs) = Stream::pair().unwrap();
        let bell = crate::waker::Waker::new().unwrap();
        let four = [bell.as_fd(); 4];
        for (bytes, descriptors, room, descriptors_max) in [
            (&b"long message"[..], &four[..0], 4, 4),
            (b"long message with descriptors", &four[..3], 4, 4),
            (b"two where one is expected", &four[..2], 64, 1),
            (b"one where none is expected", &four[..1], 64, 0),
            (b"four where three are expected", &four[..4], 64, 3),
        ] {
            let before = open_descriptor_count();
            theirs.send_with_fds(bytes, descriptors).unwrap();
            let refusal = ours.recv_with_fds(&mut vec![0; room], descriptors_max).unwrap_err();
            assert_eq!(refusal.kind(), io::ErrorKind::InvalidData, "{}", bytes.escape_ascii());
            if std::env::var_os("NEXTEST").is_some() {
                assert_eq!(open_descriptor_count(), before, "{}", bytes.escape_ascii());
            }
        }
        assert_eq!(theirs.send_with_fds(b"", &[]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        ours.set_nonblocking(true).unwrap();
        assert_eq!(ours.recv_with_fds(&mut [0], 0).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link");

        let live = Listener::bind(&path, 0o600).unwrap();
        assert!(matches!(Listener::bind(&path, 0o600), Err(BindError::InUse)));
        assert!(connect(&path).is_ok(), "the live listener still answers");
        drop(live);
        assert!(!path.exists());

        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead process leaves its socket");
        drop(Listener::bind(&path, 0o600).unwrap());

        let other_type = UnixListener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path, 0o600), Err(BindError::InUse)));
        drop(other_type);
        fs::remove_file(&path).unwrap();

        fs::write(&path, "a file").unwrap();
        assert!(matches!(Listener::bind(&path, 0o600), Err(BindError::NotASocket)));
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }

    #[test]
    fn accepting_does_not_wait_when_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&directory.path().join("link"), 0o600).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
