//! What a request was for: the method name and the resource name of a `LogEntry`, read together.
//!
//! `io.k8s.authorization.rbac.v1.clusterroles.create` with
//! `rbac.authorization.k8s.io/v1/clusterroles/x`. The resource name has the exact group and the
//! object; the method name has the verb, and settles what a path leaves open: whether
//! `namespaces/x/status` is a subresource of a namespace or a list in it.

use super::super::document::Document;
use super::Part;

/// Verbs of the API server; for what is no resource, the HTTP method in lower case.
const VERBS: [&str; 13] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "post",
    "put",
    "head",
    "options",
    "connect",
];

/// Groups from before groups had domains: `io.k8s.apps` is `apps`, not `apps.k8s.io`.
const BARE_GROUPS: [&str; 5] = ["apps", "autoscaling", "batch", "extensions", "policy"];

/// Subresources that a client upgrades its connection for.
const UPGRADES: [&str; 3] = ["exec", "attach", "portforward"];

/// The target of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) verb: Option<&'a str>,
    pub(super) group: Part<'a>,
    pub(super) version: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) subresource: Option<&'a str>,
    /// What stands behind a subresource, as behind `proxy`; or the whole path of what is no
    /// resource.
    path: &'a str,
}

impl<'a> Target<'a> {
    /// Reads both names; either may be empty.
    pub(super) fn of(method: &'a str, name: &'a str) -> Self {
        let by_method = Self::of_method(method);
        let Some((group, version, path)) = split_path(name) else {
            if by_method.resource.is_some() && name.is_empty() {
                return by_method;
            }
            let path = if name.is_empty() {
                by_method.path
            } else {
                name
            };
            return Self {
                verb: by_method.verb,
                path,
                ..Self::default()
            };
        };
        let group = Part::Borrowed(if group == "core" { "" } else { group });
        Self {
            verb: by_method.verb,
            group,
            version,
            ..Self::of_path(path, by_method.resource)
        }
    }

    fn of_method(method: &'a str) -> Self {
        let (front, last) = method.rsplit_once('.').unwrap_or(("", method));
        let known = VERBS.contains(&last);
        let verb = known.then_some(last);
        let mut parts = front.split('.').enumerate();
        let Some((at, version)) = parts.find(|(_, part)| is_version(part)) else {
            // `io.k8s.get`, or a path by itself as in `io.k8s.readyz`.
            return Self {
                verb,
                path: if known { "" } else { last },
                ..Self::default()
            };
        };
        let resource = parts.next().map(|(_, part)| part);
        let subresource = parts.next().map(|(_, part)| part);
        let domain: Vec<&str> = front.split('.').take(at).collect();
        Self {
            verb,
            group: group_of(&domain),
            version,
            resource,
            subresource,
            ..Self::default()
        }
    }

