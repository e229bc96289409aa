//! The parts of an answer.

/// Joined by kind, the parts are the answer as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Content(String),
    Reasoning(String),
    /// A call begins; its arguments follow.
    Call {
        name: String,
    },
    /// More of the JSON text of the last call's arguments.
    Arguments(String),
}

/// Collects parts; neighbours of one kind become one.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    list: Vec<Part>,
    /// Set when what was read so far can no longer become content.
    settled: bool,
}

impl Parts {
    pub fn content(&mut self, text: &str) {
        match self.list.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Content(last)) => last.push_str(text),
            _ => self.list.push(Part::Content(text.to_owned())),
        }
    }

    pub fn reasoning(&mut self, text: &str) {
        match self.list.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Reasoning(last)) => last.push_str(text),
            _ => self.list.push(Part::Reasoning(text.to_owned())),
        }
    }

    pub fn call(&mut self, name: &str) {
        self.list.push(Part::Call { name: name.to_owned() });
        self.settle();
    }

    pub fn arguments(&mut self, text: &str) {
        match self.list.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Arguments(last)) => last.push_str(text),
            _ => self.list.push(Part::Arguments(text.to_owned())),
        }
    }

    /// Everything read so far belongs to a call.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    pub fn take_settled(&mut self) -> bool {
        std::mem::take(&mut self.settled)
    }

    pub fn take(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.list)
    }
}
