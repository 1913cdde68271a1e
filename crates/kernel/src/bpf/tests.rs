//! Maps of our own, made and pinned in a file system of our own. They need root.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use super::*;

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_MAP_TYPE_LRU_PERCPU_HASH: u32 = 10;

/// The part that makes a map.
#[repr(C)]
struct CreateAttributes {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
}

/// A file system for pins, unmounted on drop.
struct Pins {
    directory: tempfile::TempDir,
}

impl Pins {
    fn new() -> Pins {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(directory.path()).status().unwrap();
        assert!(mounted.success(), "this test mounts a file system: it has to be run as root");
        Pins { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("map")
    }

    /// Makes a map and pins it.
    fn map(&self, kind: u32, key_bytes: u32, value_bytes: u32, entries_max: u32) -> OwnedFd {
        let mut create = CreateAttributes { kind, key_bytes, value_bytes, entries_max, flags: 0 };
        // SAFETY: the attributes are those of the command, and hold no address.
        let map = unsafe { OwnedFd::from_raw_fd(bpf(BPF_MAP_CREATE, &mut create).unwrap()) };
        let path = CString::new(self.path().as_os_str().as_bytes()).unwrap();
        let descriptor = map.as_raw_fd().cast_unsigned();
        let mut pin = ObjectAttributes { path: address(path.as_ptr()), descriptor, flags: 0 };
        // SAFETY: the attributes are those of the command, and the path outlives the call.
        unsafe { bpf(BPF_OBJ_PIN, &mut pin) }.unwrap();
        map
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).status();
    }
}

fn update(map: &OwnedFd, key: u32, value: &[u8]) {
    let key = key.to_ne_bytes();
    let mut attributes = EntryAttributes {
        descriptor: map.as_raw_fd().cast_unsigned(),
        key: address(key.as_ptr()),
        value: address(value.as_ptr()),
        flags: 0,
    };
    // SAFETY: the attributes are those of the command; the callers' keys have four octets, and their values all of an
    // entry's.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attributes) }.unwrap();
}

fn read(map: &mut HashMap) -> BTreeMap<u32, Vec<u8>> {
    let (key_bytes, value_bytes) = (map.key_bytes(), map.entry_value_bytes());
    let mut entries = BTreeMap::new();
    map.read(|keys, values| {
        for (key, value) in keys.chunks_exact(key_bytes).zip(values.chunks_exact(value_bytes)) {
            let key = u32::from_ne_bytes(key.try_into().unwrap());
            assert!(entries.insert(key, value.to_vec()).is_none(), "{key} twice");
        }
    })
    .unwrap();
    entries
}

#[test]
fn a_map_is_read_in_batches_with_the_values_of_every_cpu() {
    let pins = Pins::new();
    let made = pins.map(BPF_MAP_TYPE_PERCPU_HASH, 4, 12, 20_000);
    let mut map = HashMap::open(&pins.path()).unwrap();
    let cpus = map.cpus().unwrap();
    assert_eq!((map.key_bytes(), map.value_bytes(), read(&mut map).len()), (4, 12, 0));
    // Every CPU's value has 12 octets and is filled up to 16.
    let value = |key: u32| -> Vec<u8> {
        let of = |cpu: usize| [&[u8::try_from(cpu).unwrap() + 1; 8][..], &key.to_ne_bytes(), &[0; 4]].concat();
        (0..cpus).flat_map(of).collect()
    };
    for key in 0..20_000 {
        update(&made, key, &value(key));
    }
    // Several batches, and one that has to grow.
    map.make_room(1);
    let expected: BTreeMap<u32, Vec<u8>> = (0..20_000).map(|key| (key, value(key))).collect();
    assert!(read(&mut map) == expected);
    assert!(map.batch.entries > 1);
    assert_eq!(map.get(&7_u32.to_ne_bytes()).unwrap(), Some(&value(7)[..]));
    assert_eq!(map.get(&20_000_u32.to_ne_bytes()).unwrap(), None);
}

#[test]
fn a_map_that_is_pinned_is_read_when_its_maker_is_gone() {
    let pins = Pins::new();
    update(&pins.map(BPF_MAP_TYPE_HASH, 4, 8, 16), 7, &[9; 8]);
    let mut map = HashMap::open(&pins.path()).unwrap();
    assert_eq!((map.cpus(), read(&mut map)), (None, BTreeMap::from([(7, vec![9; 8])])));
}

#[test]
fn other_maps_are_refused() {
    for kind in [BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_LRU_PERCPU_HASH] {
        let pins = Pins::new();
        pins.map(kind, 4, 8, 16);
        assert_eq!(HashMap::open(&pins.path()).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
    let pins = Pins::new();
    assert_eq!(HashMap::open(&pins.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(HashMap::open(file.path()).is_err());
}

#[test]
fn cpus_are_counted() {
    for (list, count) in [("0\n", Some(1)), ("0-3\n", Some(4)), ("0,2-5,8\n", Some(6)), ("\n", None), ("3-0\n", None)] {
        assert_eq!(count_cpus(list), count, "{list:?}");
    }
}
