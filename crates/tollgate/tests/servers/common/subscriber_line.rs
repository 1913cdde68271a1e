//! Two network name spaces: that of the test, its daemon and its server, and that of a subscriber, with a line between them that
//! carries an interface for each session. Two threads keep packets on it, in both directions, and another process hears what the
//! kernel says of interfaces that are gone.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Process, Site, Totals, run_command, seconds, wait_for, wait_until};

/// Says of each interface that is deleted its name and what it had counted: octets and packets in, octets and packets out.
const LISTENER: &str = r#"
import socket, struct, sys
heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
heard.bind((0, 1))
print("listening", flush=True)
while True:
    data = heard.recv(1 << 16)
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if kind == 17 and data[16] == 0:
            name, counted, at = "", None, 32
            while at + 4 <= length:
                size, attribute = struct.unpack_from("=HH", data, at)
                if attribute == 3:
                    name = data[at + 4:at + size].rstrip(b"\0").decode()
                if attribute == 23:
                    counted = struct.unpack_from("=4Q", data, at + 4)
                at += (size + 3) & ~3
            print(name, counted[2], counted[0], counted[3], counted[1], flush=True)
        data = data[(length + 3) & ~3:]
"#;

/// The name spaces.
pub(crate) struct SubscriberLine {
    /// Of the test itself, and of the subscriber.
    names: [String; 2],
    _listener: Process,
    said: std::path::PathBuf,
    stop: Arc<AtomicBool>,
}

impl SubscriberLine {
    /// Makes them, and moves the thread that calls into the first: whatever it starts is there as well.
    ///
    /// # Panics
    /// Without the right to make name spaces: root has it.
    pub(crate) fn enter(site: &Site) -> SubscriberLine {
        let names = ["a", "b"].map(|side| format!("tgline{}{side}", std::process::id()));
        for name in &names {
            run_command(Command::new("ip").args(["netns", "add", name])).well();
        }
        move_into(&names[0]);
        let said = site.path("gone-interfaces");
        let mut command = Command::new("python3");
        command.args(["-c", LISTENER]).stdin(Stdio::null()).stdout(File::create(&said).unwrap());
        let listener = Process::start(&mut command);
        let line = SubscriberLine { names, _listener: listener, said, stop: Arc::default() };
        wait_until("interfaces are listened to", seconds(20), || line.told().contains("listening"));
        shell("for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done");
        shell("ip link set lo up && ip link add wire0 type veth peer name wire1 && ip link set wire0 up");
        // Who is asked for an address of a session answers on that session's interface.
        shell("echo 1 > /proc/sys/net/ipv4/conf/wire0/arp_ignore");
        shell(&format!("ip link set wire1 netns {}", line.names[1]));
        let there = ["link set wire1 up", "addr add 10.9.0.2/16 dev wire1"];
        for words in there {
            let words = words.split(' ');
            run_command(Command::new("ip").args(["-n", &line.names[1]]).args(words)).well();
        }
        line
    }

    /// Makes the interface of the session with this number, from 1, which is not set up yet; with the subscriber at its other end.
    pub(crate) fn add(&self, number: u8) -> String {
        let name = format!("sub{number}");
        shell(&format!("ip link add link wire0 name {name} type macvlan mode bridge"));
        name
    }

    /// Gives it an address of its own, and an address of the subscriber at the other end.
    pub(crate) fn address(&self, number: u8) {
        shell(&format!("ip addr add 10.9.{number}.1 peer 10.9.{number}.2/32 dev sub{number}"));
        let there = format!("addr add 10.9.{number}.2/32 dev wire1");
        run_command(Command::new("ip").args(["-n", &self.names[1]]).args(there.split(' '))).well();
    }

