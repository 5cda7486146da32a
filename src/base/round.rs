//! Numbers for charts: short, since a list of agents has thousands of them.

/// `value` to four significant digits; itself where that is beyond an `f64`, or it is none.
pub fn rounded(value: f64) -> f64 {
    const DIGITS: f64 = 4.0;
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let places = DIGITS - 1.0 - value.abs().log10().floor();
    // A power of ten that is whole is exact, so that what is left is the number that prints short.
    let scale = 10f64.powf(places.abs());
    let short = if places < 0.0 {
        (value / scale).round() * scale
    } else {
        (value * scale).round() / scale
    };
    if short.is_finite() { short } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_left() {
        let check = |value: f64, text: &str| assert_eq!(rounded(value).to_string(), text);
        check(0.0, "0");
        check(0.123_456, "0.1235");
        check(-0.000_123_456, "-0.0001235");
        check(f64::from(0.7f32), "0.7");
        check(123.456, "123.5");
        check(1_234_567.0, "1235000");
        check(9_999.7, "10000");
    }

    #[test]
    fn nothing_becomes_no_number() {
        for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e308, 1.8e-308] {
            assert!(rounded(value).is_finite(), "{value}");
        }
    }
}
