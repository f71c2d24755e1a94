//! The recorded acts through the whole pipeline with the bundled rules: each is found once, with the right actor, object
//! and outcome; what else fires is true; what is ordinary stays quiet; and nothing depends on the order of the input.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Scenario, catalog, outcome, replay, scenario, scenarios};
use detections::sigma::ast::Level;
use pipeline::alert::Alert;

/// For each act and each rule that must find it: the requests, those by which controllers carried
/// them out, and the object. Actor and outcome are in the index of the scenarios.
const FOUND: &str = "\
anonymous_allowed        | anonymous_request_allowed                   |   1 |  0 | configmaps in default
anonymous_denied_probe   | unauthenticated_scan                        |   9 |  0 | namespaces
anonymous_lists_pods     | anonymous_request_allowed                   |   1 |  0 | pods
attach_and_portforward   | pod_exec_or_attach                          |   1 |  0 | deployments web/app-00
attach_and_portforward   | port_forward                                |   1 |  0 | deployments web/app-00
attack_story             | pod_exec_or_attach                          |   1 |  0 | pods web/fe-debug
attack_story             | privileged_container                        |   1 |  0 | pods web/fe-debug
attack_story             | self_permission_review_by_workload_identity |   1 |  0 | selfsubjectrulesreviews
attack_story             | sensitive_hostpath                          |   1 |  0 | pods web/fe-debug
bad_token_401            | authentication_failures                     |   6 |  0 | secrets
binding_to_anonymous     | binding_to_anonymous_or_all_authenticated   |   1 |  0 | clusterrolebindings public
cluster_admin_binding    | cluster_admin_binding                       |   1 |  0 | clusterrolebindings svc-sync
configmap_credentials    | configmap_with_credentials                  |   1 |  0 | configmaps web/app-env
coredns_config           | coredns_config_modified                     |   1 |  0 | configmaps kube-system/coredns
cryptominer              | cryptomining_workload                       |   1 |  2 | deployments web/web-cache
csr_approved             | csr_client_auth_requested                   |   1 |  0 | certificatesigningrequests ops-admin
csr_approved             | csr_manually_approved                       |   1 |  0 | certificatesigningrequests ops-admin
csr_approved             | csr_self_approved                           |   2 |  0 | certificatesigningrequests ops-admin
csr_masters_refused      | csr_for_privileged_identity                 |   1 |  0 | certificatesigningrequests backdoor
dangerous_capabilities   | dangerous_capabilities                      |   1 |  0 | pods web/caps
dashboard_loadbalancer   | exposed_kubernetes_dashboard                |   1 |  0 | services kubernetes-dashboard/kubernetes-dashboard
dashboard_patch_nodeport | exposed_kubernetes_dashboard                |   1 |  0 | services kubernetes-dashboard/kubernetes-dashboard-web
denied_burst             | user_denied_many_resources                  |  12 |  0 | configmaps
ephemeral_container      | ephemeral_container_added                   |   1 |  0 | deployments web/app-00
events_deleted           | events_deleted                              | 203 |  0 | events in web
exec_interactive_shell   | pod_exec_or_attach                          |   1 |  0 | deployments web/app-00
exec_into_pod            | pod_exec_or_attach                          |   1 |  0 | deployments web/app-00
exec_token_theft         | exec_serviceaccount_token_theft             |   1 |  0 | deployments web/app-00
exec_token_theft         | pod_exec_or_attach                          |   1 |  0 | deployments web/app-00
host_namespaces          | pod_host_ipc                                |   1 |  0 | pods web/hostns
host_namespaces          | pod_host_network                            |   1 |  0 | pods web/hostns
host_namespaces          | pod_host_pid                                |   1 |  0 | pods web/hostns
hostpath_docker_sock     | sensitive_hostpath                          |   1 | 20 | daemonsets web/sock
hostpath_root            | sensitive_hostpath                          |   1 |  0 | pods web/rootfs
impersonate_masters      | impersonate_privileged_identity             |   1 |  0 | secrets in kube-system
impersonation_denied     | impersonation_denied                        |   5 |  0 | /api
kube_system_pod          | pod_in_system_namespace                     |   1 |  0 | pods kube-system/node-agent
kubeflow_exposed         | exposed_kubeflow_dashboard                  |   1 |  0 | services kubeflow/centraldashboard
lookalike_system_pod     | pod_name_masquerading                       |   1 |  0 | pods kube-system/kube-proxy-bv61v
mass_delete              | mass_deletion                               |  12 |  0 | deployments victim2/d10
mutating_webhook         | admission_webhook_written                   |   1 |  0 | mutatingwebhookconfigurations inject
node_debug_pod           | node_debug_pod                              |   1 |  0 | pods default/node-debugger-node-01-wbtts
node_debug_pod           | sensitive_hostpath                          |   1 |  0 | pods default/node-debugger-node-01-wbtts
nodes_proxy              | node_proxy_command_endpoint                 |   1 |  0 | pods web/x
permission_enumeration   | self_permission_review_by_workload_identity |   4 |  0 | selfsubjectrulesreviews
privileged_deployment    | privileged_container                        |   1 |  2 | deployments web/sysctl-tuner
privileged_pod           | privileged_container                        |   1 |  0 | pods web/toolbox
rbac_escalation_denied   | rbac_escalation_denied                      |   2 |  0 | roles web/own
recon_tool_ua            | attack_tool_user_agent                      |   1 |  0 | pods in default
role_escalation_verbs    | role_with_escalate_bind_impersonate         |   1 |  0 | clusterroles manager-x
role_exec_privileges     | role_with_pod_exec                          |   1 |  0 | roles web/ops
role_secrets_read        | role_reads_secrets                          |   1 |  0 | clusterroles cfg-reader
sa_token_request         | serviceaccount_token_requested              |   1 |  0 | serviceaccounts kube-system/clusterrole-aggregation-controller
secrets_enumeration      | secrets_list_cluster_wide                   |   1 |  0 | secrets
system_role_modified     | system_role_modified_or_deleted             |   1 |  0 | clusterroles system:node-proxier
wildcard_cluster_role    | wildcard_role_created                       |   1 |  0 | clusterroles helper
";

