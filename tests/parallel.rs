//! Several threads find what one finds, down to the counters, whatever the inputs are like.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{catalog, path, scenarios};
use pipeline::run::Options;
use replay::discover::discover;
use replay::rejects::RejectsFile;
use replay::replay::{Quiet, Replay, Replayed};

/// More than one piece is 1 MiB.
const LARGE: usize = 5 << 20;

fn run(paths: &[PathBuf], threads: usize) -> (Replayed, Vec<u8>) {
    let named: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let inputs = discover(&named).unwrap();
    let rejects = tempfile::NamedTempFile::new().unwrap();
    let replay = Replay {
        catalog: catalog(),
        options: Options::default(),
        cluster: "default".into(),
        rejects: Some(RejectsFile::new(rejects.reopen().unwrap())),
        threads,
    };
    let replayed = replay.run(&inputs.paths, &mut Quiet).unwrap();
    (replayed, fs::read(rejects.path()).unwrap())
}

#[track_caller]
fn check(paths: &[PathBuf]) -> Replayed {
    let (one, one_rejects) = run(paths, 1);
    assert!(one.report.account.balances(), "{:?}", one.report.account);
    for threads in [2, 5] {
        let (many, many_rejects) = run(paths, threads);
        assert_eq!(many.report.account, one.report.account, "{threads} threads");
        assert_eq!(many.report.alerts, one.report.alerts, "{threads} threads");
        let faults = |replayed: &Replayed| -> Vec<_> {
            replayed.faults.iter().map(ToString::to_string).collect()
        };
        assert_eq!(faults(&many), faults(&one), "{threads} threads");
        assert_eq!(many.bytes, one.bytes, "{threads} threads");
        let (many, one) = (many_rejects.as_slice(), one_rejects.as_slice());
        assert_eq!(String::from_utf8_lossy(many), String::from_utf8_lossy(one));
    }
    one
}

/// All recorded acts as lines, over and over with other ids, until there are so many bytes.
fn lines(bytes: usize) -> Vec<u8> {
    let mut log = Vec::new();
    for round in 0.. {
        for scenario in scenarios() {
            let text = String::from_utf8_lossy(&scenario.log);
            let text = text.replace("\"auditID\":\"", &format!("\"auditID\":\"{round}-"));
            log.extend_from_slice(text.as_bytes());
        }
        if log.len() >= bytes {
            break;
        }
    }
    log
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_demo() {
    let demo = PathBuf::from(path("replay/demo"));
    assert!(!check(&[demo]).report.alerts.is_empty());
}

#[test]
fn large_files_in_all_packings() {
    let folder = tempfile::tempdir().unwrap();
    let log = lines(LARGE);
    let plain = write(folder.path(), "a.log", &log);
    let zstd = write(
        folder.path(),
        "b.log.zst",
        &zstd::encode_all(log.as_slice(), 1).unwrap(),
    );
    // The second file repeats the first: which one is the repeat must not depend on who was faster.
    let replayed = check(&[plain, zstd]);
    let account = &replayed.report.account;
    assert_eq!(account.repeated, account.evaluated);
}

#[test]
fn junk_between_lines_and_a_line_that_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = lines(2 << 20);
    log.extend_from_slice(b"junk\n{\"kind\":\"Event\",\"verb\":\"get\",\"a\":\n[1,2]\nmore junk\n");
    log.extend(lines(2 << 20));
    log.extend_from_slice(b"{\"kind\":\"Event\",\"verb\":\"get\",\"requestURI\":\"/cut");
    let replayed = check(&[write(folder.path(), "a.log", &log)]);
    assert!(replayed.report.account.rejected_total() > 0);
    assert_eq!(replayed.report.account.partial, 2);
}

#[test]
fn a_file_that_is_no_file_of_lines() {
    let folder = tempfile::tempdir().unwrap();
    let events: Vec<serde_json::Value> = serde_json::Deserializer::from_slice(&lines(LARGE / 2))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let pretty: String = events.iter().map(|event| format!("{event:#}\n")).collect();
    let array = serde_json::to_vec_pretty(&events).unwrap();
    let list = serde_json::json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": events});
    let files = [
        write(folder.path(), "pretty.json", pretty.as_bytes()),
        write(folder.path(), "array.json", &array),
        write(folder.path(), "list.json", list.to_string().as_bytes()),
    ];
    for file in files {
        let account = check(&[file]).report.account;
        assert_eq!(account.rejected_total(), 0, "{account:?}");
        assert_eq!(account.evaluated + account.repeated, events.len() as u64);
    }
}

/// Lines first, then something else: what was cut on trust must be decoded again.
#[test]
fn a_file_that_ceases_to_be_one_of_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = lines(3 << 20);
    let event: serde_json::Value =
        serde_json::from_slice(log.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    for number in 0..2_000 {
        let mut event = event.clone();
        event["auditID"] = number.into();
        log.extend_from_slice(format!("{event:#}\n").as_bytes());
    }
    let evaluated = check(&[write(folder.path(), "a.log", &log)])
        .report
        .account
        .evaluated;
    assert!(evaluated > 2_000, "{evaluated}");
}

#[test]
fn files_that_cannot_be_read_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let packed = zstd::encode_all(lines(LARGE).as_slice(), 1).unwrap();
    let files = [
        write(folder.path(), "a.zst", &packed[..packed.len() / 2]),
        write(folder.path(), "b.log", &lines(1 << 20)),
        write(folder.path(), "c.log", b""),
    ];
    assert_eq!(check(&files).faults.len(), 1);
}

#[test]
fn many_small_files() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = scenarios()
        .iter()
        .map(|scenario| {
            write(
                folder.path(),
                &format!("{}.log", scenario.name),
                &scenario.log,
            )
        })
        .collect();
    check(&files);
}
