//! A broker from its start to its end: the handles that a test holds.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{self, Child, Command, Stdio};
use std::time::Duration;

use super::options::Options;
use super::ports::{Ports, address};
use super::process::{fresh_folder, run, spawn, spawn_guard, within};
use super::topics::{self, STATE_TOPICS, Topic};
use super::{certificates, java, settings, storage};

/// A running broker; dropping it takes away its process and its folder.
#[derive(Debug)]
pub(crate) struct Broker {
    /// Settings, certificates, log and data.
    folder: PathBuf,
    ports: Ports,
    /// What Java is told about the archive of loaded classes.
    classes: Option<String>,
    /// `None` after `kill` and `stop`.
    process: Option<Child>,
    guard: Child,
}

impl Broker {
    /// Starts a broker without topics of the test's and returns when it answers.
    pub(crate) fn start(options: &Options) -> Self {
        Self::start_with(options, java::archived_classes())
    }

    /// Starts one with its own flag about the classes.
    pub(super) fn start_with(options: &Options, classes: Option<String>) -> Self {
        let folder = fresh_folder();
        let mut broker = Self {
            guard: spawn_guard(&folder),
            folder,
            ports: Ports::free(options),
            classes,
            process: None,
        };
        if options.encrypts() {
            certificates::make(&broker.folder);
        }
        let settings = settings::server(&broker.folder, &broker.ports, options);
        fs::write(broker.file("server.properties"), settings).unwrap();
        storage::lay_out(&broker.file(settings::DATA), &broker.cluster(), options);
        broker.launch();
        broker.create_topics(&STATE_TOPICS);
        broker
    }

    /// `127.0.0.1:PORT` of the plaintext listener.
    pub(crate) fn plaintext(&self) -> String {
        address(self.ports.plaintext)
    }

    /// `127.0.0.1:PORT` of the TLS listener.
    #[track_caller]
    pub(crate) fn tls(&self) -> String {
        address(self.ports.tls.expect("the broker has no `tls`"))
    }

    /// `127.0.0.1:PORT` of the listener that wants `USER` and `PASSWORD`.
    #[track_caller]
    pub(crate) fn sasl(&self) -> String {
        address(self.ports.sasl.expect("the broker has no `sasl`"))
    }

    /// The authority that signed both certificates, of the broker and of the client; every broker has its own. PEM.
    pub(crate) fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The certificate of a client. PEM.
    pub(crate) fn client_certificate(&self) -> PathBuf {
        self.file("client.pem")
    }

    /// The private key of the client. PEM, PKCS #8, not encrypted.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    /// Creates a topic and returns when all of its partitions can be written to.
    #[track_caller]
    pub(crate) fn create_topic(&self, name: &str, partitions: u32, configs: &[(&str, &str)]) {
        self.create_topics(&[(name, partitions, configs)]);
    }

    /// Creates topics like [`Self::create_topic`], in the time of one.
    #[track_caller]
    pub(crate) fn create_topics(&self, topics: &[Topic]) {
        let settings = [("bootstrap.servers", &*self.plaintext())];
        topics::create_topics(&settings, topics);
    }

    /// One of Kafka's own programs, still without arguments: a client that is not ours, and the view of an administrator. Each
    /// run takes a second, nearly all of it Java's start.
    pub(crate) fn tool(&self, class: &str) -> Command {
        java::tool(&self.folder, class)
    }

    /// Stops it from answering while its connections stay open, as a hung machine does.
    #[track_caller]
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Ends a pause.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends it without a farewell, as a crash does. `restart` brings it back.
    pub(crate) fn kill(&mut self) {
        self.end().expect("the broker cannot be killed");
    }

    /// Ends it in order, as an administrator does, also from a pause. `restart` brings it back.
    pub(crate) fn stop(&mut self) {
        if self.process.is_none() {
            return;
        }
        self.signal("TERM");
        // A paused process would hear of it only later.
        self.resume();
        let ended = within(STOP_LIMIT, || self.has_ended());
        assert!(
            ended,
            "Kafka did not stop within {STOP_LIMIT:?}:\n{}",
            self.log_end()
        );
        self.kill();
    }

    /// Starts it again, on the same ports and with its data, and returns when it answers; stops it before if it still runs.
    /// After a `kill` it is let in only when its old session is over, two seconds later.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    fn launch(&mut self) {
        // Its lines replace those of the last start, so that an old "started" is not taken for a new one.
        let log = File::create(self.file("server.log")).unwrap();
        let mut command = java::broker(&self.folder, self.classes.as_deref());
        command
            .arg(self.file("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = spawn(&mut command, java::PACKAGE);
        fs::write(self.file("pid"), process.id().to_string()).unwrap();
        self.process = Some(process);
        self.await_answer();
    }

    fn await_answer(&mut self) {
        let mut ended = false;
        let settled = within(START_LIMIT, || {
            ended = self.has_ended();
            ended || self.log().contains("Kafka Server started")
        });
        let problem = match (settled, ended) {
            (true, false) => self.ports.unreachable(),
            (_, true) => Some("it ended".to_owned()),
            (false, false) => Some(format!("nothing within {START_LIMIT:?}")),
        };
        if let Some(problem) = problem {
            panic!("Kafka did not start: {problem}:\n{}", self.log_end());
        }
    }

    /// Twenty-two characters of base64 that are sixteen bytes, other ones for every broker.
    fn cluster(&self) -> String {
        format!("tidewatch{:07}{:05}A", process::id(), self.ports.plaintext)
    }

    #[track_caller]
    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("the broker is not running");
        let number = process.id().to_string();
        run(Command::new("kill").args(["-s", name, &number]), "procps");
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.kill()?;
        process.wait()?;
        fs::remove_file(self.file("pid"))
    }

    fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_none_or(|process| process.try_wait().unwrap().is_some())
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.file("server.log")).unwrap()).into_owned()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end().ok();
        // Waiting closes the pipe that the guard listens to, and the guard removes the folder.
        self.guard.wait().ok();
    }
}

/// How long a start may take that shares its cores with other tests.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long an orderly stop may take. The one that writes the archive of classes takes three seconds.
const STOP_LIMIT: Duration = Duration::from_secs(30);
