//! Secrets that are recognised by their form, wherever they stand.
//!
//! All forms are one automaton, so a string is read once however many forms there are. A second,
//! small one knows the flags of a few programs (`mysql -p…`): its matches begin at the program's
//! name and run over other arguments, which the first must have seen by then.

use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use regex_automata::{Input, Span};

use super::{hidden_by_name, is_marker, marker, tells_nothing};

/// Groups that hold the secret, if not the whole match is one.
const SECRET_GROUPS: [&str; 4] = ["double", "single", "escaped", "bare"];

/// A value in double quotes, in single ones, in escaped ones (JSON within a string).
const QUOTED: &str =
    r#""(?<double>(?:[^"\\]|\\.)*)"|'(?<single>[^']*)'|\\+"(?<escaped>[^"\\]*)\\+""#;

/// What a value without quotes is made of, and what stands before it if its quotes are never closed.
const BARE: &str = r#"[^\s"'&;|<>]"#;
const OPENED: &str = r#"["'\\]{0,3}"#;

/// A name that may be one of a secret's; [`names`](super::names) decides.
const NAME: &str = concat!(
    r"(?<key>[A-Za-z0-9_.-]*",
    r"(?i:pass|pwd|secret|token|key|credential|auth|cookie|jwt|id_rsa|pat)",
    r"[A-Za-z0-9_.-]*)"
);

/// Between a name and its value. A bare colon needs a blank behind it: `cloud-token:reader` is a
/// role, and `secret-sync:v1.2` an image.
const ASSIGNED: &str = concat!(
    r#"(?:\\*["']?\s{0,8}=\s{0,8}|\\*["']\s{0,8}:\s{0,8}|\s{0,8}:\s{1,8})"#,
    r"(?:(?i:bearer|basic|token|digest)\s+)?"
);

/// How to recognise a form, and how to judge what was found.
struct Form {
    kind: &'static str,
    pattern: String,
    judge: fn(&Found<'_>) -> Option<String>,
}

/// A match: the whole of it, or the parts that its pattern names.
struct Found<'t> {
    kind: &'static str,
    key: Option<&'t str>,
    secret: &'t str,
}

/// An automaton, and the forms by the index of its patterns.
struct Forms {
    regex: Option<Regex>,
    forms: Vec<Form>,
}

static ANYWHERE: LazyLock<Forms> = LazyLock::new(|| Forms::new(anywhere()));
static PROGRAMS: LazyLock<Forms> = LazyLock::new(|| Forms::new(programs()));

/// Passes over one text. The second finds nothing new unless somebody nests names and secrets to
/// see what happens; every pass leaves less that could be found.
const PASSES_MAX: usize = 8;

/// The text without its secrets; `None` if it has none.
pub(super) fn replace(text: &str) -> Option<String> {
    let mut redacted: Option<String> = None;
    for _ in 0..PASSES_MAX {
        let before = redacted.as_deref().unwrap_or(text);
        let first = ANYWHERE.replace(before);
        let second = PROGRAMS.replace(first.as_deref().unwrap_or(before));
        let Some(after) = second.or(first) else { break };
        redacted = Some(after);
    }
    redacted
}

/// For each argument of a command what to put in its place, where its neighbours or its own form
/// say so.
pub(super) fn arguments(arguments: &[&str]) -> Vec<Option<String>> {
    let mut redacted = Vec::with_capacity(arguments.len());
    let mut program = "";
    let mut before = "";
    for argument in arguments {
        let hidden = argument_secret(program, before, argument);
        let name = argument.rsplit('/').next().unwrap_or(argument);
        if hidden.is_none() && !argument.starts_with('-') && PROGRAM_NAMES.contains(&name) {
            program = name;
        }
        before = argument;
        // The rest of it may hold a secret of its own, such as a token in the place of a name.
        redacted.push(hidden.map(|hidden| replace(&hidden).unwrap_or(hidden)));
    }
    redacted
}

