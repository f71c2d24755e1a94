//! Conditions: `selection and not 1 of filter_*`.

use std::ops::Range;

use crate::diagnostic::{Sink, did_you_mean};

use super::ast::Condition;

/// Parentheses and negations may nest this deep. Without a bound a hostile condition would exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Reads a condition over the selections named. Faults go to the sink.
pub(crate) fn parse(
    text: &str,
    span: &Range<usize>,
    names: &[&str],
    sink: &mut Sink,
) -> Option<Condition> {
    let tokens = tokenize(text, span, sink)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
        span,
        names,
        sink,
    };
    let condition = parser.or()?;
    if let Some(token) = parser.peek() {
        let (word, span) = (token.text.to_owned(), token.span.clone());
        parser
            .sink
            .error(
                "bad_condition",
                span,
                format!("`{word}` is not expected here"),
            )
            .help("join parts by `and` or `or`");
        return None;
    }
    Some(condition)
}

struct Token<'a> {
    text: &'a str,
    span: Range<usize>,
}

fn tokenize<'a>(text: &'a str, span: &Range<usize>, sink: &mut Sink) -> Option<Vec<Token<'a>>> {
    let mut tokens = Vec::new();
    let (mut at, mut from) = (0, span.start);
    while let Some(c) = text[at..].chars().next() {
        let length = match c {
            c if c.is_whitespace() => c.len_utf8(),
            '(' | ')' | '|' => 1,
            _ => text[at..]
                .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
                .unwrap_or(text.len() - at),
        };
        let token = &text[at..at + length];
        at += length;
        if c.is_whitespace() {
            continue;
        }
        // The text may have been quoted or folded, but its words stand in the file in the same order.
        let place = sink.source().find(token, &(from..span.end));
        from = place.end.min(span.end);
        if c == '|' {
            sink.error(
                "aggregation",
                place,
                "aggregations in conditions were removed from Sigma",
            )
            .help("counting needs a correlation document, and these are not supported yet");
            return None;
        }
        tokens.push(Token {
            text: token,
            span: place,
        });
    }
    Some(tokens)
}

struct Parser<'a, 'b> {
    tokens: &'b [Token<'a>],
    at: usize,
    depth: usize,
    span: &'b Range<usize>,
    names: &'b [&'b str],
    sink: &'b mut Sink,
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| token.text.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn fault<T>(&mut self, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        let span = self
            .peek()
            .or(self.tokens.last())
            .map_or(self.span.clone(), |token| token.span.clone());
        self.sink.error("bad_condition", span, message).help(help);
        None
    }

    fn or(&mut self) -> Option<Condition> {
        let mut parts = vec![self.and()?];
        while self.take("or") {
            parts.push(self.and()?);
        }
        Some(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Or(parts)
        })
    }

    fn and(&mut self) -> Option<Condition> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Some(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::And(parts)
        })
    }

    fn not(&mut self) -> Option<Condition> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fault("the condition nests too deeply", "split the rule");
        }
        let inner = if self.take("not") {
            self.not().map(|inner| Condition::Not(Box::new(inner)))
        } else {
            self.atom()
        };
        self.depth -= 1;
        inner
    }

    fn atom(&mut self) -> Option<Condition> {
        if self.take("(") {
            let inner = self.or()?;
            return if self.take(")") {
                Some(inner)
            } else {
                self.fault("a `)` is missing", "close every parenthesis")
            };
        }
        let Some(token) = self.peek() else {
            return self.fault("the condition ends too early", "name a selection");
        };
        let word = token.text;
        if self
            .tokens
            .get(self.at + 1)
            .is_some_and(|next| next.text.eq_ignore_ascii_case("of"))
        {
            return self.quantified(word);
        }
        let Some(index) = self.names.iter().position(|name| *name == word) else {
            let help = match did_you_mean(word, self.names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => list_of(self.names),
            };
            return self.fault(format!("there is no selection `{word}`"), help);
        };
        self.at += 1;
        Some(Condition::Selection(index))
    }

    fn quantified(&mut self, quantity: &str) -> Option<Condition> {
        let all = match quantity.to_ascii_lowercase().as_str() {
            "1" | "any" => false,
            "all" => true,
            _ => {
                return self.fault(
                    format!("`{quantity} of` is not supported"),
                    "write `1 of` or `all of`",
                );
            }
        };
        self.at += 2;
        let Some(token) = self.peek() else {
            return self.fault(
                "`of` wants a pattern of selections",
                "write `1 of selection_*` or `1 of them`",
            );
        };
        let pattern = token.text;
        let chosen: Vec<_> = (0..)
            .zip(self.names)
            .filter(|(_, name)| selects(pattern, name))
            .map(|(at, _)| Condition::Selection(at))
            .collect();
        if chosen.is_empty() {
            return self.fault(
                format!("no selection matches `{pattern}`"),
                list_of(self.names),
            );
        }
        self.at += 1;
        Some(if all {
            Condition::And(chosen)
        } else {
            Condition::Or(chosen)
        })
    }
}

