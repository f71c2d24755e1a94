//! State in Kafka, and Kafka as a sink: the real binary on a real broker.

#[path = "common/installation.rs"]
mod installation;
#[path = "common/kafka/mod.rs"]
mod kafka;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeSet;
use std::time::Duration;

use installation::{Alert, Installation, READ_LIMIT, assert_once, assert_one_finding_each};
use kafka::client::{produce, read_all};
use kafka::{Broker, ClientAuth, Options, PASSWORD, Sasl, USER};
use serde_json::{Value, json};
use serving::{Serving, event_list, privileged_pod, tidewatch, wait_until};

fn pods(prefix: &str, count: usize) -> BTreeSet<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}"))
        .collect()
}

fn body_of(pods: &BTreeSet<String>) -> Vec<u8> {
    let events: Vec<Value> = pods.iter().map(|name| privileged_pod(name)).collect();
    event_list(&events)
}

#[track_caller]
fn post(serving: &Serving, body: &[u8]) {
    assert_eq!(serving.post(body).unwrap(), 200, "{}", serving.said());
}

#[test]
fn a_webhook_body_becomes_alerts_that_a_siem_can_filter_without_opening_them() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let serving = installation.start("one", "");
    let pods = pods("web", 5);
    post(&serving, &body_of(&pods));
    let alerts = installation.wait_for_pods(&pods);
    assert_one_finding_each(&alerts, &pods);
    for alert in &alerts {
        assert_eq!(alert.ocsf["finding_info"]["uid"], alert.key);
        assert_eq!(alert.header("finding-uid"), alert.key);
        assert_eq!(alert.header("cluster"), "lab");
        assert_eq!(alert.header("content-type"), "application/json");
        assert_eq!(alert.header("schema"), "ocsf-1.8.0");
        assert_eq!(alert.header("revision"), "1");
        assert_eq!(alert.header("activity"), "create");
        assert_eq!(alert.header("event-time"), "2026-11-20T10:00:00.1Z");
        assert!(
            ["medium", "high", "critical"].contains(&alert.header("severity")),
            "{alert:?}"
        );
    }
    // The same body again is the same events: nothing new is said.
    post(&serving, &body_of(&pods));
    serving.wait_for_metric("tidewatch_events_total{outcome=\"repeated\"}", 5.0);
    assert_eq!(installation.alerts().len(), alerts.len());
    let (ended_well, said) = serving.stop();
    assert!(ended_well, "{said}");
}

#[test]
fn what_was_told_is_remembered_by_whoever_gets_the_shard() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let first = installation.start("first", "");
    let told = pods("told", 3);
    post(&first, &body_of(&told));
    installation.wait_for_pods(&told);
    first.stop();
    // Another process, with no memory but what is in Kafka.
    let second = installation.start("second", "");
    post(&second, &body_of(&told));
    let fresh = pods("fresh", 1);
    post(&second, &body_of(&fresh));
    let alerts = installation.wait_for_pods(&fresh);
    let all: BTreeSet<String> = told.union(&fresh).cloned().collect();
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
    assert_eq!(alerts.len(), 4, "{alerts:?}");
}

#[test]
fn two_processes_share_the_load_and_one_may_go() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let stay = installation.start("stay", "");
    let go = installation.start("go", "");
    wait_until("both have shards", || {
        stay.metric("tidewatch_shards") > 0.0 && go.metric("tidewatch_shards") > 0.0
    });
    let mut all = BTreeSet::new();
    for round in 0..10 {
        let pods = pods(&format!("round{round}"), 4);
        post(if round % 2 == 0 { &stay } else { &go }, &body_of(&pods));
        all.extend(pods);
    }
    let (ended_well, said) = go.stop();
    assert!(ended_well, "{said}");
    let last = pods("last", 2);
    post(&stay, &body_of(&last));
    all.extend(last);
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
    wait_until("one has all shards", || stay.count("tidewatch_shards") == 4);
}

