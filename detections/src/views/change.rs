//! What a write introduced (`change`), as opposed to what the object was like before.
//!
//! An audit event has no "before". What is new must be told from the request and the answer:
//!
//! 1. a create introduces everything, also one by server-side apply or update (201);
//! 2. a patch introduces what it names;
//! 3. server-side apply and update send whole objects; there the entry of `managedFields` speaks
//!    whose manager is the request's own and whose time is the request's second: the API server
//!    renews that time whenever the manager adds or alters a field, and only then. No such entry,
//!    nothing introduced: `restated`;
//! 4. an update without `managedFields` introduces everything;
//! 5. whatever was sent with a resource version that the answer still has was not stored:
//!    `restated`.
//!
//! What was refused: `metadata.generation` as proof that an update changed nothing. The request's
//! number is the client's to choose, and one who sends the next number would hide a change. The
//! resource version is no such number: one that is not current is a conflict.
//!
//! A request that failed has no answer: what it tried counts as introduced.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::object::{self, Scope};
use super::touched::Touched;
use super::{Root, View, patch, uri};
use crate::event::{Event, Field};

/// `managedFields` has whole seconds, and the entry may be stamped in the second before or after
/// the request's own stamps.
const SLACK_S: i64 = 1;

/// The API server cuts a manager's name, given or taken from the user agent, at this many bytes.
const MANAGER_BYTES_MAX: usize = 128;

/// The part of the object that a request introduced.
enum Introduced {
    Everything,
    /// Everything as far as we know: without the answer nobody can tell whether it was there
    /// before.
    Presumably,
    Part(Touched),
    Restated,
}

pub(super) fn change(event: &Event) -> View {
    match object::scope(event) {
        Scope::Other => return View::absent(),
        Scope::Unknown => return View::unavailable(),
        Scope::Write => {}
    }
    let mut view = View::known(Map::new());
    view.set("kind", kind(event));
    let introduced = introduced(event);
    match introduced {
        Introduced::Presumably => view.blind.push("restated"),
        Introduced::Restated => view.set("restated", true),
        _ => view.set("restated", false),
    }
    match part(event, &introduced) {
        Field::Present(part) => view.set("object", part),
        Field::Absent => {}
        Field::Unavailable => view.blind.push("object"),
    }
    view
}

/// The part of the object that was introduced.
fn part(event: &Event, introduced: &Introduced) -> Field<Value> {
    if matches!(introduced, Introduced::Restated) {
        return Field::Absent;
    }
    let Some(whole) = whole(event) else {
        // A patch that was logged and sets nothing hides nothing either.
        let is_patch = event.text(&["verb"]) == Some("patch");
        let is_known = is_patch && object::request(event).is_some();
        return if is_known {
            Field::Absent
        } else {
            Field::Unavailable
        };
    };
    let part = match introduced {
        Introduced::Part(touched) => touched.prune(&whole),
        _ => Some(whole.into_owned()),
    };
    part.map_or(Field::Absent, |mut part| {
        // What the view says of the object is no part of it.
        part.as_object_mut()
            .map(|fields| fields.remove("attempted"));
        Field::Present(part)
    })
}

fn kind(event: &Event) -> &'static str {
    let verb = event.text(&["verb"]);
    if verb == Some("create") || super::outcome::code(event) == Some(201) {
        return "create";
    }
    match verb {
        Some("patch") if is_apply(event) => "apply",
        Some("patch") => "patch",
        _ => "update",
    }
}

/// What the change is a part of: the object, else the document that a patch describes on its own.
fn whole(event: &Event) -> Option<Cow<'_, Value>> {
    if let Some(object @ Value::Object(_)) = &event.view(Root::Object).value {
        return Some(Cow::Borrowed(object));
    }
    let sent = object::request(event).filter(|_| event.text(&["verb"]) == Some("patch"))?;
    let document = object::stripped(&patch::document(sent)?)?;
    Some(Cow::Owned(Value::Object(document)))
}

fn introduced(event: &Event) -> Introduced {
    if kind(event) == "create" || object::succeeded(event) == Some(false) {
        return Introduced::Everything;
    }
    let Some(answer) = object::response(event) else {
        return Introduced::Presumably;
    };
    if kept_its_version(event, answer) {
        return Introduced::Restated;
    }
    let entries = Entries::read(event, answer);
    let operation = match (kind(event), object::request(event)) {
        ("patch", Some(sent)) => return Introduced::Part(patch::touched(sent)),
        ("apply", _) => "Apply",
        _ => "Update",
    };
    if entries.is_empty() {
        Introduced::Everything
    } else {
        entries.introduced(operation)
    }
}

