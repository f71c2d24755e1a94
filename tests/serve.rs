//! `tidewatch serve` as its senders and its operators meet it.

#[path = "common/serving.rs"]
mod serving;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serving::{Receiver, Serving, event_list, findings, privileged_pod, tidewatch, wait_until};

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

fn names(findings: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = findings
        .iter()
        .map(|record| {
            let ocsf: Value = serde_json::from_str(record["ocsf"].as_str().unwrap()).unwrap();
            ocsf["resources"][0]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn what_the_api_server_posts_comes_out_as_alerts() {
    let (_folder, data) = folder();
    let serving = Serving::start(&data);
    let answer = serving
        .post_to(
            "/v1/audit/lab/api-1?timeout=30s",
            &[],
            &event_list(&[privileged_pod("a")]),
        )
        .unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}\n"));
    assert!(answer.head.contains("content-type: application/json"));
    let found = serving.wait_for_findings(1);
    assert_eq!(names(&found), ["a"]);
    assert_eq!(found[0]["cluster"], "lab");
    assert_eq!(found[0]["activity"], "create");

    let list = String::from_utf8(serving.command(&["alerts", "list"]).stdout).unwrap();
    assert!(
        list.contains("privileged_container") && list.contains("mallory"),
        "{list}"
    );
    let id = found[0]["uid"].as_str().unwrap();
    let page = String::from_utf8(serving.command(&["alerts", "show", &id[..8]]).stdout).unwrap();
    for expected in ["mallory", "web/a", "do ", id, "record 1 (create)"] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    let none = serving.command(&["alerts", "list", "--min-level", "critical"]);
    assert_eq!(String::from_utf8(none.stderr).unwrap(), "no alerts\n");
    assert_eq!(serving.get("/healthz").status, 200);
    assert_eq!(serving.get("/readyz").body, "ready\n");

    // Offline the same is told out of the store.
    let (ended_well, said) = serving.stop();
    assert!(ended_well, "{said}");
    assert_eq!(findings(&data).len(), 1);
}

#[test]
fn the_same_body_again_is_acknowledged_and_counts_once() {
    let (_folder, data) = folder();
    let body = event_list(&[privileged_pod("a"), privileged_pod("b")]);
    let serving = Serving::start(&data);
    for _ in 0..3 {
        assert_eq!(serving.post(&body).unwrap(), 200);
    }
    serving.wait_for_metric("tidewatch_events_total{outcome=\"repeated\"}", 4.0);
    // Also after a crash.
    serving.kill();
    let serving = Serving::start(&data);
    assert_eq!(serving.post(&body).unwrap(), 200);
    serving.wait_for_metric("tidewatch_events_total{outcome=\"repeated\"}", 6.0);
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"evaluated\"}"),
        2
    );
    let found = serving.findings();
    assert_eq!(names(&found), ["a", "b"]);
    assert!(found.iter().all(|record| record["revision"] == 1));
}

#[test]
fn garbage_is_kept_among_the_dead_letters_and_can_be_sent_again() {
    let (_folder, data) = folder();
    let serving = Serving::start(&data);
    assert_eq!(serving.post(b"this is no audit log").unwrap(), 200);
    serving.wait_for_metric("tidewatch_events_total{outcome=\"rejected\"}", 1.0);
    let list = String::from_utf8(serving.command(&["dlq", "list"]).stdout).unwrap();
    assert!(
        list.contains("not a JSON object") && list.contains("webhook lab/api-1"),
        "{list}"
    );
    assert_eq!(
        serving.command(&["dlq", "show", "1"]).stdout,
        b"this is no audit log"
    );
    let redriven = serving.command(&["dlq", "redrive", "--all"]);
    assert_eq!(
        String::from_utf8(redriven.stdout).unwrap(),
        "1 sent again\n"
    );
    // It is no better now.
    serving.wait_for_metric("tidewatch_events_total{outcome=\"rejected\"}", 2.0);
    let removed = serving.command(&["dlq", "remove", "2"]);
    assert_eq!(String::from_utf8(removed.stdout).unwrap(), "1 removed\n");
    let missing = serving.command(&["dlq", "remove", "7"]);
    assert!(
        String::from_utf8(missing.stderr)
            .unwrap()
            .contains("there is no dead letter 7")
    );
}

