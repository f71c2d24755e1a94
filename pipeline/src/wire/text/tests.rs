use super::*;
use crate::wire::fixture;

#[track_caller]
fn check(alert: &Alert, style: &Style, expected: &str) {
    let shown = render(alert, style);
    assert_eq!(shown, expected.trim_matches('\n'), "\n{shown}\n");
}

#[test]
fn an_exec() {
    check(&fixture::exec(), &Style::default(), "");
}

#[test]
fn an_impersonation() {
    check(&fixture::impersonated(), &Style { date: false, ..Style::default() }, "");
}

#[test]
fn anonymous_without_time() {
    check(&fixture::anonymous_without_time(), &Style::default(), "");
}

#[test]
fn many_objects_on_a_narrow_terminal() {
    check(&fixture::gke_with_many_objects(), &Style { width: 60, verbose: true, ..Style::default() }, "");
}

#[test]
fn one_line() {
    assert_eq!(render_line(&fixture::exec()), "");
}
