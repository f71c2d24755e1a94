//! A real Apache Kafka for the end-to-end tests: one broker that is its own controller (`KRaft`), on this machine only.
//!
//! What comes in is `tests/kafka/pom.xml`, which names the version, and what a test asks for. What goes out are addresses to
//! connect to, certificates to trust and to show, and the handles that make a broker fail: `pause`, `kill`, `restart`. A
//! mock would agree with whatever we believe about Kafka; the broker is where such beliefs are tried.
//!
//! 1. Nothing is skipped: a missing program fails the test and names the Debian package.
//! 2. The jars come from Maven Central once per version and target folder, whole or not at all, also when several test
//!    processes ask at once.
//! 3. Every broker has ports, certificates and a folder of its own, so that tests run beside each other.
//! 4. Nothing is left: neither process nor file outlives the test, however it ends (see `GUARD`).

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Who may log in through SASL.
pub(crate) const USER: &str = "tidewatch";
/// The password of `USER`.
pub(crate) const PASSWORD: &str = "only-for-tests";

/// What a broker offers besides its plaintext listener.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// A TLS listener.
    pub(crate) tls: Option<ClientAuth>,
    /// A listener for name and password, inside TLS. It asks for no client certificate.
    pub(crate) sasl: Option<Sasl>,
    /// Further lines of `server.properties`. Where a setting is there twice, the last one counts.
    pub(crate) settings: &'static [&'static str],
}

/// What the TLS listener thinks of clients without a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientAuth {
    /// It asks for one, and lets them in without.
    Requested,
    /// It turns them away.
    Required,
}

/// How name and password are proven.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sasl {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Sasl {
    fn mechanism(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// The settings of its listener.
    fn settings(self) -> String {
        let mechanism = self.mechanism();
        let module = match self {
            Self::Plain => {
                format!("plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\"")
            }
            Self::ScramSha256 | Self::ScramSha512 => "scram.ScramLoginModule required".to_owned(),
        };
        let prefix = format!("listener.name.sasl_ssl.{}", mechanism.to_lowercase());
        format!(
            "sasl.enabled.mechanisms={mechanism}\n\
             {prefix}.sasl.jaas.config=org.apache.kafka.common.security.{module};\n"
        )
    }

    /// What the formatting of the storage is told: SCRAM keeps its users there, PLAIN in the settings.
    fn format_arguments(self) -> Vec<String> {
        match self {
            Self::Plain => Vec::new(),
            Self::ScramSha256 | Self::ScramSha512 => {
                let mechanism = self.mechanism();
                let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
                vec!["--add-scram".to_owned(), user]
            }
        }
    }
}

/// A running broker; dropping it takes away its process and its folder.
#[derive(Debug)]
pub(crate) struct Broker {
    /// Settings, certificates, log and data.
    folder: PathBuf,
    ports: Ports,
    /// `None` after `kill` and `stop`.
    process: Option<Child>,
    guard: Child,
}

