//! The values of several fields as one.

use serde_json::Value;

use crate::scalar;

use super::plan::{MEMBERS_MAX, bounded};

/// What stands for a field that an event does not have, among others that it has: the core API group has no name.
const NONE: &str = "-";

/// Between the values of several fields.
const BETWEEN: &str = " · ";

/// The values of an event for fields in their order: of one field as they are, of several each combination of them. An event
/// that has none of the fields has no value; an empty text is none.
pub(super) fn combined(fields: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let fields: Vec<Vec<String>> = fields.map(texts).collect();
    if fields.iter().all(Vec::is_empty) {
        return None;
    }
    let mut all = vec![String::new()];
    for (place, texts) in fields.iter().enumerate() {
        let mut longer = Vec::new();
        for head in &all {
            let with = |text: &str| match (fields.len(), place) {
                (1, _) => text.to_owned(),
                (_, 0) => apart(text),
                _ => format!("{head}{BETWEEN}{}", apart(text)),
            };
            longer.extend(texts.iter().map(|text| with(text)));
            if texts.is_empty() {
                longer.push(with(NONE));
            }
        }
        longer.truncate(MEMBERS_MAX);
        all = longer;
    }
    let values = all.into_iter().map(|text| Value::from(&*bounded(text)));
    let mut values: Vec<Value> = values.collect();
    match values.len() {
        1 => values.pop(),
        _ => Some(Value::Array(values)),
    }
}

/// Doubles the dots of a text, so that no value can look like two.
fn apart(text: &str) -> String {
    text.replace('·', "··")
}

fn texts(value: Option<Value>) -> Vec<String> {
    let members = match value {
        None => Vec::new(),
        Some(Value::Array(members)) => members,
        Some(single) => vec![single],
    };
    let texts = members.iter().filter_map(scalar::text).map(String::from);
    texts.filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(fields: &[Value], expected: &Value) {
        let fields = fields.iter().map(|field| Some(field.clone()));
        let found = combined(fields.map(|field| field.filter(|value| !value.is_null())));
        assert_eq!(found.unwrap_or_default(), *expected);
    }

    #[test]
    fn fields_become_one_value() {
        check(&[json!("a · b")], &json!("a · b"));
        check(
            &[json!("get"), json!(""), json!("pods")],
            &json!("get · - · pods"),
        );
        check(
            &[json!("get"), json!(null), json!(1)],
            &json!("get · - · 1"),
        );
        check(&[json!(null), json!("")], &json!(null));
    }

    #[test]
    fn each_combination_of_lists_is_one() {
        check(&[json!(["a", "b"])], &json!(["a", "b"]));
        check(
            &[json!(["a", "b"]), json!(["c", {}, "d"])],
            &json!(["a · c", "a · d", "b · c", "b · d"]),
        );
    }

    #[test]
    fn no_value_looks_like_two() {
        check(&[json!("a · b"), json!("c")], &json!("a ·· b · c"));
        check(&[json!("a"), json!("b · c")], &json!("a · b ·· c"));
    }

    #[test]
    fn there_are_not_more_than_can_be_judged() {
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let found = combined([Some(json!(many)), Some(json!(many))].into_iter());
        assert_eq!(found.unwrap().as_array().unwrap().len(), MEMBERS_MAX);
    }
}
