//! Which agent a span belongs to: the nearest one above it. Looks at ids alone; spans may be missing, and
//! hostile ones may go round in circles.

use std::collections::BTreeMap;

use crate::decode::otlp::{Role, Span, SpanId};

/// The spans of one trace. Boxed, since a map's smallest node has room for eleven, and most traces of a flood
/// have one.
#[derive(Debug, Default)]
pub(super) struct Spans(BTreeMap<SpanId, Box<Span>>);

impl Spans {
    pub(super) fn get(&self, id: &SpanId) -> Option<&Span> {
        self.0.get(id).map(Box::as_ref)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Span> {
        self.0.values().map(Box::as_ref)
    }

    pub(super) fn insert(&mut self, span: Span) {
        self.0.insert(span.id, Box::new(span));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// For each span that is not an agent's own, the agent's span nearest above it.
///
/// Where a span between the two is missing, the trace's root, if that is an agent's, since all of the trace
/// is below it. Of others nobody knows, so they are not in the answer.
pub(super) fn agents_above(spans: &Spans) -> BTreeMap<SpanId, SpanId> {
    let root = spans.values().find(|span| span.parent.is_none() && is_agent(span));
    let root = root.map(|span| span.id);
    let mut known: BTreeMap<SpanId, Option<SpanId>> = BTreeMap::new();
    for span in spans.values().filter(|span| !is_agent(span)) {
        let mut path = vec![span.id];
        let mut next = span.parent;
        let agent = loop {
            let Some(id) = next else { break None };
            if let Some(found) = known.get(&id) {
                break *found;
            }
            match spans.get(&id) {
                None => break root,
                Some(above) if is_agent(above) => break Some(id),
                // A circle that no agent is in.
                Some(_) if path.len() > spans.len() => break None,
                Some(above) => {
                    path.push(id);
                    next = above.parent;
                }
            }
        };
        known.extend(path.into_iter().map(|id| (id, agent)));
    }
    known.into_iter().filter_map(|(id, agent)| Some((id, agent?))).collect()
}

/// How far above a span another is looked for: what is told twice is told close by.
const DEEPEST: usize = 64;

/// The nearest span above `span`, below its agent, that `fits`.
pub(super) fn above<'a>(
    spans: &'a Spans,
    span: &Span,
    fits: impl Fn(&Span) -> bool,
) -> Option<&'a Span> {
    let mut next = span.parent;
    for _ in 0..DEEPEST {
        let above = spans.get(&next?)?;
        if is_agent(above) {
            return None;
        }
        if fits(above) {
            return Some(above);
        }
        next = above.parent;
    }
    None
}

pub(super) fn is_agent(span: &Span) -> bool {
    matches!(span.role, Role::Agent(_))
}
