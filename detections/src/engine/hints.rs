//! What a body must hold for a test of it to be anything but false.
//!
//! A test of a view over bodies costs a parsed document. Most bodies can be ruled out by less: a test for
//! `change.pod.containers.securityContext.privileged: true` needs a key `privileged` with the value `true` somewhere in the
//! body, whatever the view makes of it. So each such test is turned into atoms, a key with a test of its scalar, and a
//! combination of them that holds whenever the test does. One walk through a body finds all atoms that are in it.
//!
//! Hints only over-approximate: where it is not plain that a view copies what is in the body, the hint is [`Hint::Always`].

use std::collections::HashMap;

use super::dictionary::Dictionary;
use super::keys::Keys;
use crate::limits::MEMO_BYTES_MAX;
use crate::matcher::{Check, Scalar};
use crate::path::FieldPath;
use crate::sigma::ast::{
    ArrayTest, Block, Condition, Detection, FieldTest, Quantifier, Search, Test, ValueTest,
};
use crate::truth::Truth;

/// Which part of the event a test reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `object`.
    Object,
    /// `pod`.
    Pod,
    /// `change.object`.
    ChangedObject,
    /// `change.pod`.
    ChangedPod,
    /// `requestObject`.
    Request,
    /// `responseObject`.
    Response,
}

/// A condition on the atoms in a body.
#[derive(Debug, PartialEq)]
pub(super) enum Hint {
    /// Nothing is known: the test may hold for any body.
    Always,
    Atom(usize),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The atoms of all rules, by key.
#[derive(Debug, Default)]
pub(super) struct Atoms {
    /// What the scalar must be; `None` if any value will do, also an object.
    checks: Vec<Option<Check>>,
    /// The atoms of each key, by the key's number.
    by_key: Vec<Vec<u32>>,
    /// Those of them that only ask for the key: hardly any.
    of_key_alone: Vec<Vec<u32>>,
    keys: Keys,
    /// Some key holds characters that JSON must escape.
    has_quoted_keys: bool,
    known: HashMap<String, usize>,
}

impl Hint {
    /// Whether the test may hold for a body with these atoms.
    pub(super) fn may_hold(&self, found: &[bool]) -> bool {
        match self {
            Self::Always => true,
            Self::Atom(atom) => found.get(*atom).is_none_or(|found| *found),
            Self::All(parts) => parts.iter().all(|part| part.may_hold(found)),
            Self::Any(parts) => parts.iter().any(|part| part.may_hold(found)),
        }
    }

    /// Marks its atoms.
    fn mark(&self, marked: &mut [bool]) {
        match self {
            Self::Always => {}
            Self::Atom(atom) => marked[*atom] = true,
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.mark(marked);
                }
            }
        }
    }
}

/// The keys that some rules ask for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By the number of the key.
    keys: Vec<bool>,
}

impl Wanted {
    /// What some hints ask for.
    pub(super) fn of<'h>(hints: impl IntoIterator<Item = &'h Hint>, atoms: &Atoms) -> Self {
        let mut wanted = vec![false; atoms.len()];
        for hint in hints {
            hint.mark(&mut wanted);
        }
        let asks = |key: &Vec<u32>| key.iter().any(|atom| wanted[*atom as usize]);
        Self {
            keys: atoms.by_key.iter().map(asks).collect(),
        }
    }

    /// Everything.
    pub(super) fn all(atoms: &Atoms) -> Self {
        Self {
            keys: vec![true; atoms.by_key.len()],
        }
    }

    /// The number of a key, if anybody asks for it.
    #[inline]
    pub(super) fn key(&self, atoms: &Atoms, key: &[u8]) -> Option<u32> {
        let number = atoms.keys.number(key)?;
        self.keys.get(number as usize)?.then_some(number)
    }
}

impl Atoms {
    pub(super) fn len(&self) -> usize {
        self.checks.len()
    }

    /// The hint of a test of one field, and where the field is read; `None` if it is not read from a body.
    pub(super) fn of_field(&mut self, test: &FieldTest) -> Option<(Place, Hint)> {
        let path = test.field.as_ref()?;
        let (place, skip) = place(path)?;
        let hint = match ending(place, path, skip) {
            Ending::Unknown => Hint::Always,
            Ending::Mounts => self.mounts(&test.test),
            Ending::Last(keys) => self.test(&keys, &test.test),
        };
        Some((place, hint))
    }

