//! What happens where the box does not allow everything: filtered system calls, an ordinary user, a slow device.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::super::{BindSpec, Choice, Datapath, Limits, Missing, OpenError};
use super::{SMALL, any_v4, check, peer, receive};

/// The number of an ordinary user without any rights.
const NOBODY: u32 = 65_534;

/// Locked memory that an ordinary user has by default, in octets.
const MEMLOCK: u64 = 8 << 20;

fn is_root() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Makes io_uring_setup(2) fail with `errno` for the calling thread.
fn filter_io_uring(errno: i32) {
    let statement = |code: u32, jf, k| libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf, k };
    let setup = u32::try_from(libc::SYS_io_uring_setup).unwrap();
    let mut program = [
        // The number of the system call is the first field of what a filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, setup),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: `filter` and `program` live until the call returns; the kernel copies them.
    let status = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
    };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
}

#[test]
fn without_io_uring_epoll_serves_and_says_why() {
    for (errno, expected) in [
        (libc::ENOSYS, Missing::NotInKernel),
        (libc::EPERM, Missing::Denied),
        (libc::ENOMEM, Missing::LockedMemory),
        (libc::EINVAL, Missing::TooOld),
        (libc::EMFILE, Missing::Other(libc::EMFILE)),
    ] {
        let filtered = thread::spawn(move || {
            filter_io_uring(errno);
            let opened = Datapath::open(Choice::Auto, Limits::default()).unwrap();
            let refused = Datapath::open(Choice::IoUring, Limits::default());
            assert!(matches!(refused, Err(OpenError::IoUring(cause)) if cause == expected), "{refused:?}");
            (opened.datapath.engine_name(), opened.fallback)
        });
        let (engine_name, fallback) = filtered.join().unwrap();
        assert_eq!(engine_name, "epoll");
        let fallback = fallback.unwrap();
        assert_eq!(fallback.cause, expected);
        assert!(fallback.to_string().starts_with("using epoll: "), "{fallback}");
    }
}

#[test]
fn nothing_is_said_where_nothing_is_missing() {
    let by_choice = Datapath::open(Choice::Epoll, Limits::default()).unwrap();
    assert!(by_choice.fallback.is_none());
    let opened = Datapath::open(Choice::Auto, Limits::default()).unwrap();
    assert_eq!(opened.fallback.is_some(), opened.datapath.engine_name() == "epoll");
}

/// Not a test by itself: what the next test runs as another user.
#[test]
fn as_an_ordinary_user() {
    if env::var_os("TOLLGATE_ORDINARY_USER").is_none() {
        return;
    }
    let mut datapaths = Vec::new();
    // As many workers as a large box has; somewhere on the way the locked memory may end.
    for worker in 0..32 {
        let opened = Datapath::open(Choice::Auto, Limits { receive_buffers: 8192, ..Limits::default() }).unwrap();
        let engine_name = opened.datapath.engine_name();
        match opened.fallback {
            None => assert_eq!(engine_name, "io-uring"),
            Some(fallback) => {
                println!("worker {worker}: {fallback}");
                assert_eq!(engine_name, "epoll");
            }
        }
        let mut datapath = opened.datapath;
        let socket = datapath.bind(BindSpec { receive_buffer: 64 << 20, ..any_v4() }).unwrap();
        let (server, address) = peer();
        datapath.transmit(socket, address, b"request").unwrap();
        datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        server.send_to(b"reply", from).unwrap();
        assert_eq!(receive(&mut datapath, 1), [(socket, address, b"reply".to_vec())]);
        datapaths.push(datapath);
    }
    let uring_count = datapaths.iter().filter(|datapath| datapath.engine_name() == "io-uring").count();
    println!("{uring_count} of {} datapaths use io_uring", datapaths.len());
}

#[test]
fn an_ordinary_user_gets_a_datapath_or_the_reason() {
    if !is_root() {
        println!("skipped: only root can become another user");
        return;
    }
    let limit = libc::rlimit { rlim_cur: MEMLOCK, rlim_max: MEMLOCK };
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", "datapath::tests::privilege::as_an_ordinary_user", "--nocapture"])
        .env("TOLLGATE_ORDINARY_USER", "1")
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY);
    // SAFETY: setrlimit(2) is safe between fork and exec; the limit is a value of this closure.
    unsafe {
        child.pre_exec(move || match libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let output = match child.output() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            println!("skipped: another user may not run this test program");
            return;
        }
        output => output.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("datapaths use io_uring"), "the test has run");
}

/// Runs a command in the network namespace of the calling thread.
fn succeeds(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn a_slow_device_delays_and_drops_nothing() {
    let slow = thread::spawn(|| {
        // SAFETY: gives this thread, which ends with the test, a network of its own.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            println!("skipped: only root can make a network namespace");
            return;
        }
        let shaped = succeeds("ip link set lo up")
            && succeeds("tc qdisc add dev lo root tbf rate 20mbit burst 20kb latency 20s");
        if !shaped {
            println!("skipped: no ip or tc, or no tbf in this kernel");
            return;
        }
        check(Limits { coalesce: false, ..SMALL }, |mut datapath| {
            let socket = datapath.bind(BindSpec { send_buffer: 8192, ..any_v4() }).unwrap();
            let (server, address) = peer();
            let mut was_full = false;
            let mut sent = 0;
            for serial in 0..80_u16 {
                while datapath.transmit_room() == 0 {
                    was_full = true;
                    datapath.submit_and_wait(None).unwrap();
                    assert_eq!(datapath.next(), None);
                }
                let mut datagram = [0; 1000];
                datagram[..2].copy_from_slice(&serial.to_le_bytes());
                datapath.transmit(socket, address, &datagram).unwrap();
                sent += 1;
            }
            while datapath.counts().datagrams_out < sent {
                datapath.submit_and_wait(Some(Duration::from_millis(10))).unwrap();
            }
            assert!(was_full, "the device held the sends back");
            let mut serials: Vec<u16> = (0..sent)
                .map(|_| {
                    let mut room = [0; 1000];
                    assert_eq!(server.recv(&mut room).unwrap(), 1000);
                    u16::from_le_bytes(*room.first_chunk().unwrap())
                })
                .collect();
            serials.sort_unstable();
            assert!(serials.into_iter().eq(0..80));
            assert_eq!(datapath.counts().transmit_failures, 0);
        });
    });
    slow.join().unwrap();
}