/// What fires besides, and why it is true.
const ALSO: [(&str, &str, &str); 7] = [
    (
        "anonymous_denied_probe",
        "secrets_list_cluster_wide",
        "one of the nine probes lists the secrets of all namespaces; it says denied",
    ),
    (
        "attack_story",
        "secrets_list_cluster_wide",
        "the stolen token first tries the secrets of all namespaces; it says denied",
    ),
    (
        "attack_story",
        "self_review_then_exec",
        "the stolen token lists its own rights, and opens a shell two seconds later",
    ),
    (
        "attack_story",
        "several_tactics_by_one_actor",
        "rights asked for, secrets read, a privileged pod and a shell in it: four steps of six",
    ),
    (
        "denied_burst",
        "secrets_list_cluster_wide",
        "one of the fourteen refusals is a list of the secrets of all namespaces",
    ),
    (
        "ok_dry_run",
        "privileged_container",
        "the container is privileged; it says dry run, and is low for that",
    ),
    (
        "ok_platform_addons",
        "pod_host_network",
        "the exporter does use the host's network; medium is what the index allows",
    ),
];

/// A line of [`FOUND`].
struct Row {
    act: &'static str,
    rule: &'static str,
    count: u64,
    follow_ups: u64,
    object: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    FOUND.lines().map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [act, rule, count, follow_ups, object] = columns[..] else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse().unwrap();
        Row {
            act,
            rule,
            count: number(count),
            follow_ups: number(follow_ups),
            object,
        }
    })
}

fn bundled() -> BTreeSet<&'static str> {
    catalog()
        .infos
        .iter()
        .map(|info| info.name.as_str())
        .collect()
}

fn alerts(scenario: &Scenario) -> Vec<Alert> {
    replay(&[&scenario.log]).alerts
}

