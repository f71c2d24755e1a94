//! Writes a native audit event from pieces of another form.

/// An object being written. Values that are JSON already are copied as they are.
#[derive(Debug)]
pub(super) struct Document<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Document<'a> {
    /// Starts an object; [`close`](Self::close) ends it.
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }

    /// A member with a value that is JSON already; nothing if there is none.
    pub(super) fn raw(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.name(name).extend_from_slice(value);
        }
    }

    pub(super) fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            quote(value, self.name(name));
        }
    }

    pub(super) fn number(&mut self, name: &str, value: i64) {
        let digits = value.to_string();
        self.name(name).extend_from_slice(digits.as_bytes());
    }

    /// An array with this one value that is JSON already.
    pub(super) fn list_of_one(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            let out = self.name(name);
            out.push(b'[');
            out.extend_from_slice(value);
            out.push(b']');
        }
    }

    /// A member with an object of its own.
    pub(super) fn object(&mut self, name: &str, write: impl FnOnce(&mut Document<'_>)) {
        let mut inner = Document::open(self.name(name));
        write(&mut inner);
        inner.close();
    }

    /// The members of an object that is JSON already.
    pub(super) fn members(&mut self, object: &[u8]) {
        let inner = object
            .strip_prefix(b"{")
            .and_then(|rest| rest.strip_suffix(b"}"))
            .unwrap_or_default();
        if !inner.trim_ascii().is_empty() {
            self.comma();
            self.out.extend_from_slice(inner);
        }
    }

    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.comma();
        quote(name, self.out);
        self.out.push(b':');
        self.out
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

/// Appends a JSON string.
fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_a_parser_reads() {
        let mut out = Vec::new();
        let mut document = Document::open(&mut out);
        document.raw("a", Some(b"[1]"));
        document.raw("none", None);
        document.text("b", Some("x\"\\\n\u{1}ä"));
        document.object("c", |inner| {
            inner.members(b"{ }");
            inner.members(b"{\"d\":1}");
            inner.number("e", -2);
        });
        document.list_of_one("f", Some(b"\"g\""));
        document.close();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a":[1],"b":"x\"\\\n\u{1}ä","c":{"d":1,"e":-2},"f":["g"]})
        );
    }
}
