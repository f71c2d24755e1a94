use super::*;

/// What became of each record, one line each.
pub(super) fn items(text: &[u8]) -> Vec<(u64, String)> {
    items_of(Decoder::new(text, Arc::from("default")))
}

pub(super) fn items_of(mut decoder: Decoder<impl Read>) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    while let Some(item) = decoder.next().unwrap() {
        found.push(describe(&item));
    }
    found
}

/// Where the item stands, and what became of it.
pub(super) fn describe(item: &Item<'_>) -> (u64, String) {
    match item {
        Item::Event(event) => {
            let Origin {
                cluster,
                envelope,
                partial,
                time_us,
            } = &event.origin;
            let partial = if *partial { " partial" } else { "" };
            let time = time_us.map_or_else(String::new, |time| format!(" t={time}"));
            let text = String::from_utf8_lossy(event.bytes);
            (
                event.offset,
                format!("{} {cluster}{partial}{time} {text}", envelope.as_str()),
            )
        }
        Item::Rejected(rejected) => (
            rejected.offset,
            format!("rejected {}", rejected.reason.as_str()),
        ),
        Item::Ignored(reason) => (0, format!("ignored {}", reason.as_str())),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_bytes(text.as_bytes(), expected);
}

#[track_caller]
fn check_bytes(text: &[u8], expected: &[&str]) {
    let (offsets, found): (Vec<u64>, Vec<String>) = items(text).into_iter().unzip();
    assert_eq!(found, expected);
    assert!(offsets.is_sorted());
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

const EVENT: &str =
    r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get","requestURI":"/x"}"#;

#[test]
fn events_as_the_api_server_writes_them() {
    let raw = format!("raw default {EVENT}");
    check(&format!("{EVENT}\n{EVENT}\n"), &[&raw, &raw]);
    check(
        &format!(r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{EVENT}]}}"#),
        &[&raw],
    );
    check(
        r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"1","stage":"Panic"},{}]}"#,
        &[
            r#"raw default {"auditID":"1","stage":"Panic"}"#,
            "rejected not_an_audit_event",
        ],
    );
}

#[test]
fn events_shortened_by_hand() {
    for text in [
        r#"{"verb":"get","user":{}}"#,
        r#"{"verb":"get","objectRef":null}"#,
        r#"{"kind":"Event","verb":"get"}"#,
        r#"{"kind":"Event","auditID":"1"}"#,
        r#"{"apiVersion":"audit.k8s.io/v1beta1"}"#,
        r#"{"kind":"Event","apiVersion":"v1","verb":"get","user":{}}"#,
    ] {
        check(text, &[&format!("raw default {text}")]);
    }
    for text in [
        r#"{"kind":"Event"}"#,
        r#"{"verb":"get"}"#,
        r#"{"kind":0}"#,
        "{}",
        r#"{"kind":"Pod","verb":"get","user":1}"#,
    ] {
        check(text, &["rejected not_an_audit_event"]);
    }
}

