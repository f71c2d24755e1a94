//! Whatever the bytes are, nothing panics: an event is accepted or refused, and what is accepted can be judged.
//!
//! The bundled rules stand for all rules here: between them they read every view.

mod common;

use std::sync::{Arc, LazyLock};

use detections::batch::BatchBuilder;
use detections::bundled;
use detections::diagnostic::Source;
use detections::engine::RuleSet;
use detections::event::{Envelope, Event, Origin, Settings};
use detections::reference;
use detections::sigma::{Placeholders, load};
use detections::truth::Truth;
use proptest::prelude::*;
use proptest::sample::{Index, select};

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let sources: Vec<Source> = bundled::RULES
        .iter()
        .map(bundled::Bundled::source)
        .collect();
    let loaded = load(&sources, &Placeholders::new());
    assert!(!loaded.rules.is_empty());
    RuleSet::new(loaded.rules)
});

/// An event that many rules look at closely.
const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"0","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/web/pods/a/exec?command=sh&command=-c%20x&stdin=true","verb":"create","user":{"username":"system:serviceaccount:web:frontend","groups":["system:serviceaccounts","system:serviceaccounts:web"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=1"]}},"impersonatedUser":{"username":"admin","groups":["system:masters"]},"sourceIPs":["203.0.113.7","::ffff:10.0.0.1"],"userAgent":"kubectl/v1.34","objectRef":{"resource":"pods","namespace":"web","name":"a","apiVersion":"v1","subresource":"ephemeralcontainers"},"responseStatus":{"code":201},"requestObject":{"kind":"Pod","metadata":{"name":"a","managedFields":[{"manager":"m","operation":"Apply","time":"2026-11-20T21:39:55Z","fieldsV1":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{}}}}}]},"spec":{"hostNetwork":true,"containers":[{"name":"a","image":"x:1","command":["sh","-c","curl|sh"],"securityContext":{"privileged":true,"capabilities":{"add":["SYS_ADMIN"]}},"volumeMounts":[{"name":"v","mountPath":"/h"}]}],"volumes":[{"name":"v","hostPath":{"path":"/etc/../"}}]},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}],"roleRef":{"kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"Group","name":"system:authenticated"}]},"responseObject":{"kind":"Pod"},"requestReceivedTimestamp":"2026-11-20T21:39:55.372864Z","stageTimestamp":"2026-11-20T21:39:55.379046Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"a\" of ClusterRole \"b\" to User \"c\""}}"#;

/// Pushes bytes as every kind of record; what is accepted is judged by both evaluators, which must agree.
fn survive(bytes: &[u8]) {
    let mut builder = BatchBuilder::new(Arc::default());
    for partial in [false, true] {
        for envelope in [Envelope::Raw, Envelope::Gke] {
            let rows = builder.rows();
            let pushed = builder.push(
                bytes,
                &Origin {
                    partial,
                    envelope,
                    ..Origin::default()
                },
                0,
            );
            assert_eq!(builder.rows(), rows + usize::from(pushed.is_ok()));
        }
    }
    let batch = builder.finish();
    let verdicts = common::verdicts(&RULES.evaluate(&batch), batch.rows(), RULES.rules().len());
    for (row, verdicts) in verdicts.iter().enumerate() {
        let event = batch.row(row).event().unwrap();
        for (rule, fast) in RULES.rules().iter().zip(verdicts) {
            assert_eq!(
                *fast,
                reference::evaluate(rule, &event),
                "{}",
                rule.header.name
            );
        }
    }
}

/// Changes a few places of a text: bytes lost, doubled, replaced, cut.
fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<Index>(),
        0..4_u8,
        select(&b"{}[],:\"\\0-tn\xff\x00 \n'|*"[..]),
    );
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => drop(bytes.remove(at)),
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => bytes[at] = byte,
                _ if byte == b'0' => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    })
}

const KEYS: [&str; 24] = [
    "level",
    "stage",
    "verb",
    "requestURI",
    "user",
    "impersonatedUser",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestObject",
    "responseObject",
    "stageTimestamp",
    "requestReceivedTimestamp",
    "annotations",
    "spec",
    "metadata",
    "rules",
    "containers",
    "name",
    "kind",
    "items",
    "username",
    "groups",
];

