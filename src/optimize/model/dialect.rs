//! What a server understands of structured answers. Pure.
//!
//! OpenAI-compatible servers differ: some take a JSON schema, some a JSON mode with a schema in it
//! (llama.cpp's, Together, Fireworks), some a JSON mode alone, some none of these, and some models no
//! temperature. What they do not know they answer with an error, in words of their own
//! and with any status: a 500 has been seen. So the best is tried first, and what a server complains
//! about is left out from then on.

/// How an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// As text with the JSON taken out of it.
    Text,
    /// In JSON mode.
    JsonMode,
    /// In JSON mode, with the schema beside it.
    ModeWithSchema,
    /// By a JSON schema.
    JsonSchema,
}

/// What a server understands, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: Format,
    /// Whether a temperature may be set.
    pub(super) temperature: bool,
}

impl Format {
    /// Its name in the log of calls.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::JsonMode => "json",
            Self::ModeWithSchema => "json_with_schema",
            Self::JsonSchema => "json_schema",
        }
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self { format: Format::JsonSchema, temperature: true }
    }
}

impl Dialect {
    /// What to use instead, if an error of this status and body says that this one is not understood.
    /// There are at most four steps down.
    pub(super) fn simpler(self, status: u16, body: &str) -> Option<Self> {
        const FORMAT: [&str; 7] = [
            "response_format",
            "responsejsonschema",
            "response_schema",
            "json_schema",
            "json_object",
            "json mode",
            "structured output",
        ];
        if !matches!(status, 400 | 404 | 405 | 415 | 422 | 500 | 501) {
            return None;
        }
        let body = body.to_lowercase();
        if self.format > Format::Text && FORMAT.iter().any(|word| body.contains(word)) {
            let format = match self.format {
                Format::JsonSchema => Format::ModeWithSchema,
                Format::ModeWithSchema => Format::JsonMode,
                Format::JsonMode | Format::Text => Format::Text,
            };
            return Some(Self { format, ..self });
        }
        let complains = self.temperature && body.contains("temperature");
        complains.then_some(Self { temperature: false, ..self })
    }

    /// What both understand.
    pub(super) fn common(self, other: Self) -> Self {
        Self {
            format: self.format.min(other.format),
            temperature: self.temperature && other.temperature,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_complains_about_is_left_out() {
        let best = Dialect::default();
        let json = Dialect { format: Format::ModeWithSchema, ..best };
        let mode = Dialect { format: Format::JsonMode, ..best };
        let text = Dialect { format: Format::Text, ..best };
        let check = |dialect: Dialect, status: u16, body: &str, expected: Option<Dialect>| {
            assert_eq!(dialect.simpler(status, body), expected, "{status} {body}");
        };
        let own_words = "('body', 'response_format', 'type') should be 'text' or 'json_object'";
        check(best, 500, own_words, Some(json));
        check(best, 400, "'json_schema' is not supported", Some(json));
        check(json, 400, "Unknown parameter: 'response_format.schema'", Some(mode));
        check(mode, 400, "Unknown field: response_format", Some(text));
        check(text, 400, "Unknown field: response_format", None);
        check(best, 500, "out of memory", None);
        check(best, 503, own_words, None);
        check(best, 429, own_words, None);
        check(best, 401, own_words, None);
        let cool = Some(Dialect { temperature: false, ..best });
        check(best, 400, "Unsupported value: 'temperature'", cool);
    }

    #[test]
    fn steps_down_end() {
        let mut dialect = Dialect::default();
        let mut steps = 0;
        while let Some(simpler) = dialect.simpler(400, "response_format, temperature") {
            assert_eq!(simpler.common(dialect), simpler);
            (dialect, steps) = (simpler, steps + 1);
        }
        assert_eq!(steps, 4);
    }
}
