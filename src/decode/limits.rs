//! How much of a trace is read and kept. Whatever comes in, nothing downstream is larger.

/// The largest record that is decoded, in bytes. A larger one is refused as `record_too_large`.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// The most refusals that one input is answered with; what is wrong beyond them is counted in a last
/// one. Otherwise 16 MB of commas would become millions of refusals.
pub const MAX_REJECTS: usize = 1_000;

/// The most steps of one run that are kept; a longer run is refused as `too_many_steps`.
pub const MAX_STEPS: usize = 100_000;

/// The most distinct tools that one [`Run`](super::Run) names; calls of further tools count in its totals only.
pub const MAX_TOOLS: usize = 32;

/// The most distinct tool-to-tool transitions of one [`Run`](super::Run).
pub const MAX_TRANSITIONS: usize = 64;

/// The longest tool name, trace id or session id that is kept, in bytes; a longer trace
/// id is refused, a longer session id is cut and marked with a digest.
pub const MAX_NAME_BYTES: usize = 128;

/// The longest excerpt of a run that travels with it as an exemplar, in bytes.
pub const MAX_EXCERPT_BYTES: usize = 1_200;

/// The longest error signature, in bytes.
pub const MAX_SIGNATURE_BYTES: usize = 160;

/// The earliest event time that is believed: 2015-01-01T00:00:00Z, in milliseconds since the epoch.
pub const EARLIEST_MILLIS: i64 = 1_420_070_400_000;

/// How far a run may start or end after its arrival, in milliseconds: a day, for clocks and zones gone wrong.
pub const MAX_FUTURE_MILLIS: i64 = 24 * 3_600 * 1000;
