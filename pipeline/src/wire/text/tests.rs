use super::*;
use crate::alert::{Identity, Source};
use crate::wire::fixture;

#[track_caller]
fn check(alert: &Alert, style: &Style, expected: &str) {
    let shown = render(alert, style);
    assert_eq!(shown, expected.trim_matches('\n'), "\n{shown}\n");
}

#[test]
fn an_exec() {
    let expected = "
CRITICAL  Exec into a pod that mounts the host  SUCCEEDED  2026-11-20 22:41:51Z  ×1  in prod
  who     system:serviceaccount:web:frontend (credential 5439a0c1…, not bound to a pod)
  from    198.51.100.23 (public) behind trusted proxy 127.0.0.1, with kubectl/v1.34.4 (linux/amd64)
          kubernetes/1d3f2ab
  did     ran `chroot /h sh` in web/fe-debug [t]
  power   RoleBinding web/fe-admin → ClusterRole admin, for ServiceAccount frontend/web
  score   impact 3 + outcome 0 + actor 1 → critical (actor +1: a workload's account used with
          kubectl from a public address) · confidence high
  facts   host paths /etc/kubernetes
  why     Whoever runs commands here can write to the node, and with it reach every pod on it.
  do      1. delete the binding
          2. recreate the account's tokens
  T1609 Container Administration Command · T1611 Escape to Host ·
  tidewatch rules explain exec_host_escape
";
    check(&fixture::exec(), &Style::default(), expected);
}

#[test]
fn a_denied_impersonation_of_the_same_day() {
    let expected = "
MEDIUM  Exec into a pod that mounts the host  DENIED by admission  22:41:51Z  ×4 until 22:46:07Z
          in prod
  who     alice@example.com (groups developers)
  as      root (in system:masters, allowed everything)
  from    203.0.113.66 (public), on behalf of 10.0.0.1, as claimed
  did     ran `chroot /h sh` in web/fe-debug [t]
  answer  admission webhook \"policy\" denied the request
  power   RoleBinding web/fe-admin → ClusterRole admin, for ServiceAccount frontend/web
  score   impact 3 + outcome −1 + actor 0 → medium · confidence high
  facts   host paths /etc/kubernetes
  why     Whoever runs commands here can write to the node, and with it reach every pod on it.
  do      1. delete the binding
          2. recreate the account's tokens
  T1609 Container Administration Command · T1611 Escape to Host ·
  tidewatch rules explain exec_host_escape
";
    check(
        &fixture::impersonated(),
        &Style {
            date: false,
            ..Style::default()
        },
        expected,
    );
}

#[test]
fn nobody_at_an_unknown_time() {
    let expected = "
CRITICAL  Exec into a pod that mounts the host  OUTCOME UNKNOWN  time unknown  ×1
  who     system:anonymous (nobody authenticated)
  did     listed secrets
  score   impact 3 + outcome 0 + actor 1 → critical (actor +1: a workload's account used with
          kubectl from a public address) · confidence low
  matched exec.line = chroot /h sh
  unseen  responseObject: unavailable in this event
  why     Whoever runs commands here can write to the node, and with it reach every pod on it.
  do      1. delete the binding
          2. recreate the account's tokens
  T1609 Container Administration Command · T1611 Escape to Host ·
  tidewatch rules explain exec_host_escape
";
    check(
        &fixture::anonymous_without_time(),
        &Style::default(),
        expected,
    );
}

#[test]
fn everything_on_a_narrow_terminal() {
    let expected = "
CRITICAL  Exec into a pod that mounts the host  SUCCEEDED
          2026-11-20 22:41:51Z  ×204  in prod
  who     bob@example.com (groups not logged)
  from    198.51.100.23 (public) behind trusted proxy
          127.0.0.1, with kubectl/v1.34.4 (linux/amd64)
          kubernetes/1d3f2ab
  did     deleted pods web/api-0, and 203 other objects;
          owned by deployment web/api; controllers carried
          it out in 7 requests
  power   the cloud's IAM
  score   impact 3 + outcome 0 + actor 1 → critical (actor
          +1: a workload's account used with kubectl from a
          public address) · confidence medium
  facts   host paths /etc/kubernetes
  matched exec.line = chroot /h sh, by `exec.line|contains:
          'chroot '`
  unseen  the record was cut by its source
  why     Whoever runs commands here can write to the node,
          and with it reach every pod on it.
  do      1. delete the binding
          2. recreate the account's tokens
  benign  node maintenance by the platform team
  silence title: Expected, because …
          filter:
            rules: [exec_host_escape]
  links   https://attack.mitre.org/techniques/T1611/
  record  audit.ndjson.zst at byte 4711, finding
          00112233445566778899aabbccddeeff
  T1609 Container Administration Command ·
  T1611 Escape to Host ·
  tidewatch rules explain exec_host_escape
";
    check(
        &fixture::gke_with_many_objects(),
        &Style {
            width: 60,
            verbose: true,
            ..Style::default()
        },
        expected,
    );
}

#[test]
fn one_line_for_columns() {
    let expected = "2026-11-20 22:41:51Z  critical       exec_host_escape  SUCCEEDED  ×1  \
                    system:serviceaccount:web:frontend: ran `chroot /h sh` in web/fe-debug [t]  \
                    from 198.51.100.23  in prod";
    assert_eq!(render_line(&fixture::exec()), expected);
}

#[test]
fn lines_that_say_nothing_are_left_out() {
    let mut alert = fixture::anonymous_without_time();
    let mut rule = (*alert.rule).clone();
    (rule.why, rule.response, rule.techniques) = (String::new(), Vec::new(), Vec::new());
    (alert.rule, alert.evidence, alert.unseen) = (rule.into(), Vec::new(), Vec::new());
    let labels: Vec<_> = render(&alert, &Style::default())
        .lines()
        .map(|line| line[..10].trim().to_owned())
        .collect();
    assert_eq!(labels, ["CRITICAL", "who", "did", "score", "", "tidewatc"]);
}