/// The object was sent with the version that it still has afterwards, so nothing was stored. A dry
/// run answers with the old version whatever it would change.
fn kept_its_version(event: &Event, answer: &Value) -> bool {
    let version = |object: &Value| {
        let version = object.get("metadata")?.get("resourceVersion")?.as_str()?;
        Some(version.to_owned())
    };
    let sent = object::request(event).and_then(version);
    sent.is_some() && sent == version(answer) && !event.view(Root::Outcome).flag("dry_run")
}

/// Server-side apply is a patch that names its object and must name its manager. A merge patch may
/// do so too, and may borrow the manager of an earlier apply; it is given away by the entry that it
/// leaves.
fn is_apply(event: &Event) -> bool {
    let names_itself = |sent: &Value| {
        ["apiVersion", "kind"]
            .iter()
            .all(|key| sent.get(key).is_some_and(Value::is_string))
    };
    let given = event
        .text(&["requestURI"])
        .and_then(|text| uri::parameter(text, "fieldManager"));
    if !object::request(event).is_some_and(names_itself) || given.is_none() {
        return false;
    }
    let Some(answer) = object::response(event) else {
        return true;
    };
    let entries = Entries::read(event, answer);
    entries.is_empty() || entries.tell_of_apply()
}

/// The answer's `managedFields`, as seen from the request.
struct Entries<'a> {
    list: &'a [Value],
    manager: String,
    subresource: &'a str,
    /// The seconds in which the request may have been stamped; `None` if the event has no time.
    seconds: Option<(i64, i64)>,
    /// The latest time of any entry. If it lies behind the request, which it cannot with one clock,
    /// then the log was replayed with its times moved, or another API server's clock is fast; that
    /// entry may well be this request's.
    latest: Option<i64>,
}

impl<'a> Entries<'a> {
    fn read(event: &'a Event, answer: &'a Value) -> Self {
        let list = answer
            .get("metadata")
            .and_then(|metadata| metadata.get("managedFields"))
            .and_then(Value::as_array);
        Self {
            list: list.map(Vec::as_slice).unwrap_or_default(),
            manager: manager(event),
            subresource: object::subresource(event),
            seconds: seconds(event),
            latest: list.and_then(|list| list.iter().filter_map(time).max()),
        }
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The entries of the request's own manager.
    fn own(&self, operation: &str) -> impl Iterator<Item = &'a Value> {
        self.of(operation)
            .filter(|entry| entry.get("manager").and_then(Value::as_str) == Some(&self.manager))
    }

    fn of(&self, operation: &str) -> impl Iterator<Item = &'a Value> {
        let text =
            |entry: &'a Value, key| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        self.list.iter().filter(move |entry| {
            text(entry, "operation") == operation && text(entry, "subresource") == self.subresource
        })
    }

    /// Whether an apply of this manager, rather than an update, made or found the object as it is.
    fn tell_of_apply(&self) -> bool {
        let renewed = |operation| self.own(operation).any(|entry| self.in_time(entry));
        self.own("Apply").next().is_some() && (renewed("Apply") || !renewed("Update"))
    }

    fn in_time(&self, entry: &Value) -> bool {
        match (time(entry), self.seconds) {
            (Some(time), Some((first, last))) => {
                (first..=last).contains(&time) || (time > last && self.latest == Some(time))
            }
            // Without a time to compare the entry may well be this request's.
            _ => true,
        }
    }

    /// What the entries say that this request introduced. A manager whose name we read differently
    /// than the API server (it drops characters that cannot be printed) must not hide a change, so
    /// any entry of that second will do.
    fn introduced(&self, operation: &str) -> Introduced {
        let own: Vec<_> = self
            .own(operation)
            .filter(|entry| self.in_time(entry))
            .collect();
        let entries = if own.is_empty() && self.own(operation).next().is_none() {
            self.of(operation)
                .filter(|entry| self.in_time(entry))
                .collect()
        } else {
            own
        };
        let mut touched = Touched::default();
        for fields in entries.iter().filter_map(|entry| entry.get("fieldsV1")) {
            touched.merge_fields_v1(fields);
        }
        if touched.is_empty() {
            Introduced::Restated
        } else {
            Introduced::Part(touched)
        }
    }
}

