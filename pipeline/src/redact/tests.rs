use proptest::prelude::*;
use serde_json::json;

use super::*;

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlMTIz";

#[track_caller]
fn check(before: &str, after: &str) {
    assert_eq!(text(before), after);
    assert_eq!(text(after), after, "redacting twice");
}

#[test]
fn secrets_by_form() {
    check(JWT, "[redacted:jwt/long]");
    check(
        &format!("curl -H 'Authorization: Bearer {JWT}'"),
        "curl -H 'Authorization: Bearer [redacted:credential/long]'",
    );
    check(
        "header Bearer abcdef123456",
        "header Bearer [redacted:token/medium]",
    );
    check("AKIAIOSFODNN7EXAMPLE", "[redacted:aws-key/medium]");
    check("x AKIAIOSFODNN7EXAMPLE,y", "x [redacted:aws-key/medium],y");
    check(
        "https://bob:hunter2@git.example.com/x",
        "https://bob:[redacted:password/short]@git.example.com/x",
    );
    check(
        "git clone https://ghp_abcdefghij0123456789ABCDEF@github.com/x",
        "git clone https://[redacted:token/medium]@github.com/x",
    );
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----";
    check(&format!("a\n{pem}\nb"), "a\n[redacted:private-key/long]\nb");
    check(
        "a -----BEGIN PRIVATE KEY-----\nMIIEow cut",
        "a [redacted:private-key/long]",
    );
}

#[test]
fn private_keys_in_base64_at_every_offset() {
    let encoded = [
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXcwQkFRRUZB",
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB",
        "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSU",
    ];
    for encoded in encoded {
        check(
            &format!("client-key-data: {encoded}\n"),
            "client-key-data: [redacted:private-key/long]\n",
        );
    }
    let request = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQ1ZqQ0NBVDRDQVFBd0VURVBNQTBHQTFVRUF3d0c";
    check(request, request);
}

#[test]
fn secrets_by_name() {
    check("password:'hunter2'", "password:'[redacted:password/short]'");
    check(
        "app --password=hunter2 run",
        "app --password=[redacted:password/short] run",
    );
    check(
        "app --password 'hunter 2' run",
        "app --password '[redacted:password/medium]' run",
    );
    check(
        "DB_PASSWORD=hunter2 PGPASSWORD=\"a b\" psql",
        "DB_PASSWORD=[redacted:password/short] PGPASSWORD=\"[redacted:password/short]\" psql",
    );
    check(
        "db:\n  password: hunter2\n  user: x\n",
        "db:\n  password: [redacted:password/short]\n  user: x\n",
    );
    check(
        "STRIPE_KEY=sk1 api-key: k2",
        "STRIPE_KEY=[redacted:key/short] api-key: [redacted:key/short]",
    );
    check(
        r#"{"password":"hunter2","port":1}"#,
        r#"{"password":"[redacted:password/short]","port":1}"#,
    );
    check(
        r#"{\"password\":\"hunter2\"}"#,
        r#"{\"password\":\"[redacted:password/short]\"}"#,
    );
    check(
        r#"{"password":"hunter2 cut"#,
        r#"{"password":"[redacted:password/short] cut"#,
    );
    check(
        "kubectl --token abcdef.0123456789abcdef get",
        "kubectl --token [redacted:token/medium] get",
    );
}

#[test]
fn flags_that_only_some_programs_use_for_passwords() {
    check(
        "mysql -u root -phunter2 db",
        "mysql -u root -p[redacted:password/short] db",
    );
    check(
        "mysql --password=a1 -pb2",
        "mysql --password=[redacted:password/short] -p[redacted:password/short]",
    );
    check(
        "sshpass -p hunter2 ssh -p 22 h",
        "sshpass -p [redacted:password/short] ssh -p 22 h",
    );
    check(
        "curl -s -u bob:hunter2 http://h",
        "curl -s -u bob:[redacted:password/short] http://h",
    );
    check(
        "mkdir -p /tmp/x; nc -lvp 4444",
        "mkdir -p /tmp/x; nc -lvp 4444",
    );
    assert_eq!(
        arguments(&["/usr/bin/mysql", "-phunter2"]),
        ["/usr/bin/mysql", "-p[redacted:password/short]"]
    );
    assert_eq!(
        arguments(&["x", "--token", "a&b c"]),
        ["x", "--token", "[redacted:token/short]"]
    );
    assert_eq!(
        arguments(&["x", "--password=a&b c"]),
        ["x", "--password=[redacted:password/short]"]
    );
    assert_eq!(
        arguments(&["sh", "-c", "mysql -phunter2"]),
        ["sh", "-c", "mysql -p[redacted:password/short]"]
    );
    assert_eq!(
        arguments(&["--token", "cGFk="]),
        ["--token", "[redacted:token/short]"]
    );
    assert_eq!(
        arguments(&["mysql", "-pcGFk="]),
        ["mysql", "-p[redacted:password/short]"]
    );
    assert_eq!(
        arguments(&["--token", "--verbose", "ls"]),
        ["--token", "--verbose", "ls"]
    );
}

