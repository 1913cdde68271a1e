//! `small_plane.c`, made of the header, of the shared library and of the static one, is the same plane. The library shows the
//! functions that the header declares, and says the same version.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::counters::CounterSlot;
use model::ids::PlaneIndex;
use model::verdict::{Reason, Sentence, Verdict};
use plane::hello::{Answer, Welcome};
use rustix::net::SendFlags;

use crate::c_header::{compile, include};
use crate::engine::{Linked, accept, listen, receive, welcome};

/// The example's session.
const SESSION: &[u8] = b"session-1";

fn plane(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a command says that has to go well.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The library below a directory of its own.
struct Library(tempfile::TempDir);

impl Library {
    fn build() -> Library {
        let place = tempfile::tempdir().unwrap();
        said(Command::new(plane("../../scripts/plane-library")).arg(place.path()));
        Library(place)
    }

    fn lib(&self) -> PathBuf {
        self.0.path().join("lib")
    }

    fn pkg_config(&self, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        said(command.args(arguments).arg("tollgate_plane")).split_whitespace().map(str::to_owned).collect()
    }

    /// The example, compiled with what pkg-config says.
    fn example(&self, flags: &[&str], pkg_config: &[&str]) -> PathBuf {
        let program = self.0.path().join("small_plane");
        let (source, found) = (plane("examples/small_plane.c"), self.pkg_config(pkg_config));
        let mut arguments = vec!["-std=c11", "-o", program.to_str().unwrap()];
        arguments.extend(flags);
        arguments.push(source.to_str().unwrap());
        arguments.extend(found.iter().map(String::as_str));
        compile("cc", &arguments).unwrap();
        program
    }
}

/// The engine is of another version first, then it accepts the plane and goes, and comes back.
fn is_a_plane(command: &mut Command) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("plane.sock");
    let listener = listen(&path);
    let child = command.arg(&path).arg("alice@isp").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let socket = accept(&listener);
    receive(&socket).unwrap();
    let mut other_version = Welcome::new(Answer::Accepted).encode();
    other_version[8] = 2;
    rustix::net::send(&socket, &other_version, SendFlags::NOSIGNAL).unwrap();

    let before = announced(&listener).hello.epoch;
    let mut linked = announced(&listener);
    assert_eq!(linked.hello.epoch, before, "the same memory");
    let (session, sentence, reason) = (SESSION, Sentence::Admit, Reason::Opened);
    linked
        .region
        .verdicts()
        .push(&Verdict { plane: PlaneIndex(0), session, counters: CounterSlot::default(), sentence, reason })
        .unwrap();
    linked.kick_plane();
    let down = linked.next(0);
    assert!(down.starts_with("Down") && down.contains("in_octets: 30000") && down.contains("cause: 1"), "{down}");
    linked.durable();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "the engine refuses: version\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "verdict 1, reason 1\ngone with 30000 octets in\n");
    assert!(output.status.success());
}

/// The next link, with its one session announced.
fn announced(listener: &OwnedFd) -> Linked {
    let mut linked = welcome(accept(listener));
    assert_eq!(linked.next(0), "ResyncBegin");
    let up = linked.next(0);
    assert!(up.starts_with("Up") && up.contains(&format!("{SESSION:?}")), "{up}");
    assert_eq!(linked.next(0), "ResyncEnd");
    linked.durable();
    linked
}

#[test]
fn the_header_is_a_plane() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("small_plane");
    let source = plane("examples/small_plane.c");
    compile("cc", &["-std=c11", "-o", program.to_str().unwrap(), source.to_str().unwrap()]).unwrap();
    is_a_plane(&mut Command::new(program));
}

#[test]
fn the_shared_library_is_a_plane() {
    let library = Library::build();
    let program = library.example(&[], &["--cflags", "--libs"]);
    is_a_plane(Command::new(program).env("LD_LIBRARY_PATH", library.lib()));
}

#[test]
fn the_static_library_is_a_plane() {
    let library = Library::build();
    let program = library.example(&["-static"], &["--static", "--cflags", "--libs"]);
    is_a_plane(&mut Command::new(program));
}

#[test]
fn the_library_shows_what_the_header_declares() {
    let library = Library::build();
    let header = std::fs::read_to_string(include().join("tollgate_plane.h")).unwrap();
    // A declaration begins with the word, and its name is the first that is followed by a parenthesis.
    let declared: BTreeSet<&str> = header
        .split("\nTOLLGATE_API ")
        .skip(1)
        .map(|rest| rest.split_once('(').unwrap().0.rsplit([' ', '*']).next().unwrap())
        .collect();
    let shared = library.lib().join("libtollgate_plane.so");
    let symbols = said(Command::new("nm").args(["-D", "--defined-only"]).arg(shared));
    let shown: BTreeSet<&str> =
        symbols.lines().filter_map(|line| line.split_once(" T ")?.1.split('@').next()).collect();
    assert_eq!(shown, declared);
    assert!(symbols.lines().filter(|line| line.contains(" T ")).all(|line| line.contains("@@TOLLGATE_1")), "{symbols}");
}

#[test]
fn the_library_says_the_header_s_version() {
    let library = Library::build();
    let source = library.0.path().join("version.cc");
    let program = library.0.path().join("version");
    std::fs::write(
        &source,
        "#include \"tollgate_plane.h\"\n#include <cstdio>\nint main() {\n    \
         std::printf(\"%u.%u\\n\", tollgate_version() >> 16, tollgate_version() & 0xffff);\n    \
         return tollgate_version() == TOLLGATE_HEADER_VERSION ? 0 : 1;\n}\n",
    )
    .unwrap();
    let found = library.pkg_config(&["--cflags", "--libs"]);
    let mut arguments = vec!["-std=c++17", "-o", program.to_str().unwrap(), source.to_str().unwrap()];
    arguments.extend(found.iter().map(String::as_str));
    compile("c++", &arguments).unwrap();
    let version = said(Command::new(program).env("LD_LIBRARY_PATH", library.lib()));
    assert_eq!(library.pkg_config(&["--modversion"]), [version.trim()]);
    let major = version.split('.').next().unwrap();
    assert!(library.lib().join(format!("libtollgate_plane.so.{major}")).exists());
}

/// For languages that do not know how large a plane is.
#[test]
fn a_plane_can_be_made_without_its_size() {
    let library = Library::build();
    let (source, program) = (library.0.path().join("opaque.c"), library.0.path().join("opaque"));
    std::fs::write(
        &source,
        "#include \"tollgate_plane.h\"\nint main(void) {\n    \
         struct tollgate_options bad = {\"\", 1, 16, 1, 16, 0}, good = {\"p\", 1, 16, 1, 16, 0};\n    \
         if (tollgate_new(&bad) || errno != EINVAL) return 1;\n    \
         struct tollgate_plane *plane = tollgate_new(&good);\n    \
         if (!plane || tollgate_answer(plane)[0] || tollgate_poll(plane) != TOLLGATE_DOWN) return 2;\n    \
         tollgate_free(plane);\n    tollgate_free(NULL);\n    return 0;\n}\n",
    )
    .unwrap();
    let found = library.pkg_config(&["--cflags", "--libs"]);
    let mut arguments = vec!["-std=c11", "-o", program.to_str().unwrap(), source.to_str().unwrap()];
    arguments.extend(found.iter().map(String::as_str));
    compile("cc", &arguments).unwrap();
    said(Command::new(program).env("LD_LIBRARY_PATH", library.lib()));
}
