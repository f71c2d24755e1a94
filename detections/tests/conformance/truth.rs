//! Three truth values: what an event cannot show is neither there nor absent.

use detections::event::{Envelope, Origin};

use crate::{check, check_from};

claims! {
    what_the_level_cannot_show_is_unknown: r#"
        {"level":"Metadata"}
            requestObject.a: x => unknown
            requestObject.a: null => unknown
            requestObject.a|exists: false => unknown
        responseObject.a: x => {"level":"Request","requestObject":{}} => unknown
        requestObject.a: x
            {"level":"Request"} => no
            {"level":"Metadata","requestObject":null} => unknown
            {"level":"Metadata","requestObject":{"a":"x"}} => yes
            {"stage":"RequestReceived"} => unknown
        responseStatus.code: 200
            {"stage":"RequestReceived"} => unknown
            {"stage":"ResponseComplete"} => no
    "#;

    not_unknown_does_not_fire: r#"
        {selection: {verb: create}, filter: {requestObject.a: x}, condition: selection and not filter}
            {"level":"Metadata","verb":"create"} => unknown
            {"level":"Metadata","verb":"get"} => no
            {"level":"Request","verb":"create"} => yes
    "#;

    truncated_events_hide_their_bodies: r#"
        {"annotations":{"audit.k8s.io/truncated":"true"},"verb":"create"}
            requestObject.a: x => unknown
            event.truncated: true => yes
            annotations.audit.k8s.io/truncated: true => yes
    "#;

    the_logic_is_kleenes: r#"
        {"level":"Metadata","verb":"get"}
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: blind and holds} => unknown
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: blind and fails} => no
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: blind or holds} => yes
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: blind or fails} => unknown
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: not blind} => unknown
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: not (blind and fails)} => yes
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: not blind or holds} => yes
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: 1 of them} => yes
            {holds: {verb: get}, fails: {verb: list}, blind: {requestObject.a: x}, condition: all of them} => no
    "#;

    a_broken_body_makes_body_fields_unavailable: r#"
        {"verb":"create","requestObject":{"a":tru},"responseObject":{"a":"x"}}
            requestObject.a: x => unknown
            responseObject.a: x => yes
            verb: create => yes
    "#;

    values_that_only_a_parser_refuses_are_broken_too: r#"
        user.username: a
            {"verb":"get","user":{"username":"\ud800"}} => unknown
            {"verb":"get","user":{"username":1e999}} => unknown
            {"verb":"get","user":{"username":"a" "b"}} => unknown
        verb: get => {"verb":"get","user":{"username":"\ud800"}} => yes
    "#;
}

#[test]
fn what_nests_too_deeply_is_broken_and_costs_only_itself() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let event =
        format!(r#"{{"verb":"get","requestObject":{{"a":{deep}}},"user":{{"extra":{deep}}}}}"#);
    check(2, "requestObject.a: x", &event, "unknown");
    check(2, "user.username: x", &event, "unknown");
    check(2, "actor.kind: human", &event, "unknown");
    check(2, "verb: get", &event, "yes");
}

#[test]
fn what_stands_behind_a_cut_is_unavailable() {
    let cut = Origin {
        partial: true,
        ..Origin::default()
    };
    let event = r#"{"level":"Request","verb":"create","requestObject":{"a":"x","#;
    let check = |detection, expected| check_from(&cut, 2, detection, event, expected);
    check("verb: create", "yes");
    check("requestObject.a: x", "unknown");
    check("userAgent: null", "unknown");
    check("event.partial: true", "yes");
    check("- create", "yes");
    check("- delete", "unknown");
}

#[test]
fn groups_are_unavailable_on_gke() {
    let gke = Origin {
        envelope: Envelope::Gke,
        ..Origin::default()
    };
    let event = r#"{"user":{"username":"a@example.com"}}"#;
    let check = |detection, expected| check_from(&gke, 2, detection, event, expected);
    check("user.groups: system:masters", "unknown");
    check("actor.superuser: true", "unknown");
    check("event.envelope: gke", "yes");
    super::check(2, "user.groups: system:masters", event, "no");
}