#[test]
fn what_is_no_secret_stays() {
    let harmless = [
        "secretName: my-tls",
        "system:openshift:cloud-credential-operator:cluster-reader",
        "registry.example.com/vault-secret-sync:v1.2",
        "get secrets: list, watch",
        "TOKEN_FILE=/var/run/token",
        "--token=$(TOKEN) --password ${PASSWORD} --secret=$SECRET",
        "DEBUG_TOKENS=true",
        "secrets \"db\" is forbidden: User \"x\" cannot get resource \"secrets\" in API group \"\"",
        "RBAC: allowed by RoleBinding \"token-reader/web\" of ClusterRole \"secret-reader\" to User \"x\"",
        "system:serviceaccount:kube-system:token-cleaner",
        "Bearer authentication is off",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NTk3NDMs",
        "kubernetes.io/service-account-token",
        "/api/v1/secrets?limit=500&continue=eyJ2IjoibWV0YS",
        "",
    ];
    for text in harmless {
        check(text, text);
    }
}

#[test]
fn queries_of_requests() {
    check(
        "/proxy/login?user=x&password=hunter2",
        "/proxy/login?user=x&password=[redacted:password/short]",
    );
    check(
        "/api/v1/namespaces/web/pods/db/exec?command=mysql&command=-phunter%202&container=db&stdin=true",
        "/api/v1/namespaces/web/pods/db/exec?command=mysql&command=-p[redacted:password/medium]&container=db&stdin=true",
    );
    check(
        "/exec?command=sh&command=-c&command=echo+--token%3Dab12",
        "/exec?command=sh&command=-c&command=echo%20--token=[redacted:token/short]",
    );
    check(
        "/x?authorization=Bearer%20abc12345",
        "/x?authorization=[redacted:credential/medium]",
    );
}

#[test]
fn a_field_with_a_secret_name_goes_as_a_whole() {
    assert_eq!(
        value_of("object.data.db_password", "hunter2 & co"),
        "[redacted:password/medium]"
    );
    assert_eq!(value_of("objectRef.name", "hunter2"), "hunter2");
}

fn audit_event(resource: &str, body: &Value) -> Value {
    json!({
        "kind": "Event", "auditID": "a1", "verb": "create", "requestURI": "/api/v1/x",
        "user": {"username": "alice", "extra": {"accessKeyId": ["ASIAIOSFODNN7EXAMPLE"]}},
        "objectRef": {"resource": resource, "name": "x"},
        "requestObject": body, "responseObject": body,
    })
}

#[track_caller]
fn redacted(resource: &str, body: &Value) -> Value {
    let mut document = audit_event(resource, body);
    event(&mut document);
    let once = document.clone();
    event(&mut document);
    assert_eq!(document, once, "redacting twice");
    assert_eq!(
        document["user"],
        audit_event(resource, body)["user"],
        "who asked is told"
    );
    document["responseObject"].clone()
}

#[test]
fn secrets_of_secrets() {
    let secret = json!({"kind": "Secret", "metadata": {"name": "db"}, "type": "Opaque", "data": {"x": "aHVudGVyMg=="}});
    let body = redacted("secrets", &secret);
    assert_eq!(
        body,
        json!({"kind": "Secret", "metadata": {"name": "db"}, "type": "Opaque", "data": {"x": "[redacted:secret/medium]"}})
    );
    // Items of a list have no kind, patches have none either.
    let list = json!({"kind": "SecretList", "items": [{"metadata": {"name": "a"}, "data": {"x": "aHVu", "n": 7}}]});
    assert_eq!(
        redacted("secrets", &list)["items"][0]["data"],
        json!({"x": "[redacted:secret/short]", "n": "[redacted:secret/short]"})
    );
    assert_eq!(
        redacted("secrets", &json!({"stringData": {"x": "hunter2"}})),
        json!({"stringData": {"x": "[redacted:secret/short]"}})
    );
    let patch = json!([{"op": "add", "path": "/data/x", "value": "aHVu"}, {"op": "replace", "path": "", "value": {"data": {"y": "aHVu"}}}]);
    let patched = redacted("secrets", &patch);
    assert_eq!(patched[0]["value"], "[redacted:secret/short]");
    assert_eq!(patched[1]["value"]["data"]["y"], "[redacted:secret/short]");
    // A table holds whole objects.
    let table =
        json!({"kind": "Table", "rows": [{"cells": ["db"], "object": {"data": {"x": "aHVu"}}}]});
    assert_eq!(
        redacted("secrets", &table)["rows"][0]["object"]["data"]["x"],
        "[redacted:secret/short]"
    );
}

