#!/usr/bin/env python3
"""Makes the demo beside this file out of recorded traffic.

    python3 replay/demo/make.py SCENARIOS BENIGN

SCENARIOS is the folder with the recorded acts (`*.ndjson`), BENIGN the recorded ordinary traffic
(`.ndjson`, or `.ndjson.zst`). Needs `zstd` on the path. The same input gives the same files.
"""

import datetime
import gzip
import itertools
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# A stretch in the middle: the start of the recording sets the cluster up, which is not ordinary.
ORDINARY_FROM, ORDINARY_COUNT = 30_000, 10_000

# Acts that are also shown as each cloud would hand them out, as if other clusters had seen them.
AKS = ["attack_story", "hostpath_docker_sock"]
EKS = ["impersonate_masters", "secrets_enumeration", "exec_token_theft"]
GKE = ["anonymous_lists_pods", "cluster_admin_binding", "kubeflow_exposed", "privileged_pod"]

AKS_CLUSTER = (
    "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/SHOP"
    "/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/SHOP-AKS"
)
EKS_GROUP = "/aws/eks/shop-eks/cluster"
GKE_PROJECT, GKE_CLUSTER = "example-project", "shop-gke"


def main(scenarios, benign):
    write_zstd("ordinary.ndjson.zst", ordinary(benign))
    write_zstd("acts.ndjson.zst", by_time(sorted(scenarios.glob("*.ndjson"))))
    lines = lambda names: by_time(scenarios / f"{name}.ndjson" for name in names)
    write_gzip("aks-eventhub.json.gz", [{"records": [aks_record(line) for line in lines(AKS)]}])
    # One delivery per act, each a JSON object, with nothing between them, as Firehose writes them.
    write_gzip("eks-cloudwatch.json.gz", [eks_record(lines([name])) for name in EKS])
    write_gzip("gke-audit.json.gz", [[gke_entry(json.loads(line)) for line in lines(GKE)]])


def ordinary(path):
    """The chosen stretch of ordinary traffic."""
    if path.suffix == ".zst":
        stream = subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE).stdout
    else:
        stream = path.open("rb")
    lines = list(itertools.islice(stream, ORDINARY_FROM, ORDINARY_FROM + ORDINARY_COUNT))
    if len(lines) < ORDINARY_COUNT:
        sys.exit(f"{path} holds fewer than {ORDINARY_FROM + ORDINARY_COUNT} events")
    return [line.decode().rstrip("\n") for line in lines]


def by_time(paths):
    """The events of some acts as one API server would have written them."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: json.loads(line)["stageTimestamp"])


def aks_record(line):
    """A diagnostic record as it comes out of Event Hubs."""
    return {
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "category": "kube-audit",
        "ccpNamespace": "000000000000000000000000",
        "resourceId": AKS_CLUSTER,
        "properties": {"log": line + "\n", "stream": "stdout", "pod": "kube-apiserver-6c8d9f7b5-x2k4q"},
        "time": json.loads(line)["stageTimestamp"].replace("Z", "0Z"),
        "Cloud": "AzureCloud",
        "Environment": "prod",
    }


def eks_record(lines):
    """What CloudWatch Logs hands to a subscription."""
    events = [
        {"id": f"{index:056d}", "timestamp": milliseconds(line), "message": line}
        for index, line in enumerate(lines)
    ]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": EKS_GROUP,
        "logStream": "kube-apiserver-audit-0123456789abcdef0123456789abcdef",
        "subscriptionFilters": ["audit"],
        "logEvents": events,
    }


def milliseconds(line):
    stamp = json.loads(line)["stageTimestamp"].replace("Z", "+00:00")
    return int(datetime.datetime.fromisoformat(stamp).timestamp() * 1000)


def gke_entry(event):
    """A Cloud Audit LogEntry: groups, the query and the other stages are lost in it, as they are in GKE."""
    reference = event.get("objectRef")
    path, method = (gke_names(reference, event["verb"]) if reference
                    else (event["requestURI"].split("?")[0].lstrip("/"), f"io.k8s.{event['verb']}"))
    labels = event.get("annotations", {})
    granted = labels.get("authorization.k8s.io/decision") == "allow"
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": event["user"]["username"]},
        "authorizationInfo": [{"granted": granted, "permission": method, "resource": path}],
        "methodName": method,
        "requestMetadata": {
            "callerIp": event["sourceIPs"][0],
            "callerSuppliedUserAgent": event["userAgent"],
        },
        "resourceName": path,
        "serviceName": "k8s.io",
        "status": gke_status(event["responseStatus"]),
    }
    for ours, theirs in [("request", "requestObject"), ("response", "responseObject")]:
        if theirs in event:
            payload[ours] = {"@type": type_of(event[theirs]), **event[theirs]}
    log = "data_access" if event["verb"] in ("get", "list", "watch") else "activity"
    return {
        "insertId": event["auditID"],
        "labels": labels,
        "logName": f"projects/{GKE_PROJECT}/logs/cloudaudit.googleapis.com%2F{log}",
        "operation": {"first": True, "id": event["auditID"], "last": True, "producer": "k8s.io"},
        "protoPayload": payload,
        "receiveTimestamp": event["stageTimestamp"],
        "resource": {
            "labels": {"cluster_name": GKE_CLUSTER, "location": "europe-west1", "project_id": GKE_PROJECT},
            "type": "k8s_cluster",
        },
        "severity": "NOTICE",
        "timestamp": event["stageTimestamp"],
    }


def gke_names(reference, verb):
    """`core/v1/namespaces/web/pods/fe` and `io.k8s.core.v1.pods.create`."""
    group, version = reference.get("apiGroup", ""), reference["apiVersion"]
    place = ["namespaces", reference["namespace"]] if "namespace" in reference else []
    parts = [reference["resource"], reference.get("name"), reference.get("subresource")]
    path = [group or "core", version, *place, *filter(None, parts)]
    # `rbac.authorization.k8s.io` is `io.k8s.authorization.rbac`; `apps` is `io.k8s.apps`.
    domain = (group or "core").removesuffix(".k8s.io").split(".")
    sub = [reference["subresource"]] if "subresource" in reference else []
    method = ["io", "k8s", *reversed(domain), version, reference["resource"], *sub, verb]
    return "/".join(path), ".".join(method)


def gke_status(status):
    codes = {401: 16, 403: 7, 404: 5, 409: 6}
    if status["code"] < 400:
        return {}
    return {"code": codes.get(status["code"], 2), "message": status.get("message", "")}


def type_of(body):
    group, _, version = body.get("apiVersion", "v1").rpartition("/")
    group = group or "core"
    domain = group if "." in group else f"{group}.k8s.io"
    return f"{domain}/{version}.{body.get('kind', 'Unknown')}"


def write_zstd(name, lines):
    text = "".join(line + "\n" for line in lines)
    arguments = ["zstd", "-19", "-q", "-f", "--single-thread", "-o", HERE / name]
    subprocess.run(arguments, input=text.encode(), check=True)


def write_gzip(name, documents):
    text = "".join(json.dumps(document, separators=(",", ":"), ensure_ascii=False) for document in documents)
    # No time and no name in the header, so that the same input gives the same bytes.
    (HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
