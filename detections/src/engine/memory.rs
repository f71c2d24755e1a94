//! What is remembered over batches of values and of what tests say of them.
//!
//! Thousands of users, clients and addresses fall into a few *classes*: values of which all tests say the same. A value is judged
//! by all tests of its group when it is first seen; from then on it is a number, and its class another.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::columns::{self, small_event};
use super::dictionary::{ABSENT, Dictionary};
use super::plan::{Access, Group, Plan, Reads};
use crate::batch::{Column, EventRow};
use crate::json::walk::{Key, Places, Visitor, walk};
use crate::limits::{CLASSES_BYTES_MAX, DICTIONARY_VALUES_MAX, FIELD_BYTES_FREE};
use crate::matcher::{Leaf, Scalar, Scope};
use crate::truth::{Bounds, Truth};
use crate::views::user_text;

/// No group reads more columns together.
const GROUP_COLUMNS_MAX: usize = 3;

/// How many envelopes there are.
const ENVELOPES: usize = 4;

/// The numbers of a group's columns.
type Combination = [u32; GROUP_COLUMNS_MAX];

/// What the tests of a group say of a value, by slot.
pub(super) type Verdicts = Box<[Truth]>;

/// The values of columns and their classes. Bounded; what is forgotten is judged anew.
#[derive(Debug)]
pub(super) struct Values {
    columns: [Dictionary; Column::ALL.len()],
    /// The codes of statuses, and by the number of a status the number of its code and one.
    codes: Dictionary,
    code_of: Vec<u32>,
    groups: Vec<GroupMemory>,
    places: Places,
    /// Those of the value at hand.
    verdicts: Vec<Truth>,
}

/// The classes of one group's values.
#[derive(Debug, Default)]
struct GroupMemory {
    /// The numbers of combinations; of a single column they are found by its number, without this.
    combinations: HashMap<Combination, u32, RandomState>,
    /// By envelope, then by number: the class and one, or zero if the value was not judged yet.
    classes: [Vec<u32>; ENVELOPES],
    numbers: HashMap<Verdicts, u32, RandomState>,
    verdicts: Vec<Verdicts>,
}

/// Values of a row that have been looked up.
#[derive(Debug)]
pub(super) struct RowValues {
    numbers: [Number; Column::ALL.len()],
    /// Tests of texts and words that have been judged.
    pub(super) texts: Vec<(usize, Bounds)>,
    /// Whether it may be a connection into a container, once somebody has asked.
    pub(super) connects: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Unasked,
    Known(u32),
    /// Not remembered: too long, or one of too many.
    Long,
}

impl Default for RowValues {
    fn default() -> Self {
        Self {
            numbers: [Number::Unasked; Column::ALL.len()],
            texts: Vec::new(),
            connects: None,
        }
    }
}

impl RowValues {
    /// Notes a number that is known.
    pub(super) fn set(&mut self, column: Column, number: Option<u32>) {
        self.numbers[column as usize] = number.map_or(Number::Long, Number::Known);
    }

    /// For the next row.
    pub(super) fn clear(&mut self) {
        self.numbers = [Number::Unasked; Column::ALL.len()];
        self.texts.clear();
        self.connects = None;
    }
}

