//! What a person sees whose rule is faulty.
use detections::diagnostic::Source;
use detections::sigma::{Placeholders, load};
const HEAD: &str = "title: A rule\nlogsource: {product: kubernetes, service: audit}\n";
fn show(text: &str) {
    let lists = Placeholders::from([("admins".to_owned(), vec!["a".to_owned()])]);
    let loaded = load(&[Source::new("rules/mine.yml", text)], &lists);
    println!("=== {text}\n---");
    for d in loaded.diagnostics {
        println!("{}\n", d.render(false));
        println!("{}\n", d.render_concise());
    }
}
#[test]
fn all() {
    for d in [
        "  selection:\n    userAgent|contians: curl\n  condition: selection",
        "  selection:\n    userAgent|foo: curl\n  condition: selection",
        "  selection:\n    userAgent|contains|re: curl\n  condition: selection",
        "  selection:\n    userAgent|contains|contains: curl\n  condition: selection",
        "  selection:\n    'userAgent|re|cased': curl\n  condition: selection",
        "  selection:\n    verb: get\n  condition: selecton and not filter",
        "  selection:\n    verb: get\n  condition: selection and\n",
        "  selection:\n    verb: get\n  condition: (selection\n",
        "  selection:\n    verb: get\n  condition: selection | count() > 5\n",
        "  selection:\n    verb: get\n  condition: >-\n    selection\n    and not fliter\n",
        "  selection:\n    verb: get\n  condition: 'selection and not fliter'\n",
        "  selection:\n    verb: get\n  condition: 3 of selection*\n",
        "  selection:\n    verb: get\n  condition: 1 of sel_*\n",
        "  selection:\n    userAgent|re: '^kube(?!ctl)'\n  condition: selection",
        "  selection:\n    userAgent|re: 'kube(ctl'\n  condition: selection",
        "  selection:\n    userAgent|re: '(a{1000}){1000}'\n  condition: selection",
        "  selection:\n    userAgent: [curl, null]\n  condition: selection",
        "  selection:\n    userAgent|contains:\n  condition: selection",
        "  selection:\n    verb: get\n    verb: list\n  condition: selection",
        "  selection:\n    actor.knd: human\n  condition: selection",
        "  selection:\n    outcome.x: human\n  condition: selection",
        "  selection:\n    usrAgent: curl\n  condition: selection",
        "  selection:\n    hostPath: curl\n  condition: selection",
        "  selection:\n    verb: {a: b}\n  condition: selection",
        "  selection:\n    user.username|expand: '%admin%'\n  condition: selection",
        "  selection:\n    user.username|expand: '%robots%'\n  condition: selection",
        "  selection:\n    sourceIPs|cidr: 10.0.0.0/40\n  condition: selection",
        "  selection:\n    responseStatus.code|gte: many\n  condition: selection",
        "  selection:\n    verb|exists: maybe\n  condition: selection",
        "  selection:\n    requestObject.c[any]:\n      name: a\n  condition: selection",
        "  selection:\n    verb: get\n",
        "  selection: {}\n  condition: selection",
        "  condition: selection",
        "  selection:\n    verb: get\n  unused:\n    verb: list\n  condition: selection",
        "  selection:\n    verb|contains: ä\n    userAgent|contians: ü\n  condition: selection",
    ] {
        show(&format!("{HEAD}detection:\n{d}"));
    }
    let ok = "detection:\n  selection:\n    verb: get\n  condition: selection\n";
    show(&format!("logsource: {{product: kubernetes}}\n{ok}"));
    show(&format!("title: X\n{ok}"));
    show("title: X\nlogsource: {product: kubernetes}\n");
    show(&format!(
        "{HEAD}level: hgih\nid: 12\ntags: [attack.t1562.001, attack.defense-evasion, attack.t9999, attack.t1609x]\n{ok}"
    ));
    show(&format!("{HEAD}sigma-version: 4\n{ok}"));
    show(&format!("{HEAD}refrences: x\n{ok}"));
    show("title: X\ncorrelation:\n  type: event_count\n  rules: [a]\n");
    show("title: X\nbaseline:\n  kind: first_seen\n");
    show("title: X\naction: global\n");
    show("- a\n- b\n");
    show("");
    show("title: X\n  bad: y\n");
    show("title: X\ndetection:\n\tx: y\n");
    show("title: *x\n");
    show("title: 'unclosed\n");
    show("title: a: b\n");
    show("title: [a, b\nlevel: high\n");
    show("title: é: ü\n");
    show(&format!(
        "title: F\nlogsource: {{product: kubernetes}}\nfilter:\n  rules: [nope]\n  s:\n    verb: get\n  condition: s\n"
    ));
    show(&format!(
        "title: F\nlogsource: {{product: kubernetes}}\nfilter:\n  s:\n    verb: get\n  condition: s\n"
    ));
    show(&format!(
        "{HEAD}name: a\nid: 8e7079c8-b0e9-40d4-951c-6db9d9a27185\n{ok}---\n{HEAD}name: b\nid: 8E7079c8-b0e9-40d4-951c-6db9d9a27185\n{ok}---\n{HEAD}name: a\n{ok}"
    ));
    show(&format!(
        "title: [a]\r\nlogsource: x\r\ndetection:\r\n  s:\r\n    verb|is: get\r\n  condition: s\r\n"
    ));
}
