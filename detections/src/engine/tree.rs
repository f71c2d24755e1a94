//! What is left of the rules, column by column: a tree that grows as events need it.
//!
//! A situation leaves some rules open. The first group of columns that one of them reads is looked at next; which class the row's
//! value is of leads to the next node, whose rules are what that class leaves of these, and so on until no open rule reads
//! columns. Rows of the same classes go the same way, so that a row costs some steps whatever the number of rules, and rules are
//! only looked at where the tree grows. A lazy automaton of regular expressions works like this.

use std::sync::Arc;

use super::hints::{Place, Wanted};
use super::plan::{Expression, Plan, Reads, Reduced};
use crate::limits::TREE_PARTS_MAX;
use crate::truth::Truth;

/// The nodes of all situations.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// What it holds, counted in parts of expressions.
    parts: usize,
}

/// What is left of the rules at some point.
#[derive(Debug)]
pub(super) struct Node {
    /// Rules that match, or that the event cannot show, by what led here.
    pub(super) decided: Vec<(usize, Truth)>,
    /// Rules that need more.
    pub(super) open: Vec<Open>,
    pub(super) next: Next,
    /// The node behind this one and one, by the class of the group that is looked at; zero where nobody went yet.
    behind: Vec<u32>,
    /// The different nodes behind this one.
    children: Vec<u32>,
}

/// What a row does at a node.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing is open.
    End,
    /// This group of columns is looked at.
    Group(usize),
    /// No columns can tell more.
    Rest(Box<Rest>),
}

/// What the open rules need if columns cannot tell more.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Some of them read texts that hardly repeat.
    pub(super) texts: bool,
    /// Tests of words that they need.
    pub(super) words: Vec<usize>,
    /// Which bodies they read.
    pub(super) bodies: Needed,
    /// What they look for in them.
    pub(super) wanted: Wanted,
}

/// What of the bodies some rules read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needed {
    /// The object, in either body.
    pub(super) object: bool,
    pub(super) request: bool,
    pub(super) response: bool,
}

/// A rule, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) rule: usize,
    pub(super) expression: Arc<Expression>,
    /// One bit for each group that it reads.
    groups: u64,
}

impl Tree {
    pub(super) fn is_full(&self) -> bool {
        self.parts >= TREE_PARTS_MAX
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    pub(super) fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    /// A node that nothing leads to yet, for rules reduced by what `known` tells.
    pub(super) fn root(&mut self, plan: &Plan, known: &[Option<Truth>]) -> u32 {
        let mut node = Node::new();
        for (rule, expression) in plan.expressions.iter().enumerate() {
            node.add(rule, expression.reduce(&mut |test| known[test]), plan);
        }
        self.add(node, plan)
    }

    /// The node behind `from` for values of a class of which the tests of the group say `verdicts`.
    #[inline]
    pub(super) fn step(
        &mut self,
        plan: &Plan,
        from: u32,
        (group, class): (usize, u32),
        verdicts: &[Truth],
    ) -> u32 {
        let behind = self.node(from).behind.get(class as usize);
        match behind.and_then(|node| node.checked_sub(1)) {
            Some(node) => node,
            None => self.grow(plan, from, (group, class), verdicts),
        }
    }

    #[cold]
    fn grow(
        &mut self,
        plan: &Plan,
        from: u32,
        (group, class): (usize, u32),
        verdicts: &[Truth],
    ) -> u32 {
        let mut node = Node::new();
        let mut known = |test: usize| match plan.tests[test].reads {
            Reads::Group { group: of, slot } if of == group => Some(verdicts[slot]),
            _ => None,
        };
        for open in &self.node(from).open {
            if open.groups & bit(group) == 0 {
                node.open.push(open.clone());
            } else {
                node.add(open.rule, open.expression.reduce(&mut known), plan);
            }
        }
        let same = |child: &&u32| {
            let child = self.node(**child);
            child.decided == node.decided && child.open == node.open
        };
        let known = self.node(from).children.iter().find(same).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.add(node, plan);
            self.nodes[from as usize].children.push(number);
            number
        });
        let behind = &mut self.nodes[from as usize].behind;
        let class = class as usize;
        if behind.len() <= class {
            self.parts += (class + 1 - behind.len()).div_ceil(8);
            behind.resize(class + 1, 0);
        }
        behind[class] = number + 1;
        number
    }

    fn add(&mut self, mut node: Node, plan: &Plan) -> u32 {
        node.next = Next::of(&node.open, plan);
        self.parts += node.parts();
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }
}

impl Node {
    fn new() -> Self {
        Self {
            decided: Vec::new(),
            open: Vec::new(),
            next: Next::End,
            behind: Vec::new(),
            children: Vec::new(),
        }
    }

    fn add(&mut self, rule: usize, reduced: Reduced, plan: &Plan) {
        match reduced {
            Reduced::Known(Truth::False) => {}
            Reduced::Known(truth) => self.decided.push((rule, truth)),
            Reduced::Open(expression) => {
                let mut groups = 0;
                expression.tests(&mut |test| {
                    if let Reads::Group { group, .. } = plan.tests[test].reads {
                        groups |= bit(group);
                    }
                });
                self.open.push(Open {
                    rule,
                    expression: Arc::new(expression),
                    groups,
                });
            }
        }
    }

    /// Roughly: a part of an expression is some fifty bytes.
    fn parts(&self) -> usize {
        let mut parts = 4 + self.open.len() + self.decided.len();
        for open in &self.open {
            // Shared with the node before.
            if Arc::strong_count(&open.expression) == 1 {
                open.expression.tests(&mut |_| parts += 2);
            }
        }
        parts
    }
}

impl Next {
    /// The cheapest group first.
    fn of(open: &[Open], plan: &Plan) -> Self {
        if open.is_empty() {
            return Self::End;
        }
        let groups = open.iter().fold(0, |groups, open| groups | open.groups);
        let asked = (0..plan.groups.len()).filter(|group| groups & bit(*group) != 0);
        match asked.min_by_key(|group| plan.groups[*group].cost()) {
            Some(group) => Self::Group(group),
            None => Self::Rest(Box::new(Rest::of(open, plan))),
        }
    }
}

impl Rest {
    fn of(open: &[Open], plan: &Plan) -> Self {
        let mut rest = Self::default();
        let mut hints = Vec::new();
        for open in open {
            open.expression
                .tests(&mut |test| match &plan.tests[test].reads {
                    Reads::Body(place, hint) => {
                        rest.bodies.add(*place);
                        hints.push(hint);
                    }
                    Reads::Text(..) | Reads::Connection => rest.texts = true,
                    Reads::Words if !rest.words.contains(&test) => rest.words.push(test),
                    Reads::Group { .. } | Reads::Words | Reads::Document => {}
                });
        }
        rest.wanted = Wanted::of(hints, &plan.atoms);
        rest
    }
}

impl Needed {
    fn add(&mut self, place: Place) {
        match place {
            Place::Object | Place::Pod | Place::ChangedObject | Place::ChangedPod => {
                self.object = true;
            }
            Place::Request => self.request = true,
            Place::Response => self.response = true,
        }
    }

    pub(super) fn any(self) -> bool {
        self.object || self.request || self.response
    }
}

/// There are some forty groups of fields, and no more than twenty of columns.
fn bit(group: usize) -> u64 {
    1 << group
}
