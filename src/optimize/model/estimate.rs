//! How many tokens a text may take, before anyone has counted them. Pure, and on the high side.

/// Letters of a plain word, its blank counted in, that make a token. Providers say about four characters of
/// English, and mean it as an average: <https://ai.google.dev/gemini-api/docs/tokens>.
const LETTERS: u64 = 3;

/// The longest plain word, in letters.
const LONGEST: u64 = 12;

/// What a chat's roles and marks take, for each message.
pub(super) const MESSAGE: u64 = 16;

/// How many tokens `text` takes, on the high side.
///
/// A tokenizer whose vocabulary holds all bytes makes at most one token of a byte. That is taken for
/// digits, punctuation, everything beyond ASCII, and words that are no plain ones: long, or with capitals
/// inside, such as encoded data. For real requests it comes to about twice what `cl100k_base` and
/// `o200k_base` count. Only text made to deceive takes more, and then a budget is passed by the part of one
/// call: what that really took is booked.
pub(super) fn tokens(text: &str) -> u64 {
    let together = |one: &u8, next: &u8| {
        (is_letter(*one) && is_letter(*next)) || (*one == b' ' && *next == b' ')
    };
    text.as_bytes().chunk_by(together).map(of_word).sum()
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

/// A run of letters or of blanks, or one byte of anything else.
fn of_word(word: &[u8]) -> u64 {
    let length = word.len() as u64;
    let inner = word.iter().skip(1);
    let is_plain = length <= LONGEST
        && (inner.clone().all(u8::is_ascii_lowercase) || inner.clone().all(u8::is_ascii_uppercase));
    match word {
        // A word's token begins with the blank before it.
        [b' ', ..] => length - 1,
        [letter, ..] if is_letter(*letter) && is_plain => (length + 1).div_ceil(LETTERS),
        _ => length,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_takes_less_than_figures() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("ab"), 1);
        assert_eq!(tokens("two words"), 4);
        assert_eq!(tokens("ERROR"), 2);
        assert_eq!(tokens("internationalization"), 20);
        assert_eq!(tokens("aGVsbG8K"), 8);
        assert_eq!(tokens("2026-01-31"), 10);
        assert_eq!(tokens("é"), 2);
    }

    proptest! {
        #[test]
        fn more_text_takes_no_fewer_tokens(one in "\\PC{0,80}", other in "\\PC{0,80}") {
            let both = tokens(&format!("{one}{other}"));
            prop_assert!(both >= tokens(&one).max(tokens(&other)));
            prop_assert!(both <= (one.len() + other.len()) as u64);
        }
    }
}