#[test]
fn a_body_at_the_limit_is_kept_and_one_byte_more_is_told() {
    let (_folder, data) = folder();
    let config = "http.limits.body = \"3MiB\"\n";
    let serving = Serving::configured(&data, config);
    let limit = 3 << 20;
    let padded = |length: usize, name: &str| {
        let mut body = event_list(&[privileged_pod(name)]);
        body.resize(length, b' ');
        body
    };
    assert_eq!(serving.post(&padded(limit, "full")).unwrap(), 200);
    assert_eq!(serving.post(&padded(limit + 1, "more")).unwrap(), 200);
    assert_eq!(names(&serving.wait_for_findings(2)), ["full", "more"]);
    let list = String::from_utf8(serving.command(&["dlq", "list"]).stdout).unwrap();
    assert!(
        list.contains("1 bytes of this body were beyond the limit"),
        "{list}"
    );
    // Far beyond it nobody reads on.
    let endless = serving.post(&padded(5 * limit, "endless"));
    assert!(matches!(endless, Ok(413) | Err(_)), "{endless:?}");
    assert_eq!(serving.post(&padded(100_000, "after")).unwrap(), 200);
    assert_eq!(
        names(&serving.wait_for_findings(3)),
        ["after", "full", "more"]
    );
}

#[test]
fn overload_is_told_early_with_the_time_to_come_again() {
    let (_folder, data) = folder();
    let serving = Serving::configured(&data, "log.reserve = \"1000TiB\"\n");
    let body = event_list(&[privileged_pod("a")]);
    let answer = serving.post_to("/v1/audit/lab/a", &[], &body).unwrap();
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    let ready = serving.get("/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "the disk is full\n")
    );
    assert_eq!(serving.get("/healthz").status, 200);
    assert!(serving.metric("tidewatch_requests_refused_total{reason=\"disk_full\"}") >= 1.0);
}

#[test]
fn a_client_that_asks_too_often_is_slowed_down() {
    let (_folder, data) = folder();
    let serving = Serving::configured(&data, "http.limits.requests_per_second = 5\n");
    let statuses: Vec<u16> = (0..30).map(|_| serving.post(b"{}").unwrap()).collect();
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 10);
    assert!(statuses.contains(&429));
}

