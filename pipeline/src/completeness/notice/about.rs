//! What there is to know of each kind of notice, and what happened, in words.

use crate::completeness::{Activity, Ending, Kind, Notice, Proof};
use crate::wire::text::time;

/// What does not depend on the case.
pub(super) struct About {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) why: &'static str,
    pub(super) benign: &'static str,
    pub(super) silence: &'static str,
}

pub(super) const LINKS: [&str; 2] = [
    "https://attack.mitre.org/techniques/T1685/",
    "https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/",
];

/// Whether it audits at all, and when that was changed.
const FLAGS: &str = "grep -e --audit /etc/kubernetes/manifests/kube-apiserver.yaml; ls -l --time-style=full-iso /etc/kubernetes/manifests";

/// What it counts itself.
const COUNTERS: &str = "kubectl get --raw /metrics | grep ^apiserver_audit";

/// Who asks it.
const REQUESTS: &str = "kubectl get --raw /metrics | grep ^apiserver_request_total";

/// What came, and what was refused or lost here.
const HERE: &str = "curl --cacert ca.crt https://TIDEWATCH:9443/metrics | grep -E 'last_body|refused|left_out|damaged'";

pub(super) fn about(kind: Kind) -> About {
    match kind {
        Kind::Silent => About {
            title: "Audit log fell silent",
            description: "Nothing has come from a sender that used to speak, for longer than is usual for it.",
            why: "What is not logged is not detected. Who holds the host of an API server switches its audit log off first, by a flag, by \
                  the policy or by the network; a broken webhook or a lost network looks the same, and blinds as much.",
            benign: "a cluster or an API server that was shut down or replaced by one of another name; a way that was changed on purpose",
            silence: "[completeness]\nsilent_after = \"1h\"    # a longer silence is usual here\n\
                      # or [[apiservers]] with its url: then a cluster that is only quiet is told apart",
        },
        Kind::Missing => About {
            title: "Audit events are missing",
            description: "The API server counted more audit events than have arrived, for longer than it tries to deliver them, and does not say \
                          that it lost them.",
            why: "The API server believes that these events were delivered, so they were lost or taken out on the way: by a proxy, by another \
                  receiver under the same address, by a backend that was taken out of its flags, or here. What they tell of is not detected.",
            benign: "an API server whose name in its webhook's address is not the one in [[apiservers]]; several API servers behind one url there; \
                     batches far larger than 400 events",
            silence: "[completeness]\ntolerance = 1000    # events that may be missing",
        },
        Kind::Dropped => About {
            title: "API server dropped audit events",
            description: "The API server says that it could not deliver audit events, and gave them up.",
            why: "These events are lost: they are printed to the API server's own log and nowhere else. Who floods an API server, or keeps it \
                  from reaching its receiver, hides among them what was done meanwhile.",
            benign: "a receiver that was away for more than 80 s; a buffer that is too small for the cluster (--audit-webhook-batch-buffer-size)",
            silence: "# nothing: mend the API server that loses events, or leave its url out of [[apiservers]]",
        },
    }
}

/// The state in one word, as the outcome of a request is told elsewhere.
pub(super) fn state(notice: &Notice) -> &'static str {
    match (notice.activity, notice.kind) {
        (Activity::Close(Ending::Returned), _) => "SPEAKS AGAIN",
        (Activity::Close(Ending::Arrived), _) => "ARRIVED LATE",
        (Activity::Close(_), _) => "OVER",
        (_, Kind::Silent) => "SILENT",
        (_, Kind::Missing) => "MISSING",
        (_, Kind::Dropped) => "DROPPED",
    }
}

/// What happened, in a sentence or two.
pub(super) fn facts(notice: &Notice) -> String {
    let told = match notice.kind {
        Kind::Silent => silent(notice),
        Kind::Missing => missing(notice),
        Kind::Dropped => dropped(notice),
    };
    let ending = match notice.activity {
        Activity::Create | Activity::Update => "",
        Activity::Close(Ending::Returned) => " Now it speaks again.",
        Activity::Close(Ending::Arrived) => " Now all of them have arrived.",
        Activity::Close(Ending::Quiet) => " For an hour no more were lost; these stay so.",
        Activity::Close(Ending::Forgotten) => {
            " Nobody has heard of it for a week: it is not waited for any more."
        }
    };
    format!("{told}{ending}")
}

fn silent(notice: &Notice) -> String {
    let said = match notice.counts.proof {
        Proof::None => {
            "Its counters are not read, so it is not known whether it had anything to say."
                .to_owned()
        }
        Proof::Emitted => format!(
            "It emitted {} meanwhile, say its counters.",
            events(notice.counts.events)
        ),
        Proof::Restarted => "It was restarted, and its counters say that it emits nothing since: \
                             its audit log may be switched off."
            .to_owned(),
    };
    let span = duration(notice.until_us - notice.since_us);
    let since = time(notice.since_us);
    format!("Nothing came for {span}, since {since}. {said}")
}

