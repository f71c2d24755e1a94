//! The program that sent a request, as it calls itself.

use super::View;
use crate::event::{Event, Field};

pub(super) fn agent(event: &Event) -> View {
    if event.top("userAgent") == Field::Unavailable {
        return View::unavailable();
    }
    let mut view = View::absent();
    if let Some(family) = event.text(&["userAgent"]).and_then(family) {
        view.set("family", family);
    }
    view
}

/// The first word, up to the version: an upgrade is no new program.
fn family(user_agent: &str) -> Option<String> {
    let family = user_agent.trim_start().split(['/', ' ']).next()?;
    (!family.is_empty()).then(|| family.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(user_agent: &Value, expected: Option<&str>) {
        let view = agent(&event(json!({"userAgent": user_agent})));
        assert_eq!(view.text("family"), expected, "{user_agent}");
    }

    #[test]
    fn the_first_word_is_the_family() {
        check(
            &json!("kubectl/v1.34.4 (linux/amd64) kubernetes/1d3f2ab"),
            Some("kubectl"),
        );
        check(&json!("Mozilla/5.0 (X11)"), Some("mozilla"));
        check(&json!(" curl 8.5"), Some("curl"));
        check(&json!("Go-http-client"), Some("go-http-client"));
    }

    #[test]
    fn a_client_without_a_name_has_no_family() {
        for nameless in [json!(""), json!("/1.0"), json!(null), json!(7)] {
            check(&nameless, None);
        }
        assert_eq!(agent(&event(json!({}))), View::absent());
    }
}
