//! What sort of identity a user is, told from its text in one walk. Names are many, and nearly every rule about actors asks only
//! for this; the view `actor` is the truth, and whatever is unusual is left to it.

use std::borrow::Cow;

use super::actor::{self, Kind};
use crate::event::Envelope;
use crate::json;
use crate::json::walk::{Key, Places, Visitor, walk};

/// `actor.kind` of the JSON text of a user; `None` if only the view can tell.
pub(crate) fn kind(text: &[u8], envelope: Envelope, places: &mut Places) -> Option<Kind> {
    let mut user = UserText::default();
    let is_sound = text.starts_with(b"{") && walk(text, &[], places, &mut user) && !user.is_odd;
    let name = user.name.filter(|_| is_sound)?;
    if !user.has_groups && envelope == Envelope::Gke {
        return None;
    }
    Some(actor::kind(Some(name), Some(&user.groups), envelope, false))
}

/// A user as a walk finds it.
#[derive(Default)]
struct UserText<'a> {
    name: Option<&'a str>,
    groups: Vec<&'a str>,
    has_groups: bool,
    is_odd: bool,
}

/// The members of a user that tell what it is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Other,
    Name,
    Groups,
}

impl<'a> Visitor<'a> for UserText<'a> {
    type Key = Part;

    fn key(&mut self, key: Key<'a>, depth: usize) -> Part {
        // A cloud's own name may be here, or what means the same as one of these keys.
        self.is_odd |= key.is_escaped || matches!(key.text, b"arn" | b"canonicalArn");
        match key.text {
            b"username" if depth == 1 => {
                self.is_odd |= self.name.is_some();
                Part::Name
            }
            b"groups" if depth == 1 => {
                self.is_odd |= self.has_groups;
                self.has_groups = true;
                Part::Groups
            }
            _ => Part::Other,
        }
    }

    fn scalar(&mut self, part: Part, text: &'a [u8], depth: usize) {
        let expected = match part {
            Part::Other => return,
            Part::Name => 1,
            Part::Groups => 2,
        };
        let Some(Cow::Borrowed(plain)) = json::string(text).filter(|_| depth == expected) else {
            self.is_odd = true;
            return;
        };
        if part == Part::Name {
            self.name = Some(plain);
        } else {
            self.groups.push(plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Root;
    use super::super::testing::event;
    use super::*;
    use serde_json::{Value, json};

    /// What is told is what the view says.
    #[track_caller]
    fn check(user: &Value, is_told: bool) {
        let told = kind(
            user.to_string().as_bytes(),
            Envelope::Raw,
            &mut Places::default(),
        );
        assert_eq!(told.is_some(), is_told, "{user}");
        let event = event(json!({"user": user}));
        if let Some(kind) = told {
            assert_eq!(
                event.view(Root::Actor).text("kind"),
                Some(kind.as_str()),
                "{user}"
            );
        }
    }

    #[test]
    fn ordinary_users_are_told() {
        let own = [
            "system:serviceaccounts",
            "system:serviceaccounts:web",
            "system:authenticated",
        ];
        let extra = json!({"authentication.kubernetes.io/pod-name": ["web-0"]});
        check(
            &json!({"username": "system:serviceaccount:web:frontend", "groups": own, "extra": extra}),
            true,
        );
        check(
            &json!({"username": "system:serviceaccount:web:frontend", "groups": own[..1]}),
            true,
        );
        check(&json!({"username": "jane@example.com", "uid": "7"}), true);
        check(
            &json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]}),
            true,
        );
        check(
            &json!({"username": "eve", "groups": ["system:unauthenticated"]}),
            true,
        );
        check(&json!({"username": ""}), true);
    }

    #[test]
    fn unusual_ones_are_not() {
        for user in [
            json!({"groups": []}),
            json!({"username": 7}),
            json!({"username": ["a"]}),
            json!({"username": "a\"b"}),
            json!({"username": "a", "groups": "b"}),
            json!({"username": "a", "groups": [["b"]]}),
            json!({"username": "a", "groups": [1]}),
            json!({"username": "a", "extra": {"arn": ["arn:aws:iam::1:user/a"]}}),
            json!("a"),
            json!(null),
        ] {
            check(&user, false);
        }
    }
}
