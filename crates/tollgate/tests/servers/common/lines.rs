//! Subscriber lines that carry real packets: veth pairs between network namespaces, where nothing moves but what a test
//! sends.

#[path = "../../namespaces/mod.rs"]
mod namespaces;

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use super::{Totals, run_command};
use namespaces::Flow;
pub(crate) use namespaces::within;

/// Both ends of every line listen here.
const PORT: u16 = 9_000;

/// The BNG's namespace, with one interface for each line, `line0` and so on, and a namespace for each subscriber. Dropped,
/// they are removed with all that is in them.
pub(crate) struct Lines {
    /// This process's, so that no two runs meet.
    prefix: String,
    count: u8,
}

impl Lines {
    /// # Panics
    /// Without the right to make namespaces: root has it.
    pub(crate) fn new(count: u8) -> Lines {
        let lines = Lines { prefix: format!("tg{}", std::process::id()), count };
        assert!(rustix::process::geteuid().is_root(), "this test makes network namespaces: it has to be run as root");
        ip(&["netns", "add", &lines.bng()]);
        ip(&["-n", &lines.bng(), "link", "set", "lo", "up"]);
        (0..count).for_each(|line| lines.lay(line));
        lines
    }

    /// The namespace in which all interfaces of the BNG are.
    pub(crate) fn bng(&self) -> String {
        format!("{}-bng", self.prefix)
    }

    /// The interface of the BNG to which a line leads.
    fn interface(line: u8) -> String {
        format!("line{line}")
    }

    fn subscriber(&self, line: u8) -> String {
        format!("{}-{line}", self.prefix)
    }

    fn lay(&self, line: u8) {
        let (bng, subscriber, interface) = (self.bng(), self.subscriber(line), Lines::interface(line));
        ip(&["netns", "add", &subscriber]);
        ip(&["-n", &bng, "link", "add", &interface, "type", "veth", "peer", "name", "wan", "netns", &subscriber]);
        let hardware = |end: u8| format!("02:00:00:00:{line:02x}:{end:02x}");
        let ends = [(&bng, interface.as_str(), 1, 2), (&subscriber, "wan", 2, 1)];
        for (namespace, device, own, _) in ends {
            // No packet of the kernel's own: no router solicitations, and below no ARP.
            let off = format!("[ ! -d /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6");
            ip(&["netns", "exec", namespace, "sh", "-c", &off]);
            ip(&["-n", namespace, "link", "set", device, "address", &hardware(own), "up"]);
            ip(&["-n", namespace, "address", "add", &format!("{}/30", address(line, own)), "dev", device]);
        }
        for (namespace, device, _, other) in ends {
            let (address, hardware) = (address(line, other), hardware(other));
            ip(&["-n", namespace, "neighbour", "replace", &address, "lladdr", &hardware, "dev", device]);
        }
    }

    /// What the kernel has counted on a line; *in* is what the BNG received.
    pub(crate) fn counted(&self, line: u8) -> Totals {
        let directory = format!("/sys/class/net/{}/statistics", Lines::interface(line));
        let files = ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"].map(|name| format!("{directory}/{name}"));
        let bng = self.bng();
        let arguments = ["netns", "exec", &bng, "cat"].into_iter().chain(files.iter().map(String::as_str));
        let said = ip(&arguments.collect::<Vec<_>>());
        let numbers: Vec<u64> = said.lines().map(|number| number.parse().unwrap()).collect();
        let [in_octets, in_packets, out_octets, out_packets] = numbers[..] else { panic!("four numbers: {said}") };
        Totals { in_octets, in_packets, out_octets, out_packets }
    }

    /// Lets datagrams of many lengths flow both ways on a line, until they are stopped.
    pub(crate) fn flow(&self, line: u8) -> Flow {
        let ends = [(self.bng(), 1, 2), (self.subscriber(line), 2, 1)];
        let sockets = ends.map(|(namespace, own, other)| {
            let socket = within(&namespace, || UdpSocket::bind((address(line, own), PORT)).unwrap());
            socket.connect((address(line, other), PORT)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        Flow::start(sockets, Duration::from_millis(2))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let namespaces = (0..self.count).map(|line| self.subscriber(line)).chain([self.bng()]);
        for namespace in namespaces {
            // One that was not made yet cannot be removed; its veth goes with either end.
            let _ = Command::new("ip").args(["netns", "delete", &namespace]).output();
        }
    }
}

impl Flow {
    /// Ends it after some datagrams have arrived at both ends.
    pub(crate) fn stop(self) {
        self.wait(50);
        self.end();
    }
}

/// The BNG's end is 1, the subscriber's 2.
fn address(line: u8, end: u8) -> String {
    format!("198.18.{line}.{end}")
}

/// `ip`, which must go well.
pub(crate) fn ip(arguments: &[&str]) -> String {
    run_command(Command::new("ip").args(arguments)).well()
}