    /// The hint of an array block.
    pub(super) fn of_array(&mut self, test: &ArrayTest) -> Option<(Place, Hint)> {
        let path = test.field.as_ref()?;
        let (place, skip) = place(path)?;
        let hint = match (test.quantifier, ending(place, path, skip)) {
            (Quantifier::None | Quantifier::AllOrEmpty, _) => Hint::Always,
            (_, Ending::Mounts) => self.atom(&[b"hostPath".as_slice().into()], None),
            // The list may have gathered elements of lists by other names; its elements are as they were.
            (_, Ending::Unknown) => self.block(&test.block, &[]),
            (_, Ending::Last(keys)) => self.block(&test.block, &keys),
        };
        Some((place, hint))
    }

    /// `own` are the keys under which an element stands that is a scalar; none if they are not known.
    fn block(&mut self, block: &Block, own: &[Box<[u8]>]) -> Hint {
        match block {
            Block::Basic(search) => self.search(search, own),
            Block::Extended(detection) => self.condition(&detection.condition, detection, own),
        }
    }

    fn search(&mut self, search: &Search, own: &[Box<[u8]>]) -> Hint {
        match search {
            Search::All(parts) => {
                Hint::All(parts.iter().map(|part| self.search(part, own)).collect())
            }
            Search::Any(parts) => {
                Hint::Any(parts.iter().map(|part| self.search(part, own)).collect())
            }
            Search::Field(FieldTest { field, test, .. }) => match field {
                Some(path) if is_made_up(path) => Hint::Always,
                Some(path) => self.test(&last_keys(path, 0), test),
                None if own.is_empty() => Hint::Always,
                None => self.test(own, test),
            },
            Search::Array(inner) => match (inner.quantifier, &inner.field) {
                (Quantifier::Any | Quantifier::All, Some(path)) => {
                    self.block(&inner.block, &last_keys(path, 0))
                }
                _ => Hint::Always,
            },
            Search::Keywords(_) => Hint::Always,
        }
    }

    fn condition(
        &mut self,
        condition: &Condition,
        detection: &Detection,
        own: &[Box<[u8]>],
    ) -> Hint {
        match condition {
            Condition::Selection(index) => self.search(&detection.selections[*index].search, own),
            Condition::Not(_) => Hint::Always,
            Condition::And(parts) => Hint::All(
                parts
                    .iter()
                    .map(|part| self.condition(part, detection, own))
                    .collect(),
            ),
            Condition::Or(parts) => Hint::Any(
                parts
                    .iter()
                    .map(|part| self.condition(part, detection, own))
                    .collect(),
            ),
        }
    }

    fn test(&mut self, keys: &[Box<[u8]>], test: &Test) -> Hint {
        match test {
            Test::Exists(true) => self.atom(keys, None),
            Test::Values {
                negated: false,
                values,
                ..
            } if !values.iter().any(refers) => {
                // If all values are asked for, one of them is there too.
                let some = Test::Values {
                    all: false,
                    negated: false,
                    values: values.clone(),
                };
                self.atom(keys, Some(&some))
            }
            _ => Hint::Always,
        }
    }

    /// Entries of `host_mounts` are put together from volumes with a `hostPath`; their values are rewritten.
    fn mounts(&mut self, test: &Test) -> Hint {
        match test {
            Test::Exists(true) | Test::Values { negated: false, .. } => {
                self.atom(&[b"hostPath".as_slice().into()], None)
            }
            _ => Hint::Always,
        }
    }

    fn atom(&mut self, keys: &[Box<[u8]>], test: Option<&Test>) -> Hint {
        // Keys are found by their first byte.
        if keys.iter().any(|key| key.is_empty()) {
            return Hint::Always;
        }
        let name = format!("{keys:?} {test:?}");
        if let Some(atom) = self.known.get(&name) {
            return Hint::Atom(*atom);
        }
        let atom = self.checks.len();
        self.checks.push(test.map(Check::new));
        self.known.insert(name, atom);
        for key in keys {
            self.enter(key, u32::try_from(atom).unwrap_or(u32::MAX));
        }
        Hint::Atom(atom)
    }

    fn enter(&mut self, key: &[u8], atom: u32) {
        let number = self.keys.enter(key) as usize;
        if number == self.by_key.len() {
            self.by_key.push(Vec::new());
            self.of_key_alone.push(Vec::new());
        }
        self.by_key[number].push(atom);
        if self.checks[atom as usize].is_none() {
            self.of_key_alone[number].push(atom);
        }
        self.has_quoted_keys |= key.iter().any(|byte| matches!(byte, ..0x20 | b'"' | b'\\'));
    }

    pub(super) fn has_quoted_keys(&self) -> bool {
        self.has_quoted_keys
    }

    /// Marks the atoms that only ask for the key.
    #[inline]
    pub(super) fn mark_key(&self, key: u32, found: &mut [bool]) {
        for atom in &self.of_key_alone[key as usize] {
            found[*atom as usize] = true;
        }
    }

