//! Rules and events that nobody wrote: as many rules as one likes in the shapes that real ones have, and a corpus with as
//! many different values as an attacker could send. Both are the same on every run.

use std::fmt::Write as _;

use memchr::memmem;

/// How many different users, clients and names [`many_values`] spreads over the events.
#[allow(dead_code, reason = "as below")]
const VALUES: u64 = 100_000;

const VERBS: [&str; 6] = [
    "[create]",
    "[create, update, patch]",
    "[update, patch]",
    "[delete]",
    "[get, list]",
    "[delete, deletecollection]",
];

/// Resources that rules ask about, with their groups.
const RESOURCES: [(&str, &str); 24] = [
    ("pods", "''"),
    ("secrets", "''"),
    ("configmaps", "''"),
    ("services", "''"),
    ("serviceaccounts", "''"),
    ("nodes", "''"),
    ("namespaces", "''"),
    ("events", "''"),
    ("persistentvolumes", "''"),
    ("endpoints", "''"),
    ("deployments", "apps"),
    ("daemonsets", "apps"),
    ("statefulsets", "apps"),
    ("replicasets", "apps"),
    ("jobs", "batch"),
    ("cronjobs", "batch"),
    ("roles", "rbac.authorization.k8s.io"),
    ("clusterroles", "rbac.authorization.k8s.io"),
    ("rolebindings", "rbac.authorization.k8s.io"),
    ("clusterrolebindings", "rbac.authorization.k8s.io"),
    ("certificatesigningrequests", "certificates.k8s.io"),
    (
        "validatingwebhookconfigurations",
        "admissionregistration.k8s.io",
    ),
    ("customresourcedefinitions", "apiextensions.k8s.io"),
    ("ingresses", "networking.k8s.io"),
];

const WORDS: [&str; 24] = [
    "miner", "proxy", "backdoor", "shell", "tunnel", "implant", "loader", "stealer", "scanner",
    "beacon", "dropper", "agent", "relay", "harvest", "pivot", "escape", "debug", "rootkit",
    "ransom", "wiper", "sniffer", "keylog", "worm", "bot",
];

const NAMESPACES: [&str; 6] = [
    "kube-system",
    "default",
    "payments",
    "monitoring",
    "argocd",
    "ingress-nginx",
];

/// A few numbers from a seed (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
#[derive(Clone, Copy)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A name that no event has.
    fn tool(&mut self) -> String {
        let (first, second) = (self.one_of(&WORDS), self.one_of(&WORDS));
        format!("{first}-{second}-{}", self.below(1_000))
    }
}

/// Rules by file name and text; any prefix is a fair sample of all.
#[must_use]
pub(crate) fn rules(number: usize) -> Vec<(String, String)> {
    (0..number)
        .map(|number| (format!("generated_{number}.yml"), rule(number)))
        .collect()
}

fn rule(number: usize) -> String {
    let mut random = Random(number as u64);
    let detection = match number % 20 {
        0..3 => anywhere(&mut random),
        3..7 => object(&mut random),
        7..11 => workload(&mut random),
        11..14 => request_body(&mut random),
        14..17 => by_actor(&mut random),
        _ => by_place(&mut random),
    };
    format!(
        "title: Generated rule {number}\nname: generated_{number}\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n\
        level: medium\nsigma-version: 3\nlogsource:\n  product: kubernetes\n  service: audit\ndetection:\n{detection}"
    )
}

/// Verb, resource and group, as nearly all rules begin.
fn anchor(random: &mut Random, resources: &[(&str, &str)]) -> String {
    let (resource, group) = resources[random.below(resources.len())];
    let mut text = format!(
        "  anchor:\n    verb: {}\n    objectRef.resource: {resource}\n",
        random.one_of(&VERBS)
    );
    if random.below(2) == 0 {
        let _infallible = writeln!(text, "    objectRef.apiGroup: {group}");
    }
    if random.below(3) == 0 {
        text.push_str("    objectRef.subresource: null\n");
    }
    text
}

/// What is asked of every event, whatever it does.
fn anywhere(random: &mut Random) -> String {
    match random.below(4) {
        0 => {
            let tools = [random.tool(), random.tool(), random.tool(), random.tool()].join(", ");
            format!("  client:\n    userAgent|contains: [{tools}]\n  condition: client\n")
        }
        1 => format!(
            "  user:\n    user.username|startswith: 'system:serviceaccount:{}:{}'\n  allowed:\n    \
            annotations.authorization.k8s.io/decision: allow\n  condition: user and allowed\n",
            random.one_of(&NAMESPACES),
            random.tool()
        ),
        2 => format!(
            "  source:\n    sourceIPs|cidr: 203.0.{}.0/24\n  refused:\n    responseStatus.code: [401, 403]\n  \
            condition: source and not refused\n",
            random.below(256)
        ),
        _ => format!(
            "  impersonated:\n    impersonatedUser.username|endswith: ':{}'\n  condition: impersonated\n",
            random.tool()
        ),
    }
}

