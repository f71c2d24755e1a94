use proptest::prelude::*;

use super::*;
use crate::correlation::Habit;
use crate::correlation::Values;
use crate::correlation::naive::{self, NaiveEvent};
use crate::diagnostic::Source;
use crate::sigma::{Placeholders, load};

const SECOND: i64 = 1_000_000;

/// One correlation of each kind over two rules, two baselines, and a chain.
const RULES: &str = r"
title: First
name: first
logsource: {product: kubernetes}
detection: {selection: {verb: get}, condition: selection}
---
title: Second
name: second
logsource: {product: kubernetes}
detection: {selection: {verb: list}, condition: selection}
---
title: Many
name: many
correlation: {type: event_count, rules: [first], group-by: [user.username], timespan: 10s, condition: {gte: 3}}
---
title: Few
name: few
correlation: {type: event_count, rules: [first, second], group-by: [user.username], timespan: 10s, condition: {gte: 2, lt: 4}}
---
title: Values
name: values
correlation: {type: value_count, rules: [first], group-by: [user.username], timespan: 10s, condition: {field: objectRef.name, gte: 2}}
---
title: Ordered
name: ordered
correlation: {type: temporal_ordered, rules: [first, second], group-by: [user.username], timespan: 10s}
---
title: News
name: news
baseline: {type: first_seen, rules: [first, second], group-by: [user.username], of: [objectRef.name], learn: 10s, forget: 25s}
---
title: Outburst
name: outburst
baseline: {type: spike, rules: [first], group-by: [user.username], timespan: 5s, learn: 10s, forget: 30s, at-least: 2, deviations: 0.5}
---
title: Chain
name: chain
correlation: {type: temporal_ordered, rules: [many, second], group-by: [user.username], timespan: 20s}
";

fn plan() -> Correlations {
    plan_of(RULES)
}

fn plan_of(rules: &str) -> Correlations {
    let loaded = load(&[Source::new("test.yml", rules)], &Placeholders::new());
    let faults: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|fault| fault.render(false))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // As if each correlation were wanted for itself.
    let mut correlations = loaded.correlations;
    for correlation in &mut correlations {
        correlation.silent = false;
    }
    Correlations::new(correlations, &loaded.rules)
}

/// An event of one rule, by one of some users, with one of some names.
#[derive(Clone, Copy, Debug)]
struct Happening {
    time_us: i64,
    rule: usize,
    user: u8,
    name: u8,
}

