//! A line and a view to a command and its words.
//!
//! All forms of the view are followed at once, word by word. At each word a keyword spelt in full beats an
//! argument, an argument beats an abbreviation, and an abbreviation must fit one keyword only. When no form is
//! left, what was expected there says what is wrong, and the word says where.

use std::sync::LazyLock;

use crate::command::{Command, View, Words};
use crate::error::{CommandError, Fault, Misstep};
use crate::grammar;
use crate::secret;
use crate::syntax::{self, Argument, Leaf, Node, Rest};
use crate::value::{Kind, Value};

/// One way to write one command.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) command: &'static Command,
    /// Whether it takes the command back.
    pub(crate) negated: bool,
    pub(crate) node: Node,
    /// Whether a secret stands somewhere in it.
    has_secret: bool,
}

impl Form {
    /// Whether `word` may be meant for its first keyword.
    fn begins_like(&self, word: &str) -> bool {
        let letter = |text: &str| text.bytes().next().map(|octet| octet.to_ascii_lowercase());
        match self.node.leaves().first() {
            Some(Leaf::Word(keyword)) => letter(keyword) == letter(word),
            Some(Leaf::Argument(_)) | None => true,
        }
    }
}

/// Every form of every command, in order of declaration.
pub(crate) static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| grammar::commands().flat_map(forms_of).collect());

/// A line that follows the grammar.
#[derive(Debug)]
pub(crate) struct Matched {
    pub(crate) command: &'static Command,
    pub(crate) negated: bool,
    pub(crate) words: Words,
    /// The line as it may be shown.
    pub(crate) shown: String,
}

/// A line that does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) misstep: Misstep,
    /// Which word is the offending one; the number of words when it is missing.
    pub(crate) word: usize,
    pub(crate) error: CommandError,
}

/// What stands in `line`, typed in `view`. Commands that `admits` refuses do not exist.
pub(crate) fn parse(view: View, line: &str, admits: impl Fn(&Command) -> bool) -> Result<Matched, Mismatch> {
    let mut tokens = tokens(line);
    let mut paths = start(view, admits);
    for index in 0.. {
        if index < tokens.len() && takes_the_line(&paths) {
            let rest = &mut tokens[index];
            rest.text = line[rest.start..].trim_end();
            tokens.truncate(index + 1);
        }
        let Some(token) = tokens.get(index) else { break };
        paths = step(&paths, token.text).map_err(|stop| mismatch(&tokens, index, &stop, &paths))?;
    }
    let whole = paths.iter().find(|path| syntax::expand(path.rest.clone(), &mut Vec::new()));
    match whole {
        Some(path) => {
            let hidden: Vec<bool> = (0..tokens.len()).map(|index| path.secrets.contains(&index)).collect();
            let (shown, _) = shown(&tokens, &hidden);
            let form = path.form;
            Ok(Matched { command: form.command, negated: form.negated, words: path.words.clone(), shown })
        }
        None => {
            let stop = Stop { misstep: Misstep::Incomplete, secret: false };
            Err(mismatch(&tokens, tokens.len(), &stop, &paths))
        }
    }
}

/// A form that the words so far fit, and what it still expects.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) form: &'static Form,
    pub(crate) rest: Vec<Rest>,
    words: Words,
    /// Which words were secrets.
    secrets: Vec<usize>,
    length: usize,
}

/// Every form of the view, unread.
pub(crate) fn start(view: View, admits: impl Fn(&Command) -> bool) -> Vec<Path> {
    FORMS
        .iter()
        .filter(|form| form.command.views.contains(&view) && admits(form.command))
        .map(|form| Path {
            form,
            rest: vec![Rest::Node(&form.node)],
            words: Words::default(),
            secrets: Vec::new(),
            length: 0,
        })
        .collect()
}

/// Whether all that can come next is an argument that takes the line to its end.
pub(crate) fn takes_the_line(paths: &[Path]) -> bool {
    let mut found = Vec::new();
    for path in paths {
        if syntax::expand(path.rest.clone(), &mut found) {
            return false;
        }
    }
    let takes = |leaf: &Leaf| matches!(leaf, Leaf::Argument(Argument { kind: Kind::Line { .. }, .. }));
    !found.is_empty() && found.iter().all(|(leaf, _)| takes(leaf))
}

/// Why no form goes on.
pub(crate) struct Stop {
    misstep: Misstep,
    /// Whether a secret could have stood here.
    secret: bool,
}

/// The forms that are left after one more word.
pub(crate) fn step(paths: &[Path], word: &str) -> Result<Vec<Path>, Stop> {
    let mut next = Vec::new();
    for path in paths {
        let mut found = Vec::new();
        syntax::expand(path.rest.clone(), &mut found);
        next.extend(found.into_iter().map(|(leaf, rest)| (path, leaf, rest)));
    }
    let fits = |fit: &dyn Fn(Leaf) -> Option<Taken>| -> Vec<(Taken, Path)> {
        let taken = next.iter().filter_map(|(path, leaf, rest)| Some((fit(*leaf)?, *path, *leaf, rest)));
        taken.map(|(taken, path, leaf, rest)| (taken.clone(), path.after(leaf, taken, rest))).collect()
    };
    let keyword = |matches: fn(&str, &str) -> bool| {
        move |leaf: Leaf| match leaf {
            Leaf::Word(full) if matches(full, word) => Some(Taken::Word(full)),
            _ => None,
        }
    };
    let mut left = fits(&keyword(|full, word| full.eq_ignore_ascii_case(word)));
    if left.is_empty() {
        left = fits(&|leaf| match leaf {
            Leaf::Argument(argument) => argument.kind.accept(word).map(Taken::Value),
            Leaf::Word(_) => None,
        });
    }
    if left.is_empty() {
        left = fits(&keyword(begins));
        if left.iter().any(|(taken, _)| *taken != left[0].0) {
            return Err(Stop { misstep: Misstep::Ambiguous, secret: false });
        }
    }
    if !left.is_empty() {
        return Ok(left.into_iter().map(|(_, path)| path).collect());
    }
    let leaves = || next.iter().map(|(_, leaf, _)| *leaf);
    let misstep = if leaves().any(|leaf| matches!(leaf, Leaf::Argument(_))) {
        Misstep::WrongParameter
    } else if next.is_empty() && !paths.is_empty() {
        Misstep::TooMany
    } else {
        Misstep::Unrecognized
    };
    Err(Stop { misstep, secret: leaves().any(Leaf::is_secret) })
}

