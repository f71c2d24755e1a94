//! The programs that are run here, and what becomes of them.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What removes a broker when its pipe closes. `Drop` is one way to close it; the others are a broker in a `static`, which
/// is never dropped, a test process that aborts, and one that is killed.
const GUARD: &str = r#"
read -r _
[ ! -f "$1/pid" ] || kill -s KILL "$(cat "$1/pid")"
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

pub(super) fn spawn_guard(folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(folder)
        // A Ctrl-C at the terminal is not for the guard.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A folder for one broker.
pub(super) fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidewatch-kafka-{}-{next}", process::id());
        let folder = std::env::temp_dir().join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return folder,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", folder.display()),
        }
    }
}

/// Runs a program to its end, which must be a good one, and returns what it said.
#[track_caller]
pub(super) fn run(command: &mut Command, package: &str) -> String {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = spawn(command, package).wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}:\n{said}",
        output.status
    );
    said
}

/// Starts a program of a Debian package. The test asked for it, so it fails where the program is missing.
#[track_caller]
pub(super) fn spawn(command: &mut Command, package: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "`{}` does not run ({error}); on Debian: apt-get install {package}",
            command.get_program().display()
        ),
    }
}

/// Whether it comes true in time.
pub(super) fn within(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if check() {
            return true;
        }
        if begin.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
