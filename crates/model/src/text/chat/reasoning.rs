//! Whether a prompt ends inside of the answer's reasoning.

use super::super::trace::Traced;

/// How reasoning begins and ends in the formats in use.
const MARKERS: [(&str, &str); 4] = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
];

/// Whether the template's own text at the end has a beginning without its end.
pub(super) fn is_open(traced: &Traced) -> bool {
    let own = traced.spans.last().map_or(0, |span| span.range.end);
    let own = &traced.text[own..];
    MARKERS.iter().any(|(begin, end)| own.rfind(begin).is_some_and(|at| !own[at..].contains(end)))
}
