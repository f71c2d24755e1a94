//! What an API server says it emitted is compared with what arrived: the real binary, and counters that somebody serves.

#[path = "common/serving.rs"]
mod serving;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use serving::{Serving, event_list, privileged_pod, wait_until};

/// An API server's metrics, as far as they matter here.
struct Metrics {
    address: SocketAddr,
    emitted: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

impl Metrics {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = Self {
            address: listener.local_addr().unwrap(),
            emitted: Arc::default(),
            dropped: Arc::default(),
        };
        let (emitted, dropped) = (metrics.emitted.clone(), metrics.dropped.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let head = BufReader::new(&stream).lines().map_while(Result::ok);
                head.take_while(|line| !line.is_empty()).for_each(drop);
                let page = format!(
                    "# TYPE apiserver_audit_event_total counter\napiserver_audit_event_total {}\n\
                     apiserver_audit_error_total{{plugin=\"webhook\"}} {}\nprocess_start_time_seconds 1.7950000e+09\n",
                    emitted.load(Ordering::Relaxed),
                    dropped.load(Ordering::Relaxed)
                );
                let length = page.len();
                let _closed = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
                );
            }
        });
        metrics
    }

    fn emit(&self, events: u64) {
        self.emitted.fetch_add(events, Ordering::Relaxed);
    }
}

fn of_rule<'a>(findings: &'a [Value], rule: &str) -> Vec<&'a Value> {
    findings
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .collect()
}

#[test]
fn events_that_were_emitted_and_never_came_are_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::serve();
    let config = format!(
        "[completeness]\ngrace = \"2s\"\ntolerance = 2\n[[apiservers]]\ncluster = \"lab\"\nname = \"api-1\"\n\
         url = \"http://{}/metrics\"\ninterval = \"1s\"\n",
        metrics.address
    );
    let serving = Serving::configured(&folder.path().join("data"), &config);
    let looks = "tidewatch_scrapes_total{cluster=\"lab\",origin=\"api-1\",result=\"ok\"}";
    let mut sent = 0;
    let mut send = |count: u64| {
        let names = (sent..sent + count).map(|number| privileged_pod(&format!("p{number}")));
        sent += count;
        assert_eq!(
            serving
                .post(&event_list(&names.collect::<Vec<_>>()))
                .unwrap(),
            200
        );
    };
    serving.wait_for_metric(looks, 1.0);
    // All that is emitted comes: nothing to say.
    metrics.emit(10);
    send(10);
    serving.wait_for_metric(looks, 5.0);
    let found = serving.wait_for_findings(10);
    assert!(of_rule(&found, "audit_events_missing").is_empty());
    // Somebody lets ten of sixty disappear on the way.
    metrics.emit(60);
    send(50);
    wait_until("a finding of what is missing", || {
        !of_rule(&serving.findings(), "audit_events_missing").is_empty()
    });
    let found = serving.findings();
    let [missing] = of_rule(&found, "audit_events_missing")[..] else {
        panic!("{found:?}");
    };
    assert_eq!(missing["level"], "high");
    assert_eq!(missing["cluster"], "lab");
    let text = missing["text"].as_str().unwrap();
    assert!(text.contains("api-1") && text.contains(" 10 "), "{text}");
    let ocsf: Value = serde_json::from_str(missing["ocsf"].as_str().unwrap()).unwrap();
    assert_eq!(ocsf["class_uid"], 2004);
    // And its webhook backend gives up a batch.
    metrics.dropped.fetch_add(400, Ordering::Relaxed);
    wait_until("a finding of what was dropped", || {
        !of_rule(&serving.findings(), "audit_events_dropped").is_empty()
    });
    assert_eq!(
        serving.count("tidewatch_sender_events{cluster=\"lab\",origin=\"api-1\",of=\"arrived\"}"),
        60
    );
}

#[test]
fn counters_that_cannot_be_read_are_no_finding_and_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!(
        "[[apiservers]]\nname = \"api-1\"\nurl = \"http://{free}/metrics\"\ninterval = \"1s\"\n"
    );
    let serving = Serving::configured(&folder.path().join("data"), &config);
    let failed = "tidewatch_scrapes_total{cluster=\"default\",origin=\"api-1\",result=\"failed\"}";
    serving.wait_for_metric(failed, 2.0);
    assert!(serving.findings().is_empty());
    let (ended_well, said) = serving.stop();
    assert!(ended_well, "{said}");
}