#[test]
fn bodies_beyond_the_broker_s_limit_are_cut_and_an_event_beyond_it_comes_whole() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let serving = installation.start("one", "");
    let all = pods("many", 600);
    let mut large = privileged_pod("large");
    // 3 MiB that nothing can compress.
    large["requestObject"]["metadata"]["annotations"] = json!({ "noise": noise(3 << 20) });
    let mut events: Vec<Value> = all
        .iter()
        .map(|name| {
            let mut event = privileged_pod(name);
            event["responseObject"]["metadata"]["annotations"] = json!({ "noise": noise(8 << 10) });
            event
        })
        .collect();
    events.insert(300, large);
    let body = event_list(&events);
    assert!(body.len() > 8 << 20);
    post(&serving, &body);
    let mut all = all;
    all.insert("large".to_owned());
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    let messages = installation.read("tidewatch.input");
    assert!(messages.len() >= 8, "{}", messages.len());
    let large = alerts
        .iter()
        .find(|alert| alert.pod().as_deref() == Some("large"))
        .unwrap();
    assert!(large.ocsf["raw_data_size"].as_u64().unwrap() > 3 << 20);
    let largest = messages
        .iter()
        .filter_map(|message| message.payload.as_ref())
        .map(Vec::len)
        .max();
    assert!(largest.unwrap() <= 1_048_588, "{largest:?}");
    let parts = messages
        .iter()
        .filter(|message| message.headers.contains_key("tidewatch-chunk"));
    assert!(parts.count() >= 3);
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"received\"}"),
        601
    );
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"rejected\"}"),
        0
    );
}

#[test]
fn topics_that_take_little_get_an_alert_all_the_same() {
    let broker = Broker::start(&Options::default());
    broker.create_topics(&[
        ("tidewatch.matches", 4, &[("max.message.bytes", "400000")]),
        (
            "tidewatch.state",
            4,
            &[
                ("max.message.bytes", "400000"),
                ("cleanup.policy", "compact"),
            ],
        ),
        ("tidewatch.alerts", 1, &[("max.message.bytes", "20000")]),
        ("tidewatch.input.dlq", 1, &[("max.message.bytes", "12000")]),
    ]);
    let installation = Installation::new(broker);
    let serving = installation.start("one", "");
    let mut large = privileged_pod("large");
    large["responseObject"]["metadata"]["annotations"] = json!({ "noise": noise(1 << 20) });
    let list = event_list(&[large, privileged_pod("small")]);
    post(&serving, &list);
    // Rubbish that is larger than the topic of dead letters takes.
    post(&serving, noise(100_000).as_bytes());
    let mut alerts = Vec::new();
    wait_until("both alerts", || {
        alerts = installation.alerts();
        alerts.len() >= 2
    });
    let large = alerts
        .iter()
        .find(|alert| alert.pod().as_deref() == Some("large"))
        .unwrap();
    assert_eq!(large.ocsf["class_uid"], 2004);
    let raw = large.ocsf["raw_data"].as_str().unwrap();
    assert!(
        raw.contains("id-large") && !raw.contains("noise"),
        "it is cut: {raw}"
    );
    wait_until("a dead letter", || {
        installation.read("tidewatch.input.dlq").len() == 1
    });
    // Nothing is held up.
    let after = pods("after", 2);
    post(&serving, &body_of(&after));
    installation.wait_for_pods(&after);
    assert_eq!(
        serving.count("tidewatch_kafka_sessions_total{half=\"settle\"}"),
        1
    );
}

/// What a cloud pushes is larger than a message: it goes in parts, and is unwrapped when it is whole again.
#[test]
fn pushes_of_clouds_come_whole_through_topics() {
    use base64::Engine as _;
    let installation = Installation::new(Broker::start(&Options::default()));
    let serving = installation.start("one", "");
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut all = pods("pushed", 40);
    let records: Vec<Value> = all
        .iter()
        .map(|name| {
            let mut event = privileged_pod(name);
            event["responseObject"]["metadata"]["annotations"] =
                json!({ "noise": noise(64 << 10) });
            json!({ "data": encode(event.to_string().as_bytes()) })
        })
        .collect();
    let delivery = json!({ "requestId": "r-1", "timestamp": 1, "records": records }).to_string();
    assert!(delivery.len() > 3 << 20);
    let headers = [("X-Amz-Firehose-Request-Id", "r-1")];
    let answer = serving.post_to("/v1/firehose/eks/stream", &headers, delivery.as_bytes());
    assert_eq!(answer.unwrap().status, 200);
    let one = serde_json::to_vec(&privileged_pod("single")).unwrap();
    let push =
        json!({ "message": { "data": encode(&one), "messageId": "1" }, "subscription": "s" });
    let answer = serving.post_to("/v1/pubsub/gke/sub", &[], push.to_string().as_bytes());
    assert_eq!(answer.unwrap().status, 200);
    all.insert("single".to_owned());
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    assert!(installation.read("tidewatch.input.dlq").is_empty());
}

