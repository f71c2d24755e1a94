//! `tidewatch serve` from outside: started on a free port with a data directory of its own, spoken to over sockets.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A serving process. It is killed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    said: Arc<Mutex<String>>,
}

impl Serving {
    /// Starts with the defaults.
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    /// Starts with a configuration, written beside the data.
    pub(crate) fn configured(data: &Path, config: &str) -> Self {
        let file = data.with_extension("toml");
        std::fs::write(&file, config).unwrap();
        Self::with(data, &["--config", file.to_str().unwrap()])
    }

    pub(crate) fn with(data: &Path, arguments: &[&str]) -> Self {
        Self::at(data, "127.0.0.1:0", arguments)
    }

    /// Starts at an address.
    pub(crate) fn at(data: &Path, listen: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
        command
            .arg("serve")
            .args(arguments)
            .args(["--listen", listen, "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let address = listening(&mut lines, &said);
        let listener = said.clone();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                listener.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self {
            child,
            address,
            data: data.to_owned(),
            said,
        }
    }

    /// What it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Posts a body to the audit webhook; the status, or an error of the connection.
    pub(crate) fn post(&self, body: &[u8]) -> std::io::Result<u16> {
        self.post_to("/v1/audit/lab/api-1?timeout=30s", &[], body)
            .map(|answer| answer.status)
    }

    pub(crate) fn post_to(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        ask(self.address, "POST", path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.address, "GET", path, &[], b"").unwrap()
    }

    /// All findings, as `tidewatch alerts export --format json` tells them.
    pub(crate) fn findings(&self) -> Vec<Value> {
        findings(&self.data)
    }

    /// Waits until there are so many findings.
    pub(crate) fn wait_for_findings(&self, count: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.findings();
            if found.len() >= count {
                return found;
            }
            assert!(
                Instant::now() < until,
                "{} of {count} findings: {}",
                found.len(),
                self.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A value of the metrics page; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").body;
        let line = page.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(0.0)
    }

    /// A value that is a whole number.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let value = self.metric(name);
        assert!(value.fract().abs() < f64::EPSILON, "{name} is {value}");
        format!("{value:.0}").parse().unwrap()
    }

    /// Waits until a metric has at least this value.
    pub(crate) fn wait_for_metric(&self, name: &str, least: f64) {
        wait_until(&format!("{name} >= {least}"), || self.metric(name) >= least);
    }

    /// Runs a command on its data.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        tidewatch(&[arguments, &["--data-dir", self.data.to_str().unwrap()]].concat())
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Resident memory, KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        number.unwrap_or(0)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Stops in order; what it said, and whether it ended well.
    pub(crate) fn stop(mut self) -> (bool, String) {
        self.signal("-TERM");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.success(), self.said());
            }
            assert!(Instant::now() < until, "it does not stop: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn listening(lines: &mut BufReader<ChildStderr>, said: &Mutex<String>) -> SocketAddr {
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.read_line(&mut line).unwrap();
        let mut said = said.lock().unwrap();
        said.push_str(&line);
        assert!(read > 0, "it did not start: {said}");
        // Other parts may have named other addresses before.
        let served = line.split_once("base=").map(|(_, rest)| rest);
        let address = served
            .and_then(|rest| rest.split_once("://"))
            .and_then(|(_, rest)| {
                let end = rest.find([' ', '/', '\u{1b}']).unwrap_or(rest.len());
                rest[..end].trim().parse().ok()
            });
        if let Some(address) = address {
            return address;
        }
    }
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn tidewatch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidewatch"))
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn findings(data: &Path) -> Vec<Value> {
    let data = data.to_str().unwrap();
    let output = tidewatch(&["alerts", "export", "--format", "json", "--data-dir", data]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let more: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: tidewatch\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    // An answer may come before the body is through, and say why it is not wanted.
    let sent = stream.write_all(body);
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
    }
    parse(&answer)
}

fn parse(answer: &str) -> std::io::Result<Answer> {
    let broken = || std::io::Error::other(format!("no HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(broken)?,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

/// The creation of a privileged pod: one finding of its own for each name.
pub(crate) fn privileged_pod(name: &str) -> Value {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "web" },
        "spec": { "containers": [{ "name": "c", "image": "i", "securityContext": { "privileged": true } }] },
    });
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": format!("id-{name}"), "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/web/pods", "verb": "create",
        "user": { "username": "mallory", "groups": ["system:authenticated"] },
        "sourceIPs": ["198.51.100.7"], "userAgent": "kubectl/v1.34.4",
        "objectRef": { "resource": "pods", "namespace": "web", "name": name, "apiVersion": "v1" },
        "responseStatus": { "code": 201 },
        "requestObject": pod, "responseObject": pod,
        "requestReceivedTimestamp": "2026-11-20T10:00:00.000000Z",
        "stageTimestamp": "2026-11-20T10:00:00.100000Z",
        "annotations": { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "" },
    })
}

/// Events as the API server posts them.
pub(crate) fn event_list(events: &[Value]) -> Vec<u8> {
    let list = json!({ "kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": events });
    let mut bytes = serde_json::to_vec(&list).unwrap();
    bytes.push(b'\n');
    bytes
}

/// A receiver of posts that answers as it is told, and keeps what it got.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Answer>>>,
    status: Arc<Mutex<u16>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            status: Arc::new(Mutex::new(200)),
        };
        let (got, status) = (receiver.got.clone(), receiver.status.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (got, status) = (got.clone(), status.clone());
                std::thread::spawn(move || drop(receive(&stream, &got, &status)));
            }
        });
        receiver
    }

    pub(crate) fn answer_with(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// Bodies that were answered 200.
    pub(crate) fn accepted(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let accepted = got.iter().filter(|post| post.status == 200);
        accepted.map(|post| post.body.clone()).collect()
    }

    /// Heads of all posts.
    pub(crate) fn heads(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        got.iter().map(|post| post.head.clone()).collect()
    }
}

fn receive(
    stream: &TcpStream,
    got: &Mutex<Vec<Answer>>,
    status: &Mutex<u16>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            head.push_str(&line);
            head.push('\n');
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let status = *status.lock().unwrap();
        got.lock().unwrap().push(Answer {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        });
        write!(
            &mut &*stream,
            "HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nok"
        )?;
    }
}
