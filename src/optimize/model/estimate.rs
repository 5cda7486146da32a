//! How many tokens a text may take, before anyone has counted them. Pure, and on the high side.

/// Letters and blanks of ASCII that make a token. Providers say about four of English prose, and mean it
/// as an average: <https://ai.google.dev/gemini-api/docs/tokens>.
const LETTERS: u64 = 3;

/// What a chat's roles and marks take, for each message.
pub(super) const MESSAGE: u64 = 16;

/// At most how many tokens `text` takes, nearly always.
///
/// Whatever a tokenizer with a vocabulary of bytes does, it makes at most one token of a byte: that is
/// taken for digits, punctuation and everything beyond ASCII, of which logs and code are full.
pub(super) fn tokens(text: &str) -> u64 {
    let (mut letters, mut others) = (0_u64, 0_u64);
    for byte in text.bytes() {
        if byte.is_ascii_alphabetic() || byte == b' ' {
            letters += 1;
        } else {
            others += 1;
        }
    }
    letters.div_ceil(LETTERS) + others
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_takes_less_than_figures() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("abc"), 1);
        assert_eq!(tokens("two words"), 3);
        assert_eq!(tokens("2026-01-31"), 10);
        assert_eq!(tokens("é"), 2);
    }

    proptest! {
        #[test]
        fn more_text_takes_no_fewer_tokens(one in "\\PC{0,80}", other in "\\PC{0,80}") {
            let both = tokens(&format!("{one}{other}"));
            prop_assert!(both >= tokens(&one).max(tokens(&other)));
            prop_assert!(both <= tokens(&one) + tokens(&other));
            prop_assert!(both <= (one.len() + other.len()) as u64);
        }
    }
}
