//! The form for people: that of all alerts, with the same labels in the same order.

use anstyle::{AnsiColor, Color, Effects, Style};
use detections::sigma::ast::Level;

use super::about::{LINKS, about, duration, facts, response, state};
use super::machine::technique;
use crate::completeness::Notice;
use crate::hex::hex;
use crate::wire::text::{safe, time};

/// Where the text of a labelled line begins.
const INDENT: usize = 10;

/// Columns at which lines are wrapped.
const WIDTH: usize = 120;

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 120;

/// Actions that are shown, as of every alert; the machines' form has them all.
const ACTIONS_MAX: usize = 3;

/// On one line, in columns that are apart by two blanks.
pub(super) fn line(notice: &Notice) -> String {
    let line = format!(
        "{}  {:<13}  {}  {}  ×{}  {}: {}",
        time(notice.since_us),
        notice.level().as_str(),
        notice.kind.rule(),
        state(notice),
        notice.counts.events.max(1),
        sender(notice),
        facts(notice),
    );
    safe(&line)
}

/// On several lines, without the last end of line, in colours that whoever prints it takes out if nobody sees them.
pub(super) fn text(notice: &Notice) -> String {
    let known = about(notice.kind);
    let mut page = headline(notice, known.title);
    labelled(&mut page, "from", &sender(notice));
    labelled(&mut page, "facts", &facts(notice));
    labelled(&mut page, "why", known.why);
    let actions = response(notice);
    for (index, action) in actions.iter().take(ACTIONS_MAX).enumerate() {
        let label = if index == 0 { "do" } else { "" };
        labelled(&mut page, label, &format!("{}. {action}", index + 1));
    }
    labelled(&mut page, "benign", known.benign);
    for (index, line) in known.silence.lines().enumerate() {
        let label = if index == 0 { "silence" } else { "" };
        page.push_str(&format!("\n  {label:<8}{line}"));
    }
    labelled(&mut page, "links", &LINKS.join(" "));
    let uid = hex(&notice.uid());
    labelled(
        &mut page,
        "record",
        &format!("finding {uid}, revision {}", notice.revision),
    );
    if let Some(technique) = technique() {
        page.push_str(&format!("\n  {} {}", technique.id, technique.display_name));
    }
    page
}

fn headline(notice: &Notice, title: &str) -> String {
    let bold = Style::new().effects(Effects::BOLD);
    let yellow = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));
    let red = Style::new().fg_color(Some(Color::Ansi(AnsiColor::Red)));
    let level = match notice.level() {
        Level::Medium => yellow,
        _ => red,
    };
    let span = duration(notice.until_us - notice.since_us);
    [
        painted(
            &notice.level().as_str().to_uppercase(),
            level.effects(Effects::BOLD),
        ),
        painted(title, bold),
        painted(state(notice), bold),
        time(notice.since_us),
        format!("×{} in {span}", notice.counts.events.max(1)),
    ]
    .join("  ")
}

fn painted(text: &str, style: Style) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// A label and its text, wrapped between words. Every word is escaped: some were chosen by who sends.
fn labelled(page: &mut String, label: &str, text: &str) {
    let dimmed = Style::new().effects(Effects::DIMMED);
    let blanks = " ".repeat(INDENT.saturating_sub(2 + label.len()));
    page.push_str(&format!("\n  {}{blanks}", painted(label, dimmed)));
    let mut column = INDENT;
    for word in safe(text).split(' ') {
        let length = word.chars().count();
        if column > INDENT && column + 1 + length > WIDTH {
            page.push('\n');
            page.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else if column > INDENT {
            page.push(' ');
            column += 1;
        }
        page.push_str(word);
        column += length;
    }
}

/// `prod/master-1`.
fn sender(notice: &Notice) -> String {
    let short = |name: &str| -> String { name.chars().take(NAME_CHARS_MAX).collect() };
    let sender = &notice.sender;
    format!("{}/{}", short(&sender.cluster), short(&sender.origin))
}