    /// Marks the atoms that a scalar under this key makes true.
    pub(super) fn mark_scalar(&self, key: u32, text: &[u8], memo: &mut Memo, found: &mut [bool]) {
        let atoms = &self.by_key[key as usize];
        let memory = memo.of_key(key);
        let Some(number) = memory.texts.number(text) else {
            self.matching(atoms, text)
                .for_each(|atom| found[atom as usize] = true);
            return;
        };
        let number = number as usize;
        if number >= memory.matches.len() {
            memory.matches.resize(number + 1, None);
        }
        let matches =
            memory.matches[number].get_or_insert_with(|| self.matching(atoms, text).collect());
        for atom in matches {
            found[*atom as usize] = true;
        }
    }

    /// The atoms that a scalar makes true.
    fn matching<'a>(&'a self, atoms: &'a [u32], text: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let scalar = Scalar::of_json(text);
        atoms.iter().copied().filter(move |atom| {
            let check = self.checks[*atom as usize].as_ref();
            check
                .zip(scalar.as_ref())
                .is_some_and(|(check, scalar)| check.of_scalar(scalar) == Truth::True)
        })
    }
}

/// Scalars seen under keys that somebody asks for, and the atoms that they make true: images, names and settings repeat
/// from body to body.
#[derive(Debug, Default)]
pub(super) struct Memo {
    keys: Vec<KeyMemo>,
}

#[derive(Debug, Default)]
struct KeyMemo {
    texts: Dictionary,
    /// By the number of the text; mostly there are none.
    matches: Vec<Option<Box<[u32]>>>,
}

impl Memo {
    fn of_key(&mut self, key: u32) -> &mut KeyMemo {
        let key = key as usize;
        if key >= self.keys.len() {
            self.keys.resize_with(key + 1, KeyMemo::default);
        }
        let memory = &mut self.keys[key];
        // Nobody holds a number from one scalar to the next.
        if memory.texts.is_full() {
            memory.texts.clear();
            memory.matches.clear();
        }
        memory
    }

    /// Forgets everything if it has become too much in all.
    pub(super) fn trim(&mut self) {
        let bytes = self.keys.iter().map(|memory| memory.texts.bytes());
        if bytes.sum::<usize>() > MEMO_BYTES_MAX {
            self.keys.clear();
        }
    }
}

/// A reference to another field; its value may be anything.
pub(super) fn refers(value: &ValueTest) -> bool {
    match value {
        ValueTest::FieldRef(_) => true,
        ValueTest::OneOf(forms) => forms.iter().any(refers),
        _ => false,
    }
}

/// Whether a test can only hold for a field that is there.
pub(super) fn needs_value(test: &Test) -> bool {
    match test {
        Test::Null | Test::Exists(false) => false,
        Test::Exists(true) => true,
        Test::Values {
            negated, values, ..
        } => !negated && !values.is_empty(),
    }
}

/// Where a path leads, and how many of its keys say so.
fn place(path: &FieldPath) -> Option<(Place, usize)> {
    let found = match (path.first(), path.key(1)) {
        ("object", Some("attempted")) => return None,
        ("object", Some(_)) => (Place::Object, 1),
        ("change", Some("object")) => (Place::ChangedObject, 2),
        ("change", Some("pod")) => (Place::ChangedPod, 2),
        ("pod", Some(_)) => (Place::Pod, 1),
        ("requestObject", Some(_)) => (Place::Request, 1),
        ("responseObject", Some(_)) => (Place::Response, 1),
        _ => return None,
    };
    path.key(found.1).is_some().then_some(found)
}

/// What is known of the key at the end of a path.
enum Ending {
    Unknown,
    /// An entry of `host_mounts`.
    Mounts,
    /// One of these.
    Last(Vec<Box<[u8]>>),
}

fn ending(place: Place, path: &FieldPath, skip: usize) -> Ending {
    let is_pod = matches!(place, Place::Pod | Place::ChangedPod);
    if is_pod && path.key(skip) == Some("host_mounts") {
        return Ending::Mounts;
    }
    if is_pod && is_made_up(path) {
        return Ending::Unknown;
    }
    Ending::Last(last_keys(path, skip))
}

/// Keys of the pod view that are not in the body under these names.
fn is_made_up(path: &FieldPath) -> bool {
    const MADE_UP: [&str; 3] = ["containers", "template", "type"];
    path.last_keys(0)
        .last()
        .is_some_and(|key| MADE_UP.contains(&key.as_str()))
}

fn last_keys(path: &FieldPath, skip: usize) -> Vec<Box<[u8]>> {
    let keys = path.last_keys(skip).into_iter();
    keys.map(|key| key.into_bytes().into()).collect()
}
