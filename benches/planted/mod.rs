//! What was planted in a month of events, and what was found of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;

use anyhow::Context as _;
use detections::surprise::limits::DAY_US;
use detections::surprise::{ActorId, Judgement, Kind, Level, PartKind};

/// What was planted, as `month.py` wrote it down.
pub(crate) struct Labels {
    /// The act of an event, by its audit id.
    pub(crate) acts_of: HashMap<String, usize>,
    /// Kind, name and actor of each.
    acts: Vec<String>,
    newcomers: Vec<String>,
    upgrade_day: i64,
}

impl Labels {
    pub(crate) fn read(path: &str) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let mut labels = Self {
            acts_of: HashMap::new(),
            acts: Vec::new(),
            newcomers: Vec::new(),
            upgrade_day: 0,
        };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            if line.starts_with('#') {
                let head = labels.read_head(line);
                head.with_context(|| format!("{path}: {line}"))?;
            } else if let Some((id, act)) = line.split_once('\t')
                && id != "auditID"
            {
                let next = places.len();
                let place = *places.entry(act.replace('\t', " / ")).or_insert(next);
                labels.acts_of.insert(id.to_owned(), place);
            }
        }
        labels.acts = vec![String::new(); places.len()];
        for (act, place) in places {
            labels.acts[place] = act;
        }
        Ok(labels)
    }

    /// `# …; honest novelty: newcomers A, B, C; clients upgraded on day N`.
    fn read_head(&mut self, line: &str) -> Option<()> {
        let (_, newcomers) = line.split_once("newcomers ")?;
        let (newcomers, _) = newcomers.split_once(';')?;
        self.newcomers = newcomers.split(", ").map(str::to_owned).collect();
        self.upgrade_day = line.rsplit_once("day ")?.1.trim().parse().ok()?;
        Some(())
    }
}

/// A session that was judged.
pub(crate) struct Scored {
    pub(crate) bucket_us: i64,
    pub(crate) actor: ActorId,
    pub(crate) judgement: Judgement,
    pub(crate) acts: BTreeSet<usize>,
}

/// A session as a trivial rule sees it: how much was seen for the first time, by two keys.
#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) acts: BTreeSet<usize>,
    pub(crate) first_seen: [u32; 2],
}

/// What was found in a month.
pub(crate) struct Outcome<'l> {
    pub(crate) labels: &'l Labels,
    /// The day of the first event, microseconds.
    pub(crate) start_us: i64,
    pub(crate) scored: Vec<Scored>,
    pub(crate) naive: BTreeMap<(ActorId, i64), Naive>,
    /// Events that could be judged and were not planted.
    pub(crate) benign: u64,
}

impl Scored {
    fn is_act(&self) -> bool {
        !self.acts.is_empty()
    }

    fn bits(&self) -> f64 {
        self.judgement.bits
    }

    fn bits_before_impact(&self) -> f64 {
        self.judgement.bits_before_impact
    }

    fn client_bits(&self) -> f64 {
        let mut parts = self.judgement.parts.iter();
        let client = parts.find(|part| part.kind == PartKind::Client);
        client.map_or(0.0, |part| part.bits)
    }

    fn level(&self) -> &'static str {
        self.judgement.level.as_str()
    }

    fn is_finding(&self) -> bool {
        self.judgement.level >= Level::Medium
    }

    /// Actor, day and leading value. Of equal ones the prototype takes the last by name.
    fn finding(&self) -> (ActorId, i64, &'static str, String) {
        let parts = self.judgement.parts.iter();
        let named = parts.map(|part| (part.bits, name_of(part.kind), part.value.to_string()));
        let leading = named.max_by(|one, other| {
            let by_bits = one.0.total_cmp(&other.0);
            by_bits.then(one.1.cmp(other.1))
        });
        let (_, name, value) = leading.unwrap_or_default();
        let day = self.bucket_us.div_euclid(DAY_US);
        (self.actor.clone(), day, name, value)
    }
}

/// As the prototype calls it.
fn name_of(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Operation => "op",
        PartKind::Namespace => "ns",
        PartKind::Client => "client",
        PartKind::Network => "net",
        PartKind::Denied => "denied",
        PartKind::Volume => "volume",
    }
}

/// How much a session came to.
type Bits = fn(&Scored) -> f64;

fn most(sessions: &[&Scored], bits: Bits) -> f64 {
    let bits = sessions.iter().map(|scored| bits(scored));
    bits.fold(0.0, f64::max)
}