#[test]
fn secrets_in_applied_manifests() {
    let applied = r#"{"apiVersion":"v1","data":{"x":"aHVudGVyMg=="},"kind":"Secret"}"#;
    let key = "kubectl.kubernetes.io/last-applied-configuration";
    let body = redacted(
        "secrets",
        &json!({"kind": "Secret", "metadata": {"annotations": {key: applied}}}),
    );
    let applied = &body["metadata"]["annotations"][key];
    assert_eq!(
        applied,
        r#"{"apiVersion":"v1","data":{"x":"[redacted:secret/medium]"},"kind":"Secret"}"#
    );
    let broken = r#"{"kind":"Secret","data":{"x":"aHVudGVy"#;
    let body = redacted("widgets", &json!({"spec": {"manifest": broken}}));
    assert_eq!(body["spec"]["manifest"], "[redacted:manifest/long]");
}

#[test]
fn secrets_of_other_kinds() {
    let token = json!({"kind": "TokenRequest", "spec": {"audiences": ["x"]}, "status": {"token": JWT, "expirationTimestamp": "t"}});
    assert_eq!(
        redacted("serviceaccounts", &token)["status"]["token"],
        "[redacted:token/long]"
    );
    let review = json!({"kind": "TokenReview", "spec": {"token": "opaque"}});
    assert_eq!(
        redacted("tokenreviews", &review)["spec"]["token"],
        "[redacted:token/short]"
    );
    let config = json!({"kind": "ConfigMap", "data": {"db_password": "hunter2", "id": "AKIAIOSFODNN7EXAMPLE", "app.yml": "smtp:\n  pass: x1\n"}});
    let data = json!({"db_password": "[redacted:password/short]", "id": "[redacted:aws-key/medium]", "app.yml": "smtp:\n  pass: [redacted:password/short]\n"});
    assert_eq!(redacted("configmaps", &config)["data"], data);
    let container = json!({
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "MODE", "value": "x"}, {"name": "TOKEN", "value": "$(FROM)"}],
        "args": ["--password", "hunter2", "--port", "1"],
        "command": ["sh", "-c", "mysql -phunter2"],
    });
    let body = redacted(
        "pods",
        &json!({"kind": "Pod", "spec": {"containers": [container], "volumes": [{"secret": {"secretName": "s"}}], "imagePullSecrets": [{"name": "p"}]}}),
    );
    let container = &body["spec"]["containers"][0];
    assert_eq!(container["env"][0]["value"], "[redacted:secret/short]");
    assert_eq!(container["env"][1]["value"], "x");
    assert_eq!(container["env"][2]["value"], "$(FROM)");
    assert_eq!(
        container["args"],
        json!(["--password", "[redacted:password/short]", "--port", "1"])
    );
    assert_eq!(container["command"][2], "mysql -p[redacted:password/short]");
    assert_eq!(body["spec"]["volumes"][0]["secret"]["secretName"], "s");
    assert_eq!(body["spec"]["imagePullSecrets"][0]["name"], "p");
}

#[test]
fn raw_events_are_bounded_and_still_redacted() {
    let small = audit_event("secrets", &json!({"data": {"x": "hunter2hunter2"}}));
    let (text, cut) = bounded_raw(&small);
    assert!(!cut && !text.contains("hunter2") && text.contains("\"auditID\":\"a1\""));
    // The kind stands behind megabytes of data, and the end falls into a character of three bytes.
    let items: Vec<Value> = (0..20_000)
        .map(|_| json!({"data": {"x": "hunter2"}, "note": "€€€"}))
        .collect();
    let (text, cut) = bounded_raw(
        &json!({"objectRef": {"resource": "x"}, "requestObject": {"items": items, "kind": "SecretList"}}),
    );
    assert!(cut && !text.contains("hunter2"));
    assert!(
        (RAW_BYTES_MAX - 3..=RAW_BYTES_MAX).contains(&text.len()),
        "{}",
        text.len()
    );
    let (text, cut) = bounded_raw(&json!({"a": "x".repeat(1 << 20)}));
    assert!(cut && text.len() == RAW_BYTES_MAX);
}

