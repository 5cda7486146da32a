//! What an agent's optimizations cost, by day in UTC. Sums only: what may be spent is decided where a
//! call is about to be made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LlmReport;
use crate::base::Day;

/// For how many days sums are kept, the newest included.
const DAYS: i64 = 31;

/// What was spent on the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spend {
    /// Calls, whatever became of them.
    pub calls: u64,
    /// Answers that were there from an earlier call.
    pub cached: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What those with a price cost, in millionths of a US dollar.
    pub cost_micros: u64,
    /// Of the tokens, those whose price is not known.
    pub unpriced_tokens: u64,
}

impl Spend {
    /// What `report` tells of.
    pub fn of(report: &LlmReport) -> Self {
        let tokens = report.input_tokens.saturating_add(report.output_tokens);
        Self {
            calls: report.calls.into(),
            cached: report.cached.into(),
            input_tokens: report.input_tokens,
            output_tokens: report.output_tokens,
            cost_micros: report.cost_micros.unwrap_or_default(),
            unpriced_tokens: if report.cost_micros.is_none() { tokens } else { 0 },
        }
    }

    /// One call's part.
    pub fn of_call(input_tokens: u64, output_tokens: u64, cost_micros: Option<u64>) -> Self {
        let mut report = LlmReport { calls: 1, ..LlmReport::default() };
        report.book(input_tokens, output_tokens, cost_micros);
        Self::of(&report)
    }

    /// Tokens read and written.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What is left without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// The greater of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.with(other, Ord::max)
    }

    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            calls: of(self.calls, other.calls),
            cached: of(self.cached, other.cached),
            input_tokens: of(self.input_tokens, other.input_tokens),
            output_tokens: of(self.output_tokens, other.output_tokens),
            cost_micros: of(self.cost_micros, other.cost_micros),
            unpriced_tokens: of(self.unpriced_tokens, other.unpriced_tokens),
        }
    }

    /// Whether there is nothing to book.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One day's sum, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendView {
    /// The day, as in `2026-01-31`.
    pub day: String,
    /// The sum.
    #[serde(flatten)]
    pub spend: Spend,
}

/// Sums by day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Spending(BTreeMap<Day, Spend>);

impl Spending {
    /// What was spent on `day`.
    pub(super) fn on(&self, day: Day) -> Spend {
        self.0.get(&day).copied().unwrap_or_default()
    }

    /// Adds to the sum of `day`, and forgets days that are long past.
    pub(super) fn book(&mut self, day: Day, spend: Spend) {
        let sum = self.0.entry(day).or_default();
        *sum = sum.plus(spend);
        if let Some((newest, _)) = self.0.last_key_value() {
            let oldest = newest.plus(1 - DAYS);
            self.0.retain(|day, _| *day >= oldest);
        }
    }

    pub(super) fn view(&self) -> Vec<SpendView> {
        let view = |(day, spend): (&Day, &Spend)| SpendView { day: day.to_string(), spend: *spend };
        self.0.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::EventTime;

    fn spend() -> impl Strategy<Value = Spend> {
        let number = || prop_oneof![0..1000_u64, Just(u64::MAX)];
        (number(), number(), number(), number(), number()).prop_map(
            |(calls, input_tokens, output_tokens, cost_micros, unpriced_tokens)| Spend {
                calls,
                cached: 0,
                input_tokens,
                output_tokens,
                cost_micros,
                unpriced_tokens,
            },
        )
    }

    fn day(number: i64) -> Day {
        Day::of(EventTime::from_millis(0)).plus(number)
    }

    proptest! {
        #[test]
        fn booking_is_adding_in_any_order_and_never_overflows(
            booked in prop::collection::vec((0..3_i64, spend()), 0..20), turn: prop::sample::Index
        ) {
            let mut spending = Spending::default();
            let mut turned = Spending::default();
            for (number, spend) in &booked {
                spending.book(day(*number), *spend);
            }
            let (late, early) = booked.split_at(turn.index(booked.len() + 1));
            for (number, spend) in early.iter().chain(late) {
                turned.book(day(*number), *spend);
            }
            prop_assert_eq!(&spending, &turned);
            for number in 0..3 {
                let of_day = booked.iter().filter(|(other, _)| *other == number);
                let sum = of_day.fold(Spend::default(), |sum, (_, spend)| sum.plus(*spend));
                prop_assert_eq!(spending.on(day(number)), sum);
            }
        }

        #[test]
        fn a_months_days_are_kept_and_no_more(numbers in prop::collection::vec(0..400_i64, 1..80)) {
            let mut spending = Spending::default();
            for number in &numbers {
                spending.book(day(*number), Spend::of_call(1, 1, None));
            }
            prop_assert!(spending.0.len() <= 31);
            let newest = numbers.iter().max().unwrap();
            prop_assert!(!spending.on(day(*newest)).is_nothing());
            prop_assert!(spending.0.keys().all(|kept| *kept > day(newest - 31)));
        }
    }

    #[test]
    fn a_cost_is_known_only_if_every_part_of_it_is() {
        let mut report = LlmReport::default();
        report.book(0, 0, None);
        report.book(10, 5, Some(7));
        report.book(0, 0, None);
        assert_eq!(report.cost_micros, Some(7));
        assert_eq!(Spend::of(&report).unpriced_tokens, 0);
        report.book(1, 0, None);
        report.book(1, 0, Some(7));
        assert_eq!((report.cost_micros, report.input_tokens), (None, 12));
        assert_eq!(Spend::of(&report).unpriced_tokens, 17);
    }
}