/// Text of so many bytes without any repetition.
fn noise(bytes: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ bytes as u64;
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

#[test]
fn topics_of_others_are_read_in_any_form_and_what_is_broken_can_be_sent_again() {
    let broker = Broker::start(&Options::default());
    broker.create_topic("audit", 2, &[]);
    let installation = Installation::new(broker);
    let bootstrap = installation.broker.plaintext();
    let settings = [("bootstrap.servers", &*bootstrap)];
    let raw = serde_json::to_vec(&privileged_pod("raw")).unwrap();
    let list = event_list(&[privileged_pod("list-1"), privileged_pod("list-2")]);
    let eks = json!({
        "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/aws/eks/shop/cluster",
        "logStream": "kube-apiserver-audit-1", "subscriptionFilters": ["f"],
        "logEvents": [{ "id": "1", "timestamp": 1_795_000_000_000_u64, "message": privileged_pod("eks").to_string() }],
    });
    let eks = eks.to_string().into_bytes();
    let garbage = b"{\"kind\": \"Event\", \xff\xfe broken";
    let records = [
        (Some(&b"a"[..]), raw.as_slice(), &[][..]),
        (None, &list, &[]),
        (None, &eks, &[]),
        (Some(b"bad"), garbage, &[]),
    ];
    produce(&settings, "audit", &records);
    let serving = installation.start(
        "one",
        "[[kafka.sources]]\ntopics = [\"audit\"]\ncluster = \"prod\"",
    );
    let wanted: BTreeSet<String> = ["raw", "list-1", "list-2", "eks"].map(str::to_owned).into();
    let alerts = installation.wait_for_pods(&wanted);
    assert_one_finding_each(&alerts, &wanted);
    let cluster_of = |pod: &str| {
        let of_pod = |alert: &&Alert| alert.pod().as_deref() == Some(pod);
        alerts
            .iter()
            .find(of_pod)
            .map(|alert| alert.header("cluster").to_owned())
    };
    assert_eq!(cluster_of("raw").as_deref(), Some("prod"));
    assert_eq!(cluster_of("eks").as_deref(), Some("shop"));
    let mut letters = Vec::new();
    wait_until("a dead letter", || {
        letters = installation.read("audit.dlq");
        !letters.is_empty()
    });
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}");
    };
    assert_eq!(letter.payload.as_deref(), Some(&garbage[..]));
    assert_eq!(letter.key.as_deref(), Some(&b"bad"[..]));
    assert_eq!(letter.headers["__connect.errors.topic"], b"audit");
    assert!(letter.headers.contains_key("__connect.errors.offset"));
    assert!(!letter.headers["__connect.errors.exception.message"].is_empty());

    let file = installation.folder().join("one.toml");
    let config = ["--config", file.to_str().unwrap()];
    let dlq = |arguments: &[&str]| {
        let output = tidewatch(&[&["dlq"], arguments, &config].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        output.stdout
    };
    let listed = String::from_utf8(dlq(&["list"])).unwrap();
    assert!(
        listed.contains("audit/") && listed.lines().count() == 1,
        "{listed}"
    );
    assert_eq!(dlq(&["show", "1"]), garbage);
    assert_eq!(dlq(&["redrive", "--all"]), b"1 sent again\n");
    // It is as broken as before, and so comes back.
    wait_until("the letter again", || {
        installation.read("audit.dlq").len() == 2
    });
    assert_eq!(dlq(&["remove", "--all"]), b"1 removed\n");
    assert_eq!(
        serving.count("tidewatch_events_total{outcome=\"received\"}"),
        6
    );
}

