//! Disks that fail for real: one whose power can be cut, or that its file system gives up, and one that is soon full.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Site, run_command, wait_until};

/// Shuts a file system down: nothing is written to it any more, not even what its journal has not got yet
/// (`EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`).
const CUT: &str = "#include <fcntl.h>\n#include <stdint.h>\n#include <sys/ioctl.h>\n\
    int main(int count, char **words) {\n\
    uint32_t no_log_flush = 2;\n\
    int directory = count == 2 ? open(words[1], O_RDONLY | O_DIRECTORY) : -1;\n\
    return directory < 0 || ioctl(directory, _IOR('X', 125, uint32_t), &no_log_flush) != 0;\n\
    }\n";

/// An ext4 file system on a file, behind a loop device. Dropped, it is unmounted.
pub(crate) struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
    cutter: PathBuf,
}

impl Disk {
    /// A disk with a site's state directory on it.
    ///
    /// # Panics
    /// Without the right to mount: root has it.
    pub(crate) fn of_state(site: &Site) -> Disk {
        Disk::behind(site, &site.state())
    }

    /// A disk with the segments of the site's ledger on it, and nothing else: the lock is elsewhere.
    ///
    /// # Panics
    /// As [`Disk::of_state`].
    pub(crate) fn of_ledger(site: &Site) -> Disk {
        std::fs::create_dir(site.state()).unwrap();
        Disk::behind(site, &site.state().join("ledger"))
    }

    /// The same, mounted on the ledger's directory itself: without the disk it is empty.
    ///
    /// # Panics
    /// As [`Disk::of_state`].
    pub(crate) fn on_ledger(site: &Site) -> Disk {
        std::fs::create_dir(site.state()).unwrap();
        Disk::at(site, site.state().join("ledger"))
    }

    /// Whoever uses this path from now on uses the disk.
    fn behind(site: &Site, path: &Path) -> Disk {
        let disk = Disk::at(site, site.path("disk"));
        let directory = disk.mounted_at.join("directory");
        std::fs::create_dir(&directory).unwrap();
        std::os::unix::fs::symlink(directory, path).unwrap();
        disk
    }

    /// A new one, mounted there.
    fn at(site: &Site, mounted_at: PathBuf) -> Disk {
        assert_may_mount();
        let disk = Disk { image: site.path("disk.img"), mounted_at, cutter: site.path("cut") };
        std::fs::File::create(&disk.image).unwrap().set_len(300 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image));
        std::fs::create_dir(&disk.mounted_at).unwrap();
        let source = site.path("cut.c");
        std::fs::write(&source, CUT).unwrap();
        run(Command::new("cc").args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&disk.cutter).arg(&source));
        disk.mount();
        disk
    }

    /// The power is cut: from now on nothing reaches the disk.
    pub(crate) fn cut(&self) {
        run(Command::new(&self.cutter).arg(&self.mounted_at));
    }

    /// The file system has found an error, and is read-only from now on whoever has files open to write: the only way in
    /// which that happens under a program that writes, for the kernel refuses to do it by request.
    pub(crate) fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.mounted_at));
    }

    /// The power is back: what had reached the disk can be read again. Nobody may have a file of it open.
    pub(crate) fn restore(&self) {
        self.unmount();
        self.mount();
    }

    /// It is taken away. Nobody may have a file of it open. Whoever has made a mount namespace of his own meanwhile may still have
    /// it mounted: until he ends, it would be the same file system that is mounted again, as it was left.
    pub(crate) fn unmount(&self) {
        run(Command::new("umount").arg(&self.mounted_at));
        wait_until("nobody has the disk any more", Duration::from_secs(60), || {
            let devices = Command::new("losetup").arg("-j").arg(&self.image).output().unwrap();
            assert!(devices.status.success(), "{devices:?}");
            devices.stdout.is_empty()
        });
    }

    /// It is put where it was.
    pub(crate) fn mount(&self) {
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop,errors=remount-ro"])
            .arg(&self.image)
            .arg(&self.mounted_at));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open loses it when he ends.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted_at).status();
    }
}

/// A file system of 96 MiB with a site's state directory on it. Dropped, it is unmounted.
pub(crate) struct SmallDisk {
    mounted_at: PathBuf,
}

impl SmallDisk {
    /// Makes it; whoever uses the site's state directory from now on uses the disk.
    ///
    /// # Panics
    /// Without the right to mount: root has it.
    pub(crate) fn of_state(site: &Site) -> SmallDisk {
        assert_may_mount();
        let disk = SmallDisk { mounted_at: site.path("disk") };
        std::fs::create_dir(&disk.mounted_at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(&disk.mounted_at));
        let directory = disk.mounted_at.join("directory");
        std::fs::create_dir(&directory).unwrap();
        std::os::unix::fs::symlink(directory, site.state()).unwrap();
        disk
    }

    /// Somebody else's files take all the space that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).unwrap();
        let error = loop {
            if let Err(error) = ballast.write_all(&[7; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    /// They are gone.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.mounted_at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // As above.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted_at).status();
    }
}

fn assert_may_mount() {
    assert!(rustix::process::geteuid().is_root(), "this test mounts a file system: it has to be run as root");
}

fn run(command: &mut Command) {
    run_command(command).well();
}
