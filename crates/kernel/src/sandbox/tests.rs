//! What is refused is asked for. Each test confines a thread, which is all that there is of one: the others of the test go on.

use super::calls::confine_calls_of_thread;
use super::*;
use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// What a thread says that ends with it.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// A line of what the kernel says of this thread.
fn status(name: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn names_are_made_beneath_writable_directories_and_nowhere_else() {
    let scratch = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| scratch.path().join(name));
    for directory in [&ours, &theirs] {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("old"), "old").unwrap();
    }
    fs::write(theirs.join("program"), "#!/bin/sh\n").unwrap();
    let confined = on_a_thread(|| {
        let confined = confine_files([&*ours]).unwrap();
        if confined == Confined::Not {
            return confined;
        }
        assert_eq!(status("NoNewPrivs"), "1");
        fs::create_dir_all(ours.join("new/directory")).unwrap();
        fs::write(ours.join("new/file"), "new").unwrap();
        fs::rename(ours.join("new/file"), ours.join("new/other")).unwrap();
        drop(UnixListener::bind(ours.join("socket")).unwrap());
        fs::remove_file(ours.join("socket")).unwrap();
        fs::remove_dir(ours.join("new/directory")).unwrap();
        assert_eq!(fs::read_to_string(theirs.join("old")).unwrap(), "old", "reading is as before");

        let refused = |what: &str, result: Result<(), Error>| {
            let error = result.expect_err(what);
            assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::CrossesDevices), "{what}: {error}");
        };
        refused("a new file", fs::write(theirs.join("new"), "new"));
        refused("an old file", fs::write(theirs.join("old"), "new"));
        refused(
            "an old file, opened to be appended to",
            fs::File::options().append(true).open(theirs.join("old")).map(drop),
        );
        refused("a directory", fs::create_dir(theirs.join("directory")));
        refused("the end of a file", fs::remove_file(theirs.join("old")));
        refused("the end of a directory", fs::remove_dir(&theirs));
        refused("a way out", fs::rename(ours.join("old"), theirs.join("moved")));
        refused("a way in", fs::rename(theirs.join("old"), ours.join("moved")));
        refused("a link", std::os::unix::fs::symlink(&theirs, ours.join("link")));
        refused("a socket", UnixListener::bind(theirs.join("socket")).map(drop));
        refused("a path that leads out", fs::write(ours.join("../theirs/new"), "new"));
        refused("a program", Command::new("/bin/true").status().map(drop));
        confined
    });
    if confined == Confined::Not {
        println!("skipped: the kernel has no Landlock");
        return;
    }
    assert_eq!(fs::read_to_string(theirs.join("old")).unwrap(), "old");
    assert!(!theirs.join("new").exists());
    assert!(Command::new("/bin/true").status().unwrap().success(), "other threads are as before");
}

#[test]
fn nobody_else_is_signalled() {
    let scratch = tempfile::tempdir().unwrap();
    let mut sleeper = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    let id = i32::try_from(sleeper.id()).unwrap();
    let (confined, error) = on_a_thread(|| {
        let confined = confine_files([scratch.path()]).unwrap();
        // SAFETY: the call takes integers.
        let result = unsafe { libc::kill(id, 0) };
        (confined, (result != 0).then(Error::last_os_error))
    });
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    match confined {
        Confined::Whole => assert_eq!(error.unwrap().raw_os_error(), Some(libc::EPERM)),
        _ => println!("skipped: this Landlock knows nothing of signals"),
    }
}

#[test]
fn a_writable_directory_that_is_not_there_is_an_error_and_nothing_is_confined() {
    on_a_thread(|| {
        let scratch = tempfile::tempdir().unwrap();
        assert!(confine_files([Path::new("/nonexistent/directory")]).is_err());
        fs::write(scratch.path().join("file"), "written").unwrap();
    });
}

/// A system call with these arguments, as it comes back.
fn call(number: libc::c_long, arguments: [libc::c_long; 6]) -> Result<libc::c_long, i32> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: each caller says why its arguments harm nobody: a refused call touches nothing, and those that are made take integers.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(Error::last_os_error().raw_os_error().unwrap()),
        result => Ok(result),
    }
}