#[test]
fn slow_and_broken_senders_are_let_go() {
    let (_folder, data) = folder();
    let config = "[http.limits]\nfirst_request = \"500ms\"\nbody_time = \"1s\"\nconnections_per_client = 20\n";
    let serving = Serving::configured(&data, config);
    // A head that never ends.
    let mut slow = TcpStream::connect(serving.address).unwrap();
    slow.write_all(b"POST /v1/audit/lab/a HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    // A body that never ends.
    let mut stuck = TcpStream::connect(serving.address).unwrap();
    stuck
        .write_all(b"POST /v1/audit/lab/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    let begun = Instant::now();
    let mut rest = String::new();
    slow.set_read_timeout(Some(serving::PATIENCE)).unwrap();
    drop(slow.read_to_string(&mut rest));
    assert!(begun.elapsed() < Duration::from_secs(5));
    stuck.set_read_timeout(Some(serving::PATIENCE)).unwrap();
    let mut answer = [0; 12];
    stuck.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    // One that is no HTTP.
    let mut noise = TcpStream::connect(serving.address).unwrap();
    noise
        .write_all(&[0x16, 0x03, 0x01, 0xff, 0xff, 0x00])
        .unwrap();
    drop(noise);
    // More connections than one client may have: the rest is closed, and those who may are served.
    let held: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(serving.address).unwrap())
        .collect();
    wait_until("connections are refused", || {
        held.iter().filter(|stream| is_closed(stream)).count() >= 20
    });
    drop(held);
    wait_until("it serves again", || {
        serving.post(b"{}").is_ok_and(|status| status == 200)
    });
    assert!(serving.metric("tidewatch_requests_refused_total{reason=\"connections\"}") >= 20.0);
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match (&mut &*stream).read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn tokens_speak_for_their_clusters_only() {
    let (folder, data) = folder();
    let token = folder.path().join("token");
    fs::write(&token, "s3cret\n").unwrap();
    let config = format!(
        "[[http.tokens]]\nsecret = {{ file = {:?} }}\nclusters = [\"lab\"]\n",
        token.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    let post = |path: &str, headers: &[(&str, &str)]| {
        serving.post_to(path, headers, b"{}").unwrap().status
    };
    assert_eq!(post("/v1/audit/lab/a", &[]), 401);
    assert_eq!(
        post("/v1/audit/lab/a", &[("Authorization", "Bearer wrong")]),
        401
    );
    assert_eq!(
        post("/v1/audit/lab/a", &[("Authorization", "Bearer s3cret")]),
        200
    );
    assert_eq!(
        post("/v1/audit/prod/a", &[("Authorization", "Bearer s3cret")]),
        403
    );
    assert_eq!(serving.get("/metrics").status, 401);
    assert_eq!(serving.get("/healthz").status, 200);
    assert!(!serving.said().contains("s3cret"));
    let shown = tidewatch(&[
        "config",
        "show",
        data.with_extension("toml").to_str().unwrap(),
    ]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("***"));
}

#[test]
fn firehose_and_pubsub_push_in_their_envelopes() {
    use base64::Engine as _;
    let (_folder, data) = folder();
    let serving = Serving::start(&data);
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let event = |name: &str| serde_json::to_vec(&privileged_pod(name)).unwrap();
    let delivery = json!({ "requestId": "r-1", "timestamp": 1, "records": [
        { "data": encode(&event("raw")) }, { "data": encode(&gzip(&event("packed"))) },
    ]});
    let headers = [("X-Amz-Firehose-Request-Id", "r-1")];
    let answer = serving
        .post_to(
            "/v1/firehose/eks/stream",
            &headers,
            delivery.to_string().as_bytes(),
        )
        .unwrap();
    assert_eq!(answer.status, 200);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["requestId"], "r-1");
    assert!(body["timestamp"].is_i64());
    let push = json!({ "message": { "data": encode(&event("pushed")), "messageId": "1" }, "subscription": "s" });
    let answer = serving
        .post_to("/v1/pubsub/gke/sub", &[], push.to_string().as_bytes())
        .unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        names(&serving.wait_for_findings(3)),
        ["packed", "pushed", "raw"]
    );
}

/// Signs tokens as Google does, with a key of its own, by openssl.
struct Signer {
    key: std::path::PathBuf,
}

impl Signer {
    fn new(folder: &std::path::Path) -> Self {
        let key = folder.join("rsa.pem");
        openssl(&["genrsa", "-out", key.to_str().unwrap(), "2048"], b"");
        Self { key }
    }

    /// The public half, as a JSON Web Key Set.
    fn keys(&self) -> String {
        let modulus = openssl(
            &[
                "rsa",
                "-in",
                self.key.to_str().unwrap(),
                "-noout",
                "-modulus",
            ],
            b"",
        );
        let hex = String::from_utf8(modulus).unwrap();
        let hex = hex.trim().trim_start_matches("Modulus=").to_owned();
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        json!({ "keys": [{ "kid": "k1", "kty": "RSA", "alg": "RS256", "n": url64(&bytes), "e": "AQAB" }] }).to_string()
    }

    fn token(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "kid": "k1", "typ": "JWT" }).to_string();
        let signed = format!(
            "{}.{}",
            url64(header.as_bytes()),
            url64(claims.to_string().as_bytes())
        );
        let key = self.key.to_str().unwrap();
        let signature = openssl(&["dgst", "-sha256", "-sign", key], signed.as_bytes());
        format!("{signed}.{}", url64(&signature))
    }
}

fn url64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::process::{Command, Stdio};
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs; on Debian: apt-get install openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