/// Any JSON below keys that views look at, as text, so that keys may stand twice.
fn any_json() -> impl Strategy<Value = String> {
    let words = select(vec![
        "null",
        "true",
        "-1",
        "1e400",
        "\"\"",
        "\"Pod\"",
        "\"pods\"",
        "\"create\"",
        "\"RequestResponse\"",
        "\"\\u0000\"",
        "\"İ/%zz?a=&=\"",
        "\"-----BEGIN CERTIFICATE REQUEST-----\\n\"",
        "9223372036854775808",
        "\"2026-13-45T99:99:99Z\"",
        "\"\\ud800\"",
    ]);
    words
        .prop_map(str::to_owned)
        .prop_recursive(5, 40, 6, |inner| {
            let members = prop::collection::vec((select(&KEYS[..]), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..5)
                    .prop_map(|values| format!("[{}]", values.join(","))),
                members.prop_map(|members| object(&members)),
            ]
        })
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
        survive(&[b"{\"verb\":\"", bytes.as_slice(), b"\"}"].concat());
    }

    #[test]
    fn an_event_with_a_few_bytes_changed(bytes in mutated(EVENT)) {
        survive(&bytes);
    }

    #[test]
    fn wrong_types_in_every_field(members in prop::collection::vec((select(&KEYS[..]), any_json()), 0..30)) {
        survive(object(&members).as_bytes());
    }

    #[test]
    fn a_rule_with_a_few_bytes_changed(rule in select(bundled::RULES).prop_flat_map(|bundled| mutated(bundled.rule))) {
        let text = String::from_utf8_lossy(&rule);
        let loaded = load(&[Source::new("rule.yml", &text)], &Placeholders::new());
        for fault in &loaded.diagnostics {
            prop_assert!(!fault.render(false).is_empty());
            prop_assert!(!fault.render(true).is_empty());
            prop_assert!(!fault.render_concise().is_empty());
        }
        // What loads can be compiled and evaluated.
        let rules = RuleSet::new(loaded.rules);
        let batch = common::batch(&[(EVENT, Origin::default())]);
        drop(rules.evaluate(&batch));
    }

    #[test]
    fn random_text_as_a_rule(text in any::<String>()) {
        for fault in load(&[Source::new("rule.yml", &text)], &Placeholders::new()).diagnostics {
            drop(fault.render(false));
        }
    }
}

#[test]
fn very_deep_values_in_every_field() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let innermost = if open == "[" { "" } else { "0" };
        let deep = format!(
            "{}{innermost}{}",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        survive(deep.as_bytes());
        survive(&deep.as_bytes()[..100_000]);
        for key in KEYS {
            survive(format!("{{\"level\":\"RequestResponse\",\"{key}\":{deep}}}").as_bytes());
        }
    }
}

#[test]
fn values_at_the_limit_of_depth() {
    for depth in 120..=130 {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for key in KEYS {
            survive(format!("{{\"verb\":\"create\",\"{key}\":{deep}}}").as_bytes());
        }
    }
}

#[test]
fn very_deep_rules() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "(".repeat(100_000),
    ] {
        for before in [
            "",
            "title: x\nlogsource: {}\ndetection:\n  s: {verb: get}\n  condition: ",
            "title: ",
        ] {
            let loaded = load(
                &[Source::new("rule.yml", &format!("{before}{text}"))],
                &Placeholders::new(),
            );
            assert!(loaded.rules.is_empty());
            loaded
                .diagnostics
                .iter()
                .for_each(|fault| drop(fault.render_concise()));
        }
    }
}

#[test]
fn an_empty_batch() {
    let batch = BatchBuilder::new(Arc::default()).finish();
    assert_eq!(
        RULES.evaluate(&batch),
        detections::engine::Evaluation::default()
    );
}

/// A field that is too heavy for a document is unavailable on both paths, be it a column or not.
#[test]
fn heavy_fields_mean_the_same_to_both_evaluators() {
    const RULE: &str = "title: Heavy\nname: heavy\nlogsource: {product: kubernetes, service: audit}\n\
        detection:\n  a:\n    annotations.known: yes\n  b:\n    objectRef.resource: pods\n  condition: a or b\n";
    let loaded = load(&[Source::new("heavy.yml", RULE)], &Placeholders::new());
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let rules = RuleSet::new(loaded.rules);
    let heavy = vec!["{}"; 100_000].join(",");
    let settings = Arc::new(Settings::default());
    for field in [
        format!(r#""annotations":{{"known":"yes","x":[{heavy}]}}"#),
        format!(r#""objectRef":{{"resource":"pods","x":[{heavy}]}}"#),
    ] {
        let raw = format!(r#"{{"stage":"ResponseComplete","verb":"create",{field}}}"#);
        let mut builder = BatchBuilder::new(settings.clone());
        builder.push(raw.as_bytes(), &Origin::default(), 0).unwrap();
        let evaluation = rules.evaluate(&builder.finish());
        let event = Event::parse(raw.as_bytes(), Origin::default(), settings.clone()).unwrap();
        assert_eq!(
            reference::evaluate(&rules.rules()[0], &event),
            Truth::Unknown
        );
        assert_eq!((evaluation.matches.len(), evaluation.blind.len()), (0, 1));
    }
}