impl Values {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            columns: std::array::from_fn(|_| Dictionary::default()),
            codes: Dictionary::default(),
            code_of: Vec::new(),
            groups: plan.groups.iter().map(|_| GroupMemory::default()).collect(),
            places: Places::default(),
            verdicts: Vec::new(),
        }
    }

    /// Whether more has become too much than the values of some columns.
    pub(super) fn is_full(&self) -> bool {
        let classes = self.groups.iter().map(GroupMemory::class_bytes);
        classes.sum::<usize>() >= CLASSES_BYTES_MAX
    }

    /// Between rows only: rows hold numbers.
    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Dictionary::clear);
        self.codes.clear();
        self.code_of.clear();
        for group in &mut self.groups {
            *group = GroupMemory::default();
        }
    }

    /// Forgets the values of columns that have become too many, between rows. Classes stay what they are, and so does all that was
    /// learnt of them. False if there was no such column. (Stages are few: each is a situation of its own.)
    pub(super) fn trim(&mut self, plan: &Plan) -> bool {
        let mut is_any = false;
        for column in Column::ALL {
            let is_status = column == Column::ResponseStatus;
            let is_full = self.columns[column as usize].is_full();
            if !(is_full || is_status && self.codes.is_full()) {
                continue;
            }
            is_any = true;
            self.columns[column as usize].clear_or_rest();
            if is_status {
                self.codes.clear();
                self.code_of.clear();
            }
            for (memory, group) in self.groups.iter_mut().zip(&plan.groups) {
                if group.reading.columns.contains(&column) {
                    memory.forget_values();
                }
            }
        }
        for memory in &mut self.groups {
            if memory.combinations.len() >= DICTIONARY_VALUES_MAX {
                is_any = true;
                memory.forget_values();
            }
        }
        is_any
    }

    /// The number of a row's value in a column; `None` if it is not remembered.
    pub(super) fn number(
        &mut self,
        column: Column,
        row: &EventRow<'_>,
        values: &mut RowValues,
    ) -> Option<u32> {
        let index = column as usize;
        if let Number::Unasked = values.numbers[index] {
            let number = match row.slice(column) {
                None => Some(ABSENT),
                Some(text) => self.columns[index].number(text),
            };
            values.numbers[index] = number.map_or(Number::Long, Number::Known);
        }
        match values.numbers[index] {
            Number::Known(number) => Some(number),
            Number::Unasked | Number::Long => None,
        }
    }

    /// The class of a row's values in a group's columns; `None` if only the document tells what the tests say of them.
    pub(super) fn class(
        &mut self,
        plan: &Plan,
        group: usize,
        row: &EventRow<'_>,
        values: &mut RowValues,
    ) -> Option<u32> {
        let planned = &plan.groups[group];
        if is_too_heavy(planned, row) {
            return None;
        }
        let envelope = row.envelope() as usize;
        let number = self.group_number(planned, group, row, values);
        let memory = &mut self.groups[group];
        if let Some(number) = number
            && let Some(class) = memory.classes[envelope].get(number as usize)
            && let Some(class) = class.checked_sub(1)
        {
            return Some(class);
        }
        judge(plan, planned, row, (&mut self.places, &mut self.verdicts))?;
        let class = memory.class_of(&self.verdicts);
        if let Some(number) = number {
            memory.remember(envelope, number as usize, class);
        }
        Some(class)
    }

    /// What a test of a group says of a row; `None` if only the document tells.
    pub(super) fn verdict(
        &mut self,
        plan: &Plan,
        test: usize,
        row: &EventRow<'_>,
        values: &mut RowValues,
    ) -> Option<Truth> {
        let Reads::Group { group, slot } = plan.tests[test].reads else {
            return None;
        };
        let class = self.class(plan, group, row, values)?;
        self.verdicts(group, class).get(slot).copied()
    }

    /// What the tests of a group say of the values of a class.
    pub(super) fn verdicts(&self, group: usize, class: u32) -> &[Truth] {
        &self.groups[group].verdicts[class as usize]
    }

    /// The number of a row's values in a group's columns; `None` if one of them is too long.
    fn group_number(
        &mut self,
        planned: &Group,
        group: usize,
        row: &EventRow<'_>,
        values: &mut RowValues,
    ) -> Option<u32> {
        if let [column] = planned.reading.columns {
            return self.number(*column, row, values);
        }
        let mut combination = [0; GROUP_COLUMNS_MAX];
        for (number, column) in combination.iter_mut().zip(planned.reading.columns) {
            *number = if *column == Column::ResponseStatus && planned.reading.code_only {
                self.code_number(row, values)?
            } else {
                self.number(*column, row, values)?
            };
        }
        let combinations = &mut self.groups[group].combinations;
        let next = u32::try_from(combinations.len()).ok()?;
        Some(*combinations.entry(combination).or_insert(next))
    }
}

impl Values {
    /// The number of a row's code.
    fn code_number(&mut self, row: &EventRow<'_>, values: &mut RowValues) -> Option<u32> {
        let Some(status) = row.slice(Column::ResponseStatus) else {
            return Some(ABSENT);
        };
        let number = self.number(Column::ResponseStatus, row, values);
        let place = number.map(|number| number as usize);
        if let Some(known) = place.and_then(|place| self.code_of.get(place))
            && let Some(code) = known.checked_sub(1)
        {
            return Some(code);
        }
        let code = self.codes.number(columns::code_of(status)?)?;
        if let Some(place) = place {
            if self.code_of.len() <= place {
                self.code_of.resize(place + 1, 0);
            }
            self.code_of[place] = code + 1;
        }
        Some(code)
    }
}