impl Broker {
    /// Starts a broker without topics and returns when it answers: four seconds, and once per version the time of a download.
    pub(crate) fn start(options: &Options) -> Self {
        let folder = fresh_folder();
        let mut broker = Self {
            guard: spawn_guard(&folder),
            folder,
            ports: Ports::free(options),
            process: None,
        };
        if options.tls.is_some() || options.sasl.is_some() {
            make_certificates(&broker.folder);
        }
        broker.format_storage(options);
        broker.launch();
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

    /// Creates a topic. One second, nearly all of it Java's start, so a test is better off with few topics.
    #[track_caller]
    pub(crate) fn create_topic(&self, name: &str, partitions: u32, configs: &[(&str, &str)]) {
        let mut tool = self.tool("org.apache.kafka.tools.TopicCommand");
        tool.args(["--bootstrap-server", &self.plaintext(), "--create"]);
        tool.args(["--topic", name, "--replication-factor", "1"]);
        tool.args(["--partitions", &partitions.to_string()]);
        for (key, value) in configs {
            tool.args(["--config", &format!("{key}={value}")]);
        }
        run(&mut tool, JAVA);
    }

    /// One of Kafka's own programs, still without arguments: a client that is not ours, and the view of an administrator.
    pub(crate) fn tool(&self, class: &str) -> Command {
        let mut command = self.java(class, &TOOL_FLAGS);
        command.stdin(Stdio::null());
        command
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
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    fn format_storage(&self, options: &Options) {
        let settings = self.settings(options);
        fs::write(self.file("server.properties"), settings).unwrap();
        let mut format = self.tool("kafka.tools.StorageTool");
        format.args(["format", "--standalone", "--cluster-id", &self.cluster()]);
        format.arg("--config").arg(self.file("server.properties"));
        format.args(options.sasl.into_iter().flat_map(Sasl::format_arguments));
        run(&mut format, JAVA);
    }

    fn launch(&mut self) {
        // Its lines replace those of the last start, so that an old "started" is not taken for a new one.
        let log = File::create(self.file("server.log")).unwrap();
        let mut command = self.java("kafka.Kafka", &BROKER_FLAGS);
        command
            .arg(self.file("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = spawn(&mut command, JAVA);
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

    fn java(&self, class: &str, flags: &[&str]) -> Command {
        let jars = jars().join("*");
        let mut command = Command::new("java");
        command
            .args(JAVA_FLAGS)
            .args(flags)
            // Where the compression libraries are unpacked, and left behind by a broker that is killed.
            .arg(format!("-Djava.io.tmpdir={}", self.folder.display()))
            .arg("-cp")
            .arg(jars)
            .arg(class)
            // Where Java leaves a report when it crashes.
            .current_dir(&self.folder);
        command
    }

    fn settings(&self, options: &Options) -> String {
        let mut settings = SETTINGS.to_owned();
        let folder = self.folder.display();
        write!(
            settings,
            "log.dirs={folder}/data\n{}",
            self.ports.settings()
        )
        .unwrap();
        if self.ports.tls.is_some() || self.ports.sasl.is_some() {
            write!(
                settings,
                "ssl.keystore.type=PEM\nssl.keystore.location={folder}/keystore.pem\n\
                 ssl.truststore.type=PEM\nssl.truststore.location={folder}/ca.pem\n"
            )
            .unwrap();
        }
        if let Some(client_auth) = options.tls {
            let word = format!("{client_auth:?}").to_lowercase();
            writeln!(settings, "listener.name.ssl.ssl.client.auth={word}").unwrap();
        }
        if let Some(sasl) = options.sasl {
            settings.push_str(&sasl.settings());
        }
        settings + &options.settings.join("\n")
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
/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The Debian package with `java`.
const JAVA: &str = "default-jre-headless";

/// For programs that live for seconds: the quick compiler alone and the plainest collector take two fifths off a start. The
/// last flag is about a file below `/tmp` that a killed process leaves there.
const JAVA_FLAGS: [&str; 3] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
];

const TOOL_FLAGS: [&str; 2] = ["-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];

const BROKER_FLAGS: [&str; 3] = [
    "-Xmx512m",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
];

/// One machine is the whole cluster, and a test does not wait for others to join. Groups, transactions and shares have one
/// partition each for their state: the first member of a group would otherwise wait until fifty are made. A broker that was
/// killed is let in again when its old session is over: after three seconds, where Kafka takes nine.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
auto.create.topics.enable=false
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
";

/// One for each listener.
#[derive(Debug)]
struct Ports {
    plaintext: u16,
    controller: u16,
    tls: Option<u16>,
    sasl: Option<u16>,
}

impl Ports {
    fn free(options: &Options) -> Self {
        Self {
            plaintext: free_port(),
            controller: free_port(),
            tls: options.tls.map(|_| free_port()),
            sasl: options.sasl.map(|_| free_port()),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, u16)> {
        let always = [
            ("PLAINTEXT", self.plaintext),
            ("CONTROLLER", self.controller),
        ];
        let tls = self.tls.map(|port| ("SSL", port));
        let sasl = self.sasl.map(|port| ("SASL_SSL", port));
        always.into_iter().chain(tls).chain(sasl)
    }

    fn settings(&self) -> String {
        let listeners: Vec<String> = self
            .all()
            .map(|(name, port)| format!("{name}://{}", address(port)))
            .collect();
        let listeners = listeners.join(",");
        let controller = address(self.controller);
        format!("listeners={listeners}\ncontroller.quorum.bootstrap.servers={controller}\n")
    }

    /// The first listener that nobody can connect to.
    fn unreachable(&self) -> Option<String> {
        self.all().find_map(|(name, port)| {
            let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).err()?;
            Some(format!("{name} on {}: {error}", address(port)))
        })
    }
}

fn address(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

/// A port that nobody listens on. It lies below those that Linux gives to clients, where a broker that is down could lose its
/// port to a connection, even to one of a client that keeps trying to reach it. Processes begin in different places, since
/// between this look and Java's start somebody else may look too.
fn free_port() -> u16 {
    const FIRST: u32 = 16_384;
    const COUNT: u32 = 16_384;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (process::id() * 64 + next) % COUNT;
        let port = u16::try_from(FIRST + offset).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// What removes a broker when its pipe closes. `Drop` is one way to close it; the others are a broker in a `static`, which
/// is never dropped, a test process that aborts, and one that is killed.
const GUARD: &str = r#"
read -r _
[ ! -f "$1/pid" ] || kill -s KILL "$(cat "$1/pid")"
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"#;

fn spawn_guard(folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(folder)
        // A Ctrl-C at the terminal is not for the guard.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidewatch-kafka-{}-{next}", process::id());
        let folder = std::env::temp_dir().join(name);
        match fs::create_dir(&folder) {
            Ok(()) => return folder,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{}: {error}", folder.display()),
        }
    }
}

/// The folder with the jars.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let name = format!("kafka-libs-{}", version());
        let target = target_folder();
        let folder = target.join(&name);
        fs::create_dir_all(&target).unwrap();
        // Until the end of the block, only one process is here; if it is killed, the next one takes over.
        let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
        lock.lock().unwrap();
        if !folder.is_dir() {
            let part = target.join(format!("{name}.part"));
            fetch_jars(&part);
            fs::rename(part, &folder).unwrap();
        }
        folder
    })
}

/// Has Maven fill the folder, which may hold the rest of an attempt that failed.
fn fetch_jars(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--no-transfer-progress", "--file"])
        .arg(root().join(POM))
        .arg(format!("-DoutputDirectory={}", folder.display()));
    run(&mut maven, "maven");
}

/// Kafka's version, from the one place that names it.
fn version() -> String {
    let pom = fs::read_to_string(root().join(POM)).unwrap();
    let (_, rest) = pom.split_once("<kafka.version>").unwrap();
    let (version, _) = rest.split_once('<').unwrap();
    version.to_owned()
}

const POM: &str = "tests/kafka/pom.xml";

/// The workspace, also for a test of one of its members.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join(POM).is_file())
        .expect("tests/kafka/pom.xml is missing")
}

fn target_folder() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    root().join(chosen.unwrap_or_else(|| "target".into()))
}

const CERTIFICATES: &str = "\
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";

/// An authority, and a certificate of it for either side.
fn make_certificates(folder: &Path) {
    fs::write(folder.join("openssl.cnf"), CERTIFICATES).unwrap();
    make_certificate(folder, "ca", &[]);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
    make_certificate(folder, "server", &signed);
    make_certificate(folder, "client", &signed);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let keystore = read("server.key") + &read("server.pem");
    fs::write(folder.join("keystore.pem"), keystore).unwrap();
}

/// Writes `NAME.key` and `NAME.pem`.
fn make_certificate(folder: &Path, name: &str, signed: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-config", "openssl.cnf", "-extensions", name])
        .args(["-subj", &format!("/CN=tidewatch test {name}")])
        .args(["-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.pem")])
        .args(signed)
        .current_dir(folder);
    run(&mut openssl, "openssl");
}

/// Runs a program to its end, which must be a good one.
#[track_caller]
fn run(command: &mut Command, package: &str) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = spawn(command, package).wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}:\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    );
}

/// Starts a program of a Debian package. The test asked for it, so it fails where the program is missing.
#[track_caller]
fn spawn(command: &mut Command, package: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "`{}` does not run ({error}); on Debian: apt-get install {package}",
            command.get_program().display()
        ),
    }
}

/// Whether it comes true in time.
fn within(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if check() {
            return true;
        }
        if begin.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