#[test]
fn pubsub_shows_a_token_that_google_signed_for_us() {
    let (folder, data) = folder();
    let signer = Signer::new(folder.path());
    let keys = folder.path().join("keys.json");
    fs::write(&keys, signer.keys()).unwrap();
    let config = format!(
        "[http.pubsub]\naudience = \"https://us\"\nservice_account = \"push@p.iam\"\nkeys = {:?}\n",
        keys.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = |change: &[(&str, Value)]| {
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": "https://us", "exp": now + 600,
            "email": "push@p.iam", "email_verified": true,
        });
        for (key, value) in change {
            claims[*key] = value.clone();
        }
        claims
    };
    let post = |token: &str| {
        let bearer = format!("Bearer {token}");
        let body = br#"{"message":{"data":"e30=","messageId":"1"},"subscription":"s"}"#;
        let headers = [("Authorization", bearer.as_str())];
        serving
            .post_to("/v1/pubsub/gke/s", &headers, body)
            .unwrap()
            .status
    };
    let good = signer.token("RS256", &claims(&[]));
    wait_until("the keys are read", || post(&good) == 200);
    for (what, wrong) in [
        (
            "audience",
            signer.token("RS256", &claims(&[("aud", json!("https://other"))])),
        ),
        (
            "account",
            signer.token("RS256", &claims(&[("email", json!("other@p.iam"))])),
        ),
        (
            "unverified",
            signer.token("RS256", &claims(&[("email_verified", json!(false))])),
        ),
        (
            "issuer",
            signer.token("RS256", &claims(&[("iss", json!("https://evil"))])),
        ),
        (
            "expired",
            signer.token("RS256", &claims(&[("exp", json!(now - 600))])),
        ),
        ("algorithm", signer.token("none", &claims(&[]))),
        ("signature", format!("{}x", &good[..good.len() - 2])),
        ("nothing", String::new()),
    ] {
        assert_eq!(post(&wrong), 401, "{what}");
    }
    // It speaks for pushes, not for API servers.
    let bearer = format!("Bearer {good}");
    let headers = [("Authorization", bearer.as_str())];
    let other = serving.post_to("/v1/audit/gke/s", &headers, b"{}").unwrap();
    assert_eq!(other.status, 401);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_followed_file_is_read_once_over_rotation_and_restarts() {
    let (folder, data) = folder();
    let log = folder.path().join("audit.log");
    let line = |name: &str| format!("{}\n", privileged_pod(name));
    fs::write(&log, line("before")).unwrap();
    let config = format!(
        "[[files]]\npath = {:?}\ncluster = \"lab\"\n",
        log.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    assert_eq!(names(&serving.wait_for_findings(1)), ["before"]);
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    // A line that comes in two pieces.
    let halves = line("halves");
    append(&halves[..40]);
    std::thread::sleep(Duration::from_millis(500));
    append(&halves[40..]);
    serving.wait_for_findings(2);
    // Rotated while nobody reads, twice.
    serving.kill();
    append(&line("end"));
    fs::rename(&log, folder.path().join("audit.log.1")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    append(&line("between"));
    fs::rename(
        folder.path().join("audit.log.1"),
        folder.path().join("audit.log.2"),
    )
    .unwrap();
    fs::rename(&log, folder.path().join("audit.log.1")).unwrap();
    append(&line("new"));
    let serving = Serving::configured(&data, &config);
    assert_eq!(
        names(&serving.wait_for_findings(5)),
        ["before", "between", "end", "halves", "new"]
    );
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"evaluated\"}"),
        5
    );
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"repeated\"}"),
        0
    );
}