impl Outcome<'_> {
    /// Prints the tables of the prototype.
    pub(crate) fn report(&self) {
        let planted = self.scored.iter().filter(|scored| scored.is_act()).count();
        println!(
            "{} sessions scored, {} benign events, {} acts, {planted} sessions with planted events",
            self.scored.len(),
            self.benign,
            self.labels.acts.len(),
        );
        self.report_top("unweighted", Scored::bits_before_impact);
        self.report_top("weighted", Scored::bits);
        let thresholds = [4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0];
        self.report_curve("unweighted bits", &thresholds, Scored::bits_before_impact);
        let thresholds = [
            6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 17.0, 18.0, 20.0, 22.0, 24.0,
        ];
        self.report_curve("weighted by impact", &thresholds, Scored::bits);
        self.report_naive();
        self.report_findings();
        self.report_missed();
        self.report_newcomers();
        self.report_upgrade();
    }

    fn report_top(&self, name: &str, bits: Bits) {
        let mut ranked: Vec<&Scored> = self.scored.iter().collect();
        ranked.sort_by(|one, other| bits(other).total_cmp(&bits(one)));
        let mut best: BTreeMap<usize, (usize, f64)> = BTreeMap::new();
        for (rank, scored) in ranked.iter().enumerate() {
            for act in &scored.acts {
                best.entry(*act).or_insert((rank, bits(scored)));
            }
        }
        let acts = self.labels.acts.len();
        let shares = [0.25, 0.5, 1.0, 2.0].map(|share| {
            let within = share / 100.0 * ranked.len() as f64;
            let ranks = best.values().map(|(rank, _)| *rank as f64);
            let found = ranks.filter(|rank| *rank < within).count();
            format!("{share} %: {found}/{acts}")
        });
        let benign: Vec<&Scored> = self.benign().collect();
        let worst = best.values().map(|(_, bits)| *bits);
        println!(
            "{name}: acts in the top {}; best benign {:.1}, worst act {:.1}",
            shares.join(", "),
            most(&benign, bits),
            worst.fold(f64::INFINITY, f64::min),
        );
    }

    fn report_curve(&self, name: &str, thresholds: &[f64], bits: Bits) {
        head(&format!("surprise, {name} (newcomers left out)"));
        let settled = || {
            let sessions = self.scored.iter();
            sessions.filter(|scored| !scored.judgement.is_newcomer)
        };
        for threshold in thresholds {
            let hits = settled().filter(|scored| bits(scored) >= *threshold);
            self.point(*threshold, hits.map(|scored| &scored.acts));
        }
    }

    fn report_naive(&self) {
        let names = [
            "(actor, operation)",
            "(actor, verb, resource, namespace, client, network)",
        ];
        for (place, name) in names.into_iter().enumerate() {
            head(&format!(
                "baseline: at least so many first-seen {name} in a session"
            ));
            for least in [1, 2, 3, 5] {
                let sessions = self.naive.values();
                let hits = sessions.filter(|naive| naive.first_seen[place] >= least);
                self.point(f64::from(least), hits.map(|naive| &naive.acts));
            }
        }
    }

    /// One threshold of a curve, by the acts of the sessions beyond it.
    fn point<'a>(&self, threshold: f64, hits: impl Iterator<Item = &'a BTreeSet<usize>>) {
        let (mut number, mut benign) = (0_u32, 0_u32);
        let mut caught: BTreeSet<usize> = BTreeSet::new();
        for acts in hits {
            number += 1;
            benign += u32::from(acts.is_empty());
            caught.extend(acts);
        }
        let precision = if number == 0 {
            1.0
        } else {
            f64::from(number - benign) / f64::from(number)
        };
        let recall = caught.len() as f64 / self.labels.acts.len() as f64;
        let noise = f64::from(benign) * 1e4 / self.benign as f64;
        println!(
            "  {threshold:9.1}  {number:8}  {benign:6}  {precision:9.3}  {recall:12.3}  {noise:8.2}"
        );
    }

    fn report_findings(&self) {
        let findings = |is_act: bool| {
            let sessions = self.scored.iter();
            let found = sessions.filter(|scored| scored.is_act() == is_act && scored.is_finding());
            found.map(Scored::finding).collect::<BTreeSet<_>>()
        };
        let (planted, benign) = (findings(true), findings(false));
        let benign = benign.difference(&planted).count();
        println!(
            "\nfindings of medium or above (one per actor, day and leading value): {} with planted events, {benign} benign = {:.2} per 10k benign events",
            planted.len(),
            benign as f64 * 1e4 / self.benign as f64,
        );
        let levels = |is_act: bool| {
            let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
            let sessions = self.scored.iter();
            for scored in sessions.filter(|scored| scored.is_act() == is_act) {
                *levels.entry(scored.level()).or_default() += 1;
            }
            levels
        };
        println!(
            "levels of benign sessions: {:?} of sessions with planted events: {:?}",
            levels(false),
            levels(true)
        );
    }

    fn report_missed(&self) {
        let findings = self.scored.iter().filter(|scored| scored.is_finding());
        let caught: BTreeSet<usize> = findings
            .flat_map(|scored| scored.acts.iter().copied())
            .collect();
        let acts = self.labels.acts.iter().enumerate();
        let missed = acts.filter(|(place, _)| !caught.contains(place));
        let missed: BTreeSet<&String> = missed.map(|(_, act)| act).collect();
        println!("acts below medium: {missed:?}");
    }

    fn report_newcomers(&self) {
        for name in &self.labels.newcomers {
            let own: Vec<&Scored> = self
                .benign()
                .filter(|scored| *scored.actor.name == **name)
                .collect();
            let came_us = own.iter().map(|scored| scored.bucket_us).min();
            let day_us = came_us.unwrap_or(0) + DAY_US;
            let (first, later): (Vec<&Scored>, Vec<&Scored>) = own
                .into_iter()
                .partition(|scored| scored.bucket_us < day_us);
            let levels: BTreeSet<&str> = first.iter().map(|scored| scored.level()).collect();
            println!(
                "newcomer {name}: first day {} sessions, most {:.1} bits, levels {levels:?}; later most {:.1}",
                first.len(),
                most(&first, Scored::bits),
                most(&later, Scored::bits),
            );
        }
    }

    fn report_upgrade(&self) {
        let day = self.labels.upgrade_day;
        let since_us = self.start_us + day * DAY_US;
        let people: Vec<&Scored> = self
            .benign()
            .filter(|scored| scored.actor.kind == Kind::Human && scored.bucket_us >= since_us)
            .collect();
        println!(
            "client upgrade on day {day}: most bits of the client part in {} benign sessions of people since: {:.1}",
            people.len(),
            most(&people, Scored::client_bits),
        );
    }

    fn benign(&self) -> impl Iterator<Item = &Scored> {
        self.scored.iter().filter(|scored| !scored.is_act())
    }
}

fn head(title: &str) {
    println!("\n{title}");
    println!(
        "  threshold  sessions  benign  precision  recall(acts)  benign sessions per 10k benign events"
    );
}