#[test]
fn system_calls_that_nobody_needs_are_refused() {
    // Null pointers and invalid integers: what is not refused fails with another error.
    const NOTHING: [libc::c_long; 6] = [0; 6];
    let asked = |first: [i64; 3]| [first[0], first[1], first[2], -1, 0, 0];
    let [read, write, execute] = [libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC].map(i64::from);
    let packet = [i64::from(libc::AF_PACKET), i64::from(libc::SOCK_RAW), 0];
    let [alg, vsock, bluetooth] =
        [libc::AF_ALG, libc::AF_VSOCK, libc::AF_BLUETOOTH].map(|family| [i64::from(family), 5, 0]);
    let refused = [
        ("execve", libc::SYS_execve, NOTHING),
        ("execveat", libc::SYS_execveat, NOTHING),
        ("fork", libc::SYS_fork, NOTHING),
        ("vfork by clone", libc::SYS_clone, asked([i64::from(libc::CLONE_VM | libc::CLONE_VFORK), 0, 0])),
        ("kill", libc::SYS_kill, asked([1, 0, 0])),
        ("tgkill of another", libc::SYS_tgkill, asked([1, 1, 0])),
        ("ptrace", libc::SYS_ptrace, NOTHING),
        ("process_vm_readv", libc::SYS_process_vm_readv, NOTHING),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, NOTHING),
        ("unshare", libc::SYS_unshare, NOTHING),
        ("setns", libc::SYS_setns, NOTHING),
        ("mount", libc::SYS_mount, NOTHING),
        ("chroot", libc::SYS_chroot, NOTHING),
        ("mknod", libc::SYS_mknod, NOTHING),
        ("symlink", libc::SYS_symlink, NOTHING),
        ("link", libc::SYS_link, NOTHING),
        ("chown", libc::SYS_chown, NOTHING),
        ("setuid", libc::SYS_setuid, NOTHING),
        ("capset", libc::SYS_capset, NOTHING),
        ("init_module", libc::SYS_init_module, NOTHING),
        ("kexec_load", libc::SYS_kexec_load, NOTHING),
        ("reboot", libc::SYS_reboot, NOTHING),
        ("clock_settime", libc::SYS_clock_settime, NOTHING),
        ("keyctl", libc::SYS_keyctl, NOTHING),
        ("perf_event_open", libc::SYS_perf_event_open, NOTHING),
        ("userfaultfd", libc::SYS_userfaultfd, NOTHING),
        ("bpf: load a program", libc::SYS_bpf, asked([5, 0, 0])),
        ("bpf: change a map", libc::SYS_bpf, asked([2, 0, 0])),
        ("a new ring", libc::SYS_io_uring_setup, NOTHING),
        ("a ring that sends as somebody else", libc::SYS_io_uring_register, asked([-1, 9, 0])),
        ("a raw packet", libc::SYS_socket, asked(packet)),
        ("the kernel's ciphers", libc::SYS_socket, asked(alg)),
        ("another machine", libc::SYS_socket, asked(vsock)),
        ("a neighbour", libc::SYS_socket, asked(bluetooth)),
        ("memory to write and execute", libc::SYS_mmap, [0, 4096, read | write | execute, 0x22, -1, 0]),
        ("memory to execute that was written", libc::SYS_mprotect, asked([0, 4096, read | execute])),
        ("input for a terminal", libc::SYS_ioctl, asked([0, 0x5412, 0])),
        ("dumpable", libc::SYS_prctl, asked([i64::from(libc::PR_SET_DUMPABLE), 1, 0])),
        ("new limits", libc::SYS_prlimit64, asked([0, 4, 1])),
    ];
    on_a_thread(|| {
        match confine_calls_of_thread().unwrap() {
            Confined::Whole => {}
            confined => return println!("skipped: {confined:?}, the kernel has no seccomp"),
        }
        assert_eq!(status("Seccomp"), "2");
        assert_eq!(status("NoNewPrivs"), "1");
        for (what, number, arguments) in refused {
            assert_eq!(call(number, arguments), Err(libc::EPERM), "{what}");
        }
        assert_eq!(call(libc::SYS_clone3, NOTHING), Err(libc::ENOSYS), "so the C library uses clone");
        assert!(Command::new("/bin/true").status().is_err());
    });
}

#[test]
fn what_the_daemon_does_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    on_a_thread(|| {
        confine_calls_of_thread().unwrap();
        let file = scratch.path().join("file");
        crate::file::replace_file(&file, b"content", 0o600).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"content");
        let log = crate::file::LogFile::create(&scratch.path().join("log"), 8192).unwrap();
        log.write_all_at(0, b"record").unwrap();
        log.sync_data().unwrap();
        let lock = crate::file::DirectoryLock::acquire(scratch.path()).unwrap();
        drop(lock);
        assert_eq!(std::thread::Builder::new().name("named".into()).spawn(|| 7).unwrap().join().unwrap(), 7);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::net::TcpStream::connect(address).unwrap().set_nonblocking(true).unwrap();
        std::net::UdpSocket::bind("[::1]:0").or_else(|_| std::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
        UnixListener::bind(scratch.path().join("socket")).unwrap();
        crate::netlink::NetlinkSocket::open(crate::netlink::Family::Route, 65_536).unwrap();
        crate::random::fill(&mut [0; 32]).unwrap();
        crate::clock::boot_id().unwrap();
        let waker = crate::waker::Waker::new().unwrap();
        waker.wake();
        // The user database of systemd, asked for the groups of whoever comes to the control socket.
        assert_eq!(call(libc::SYS_prctl, [i64::from(libc::PR_CAPBSET_READ), 0, 0, 0, 0, 0]).map(|set| set & !1), Ok(0));
        // The memory of a plane, as a session source has one that is configured later.
        // SAFETY: a name that ends with a zero and lives as long as the program, and an integer.
        assert!(unsafe { libc::memfd_create(c"plane".as_ptr(), libc::MFD_ALLOW_SEALING) } >= 0);
    });
}

#[test]
fn memory_is_nobody_elses() {
    /// Set in the process that this test begins: it is for good.
    const ALONE: &str = "TOLLGATE_MEMORY_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "sandbox::tests::memory_is_nobody_elses";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let said = alone.args([name, "--exact"]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    keep_memory_private().unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{core:?}");
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) }, 0);
}
