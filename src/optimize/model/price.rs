//! What tokens cost. Pure: whole millionths of a dollar, so that sums are exact.

use serde::{Deserialize, Serialize};

/// The model that is asked unless another is named.
pub(super) const DEFAULT_MODEL: &str = "gemini-2.5-flash";

/// What a model costs, in millionths of a US dollar for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of tokens read.
    pub input: u64,
    /// Of tokens written, thoughts included.
    pub output: u64,
}

impl Price {
    /// The price of [`DEFAULT_MODEL`] at its provider, as published in mid 2025: 0.30 and 2.50 US dollars.
    const DEFAULT: Self = Self { input: 300_000, output: 2_500_000 };

    /// The published price of `model` at its provider, if it is known here.
    pub(super) fn published(model: &str) -> Option<Self> {
        (model == DEFAULT_MODEL).then_some(Self::DEFAULT)
    }

    /// What these tokens cost, in millionths of a US dollar, rounded up.
    pub(super) fn cost(self, input_tokens: u64, output_tokens: u64) -> u64 {
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let parts = part(input_tokens, self.input).saturating_add(part(output_tokens, self.output));
        u64::try_from(parts.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_costs_what_the_price_list_says() {
        assert_eq!(Price::published("gemini-2.5-flash"), Some(Price::DEFAULT));
        assert_eq!(Price::published("gemini-2.5-pro"), None);
        let check = |input, output, micros| {
            assert_eq!(Price::DEFAULT.cost(input, output), micros, "{input} {output}");
        };
        check(0, 0, 0);
        check(1, 0, 1);
        check(1_000_000, 0, 300_000);
        check(0, 1_000_000, 2_500_000);
        check(6_000, 1_000, 1_800 + 2_500);
    }

    proptest! {
        #[test]
        fn a_cost_is_never_too_low_and_never_overflows(
            input: u64, output: u64, more in 0..1_000_u64, price in (any::<u64>(), any::<u64>()),
        ) {
            let price = Price { input: price.0, output: price.1 };
            let cost = price.cost(input, output);
            prop_assert!(cost <= price.cost(input.saturating_add(more), output));
            let apart = price.cost(input, 0).saturating_add(price.cost(0, output));
            prop_assert!(cost <= apart && apart <= cost.saturating_add(1));
        }
    }
}