    /// `path` is what stands behind group and version.
    fn of_path(path: &'a str, resource: Option<&str>) -> Self {
        let in_namespace = |rest: &'a str| {
            let (namespace, rest) = rest.split_once('/')?;
            (!rest.is_empty()).then_some((namespace, rest))
        };
        let namespaced = path
            .strip_prefix("namespaces/")
            .filter(|_| resource != Some("namespaces"))
            .and_then(in_namespace);
        let (namespace, rest) =
            namespaced.map_or((None, path), |(namespace, rest)| (Some(namespace), rest));
        let mut parts = rest.splitn(4, '/').filter(|part| !part.is_empty());
        let (resource, name, subresource) = (parts.next(), parts.next(), parts.next());
        // As in the API server: a namespace is in itself.
        let namespace = namespace.or_else(|| name.filter(|_| resource == Some("namespaces")));
        Self {
            namespace,
            resource,
            name,
            subresource,
            path: parts.next().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// Writes the members of the `objectRef`.
    pub(super) fn write(&self, document: &mut Document<'_>) {
        document.text("resource", self.resource);
        document.text("namespace", self.namespace);
        document.text("name", self.name);
        document.text(
            "apiGroup",
            Some(&*self.group).filter(|group| !group.is_empty()),
        );
        document.text(
            "apiVersion",
            Some(self.version).filter(|version| !version.is_empty()),
        );
        document.text("subresource", self.subresource);
    }

    /// The path that was asked for. The query was not logged, but for a dry run, which GKE keeps as
    /// a label.
    pub(super) fn uri(&self, dry_run: Option<&str>) -> Option<String> {
        let query = dry_run.map_or_else(String::new, |value| format!("?dryRun={value}"));
        let Some(resource) = self.resource else {
            let path = self.path.trim_start_matches('/');
            return (!path.is_empty()).then(|| format!("/{path}{query}"));
        };
        let mut uri = match &*self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        // A new object's name is in its body, not in the path.
        let name = self
            .name
            .filter(|_| self.verb != Some("create") || self.subresource.is_some());
        let namespace = self.namespace.filter(|_| resource != "namespaces");
        let place = namespace.map(|namespace| ["namespaces", namespace]);
        let path = Some(self.path).filter(|path| !path.is_empty());
        let rest = [Some(resource), name, self.subresource, path];
        for part in place
            .into_iter()
            .flatten()
            .chain(rest.into_iter().flatten())
        {
            uri.push('/');
            uri.push_str(part);
        }
        Some(uri + &query)
    }

    /// The HTTP status that the API server answered where GKE logs this gRPC code.
    pub(super) fn http_status(&self, code: i64) -> i64 {
        let upgrade = self
            .subresource
            .is_some_and(|name| UPGRADES.contains(&name));
        match code {
            0 if upgrade => 101,
            0 if self.verb == Some("create") => 201,
            0 => 200,
            1 => 499,
            3 | 9 | 11 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }
}

/// Group, version, and the rest, of what names a resource.
fn split_path(name: &str) -> Option<(&str, &str, &str)> {
    let (group, rest) = name.trim_start_matches('/').split_once('/')?;
    let (version, path) = rest.split_once('/')?;
    (is_version(version) && group != "api" && group != "apis" && !path.is_empty())
        .then_some((group, version, path))
}

/// `v1`, `v2beta1`, `v1alpha3`.
fn is_version(part: &str) -> bool {
    let Some(rest) = part.strip_prefix('v') else {
        return false;
    };
    let number = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let stability = number.trim_end_matches(|digit: char| digit.is_ascii_digit());
    number.len() < rest.len() && matches!(stability, "" | "alpha" | "beta")
}

/// The group that a method name's domain stands for: reversed, with the exceptions that history
/// made.
fn group_of<'a>(domain: &[&'a str]) -> Part<'a> {
    match domain {
        ["io", "k8s", "core"] => Part::Borrowed(""),
        ["io", "k8s", bare] if BARE_GROUPS.contains(bare) => Part::Borrowed(bare),
        // Hand-written, but unmistakable: there is no group `rbac.k8s.io`.
        ["io", "k8s", "rbac"] => Part::Borrowed("rbac.authorization.k8s.io"),
        _ => Part::Owned(domain.iter().rev().copied().collect::<Vec<_>>().join(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, name: &str, uri: &str, expected: [&str; 6]) {
        let target = Target::of(method, name);
        assert_eq!(target.uri(None).unwrap_or_default(), uri);
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let found = [
            text(target.verb),
            target.group.to_string(),
            text(target.namespace),
            text(target.resource),
            text(target.name),
            text(target.subresource),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn objects_by_their_path() {
        check(
            "io.k8s.core.v1.pods.exec.create",
            "core/v1/namespaces/web/pods/fe-1/exec",
            "/api/v1/namespaces/web/pods/fe-1/exec",
            ["create", "", "web", "pods", "fe-1", "exec"],
        );
        check(
            "io.k8s.authorization.rbac.v1.clusterrolebindings.create",
            "rbac.authorization.k8s.io/v1/clusterrolebindings/oops",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            [
                "create",
                "rbac.authorization.k8s.io",
                "",
                "clusterrolebindings",
                "oops",
                "",
            ],
        );
        check(
            "io.k8s.core.v1.secrets.list",
            "core/v1/secrets",
            "/api/v1/secrets",
            ["list", "", "", "secrets", "", ""],
        );
        check(
            "io.k8s.core.v1.nodes.proxy.create",
            "core/v1/nodes/n-1/proxy/run/web/fe/main",
            "/api/v1/nodes/n-1/proxy/run/web/fe/main",
            ["create", "", "", "nodes", "n-1", "proxy"],
        );
        check(
            "dev.knative.serving.v1.services.update",
            "serving.knative.dev/v1/namespaces/web/services/fe",
            "/apis/serving.knative.dev/v1/namespaces/web/services/fe",
            ["update", "serving.knative.dev", "web", "services", "fe", ""],
        );
    }

    #[test]
    fn the_method_settles_what_a_namespace_path_means() {
        check(
            "io.k8s.core.v1.namespaces.status.patch",
            "core/v1/namespaces/web/status",
            "/api/v1/namespaces/web/status",
            ["patch", "", "web", "namespaces", "web", "status"],
        );
        check(
            "io.k8s.core.v1.pods.list",
            "core/v1/namespaces/web/pods",
            "/api/v1/namespaces/web/pods",
            ["list", "", "web", "pods", "", ""],
        );
        check(
            "io.k8s.core.v1.namespaces.delete",
            "core/v1/namespaces/web",
            "/api/v1/namespaces/web",
            ["delete", "", "web", "namespaces", "web", ""],
        );
    }

    #[test]
    fn without_a_path_the_method_tells_what_it_can() {
        check(
            "io.k8s.batch.v1.cronjobs.create",
            "",
            "/apis/batch/v1/cronjobs",
            ["create", "batch", "", "cronjobs", "", ""],
        );
        check(
            "io.k8s.core.v1.pods.create",
            "",
            "/api/v1/pods",
            ["create", "", "", "pods", "", ""],
        );
        check(
            "io.k8s.app.v1alpha1.applications.get",
            "",
            "/apis/app.k8s.io/v1alpha1/applications",
            ["get", "app.k8s.io", "", "applications", "", ""],
        );
    }

    #[test]
    fn what_is_no_resource_is_a_path() {
        check(
            "io.k8s.get",
            "readyz",
            "/readyz",
            ["get", "", "", "", "", ""],
        );
        check("io.k8s.readyz", "", "/readyz", ["", "", "", "", "", ""]);
        check(
            "io.k8s.get",
            "apis/apps/v1",
            "/apis/apps/v1",
            ["get", "", "", "", "", ""],
        );
        check("", "", "", ["", "", "", "", "", ""]);
        check("...", "////", "", ["", "", "", "", "", ""]);
    }
}
