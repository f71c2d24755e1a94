//! What somebody ran in, attached to, or forwarded from a running container.
//!
//! The act is a connection, not an object: everything about it stands in the request URI. Two ways
//! lead in. Through the pod (`…/pods/<pod>/exec`), as a POST (`create`) or, by WebSocket, a GET
//! (`get`). And through the kubelet behind `nodes/<node>/proxy`, whose own paths the API server
//! passes on without looking: there slashes may be encoded, and the node may be given as
//! `https:<node>:10250`.

use serde_json::{Map, Value};

use super::{View, object, strings, uri};
use crate::event::{Envelope, Event, Field};

/// A connection into a container, as far as the path tells.
#[derive(Debug, Default, PartialEq)]
struct Target {
    kind: &'static str,
    via: &'static str,
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
}

/// A path that leads into a container, or `None`.
fn target(segments: &[&str]) -> Option<Target> {
    match segments {
        [
            "api",
            "v1",
            "namespaces",
            namespace,
            "pods",
            pod,
            subresource,
            ..,
        ] => Some(Target {
            kind: kind_of_subresource(subresource)?,
            via: "pod",
            namespace: Some((*namespace).to_owned()),
            pod: Some((*pod).to_owned()),
            container: None,
        }),
        ["api", "v1", "nodes", _, "proxy", tail @ ..] => kubelet_target(tail),
        _ => None,
    }
}

fn kind_of_subresource(subresource: &str) -> Option<&'static str> {
    ["exec", "attach", "portforward"]
        .into_iter()
        .find(|kind| *kind == subresource)
}

/// The kubelet's own paths: `exec/<namespace>/<pod>/<container>`, with the pod's uid before the
/// container if one likes, and `cri/exec/<token>` for a stream that was opened before.
fn kubelet_target(tail: &[&str]) -> Option<Target> {
    let is_stream = tail
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case("cri"));
    let tail = if is_stream { tail.get(1..)? } else { tail };
    let (first, rest) = tail.split_first()?;
    let kind = ["run", "exec", "attach", "portforward"]
        .into_iter()
        .find(|kind| first.eq_ignore_ascii_case(kind))?;
    let mut target = Target {
        kind,
        via: "kubelet",
        ..Target::default()
    };
    if !is_stream {
        target.namespace = rest.first().map(ToString::to_string);
        target.pod = rest.get(1).map(ToString::to_string);
        target.container = rest
            .get(2..)
            .and_then(<[_]>::last)
            .filter(|_| kind != "portforward")
            .map(ToString::to_string);
    }
    Some(target)
}

/// The path is asked first: it is what was served. Without one (GKE, a cut record) the reference
/// names the subresource.
fn find(event: &Event) -> Option<Target> {
    if let Some(text) = event.text(&["requestURI"]) {
        let segments = uri::segments(text);
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        if let Some(target) = target(&segments) {
            return Some(target);
        }
    }
    let reference = |key| event.text(&["objectRef", key]);
    if reference("resource") != Some("pods") {
        return None;
    }
    Some(Target {
        kind: kind_of_subresource(reference("subresource")?)?,
        via: "pod",
        namespace: reference("namespace").map(str::to_owned),
        pod: reference("name").map(str::to_owned),
        container: None,
    })
}

pub(super) fn exec(event: &Event) -> View {
    let Some(target) = find(event) else {
        let is_cut = event.top("requestURI") == Field::Unavailable
            && event.top("objectRef") == Field::Unavailable;
        return if is_cut {
            View::unavailable()
        } else {
            View::absent()
        };
    };
    let mut view = View::known(Map::new());
    view.set("kind", target.kind);
    view.set("via", target.via);
    for (key, value) in [
        ("namespace", &target.namespace),
        ("pod", &target.pod),
        ("container", &target.container),
    ] {
        if let Some(value) = value {
            view.set(key, value.clone());
        }
    }
    set_options(event, &mut view);
    view
}

fn set_options(event: &Event, view: &mut View) {
    let text = event.text(&["requestURI"]).unwrap_or_default();
    let options = match object::request(event) {
        Some(body) if !text.contains('?') => Options::from_body(body),
        // GKE's entries have no query; nor can a record that was cut before the URI show one.
        None if !text.contains('?')
            && (text.is_empty() || event.origin().envelope == Envelope::Gke) =>
        {
            view.blind
                .extend(["command", "line", "container", "stdin", "tty", "residual"]);
            return;
        }
        _ => Options::from_query(text),
    };
    if !options.command.is_empty() {
        view.set("line", options.command.join(" "));
        view.set(
            "residual",
            options
                .command
                .iter()
                .any(|argument| uri::has_escape(argument)),
        );
        view.set("command", options.command);
    }
    if let Some(container) = options.container {
        view.set("container", container);
    }
    view.set("stdin", options.stdin);
    view.set("tty", options.tty);
}

