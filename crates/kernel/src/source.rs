//! The own address that datagrams leave from: as the routing table says, or as an interface has it.
//!
//! **Comes in:** where to, or an interface's name. **Goes out:** one address of this box. What is true of an interface may
//! be otherwise at the next call; nothing is remembered. A call allocates, and is none for the packet path.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The one that an address is of.
    pub fn of(address: &SocketAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The address that the system would send from, through `device` only if one is named. Nothing is sent.
///
/// # Errors
/// ENODEV: there is no such device. `NetworkUnreachable`, `HostUnreachable`: no route leads there.
pub fn source_towards(server: SocketAddr, device: Option<&str>) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(device.map(str::as_bytes))?;
    socket.connect(&server.into())?;
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok(local.ip())
}

/// The address of an interface; of several, the first that the kernel lists. One that only neighbours can answer to is none
/// (`fe80::/10`), and a loopback address is taken when there is no other.
///
/// # Errors
/// ENODEV: there is no such interface. `AddrNotAvailable`: it has no address of this family.
pub fn address_of(interface: &str, family: Family) -> io::Result<IpAddr> {
    let (mut is_there, mut found) = (false, None);
    each_address(|name, address| {
        // An address with a label is listed under that: the interface's name, a colon, and more.
        let own = name.to_bytes().split(|octet| *octet == b':').next();
        if name.to_bytes() != interface.as_bytes() && own != Some(interface.as_bytes()) {
            return;
        }
        is_there = true;
        let fits = |address: &IpAddr| match (address, family) {
            (IpAddr::V4(_), Family::V4) => true,
            (IpAddr::V6(v6), Family::V6) => !v6.is_unicast_link_local(),
            (IpAddr::V4(_), Family::V6) | (IpAddr::V6(_), Family::V4) => false,
        };
        let Some(address) = address.filter(fits) else { return };
        if found.is_none_or(|found: IpAddr| found.is_loopback() && !address.is_loopback()) {
            found = Some(address);
        }
    })?;
    match found {
        Some(address) => Ok(address),
        None if is_there => Err(io::ErrorKind::AddrNotAvailable.into()),
        None => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

/// Shows every address of every interface, and every interface at least once.
fn each_address(mut shown: impl FnMut(&CStr, Option<IpAddr>)) -> io::Result<()> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer to be written is one of this frame.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(first);
    let mut next = list.0;
    // SAFETY: getifaddrs(3) ends its list with a null pointer; every other one leads to an entry that lives until freeifaddrs,
    // which is called when `list` is dropped.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every entry has a name that ends with a zero and lives as long as the entry.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        shown(name, address(entry));
    }
    Ok(())
}

/// What getifaddrs(3) has allocated.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the pointer came from getifaddrs, and is given back once.
        unsafe { libc::freeifaddrs(self.0) }
    }
}

/// The address of an entry; `None`: it has none, or one of another family (each interface has one of the link layer).
fn address(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: null, or an address that begins with its family and lives as long as the entry.
    let family = i32::from(unsafe { entry.ifa_addr.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: of this family, it is a `sockaddr_in`; it is copied, wherever it lies.
            let v4 = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: of this family, it is a `sockaddr_in6`; it is copied, wherever it lies.
            let v6 = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_reached_from_loopback_through_its_own_device_only() {
        let server: SocketAddr = "127.0.0.1:1813".parse().unwrap();
        for device in [None, Some("lo")] {
            assert_eq!(source_towards(server, device).unwrap(), server.ip(), "{device:?}");
        }
        let missing = source_towards(server, Some("no-such-device")).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn an_interface_has_its_address_or_says_what_is_missing() {
        assert!(address_of("lo", Family::V4).unwrap().is_ipv4());
        let error = |name| address_of(name, Family::V4).unwrap_err().raw_os_error();
        for missing in ["no-such-device", "l", "lo0", ""] {
            assert_eq!(error(missing), Some(libc::ENODEV), "{missing:?}");
        }
    }

    #[test]
    fn no_address_is_of_the_other_family_or_of_the_link_alone() {
        let mut names = Vec::new();
        each_address(|name, _| names.push(name.to_str().unwrap().to_owned())).unwrap();
        assert!(names.iter().any(|name| name == "lo"), "{names:?}");
        for name in names {
            for family in [Family::V4, Family::V6] {
                match address_of(&name, family) {
                    Ok(IpAddr::V4(_)) => assert_eq!(family, Family::V4, "{name}"),
                    Ok(IpAddr::V6(v6)) => assert!(family == Family::V6 && !v6.is_unicast_link_local(), "{name}: {v6}"),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable, "{name}"),
                }
            }
        }
    }
}
