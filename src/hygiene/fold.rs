//! Text as it is read, whatever it is written with: the forms in which phrases are looked for.

use strsim::damerau_levenshtein;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use unicode_security::skeleton;

/// Letters that neither Unicode's compatibility forms nor its table of confusables lead back to ASCII.
const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ";

/// Characters that change what is read without being seen: controls but for line break and tab, zero-width
/// characters, bidirectional overrides, blank letters, Unicode tags, and what is assigned to nobody.
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{E000}'..='\u{F8FF}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{FFFE}' | '\u{FFFF}' | '\u{E0000}'..='\u{E01EF}' | '\u{F0000}'..='\u{10FFFF}')
}

/// The ASCII letter that `c`, which is none, is easily taken for.
pub(super) fn lookalike(c: char) -> Option<char> {
    let letter = |index: u32| char::from_u32(u32::from('a') + index);
    match c {
        '\u{1F130}'..='\u{1F149}' => return letter(u32::from(c) - 0x1F130),
        '\u{1F150}'..='\u{1F169}' => return letter(u32::from(c) - 0x1F150),
        '\u{1F170}'..='\u{1F189}' => return letter(u32::from(c) - 0x1F170),
        '\u{1F1E6}'..='\u{1F1FF}' => return letter(u32::from(c) - 0x1F1E6),
        // Ideographs, kana and syllables look like each other, not like Latin.
        '\u{2E80}'..='\u{FFFF}' if !matches!(c, '\u{A640}'..='\u{ABFF}') => return None,
        _ => {}
    }
    if let Some(index) = SMALL_CAPITALS.chars().position(|capital| capital == c) {
        return letter(u32::try_from(index).ok()?);
    }
    let mut buffer = [0; 4];
    let mut looks = skeleton(c.encode_utf8(&mut buffer)).filter(|c| !is_combining_mark(*c));
    let first = looks.next().filter(char::is_ascii_alphanumeric)?;
    looks.next().is_none().then(|| first.to_ascii_lowercase())
}

/// `text` in lower case, its compatibility forms and lookalikes as the letters that they are read as, its
/// accents and hidden characters gone. Line breaks and punctuation stay.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_ascii() && !c.is_ascii_control() => folded.push(c.to_ascii_lowercase()),
            '\n' => folded.push('\n'),
            _ if is_hidden(c) => {}
            _ if c.is_whitespace() => folded.push(' '),
            _ => decompose_compatible(c, |c| push_folded(c, &mut folded)),
        }
    }
    folded
}

/// The ASCII form of punctuation that typesetting or another script's keyboard puts in its place.
fn punctuation(c: char) -> Option<char> {
    match c {
        '\u{3002}' => Some('.'),
        '\u{3001}' => Some(','),
        '‘' | '’' | '‛' => Some('\''),
        '“' | '”' => Some('"'),
        '‐'..='―' | '−' => Some('-'),
        _ => None,
    }
}

fn push_folded(c: char, folded: &mut String) {
    if let Some(c) = punctuation(c) {
        folded.push(c);
    } else if c.is_ascii() {
        folded.push(c.to_ascii_lowercase());
    } else if let Some(letter) = lookalike(c) {
        folded.push(letter);
    } else if !is_combining_mark(c) {
        // Some are taken for others in lower case only.
        folded.extend(c.to_lowercase().map(|c| lookalike(c).unwrap_or(c)));
    }
}

/// What was folded, in words with one space between them and ` . ` where a clause ends. A name such as
/// `get_all_pods` is one word: it says what a tool is called, not what to do.
pub(super) fn words(folded: &str) -> String {
    let mut words = String::with_capacity(folded.len());
    let mut chars = folded.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            words.push(c);
            continue;
        }
        let ends = matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '\n')
            && chars.peek().is_none_or(|next| !next.is_alphanumeric() || c == '(');
        if !words.ends_with(' ') && !words.is_empty() {
            words.push(' ');
        }
        if ends && !words.ends_with(". ") {
            words.push_str(". ");
        }
    }
    words
}