const PROGRAM_NAMES: [&str; 8] = [
    "mysql",
    "mysqldump",
    "mysqladmin",
    "mariadb",
    "sshpass",
    "curl",
    "wget",
    "redis-cli",
];

/// A padded secret ends in `=`, so an assignment is thought of last.
fn argument_secret(program: &str, before: &str, argument: &str) -> Option<String> {
    let follows_flag =
        before.starts_with('-') && !before.contains('=') && !argument.starts_with('-');
    let by_flag = follows_flag
        .then(|| hidden_by_name(before, argument))
        .flatten();
    by_flag
        .or_else(|| program_secret(program, before, argument))
        .or_else(|| {
            let (name, value) = argument
                .split_once('=')
                .filter(|(name, _)| is_plain_name(name))?;
            hidden_by_name(name, value).map(|hidden| format!("{name}={hidden}"))
        })
}

/// Flags that mean a password with these programs only.
fn program_secret(program: &str, before: &str, argument: &str) -> Option<String> {
    let hide = |secret: &str| (!tells_nothing(secret)).then(|| marker("password", secret));
    match (program, before) {
        ("redis-cli", "-a") | ("sshpass", "-p") => hide(argument),
        ("curl" | "wget", "-u" | "--user") => {
            let (user, password) = argument.split_once(':')?;
            Some(format!("{user}:{}", hide(password)?))
        }
        ("mysql" | "mysqldump" | "mysqladmin" | "mariadb" | "sshpass", _) => {
            Some(format!("-p{}", hide(argument.strip_prefix("-p")?)?))
        }
        _ => None,
    }
}