fn list_of(names: &[&str]) -> String {
    match names {
        [] => "write a selection beside the condition".to_owned(),
        [one] => format!("the only selection is `{one}`"),
        several => format!("the selections are `{}`", several.join("`, `")),
    }
}

/// `them` is every selection whose name does not start with an underscore; `*` stands for any characters.
fn selects(pattern: &str, name: &str) -> bool {
    if pattern == "them" {
        return !name.starts_with('_');
    }
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    fn show(condition: &Condition, names: &[&str]) -> String {
        let join = |parts: &[Condition], word: &str| {
            format!(
                "({})",
                parts
                    .iter()
                    .map(|part| show(part, names))
                    .collect::<Vec<_>>()
                    .join(word)
            )
        };
        match condition {
            Condition::Selection(index) => names[*index].to_owned(),
            Condition::Not(inner) => format!("!{}", show(inner, names)),
            Condition::And(parts) => join(parts, " & "),
            Condition::Or(parts) => join(parts, " | "),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let names = ["selection", "sel_a", "sel_b", "filter_main", "_hidden"];
        let mut sink = Sink::new(Source::new("test", text));
        let condition = parse(text, &(0..text.len()), &names, &mut sink)
            .map(|condition| show(&condition, &names));
        let fault = sink
            .finish()
            .first()
            .map(|diagnostic| diagnostic.message.clone());
        assert_eq!(condition.as_deref(), expected.ok());
        assert_eq!(fault.as_deref(), expected.err());
    }

    #[test]
    fn not_binds_tighter_than_and_than_or() {
        check(
            "selection and not filter_main or sel_a",
            Ok("((selection & !filter_main) | sel_a)"),
        );
        check(
            "selection AND (sel_a OR NOT sel_b)",
            Ok("(selection & (sel_a | !sel_b))"),
        );
    }

    #[test]
    fn quantifiers_are_spelled_out() {
        check("1 of sel_*", Ok("(sel_a | sel_b)"));
        check(
            "all of them",
            Ok("(selection & sel_a & sel_b & filter_main)"),
        );
        check(
            "selection and not 1 of filter*",
            Ok("(selection & !(filter_main))"),
        );
        check("any of *_a", Ok("(sel_a)"));
        check("1 of selection", Ok("(selection)"));
    }

    #[test]
    fn faults_say_what_is_wrong() {
        check("selecton", Err("there is no selection `selecton`"));
        check("selection and", Err("the condition ends too early"));
        check("(selection", Err("a `)` is missing"));
        check("selection sel_a", Err("`sel_a` is not expected here"));
        check("2 of sel_*", Err("`2 of` is not supported"));
        check("1 of nothing_*", Err("no selection matches `nothing_*`"));
        check(
            "selection | count() > 5",
            Err("aggregations in conditions were removed from Sigma"),
        );
    }
}
