//! Random lists, whole and damaged, cut anywhere.

use super::*;

impl Random {
    fn white(&mut self) -> &'static str {
        self.of(&["", "", "", " ", "\n", "\r\n\t", "    "])
    }

    fn string(&mut self) -> String {
        let mut text = String::from("\"");
        for _ in 0..self.below(12) {
            text += self.of(&[
                "a",
                "items",
                "EventList",
                "{",
                "}",
                "[",
                "]",
                "],",
                "]}",
                ",",
                ":",
                " ",
                "\\\"",
                "\\\\",
                "\\n",
                "\\u007b",
                "ü",
                "→",
                "🦀",
            ]);
        }
        text + "\""
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 8 }) {
            0 | 1 => self.string(),
            2 => self.of(&["1", "-2.5e3", "true", "null"]).to_owned(),
            3 => self.of(&["{}", "[]", "[ ]", "\"\""]).to_owned(),
            4 | 5 => self.list(depth, "[", "]", |_| String::new()),
            _ => self.list(depth, "{", "}", |random| random.string() + ": "),
        }
    }

    fn list(
        &mut self,
        depth: usize,
        open: &str,
        close: &str,
        key: impl Fn(&mut Self) -> String,
    ) -> String {
        let count = self.below(4);
        let member = |_| key(self) + &self.value(depth - 1) + self.white();
        let members: Vec<String> = (0..count).map(member).collect();
        format!("{open}{}{close}", members.join(","))
    }

    /// Mostly small, now and then of the size of a message or several.
    fn item(&mut self) -> String {
        match self.below(20) {
            0 => {
                let bytes = 700 + self.below(3000);
                format!("[{},{}]", text_item(bytes), self.value(2))
            }
            1 => text_item(2 + self.below(2000)),
            2 => self.value(0),
            _ => {
                let value = self.value(4);
                format!("{{\"a\":{value}}}")
            }
        }
    }

    /// Cuts with random slices.
    fn cut(&mut self, body: &[u8], limit: usize) -> Vec<Piece> {
        let most = self.of(&[1, 10, 300, 5000, 100_000]);
        let mut slices = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (slice, later) = rest.split_at(self.below(most + 1).min(rest.len()));
            slices.push(slice);
            rest = later;
        }
        cut_slices(Cutter::new(limit), slices)
    }
}

const TAILS: [&str; 5] = [
    "",
    "",
    r#","apiVersion":"a{]","b":1"#,
    r#","more":[{"x":"}"}]"#,
    r#","last":{}"#,
];

struct RandomList {
    head: String,
    items: Vec<String>,
    tail: &'static str,
    text: String,
    /// Where in the text each item begins and ends.
    spans: Vec<(usize, usize)>,
    /// Where the items end.
    close_at: usize,
}

impl RandomList {
    fn new(random: &mut Random) -> Self {
        let head = match random.below(3) {
            0 => HEAD.to_owned(),
            1 => "{ \"kind\":\"EventList\", \"items\" :\n[".to_owned(),
            _ => HEAD.replace("{}", &format!("{{\"a\":{}}}", random.string())),
        };
        let count = random.of(&[0, 1, 2, 5, 20, 60]);
        let items: Vec<String> = (0..count).map(|_| random.item()).collect();
        let tail = random.of(&TAILS);
        let mut text = head.clone() + random.white();
        let mut spans = Vec::new();
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                text = text + random.white() + "," + random.white();
            }
            spans.push((text.len(), text.len() + item.len()));
            text += item;
        }
        text += random.white();
        let close_at = text.len();
        text = text + "]" + random.white() + tail + "}" + random.white();
        Self {
            head,
            items,
            tail,
            text,
            spans,
            close_at,
        }
    }

    /// Takes the pieces of this list off, and asserts that they are what the module says.
    fn check<'a>(&self, mut pieces: &'a [String], limit: usize) -> &'a [String] {
        let mut items = self.items.as_slice();
        let mut messages = 0;
        let mut tail = "";
        while messages == 0 || !items.is_empty() {
            let (piece, later) = pieces.split_first().unwrap();
            pieces = later;
            messages += 1;
            let Some(mut rest) = piece.strip_prefix(&self.head) else {
                let (item, later) = items.split_first().unwrap();
                assert_eq!(piece, item);
                assert!(self.head.len() + item.len() + CLOSE.len() > limit);
                items = later;
                continue;
            };
            while let Some((item, later)) = items.split_first() {
                let Some(behind) = rest.strip_prefix(item.as_str()) else {
                    break;
                };
                rest = behind.strip_prefix(',').unwrap_or(behind);
                items = later;
            }
            tail = rest.strip_prefix(']').unwrap().strip_suffix('}').unwrap();
            let next = items.first().map_or(limit, |item| item.len() + 1);
            assert!(tail == self.tail || piece.len() + next > limit || messages > 1);
            assert!(tail.is_empty() || items.is_empty() && messages == 1);
        }
        if tail != self.tail && self.tail.contains(['[', '{']) && self.tail != TAILS[2] {
            assert_eq!(pieces[0], format!("{{{}}}", &self.tail[1..]));
            pieces = &pieces[1..];
        }
        pieces
    }

    /// What the first bytes of the text come to, cut at `at`.
    fn check_start(&self, pieces: &[String], at: usize) {
        if at < self.head.len() {
            assert_eq!(pieces, [&self.text[..at]]);
            return;
        }
        let mut expected = String::new();
        for (start, end) in &self.spans {
            expected += &self.text[*start.min(&at)..*end.min(&at)];
        }
        let mut found = String::new();
        for piece in pieces {
            // Without heads, ends and commas; those in items are taken off on both sides.
            let items = piece.strip_prefix(&self.head);
            found += items.map_or(piece, |items| items.strip_suffix("]}").unwrap_or(items));
        }
        assert_eq!(found.replace(',', ""), expected.replace(',', ""));
    }
}