    /// Keeps packets of a session going, in both directions, as long as it has its interface.
    pub(crate) fn flood(&self, number: u8) {
        for (name, from, to) in [(&self.names[0], 1, 2), (&self.names[1], 2, 1)] {
            let (name, stop) = (name.clone(), self.stop.clone());
            std::thread::spawn(move || {
                move_into(&name);
                let socket = UdpSocket::bind(format!("10.9.{number}.{from}:0"));
                let Ok(socket) = socket else { return };
                while !stop.load(Ordering::Relaxed) {
                    let _ = socket.send_to(&[from; 400], format!("10.9.{number}.{to}:9"));
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
        }
    }

    /// Has the subscriber send so many datagrams over the session with this number, and receive so many; each arrives. Their octets
    /// with their headers are 442.
    pub(crate) fn exchange(&self, number: u8, sent: usize, received: usize) {
        let bind = |side: u8| {
            let socket = UdpSocket::bind(format!("10.9.{number}.{side}:9000")).unwrap();
            socket.set_read_timeout(Some(seconds(20))).unwrap();
            socket
        };
        let (here, there) = std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into(&self.names[1]);
                bind(2)
            });
            (bind(1), there.join().unwrap())
        });
        for (from, to, side, count) in [(&there, &here, 1, sent), (&here, &there, 2, received)] {
            for _ in 0..count {
                from.send_to(&[7; 400], format!("10.9.{number}.{side}:9000")).unwrap();
                to.recv(&mut [0; 500]).unwrap();
            }
        }
    }

    /// Has the sample program count what passes on an interface, the line or a session's; where its maps are pinned.
    pub(crate) fn count_by_program(&self, site: &Site, interface: &str) -> Program {
        // Nothing is pinned below a path with a dot.
        let directory = tempfile::Builder::new().prefix("tollgate-bpf").tempdir().unwrap();
        let program = Program { directory };
        let (pins, object) = (program.directory.path(), site.path("count_subscribers.o"));
        shell(&format!("mount -t bpf bpf {}", pins.display()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/count_subscribers.bpf.c");
        let headers = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        shell(&format!("clang -O2 -g -target bpf {headers} -c -o {} {source}", object.display()));
        let at = pins.join("tollgate");
        let (at, object) = (at.display(), object.display());
        shell(&format!("bpftool prog loadall {object} {at} type classifier pinmaps {at}"));
        shell(&format!("tc qdisc add dev {interface} clsact"));
        for (direction, name) in [("ingress", "from_subscriber"), ("egress", "to_subscriber")] {
            shell(&format!("tc filter add dev {interface} {direction} bpf direct-action object-pinned {at}/{name}"));
        }
        program
    }

    /// What an interface has counted, by the kernel's own word.
    pub(crate) fn counted(&self, interface: &str) -> Totals {
        let said = run_command(Command::new("ip").args(["-s", "-j", "link", "show", "dev", interface])).well();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let number = |way: &str, what: &str| said[0]["stats64"][way][what].as_u64().unwrap();
        Totals {
            in_octets: number("rx", "bytes"),
            in_packets: number("rx", "packets"),
            out_octets: number("tx", "bytes"),
            out_packets: number("tx", "packets"),
        }
    }

    /// Waits until it has counted more than this, in both directions.
    pub(crate) fn wait_for_traffic(&self, interface: &str, before: Totals) {
        wait_until(&format!("packets of {interface}"), seconds(20), || {
            let now = self.counted(interface);
            now.in_packets > before.in_packets + 20 && now.out_packets > before.out_packets + 20
        });
    }

    /// Deletes an interface while packets are on their way; what it had counted at its end.
    pub(crate) fn delete(&self, interface: &str) -> Totals {
        shell(&format!("ip link del {interface}"));
        wait_for("what the kernel said of it last", seconds(10), || {
            let told = self.told();
            let line = told.lines().find(|line| line.split(' ').next() == Some(interface))?;
            let numbers: Vec<u64> = line.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
            let [in_octets, in_packets, out_octets, out_packets] = numbers[..] else { return None };
            Some(Totals { in_octets, in_packets, out_octets, out_packets })
        })
    }

    fn told(&self) -> String {
        let text = std::fs::read_to_string(&self.said).unwrap();
        text.rfind('\n').map_or(String::new(), |end| text[..end].to_owned())
    }
}

/// An eBPF program and its maps; dropped, they are gone with the line.
pub(crate) struct Program {
    directory: tempfile::TempDir,
}

impl Program {
    /// Where a map is pinned.
    pub(crate) fn map(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("tollgate").join(name)
    }

    /// What a map has counted for its only subscriber.
    pub(crate) fn counted(&self, name: &str) -> Totals {
        let said =
            run_command(Command::new("bpftool").args(["-j", "map", "dump", "pinned"]).arg(self.map(name))).well();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let [entry] = &said.as_array().unwrap()[..] else { panic!("one entry: {said}") };
        let mut numbers = [0_u64; 4];
        for of_cpu in entry["values"].as_array().unwrap() {
            let octets = of_cpu["value"].as_array().unwrap().iter().map(|octet| octet.as_str().unwrap());
            let octets: Vec<u8> = octets.map(|octet| u8::from_str_radix(&octet[2..], 16).unwrap()).collect();
            for (number, of_cpu) in numbers.iter_mut().zip(octets.chunks_exact(8)) {
                *number += u64::from_ne_bytes(of_cpu.try_into().unwrap());
            }
        }
        let [in_octets, in_packets, out_octets, out_packets] = numbers;
        Totals { in_octets, in_packets, out_octets, out_packets }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).status();
    }
}

impl Drop for SubscriberLine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

/// A shell in the name space of the thread, with what it said when it went wrong.
pub(crate) fn shell(line: &str) {
    let said = run_command(Command::new("sh").args(["-c", line]));
    assert_eq!(said.code, Some(0), "{line}: {}{}", said.out, said.err);
}

fn move_into(name: &str) {
    let space = File::open(format!("/run/netns/{name}")).unwrap();
    move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}
