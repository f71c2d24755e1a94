//! Finds the end of an object or array without looking into it.

use std::ops::ControlFlow;

use super::blocks::{self, Block};

/// The offset behind the bracket that closes the container which starts at `start`; `None` if the input ends before.
/// Mismatched kinds (`[}`) are left to whoever parses the slice.
pub(crate) fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let bytes = bytes.get(start..)?;
    let mut depth = 0_usize;
    let end = blocks::for_each(bytes, |at, block| {
        // The depth cannot reach zero within a block that closes fewer brackets than are open.
        let (opened, closed) = (block.open.count_ones(), block.close.count_ones());
        if depth > closed as usize {
            depth = depth + opened as usize - closed as usize;
            return ControlFlow::Continue(());
        }
        match walk(&mut depth, block) {
            Some(found) => ControlFlow::Break(at + found),
            None => ControlFlow::Continue(()),
        }
    })?;
    Some(start + end)
}

/// Goes from bracket to bracket.
fn walk(depth: &mut usize, block: &Block) -> Option<usize> {
    let mut brackets = block.open | block.close;
    while brackets != 0 {
        let bit = brackets.trailing_zeros();
        if block.open >> bit & 1 == 1 {
            *depth += 1;
        } else {
            *depth = depth.saturating_sub(1);
            if *depth == 0 {
                return Some(bit as usize + 1);
            }
        }
        brackets &= brackets - 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let was_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' | b'"' if was_escaped => {}
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    #[test]
    fn ends_are_found_across_blocks() {
        for padding in 0..200 {
            let text = format!(
                "{{\"a\":\"{}\\\"}}\",\"b\":[1,{{}}]}} tail",
                "x".repeat(padding)
            );
            assert_eq!(
                container_end(text.as_bytes(), 0),
                Some(text.len() - 5),
                "{padding}"
            );
        }
        assert_eq!(container_end(b"x[[]]", 1), Some(5));
        assert_eq!(container_end(b"[[]", 0), None);
    }

    proptest! {
        #[test]
        fn blocks_and_bytes_agree(body in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), any::<u8>()], 0..400,
        )) {
            let bytes: Vec<u8> = std::iter::once(b'{').chain(body).collect();
            prop_assert_eq!(container_end(&bytes, 0), plain(&bytes));
        }
    }
}