#[test]
fn what_an_attacker_wrote_is_shown_and_not_obeyed() {
    let mut alert = fixture::exec();
    alert.did =
        "ran `\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\r\nCRITICAL  forged line` in web/x".to_owned();
    alert.actor.name = "admin\u{200b}\n  who     root".to_owned();
    for style in [
        Style::default(),
        Style {
            verbose: true,
            ..Style::default()
        },
    ] {
        let shown = render(&alert, &style);
        assert!(
            shown.contains(r"\x1b]0;x\x07\u{9b}2J\u{202e}\r\nCRITICAL"),
            "{shown}"
        );
        assert!(shown.contains(r"admin\u{200b}\n  who     root"), "{shown}");
        assert!(
            !shown
                .chars()
                .any(|character| character != '\n' && is_deceptive(character))
        );
        assert_eq!(
            shown
                .lines()
                .filter(|line| line.starts_with("CRITICAL"))
                .count(),
            1
        );
    }
    assert!(!render_line(&alert).chars().any(is_deceptive));
}

#[test]
fn colour_only_if_asked_for_and_closed_within_its_line() {
    let plain = render(&fixture::exec(), &Style::default());
    assert!(!plain.contains('\u{1b}'));
    let coloured = render(
        &fixture::exec(),
        &Style {
            colour: true,
            ..Style::default()
        },
    );
    let mut bare = coloured.clone();
    while let Some(start) = bare.find('\u{1b}') {
        let end = bare[start..].find('m').unwrap() + start;
        bare.replace_range(start..=end, "");
    }
    assert_eq!(bare, plain);
    for line in coloured.lines().filter(|line| line.contains('\u{1b}')) {
        assert!(line.rfind("\u{1b}[0m") == line.rfind('\u{1b}'), "{line:?}");
    }
}

#[test]
fn lines_fit_and_long_words_stay_whole() {
    let mut alert = fixture::exec();
    alert.did = format!("ran `{}` in web/x", "a".repeat(130));
    for line in render(
        &alert,
        &Style {
            width: 72,
            ..Style::default()
        },
    )
    .lines()
    {
        assert!(
            line.chars().count() <= 72 || line.contains(&"a".repeat(130)),
            "{line}"
        );
    }
    alert.did = "word ".repeat(10_000);
    assert!(render(&alert, &Style::default()).contains('…'));
}

#[track_caller]
fn check_origin(peer: &str, client: &str, claimed: &[&str], expected: &str) {
    let source = Source {
        peer: Some(peer.to_owned()),
        client: Some(client.to_owned()),
        claimed: claimed.iter().map(|&address| address.to_owned()).collect(),
        kind: Some("link_local".to_owned()),
        user_agent: None,
    };
    assert_eq!(words::origin(&source), expected);
}

#[test]
fn a_claim_a_proxy_and_a_client_are_told_apart() {
    check_origin("10.0.0.9", "10.0.0.9", &[], "10.0.0.9 (link-local)");
    check_origin(
        "127.0.0.1",
        "10.0.0.9",
        &[],
        "10.0.0.9 (link-local) behind trusted proxy 127.0.0.1",
    );
    let claimed = "10.0.0.9 (link-local) behind trusted proxy 127.0.0.1, on behalf of 1.2.3.4, 5.6.7.8, as claimed";
    check_origin("127.0.0.1", "10.0.0.9", &["1.2.3.4", "5.6.7.8"], claimed);
    assert_eq!(words::origin(&Source::default()), "");
}

#[test]
fn an_account_is_described_by_what_its_name_does_not_say() {
    let node = Identity {
        name: "system:node:worker-1".to_owned(),
        kind: "node".to_owned(),
        groups: Some(vec!["system:nodes".to_owned()]),
        ..Identity::default()
    };
    assert_eq!(words::who(&node), "system:node:worker-1");
    let forged = Identity {
        forged: true,
        groups: Some(Vec::new()),
        ..node.clone()
    };
    assert_eq!(
        words::who(&forged),
        "system:node:worker-1 (FORGED: the name lacks the group that goes with it)"
    );
    let groups = (0..6).map(|number| format!("g{number}")).collect();
    let many = Identity {
        groups: Some(groups),
        pod: Some("api-0".to_owned()),
        node: Some("n1".to_owned()),
        ..node
    };
    assert_eq!(
        words::who(&many),
        "system:node:worker-1 (groups g0 g1 g2 g3 and 2 more, bound to pod api-0 on n1)"
    );
}

#[test]
fn outcomes_in_words() {
    let words = |result: &str, by: Option<&str>, code: Option<i64>, dry_run: bool| {
        let denied_by = by.map(ToOwned::to_owned);
        outcome_words(&crate::alert::Outcome {
            result: result.to_owned(),
            denied_by,
            dry_run,
            code,
            message: None,
        })
    };
    assert_eq!(words("success", None, Some(201), false), "SUCCEEDED");
    assert_eq!(words("success", None, Some(201), true), "DRY RUN");
    assert_eq!(
        words("denied", Some("admission"), Some(403), false),
        "DENIED by admission"
    );
    assert_eq!(
        words("denied", None, Some(401), true),
        "DENIED 401, DRY RUN"
    );
    assert_eq!(words("failed", None, Some(500), false), "FAILED 500");
    assert_eq!(words("failed", None, None, false), "FAILED");
    assert_eq!(words("unknown", None, None, false), "OUTCOME UNKNOWN");
}
