//! A disk whose power can be cut: an ext4 file system on a file, behind a loop device.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Site, run_command};

/// Shuts a file system down: nothing is written to it any more, not even what its journal has not got yet
/// (`EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`).
const CUT: &str = "#include <fcntl.h>\n#include <stdint.h>\n#include <sys/ioctl.h>\n\
    int main(int count, char **words) {\n\
    uint32_t no_log_flush = 2;\n\
    int directory = count == 2 ? open(words[1], O_RDONLY | O_DIRECTORY) : -1;\n\
    return directory < 0 || ioctl(directory, _IOR('X', 125, uint32_t), &no_log_flush) != 0;\n\
    }\n";

/// A disk with a site's state directory on it. Dropped, it is unmounted.
pub(crate) struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
    cutter: PathBuf,
}

impl Disk {
    /// Makes it; whoever uses the site's state directory from now on uses the disk.
    ///
    /// # Panics
    /// Without the right to mount: root has it.
    pub(crate) fn new(site: &Site) -> Disk {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a file system: it has to be run as root");
        let disk = Disk { image: site.path("disk.img"), mounted_at: site.path("disk"), cutter: site.path("cut") };
        std::fs::File::create(&disk.image).unwrap().set_len(300 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image));
        std::fs::create_dir(&disk.mounted_at).unwrap();
        let source = site.path("cut.c");
        std::fs::write(&source, CUT).unwrap();
        run(Command::new("cc").args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&disk.cutter).arg(&source));
        disk.mount();
        std::fs::create_dir(disk.mounted_at.join("state")).unwrap();
        std::os::unix::fs::symlink(disk.mounted_at.join("state"), site.state()).unwrap();
        disk
    }

    /// The power is cut: from now on nothing reaches the disk.
    pub(crate) fn cut(&self) {
        run(Command::new(&self.cutter).arg(&self.mounted_at));
    }

    /// The power is back: what had reached the disk can be read again. Nobody may have a file of it open.
    pub(crate) fn restore(&self) {
        unmount(&self.mounted_at);
        self.mount();
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.mounted_at));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open loses it when he ends.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted_at).status();
    }
}

fn unmount(directory: &Path) {
    run(Command::new("umount").arg(directory));
}

fn run(command: &mut Command) {
    run_command(command).well();
}