/// Collects what is wrong with each act, so that one run shows all.
#[track_caller]
fn check(judge: impl Fn(&Scenario) -> Vec<String>) {
    let faults: Vec<String> = scenarios()
        .iter()
        .flat_map(|scenario| {
            judge(scenario)
                .into_iter()
                .map(|fault| format!("{}: {fault}", scenario.name))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Actor, outcome, object, requests, follow-ups.
type Facts = (String, String, String, u64, u64);

fn facts(alert: &Alert) -> Facts {
    let (actor, outcome) = (alert.actor.name.clone(), outcome(alert).to_owned());
    (
        actor,
        outcome,
        alert.root.display(),
        alert.count,
        alert.follow_ups,
    )
}

fn expected_facts(scenario: &Scenario, rule: &str) -> Option<Facts> {
    let row = rows().find(|row| row.act == scenario.name && row.rule == rule)?;
    // No user at all is nobody, like the one that the API server calls so.
    let actor = match scenario.actor.as_str() {
        "unauthenticated" => "system:anonymous".to_owned(),
        actor => actor.to_owned(),
    };
    let outcome = scenario.outcome.clone();
    Some((
        actor,
        outcome,
        row.object.to_owned(),
        row.count,
        row.follow_ups,
    ))
}

#[test]
fn every_act_is_found_once_with_its_actor_object_and_outcome() {
    let bundled = bundled();
    check(|scenario| {
        let alerts = alerts(scenario);
        let mut faults = Vec::new();
        for rule in scenario
            .expected
            .iter()
            .filter(|rule| bundled.contains(rule.as_str()))
        {
            let expected = expected_facts(scenario, rule);
            let of_rule = alerts.iter().filter(|alert| alert.rule.name == *rule);
            let found: Vec<Facts> = of_rule.map(facts).collect();
            if found.iter().map(Some).ne([expected.as_ref()]) {
                faults.push(format!("{rule}: expected {expected:?}, found {found:?}"));
            }
        }
        faults
    });
}

#[test]
fn every_row_of_the_table_is_expected_by_the_index() {
    for row in rows() {
        assert!(
            scenario(row.act).expected.contains(row.rule),
            "{} {}",
            row.act,
            row.rule
        );
    }
}

#[test]
fn what_else_fires_is_true() {
    check(|scenario| {
        let argued: BTreeSet<&str> = ALSO
            .iter()
            .filter(|row| row.0 == scenario.name)
            .map(|row| row.1)
            .collect();
        let alerts = alerts(scenario);
        let fired = alerts.iter().map(|alert| alert.rule.name.as_str());
        let known =
            |rule: &&str| scenario.expected.contains(*rule) || scenario.also_true.contains(*rule);
        let others: BTreeSet<&str> = fired.filter(|rule| !known(rule)).collect();
        let unargued = others
            .difference(&argued)
            .map(|rule| format!("{rule} fires, and nothing says why it is true"));
        let stale = argued
            .difference(&others)
            .map(|rule| format!("{rule} is argued to fire, and does not"));
        unargued.chain(stale).collect()
    });
}

#[test]
fn what_is_ordinary_stays_below_its_level() {
    let ordinary = scenarios()
        .iter()
        .filter(|scenario| scenario.expected.is_empty())
        .count();
    assert_eq!(ordinary, 10);
    check(|scenario| {
        let alerts = if scenario.expected.is_empty() {
            alerts(scenario)
        } else {
            Vec::new()
        };
        let loud = alerts
            .iter()
            .filter(|alert| alert.severity.level > scenario.level_max);
        loud.map(|alert| format!("{} is {}", alert.rule.name, alert.severity.level))
            .collect()
    });
}

/// The audit policy logs secrets without their bodies, so the type of a secret is not in the log.
#[test]
fn a_rule_that_the_log_keeps_from_seeing_is_counted_as_blind() {
    let report = replay(&[&scenario("long_lived_sa_secret").log]);
    assert!(report.alerts.is_empty());
    let blind = report
        .account
        .blind
        .keys()
        .map(|(rule, _)| catalog().infos[*rule].name.as_str());
    assert!(
        blind
            .collect::<Vec<_>>()
            .contains(&"long_lived_token_secret")
    );
}

#[test]
fn a_daemon_set_of_twenty_pods_is_one_finding() {
    let alerts = alerts(scenario("hostpath_docker_sock"));
    let [alert] = alerts.as_slice() else {
        panic!("{} alerts", alerts.len())
    };
    assert_eq!(
        (alert.count, alert.follow_ups, alert.object_count),
        (1, 20, 1)
    );
    assert_eq!(alert.object.display(), "daemonsets web/sock");
    assert_eq!(alert.actor.name, "alice@example.com");
}

/// What must not depend on how the input came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    rule: String,
    count: u64,
    follow_ups: u64,
    first_us: Option<i64>,
    last_us: Option<i64>,
    level: Level,
    outcome: String,
    did: String,
    /// Of the event that stands for the act.
    sha256: String,
}

fn told(alerts: &[Alert]) -> BTreeMap<String, Told> {
    let of = |alert: &Alert| Told {
        rule: alert.rule.name.clone(),
        count: alert.count,
        follow_ups: alert.follow_ups,
        first_us: alert.first_us,
        last_us: alert.last_us,
        level: alert.severity.level,
        outcome: outcome(alert).to_owned(),
        did: alert.did.clone(),
        sha256: alert.raw.sha256.clone(),
    };
    let told: BTreeMap<_, _> = alerts
        .iter()
        .map(|alert| (alert.uid.clone(), of(alert)))
        .collect();
    assert_eq!(told.len(), alerts.len(), "an id twice");
    told
}

#[track_caller]
fn check_order(inputs: &[&[u8]]) {
    let logs: Vec<&[u8]> = scenarios()
        .iter()
        .map(|scenario| scenario.log.as_slice())
        .collect();
    let expected = told(&replay(&logs).alerts);
    assert!(expected.len() > 50);
    let found = told(&replay(inputs).alerts);
    for (uid, one) in &expected {
        assert_eq!(found.get(uid), Some(one), "{uid}");
    }
    assert_eq!(found.len(), expected.len());
}

fn lines() -> Vec<&'static [u8]> {
    scenarios()
        .iter()
        .flat_map(|scenario| scenario.log.split_inclusive(|byte| *byte == b'\n'))
        .collect()
}

/// An order that has nothing to do with the one in the files, and is the same in each run.
fn scattered<T: Copy>(items: &[T]) -> Vec<T> {
    // The multiplier is prime and larger than any of our lists, so each place is taken once.
    const PRIME: usize = 7_919;
    assert!(items.len() < PRIME);
    (0..items.len())
        .map(|place| items[place * PRIME % items.len()])
        .collect()
}

#[test]
fn findings_do_not_depend_on_the_order_of_files() {
    let mut logs: Vec<&[u8]> = scenarios()
        .iter()
        .map(|scenario| scenario.log.as_slice())
        .collect();
    check_order(&logs);
    check_order(&scattered(&logs));
    logs.reverse();
    check_order(&logs);
}

#[test]
fn findings_do_not_depend_on_how_events_are_spread_over_files() {
    let mut lines = lines();
    let time = |line: &[u8]| {
        serde_json::from_slice::<serde_json::Value>(line).unwrap()["stageTimestamp"].to_string()
    };
    lines.sort_by_key(|line| time(line));
    check_order(&[&lines.concat()]);
    let (even, odd): (Vec<_>, Vec<_>) = lines
        .iter()
        .enumerate()
        .partition(|(number, _)| number % 2 == 0);
    let concat = |part: Vec<(usize, &&[u8])>| {
        part.into_iter()
            .map(|(_, line)| *line)
            .collect::<Vec<_>>()
            .concat()
    };
    check_order(&[&concat(odd), &concat(even)]);
}

#[test]
fn findings_do_not_depend_on_the_order_of_events() {
    let mut lines = lines();
    check_order(&[&scattered(&lines).concat()]);
    lines.reverse();
    check_order(&[&lines.concat()]);
}

#[test]
fn events_that_come_twice_are_counted_once() {
    let log = lines().concat();
    check_order(&[&log, &log]);
    let account = replay(&[&log, &log]).account;
    assert_eq!(account.repeated, account.evaluated);
}

/// Runs over single files find the same acts; an act that goes over two files is found in both, under one id.
#[test]
fn files_replayed_one_by_one_add_up() {
    let logs: Vec<&[u8]> = scenarios()
        .iter()
        .map(|scenario| scenario.log.as_slice())
        .collect();
    let mut together = told(&replay(&logs).alerts);
    // Windows see more over several files.
    let of_one_event = |told: &Told| {
        let mut rules = catalog().set.rules().iter();
        rules.any(|rule| rule.header.name == told.rule)
    };
    together.retain(|_, told| of_one_event(told));
    let mut apart: BTreeMap<String, Told> = BTreeMap::new();
    let each = logs.iter().flat_map(|log| told(&replay(&[log]).alerts));
    for (uid, one) in each.filter(|(_, told)| of_one_event(told)) {
        let Some(sum) = apart.get_mut(&uid) else {
            apart.insert(uid, one);
            continue;
        };
        let (first, last) = if sum.first_us <= one.first_us {
            (sum.clone(), one)
        } else {
            (one, sum.clone())
        };
        let (count, follow_ups) = (first.count + last.count, first.follow_ups + last.follow_ups);
        *sum = Told {
            count,
            follow_ups,
            last_us: first.last_us.max(last.last_us),
            ..first
        };
    }
    assert_eq!(apart, together);
}
