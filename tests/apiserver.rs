//! A real API server sends to a real Tidewatch, with what `tidewatch setup` wrote: acts come out as alerts, each once, also
//! if Tidewatch is killed in between. With embedded state, and with state and alerts in a real Kafka.

#[path = "common/installation.rs"]
mod installation;
#[path = "common/kafka/mod.rs"]
mod kafka;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use installation::{Installation, assert_once};
use kafka::{Broker, Options};
use serde_json::Value;
use serving::{Serving, tidewatch, wait_until};

/// One API server at a time: they are large.
static ALONE: Mutex<()> = Mutex::new(());

/// An API server with its etcd; stopped when dropped.
struct ApiServer {
    folder: PathBuf,
    binary: PathBuf,
    url: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apiserver/run")
}

fn run(arguments: &[&str]) {
    let status = Command::new(script())
        .args(arguments)
        .env("APISERVER_FLAGS", "--audit-webhook-batch-max-wait=1s")
        .status()
        .unwrap();
    assert!(status.success(), "tests/apiserver/run {arguments:?}");
}

impl ApiServer {
    fn start(folder: &Path, setup: &Path) -> Self {
        let binary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("apiserver");
        run(&["build", binary.to_str().unwrap()]);
        let mut server = Self {
            folder: folder.to_owned(),
            binary,
            url: String::new(),
        };
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        run(&[
            "start",
            &path(folder),
            &path(&server.binary),
            &path(&setup.join("audit-policy.yaml")),
            &path(&setup.join("webhook.yaml")),
        ]);
        let url = fs::read_to_string(folder.join("server")).unwrap();
        url.trim().clone_into(&mut server.url);
        server
    }

    /// Does acts as the administrator; their audit ids by act.
    fn act(&self, acts: &[&str]) -> BTreeMap<String, String> {
        let output = Command::new(&self.binary)
            .args(["acts", "--server", &self.url, "--token", "admin-token"])
            .args(acts)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (act, _status, id) = (words.next()?, words.next()?, words.next()?);
                Some((act.to_owned(), id.to_owned()))
            })
            .collect()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        run(&["stop", self.folder.to_str().unwrap()]);
    }
}

/// The rule and the audit id of a finding.
fn rule_and_request(rule: &str, ocsf: &Value) -> (String, String) {
    let id = ocsf["metadata"]["original_event_uid"].as_str().unwrap();
    (rule.to_owned(), id.to_owned())
}

/// Those of all findings in the store.
fn in_store(serving: &Serving) -> Vec<(String, String)> {
    let of = |record: &Value| {
        let ocsf: Value = serde_json::from_str(record["ocsf"].as_str().unwrap()).unwrap();
        rule_and_request(record["rule"].as_str().unwrap(), &ocsf)
    };
    serving.findings().iter().map(of).collect()
}

/// Those of all findings in the topic, none of which is there twice.
fn in_topic(installation: &Installation) -> Vec<(String, String)> {
    let alerts = installation.alerts();
    assert_once(&alerts);
    let created = alerts
        .iter()
        .filter(|alert| alert.header("activity") == "create");
    created
        .map(|alert| rule_and_request(alert.header("rule"), &alert.ocsf))
        .collect()
}

#[test]
fn acts_come_out_as_alerts_each_once() {
    acts_come_out("", "", &in_store);
}

#[test]
fn acts_come_out_as_alerts_in_kafka_each_once() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let kafka = format!(
        "[kafka]\nbrokers = [\"{}\"]\n",
        installation.broker.plaintext()
    );
    acts_come_out("state = \"kafka\"\n", &kafka, &|_| in_topic(&installation));
}

/// What is `raised` is read from wherever alerts go with this configuration.
fn acts_come_out(top: &str, sections: &str, raised: &dyn Fn(&Serving) -> Vec<(String, String)>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let setup = folder.path().join("setup");
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let made = tidewatch(&[
        "setup",
        "--out",
        setup.to_str().unwrap(),
        "--cluster",
        "lab",
        "--apiserver",
        "api-1",
        "--port",
        &port.to_string(),
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let config = setup.join("tidewatch.toml");
    let written = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{top}{written}\n{sections}")).unwrap();
    let start = || {
        let config = config.to_str().unwrap();
        Serving::at(
            &folder.path().join("data"),
            &format!("127.0.0.1:{port}"),
            &["--config", config],
        )
    };
    let serving = start();
    let server = ApiServer::start(&folder.path().join("cluster"), &setup);

    let expected = [
        ("privileged-pod", "privileged_container"),
        ("cluster-admin-binding", "cluster_admin_binding"),
        ("secrets-list", "secrets_list_cluster_wide"),
        ("hostpath-pod", "sensitive_hostpath"),
        (
            "anonymous-binding",
            "binding_to_anonymous_or_all_authenticated",
        ),
    ];
    let acts: Vec<&str> = expected.iter().map(|(act, _)| *act).collect();
    let mut owed: Vec<(String, String)> = Vec::new();
    let mut note = |ids: &BTreeMap<String, String>| {
        for (act, rule) in expected {
            owed.push((rule.to_owned(), ids[act].clone()));
        }
        owed.clone()
    };
    let all = note(&server.act(&acts));
    wait_until("the first acts are raised", || {
        let raised = raised(&serving);
        all.iter().all(|one| raised.contains(one))
    });

    // Tidewatch dies while the API server sends; what it did not acknowledge comes again.
    let reads = std::thread::scope(|scope| {
        let reads = scope.spawn(|| server.act(&["many-reads", "3000"]));
        std::thread::sleep(std::time::Duration::from_millis(700));
        serving.signal("-KILL");
        reads.join().unwrap()
    });
    drop(reads);
    serving.kill();
    let while_away = server.act(&acts);
    let serving = start();
    let all = note(&while_away);
    let within = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        let raised = raised(&serving);
        if all
            .iter()
            .filter(|one| is_own(one))
            .all(|one| raised.contains(one))
        {
            break;
        }
        assert!(std::time::Instant::now() < within, "{all:?}\n{raised:?}");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let raised = raised(&serving);
    for one in &all {
        assert!(
            raised.iter().filter(|other| *other == one).count() <= 1,
            "{one:?} came twice"
        );
    }
    drop(server);
    let (ended_well, said) = serving.stop();
    assert!(ended_well, "{said}");
}

/// Acts on an object of their own are findings of their own; listing all secrets again is the same act.
fn is_own(owed: &(String, String)) -> bool {
    owed.0 != "secrets_list_cluster_wide"
}
