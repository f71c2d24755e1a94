//! The keys that rules ask for, found by their first bytes: nearly all keys of a body are none of them.

/// Distinct keys, numbered as they are entered.
#[derive(Debug)]
pub(super) struct Keys {
    texts: Vec<Box<[u8]>>,
    /// A power of two of slots, more than half of them empty. A key is in the first slot behind its hash that was free.
    slots: Vec<Slot>,
    /// By length, one bit for what its first and last byte come to: nearly all other keys have none.
    marks: [u64; LENGTHS],
}

/// Longer keys share a mark.
const LENGTHS: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Up to eight bytes, and the length of the key.
    start: u64,
    length: u32,
    /// The number and one; zero if the slot is empty.
    number: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            slots: Vec::new(),
            marks: [0; LENGTHS],
        }
    }
}

impl Keys {
    /// The number of a key, new or known.
    pub(super) fn enter(&mut self, key: &[u8]) -> u32 {
        if let Some(number) = self.number(key) {
            return number;
        }
        self.texts.push(key.into());
        let (length, bit) = mark(key);
        self.marks[length] |= bit;
        self.fill();
        u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
    }

    /// Rules are compiled once; the table is made anew whenever it becomes too full.
    fn fill(&mut self) {
        let size = (4 * self.texts.len()).next_power_of_two().max(64);
        if size == self.slots.len() {
            self.put(self.texts.len() - 1);
            return;
        }
        self.slots = vec![Slot::default(); size];
        for number in 0..self.texts.len() {
            self.put(number);
        }
    }

    fn put(&mut self, number: usize) {
        let key = &self.texts[number];
        let (start, length) = (start(key), key.len());
        let mut place = place(start, length, self.slots.len());
        while self.slots[place].number != 0 {
            place = (place + 1) % self.slots.len();
        }
        self.slots[place] = Slot {
            start,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            number: u32::try_from(number + 1).unwrap_or(u32::MAX),
        };
    }

    /// The number of a key, if it was entered.
    #[inline]
    pub(super) fn number(&self, key: &[u8]) -> Option<u32> {
        let (length, bit) = mark(key);
        if self.marks[length] & bit == 0 {
            return None;
        }
        let start = start(key);
        let mut at = place(start, key.len(), self.slots.len());
        loop {
            let slot = self.slots.get(at)?;
            let number = slot.number.checked_sub(1)?;
            let is_same = slot.start == start
                && slot.length as usize == key.len()
                && (key.len() <= 8 || *self.texts[number as usize] == *key);
            if is_same {
                return Some(number);
            }
            at = (at + 1) % self.slots.len();
        }
    }
}

#[inline]
fn mark(key: &[u8]) -> (usize, u64) {
    let (first, last) = (key.first().copied(), key.last().copied());
    let mixed = first.unwrap_or(0) ^ last.unwrap_or(0).wrapping_mul(5);
    (key.len().min(LENGTHS - 1), 1 << (mixed & 63))
}

/// The first eight bytes of a key as a number, or fewer.
#[inline]
fn start(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    let byte = |at: usize| u64::from(key.get(at).copied().unwrap_or(0)) << (8 * at);
    if let Some(first) = key.first_chunk::<4>() {
        return u64::from(u32::from_le_bytes(*first)) | byte(4) | byte(5) | byte(6);
    }
    byte(0) | byte(1) | byte(2)
}

/// Where to look first. Multiplying spreads the bits upwards.
#[inline]
fn place(start: u64, length: usize, slots: usize) -> usize {
    let mixed = (start ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_numbers() {
        let mut keys = Keys::default();
        assert_eq!(keys.number(b"name"), None);
        let texts: Vec<String> = (0..300)
            .map(|number| format!("{}{number}", "k".repeat(number % 12)))
            .collect();
        for (number, text) in (0..).zip(&texts) {
            assert_eq!(keys.enter(text.as_bytes()), number);
            assert_eq!(keys.enter(text.as_bytes()), number);
        }
        for (number, text) in (0..).zip(&texts) {
            assert_eq!(keys.number(text.as_bytes()), Some(number));
            assert_eq!(keys.number(format!("{text}x").as_bytes()), None);
        }
        assert_eq!(keys.number(b""), None);
        assert_eq!(keys.number(b"\0"), None);
    }
}