#[test]
fn a_slow_broker_is_answered_by_429_and_nothing_acknowledged_is_lost() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let serving = installation.start("one", "");
    let before = pods("before", 2);
    post(&serving, &body_of(&before));
    installation.wait_for_pods(&before);
    installation.broker.pause();
    let during = pods("during", 1);
    let answer = serving
        .post_to("/v1/audit/lab/api-1", &[], &body_of(&during))
        .unwrap();
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    installation.broker.resume();
    wait_until("bodies are taken again", || {
        serving.post(&body_of(&during)).unwrap() == 200
    });
    let all: BTreeSet<String> = before.union(&during).cloned().collect();
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
}

#[test]
fn a_zombie_that_wakes_up_says_nothing_twice() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let settings = "[kafka.settings]\nsession.timeout.ms = 6000\nheartbeat.interval.ms = 1000";
    let zombie = installation.start("zombie", settings);
    let alive = installation.start("alive", settings);
    wait_until("both have shards", || {
        zombie.metric("tidewatch_shards") > 0.0 && alive.metric("tidewatch_shards") > 0.0
    });
    let mut all = BTreeSet::new();
    let mut send = |prefix: &str| {
        let pods = pods(prefix, 6);
        for pod in &pods {
            post(&alive, &body_of(&BTreeSet::from([pod.clone()])));
        }
        all.extend(pods);
    };
    send("before");
    zombie.signal("-STOP");
    send("while-it-sleeps");
    wait_until("its shards are another's", || {
        alive.count("tidewatch_shards") == 4
    });
    send("without-it");
    zombie.signal("-CONT");
    send("after");
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
    wait_until("it is back", || zombie.metric("tidewatch_shards") > 0.0);
}

/// What a controller does waits ten seconds for its owner's write: a time that comes while its process sleeps, and without a message.
#[test]
fn a_zombie_whose_acts_are_due_says_nothing_twice() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let settings = "[kafka.settings]\nsession.timeout.ms = 6000\nheartbeat.interval.ms = 1000";
    let zombie = installation.start("zombie", settings);
    zombie.wait_for_metric("tidewatch_shards", 4.0);
    let pods = pods("controlled", 5);
    let events: Vec<Value> = pods
        .iter()
        .map(|name| {
            let mut event = privileged_pod(name);
            event["user"] = json!({
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            });
            event
        })
        .collect();
    post(&zombie, &event_list(&events));
    zombie.wait_for_metric("tidewatch_kafka_memory_bytes{of=\"state\"}", 1000.0);
    assert!(
        installation.alerts().is_empty(),
        "they wait for their owner"
    );
    zombie.signal("-STOP");
    let alive = installation.start("alive", settings);
    let alerts = installation.wait_for_pods(&pods);
    assert_eq!(alerts.len(), 5, "{alerts:?}");
    zombie.signal("-CONT");
    // It wakes up with acts that are long due.
    wait_until("it has noticed", || {
        zombie.said().contains("begins anew") || zombie.said().matches("shared out").count() > 3
    });
    let after = BTreeSet::from(["after".to_owned()]);
    post(&zombie, &body_of(&after));
    let all: BTreeSet<String> = pods.union(&after).cloned().collect();
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
    drop(alive);
}