fn is_plain_name(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn form(
    kind: &'static str,
    pattern: impl Into<String>,
    judge: fn(&Found<'_>) -> Option<String>,
) -> Form {
    Form {
        kind,
        pattern: pattern.into(),
        judge,
    }
}

/// In order of precedence where two forms start at the same place.
fn anywhere() -> Vec<Form> {
    let pem_end = "-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----";
    vec![
        // Without its end, all that follows belongs to the key: the text was cut.
        form(
            "private-key",
            format!(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:{pem_end}|\z)"),
            always,
        ),
        // `PRIVATE KEY` in base64, at each of the three places that it can have in a group of three
        // bytes.
        form(
            "private-key",
            "[A-Za-z0-9+/]*(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)[A-Za-z0-9+/=]*",
            always,
        ),
        form(
            "jwt",
            r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",
            always,
        ),
        form("aws-key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", always),
        form("token", vendor_tokens(), always),
        form(
            "token",
            r"\b(?<key>(?i:bearer|basic))[ +]+(?<bare>[A-Za-z0-9._~+/=-]{8,})",
            not_prose,
        ),
        form(
            "password",
            r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"']*:(?<bare>[^\s/@"']+)@"#,
            unless_telling_nothing,
        ),
        form(
            "",
            format!("{NAME}{ASSIGNED}(?:{QUOTED}|{OPENED}(?<bare>{BARE}+))"),
            by_name,
        ),
        form("", format!("{NAME}:(?:{QUOTED})"), by_name),
        // What follows a flag and begins with a hyphen is the next flag.
        form(
            "",
            format!(
                r"(?:^|[\s\x22'])--?{NAME}\s+(?:{QUOTED}|{OPENED}(?<bare>[^\s\x22'&;|<>-]{BARE}*))"
            ),
            by_name,
        ),
    ]
}

fn vendor_tokens() -> &'static str {
    concat!(
        r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{36}",
        r"|xox[abeprs]-[A-Za-z0-9-]{10,}|sk_live_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35}|hvs\.[A-Za-z0-9_-]{20,})"
    )
}

/// The same flags within one string.
fn programs() -> Vec<Form> {
    let rest = r"[^\n;|&]*?\s";
    vec![
        form(
            "password",
            format!(
                r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b{rest}-p['\x22]?(?<bare>[^\s'\x22-][^\s'\x22]*)"
            ),
            unless_telling_nothing,
        ),
        form(
            "password",
            r"\bsshpass\s+-p\s*['\x22]?(?<bare>[^\s'\x22]+)",
            unless_telling_nothing,
        ),
        form(
            "password",
            format!(
                r"\b(?:curl|wget)\b{rest}(?:-u|--user)[ =]?['\x22]?[^\s:'\x22]*:(?<bare>[^\s'\x22]+)"
            ),
            unless_telling_nothing,
        ),
        form(
            "password",
            format!(r"\bredis-cli\b{rest}-a\s+['\x22]?(?<bare>[^\s'\x22]+)"),
            unless_telling_nothing,
        ),
    ]
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for every judge")]
fn always(found: &Found<'_>) -> Option<String> {
    Some(marker(found.kind, found.secret))
}

fn unless_telling_nothing(found: &Found<'_>) -> Option<String> {
    (!tells_nothing(found.secret)).then(|| marker(found.kind, found.secret))
}

/// `Bearer authentication` is prose: credentials have digits or are long.
fn not_prose(found: &Found<'_>) -> Option<String> {
    let looks_random =
        found.secret.len() >= 20 || found.secret.bytes().any(|byte| byte.is_ascii_digit());
    looks_random.then(|| marker(found.kind, found.secret))
}

fn by_name(found: &Found<'_>) -> Option<String> {
    hidden_by_name(found.key?, found.secret)
}

impl Forms {
    /// The patterns are constants, and a test compiles them: one that did not compile would find
    /// nothing.
    fn new(forms: Vec<Form>) -> Self {
        let patterns: Vec<&str> = forms.iter().map(|form| form.pattern.as_str()).collect();
        let regex = Regex::new_many(&patterns).ok();
        Self { regex, forms }
    }

    fn replace(&self, text: &str) -> Option<String> {
        let regex = self.regex.as_ref()?;
        let mut captures = regex.create_captures();
        let mut out = String::new();
        let (mut copied, mut at) = (0, 0);
        while at <= text.len() {
            regex.search_captures(&Input::new(text).range(at..), &mut captures);
            let Some(end) = captures.get_match().map(|found| found.end()) else {
                break;
            };
            let (span, hidden) = self.judge(text, &captures)?;
            if let Some(hidden) = hidden {
                out.push_str(text.get(copied..span.start)?);
                out.push_str(&hidden);
                copied = span.end;
                at = end;
            } else {
                at = after_rejected(text, &captures, span, end);
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..)?);
        Some(out)
    }

    /// Where the secret of a match stands, and what to put there; nothing if it turns out to be
    /// none.
    fn judge(&self, text: &str, captures: &Captures) -> Option<(Span, Option<String>)> {
        let form = self.forms.get(captures.pattern()?.as_usize())?;
        let named = SECRET_GROUPS
            .iter()
            .find_map(|group| captures.get_group_by_name(group));
        let span = named.or_else(|| captures.get_match().map(|found| found.span()))?;
        let key = captures
            .get_group_by_name("key")
            .and_then(|key| text.get(key.range()));
        let found = Found {
            kind: form.kind,
            key,
            secret: text.get(span.range())?,
        };
        Some((span, (form.judge)(&found)))
    }
}

/// Where to search on. After a name that is none of a secret's, what was taken for its value may
/// hold a secret itself; a marker is passed over as a whole.
fn after_rejected(text: &str, captures: &Captures, span: Span, end: usize) -> usize {
    let is_marker = text.get(span.range()).is_some_and(is_marker);
    match captures.get_group_by_name("key") {
        Some(key) if !is_marker => key.end,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for forms in [&ANYWHERE, &PROGRAMS] {
            for form in &forms.forms {
                assert!(Regex::new(&form.pattern).is_ok(), "{}", form.pattern);
            }
            assert!(forms.regex.is_some());
        }
    }
}