fn event(plan: &Correlations, number: usize, happening: Happening) -> Fed<u64> {
    let json = serde_json::json!({
        "auditID": number.to_string(),
        "user": {"username": format!("user-{}", happening.user)},
        "objectRef": {"name": format!("name-{}", happening.name)},
    });
    let bytes = json.to_string();
    let event = crate::event::Event::parse(
        bytes.as_bytes(),
        crate::event::Origin::default(),
        Arc::default(),
    );
    let event = event.unwrap();
    Fed {
        at: Moment {
            time_us: happening.time_us,
            identity: event.request_identity(),
        },
        cluster: "".into(),
        goes_on: false,
        feeds: plan.feeds(&[happening.rule], &event),
        brief: "".into(),
        witness: number as u64,
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = (0..60_i64, 0..2_usize, 0..2_u8, 0..3_u8).prop_map(|(second, rule, user, name)| {
        Happening {
            time_us: second * SECOND,
            rule,
            user,
            name,
        }
    });
    prop::collection::vec(one, 0..60)
}

/// As it is stored and read back.
fn stored(state: &State<u64>) -> State<u64> {
    let mut copy = State::default();
    for shard in &state.shards {
        for (id, group) in &shard.groups {
            let text = serde_json::to_string(group).unwrap();
            let mut group: Group<u64> = serde_json::from_str(&text).unwrap();
            group.correlation = shard.groups[id].correlation;
            copy.restore(*id, group);
        }
        for (key, began_us) in &shard.started {
            copy.restore_started(*key, *began_us);
        }
    }
    assert_eq!(copy.len(), state.len());
    copy
}

/// What the groups of a correlation reach by brute force: when, and for whom.
fn by_force(plan: &Correlations, name: &str, events: &[Fed<u64>]) -> Vec<(i64, Values)> {
    let place = plan
        .all()
        .iter()
        .position(|spec| spec.header.name == name)
        .unwrap();
    let spec = &plan.all()[place];
    let mut groups: BTreeMap<Values, Vec<NaiveEvent>> = BTreeMap::new();
    for event in events {
        for feed in event.feeds.iter().filter(|feed| feed.correlation == place) {
            groups
                .entry(feed.values.clone())
                .or_default()
                .push(NaiveEvent {
                    at: event.at,
                    input: feed.input,
                    value: feed.value(),
                });
        }
    }
    let mut found = Vec::new();
    for (values, events) in groups {
        for (index, _) in naive::reached(spec, &events) {
            let at_us = events.get(index).map_or(i64::MAX, |event| event.at.time_us);
            found.push((at_us, values.clone()));
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn groups_find_what_brute_force_finds(happenings in happenings(), cut in 0..60_usize) {
        let plan = plan();
        let mut events: Vec<_> = happenings
            .iter()
            .enumerate()
            .map(|(number, happening)| event(&plan, number, *happening))
            .collect();
        events.sort_by_key(|event| event.at);
        let mut state = State::default();
        let mut found: BTreeMap<String, Vec<(i64, Values)>> = BTreeMap::new();
        for (number, event) in events.iter().enumerate() {
            if number == cut {
                state = stored(&state);
            }
            for (place, _) in state.feed(&plan, event) {
                let spec = &plan.all()[place];
                let feed = event.feeds.iter().find(|feed| feed.correlation == place).unwrap();
                found.entry(spec.header.name.clone()).or_default().push((
                    event.at.time_us,
                    feed.values.clone(),
                ));
            }
        }
        for name in ["many", "values", "ordered", "news", "outburst"] {
            let mut found = found.remove(name).unwrap_or_default();
            found.sort();
            let forced = by_force(&plan, name, &events);
            prop_assert_eq!(found, forced, "{}", name);
        }
    }

    #[test]
    fn an_episode_counts_each_event_once(happenings in happenings()) {
        let plan = plan();
        let mut events: Vec<_> = happenings
            .iter()
            .enumerate()
            .map(|(number, happening)| event(&plan, number, *happening))
            .collect();
        events.sort_by_key(|event| event.at);
        let mut state = State::default();
        for event in &events {
            state.feed(&plan, event);
        }
        let many = plan.all().iter().position(|spec| spec.header.name == "many").unwrap();
        for ended in state.finish(&plan).iter().filter(|ended| ended.correlation == many) {
            let fed = events.iter().filter(|event| {
                event.feeds.iter().any(|feed| feed.correlation == many && feed.values == ended.values)
            });
            prop_assert!(ended.episode.events <= fed.count() as u64);
            prop_assert!(ended.episode.events >= 3);
        }
        prop_assert!(state.is_empty());
    }
}

#[test]
fn a_chain_is_fed_by_what_its_inner_correlation_finds() {
    let plan = plan();
    let at = |second: i64, rule| Happening {
        time_us: second * SECOND,
        rule,
        user: 0,
        name: 0,
    };
    let fired = |happenings: &[Happening]| {
        let mut state = State::default();
        for (number, happening) in happenings.iter().enumerate() {
            state.feed(&plan, &event(&plan, number, *happening));
        }
        let ended = state.finish(&plan);
        let mut names = ended
            .iter()
            .map(|ended| plan.all()[ended.correlation].header.name.as_str());
        names.any(|name| name == "chain")
    };
    assert!(fired(&[at(0, 0), at(1, 0), at(2, 0), at(3, 1)]));
    assert!(!fired(&[at(0, 0), at(1, 0), at(3, 1)]));
    assert!(!fired(&[at(0, 1), at(1, 0), at(2, 0), at(3, 0)]));
}

#[test]
fn a_request_that_goes_on_counts_once() {
    let plan = plan();
    let happening = |second: i64| Happening {
        time_us: second * SECOND,
        rule: 0,
        user: 0,
        name: 0,
    };
    let mut state: State<u64> = State::default();
    for (number, end_us) in [(0, SECOND), (1, 2 * SECOND)] {
        let mut began = event(&plan, number, happening(0));
        began.goes_on = true;
        let mut ended = event(&plan, number, happening(0));
        ended.at.time_us += end_us;
        let place = state.feed(&plan, &began);
        assert!(
            place
                .iter()
                .all(|(place, _)| plan.all()[*place].header.name != "many")
        );
        state = stored(&state);
        state.feed(&plan, &ended);
    }
    let ended = state.finish(&plan);
    assert!(
        ended
            .iter()
            .all(|ended| plan.all()[ended.correlation].header.name != "many")
    );
}

#[test]
fn a_flood_of_keys_pushes_out_no_attack_that_goes_on() {
    let plan = plan();
    let many = plan
        .all()
        .iter()
        .position(|spec| spec.header.name == "many")
        .unwrap();
    let feed = |user: String, time_us: i64, number: u64| {
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&number.to_be_bytes());
        Fed {
            at: Moment { time_us, identity },
            cluster: "".into(),
            goes_on: false,
            feeds: vec![Feed {
                correlation: many,
                input: 0,
                values: [Some(user.into())].into(),
                value: None,
            }],
            brief: "".into(),
            witness: (),
        }
    };
    let mut state = State::default();
    state.feed(&plan, &feed("slow".to_owned(), 0, 0));
    state.feed(&plan, &feed("slow".to_owned(), 1, 1));
    let flood = 300_000;
    for number in 0..flood {
        state.feed(
            &plan,
            &feed(
                format!("flood-{number}"),
                2 + number / 1000,
                2 + number.unsigned_abs(),
            ),
        );
    }
    assert!(state.len() < 270_000, "{}", state.len());
    let lost = state.lost()[&many];
    assert!(lost.given_up > 30_000 && lost.refused == 0, "{lost:?}");
    let reached = state.feed(&plan, &feed("slow".to_owned(), 5 * SECOND, u64::MAX));
    assert_eq!(
        reached.len(),
        1,
        "the third event of the slow one completes its window"
    );
}

/// A group that was learned long ago, fed with a new name at these times.
fn learned(state: &mut State<u64>, plan: &Correlations, times_us: &[i64]) -> usize {
    let news = plan
        .all()
        .iter()
        .position(|spec| spec.header.name == "news");
    let mut feed = |number: usize, time_us: i64, name: u8| {
        let happening = Happening {
            time_us,
            rule: 0,
            user: 0,
            name,
        };
        state.feed(plan, &event(plan, number, happening));
    };
    // Seen often enough to be remembered.
    for (number, turn) in (0..60_i64).enumerate() {
        feed(number, turn * 20 * SECOND, 0);
    }
    for (number, time_us) in times_us.iter().enumerate() {
        feed(100 + number, *time_us, 1 + u8::try_from(number).unwrap());
    }
    news.unwrap()
}

#[test]
fn new_values_within_an_hour_are_one_finding_that_tells_what_was_known() {
    let plan = plan();
    let mut state: State<u64> = State::default();
    let times_us = [1181, 1182, 1200].map(|second| second * SECOND);
    let news = learned(&mut state, &plan, &times_us);
    let ended = state.finish(&plan);
    let of_news: Vec<_> = ended
        .iter()
        .filter(|ended| ended.correlation == news)
        .collect();
    let [only] = of_news.as_slice() else {
        panic!("{} findings", of_news.len());
    };
    let episode = &only.episode;
    assert_eq!((episode.events, episode.first_us), (3, times_us[0]));
    assert_eq!(
        episode.values,
        ["name-1".into(), "name-2".into(), "name-3".into()]
    );
    let usual = episode.usual.as_deref().unwrap();
    assert_eq!((usual.since_us, usual.events), (0, 60));
    let Habit::Values { known, count, .. } = &usual.habit else {
        panic!("no values");
    };
    assert_eq!((&*known[0].text, known[0].times, *count), ("name-0", 60, 1));
}

#[test]
fn a_finding_that_is_over_leaves_its_group_which_goes_on() {
    let mut text = RULES.replace("forget: 25s", "forget: 2d");
    text = text.replace("forget: 30s", "forget: 2d");
    let plan = plan_of(&text);
    let mut state: State<u64> = State::default();
    let news = learned(&mut state, &plan, &[1181 * SECOND]);
    let groups = state.len();
    assert!(
        state
            .take_ended()
            .iter()
            .all(|ended| ended.correlation != news)
    );
    let cluster: Arc<str> = "".into();
    state.advance(&plan, &cluster, 1181 * SECOND + 3600 * SECOND);
    assert!(
        state
            .take_ended()
            .iter()
            .all(|ended| ended.correlation != news)
    );
    state.advance(&plan, &cluster, 1181 * SECOND + 3600 * SECOND + 1);
    let ended = state.take_ended();
    assert!(ended.iter().any(|ended| ended.correlation == news));
    let mut state = stored(&state);
    assert!(groups > state.len() && !state.is_empty());
    // What was found is known now, and what is new is another finding.
    let later = |number: usize, name: u8| {
        let happening = Happening {
            time_us: 2 * 3600 * SECOND,
            rule: 0,
            user: 0,
            name,
        };
        event(&plan, number, happening)
    };
    assert!(
        state
            .feed(&plan, &later(200, 1))
            .iter()
            .all(|(of, _)| *of != news)
    );
    assert!(
        state
            .feed(&plan, &later(201, 2))
            .iter()
            .any(|(of, _)| *of == news)
    );
}

#[test]
fn what_a_baseline_must_forget_is_counted() {
    let plan = plan();
    let news = plan
        .all()
        .iter()
        .position(|spec| spec.header.name == "news");
    let mut state = State::default();
    for number in 0..300_u64 {
        let mut identity = [0; 16];
        identity[..8].copy_from_slice(&number.to_be_bytes());
        let fed = Fed {
            at: Moment {
                time_us: 0,
                identity,
            },
            cluster: "".into(),
            goes_on: false,
            feeds: vec![Feed {
                correlation: news.unwrap(),
                input: 0,
                values: [None].into(),
                value: Some(number.to_string().into()),
            }],
            brief: "".into(),
            witness: (),
        };
        state.feed(&plan, &fed);
    }
    assert_eq!(state.lost()[&news.unwrap()].forgotten, 300 - 256);
}
