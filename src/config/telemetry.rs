//! What the section `telemetry` means.

use std::collections::BTreeMap;

use super::Telemetry;
use super::checks::Checks;
use super::gate::checked;
use super::raw::RawTelemetry;
use super::secret::configured;

/// Where spans go as `raw` says; none if they go nowhere.
pub(super) fn resolve(
    raw: &RawTelemetry,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Option<Telemetry> {
    let (variable, file) = (raw.token_env.as_deref(), raw.token_file.as_deref());
    let token = configured("telemetry.token", variable, file, environment, checks);
    let share = checks.within("telemetry.share", raw.share, 0.0..=1.0);
    let example = "http://127.0.0.1:4318/v1/traces";
    let endpoint = checked("telemetry.endpoint", raw.endpoint.as_deref()?, example, checks)?;
    Some(Telemetry { endpoint, token, share })
}
