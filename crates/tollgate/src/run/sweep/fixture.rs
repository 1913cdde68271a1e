//! Network namespaces of a test, a line between two of them, and traffic on it.

#[path = "../../../tests/namespaces/mod.rs"]
mod namespaces;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::counters::Totals;

use namespaces::{Flow, Sockets, receive_both_ways, send_both_ways};

/// A network namespace, with everything in it removed on drop.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// # Panics
    /// Without the right to make namespaces: root has it.
    pub(crate) fn new() -> Namespace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(rustix::process::geteuid().is_root(), "this test makes network namespaces: it has to be run as root");
        let name = format!("tgsweep{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Namespace { name };
        // No packet of the kernel's own.
        namespace.shell("[ ! -d /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        namespace
    }

    /// `ip` in it, with the words of a line.
    pub(crate) fn ip(&self, line: &str) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    pub(crate) fn shell(&self, line: &str) -> String {
        run(Command::new("nsenter").arg(format!("--net=/run/netns/{}", self.name)).args(["sh", "-c", line]))
    }

    /// Does something in it, on a thread of its own; what is opened there stays there.
    pub(crate) fn within<T: Send>(&self, open: impl FnOnce() -> T + Send) -> T {
        namespaces::within(&self.name, open)
    }

    pub(crate) fn index(&self, interface: &str) -> u32 {
        let line = self.ip(&format!("-o link show dev {interface}"));
        line.split(':').next().and_then(|index| index.trim().parse().ok()).unwrap()
    }

    /// What the kernel itself says that an interface has counted; *in* is what it received.
    pub(crate) fn counted(&self, interface: &str) -> Totals {
        let names = ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"];
        let files = names.map(|name| format!("/sys/class/net/{interface}/statistics/{name}")).join(" ");
        // A mount of /sys belongs to a namespace.
        let said = run(Command::new("ip").args(["netns", "exec", &self.name, "cat"]).args(files.split(' ')));
        let numbers: Vec<u64> = said.lines().map(|number| number.parse().unwrap()).collect();
        let [in_octets, in_packets, out_octets, out_packets] = numbers[..] else { panic!("four numbers: {said}") };
        Totals { in_octets, in_packets, out_octets, out_packets }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

/// A BNG and one subscriber. The subscriber's interface `wan` leads to `port` of the BNG, and there to `line`, which is an
/// interface of its own on that port; or `line` is the port itself.
pub(crate) struct Line {
    pub(crate) bng: Namespace,
    pub(crate) subscriber: Namespace,
}

/// What `line` is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// One end of a veth pair.
    Veth,
    /// An interface on top of that, with counters of its own.
    Macvlan,
}

const PORT: u16 = 9000;

/// The addresses of a line: the BNG's and the subscriber's.
pub(crate) type Ends = [IpAddr; 2];
pub(crate) const V4: Ends = [IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2))];
pub(crate) const V6: Ends = [v6(1), v6(2)];

const fn v6(end: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, end, 0, 0, 0, 1))
}

impl Line {
    pub(crate) fn new(kind: Kind) -> Line {
        let line = Line { bng: Namespace::new(), subscriber: Namespace::new() };
        let (bng, subscriber) = (&line.bng, &line.subscriber);
        let port = if kind == Kind::Veth { "line" } else { "port" };
        bng.ip(&format!("link add {port} type veth peer name wan netns {}", subscriber.name));
        if kind == Kind::Macvlan {
            bng.ip("link set port up");
            bng.ip("link add link port name line type macvlan mode private");
        }
        for (namespace, device, own, other) in [(bng, "line", 1, 2), (subscriber, "wan", 2, 1)] {
            namespace.ip("link set lo up");
            namespace.ip(&format!("link set {device} addrgenmode none"));
            namespace.shell(&format!(
                "echo 0 | tee /proc/sys/net/ipv6/conf/{device}/disable_ipv6 /proc/sys/net/ipv6/conf/lo/disable_ipv6"
            ));
            namespace.ip(&format!("link set {device} address 02:00:00:00:00:0{own} up"));
            // An IPv6 address on the line itself would be reported to multicast routers; on the loopback nobody hears of it.
            for (ends, holder) in [(V4, device), (V6, "lo")] {
                let (own, neighbour) = (ends[own - 1], ends[other - 1]);
                namespace.ip(&format!("address add {own} dev {holder}"));
                namespace.ip(&format!("neighbour replace {neighbour} lladdr 02:00:00:00:00:0{other} dev {device}"));
                namespace.ip(&format!("route add {neighbour} dev {device}"));
            }
        }
        line
    }

    /// A socket at each end, connected with each other.
    fn sockets(&self, ends: Ends) -> Sockets {
        let [bng, subscriber] = ends;
        [(&self.bng, bng, subscriber), (&self.subscriber, subscriber, bng)].map(|(namespace, own, other)| {
            let socket = namespace.within(|| UdpSocket::bind((own, PORT)).unwrap());
            socket.connect((other, PORT)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
    }

    /// Sends datagrams of many lengths both ways, and waits until all have arrived.
    pub(crate) fn exchange(&self, ends: Ends, rounds: usize) {
        let (sockets, arrived) = (self.sockets(ends), [0; 2].map(AtomicU64::new));
        for round in 0..rounds {
            send_both_ways(round, &sockets);
            receive_both_ways(&sockets, &arrived);
        }
        wait_until("all datagrams arrive", || {
            receive_both_ways(&sockets, &arrived);
            arrived.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>() == 3 * rounds as u64
        });
    }

    /// The same without an end, also where nothing arrives any more.
    pub(crate) fn flow(&self) -> Flow {
        Flow::start(self.sockets(V4), Duration::ZERO)
    }
}

/// Waits for a condition, at most half a minute.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within half a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a command says, which must go well.
pub(crate) fn run(command: &mut Command) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
