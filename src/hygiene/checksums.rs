//! Numbers that say themselves whether they are real: payment cards and bank accounts.

/// Whether `digits`, blanks and hyphens aside, pass the Luhn formula (ISO/IEC 7812-1, annex B).
pub(super) fn is_luhn(digits: &str) -> bool {
    let digits = digits.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether `account`, blanks aside, has the check digits of an IBAN (ISO 13616: modulo 97).
pub(super) fn is_iban(account: &str) -> bool {
    let chars: Vec<_> = account.chars().filter(char::is_ascii_alphanumeric).collect();
    if !(15..=34).contains(&chars.len()) {
        return false;
    }
    let rest = chars.iter().skip(4).chain(chars.iter().take(4)).try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    rest == Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digits_decide() {
        assert!(is_luhn("4111 1111-1111 1111"));
        assert!(!is_luhn("4111 1111 1111 1112"));
        assert!(is_iban("GB82 WEST 1234 5698 7654 32"));
        assert!(is_iban("DE89370400440532013000"));
        assert!(!is_iban("GB82 WEST 1234 5698 7654 33"));
        assert!(!is_iban("GB82"));
    }
}