/// What was folded without anything between its letters and digits.
pub(super) fn squeezed(folded: &str) -> String {
    folded.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Words that orders cannot do without, in which one slip is forgiven.
const KEYS: [&str; 8] = [
    "ignore",
    "disregard",
    "previous",
    "instruction",
    "instructions",
    "guidelines",
    "override",
    "forget",
];

/// Words as they were meant where one letter of a key word is wrong, missing, too many or swapped.
pub(super) fn mended(words: &str) -> String {
    let mend = |word: &str| -> String {
        let near =
            |key: &&&str| word.len().abs_diff(key.len()) < 2 && damerau_levenshtein(word, key) < 2;
        let key = (word.len() > 4).then(|| KEYS.iter().find(near)).flatten();
        single(key.map_or(word, |key| key))
    };
    words.split(' ').filter(|word| *word != ".").map(mend).collect()
}

/// `text` without the second of two letters that are the same.
pub(super) fn single(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    for c in text.chars() {
        if !(c.is_alphabetic() && single.ends_with(c)) {
            single.push(c);
        }
    }
    single
}

/// Squeezed text read in the other ways in which people hide words: digits for letters, backwards, and each
/// letter 13 further on. Only those that differ.
pub(super) fn readings(squeezed: &str) -> Vec<String> {
    let mut readings = Vec::new();
    if squeezed.contains(|c: char| c.is_ascii_digit()) {
        readings.push(squeezed.chars().map(unleet).collect());
    }
    readings.push(squeezed.chars().rev().collect());
    readings.push(squeezed.chars().map(rotated).collect());
    readings
}

fn unleet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        other => other,
    }
}

fn rotated(c: char) -> char {
    match c {
        'a'..='m' => char::from_u32(u32::from(c) + 13).unwrap_or(c),
        'n'..='z' => char::from_u32(u32::from(c) - 13).unwrap_or(c),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_in_disguise_is_read_plainly() {
        let check = |text: &str, plain: &str| assert_eq!(fold(text), plain, "{text:?}");
        check("Ignore ALL", "ignore all");
        check("Ig\u{200b}no\u{ad}re", "ignore");
        check("Ｉｇｎｏｒｅ 𝐈𝐠𝐧𝐨𝐫𝐞 ⓘⓖⓝⓞⓡⓔ 🅸🅶🅽🅾🆁🅴", "ignore ignore ignore ignore");
        check("ɪɢɴᴏʀᴇ 🇮🇬🇳🇴🇷🇪", "ignore ignore");
        check("Ignоre аll", "ignore all");
        check("I\u{301}\u{302}gnore l\u{336}ook", "ignore look");
        check("Größe, précédent", "große, precedent");
        check("evil。com", "evil.com");
        check("忽略指令", "忽略指令");
    }

    #[test]
    fn clauses_end_where_a_reader_would_pause() {
        let check = |text: &str, expected: &str| assert_eq!(words(text), expected, "{text:?}");
        check("never mind. go on", "never mind . go on");
        check("a.b-c d_e", "a b c d_e");
        check("look (here), then act", "look . here . then act");
        assert_eq!(squeezed("i g-n.o r e"), "ignore");
        assert_eq!(mended("ingore . prevous instrctions"), "ignorepreviousinstructions");
        assert_eq!(single("iggnorre all"), "ignore al");
        assert!(readings("1gn0r3").contains(&"ignore".to_owned()));
        assert!(readings("erongi").contains(&"ignore".to_owned()));
        assert!(readings("vtaber").contains(&"ignore".to_owned()));
    }

    proptest! {
        #[test]
        fn folding_takes_any_text_and_is_done_after_once(text in "\\PC{0,60}") {
            let once = fold(&text);
            prop_assert_eq!(&fold(&once), &once);
        }
    }
}
