use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

const PAGE: &str = "apiserver_audit_event_total 41\n\
                    apiserver_audit_error_total{plugin=\"log\"} 5\n\
                    apiserver_audit_error_total{plugin=\"webhook\"} 3\n\
                    process_start_time_seconds 1.7e+09\n";

/// Answers every request with these bytes, and hands out the heads. It ends with the process.
fn server(answer: String) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/metrics", listener.local_addr().unwrap());
    let (heads, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            let _left = heads.send(head);
            let _gone = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    (address, received)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn target(url: &str) -> Target {
    Target {
        cluster: "prod".to_owned(),
        origin: "master-1".to_owned(),
        backend: Backend::Webhook,
        url: url.to_owned(),
        token: None,
        authority: None,
        interval: Duration::from_hours(1),
    }
}

fn fault(target: &Target) -> String {
    fetch(target).unwrap_err().to_string()
}

#[test]
fn counters_of_our_backend_are_read_with_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0ken\n").unwrap();
    let (url, heads) = server(answer("200 OK", PAGE));
    let target = Target {
        token: Some(Secret::File(token.clone())),
        ..target(&url)
    };
    let counters = fetch(&target).unwrap();
    assert_eq!(counters.events, Some(41));
    assert_eq!(
        counters.errors.into_iter().collect::<Vec<_>>(),
        [("webhook".to_owned(), 3)]
    );
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /metrics HTTP/1.1\r\n"), "{head}");
    assert!(
        head.to_lowercase()
            .contains("authorization: bearer t0ken\r\n"),
        "{head}"
    );
    // It was replaced.
    std::fs::write(&token, "other").unwrap();
    fetch(&target).unwrap();
    assert!(heads.recv().unwrap().contains("Bearer other"));
}

#[test]
fn of_a_log_file_the_other_backend_is_left_out() {
    let (url, _heads) = server(answer("200 OK", PAGE));
    let target = Target {
        backend: Backend::Log,
        ..target(&url)
    };
    let errors = fetch(&target).unwrap().errors;
    assert_eq!(
        errors.into_iter().collect::<Vec<_>>(),
        [("log".to_owned(), 5)]
    );
}

#[test]
fn what_is_no_page_of_counters_is_told() {
    for (answered, expected) in [
        (
            answer("403 Forbidden", "{}"),
            "403: the token's account may not",
        ),
        (answer("302 Found\r\nlocation: /login", ""), "answered 302"),
        (
            answer("200 OK", "<html>log in</html>"),
            "no page of an API server's metrics",
        ),
        (
            answer("200 OK", "process_start_time_seconds 17\n"),
            "no apiserver_audit_event_total",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\napiserver_audit_event_total 4\n"
                .to_owned(),
            "broke off",
        ),
        (String::new(), "does not answer"),
    ] {
        let (url, _heads) = server(answered);
        let fault = fault(&target(&url));
        assert!(fault.contains(expected), "{fault}\nis not {expected}");
        assert!(fault.contains(&url));
    }
}

#[test]
fn a_token_and_authorities_that_are_not_there_are_told() {
    let target = target("https://127.0.0.1:1/metrics");
    let without_token = Target {
        token: Some(Secret::File("/nonexistent/token".into())),
        ..target.clone()
    };
    assert!(fault(&without_token).contains("/nonexistent/token"));
    let without_authority = Target {
        authority: Some("/nonexistent/ca.crt".into()),
        ..target
    };
    assert!(fault(&without_authority).contains("/nonexistent/ca.crt"));
}

#[test]
fn tokens_do_not_travel_in_the_clear() {
    let with_token = |url: &str| Target {
        token: Some(Secret::Environment("TOKEN".to_owned())),
        ..target(url)
    };
    for url in [
        "https://10.0.0.1:6443/metrics",
        "http://127.0.0.1:8080/metrics",
        "http://localhost/metrics",
        "http://[::1]:1/metrics",
    ] {
        assert_eq!(with_token(url).fault(), None, "{url}");
    }
    for url in [
        "http://10.0.0.1:6443/metrics",
        "http://localhost.example.com/metrics",
        "http://127.0.0.1@example.com/metrics",
        "http://127.0.0.1:x@example.com/metrics",
        "ftp://10.0.0.1",
        "10.0.0.1",
    ] {
        assert!(with_token(url).fault().is_some(), "{url}");
    }
    assert_eq!(target("http://10.0.0.1:6443/metrics").fault(), None);
}

#[test]
fn a_thread_looks_at_once_and_stops_at_once() {
    let (url, heads) = server(answer("200 OK", PAGE));
    let (dead, _heads) = server(answer("500 Internal Server Error", ""));
    let second = Target {
        origin: "master-2".to_owned(),
        ..target(&dead)
    };
    let scrapers = Scrapers::start(vec![target(&url), second], &Clock::from_fn(|| 7)).unwrap();
    let scrapes = scrapers.scrapes();
    heads.recv().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while scrapes.states().len() < 2 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    scrapers.stop();
    assert!(begun.elapsed() < Duration::from_millis(900));
    let found = scrapes.take();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].counters.events, found[0].at_us), (Some(41), 7));
    assert!(scrapes.take().is_empty());
    let states = scrapes.states();
    let state = &states[&target(&url).sender()];
    assert_eq!((state.read, state.failed, state.read_us), (1, 0, Some(7)));
    let failed = states.values().find(|state| state.failed == 1).unwrap();
    assert!(failed.fault.as_ref().unwrap().contains("answered 500"));
}

#[test]
fn what_nobody_takes_is_bounded() {
    let scrapes = Scrapes::default();
    let sender = target("").sender();
    for at_us in 0..5000 {
        scrapes.note(&sender, Ok(Counters::default()), at_us);
    }
    let found = scrapes.take();
    assert_eq!((found.len(), found[0].at_us), (WAITING_MAX, 904));
}
