//! What was written where: the file over the defaults, the environment over the file, flags over all.

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml::{Mapping, Value};
use yamlpath::{Component, Document, Route};

use super::error::{Origin, Problem};
use super::key::Key;
use super::shape::{Misfit, Shape, merge};
use super::suggest::nearest;

/// Everything written, laid over the defaults, and where each piece came from.
pub(super) struct Layers {
    shape: Shape,
    tree: Value,
    file: Option<File>,
    /// Keys set from outside the file, in the order in which they were laid on.
    set: Vec<(Key, Origin)>,
    problems: Vec<Problem>,
}

struct File {
    path: String,
    /// For line numbers only.
    document: Option<Document>,
}

impl Layers {
    pub(super) fn new(defaults: Value, shape: Shape) -> Self {
        Self { shape, tree: defaults, file: None, set: Vec::new(), problems: Vec::new() }
    }

    /// Lays on a file's text.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let path = path.display().to_string();
        match serde_yaml::from_str::<Value>(text) {
            Ok(written) => {
                self.file = Some(File { path, document: Document::new(text).ok() });
                self.lay(written);
            }
            Err(error) => {
                let line = error.location().map(|location| location.line());
                let origin = Origin::File { path, line };
                self.problems.push(Problem { origin, what: format!("is no YAML: {error}") });
            }
        }
    }

    fn lay(&mut self, written: Value) {
        let mut misfits = Vec::new();
        let fitting = self.shape.fit(&Key::default(), written, &mut misfits);
        if let Some(fitting) = fitting {
            merge(&mut self.tree, fitting);
        }
        for (key, misfit) in misfits {
            let what = match misfit {
                Misfit::Unknown => self.unknown(&key),
                Misfit::Wrong(_) if key.parts().is_empty() => {
                    "holds no keys: write lines such as `min_traces: 20`".to_owned()
                }
                Misfit::Wrong(wrong) => format!("{key} {wrong}"),
            };
            let origin = match (self.origin(&key), &self.file) {
                (Origin::Default, Some(file)) => {
                    Origin::File { path: file.path.clone(), line: None }
                }
                (origin, _) => origin,
            };
            self.problems.push(Problem { origin, what });
        }
    }

    /// Lays on what of the environment sets a key.
    pub(super) fn environment(&mut self, variables: &BTreeMap<String, String>) {
        let ours = |name: &&String| !super::OTHER_VARIABLES.contains(&name.as_str());
        for (name, text) in variables.iter().filter(|(name, _)| ours(name)) {
            if let Some(key) = Key::of_variable(name).filter(|key| self.find(key).is_some()) {
                self.set(&key, text, Origin::Variable(name.clone()));
            }
        }
    }

    /// Finds variables that look like ours and set nothing, once it is known where the token is.
    pub(super) fn unknown_variables(&mut self, variables: &BTreeMap<String, String>) {
        let named = self.named_variables();
        let keys = self.shape.leaves(&Key::default());
        let names: Vec<_> = keys.iter().map(Key::variable).collect();
        for name in variables.keys() {
            let Some(key) = Key::of_variable(name) else { continue };
            let is_known = self.find(&key).is_some()
                || super::OTHER_VARIABLES.contains(&name.as_str())
                || name.starts_with(super::TEST_PREFIX)
                || named.contains(name);
            if !is_known {
                let what = format!("there is no key {key}{}", hint(nearest(name, &names)));
                self.problems.push(Problem { origin: Origin::Variable(name.clone()), what });
            }
        }
    }

    /// Variables that hold secrets, as keys name them.
    fn named_variables(&self) -> Vec<String> {
        let names = [
            "http.token_env",
            "http.read_token_env",
            "kafka.security.password_env",
            "gate.token_env",
            "telemetry.token_env",
        ];
        let mut named: Vec<_> =
            names.iter().filter_map(|key| self.text(&Key::default().join(key))).collect();
        if let Some(passed) = self.text(&Key::default().join("gate.environment")) {
            named.extend(passed.split_whitespace().map(str::to_owned));
        }
        let properties = self.tree.get("kafka").and_then(|kafka| kafka.get("properties"));
        if let Some(Value::Mapping(properties)) = properties {
            let values = properties.values().filter_map(Value::as_str);
            named.extend(values.filter_map(|value| value.strip_prefix("env:")).map(str::to_owned));
        }
        named
    }

    /// Lays on `key=value`.
    pub(super) fn flag(&mut self, written: &str) {
        let Some((key, text)) = written.split_once('=') else {
            // Without its end, which may be a secret.
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let shown = written.split(|c| !known(c)).next().unwrap_or_default();
            let cut = if shown == written { "" } else { "…" };
            let origin = Origin::Flag(format!("{shown}{cut}"));
            let what = "write it as key=value, e.g. windows.length=6h".to_owned();
            self.problems.push(Problem { origin, what });
            return;
        };
        let key = self.shape.key(key.trim());
        // What a property, a URL or an unknown key holds may be a secret that should not be there.
        let secretive = ["kafka", "gate", "telemetry"];
        let hidden = key.parts().first().is_some_and(|first| secretive.contains(&first.as_str()));
        if self.find(&key).is_none() {
            let what = self.unknown(&key);
            self.problems.push(Problem { origin: Origin::Flag(format!("{key}=…")), what });
        } else if hidden {
            self.set(&key, text.trim(), Origin::Flag(format!("{key}=…")));
        } else {
            self.set(&key, text.trim(), Origin::Flag(written.to_owned()));
        }
    }

    fn set(&mut self, key: &Key, text: &str, origin: Origin) {
        let Some(shape) = self.find(key) else { return };
        match shape.read(text) {
            Ok(value) => {
                let nest = |value, part: &String| {
                    Value::Mapping(Mapping::from_iter([(Value::String(part.clone()), value)]))
                };
                let nested = key.parts().iter().rev().fold(value, nest);
                merge(&mut self.tree, nested);
                self.set.push((key.clone(), origin));
            }
            Err(wrong) => {
                self.problems.push(Problem { origin, what: format!("{key} {wrong}") });
            }
        }
    }

    fn find(&self, key: &Key) -> Option<&Shape> {
        key.parts().iter().try_fold(&self.shape, |shape, part| shape.below(part))
    }

    /// The text at `key`, if there is one.
    fn text(&self, key: &Key) -> Option<String> {
        let value = key.parts().iter().try_fold(&self.tree, |value, part| value.get(part))?;
        value.as_str().map(str::to_owned)
    }

    /// Says that there is no `key`, and which was meant: one with nearly the same name beside it, or
    /// one with the same name somewhere else.
    fn unknown(&self, key: &Key) -> String {
        let parent = key.parent().unwrap_or_default();
        let part = key.parts().last().map_or("", String::as_str);
        if parent.parts().first().is_some_and(|first| first == "agents")
            && self.shape.below(part).is_some()
        {
            return format!("there is no key {key}: {part} is the same for all agents");
        }
        let beside: Vec<_> = match self.find(&parent) {
            Some(Shape::Section(sections)) => sections.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let suggestion = nearest(part, &beside).map(|near| parent.child(near)).or_else(|| {
            let leaves = self.shape.leaves(&Key::default());
            leaves.into_iter().find(|leaf| leaf.parts().last().is_some_and(|last| last == part))
        });
        format!("there is no key {key}{}", hint(suggestion.map(|key| key.to_string())))
    }

    pub(super) fn problem(&mut self, key: &Key, what: String) {
        let origin = self.origin(key);
        self.problems.push(Problem { origin, what });
    }

    /// Where `key` was written, or else the nearest section around it.
    fn origin(&self, key: &Key) -> Origin {
        let mut around = Some(key.clone());
        while let Some(here) = around.filter(|here| !here.parts().is_empty()) {
            let set = self.set.iter().rev().find(|(set, _)| set.is_within(&here));
            if let Some((_, origin)) = set {
                return origin.clone();
            }
            if let Some((path, line)) = self.file.as_ref().and_then(|file| file.line(&here)) {
                return Origin::File { path, line: Some(line) };
            }
            around = here.parent();
        }
        Origin::Default
    }

    /// The whole, and what is wrong so far.
    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// Everything found wrong, in the order in which it was written.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        self.problems
    }
}

impl File {
    fn line(&self, key: &Key) -> Option<(String, usize)> {
        let components = key.parts().iter().map(|part| Component::from(part.as_str()));
        let route = Route::from(components.collect::<Vec<_>>());
        let feature = self.document.as_ref()?.query_key_only(&route).ok()?;
        Some((self.path.clone(), feature.location.point_span.0.0 + 1))
    }
}

fn hint(suggestion: Option<String>) -> String {
    suggestion.map_or_else(String::new, |suggestion| format!("; did you mean {suggestion}?"))
}
