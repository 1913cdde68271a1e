//! The notation of the vendor's manuals, parsed once at start:
//!
//! ```text
//! word                   a keyword
//! name:INTEGER<0-255>    an argument with the name that its handler asks for
//! { a | b }              one of them
//! [ a | b ]              one of them or none
//! { a | b }*             at least one of them, each at most once, in any order
//! [ a | b ]*             the same, or none
//! ```

use crate::value::Kind;

/// What may be written, as a tree.
#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    Word(&'static str),
    Argument(Argument),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Optional(Box<Node>),
    AnyOrder { items: Vec<Node>, required: bool },
}

/// An argument and the name that its handler asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// The notation is wrong: a bracket without its partner, an empty group, an unknown type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotationError;

/// The tree of one format line.
pub(crate) fn parse(format: &'static str) -> Result<Node, NotationError> {
    let mut reader = Reader { tokens: format.split_ascii_whitespace().collect(), at: 0 };
    let node = reader.sequence()?;
    if reader.at == reader.tokens.len() { Ok(node) } else { Err(NotationError) }
}

impl Node {
    /// Every keyword and argument below, in order of writing.
    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        match self {
            Node::Word(word) => vec![Leaf::Word(word)],
            Node::Argument(argument) => vec![Leaf::Argument(*argument)],
            Node::Sequence(nodes) | Node::Choice(nodes) | Node::AnyOrder { items: nodes, .. } => {
                nodes.iter().flat_map(Node::leaves).collect()
            }
            Node::Optional(node) => node.leaves(),
        }
    }
}

/// A place in the tree that takes one word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    Word(&'static str),
    Argument(Argument),
}

impl Leaf {
    /// Whether a secret stands here.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Leaf::Argument(Argument { kind: Kind::Secret { .. }, .. }))
    }
}

/// What is still to be read of a form. The end of the stack comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    Node(&'static Node),
    /// The members of a set that are not used yet.
    Unused {
        items: &'static [Node],
        used: u32,
        required: bool,
    },
}

/// Adds to `found` every leaf that may come next, each with what would remain after it; true when nothing needs
/// to come.
pub(crate) fn expand(mut rest: Vec<Rest>, found: &mut Vec<(Leaf, Vec<Rest>)>) -> bool {
    let Some(first) = rest.pop() else { return true };
    match first {
        Rest::Node(Node::Word(word)) => {
            found.push((Leaf::Word(word), rest));
            false
        }
        Rest::Node(Node::Argument(argument)) => {
            found.push((Leaf::Argument(*argument), rest));
            false
        }
        Rest::Node(Node::Sequence(nodes)) => {
            rest.extend(nodes.iter().rev().map(Rest::Node));
            expand(rest, found)
        }
        Rest::Node(Node::Choice(nodes)) => {
            let mut ends = false;
            for node in nodes {
                ends |= expand(with(&rest, &[Rest::Node(node)]), found);
            }
            ends
        }
        Rest::Node(Node::Optional(node)) => {
            let inside = expand(with(&rest, &[Rest::Node(node)]), found);
            expand(rest, found) || inside
        }
        Rest::Node(Node::AnyOrder { items, required }) => {
            rest.push(Rest::Unused { items, used: 0, required: *required });
            expand(rest, found)
        }
        Rest::Unused { items, used, required } => {
            for (index, item) in items.iter().enumerate().filter(|(index, _)| used & (1 << index) == 0) {
                let remaining = Rest::Unused { items, used: used | 1 << index, required: false };
                expand(with(&rest, &[remaining, Rest::Node(item)]), found);
            }
            !required && expand(rest, found)
        }
    }
}

fn with(rest: &[Rest], more: &[Rest]) -> Vec<Rest> {
    [rest, more].concat()
}

struct Reader {
    tokens: Vec<&'static str>,
    at: usize,
}

impl Reader {
    fn sequence(&mut self) -> Result<Node, NotationError> {
        let mut nodes = Vec::new();
        while let Some(&token) = self.tokens.get(self.at) {
            match token {
                "|" | "}" | "}*" | "]" | "]*" => break,
                "{" | "[" => nodes.push(self.group(token)?),
                _ => {
                    self.at += 1;
                    nodes.push(leaf(token)?);
                }
            }
        }
        match nodes.len() {
            0 => Err(NotationError),
            1 => Ok(nodes.remove(0)),
            _ => Ok(Node::Sequence(nodes)),
        }
    }

    fn group(&mut self, open: &str) -> Result<Node, NotationError> {
        let mut items = Vec::new();
        loop {
            self.at += 1;
            items.push(self.sequence()?);
            match self.tokens.get(self.at).copied() {
                Some("|") => {}
                Some(close) => {
                    self.at += 1;
                    return closed(open, close, items);
                }
                None => return Err(NotationError),
            }
        }
    }
}

fn closed(open: &str, close: &str, mut items: Vec<Node>) -> Result<Node, NotationError> {
    let one = |items: &mut Vec<Node>| {
        if items.len() == 1 { items.remove(0) } else { Node::Choice(std::mem::take(items)) }
    };
    match (open, close) {
        ("{", "}") => Ok(one(&mut items)),
        ("[", "]") => Ok(Node::Optional(Box::new(one(&mut items)))),
        ("{", "}*") => Ok(Node::AnyOrder { items, required: true }),
        ("[", "]*") => Ok(Node::AnyOrder { items, required: false }),
        _ => Err(NotationError),
    }
}

fn leaf(token: &'static str) -> Result<Node, NotationError> {
    let Some((name, kind)) = token.split_once(':') else {
        let is_word = token.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        return if is_word { Ok(Node::Word(token)) } else { Err(NotationError) };
    };
    Ok(Node::Argument(Argument { name, kind: Kind::from_notation(kind).ok_or(NotationError)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_read_as_the_manuals_mean_it() {
        let word = Node::Word;
        let table: &[(&str, Node)] = &[
            ("commit", word("commit")),
            ("a b", Node::Sequence(vec![word("a"), word("b")])),
            ("{ a | b c }", Node::Choice(vec![word("a"), Node::Sequence(vec![word("b"), word("c")])])),
            ("[ a ]", Node::Optional(Box::new(word("a")))),
            ("{ a | b }*", Node::AnyOrder { items: vec![word("a"), word("b")], required: true }),
            ("[ a | b ]*", Node::AnyOrder { items: vec![word("a"), word("b")], required: false }),
            ("x:INTEGER<1-2>", Node::Argument(Argument { name: "x", kind: Kind::Integer { min: 1, max: 2 } })),
            ("ip:X:X::X:X", Node::Argument(Argument { name: "ip", kind: Kind::Ipv6 })),
        ];
        for (format, node) in table {
            assert_eq!(parse(format).as_ref(), Ok(node), "{format}");
        }
    }

    #[test]
    fn broken_notation_is_refused() {
        for format in ["", "{ a", "a }", "{ a ]", "[ ]", "{ a | }", "A", "x:INTEGER", "a | b"] {
            assert_eq!(parse(format), Err(NotationError), "{format}");
        }
    }
}