impl GroupMemory {
    /// The class with these verdicts, new or known.
    fn class_of(&mut self, verdicts: &[Truth]) -> u32 {
        if let Some(class) = self.numbers.get(verdicts) {
            return *class;
        }
        let class = u32::try_from(self.verdicts.len()).unwrap_or(u32::MAX);
        self.verdicts.push(verdicts.into());
        self.numbers.insert(verdicts.into(), class);
        class
    }

    fn remember(&mut self, envelope: usize, number: usize, class: u32) {
        let classes = &mut self.classes[envelope];
        if classes.len() <= number {
            classes.resize(number + 1, 0);
        }
        classes[number] = class + 1;
    }

    fn forget_values(&mut self) {
        self.combinations.clear();
        self.classes.iter_mut().for_each(Vec::clear);
    }

    fn class_bytes(&self) -> usize {
        let width = self.verdicts.first().map_or(0, |verdicts| verdicts.len());
        2 * self.verdicts.len() * width
    }
}

/// `event.truncated` reads annotations, and whether a field is too heavy for a document, which is no matter of columns.
fn is_too_heavy(group: &Group, row: &EventRow<'_>) -> bool {
    row.raw.len() > FIELD_BYTES_FREE && group.reading.columns == [Column::Annotations]
}

/// What all tests of a group say of the values of a row; `None` if the columns are not valid JSON.
fn judge(
    plan: &Plan,
    group: &Group,
    row: &EventRow<'_>,
    (places, verdicts): (&mut Places, &mut Vec<Truth>),
) -> Option<()> {
    let leaves = || group.tests.iter().map(|test| &plan.tests[*test].leaf);
    verdicts.clear();
    if let Some(scalar) = scalar(group, row, places) {
        verdicts.extend(leaves().map_while(|leaf| match leaf {
            Leaf::Field(_, check) => Some(check.of_scalar(&scalar)),
            _ => None,
        }));
        if verdicts.len() == group.tests.len() {
            return Some(());
        }
        verdicts.clear();
    }
    let event = small_event(group.reading.columns, row)?;
    verdicts.extend(leaves().map(|leaf| leaf.evaluate(Scope::Event(&event))));
    Some(())
}

/// The string that a group's field is, if that can be told without an event and its columns are sound.
fn scalar<'a>(group: &Group, row: &EventRow<'a>, places: &mut Places) -> Option<Scalar<'a>> {
    let ([column], Some(path)) = (group.reading.columns, &group.path) else {
        return None;
    };
    let text = row.slice(*column)?;
    let string = match group.access {
        Access::Event => return None,
        Access::ActorKind => {
            let kind = user_text::kind(text, row.envelope(), places)?;
            return Some(Scalar::of_text(kind.as_str()));
        }
        Access::Column => text,
        Access::Member => member(text, path.key(1)?, places)?,
    };
    string
        .starts_with(b"\"")
        .then(|| Scalar::of_json(string))
        .flatten()
}

/// The member of an object, if it is there once and is a scalar.
fn member<'a>(text: &'a [u8], key: &str, places: &mut Places) -> Option<&'a [u8]> {
    let mut member = Member {
        key: key.as_bytes(),
        value: None,
        is_odd: false,
    };
    let is_sound = text.starts_with(b"{") && walk(text, &[], places, &mut member);
    member.value.filter(|_| is_sound && !member.is_odd)
}

/// Looks for one member of an object.
struct Member<'k, 'a> {
    key: &'k [u8],
    value: Option<&'a [u8]>,
    /// The member may be there under an escaped key, or twice.
    is_odd: bool,
}

impl<'a> Visitor<'a> for Member<'_, 'a> {
    /// Whether the value is the one that is looked for.
    type Key = bool;

    #[inline]
    fn key(&mut self, key: Key<'a>, depth: usize) -> bool {
        let is_it = depth == 1 && key.text == self.key;
        self.is_odd |= depth == 1 && (key.is_escaped || is_it && self.value.is_some());
        is_it
    }

    #[inline]
    fn scalar(&mut self, is_it: bool, text: &'a [u8], depth: usize) {
        if is_it {
            // A list of several is no scalar.
            self.is_odd |= depth != 1 || self.value.is_some();
            self.value = Some(text);
        }
    }
}
