//! A TCP line to a server, which a test may stop, slow down and cut. What it carries it does not look at.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Site, run_command};

/// The longest wait before it looks whether it is over.
const NAP: Duration = Duration::from_millis(2);

/// A slow line carries so much at once, and then waits.
const MORSEL: usize = 64;
const PAUSE: Duration = Duration::from_millis(20);

/// What becomes of octets towards the server, from the start of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Freely,
    /// Some 3,200 octets a second.
    Slowly,
    /// Connections are accepted, and nothing is read from them.
    Nothing,
}

/// The relay. Dropped, it is gone with all its connections.
pub(crate) struct Relay {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    passing: Passing,
    server: u16,
    is_over: AtomicBool,
    accepted: AtomicUsize,
    /// The next connection is ended as soon as it is accepted.
    cuts_next: AtomicBool,
    connections: Mutex<Vec<Carried>>,
}

/// One connection.
struct Carried {
    /// Towards the client and the server.
    ends: [TcpStream; 2],
    /// Either of them has ended it. The sockets do not tell: one that was shut down takes that once more, or not, as far as its
    /// peer has come.
    is_over: Arc<AtomicBool>,
}

impl Relay {
    /// A line to this port of 127.0.0.1.
    pub(crate) fn start(passing: Passing, server: u16) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let [is_over, cuts_next] = [const { AtomicBool::new(false) }; 2];
        let (accepted, connections) = (AtomicUsize::new(0), Mutex::default());
        let shared = Arc::new(Shared { passing, server, is_over, accepted, cuts_next, connections });
        let of_thread = shared.clone();
        Relay { port, shared, thread: Some(std::thread::spawn(move || of_thread.listen(&listener))) }
    }

    /// Connections that it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Ends those that stand now, or the next one that does, which is waited for a while: how many.
    pub(crate) fn cut_some(&self) -> usize {
        let patience = Instant::now() + Duration::from_secs(5);
        loop {
            let cut = self.cut();
            if cut > 0 || Instant::now() > patience {
                return cut;
            }
            std::thread::sleep(NAP);
        }
    }

    /// Ends all connections, and the next one before anything is said on it: how many stood.
    pub(crate) fn cut_with_the_next(&self) -> usize {
        self.shared.cuts_next.store(true, Ordering::Relaxed);
        self.cut()
    }

    /// Ends all connections, in both directions: how many.
    pub(crate) fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *self.shared.connections.lock().unwrap());
        let stood = |Carried { ends, is_over }: &&Carried| {
            let stood = !is_over.swap(true, Ordering::Relaxed);
            // The other side may have gone already.
            let _ = ends.each_ref().map(|end| end.shutdown(Shutdown::Both));
            stood
        };
        connections.iter().filter(stood).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.cut();
        if let Some(thread) = self.thread.take() {
            // What made it panic stands in the test's output.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Shared>, listener: &TcpListener) {
        let mut held = Vec::new();
        let mut threads = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok((client, _)) = listener.accept() else {
                std::thread::sleep(NAP);
                continue;
            };
            self.accepted.fetch_add(1, Ordering::Relaxed);
            if self.cuts_next.swap(false, Ordering::Relaxed) {
                continue;
            }
            if self.passing == Passing::Nothing {
                held.push(client);
                continue;
            }
            // While the server is away its callers are sent away too.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server)) else { continue };
            let copy = |end: &TcpStream| {
                end.set_nonblocking(false).unwrap();
                end.set_read_timeout(Some(NAP)).unwrap();
                end.try_clone().unwrap()
            };
            let (to_server, to_client) = ([copy(&client), copy(&server)], [copy(&server), copy(&client)]);
            let is_over = Arc::new(AtomicBool::new(false));
            let carried = Carried { ends: [client, server], is_over: is_over.clone() };
            self.connections.lock().unwrap().push(carried);
            for (ends, passing) in [(to_server, self.passing), (to_client, Passing::Freely)] {
                let (shared, is_over) = (self.clone(), is_over.clone());
                threads.push(std::thread::spawn(move || shared.carry(ends, passing, &is_over)));
            }
        }
        for thread in threads {
            // What made it panic stands in the test's output.
            let _ = thread.join();
        }
    }

    fn carry(&self, [mut from, mut to]: [TcpStream; 2], passing: Passing, is_over: &AtomicBool) {
        let mut room = [0; 4096];
        let size = if passing == Passing::Slowly { MORSEL } else { room.len() };
        while !self.is_over.load(Ordering::Relaxed) {
            match from.read(&mut room[..size]) {
                Ok(0) => break,
                Ok(length) if to.write_all(&room[..length]).is_err() => break,
                Ok(_) if passing == Passing::Slowly => std::thread::sleep(PAUSE),
                Ok(_) => {}
                // A read that has a timeout is interrupted when this process is stopped and goes on (signal(7)).
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                }
                Err(_) => break,
            }
        }
        is_over.store(true, Ordering::Relaxed);
        // The other side may have gone already.
        let _ = [from, to].map(|end| end.shutdown(Shutdown::Both));
    }
}

/// What holds this whole process for a while, as a machine that is frozen does, cuts no line of its own.
#[test]
fn a_line_stands_when_the_process_that_carries_it_was_stopped() {
    // No other test is held with it.
    let _turn = Site::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let relay = Relay::start(Passing::Freely, listener.local_addr().unwrap().port());
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    for octet in 0..10 {
        run_command(Command::new("sh").args(["-c", "kill -STOP $PPID; sleep 0.02; kill -CONT $PPID"])).well();
        client.write_all(&[octet]).unwrap();
        let mut heard = [0xff];
        server.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [octet]);
    }
    assert_eq!(relay.cut(), 1);
}

/// Each of them is at its end in a moment, when one of its sockets is; it stood all the same.
#[test]
fn every_line_that_stood_is_counted_when_it_is_cut() {
    const LINES: usize = 200;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let relay = Relay::start(Passing::Freely, listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        for _ in 0..LINES {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(&heard).unwrap();
            // Until it is cut.
            let _ = stream.read(&mut heard);
        }
    });
    for line in 0..LINES {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap();
        client.write_all(&[7]).unwrap();
        client.read_exact(&mut [0]).unwrap();
        assert_eq!((relay.cut(), relay.cut()), (1, 0), "{line}");
    }
    server.join().unwrap();
}