#[test]
fn a_receiver_that_fails_gets_every_alert_later_and_does_not_hold_up_others() {
    let (folder, data) = folder();
    let receiver = Receiver::start();
    receiver.answer_with(503);
    let file = folder.path().join("alerts.ndjson");
    let config = format!(
        "[sinks.siem]\ntype = \"webhook\"\nurl = \"http://{}/in\"\n[sinks.file]\ntype = \"file\"\npath = {:?}\nformat = \"ecs\"\n",
        receiver.address,
        file.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    assert_eq!(
        serving.post(&event_list(&[privileged_pod("a")])).unwrap(),
        200
    );
    let lines = || {
        fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .count()
    };
    wait_until("the file has it", || lines() == 1);
    let ecs: Value = serde_json::from_str(fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert_eq!(ecs["event"]["kind"], "alert");
    assert!(receiver.accepted().is_empty());
    // Also after a crash.
    serving.kill();
    receiver.answer_with(200);
    let serving = Serving::configured(&data, &config);
    wait_until("the receiver has it", || receiver.accepted().len() == 1);
    let alert: Value = serde_json::from_str(receiver.accepted()[0].trim()).unwrap();
    assert_eq!(alert["class_uid"], 2004);
    assert_eq!(lines(), 1);
    // What is refused for good is a dead letter, and can be sent again when the receiver has learnt.
    receiver.answer_with(400);
    assert_eq!(
        serving
            .post(&event_list(&[privileged_pod("b"), privileged_pod("c")]))
            .unwrap(),
        200
    );
    serving.wait_for_metric("tidewatch_alert_records{sink=\"siem\",state=\"dead\"}", 2.0);
    wait_until("the file has them", || lines() == 3);
    receiver.answer_with(200);
    let redriven = serving.command(&["dlq", "redrive", "--all"]);
    assert_eq!(
        String::from_utf8(redriven.stdout).unwrap(),
        "2 sent again\n"
    );
    wait_until("the receiver has them", || {
        let posts = receiver.accepted();
        posts.iter().map(|post| post.lines().count()).sum::<usize>() == 3
    });
    assert_eq!(lines(), 3, "the file sink gets nothing twice");
}

#[test]
fn splunk_gets_events_with_its_token() {
    let (folder, data) = folder();
    let receiver = Receiver::start();
    let token = folder.path().join("hec");
    fs::write(&token, "hec-token").unwrap();
    let config = format!(
        "[sinks.splunk]\ntype = \"splunk\"\nurl = \"http://{}\"\nindex = \"security\"\ntoken = {{ file = {:?} }}\n",
        receiver.address,
        token.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    assert_eq!(
        serving.post(&event_list(&[privileged_pod("a")])).unwrap(),
        200
    );
    wait_until("splunk has it", || !receiver.accepted().is_empty());
    let event: Value = serde_json::from_str(receiver.accepted()[0].trim()).unwrap();
    assert_eq!(event["index"], "security");
    assert_eq!(event["event"]["class_uid"], 2004);
    assert_eq!(event["fields"]["signature"], "privileged_container");
    let head = receiver.heads().remove(0);
    assert!(head.contains("post /services/collector/event"), "{head}");
    assert!(head.contains("authorization: splunk hec-token"), "{head}");
}

#[test]
fn rules_are_replaced_without_a_gap_and_broken_ones_are_refused() {
    let (folder, data) = folder();
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let rule = |verb: &str| {
        format!(
            "title: Own\nid: 6d1c3a55-2f63-4d0e-8f5b-0c1d0b8f1a11\nstatus: test\ndescription: d\nlogsource:\n  product: kubernetes\n  service: audit\ndetection:\n  s:\n    verb: {verb}\n  condition: s\nlevel: low\ntags: [attack.t1609]\n"
        )
    };
    fs::write(rules.join("own.yml"), rule("nothing")).unwrap();
    let config = format!(
        "[rules]\nbundled = false\npaths = [{:?}]\n",
        rules.to_str().unwrap()
    );
    let serving = Serving::configured(&data, &config);
    assert_eq!(
        serving
            .post(&event_list(&[privileged_pod("before")]))
            .unwrap(),
        200
    );
    serving.wait_for_metric("tidewatch_events_total{outcome=\"evaluated\"}", 1.0);
    fs::write(rules.join("own.yml"), "title: [broken").unwrap();
    serving.signal("-HUP");
    serving.wait_for_metric(
        "tidewatch_reloads_total{what=\"rules\",result=\"refused\"}",
        1.0,
    );
    fs::write(rules.join("own.yml"), rule("create")).unwrap();
    serving.signal("-HUP");
    serving.wait_for_metric("tidewatch_reloads_total{what=\"rules\",result=\"ok\"}", 1.0);
    assert_eq!(
        serving
            .post(&event_list(&[privileged_pod("after")]))
            .unwrap(),
        200
    );
    assert_eq!(names(&serving.wait_for_findings(1)), ["after"]);
}

#[test]
fn faults_at_start_say_what_to_do() {
    let (folder, data) = folder();
    let serving = Serving::start(&data);
    let again = tidewatch(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        !again.status.success() && said.contains("another process works in"),
        "{said}"
    );
    let taken = serving.address.to_string();
    let other = folder.path().join("other");
    let taken = tidewatch(&[
        "serve",
        "--listen",
        &taken,
        "--data-dir",
        other.to_str().unwrap(),
    ]);
    assert!(
        String::from_utf8(taken.stderr)
            .unwrap()
            .contains("cannot listen on 127.0.0.1:")
    );
    let open = tidewatch(&[
        "serve",
        "--listen",
        "0.0.0.0:0",
        "--data-dir",
        other.to_str().unwrap(),
    ]);
    assert!(
        String::from_utf8(open.stderr)
            .unwrap()
            .contains("nobody is asked who they are")
    );
    let file = folder.path().join("t.toml");
    fs::write(&file, "htp.listen = 1\n").unwrap();
    let checked = tidewatch(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(4));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("did you mean `http`?"), "{said}");
}
