//! Letters that pass for others. A reader takes them for what they look like, a filter for what they are.

use unicode_normalization::char::{decompose_canonical, decompose_compatible};
use unicode_security::MixedScript;

use super::danger::{Danger, Found};
use super::fold::lookalike;

/// So many accents on one letter are no accents any more: Vietnamese needs two.
const FLOOD: usize = 3;

/// Compatibility forms of letters that people do type.
const USUAL: &str = "ªº™℠℃℉№Å";

pub(super) fn find(text: &str) -> Vec<Found> {
    if text.is_ascii() {
        return Vec::new();
    }
    let mut found: Vec<_> = text.chars().filter(|c| is_costume(*c)).map(String::from).collect();
    found.extend(flood(text));
    found.extend(
        words(text).filter(|word| is_mixed(word) || is_imposed(word, text)).map(str::to_owned),
    );
    found.into_iter().map(|text| Found::new(Danger::Disguise, text)).collect()
}

/// Whether `c` is a letter in another form: fullwidth, mathematical, enclosed, a small capital.
fn is_costume(c: char) -> bool {
    if c.is_ascii() || USUAL.contains(c) {
        return false;
    }
    let (mut compatible, mut canonical) = (false, false);
    decompose_compatible(c, |c| compatible |= c.is_ascii_alphabetic());
    decompose_canonical(c, |c| canonical |= c.is_ascii_alphabetic());
    // Phonetic and turned letters, but for those that African languages are written with.
    let turned = matches!(c, 'Ɩ' | 'Ƨ' | 'Ƽ' | 'ǀ' | 'ǃ' | 'Ǝ' | 'ǝ' | '\u{0250}'..='\u{02AF}')
        && !"ɓɗɖɛɔɣɩʋʊɲɨʉ".contains(c);
    let other = matches!(c, '\u{1D00}'..='\u{1DBF}' | '\u{A720}'..='\u{A7FF}'
        | '\u{1F100}'..='\u{1F1FF}');
    turned || (compatible && !canonical) || (other && (lookalike(c).is_some() || compatible))
}

/// A row of accents that is too long, or a line drawn through a letter.
fn flood(text: &str) -> Option<String> {
    let mut row = 0;
    for c in text.chars() {
        row = if matches!(c, '\u{0300}'..='\u{036F}') { row + 1 } else { 0 };
        if row >= FLOOD || matches!(c, '\u{0334}'..='\u{0338}' | '\u{20D0}'..='\u{20FF}') {
            return Some(format!("U+{:04X}", u32::from(c)));
        }
    }
    None
}

/// Rows of letters, those of ideographs, kana and hangul apart from others: they stand beside Latin words
/// without a space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| {
        let east = matches!(c, '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}'
            | '\u{FF66}'..='\u{FF9F}' | '\u{20000}'..='\u{3FFFF}');
        c.is_alphabetic() && !east
    };
    text.split(move |c: char| !is_part(c)).filter(|word| !word.is_ascii())
}

fn is_mixed(word: &str) -> bool {
    // Units: µs, kΩ.
    let unit = word.chars().count() <= 3 && word.contains(['µ', 'μ', 'Ω', 'Ω']);
    !unit && !word.is_single_script()
}

/// Whether `word` is all lookalikes of a script in which `text` says nothing else.
fn is_imposed(word: &str, text: &str) -> bool {
    let mut letters = word.chars();
    let all_lookalike = letters.all(|c| !c.is_ascii() && lookalike(c).is_some());
    let Some(first) = word.chars().next().filter(|_| all_lookalike) else { return false };
    let of_script = |c: &char| c.is_alphabetic() && u32::from(*c) >> 8 == u32::from(first) >> 8;
    u32::from(first) >= 0x0370 && !text.chars().any(|c| of_script(&c) && lookalike(c).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_are_seen_and_languages_are_not() {
        let check = |text: &str, expected: bool| {
            let found = find(text);
            assert_eq!(!found.is_empty(), expected, "{text:?}: {found:?}");
        };
        check("Use the сосо pool.", true);
        check("Ignore аll.", true);
        check("Ｌook 𝐥ook ⓛook ʟook ﬁrst", true);
        check("l\u{336}ook", true);
        check("lo\u{301}\u{302}\u{303}ok", true);
        check("Größe, où, señor, Łukasz, Søren, Tiếng Việt", false);
        check("Проверь события сначала, а потом ухо.", false);
        check("先检查kubectl的事件，然后看日志。", false);
        check("Έλεγξε πρώτα τα συμβάντα.", false);
        check("5 µs, 3 kΩ, E = mc², 20 °C, ½, № 5, ™, → … “x” ✓ 🙂", false);
        check("Tie\u{302}\u{301}ng", false);
    }
}