#[test]
fn other_things_are_named() {
    check(
        r#"{"kind":"Event","apiVersion":"v1","involvedObject":{},"message":"Started"}"#,
        &["rejected core_v1_event"],
    );
    check(
        r#"{"kind":"Event","apiVersion":"events.k8s.io/v1","verb":"x"}"#,
        &["rejected core_v1_event"],
    );
    check(
        r#"{"kind":"List","apiVersion":"v1","items":[{"involvedObject":{}}]}"#,
        &["rejected core_v1_event"],
    );
    check(
        r#"{"category":"Administrative","operationName":"X"}"#,
        &["rejected azure_activity"],
    );
    check(
        r#"{"tables":[{"name":"PrimaryResult","rows":[["x"]]}]}"#,
        &["rejected log_analytics_table"],
    );
    check(r#"{"kind":"EventList","items":null}"#, &["rejected empty"]);
    check(
        r#"{"kind":"EventList","items":[]}"#,
        &["ignored empty_list"],
    );
    check(
        "\u{1}\n[1]\n",
        &["rejected not_an_object", "rejected not_an_object"],
    );
    check("{\"a\" 1}\n", &["rejected malformed_json"]);
}

#[test]
fn bytes_that_are_not_utf8() {
    check_bytes(
        b"{\"verb\":\"\xff\",\"user\":{}}\n\xff\xfe\n",
        &["rejected not_utf8", "rejected not_utf8"],
    );
    // A cut may go through a character.
    let start = "{\"verb\":\"get\",\"user\":{},\"a\":\"";
    let cut = [start.as_bytes(), b"\xc3"].concat();
    check_bytes(&cut, &[&format!("raw default partial {start}")]);
}

#[test]
fn cut_events_are_kept_if_they_say_what_was_asked_for() {
    let start = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get","requ"#;
    check(start, &[&format!("raw default partial {start}")]);
    check(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","ver"#,
        &["rejected cut_too_early"],
    );
    check(r#"{"ki"#, &["rejected cut_too_early"]);
}

#[test]
fn aks_event_hubs_records() {
    let id = "/SUBSCRIPTIONS/X/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/KUBETEST";
    let record = |log: &str| {
        format!(
            r#"{{"category":"kube-audit","resourceId":"{id}","properties":{{"log":{log},"pod":"p"}},"time":"2020-05-05T16:16:37.0000000Z"}}"#
        )
    };
    let event = format!("aks kubetest t=1588695397000000 {EVENT}");
    check(&record(&quoted(&format!("{EVENT}\n"))), &[&event]);
    check(&record(EVENT), &[&event]);
    check(
        &format!(r#"{{"records":[{},{}]}}"#, record(EVENT), record(EVENT)),
        &[&event, &event],
    );
    let list = format!(r#"{{"kind":"EventList","items":[{EVENT},{EVENT},{{}}]}}"#);
    check(
        &record(&quoted(&list)),
        &[&event, &event, "rejected not_an_audit_event"],
    );
    check(&record(r#""""#), &["rejected empty"]);
    check(&record("null"), &["rejected empty"]);
    check(&record(r#""I0505 text""#), &["rejected not_an_object"]);
    let properties = quoted(&format!(r#"{{"log":{},"pod":"p"}}"#, quoted(EVENT)));
    check(
        &format!(r#"{{"category":"kube-audit-admin","properties":{properties}}}"#),
        &[&format!("aks default {EVENT}")],
    );
}

#[test]
fn a_cut_aks_log_is_salvaged() {
    let cut = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","requestObject":{"a":"\"x"#;
    let salvaged = format!("aks default partial {cut}");
    let record = format!(
        r#"{{"category":"kube-audit","properties":{{"log":{}}}}}"#,
        quoted(cut)
    );
    check(&record, &[&salvaged]);
    // The record itself was cut, in the middle of the text.
    let end = record.find("\\\\\\\"x").unwrap() + 5;
    check(&record[..end], &[&salvaged]);
    check(
        &format!("{}\n{EVENT}", &record[..end]),
        &[&salvaged, &format!("raw default {EVENT}")],
    );
    check(
        r#"{"category":"kube-audit","properties":{"lo"#,
        &["rejected cut_too_early"],
    );
    // The text was whole before the cut.
    let record = format!(
        r#"{{"category":"kube-audit","properties":{{"log":{},"po"#,
        quoted(EVENT)
    );
    check(&record, &[&format!("aks default {EVENT}")]);
}

#[test]
fn log_analytics_rows() {
    let row = format!(
        r#"[{{"Category":"kube-audit","ResourceId":"/x/managedclusters/c1/","TimeGenerated":"2020-05-05 16:16:37","log_s":{}}}]"#,
        quoted(EVENT)
    );
    check(&row, &[&format!("aks c1 t=1588695397000000 {EVENT}")]);
    let columns = r#"{"value":[{"AuditId":"1","Verb":"create","User":"{\"username\":\"u\"}","ObjectRef":{"resource":"pods"},
        "RequestObject":"skipped-too-big-size-object","RequestReceivedTime":"2020-05-05 16:16:37","Annotations":"{\"a\":\"b\"}",
        "UserAgent":"{x","Level":"Request","_ResourceId":"/x/c2"}]}"#;
    check(
        columns,
        &[
            "aks c2 {\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Request\",\"auditID\":\"1\",\
        \"verb\":\"create\",\"user\":{\"username\":\"u\"},\"userAgent\":\"{x\",\"objectRef\":{\"resource\":\"pods\"},\
        \"requestReceivedTimestamp\":\"2020-05-05T16:16:37.000000Z\",\
        \"annotations\":{\"a\":\"b\",\"audit.k8s.io/truncated\":\"true\"}}",
        ],
    );
}

#[test]
fn other_aks_categories_are_ignored_by_name() {
    check(
        r#"{"category":"guard","properties":{"log":"x"}}"#,
        &["ignored guard"],
    );
    check(
        r#"{"category":"KUBE-APISERVER","properties":{}}"#,
        &["ignored kube-apiserver"],
    );
    check(
        r#"{"category":"SomethingNew","properties":{"log":"{}"}}"#,
        &["rejected not_an_audit_event"],
    );
}

#[test]
fn cloudwatch_subscription_records() {
    let message = |text: &str| {
        format!(
            r#"{{"id":"1","timestamp":1588695397000,"message":{}}}"#,
            quoted(text)
        )
    };
    let record = |stream: &str, messages: &str| {
        format!(
            r#"{{"messageType":"DATA_MESSAGE","logGroup":"/aws/eks/prod/cluster","logStream":"{stream}","logEvents":[{messages}]}}"#
        )
    };
    let audit = record(
        "kube-apiserver-audit-1",
        &format!("{},{}", message(EVENT), message(EVENT)),
    );
    let event = format!("eks prod t=1588695397000000 {EVENT}");
    check(
        &format!("{audit}{audit}"),
        &[&event, &event, &event, &event],
    );
    check(
        &record("authenticator-1", &message("time=x level=info")),
        &["ignored authenticator"],
    );
    check(
        &record("kube-apiserver-1", &message("I0505")),
        &["ignored kube-apiserver"],
    );
    check(&record("", &message("I0505")), &["rejected not_an_object"]);
    check(&record("x", &message("")), &["rejected empty"]);
    check(
        r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE"}]}"#,
        &["ignored cloudwatch_control"],
    );
    let (cut, _) = EVENT.split_at(70);
    let expected = format!("eks prod partial t=1588695397000000 {cut}");
    check(
        &record("x", &message(&format!("{cut}[Truncated...]"))),
        &[&expected],
    );
}

#[test]
fn cloudwatch_exports() {
    let event = format!("eks default t=1669680544380000 {EVENT}");
    check(
        &format!("2022-11-29T00:09:04.380Z {EVENT}\n2022-11-29T00:09:04.380Z I1129\n"),
        &[&event, "rejected not_an_object"],
    );
    let container = format!("2022-11-29T00:09:04.380Z stdout F {EVENT}\n");
    check(
        &container,
        &[&format!("raw default t=1669680544380000 {EVENT}")],
    );
    let filtered = format!(
        r#"{{"events":[{{"logStreamName":"kube-apiserver-audit-1","timestamp":1,"message":{},"eventId":"2"}}],"searchedLogStreams":[]}}"#,
        quoted(EVENT)
    );
    check(&filtered, &[&format!("eks default t=1000000 {EVENT}")]);
    let insights = format!(
        r#"{{"@timestamp":"2020-05-05 16:16:37.000","@message":{},"@log":"1:/aws/eks/prod/cluster"}}"#,
        quoted(EVENT)
    );
    check(
        &insights,
        &[&format!("eks prod t=1588695397000000 {EVENT}")],
    );
}

#[test]
fn records_kept_as_text_by_others() {
    let list = format!(r#"{{"kind":"EventList","items":[{EVENT}]}}"#);
    check(
        &format!(r#"{{"message":{}}}"#, quoted(&list)),
        &[&format!("raw default {EVENT}")],
    );
    check(
        &format!(
            r#"{{"log":{},"stream":"stdout"}}"#,
            quoted(&format!("{EVENT}\n"))
        ),
        &[&format!("raw default {EVENT}")],
    );
    let mut nested = EVENT.to_owned();
    for depth in 0..=NESTING_MAX {
        let expected = format!("raw default {EVENT}");
        check(&nested, &[&expected]);
        nested = format!(r#"{{"message":{}}}"#, quoted(&nested));
        if depth == NESTING_MAX {
            check(&nested, &["rejected nested_too_deep"]);
        }
    }
}

#[test]
fn an_item_says_where_its_record_starts() {
    let wrapped = format!(r#"{{"message":{}}}"#, quoted(&format!("{EVENT}\n{EVENT}")));
    let found = items(format!("\n{EVENT}\n{wrapped}\n[{EVENT}]\nx\n").as_bytes());
    let offsets: Vec<u64> = found.into_iter().map(|(offset, _)| offset).collect();
    let (event, wrapped) = (EVENT.len() as u64, wrapped.len() as u64);
    let array = 1 + event + 1 + wrapped + 1;
    assert_eq!(
        offsets,
        [1, 2 + event, 2 + event, array + 1, array + event + 3]
    );
}

#[test]
fn what_stands_behind_a_text_is_read_after_it() {
    let wrapped = format!(r#"{{"message":{}}}"#, quoted(&format!("{EVENT}\n{EVENT}")));
    let event = format!("raw default {EVENT}");
    check(&format!("{wrapped}\n{EVENT}\n"), &[&event, &event, &event]);
}