/// Whether `word` is the beginning of the keyword `full`, whatever its case.
pub(crate) fn begins(full: &str, word: &str) -> bool {
    full.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
}

#[derive(Clone, Debug, PartialEq)]
enum Taken {
    Word(&'static str),
    Value(Value),
}

impl Path {
    fn after(&self, leaf: Leaf, taken: Taken, rest: &[Rest]) -> Path {
        let mut path = self.clone();
        path.rest = rest.to_vec();
        match (leaf, taken) {
            (Leaf::Argument(argument), Taken::Value(value)) => {
                path.words.arguments.push((argument.name, value));
                path.words.places.push(path.length);
            }
            (_, Taken::Word(word)) => path.words.keywords.push(word),
            (Leaf::Word(_), Taken::Value(_)) => {}
        }
        if leaf.is_secret() {
            path.secrets.push(path.length);
        }
        path.length += 1;
        path
    }
}

fn forms_of(command: &'static Command) -> Vec<Form> {
    let form = |negated: bool, format: &'static str| {
        let node = syntax::parse(format).unwrap_or_else(|_| panic!("a declaration is malformed: {format}"));
        let has_secret = node.leaves().into_iter().any(Leaf::is_secret);
        let node = if negated { Node::Sequence(vec![Node::Word("undo"), node]) } else { node };
        Form { command, negated, node, has_secret }
    };
    let positive = command.formats.iter().map(|format| form(false, format));
    let negative = command.undo_formats().iter().chain(command.undo.iter().flat_map(|_| command.formats));
    positive.chain(negative.map(|format| form(true, format))).collect()
}

/// A word of a line, and where it begins, in characters and in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) column: usize,
    pub(crate) start: usize,
}

/// The words of a line: what stands between blanks.
pub(crate) fn tokens(line: &str) -> Vec<Token<'_>> {
    let blank = |c: char| c.is_ascii_whitespace();
    let mut tokens = Vec::new();
    let (mut column, mut start) = (0, 0);
    for piece in line.split_inclusive(blank) {
        let text = piece.trim_end_matches(blank);
        if !text.is_empty() {
            tokens.push(Token { text, column, start });
        }
        column += piece.chars().count();
        start += piece.len();
    }
    tokens
}

/// That the word `place` of a line that matched is out of a range which the settings move.
pub(crate) fn out_of_range(line: &str, place: usize) -> CommandError {
    let stop = Stop { misstep: Misstep::WrongParameter, secret: false };
    mismatch(&tokens(line), place, &stop, &[]).error
}

fn mismatch(tokens: &[Token<'_>], word: usize, stop: &Stop, paths: &[Path]) -> Mismatch {
    let (line, columns) = shown(tokens, &hidden(tokens, word, stop, paths));
    let caret = columns.get(word).copied().unwrap_or_else(|| line.chars().count());
    let end = tokens.last().map_or(0, |token| token.column + token.text.chars().count());
    let typed = tokens.get(word).map_or(end, |token| token.column);
    let (caret, caret_typed) = (Some(caret), Some(typed));
    let error = CommandError { line, caret, caret_typed, fault: Fault::Misstep(stop.misstep) };
    Mismatch { misstep: stop.misstep, word, error }
}

/// Which words must not be shown. The words before the offending one are known for what they are; it and those
/// after it are hidden when a secret was expected there, when a keyword before them announces one, or when one of
/// the forms that were still open has one: at the first word, those that begin with its letter.
fn hidden(tokens: &[Token<'_>], word: usize, stop: &Stop, paths: &[Path]) -> Vec<bool> {
    let first = tokens.first().map_or("", |token| token.text);
    let may_be_meant = |path: &Path| path.form.has_secret && (word > 0 || path.form.begins_like(first));
    let open_secret = stop.misstep != Misstep::Incomplete && paths.iter().any(may_be_meant);
    let mut announced = false;
    let mut hidden = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        hidden.push(if index < word {
            paths.iter().any(|path| path.secrets.contains(&index))
        } else {
            announced || (index == word && stop.secret) || (index > word && open_secret)
        });
        announced |= secret::introduces_secret(token.text);
    }
    hidden
}

/// The line as it may be shown, and where its words begin in it.
fn shown(tokens: &[Token<'_>], hidden: &[bool]) -> (String, Vec<usize>) {
    let mut line = String::new();
    let mut columns = Vec::with_capacity(tokens.len());
    let mut end_before = 0;
    for (token, hidden) in tokens.iter().zip(hidden) {
        line.push_str(&" ".repeat(token.column - end_before));
        columns.push(line.chars().count());
        line.push_str(if *hidden { "******" } else { token.text });
        end_before = token.column + token.text.chars().count();
    }
    (line, columns)
}
