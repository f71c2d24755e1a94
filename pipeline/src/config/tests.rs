use super::*;
use crate::config::fields::{FIELDS, Kind};
use crate::config::values::default_of;

fn config(text: &str) -> Config {
    let loaded = parse("test.toml", text);
    let faults: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(Diagnostic::render_concise)
        .collect();
    loaded.config.unwrap_or_else(|| panic!("{faults:#?}")).1
}

fn faults(text: &str) -> Vec<String> {
    let loaded = parse("test.toml", text);
    assert!(loaded.config.is_none(), "no fault in {text}");
    let concise = |fault: &Diagnostic| {
        let help = fault.help.clone().unwrap_or_default();
        let (line, _) = fault.source.position(fault.span.start);
        format!("{line}: {} ({help})", fault.message)
    };
    loaded.diagnostics.iter().map(concise).collect()
}

#[test]
fn every_field_has_a_default_that_fits_or_none_and_an_example_that_fits() {
    for field in FIELDS {
        assert!(
            field.default.is_empty() || default_of(field).is_some(),
            "{}",
            field.path
        );
        let as_default = fields::Field {
            default: field.example,
            ..*field
        };
        assert!(
            default_of(&as_default).is_some(),
            "{}: {}",
            field.path,
            field.example
        );
        assert!(!field.doc.is_empty());
    }
    let secrets = FIELDS.iter().filter(|field| field.kind == Kind::Secret);
    assert!(secrets.count() >= 2);
}

#[test]
fn without_a_file_it_listens_on_loopback() {
    let config = config("");
    assert_eq!(config.listen.to_string(), "127.0.0.1:9443");
    assert!(config.sinks.is_empty());
    assert!(!config.rules.without_bundled);
}

#[test]
fn a_whole_configuration_is_read() {
    let config = config(
        r#"
        data_dir = "/var/lib/tidewatch"
        [log]
        quota = "100GiB"
        keep = "7d"
        [rules]
        disable = ["pod_exec_or_attach"]
        [http]
        listen = "0.0.0.0:9443"
        tls = { certificate = "a.crt", key = "a.key", client_authority = "ca.crt" }
        limits.connections = 100
        [[http.tokens]]
        secret = { file = "/run/token" }
        clusters = ["prod"]
        [[http.tokens]]
        secret = { env = "TOKEN" }
        [[files]]
        path = "/var/log/audit.log"
        [sinks.siem]
        type = "splunk"
        url = "https://splunk:8088"
        token = { env = "HEC" }
        min_level = "medium"
        [sinks.out]
        type = "stdout"
        format = "line"
        "#,
    );
    assert_eq!(config.log.quota_bytes, 100 << 30);
    assert_eq!(config.log.keep_us, 7 * 86_400_000_000);
    assert_eq!(config.tokens.len(), 2);
    assert_eq!(config.tokens[0].clusters, ["prod"]);
    assert_eq!(config.files[0].name, "audit.log");
    assert_eq!(config.limits.connections_max, 100);
    let names: Vec<_> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["out", "siem"]);
    assert!(matches!(config.sinks[1].kind, SinkKind::Splunk { .. }));
}

#[test]
fn all_faults_are_told_at_once_with_place_and_help() {
    let found = faults(
        r#"data_dirr = "x"
[http]
listen = "localhost"
[http.tls]
certificate = "a.crt"
[sinks.siem]
type = "splnk"
[sinks.other]
type = "file"
[log]
quota = 5
[nonsense]
a = 1
"#,
    );
    let text = found.join("\n");
    for expected in [
        "1: there is no field `data_dirr` (did you mean `data_dir`?)",
        "3: `http.listen` cannot be this (write an IP address and a port, for example listen = \"0.0.0.0:9443\")",
        "`http.tls.key` is missing",
        "7: `sinks.siem.type` cannot be this (write one of file, stdout, webhook, splunk",
        "`sinks.other.path` is missing: a file sink needs its path",
        "11: `log.quota` cannot be this",
        "12: there is no field `nonsense`",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
}

#[test]
fn nothing_listens_to_others_without_asking_who_they_are() {
    let found = faults("http.listen = \"0.0.0.0:9443\"\n");
    assert!(
        found.iter().any(|fault| fault.contains("nobody is asked")),
        "{found:?}"
    );
    let found = faults("[[http.clients]]\nname = \"a\"\n");
    assert!(found[0].contains("without their authority"), "{found:?}");
}

#[test]
fn secrets_stand_elsewhere_and_print_as_stars() {
    let found = faults("[[http.tokens]]\nsecret = \"s3cret\"\n");
    assert!(
        found[0].contains("secrets do not stand in this file"),
        "{found:?}"
    );
    let loaded = parse("t", "[[http.tokens]]\nsecret = { env = \"TOKEN\" }\n");
    let (values, config) = loaded.config.unwrap();
    assert!(format!("{config:?}").contains("***"));
    assert!(
        show(&values).contains("secret = \"*** (environment TOKEN)\""),
        "{}",
        show(&values)
    );
}

#[test]
fn broken_toml_is_a_fault_with_its_place() {
    let found = faults("[http\nlisten = 1\n");
    assert!(found[0].starts_with("1: "), "{found:?}");
}

/// Rewrites the page if it had to be changed, and fails then: look at the difference and commit it.
#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != markdown() {
        std::fs::write(&path, markdown()).unwrap();
        panic!("docs/config.md was out of date, and is written anew");
    }
}

#[test]
fn the_schema_accepts_what_the_program_accepts() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let check = |text: &str| {
        let value: serde_json::Value = toml::from_str(text).unwrap();
        validator.is_valid(&value)
    };
    assert!(check(
        "http.listen = \"127.0.0.1:1\"\n[sinks.a]\ntype = \"stdout\"\n[[http.tokens]]\nsecret = { env = \"T\" }\n"
    ));
    assert!(!check("http.lisen = \"127.0.0.1:1\"\n"));
    assert!(!check("[sinks.a]\ntype = \"other\"\n"));
}