/// What a write introduced into some object.
fn object(random: &mut Random) -> String {
    let anchor = anchor(random, &RESOURCES);
    let tool = random.tool();
    let field = random.one_of(&[
        "metadata.labels.app",
        "metadata.annotations.owner",
        "spec.type",
        "metadata.generateName",
        "spec.externalName",
    ]);
    format!(
        "{anchor}  content:\n    change.object.{field}|contains: {tool}\n  filter_control_plane:\n    actor.kind: control_plane\n  \
        condition: anchor and content and not filter_control_plane\n"
    )
}

/// What a container in a workload is.
fn workload(random: &mut Random) -> String {
    let anchor = anchor(
        random,
        &RESOURCES[..1]
            .iter()
            .chain(&RESOURCES[10..16])
            .copied()
            .collect::<Vec<_>>(),
    );
    let (tool, other) = (random.tool(), random.tool());
    match random.below(3) {
        0 => format!(
            "{anchor}  container:\n    change.pod.containers[any]:\n      image|contains: [{tool}, {other}]\n      \
            securityContext.privileged: true\n  condition: anchor and container\n"
        ),
        1 => format!(
            "{anchor}  selection_args:\n    change.pod.containers.args|contains: {tool}\n  selection_command:\n    \
            change.pod.containers.command|re: '(^|/){other}$'\n  condition: anchor and 1 of selection_*\n"
        ),
        _ => format!(
            "{anchor}  settings:\n    change.pod.containers.env.name: {}\n  host:\n    change.pod.hostNetwork: true\n  \
            condition: anchor and settings and host\n",
            tool.to_uppercase().replace('-', "_")
        ),
    }
}

/// What was sent, under the event's own names, as public rules have it.
fn request_body(random: &mut Random) -> String {
    let anchor = anchor(random, &RESOURCES);
    let (tool, other) = (random.tool(), random.tool());
    let field = random.one_of(&[
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "roleRef.name",
        "spec.serviceAccountName",
        "type",
    ]);
    format!(
        "{anchor}  sent:\n    requestObject.{field}: [{tool}, {other}]\n  filter_failed:\n    responseStatus.code: [404, 409]\n  \
        condition: anchor and sent and not filter_failed\n"
    )
}

/// Who did it.
fn by_actor(random: &mut Random) -> String {
    let anchor = anchor(random, &RESOURCES);
    let (tool, namespace) = (random.tool(), random.one_of(&NAMESPACES));
    match random.below(3) {
        0 => format!(
            "{anchor}  actor:\n    user.username: [{tool}@example.com, 'system:serviceaccount:{namespace}:{tool}']\n  \
            condition: anchor and actor\n"
        ),
        1 => format!(
            "{anchor}  actor:\n    user.groups: 'team:{tool}'\n  filter_namespace:\n    objectRef.namespace: {namespace}\n  \
            condition: anchor and actor and not filter_namespace\n"
        ),
        _ => format!(
            "{anchor}  actor:\n    actor.kind: service_account\n    userAgent|startswith: {tool}/\n  result:\n    \
            outcome.result: success\n  condition: anchor and actor and result\n"
        ),
    }
}

/// Where it was done.
fn by_place(random: &mut Random) -> String {
    let anchor = anchor(random, &RESOURCES);
    let (tool, namespace) = (random.tool(), random.one_of(&NAMESPACES));
    match random.below(2) {
        0 => format!(
            "{anchor}  place:\n    objectRef.namespace: {namespace}\n    objectRef.name|startswith: {tool}\n  condition: anchor and place\n"
        ),
        _ => format!(
            "{anchor}  place:\n    requestURI|re: '/{namespace}/[a-z]+/{tool}(/|$)'\n  condition: anchor and place\n"
        ),
    }
}

/// The same events, with 100,000 users, clients and names spread over them. Lines stay what they are otherwise.
#[must_use]
#[allow(dead_code, reason = "not every program needs other values")]
pub(crate) fn many_values(corpus: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut written = Vec::with_capacity(corpus.len() + corpus.len() / 100);
    for line in corpus.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = line;
        for marks in [
            [&b"\"user\":{"[..], b"\"username\":\""],
            [b"", b"\"userAgent\":\""],
            [b"\"objectRef\":{", b"\"name\":\""],
        ] {
            let number = random.next() % VALUES;
            if let Some(end) = end_of_value(rest, marks) {
                written.extend_from_slice(&rest[..end]);
                let _infallible =
                    std::io::Write::write_fmt(&mut written, format_args!("-{number}"));
                rest = &rest[end..];
            }
        }
        written.extend_from_slice(rest);
    }
    written
}

/// Where the string behind the marks ends, before its quote; the API server writes these fields before the bodies, in this
/// order. Not within the bodies.
#[allow(dead_code, reason = "as above")]
fn end_of_value(line: &[u8], marks: [&[u8]; 2]) -> Option<usize> {
    let bodies = memmem::find(line, b"\"requestObject\":").unwrap_or(line.len());
    let head = &line[..bodies];
    let mut at = 0;
    for mark in marks {
        at += memmem::find(&head[at..], mark)? + mark.len();
    }
    let length = memchr::memchr2(b'"', b'\\', &head[at..])?;
    (head[at + length] == b'"').then_some(at + length)
}
