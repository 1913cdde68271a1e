//! Maps of eBPF programs that somebody pinned: opened by path and read in batches (bpf(2)).
//!
//! For threads that may wait. A reading of a million entries takes as long as the kernel copies them; it holds nothing up
//! but one bucket at a time.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Commands of bpf(2).
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;

/// The map is opened for reading only.
const BPF_F_RDONLY: u32 = 1 << 3;

const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_MAP_TYPE_PERCPU_HASH: u32 = 5;

/// Where the kernel says which CPUs there can ever be.
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// Octets of keys and values that one call brings, about.
const BATCH_BYTES: usize = 1 << 20;
/// Entries of one call at least: a bucket of a map comes whole, and rarely has more than a few.
const BATCH_ENTRIES_MIN: usize = 64;

/// A hash map, or a hash map with a value for each CPU.
#[derive(Debug)]
pub struct HashMap {
    map: OwnedFd,
    key_bytes: usize,
    value_bytes: usize,
    cpus: Option<usize>,
    batch: Batch,
}

#[derive(Debug)]
struct Batch {
    entries: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
}

/// The part of `union bpf_attr` that opens a pinned object.
#[repr(C)]
struct ObjectAttributes {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The part that asks what an object is.
#[repr(C)]
struct InfoAttributes {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
}

/// The part that reads one entry.
#[repr(C)]
struct EntryAttributes {
    descriptor: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The part that reads a batch.
#[repr(C)]
struct BatchAttributes {
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    descriptor: u32,
    entry_flags: u64,
    flags: u64,
}

impl HashMap {
    /// Opens the map that is pinned at `path`, for reading.
    ///
    /// # Errors
    /// `NotFound` when nothing is there, `PermissionDenied` without CAP_BPF or CAP_SYS_ADMIN, `InvalidInput` when what is
    /// there is not pinned, `Unsupported` when it is no map of the two kinds. A map that forgets entries by itself (LRU) is
    /// none.
    pub fn open(path: &Path) -> io::Result<HashMap> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut attributes = ObjectAttributes { path: address(path.as_ptr()), descriptor: 0, flags: BPF_F_RDONLY };
        // SAFETY: the attributes are those of this command, and the path outlives the call.
        let descriptor = unsafe { bpf(BPF_OBJ_GET, &mut attributes) }?;
        // SAFETY: a descriptor that the kernel has just made for us.
        let map = unsafe { OwnedFd::from_raw_fd(descriptor) };
        if !is_map(&map)? {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let info = info(&map)?;
        let cpus = match info.kind {
            BPF_MAP_TYPE_HASH => None,
            BPF_MAP_TYPE_PERCPU_HASH => Some(possible_cpus()?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let (key_bytes, value_bytes) = (to_usize(info.key_bytes), to_usize(info.value_bytes));
        let batch = Batch { entries: 0, keys: Vec::new(), values: Vec::new() };
        let mut opened = HashMap { map, key_bytes, value_bytes, cpus, batch };
        opened.make_room((BATCH_BYTES / (key_bytes + opened.entry_value_bytes())).max(BATCH_ENTRIES_MIN));
        Ok(opened)
    }

    /// Octets of a key.
    pub fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// Octets of one value.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// How many values an entry has when each possible CPU has its own, filled up to a multiple of 8 octets; `None` where
    /// all of them share one.
    pub fn cpus(&self) -> Option<usize> {
        self.cpus
    }

    /// Reads all entries: `take` gets keys and values, as many of each, one behind the other. What is added or deleted
    /// meanwhile may be among them or not; everything else is there once.
    ///
    /// # Errors
    /// `PermissionDenied`, and `InvalidInput` on a kernel before 5.6, which reads no batches. Some entries may have been
    /// taken then.
    pub fn read(&mut self, mut take: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
        let mut from = None;
        loop {
            let (count, next, is_last) = match self.read_batch(from) {
                // A bucket that has more entries than there is room for comes in none of the calls.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.make_room(self.batch.entries * 2);
                    continue;
                }
                read => read?,
            };
            take(&self.batch.keys[..count * self.key_bytes], &self.batch.values[..count * self.entry_value_bytes()]);
            if is_last {
                return Ok(());
            }
            from = Some(next);
        }
    }

    /// Reads one entry: all its values, or `None` where there is no such entry.
    ///
    /// # Errors
    /// `PermissionDenied`.
    ///
    /// # Panics
    /// When the key is not as long as the map's.
    pub fn get(&mut self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        assert_eq!(key.len(), self.key_bytes, "a key of this map");
        let length = self.entry_value_bytes();
        let mut attributes = EntryAttributes {
            descriptor: self.map.as_raw_fd().cast_unsigned(),
            key: address(key.as_ptr()),
            value: address(self.batch.values.as_mut_ptr()),
            flags: 0,
        };
        // SAFETY: the attributes are those of this command; the key is as long as the map's, and the room for the values of
        // a batch is enough for those of one entry. Both outlive the call.
        match unsafe { bpf(BPF_MAP_LOOKUP_ELEM, &mut attributes) } {
            Ok(_) => Ok(Some(&self.batch.values[..length])),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many entries were read, where the next batch begins, and whether there is none.
    fn read_batch(&mut self, from: Option<Place>) -> io::Result<(usize, Place, bool)> {
        let mut next: Place = [0; PLACE_BYTES];
        let mut attributes = BatchAttributes {
            from: from.as_ref().map_or(0, |from| address(from.as_ptr())),
            next: address(next.as_mut_ptr()),
            keys: address(self.batch.keys.as_mut_ptr()),
            values: address(self.batch.values.as_mut_ptr()),
            count: u32::try_from(self.batch.entries).unwrap_or(u32::MAX),
            descriptor: self.map.as_raw_fd().cast_unsigned(),
            entry_flags: 0,
            flags: 0,
        };
        // SAFETY: the attributes are those of this command. `make_room` sized keys and values for `count` entries: the size
        // of a key and of a value is the kernel's own, and a map per CPU has as many values as there are possible CPUs,
        // which the kernel told as well. The places are longer than the number of a bucket. All of it outlives the call.
        let read = unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) };
        let is_last = match read {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        Ok((to_usize(attributes.count).min(self.batch.entries), next, is_last))
    }

    fn entry_value_bytes(&self) -> usize {
        self.cpus.map_or(self.value_bytes, |cpus| cpus * self.value_bytes.next_multiple_of(8))
    }

    fn make_room(&mut self, entries: usize) {
        self.batch.entries = entries;
        self.batch.keys.resize(entries * self.key_bytes, 0);
        self.batch.values.resize(entries * self.entry_value_bytes(), 0);
    }
}

/// Where a batch begins: the number of a bucket, with room to spare.
type Place = [u8; PLACE_BYTES];
const PLACE_BYTES: usize = 64;

/// Programs and links are pinned like maps, and what they say of themselves looks like a map's.
fn is_map(object: &OwnedFd) -> io::Result<bool> {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd()))?;
    Ok(name.as_os_str() == "anon_inode:bpf-map")
}

/// What a map is.
fn info(map: &OwnedFd) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    let mut attributes = InfoAttributes {
        descriptor: map.as_raw_fd().cast_unsigned(),
        length: u32::try_from(size_of::<MapInfo>()).unwrap_or_default(),
        info: address(&raw mut info),
    };
    // SAFETY: the attributes are those of this command; `info` is writable for the length that they say.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info)
}

/// How many CPUs there can ever be: what the kernel lists as `0-3,8`.
fn possible_cpus() -> io::Result<usize> {
    count_cpus(&std::fs::read_to_string(POSSIBLE_CPUS)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn count_cpus(list: &str) -> Option<usize> {
    let ranges = list.trim_end().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    ranges.sum()
}

/// # Safety
/// `T` is what the command takes, and every address in it is good for what the command does there.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the attributes are readable and writable for their size; the rest is what the caller promised.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    match libc::c_int::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A pointer as bpf(2) takes it.
fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

fn to_usize(number: u32) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
