//! The texts that clients sent, on their way to a template.

/// Who sent a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The message of this index.
    Message(usize),
    Tools,
    /// The template's arguments.
    Arguments,
}

/// What a text is to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Content,
    Reasoning,
    /// A message's name.
    Name,
    /// A name, an id, or a string or key inside of JSON.
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub owner: Owner,
    pub part: Part,
}

/// Rewrites a text on its way to the template.
pub(crate) type Rewrite<'a, 'f> = dyn FnMut(Source, &'a str) -> String + 'f;
