//! Whether a call may still be paid for. Pure: what was spent comes in.

use super::entry::Estimate;
use super::price::Price;
use crate::govern::{LlmBudget, LlmReport, RequestId, Spend};

/// What there is to spend for one request, and what is gone.
pub(super) struct Purse<'a> {
    pub(super) request: &'a RequestId,
    pub(super) budget: &'a LlmBudget,
    /// What this request's calls used so far.
    pub(super) report: &'a LlmReport,
    /// What else the agent spent today.
    pub(super) before: Spend,
    pub(super) model: &'a str,
    pub(super) price: Option<Price>,
}

impl Purse<'_> {
    /// What speaks against a call that may take `estimate`, for people; `None` if nothing does.
    pub(super) fn objection(&self, estimate: &Estimate) -> Option<String> {
        self.calls().or_else(|| self.tokens(estimate)).or_else(|| self.money(estimate))
    }

    fn calls(&self) -> Option<String> {
        let most = self.budget.calls_per_request;
        let (calls, request) = (self.report.calls, self.request);
        (calls >= most).then(|| {
            format!(
                "{calls} calls were made for {request}, and llm_budget.calls_per_request allows {most}"
            )
        })
    }

    fn tokens(&self, estimate: &Estimate) -> Option<String> {
        let budget = self.budget.tokens_per_day?;
        let (spent, next) = (self.spent().tokens(), estimate.tokens());
        (spent.saturating_add(next) > budget).then(|| {
            used_up(
                &format!("{budget} tokens"),
                &format!("{spent} are spent and the next call may take {next}"),
                "tokens_per_day",
            )
        })
    }

    fn money(&self, estimate: &Estimate) -> Option<String> {
        let budget = self.budget.micros_per_day?;
        let (Some(price), Some(next)) = (self.price, estimate.cost_micros) else {
            return Some(format!(
                "what {} costs is not known, and llm_budget.usd_per_day sets a limit: set llm.price, or \
                 that limit to null",
                self.model
            ));
        };
        let spent = self.spent();
        // What had no price when it was spent is taken at the higher of today's.
        let unpriced =
            price.cost(spent.unpriced_tokens, 0).max(price.cost(0, spent.unpriced_tokens));
        let spent = spent.cost_micros.saturating_add(unpriced);
        (spent.saturating_add(next) > budget).then(|| {
            used_up(
                &format!("{} USD", dollars(budget)),
                &format!(
                    "{} are spent and the next call may cost {}",
                    dollars(spent),
                    dollars(next)
                ),
                "usd_per_day",
            )
        })
    }

    /// What the agent spent today, with this request.
    pub(super) fn spent(&self) -> Spend {
        self.before.plus(Spend::of(self.report))
    }
}

fn used_up(budget: &str, how: &str, key: &str) -> String {
    format!(
        "the day's budget of {budget} is used up: {how}; it starts anew at 00:00 UTC; raise \
         llm_budget.{key} to spend more"
    )
}

/// Millionths as dollars, to a hundredth of a cent, rounded up.
fn dollars(micros: u64) -> String {
    let parts = micros.div_ceil(100);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICE: Price = Price { input: 300_000, output: 2_500_000 };

    fn estimate(input_tokens: u64, output_tokens: u64) -> Estimate {
        Estimate::of(input_tokens, output_tokens, Some(PRICE))
    }

    fn objection(
        budget: &LlmBudget,
        (calls, before): (u32, Spend),
        price: Option<Price>,
    ) -> Option<String> {
        let request = RequestId { agent: "mitigation".parse().unwrap(), number: 3 };
        let mut report = LlmReport { calls, ..LlmReport::default() };
        report.book(400, 100, Some(370));
        let (request, report) = (&request, &report);
        let purse = Purse { request, budget, report, before, model: "m", price };
        purse.objection(&Estimate::of(1_000, 8_000, price))
    }

    #[test]
    fn a_call_that_would_pass_a_limit_is_named_with_the_numbers() {
        let budget = LlmBudget {
            tokens_per_day: Some(20_000),
            micros_per_day: Some(50_000),
            calls_per_request: 2,
        };
        let spent =
            |tokens, cost_micros| Spend { input_tokens: tokens, cost_micros, ..Spend::default() };
        let check = |calls, before, expected: &str| {
            let found = objection(&budget, (calls, before), Some(PRICE)).unwrap_or_default();
            assert_eq!(found, expected);
        };
        check(1, spent(10_500, 0), "");
        check(
            1,
            spent(10_501, 0),
            "the day's budget of 20000 tokens is used up: 11001 are spent and the next call may take \
             9000; it starts anew at 00:00 UTC; raise llm_budget.tokens_per_day to spend more",
        );
        check(1, spent(0, 29_330), "");
        check(
            1,
            spent(0, 29_331),
            "the day's budget of 0.0500 USD is used up: 0.0298 are spent and the next call may cost \
             0.0203; it starts anew at 00:00 UTC; raise llm_budget.usd_per_day to spend more",
        );
        let unpriced = Spend { unpriced_tokens: 20_000, ..Spend::default() };
        let found = objection(&budget, (0, unpriced), Some(PRICE)).unwrap();
        assert!(found.contains("0.0504 are spent"), "{found}");
        check(
            2,
            Spend::default(),
            "2 calls were made for mitigation#3, and llm_budget.calls_per_request allows 2",
        );
    }

    #[test]
    fn money_without_a_price_is_not_spent_where_it_is_limited() {
        let limited = LlmBudget { micros_per_day: Some(1_000_000), ..LlmBudget::default() };
        let found = objection(&limited, (0, Spend::default()), None).unwrap();
        assert!(found.starts_with("what m costs is not known"), "{found}");
        assert_eq!(objection(&LlmBudget::default(), (0, Spend::default()), None), None);
    }

    proptest! {
        #[test]
        fn what_is_allowed_stays_within_the_limits(
            limit in 0..40_000_u64, tokens in 0..40_000_u64, next in (0..20_000_u64, 0..20_000_u64),
        ) {
            let budget = LlmBudget {
                tokens_per_day: Some(limit), micros_per_day: Some(limit), calls_per_request: 9,
            };
            let before = Spend::of_call(tokens, 0, Some(PRICE.cost(tokens, 0)));
            let request = RequestId { agent: "a".parse().unwrap(), number: 1 };
            let (request, report) = (&request, &LlmReport::default());
            let price = Some(PRICE);
            let purse = Purse { request, budget: &budget, report, before, model: "m", price };
            let next = estimate(next.0, next.1);
            let fits = tokens + next.tokens() <= limit
                && before.cost_micros + next.cost_micros.unwrap() <= limit;
            prop_assert_eq!(purse.objection(&next).is_none(), fits);
        }
    }
}