#[test]
fn nesting_is_bounded() {
    let mut nested = json!("password=hunter2");
    for _ in 0..1000 {
        nested = json!([nested]);
    }
    event(&mut nested);
    assert!(!nested.to_string().contains("hunter2"));
    let mut quoted = json!({"kind": "Secret", "data": {"x": "hunter2"}}).to_string();
    for _ in 0..8 {
        quoted = json!({ "a": quoted }).to_string();
    }
    assert!(!text(&quoted).contains("hunter2"));
}

/// Long enough not to occur by chance, with a digit so that it does not read as prose.
fn secret() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{14,40}".prop_map(|text| format!("{text}7q"))
}

/// Texts that are made of what the patterns look for, in any order.
fn suspicious() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("password".to_owned()),
        Just("--token".to_owned()),
        Just("=".to_owned()),
        Just(": ".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("\\\"".to_owned()),
        Just(" ".to_owned()),
        Just("Bearer ".to_owned()),
        Just("mysql -p".to_owned()),
        Just("https://u:".to_owned()),
        Just("@".to_owned()),
        Just("?".to_owned()),
        Just("/".to_owned()),
        Just("&command=".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[redacted:".to_owned()),
        Just("/short]".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just(JWT.to_owned()),
        Just("%20".to_owned()),
        Just("+".to_owned()),
        Just("\n".to_owned()),
        Just("$(X)".to_owned()),
        Just("curl -u a:".to_owned()),
        Just("é".to_owned()),
        "[a-z0-9]{1,9}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Strings that plant a secret by form or by name.
fn planted_strings(secret: &str, noise: &str) -> Vec<String> {
    vec![
        format!("{noise} --password={secret}"),
        format!("{noise} --token {secret}= x"),
        format!("API_KEY=\"{secret}\""),
        format!("{{\"a\":{{\"clientSecret\":\"{secret}\"}}}}"),
        format!("password: '{secret}'\n{noise}"),
        format!("{noise} https://u:{secret}@h/"),
        format!("x Authorization: Bearer {secret}"),
        format!("Bearer {secret}"),
        format!("/exec?command=curl&command=-u&command=a%3A{secret}"),
        format!("/x?a=b&access_token={secret}"),
        format!("mysql -h h -p{secret} {noise}"),
        format!("eyJ{secret}.{secret}.{secret}"),
        format!("-----BEGIN EC PRIVATE KEY-----\n{secret}\n{secret}"),
    ]
}

/// Bodies that plant a secret by structure.
fn planted_bodies(secret: &str, strings: &[String]) -> Vec<Value> {
    let manifest = json!({"kind": "Secret", "data": {"x": secret}});
    vec![
        json!({"kind": "SecretList", "items": [{"stringData": {"x": secret}}]}),
        json!({"status": {"token": secret}}),
        json!([{"op": "add", "path": "/spec/password", "value": secret}]),
        json!({"spec": {"env": [{"name": "MY_TOKEN", "value": secret}]}}),
        json!({"args": ["a", "--api-key", secret]}),
        json!({"args": ["a", "--api-key", format!("{secret}=")]}),
        json!({"spec": {"passwords": [secret]}}),
        json!({"a": manifest.to_string()}),
        json!({"a": strings}),
        manifest,
    ]
}

proptest! {
    #[test]
    fn redacting_twice_is_redacting_once(input in suspicious()) {
        let once = text(&input).into_owned();
        prop_assert_eq!(text(&once), once.as_str());
        let strings: Vec<&str> = input.split(' ').collect();
        let once = arguments(&strings);
        let again: Vec<&str> = once.iter().map(String::as_str).collect();
        prop_assert_eq!(&arguments(&again), &once);
    }

    #[test]
    fn events_redacted_twice_are_redacted_once(
        input in suspicious(),
        name in "(data|token|x|kind|value|name|path)",
        resource in "(secrets|pods)",
    ) {
        let list = json!([&input, {"name": &input, "value": &input}]);
        let body = json!({&name: &input, "data": {"y": &input}, "list": list});
        let mut document = audit_event(&resource, &body);
        event(&mut document);
        let once = document.clone();
        event(&mut document);
        prop_assert_eq!(document, once);
    }

    #[test]
    fn a_planted_secret_never_survives(secret in secret(), noise in "[a-z ]{0,12}") {
        let strings = planted_strings(&secret, &noise);
        for text in &strings {
            prop_assert!(!super::text(text).contains(&secret), "{}", text);
        }
        for body in planted_bodies(&secret, &strings) {
            let raw = bounded_raw(&audit_event("pods", &body)).0;
            prop_assert!(!redacted("pods", &body).to_string().contains(&secret), "{}", body);
            prop_assert!(!raw.contains(&secret), "{}", body);
        }
    }
}