fn missing(notice: &Notice) -> String {
    let counts = &notice.counts;
    let lost = if counts.lost == 0 {
        "it does not say that it lost any".to_owned()
    } else {
        format!("it says that it lost {}", counts.lost)
    };
    let (missing, since) = (are(counts.events), time(notice.since_us));
    let (emitted, arrived) = (counts.emitted, counts.arrived);
    if emitted == 0 && arrived == 0 {
        return format!("At least {missing} missing since {since}, and {lost}.");
    }
    format!(
        "At least {missing} missing: since {since} the API server emitted {emitted}, {arrived} arrived, and {lost}."
    )
}

fn dropped(notice: &Notice) -> String {
    let counts = &notice.counts;
    let plugins = counts.plugins.iter().map(|(plugin, count)| {
        let how = match plugin.as_str() {
            "webhook" => "given up after the last try",
            "buffered" => "did not fit into the buffer",
            "truncate" => "too large even without their bodies",
            "log" => "could not be written",
            _ => "lost",
        };
        format!("{count} {how} ({plugin})")
    });
    let mut parts: Vec<String> = plugins.collect();
    if counts.rejected > 0 {
        parts.push(format!(
            "{} requests of users refused, because they could not be audited",
            counts.rejected
        ));
    }
    format!(
        "The API server lost {} between {} and {}: {}.",
        events(counts.events),
        time(notice.since_us),
        time(notice.until_us),
        parts.join("; ")
    )
}

/// What to do, in order.
pub(super) fn response(notice: &Notice) -> Vec<String> {
    let pod = format!("kube-apiserver-{}", plain(&notice.sender.origin, "NODE"));
    let logs = format!("kubectl -n kube-system logs {pod} --since=2h | grep -i audit");
    let before = format!(
        "Read what was found before: tidewatch alerts list --cluster {} --until {}. Take what happened meanwhile for unseen.",
        plain(&notice.sender.cluster, "CLUSTER"),
        rfc3339(notice.since_us),
    );
    let [first, second, third] = match notice.kind {
        Kind::Silent => [
            format!(
                "On the API server's host, see whether it still audits, and who changed that when: {FLAGS}"
            ),
            format!("See what it says itself: {logs}; {COUNTERS}"),
            format!(
                "From that host, see whether the way is open: curl --cacert ca.crt https://TIDEWATCH:9443/readyz; \
                 and here, whether it was refused: {HERE}"
            ),
        ],
        Kind::Missing => [
            format!(
                "On the API server's host, see whether the webhook is still among its flags, and where it leads: {FLAGS}; \
                 grep server: /etc/kubernetes/tidewatch/webhook.yaml"
            ),
            format!("See what was lost here: tidewatch dlq list; {HERE}"),
            format!(
                "See what the API server says: {logs}; {COUNTERS}; and look for a proxy between it and here that answers by itself"
            ),
        ],
        Kind::Dropped => [
            format!("See why, and find the lost events, which are printed there: {logs}"),
            format!("See whether they were refused here, and why: {HERE}"),
            format!(
                "If its buffer was full, find out who asked so much: {REQUESTS}; then raise \
                 --audit-webhook-batch-buffer-size and --audit-webhook-batch-throttle-qps"
            ),
        ],
    };
    vec![first, second, third, before]
}

/// A name that can stand in a command as it is, or what stands for it.
fn plain<'n>(name: &'n str, instead: &'n str) -> &'n str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && name.len() <= 128 && name.bytes().all(is_plain) {
        name
    } else {
        instead
    }
}

/// `1 event`, `7 events`.
pub(super) fn events(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} event{plural}")
}

fn are(count: u64) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", events(count))
}

/// `45 s`, `22 min`, `3 h 5 min`, `2 d 1 h`.
pub(super) fn duration(microseconds: i64) -> String {
    let seconds = microseconds.max(0) / 1_000_000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, unit: &str, small: i64, smaller: &str| {
        if small == 0 {
            format!("{large} {unit}")
        } else {
            format!("{large} {unit} {small} {smaller}")
        }
    };
    match (hours, minutes) {
        (24.., _) => two(hours / 24, "d", hours % 24, "h"),
        (1.., _) => two(hours, "h", minutes % 60, "min"),
        (_, 2..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

/// As the command line takes it.
pub(super) fn rfc3339(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds)
        .map_or_else(|_| "TIME".to_owned(), |time| time.to_string())
}