fn random_limit(random: &mut Random) -> usize {
    match random.below(3) {
        0 => 1024,
        1 => 1024 + random.below(3000),
        _ => 1024 + random.below(100_000),
    }
}

#[test]
fn random_lists_come_out_item_by_item() {
    let mut random = Random(0x9e37_79b9);
    for _ in 0..6000 {
        let count = 1 + random.below(3);
        let lists: Vec<_> = (0..count).map(|_| RandomList::new(&mut random)).collect();
        let body: String = lists.iter().map(|list| list.text.as_str()).collect();
        let limit = random_limit(&mut random);
        let pieces = random.cut(body.as_bytes(), limit);
        assert!(pieces == random.cut(body.as_bytes(), limit));
        let texts = texts(&pieces);
        let mut rest = texts.as_slice();
        for list in &lists {
            rest = list.check(rest, limit);
        }
        assert_eq!(rest, [""; 0]);
    }
}

#[test]
fn the_start_of_a_random_list_loses_nothing() {
    let mut random = Random(0x51_7cc1);
    for _ in 0..6000 {
        let mut list = RandomList::new(&mut random);
        list.text.truncate(list.close_at);
        let mut at = random.below(list.text.len() + 1);
        while !list.text.is_char_boundary(at) {
            at -= 1;
        }
        let limit = random_limit(&mut random);
        let pieces = random.cut(&list.text.as_bytes()[..at], limit);
        list.check_start(&texts(&pieces), at);
    }
}

#[test]
fn random_garbage_stays_as_it_is() {
    let mut random = Random(0xbad_5eed);
    for _ in 0..6000 {
        let length = random.below(6000);
        let most = random.of(&[6, 12, 256]);
        let byte = |random: &mut Random| match random.below(most) {
            choice @ 0..12 => b"{}[]\",:\\ \x0ax1"[choice],
            choice => u8::try_from(choice).unwrap(),
        };
        let body: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
        let pieces = random.cut(&body, 1024);
        let bytes = |piece| match piece {
            Piece::Whole(bytes) | Piece::Part { bytes, .. } => bytes,
        };
        assert!(pieces.into_iter().flat_map(bytes).eq(body));
    }
}

/// How many bytes are neither white space nor commas nor brackets.
fn content_bytes(text: &[u8]) -> usize {
    let is_content = |byte: &&u8| !b" \t\r\n,[]{}".contains(byte);
    text.iter().filter(is_content).count()
}

/// Whether somewhere a list might end, and members follow that hold no bracket: these may be left out.
fn may_have_left_out(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.split(['[', '{'])
        .filter_map(|without_open| without_open.split_once(']'))
        .any(|(_, behind)| behind.trim_start().starts_with(',') && behind.contains('}'))
}

#[test]
fn damaged_lists_lose_nothing() {
    let mut random = Random(0xda_3a6e);
    let mut compared = 0;
    for _ in 0..12_000 {
        let mut list = RandomList::new(&mut random);
        list.text.truncate(list.close_at);
        let mut body = (list.text + "]}").into_bytes();
        for _ in 0..=random.below(2) {
            let at = list.head.len() + random.below(body.len() - list.head.len());
            let byte = random.of(b"{}[]\",:\\ x");
            match random.below(3) {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.splice(at..=at, [])),
            }
        }
        let limit = random_limit(&mut random);
        let pieces = random.cut(&body, limit);
        assert!(pieces == random.cut(&body, limit), "slices matter");
        if may_have_left_out(&body) {
            continue;
        }
        compared += 1;
        let head = list.head.as_bytes();
        let contents = pieces.iter().map(|piece| match piece {
            Piece::Whole(bytes) => {
                content_bytes(bytes.strip_prefix(head).unwrap_or(bytes.as_slice()))
            }
            Piece::Part { bytes, .. } => content_bytes(bytes),
        });
        let behind_head = &body[head.len().min(body.len())..];
        assert_eq!(contents.sum::<usize>(), content_bytes(behind_head));
    }
    assert!(compared > 5000, "{compared}");
}
