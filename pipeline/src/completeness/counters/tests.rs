use super::*;

const PAGE: &str = r#"# HELP apiserver_audit_error_total [ALPHA] Counter of audit events that failed to be audited properly.
# TYPE apiserver_audit_error_total counter
apiserver_audit_error_total{plugin="buffered"} 12
apiserver_audit_error_total{plugin="webhook"} 800
# HELP apiserver_audit_event_total [ALPHA] Counter of audit events generated and sent to the audit backend.
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 1.2345678e+07
apiserver_audit_level_total{level="Metadata"} 9.9e+06
# TYPE apiserver_audit_requests_rejected_total counter
apiserver_audit_requests_rejected_total 0
apiserver_request_total{code="200",dry_run="",verb="GET"} 3
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79521451115e+09
"#;

fn read(page: &str) -> Result<Counters, CountersError> {
    Counters::read(page.as_bytes())
}

fn errors(counters: &Counters) -> Vec<(&str, u64)> {
    let errors = counters.errors.iter();
    errors
        .map(|(plugin, count)| (plugin.as_str(), *count))
        .collect()
}

#[test]
fn a_page_of_an_api_server_is_read() {
    let counters = read(PAGE).unwrap();
    assert_eq!(counters.events, Some(12_345_678));
    assert_eq!(errors(&counters), [("buffered", 12), ("webhook", 800)]);
    assert_eq!(counters.rejected, Some(0));
    assert_eq!(counters.started_ms, Some(1_795_214_511_150));
}

#[test]
fn samples_of_one_series_are_added() {
    let counters = read(
        "apiserver_audit_event_total{a=\"1\"} 5\napiserver_audit_event_total{a=\"2\"} 7 1795214511150\n",
    );
    assert_eq!(counters.unwrap().events, Some(12));
}

#[test]
fn open_metrics_and_odd_labels_are_understood() {
    let counters = read(
        "apiserver_audit_event_total 5.0 1795214511.150 # {trace_id=\"x\"} 1.0\n\
         apiserver_audit_event_created 1795214511\n\
         apiserver_audit_error_total{ a = \"}, plugin=\\\"no\\\"\" , plugin=\"web\\\\hook\" }  3\r\n\
         # EOF\n",
    );
    let counters = counters.unwrap();
    assert_eq!(counters.events, Some(5));
    assert_eq!(errors(&counters), [("web\\hook", 3)]);
}

#[test]
fn what_is_not_there_is_no_fault() {
    let counters = read("process_start_time_seconds 17\n").unwrap();
    assert_eq!(
        (counters.events, counters.rejected, counters.errors.len()),
        (None, None, 0)
    );
    let counters = read("apiserver_audit_event_total 0").unwrap();
    assert_eq!((counters.events, counters.started_ms), (Some(0), None));
}

#[test]
fn values_that_are_no_count_are_left_out() {
    for value in ["NaN", "-1", "+Inf", "1e300", "x", ""] {
        let page = format!(
            "apiserver_audit_requests_rejected_total 1\napiserver_audit_event_total {value}\n"
        );
        assert_eq!(read(&page).unwrap().events, None, "{value}");
    }
}

#[test]
fn another_page_is_told_by_its_beginning() {
    for page in [
        "",
        "\n",
        "<html><body>\u{1b}[31mLog in</body></html>\n",
        "go_goroutines 5\n",
        "# HELP apiserver_audit_event_total only its help\n",
        "apiserver_audit_event_total_bucket 4\n",
        "apiserver_audit_event_total{plugin=\"open 4\n",
    ] {
        let error = read(page).unwrap_err().to_string();
        assert!(error.contains("no page of an API server"), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
    let html = read("<html><body>\u{1b}[31mLog in").unwrap_err();
    assert!(html.to_string().contains("<html><body>[31mLog in"));
}

#[test]
fn endless_lines_and_bytes_that_are_no_text_are_skipped() {
    let mut page = vec![b'a'; 3 << 16];
    page.extend(b"\n\xff\xfe\napiserver_audit_event_total 4\n");
    assert_eq!(Counters::read(&page[..]).unwrap().events, Some(4));
}

#[test]
fn a_page_without_end_is_read_up_to_its_bound() {
    let lines = "apiserver_audit_event_total 1\n".as_bytes();
    let page = io::BufReader::new(Endless { lines, at: 0 });
    let events = Counters::read(page).unwrap().events.unwrap();
    assert_eq!(events, PAGE_BYTES_MAX / lines.len() as u64);
}

struct Endless {
    lines: &'static [u8],
    at: usize,
}

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.lines[self.at];
            self.at = (self.at + 1) % self.lines.len();
        }
        Ok(buffer.len())
    }
}