/// The name under which the API server enters the request in `managedFields`.
fn manager(event: &Event) -> String {
    let given = event
        .text(&["requestURI"])
        .and_then(|text| uri::parameter(text, "fieldManager"));
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        return given;
    }
    let agent = event.text(&["userAgent"]).unwrap_or_default();
    let agent = agent.split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for c in agent.chars().filter(|c| !c.is_control()) {
        if manager.len() + c.len_utf8() > MANAGER_BYTES_MAX {
            break;
        }
        manager.push(c);
    }
    manager
}

fn seconds(event: &Event) -> Option<(i64, i64)> {
    let received = event.text(&["requestReceivedTimestamp"]).and_then(second);
    let staged = event.text(&["stageTimestamp"]).and_then(second);
    let envelope = event
        .origin()
        .time_us
        .map(|time_us| time_us.div_euclid(1_000_000));
    let first = received.or(staged).or(envelope)?;
    let last = staged.or(received).or(envelope)?;
    Some((first.saturating_sub(SLACK_S), last.saturating_add(SLACK_S)))
}

/// When an entry was renewed.
fn time(entry: &Value) -> Option<i64> {
    second(entry.get("time")?.as_str()?)
}

fn second(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    const NOW: &str = "2026-11-20T21:39:58Z";
    const BEFORE: &str = "2026-11-20T21:30:00Z";

    fn entry(manager: &str, operation: &str, time: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
    }

    fn service(managed: &[Value]) -> Value {
        let metadata = json!({"name": "web", "resourceVersion": "9", "managedFields": managed});
        json!({"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {"type": "NodePort", "clusterIP": "1.2.3.4"}})
    }

    fn write(verb: &str, query: &str, request: &Value, response: &Value) -> Value {
        json!({
            "level": "RequestResponse", "stage": "ResponseComplete", "verb": verb, "userAgent": "kubectl/v1.34 (linux)",
            "requestURI": format!("/api/v1/namespaces/a/services/web?{query}"),
            "objectRef": {"resource": "services", "name": "web"}, "responseStatus": {"code": 200},
            "requestObject": request, "responseObject": response,
            "requestReceivedTimestamp": "2026-11-20T21:39:58.333744Z", "stageTimestamp": "2026-11-20T21:39:58.399184Z",
        })
    }

    #[track_caller]
    fn check(document: Value, kind: &str, restated: bool, expected: Option<&Value>) {
        let view = change(&event(document));
        assert_eq!(
            (view.text("kind"), view.flag("restated")),
            (Some(kind), restated)
        );
        assert_eq!(view.get("object"), expected);
    }

    fn of_type() -> Value {
        json!({"spec": {"type": "NodePort"}})
    }

    #[test]
    fn a_patch_introduces_what_it_names() {
        let patch = json!({"spec": {"type": "NodePort"}});
        let managed = [entry("kubectl-patch", "Update", NOW, &json!({}))];
        check(
            write(
                "patch",
                "fieldManager=kubectl-patch",
                &patch,
                &service(&managed),
            ),
            "patch",
            false,
            Some(&of_type()),
        );
        check(
            write("patch", "", &patch, &service(&[])),
            "patch",
            false,
            Some(&of_type()),
        );
    }

    #[test]
    fn a_patch_alone_describes_its_change() {
        let mut document = write(
            "patch",
            "",
            &json!([{"op": "replace", "path": "/spec/type", "value": "NodePort"}]),
            &json!(null),
        );
        document["level"] = "Request".into();
        let view = change(&event(document));
        assert_eq!(view.get("object"), Some(&of_type()));
        assert_eq!(view.blind, ["restated"]);
    }

    #[test]
    fn apply_introduces_what_its_entry_owns() {
        let fields = json!({"f:spec": {"f:type": {}}});
        let sent = json!({"kind": "Service", "apiVersion": "v1", "spec": {"type": "NodePort"}});
        let query = "fieldManager=helm&force=true";
        let applied = |time| {
            service(&[
                entry("helm", "Apply", time, &fields),
                entry("helm", "Update", BEFORE, &json!({})),
            ])
        };
        check(
            write("patch", query, &sent, &applied(NOW)),
            "apply",
            false,
            Some(&of_type()),
        );
        check(
            write("patch", query, &sent, &applied(BEFORE)),
            "apply",
            true,
            None,
        );
        let mut created = write("patch", query, &sent, &applied(NOW));
        created["responseStatus"]["code"] = 201.into();
        assert_eq!(change(&event(created)).text("kind"), Some("create"));
    }

    #[test]
    fn a_merge_patch_under_the_manager_of_an_apply_is_a_patch() {
        let sent = json!({"kind": "Service", "apiVersion": "v1", "spec": {"type": "NodePort"}});
        let answer = service(&[
            entry("helm", "Apply", BEFORE, &json!({})),
            entry("helm", "Update", NOW, &json!({"f:spec": {"f:type": {}}})),
        ]);
        let view = change(&event(write("patch", "fieldManager=helm", &sent, &answer)));
        assert_eq!(
            (view.text("kind"), view.flag("restated")),
            (Some("patch"), false)
        );
        assert!(
            view.get("object")
                .is_some_and(|object| object["spec"] == of_type()["spec"])
        );
    }

    #[test]
    fn a_log_whose_times_were_moved_hides_nothing() {
        let fields = json!({"f:spec": {"f:type": {}}});
        let later = "2026-12-01T00:00:00Z";
        let sent = json!({"kind": "Service", "metadata": {"resourceVersion": "8"}});
        let answer = service(&[
            entry("kubectl", "Update", later, &fields),
            entry("other", "Update", BEFORE, &json!({})),
        ]);
        check(
            write("update", "", &sent, &answer),
            "update",
            false,
            Some(&of_type()),
        );
    }

    #[test]
    fn an_update_introduces_what_its_entry_owns() {
        let fields = json!({"f:spec": {"f:type": {}}});
        let managed = |manager, time| service(&[entry(manager, "Update", time, &fields)]);
        let sent = json!({"kind": "Service", "metadata": {"resourceVersion": "8"}, "spec": {}});
        check(
            write("update", "", &sent, &managed("kubectl", NOW)),
            "update",
            false,
            Some(&of_type()),
        );
        check(
            write("update", "", &sent, &managed("kubectl", BEFORE)),
            "update",
            true,
            None,
        );
        check(
            write("update", "fieldManager=x", &sent, &managed("x", NOW)),
            "update",
            false,
            Some(&of_type()),
        );
        // A manager that we cannot find hides nothing.
        check(
            write("update", "fieldManager=y", &sent, &managed("x", NOW)),
            "update",
            false,
            Some(&of_type()),
        );
    }

    #[test]
    fn an_update_that_left_the_version_alone_is_restated() {
        let sent =
            json!({"kind": "Service", "metadata": {"resourceVersion": "9", "generation": 3}});
        check(
            write("update", "", &sent, &service(&[])),
            "update",
            true,
            None,
        );
        let mut everything = service(&[]);
        drop(
            everything["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("managedFields"),
        );
        let older = json!({"kind": "Service", "metadata": {"resourceVersion": "8"}});
        check(
            write("update", "", &older, &service(&[])),
            "update",
            false,
            Some(&everything),
        );
        check(
            write("update", "dryRun=All", &sent, &service(&[])),
            "update",
            false,
            Some(&everything),
        );
    }

    #[test]
    fn what_was_refused_is_what_was_tried() {
        let mut refused = write(
            "patch",
            "",
            &json!({"spec": {"type": "NodePort", "x": null}}),
            &json!({"kind": "Status"}),
        );
        refused["responseStatus"]["code"] = 403.into();
        check(refused, "patch", false, Some(&of_type()));
    }

    #[test]
    fn a_patch_that_only_removes_introduces_nothing() {
        let patch = json!({"metadata": {"resourceVersion": "5", "finalizers": null}});
        let partial = json!({"kind": "PartialObjectMetadata"});
        let view = change(&event(write("patch", "", &patch, &partial)));
        assert_eq!(
            (view.get("object"), view.blind.as_slice()),
            (None, ["restated"].as_slice())
        );
    }

    #[test]
    fn a_hidden_body_is_a_blind_spot() {
        let mut document = write("create", "", &json!(null), &json!(null));
        document["level"] = "Metadata".into();
        let view = change(&event(document));
        assert_eq!(
            (view.text("kind"), view.blind.contains(&"object")),
            (Some("create"), true)
        );
        assert_eq!(
            change(&event(write("get", "", &json!(null), &json!(null)))),
            View::absent()
        );
    }
}