/// What was asked of the connection.
#[derive(Default)]
struct Options {
    command: Vec<String>,
    container: Option<String>,
    stdin: bool,
    tty: bool,
}

impl Options {
    /// `command` for the API server and most of the kubelet, `cmd` for its `run`; `input` is the
    /// kubelet's older `stdin`.
    fn from_query(text: &str) -> Self {
        let mut options = Self::default();
        for (key, value) in uri::parameters(text) {
            match key.as_str() {
                "command" | "cmd" => options.command.push(value),
                "container" => options.container = Some(value),
                "stdin" | "input" => options.stdin |= is_true(&value),
                "tty" => options.tty |= is_true(&value),
                _ => {}
            }
        }
        options
    }

    /// A `PodExecOptions`, which some sources log instead of the query.
    fn from_body(body: &Value) -> Self {
        let flag = |key| body.get(key).and_then(Value::as_bool).unwrap_or(false);
        Self {
            command: body
                .get("command")
                .map(strings)
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            container: body
                .get("container")
                .and_then(Value::as_str)
                .map(str::to_owned),
            stdin: flag("stdin"),
            tty: flag("tty"),
        }
    }
}

/// As the API server reads a boolean parameter: everything but `false` and `0` is true.
fn is_true(value: &str) -> bool {
    !value.eq_ignore_ascii_case("false") && value != "0"
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(uri: &str, expected: Value) {
        assert_eq!(
            exec(&event(json!({"requestURI": uri}))).value,
            Some(expected),
            "{uri}"
        );
    }

    #[test]
    fn through_the_pod() {
        check(
            "/api/v1/namespaces/web/pods/p/exec?command=sh&command=-c&command=cat+%2Fetc%2Fshadow&container=c&stdin=true&tty=true",
            json!({
                "kind": "exec", "via": "pod", "namespace": "web", "pod": "p", "container": "c", "stdin": true, "tty": true,
                "command": ["sh", "-c", "cat /etc/shadow"], "line": "sh -c cat /etc/shadow", "residual": false,
            }),
        );
        check(
            "/api/v1/namespaces/web/pods/p/portforward",
            json!({"kind": "portforward", "via": "pod", "namespace": "web", "pod": "p", "stdin": false, "tty": false}),
        );
    }

    #[test]
    fn behind_the_kubelet() {
        let expected = |kind: &str, command: &str| {
            json!({
                "kind": kind, "via": "kubelet", "namespace": "web", "pod": "x", "container": "c", "stdin": false, "tty": false,
                "command": [command], "line": command, "residual": false,
            })
        };
        check(
            "/api/v1/nodes/node-03/proxy/run/web/x/c?cmd=id",
            expected("run", "id"),
        );
        check(
            "/api/v1/nodes/https:node-03:10250/proxy/exec/web/x/c?command=id",
            expected("exec", "id"),
        );
        check(
            "/api/v1/nodes/n/proxy/Exec%2Fweb%2Fx%2Fuid-1%2fc?command=id",
            expected("exec", "id"),
        );
        check(
            "/api/v1/nodes/n/proxy//%65xec/web/x/c?command=id",
            expected("exec", "id"),
        );
        check(
            "/api/v1/nodes/n/proxy/portForward/web/x",
            json!({"kind": "portforward", "via": "kubelet", "namespace": "web", "pod": "x", "stdin": false, "tty": false}),
        );
        check(
            "/api/v1/nodes/n/proxy/cri/attach/TOKEN",
            json!({"kind": "attach", "via": "kubelet", "stdin": false, "tty": false}),
        );
    }

    #[test]
    fn what_was_encoded_twice_is_flagged() {
        let view = exec(&event(
            json!({"requestURI": "/api/v1/namespaces/a/pods/p/exec?command=%252Fbin%252Fsh"}),
        ));
        assert!(view.flag("residual"));
        assert_eq!(view.text("line"), Some("%2Fbin%2Fsh"));
    }

    #[test]
    fn other_requests_are_none() {
        for uri in [
            "/api/v1/nodes/n/proxy/pods",
            "/api/v1/nodes/n/proxy",
            "/api/v1/namespaces/a/pods/p/log",
            "/exec",
            "",
        ] {
            assert_eq!(
                exec(&event(json!({"requestURI": uri}))),
                View::absent(),
                "{uri}"
            );
        }
    }

    #[test]
    fn without_a_uri_the_reference_tells() {
        let reference =
            json!({"resource": "pods", "subresource": "exec", "namespace": "a", "name": "p"});
        let view = exec(&event(json!({"objectRef": reference})));
        assert_eq!(
            (view.text("kind"), view.text("pod")),
            (Some("exec"), Some("p"))
        );
        assert!(view.blind.contains(&"command"));
        let options = json!({"command": ["sh"], "stdin": true});
        let view = exec(&event(
            json!({"level": "Request", "objectRef": reference, "requestObject": options}),
        ));
        assert_eq!((view.text("line"), view.flag("stdin")), (Some("sh"), true));
    }
}