#[test]
fn messages_that_were_deleted_unread_are_told() {
    let broker = Broker::start(&Options::default());
    let installation = Installation::new(broker);
    let first = installation.start("one", "");
    let read = pods("read", 1);
    post(&first, &body_of(&read));
    installation.wait_for_pods(&read);
    first.stop();
    let bootstrap = installation.broker.plaintext();
    let settings = [("bootstrap.servers", &*bootstrap)];
    let event = serde_json::to_vec(&privileged_pod("lost")).unwrap();
    let records = vec![(None, event.as_slice(), &[][..]); 20];
    produce(&settings, "tidewatch.input", &records);
    let ends = kafka::client::end_offsets(&settings, "tidewatch.input");
    let gone: Vec<Value> = ends
        .iter()
        .map(|(partition, end)| json!({ "topic": "tidewatch.input", "partition": partition, "offset": end }))
        .collect();
    let file = installation.folder().join("delete.json");
    std::fs::write(
        &file,
        json!({ "partitions": gone, "version": 1 }).to_string(),
    )
    .unwrap();
    let deleted = installation
        .broker
        .tool("org.apache.kafka.tools.DeleteRecordsCommand")
        .args(["--bootstrap-server", &bootstrap, "--offset-json-file"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(deleted.status.success(), "{deleted:?}");
    let again = installation.start("one", "");
    again.wait_for_metric("tidewatch_kafka_messages_lost_total", 20.0);
    let letters = installation.read("tidewatch.input.dlq");
    assert!(
        letters
            .iter()
            .all(|letter| letter.headers["__connect.errors.exception.class.name"] == b"deleted")
    );
    assert!(!letters.is_empty());
    // And it goes on.
    let after = pods("after", 1);
    post(&again, &body_of(&after));
    installation.wait_for_pods(&after);
}

#[test]
fn tls_with_certificates_and_passwords() {
    let broker = Broker::start(&Options {
        tls: Some(ClientAuth::Required),
        sasl: Some(Sasl::ScramSha512),
        ..Options::default()
    });
    let installation = Installation::new(broker);
    let broker = &installation.broker;
    let (authority, certificate, key) = (
        broker.authority(),
        broker.client_certificate(),
        broker.client_key(),
    );
    let by_certificate = format!(
        "state = \"kafka\"\n[kafka]\nbrokers = [\"{}\"]\ninstance = \"tls\"\n[kafka.topics]\nshards = 4\n\
         [kafka.settings]\nsecurity.protocol = \"ssl\"\nssl.ca.location = {authority:?}\n\
         ssl.certificate.location = {certificate:?}\nssl.key.location = {key:?}\n",
        broker.tls()
    );
    let serving = installation.start_with("tls", &by_certificate);
    let over_tls = pods("tls", 2);
    post(&serving, &body_of(&over_tls));
    installation.wait_for_pods(&over_tls);
    serving.stop();

    let password = installation.folder().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let by_password = format!(
        "state = \"kafka\"\n[kafka]\nbrokers = [\"{}\"]\ninstance = \"sasl\"\n\
         [kafka.settings]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\
         \"sasl.username\" = \"{USER}\"\n\"ssl.ca.location\" = {authority:?}\n\
         [kafka.secrets]\n\"sasl.password\" = {{ file = {password:?} }}\n",
        broker.sasl()
    );
    let serving = installation.start_with("sasl", &by_password);
    let over_sasl = pods("sasl", 2);
    post(&serving, &body_of(&over_sasl));
    let all: BTreeSet<String> = over_tls.union(&over_sasl).cloned().collect();
    let alerts = installation.wait_for_pods(&all);
    assert_one_finding_each(&alerts, &all);
    // A wrong password is said, in words that lead somewhere, and nothing starts.
    std::fs::write(&password, "wrong\n").unwrap();
    let file = installation.folder().join("wrong.toml");
    std::fs::write(&file, by_password).unwrap();
    let refused = tidewatch(&[
        "serve",
        "--config",
        file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains("kafka.settings"), "{said}");
}

#[test]
fn the_outbox_of_embedded_state_reaches_a_topic_exactly_once_through_kills() {
    let broker = Broker::start(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = format!(
        "[kafka]\nbrokers = [\"{}\"]\n[sinks.siem]\ntype = \"kafka\"\ntopic = \"siem\"\n",
        broker.plaintext()
    );
    let mut all = BTreeSet::new();
    for round in 0..6 {
        let serving = Serving::configured(&data, &config);
        for number in 0..8 {
            let pods = pods(&format!("kill{round}-{number}"), 5);
            post(&serving, &body_of(&pods));
            all.extend(pods);
        }
        if round == 5 {
            let sink = "tidewatch_alert_records{sink=\"siem\",state=\"delivered\"}";
            serving.wait_for_metric(sink, 240.0);
            assert_eq!(serving.count(sink), 240);
            break;
        }
        std::thread::sleep(Duration::from_millis(150 * round));
        serving.kill();
    }
    let settings = [("bootstrap.servers", &*broker.plaintext())];
    let mut alerts = Vec::new();
    // Brokers mark a transaction as committed a moment after they have promised it.
    wait_until("all are readable", || {
        let messages = read_all(&settings, "siem", "read_committed", READ_LIMIT);
        alerts = messages.iter().map(Alert::of).collect::<Vec<_>>();
        alerts.len() >= 240
    });
    assert_one_finding_each(&alerts, &all);
    assert_once(&alerts);
    assert_eq!(alerts.len(), 240);
}
