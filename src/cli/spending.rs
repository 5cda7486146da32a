//! What agents spent on the model, as `whetstone status` shows it.

use super::output::{dollars, table};
use crate::base::Day;
use crate::govern::{AgentView, Spend, SpendView};

/// Days of one agent that are shown.
const DAYS: usize = 7;

/// One agent's last days, newest first; nothing if nothing was spent.
pub(super) fn lines(view: &AgentView) -> Vec<String> {
    if view.spending.is_empty() {
        return Vec::new();
    }
    let heading = ["MODEL", "CALLS", "CACHED", "TOKENS", "USD"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for SpendView { day, spend } in view.spending.iter().rev().take(DAYS) {
        rows.push(vec![
            day.clone(),
            spend.calls.to_string(),
            spend.cached.to_string(),
            spend.tokens().to_string(),
            usd(spend),
        ]);
    }
    table(&rows)
}

/// All agents together, today and over all days that are kept; nothing if nothing was spent.
pub(super) fn total(views: &[AgentView], today: Day) -> Option<String> {
    let spending = || views.iter().flat_map(|view| &view.spending);
    let sum = |days: &mut dyn Iterator<Item = &SpendView>| {
        days.fold(Spend::default(), |sum, day| sum.plus(day.spend))
    };
    let all = sum(&mut spending());
    let today = today.to_string();
    let today = sum(&mut spending().filter(|day| day.day == today));
    let part = |spend: &Spend| {
        format!("{} calls, {} tokens, {} USD", spend.calls, spend.tokens(), usd(spend))
    };
    let said = || format!("model: {} today; {} in 31 days", part(&today), part(&all));
    (!all.is_nothing()).then(said)
}

fn usd(spend: &Spend) -> String {
    match spend.unpriced_tokens {
        0 => dollars(spend.cost_micros),
        tokens => format!("{} and {tokens} tokens without a price", dollars(spend.cost_micros)),
    }
}
