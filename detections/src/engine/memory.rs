//! What is remembered over batches of values and of the verdicts on them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::columns::small_event;
use super::dictionary::{ABSENT, Dictionary};
use super::plan::{Group, Plan};
use crate::batch::{Column, EventBatch};
use crate::limits::{FIELD_BYTES_FREE, VERDICTS_MAX};
use crate::matcher::{Leaf, Scalar, Scope};
use crate::truth::{Bounds, Truth};

/// No group reads more columns together.
const GROUP_COLUMNS_MAX: usize = 3;

/// How many envelopes there are.
const ENVELOPES: usize = 4;

/// The numbers of a group's columns, and of the envelope.
type Combination = [u32; GROUP_COLUMNS_MAX + 1];

/// The values of columns and the verdicts on them. Bounded; what is forgotten is judged anew.
#[derive(Debug)]
pub(super) struct Values {
    columns: [Dictionary; Column::ALL.len()],
    groups: Vec<GroupMemory>,
}

/// Verdicts of one group's tests.
#[derive(Debug, Default)]
struct GroupMemory {
    /// The numbers of combinations; of a single column they are found by its number, without this.
    combinations: HashMap<Combination, usize, RandomState>,
    /// By envelope, then by combination, then by slot.
    verdicts: [Vec<Verdict>; ENVELOPES],
}

/// A verdict that may not have been asked for yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unasked,
    Known(Truth),
    /// The columns are not valid JSON: only the document tells.
    Unclear,
}

/// Values of a row that have been looked up.
#[derive(Debug)]
pub(super) struct RowValues {
    numbers: [Number; Column::ALL.len()],
    /// Tests of texts that have been judged.
    pub(super) texts: Vec<(usize, Bounds)>,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Unasked,
    Known(u32),
    /// Too long to be remembered.
    Long,
}

impl Default for RowValues {
    fn default() -> Self {
        Self {
            numbers: [Number::Unasked; Column::ALL.len()],
            texts: Vec::new(),
        }
    }
}

impl RowValues {
    /// For the next row.
    pub(super) fn clear(&mut self) {
        self.numbers = [Number::Unasked; Column::ALL.len()];
        self.texts.clear();
    }
}

impl Values {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            columns: std::array::from_fn(|_| Dictionary::default()),
            groups: plan.groups.iter().map(|_| GroupMemory::default()).collect(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        let verdicts = self.groups.iter().flat_map(|group| &group.verdicts);
        self.columns.iter().any(Dictionary::is_full)
            || verdicts.map(Vec::len).sum::<usize>() >= VERDICTS_MAX
    }

    /// Between batches only: rows hold numbers.
    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Dictionary::clear);
        for group in &mut self.groups {
            group.combinations.clear();
            group.verdicts.iter_mut().for_each(Vec::clear);
        }
    }

    /// The number of a row's value in a column; `None` if it is too long to be remembered.
    pub(super) fn number(
        &mut self,
        column: Column,
        batch: &EventBatch,
        row: usize,
        values: &mut RowValues,
    ) -> Option<u32> {
        let index = column as usize;
        if let Number::Unasked = values.numbers[index] {
            let number = match batch.slice(column, row) {
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

    /// The truth of a group's test for a row.
    pub(super) fn test(
        &mut self,
        plan: &Plan,
        (group, slot): (usize, usize),
        batch: &EventBatch,
        row: usize,
        values: &mut RowValues,
    ) -> Bounds {
        let planned = &plan.groups[group];
        if is_too_heavy(planned, batch, row) {
            return Bounds::ANY;
        }
        let slots = planned.tests.len();
        let Some(number) = self.group_number(plan, group, batch, row, values) else {
            return judge(plan, planned, slot, batch, row).bounds();
        };
        let verdicts = &mut self.groups[group].verdicts[batch.envelope(row) as usize];
        if verdicts.len() < (number + 1) * slots {
            verdicts.resize((number + 1) * slots, Verdict::Unasked);
        }
        let verdict = &mut verdicts[number * slots + slot];
        if *verdict == Verdict::Unasked {
            *verdict = judge(plan, planned, slot, batch, row);
        }
        verdict.bounds()
    }

    /// The number of a row's values in a group's columns; `None` if verdicts on them are not remembered.
    pub(super) fn group_number(
        &mut self,
        plan: &Plan,
        group: usize,
        batch: &EventBatch,
        row: usize,
        values: &mut RowValues,
    ) -> Option<usize> {
        let planned = &plan.groups[group];
        if is_too_heavy(planned, batch, row) {
            return None;
        }
        if let [column] = planned.columns {
            let number = self.number(*column, batch, row, values)?;
            return Some(number as usize);
        }
        let combination = self.combination(planned, batch, row, values)?;
        Some(self.groups[group].number(combination))
    }

    fn combination(
        &mut self,
        group: &Group,
        batch: &EventBatch,
        row: usize,
        values: &mut RowValues,
    ) -> Option<Combination> {
        let mut combination = [0; GROUP_COLUMNS_MAX + 1];
        for (number, column) in combination.iter_mut().zip(group.columns) {
            *number = self.number(*column, batch, row, values)?;
        }
        combination[GROUP_COLUMNS_MAX] = batch.envelope(row) as u32;
        Some(combination)
    }
}

impl GroupMemory {
    fn number(&mut self, combination: Combination) -> usize {
        let next = self.combinations.len();
        *self.combinations.entry(combination).or_insert(next)
    }
}

impl Verdict {
    fn bounds(self) -> Bounds {
        match self {
            Self::Known(truth) => truth.into(),
            Self::Unasked | Self::Unclear => Bounds::ANY,
        }
    }
}

/// `event.truncated` reads annotations, and whether a field is too heavy for a document, which is no matter of columns.
fn is_too_heavy(group: &Group, batch: &EventBatch, row: usize) -> bool {
    group.columns == [Column::Annotations] && batch.raw(row).len() > FIELD_BYTES_FREE
}

/// Judges a test of a group for the values of a row.
fn judge(plan: &Plan, group: &Group, slot: usize, batch: &EventBatch, row: usize) -> Verdict {
    let planned = &plan.tests[group.tests[slot]];
    if let ([column], Leaf::Field(Some(path), check)) = (group.columns, &planned.leaf)
        && path.is(column.path())
        && let Some(text) = batch.slice(*column, row)
        && text.starts_with(b"\"")
        && let Some(scalar) = Scalar::of_json(text)
    {
        return Verdict::Known(check.of_scalar(&scalar));
    }
    match small_event(group.columns, batch, row) {
        Some(event) => Verdict::Known(planned.leaf.evaluate(Scope::Event(&event))),
        None => Verdict::Unclear,
    }
}
