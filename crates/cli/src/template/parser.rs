//! From tokens to a tree.

use std::collections::BTreeMap;

use super::ast::{Branch, Command, Invocation, Node, Operand, Pipe, Term};
use super::functions;
use super::lexer::{self, Keyword, Token, TokenKind};
use super::literal;
use super::value::Value;

/// A template and those it defines.
#[derive(Debug, Clone)]
pub struct Tree {
    pub main: Vec<Node>,
    pub defined: BTreeMap<String, Vec<Node>>,
}

/// How deep parentheses and blocks may be in each other.
const MAX_NESTING: usize = 100;

/// Reads the template `name`.
///
/// # Errors
/// In Go's words, `template: name:line: ...`, if it is not of the language.
pub fn parse(name: &str, text: &str) -> Result<Tree, String> {
    let mut parser = Parser {
        name,
        text,
        tokens: lexer::tokens(text),
        index: 0,
        variables: vec!["$".to_owned()],
        loops: 0,
        nesting: 0,
        defined: BTreeMap::new(),
    };
    let main = parser.whole()?;
    Ok(Tree {
        main,
        defined: parser.defined,
    })
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    /// Ends with an end or an error, which is given again and again.
    tokens: Vec<Token>,
    index: usize,
    /// Those in scope.
    variables: Vec<String>,
    /// How many `range` are around.
    loops: usize,
    nesting: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

type Parsed<T> = Result<T, String>;

/// What ends a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Else,
    End,
}

impl Ending {
    fn shown(self) -> &'static str {
        match self {
            Ending::Else => "{{else}}",
            Ending::End => "{{end}}",
        }
    }
}

enum Item {
    Node(Node),
    Ending(Ending),
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        let last = self.tokens.len() - 1;
        &self.tokens[self.index.min(last)]
    }

    fn kind(&self) -> TokenKind {
        self.peek().kind
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.index += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.kind() == TokenKind::Space {
            self.index += 1;
        }
    }

    fn next_solid(&mut self) -> Token {
        self.skip_space();
        self.next()
    }

    fn error(&self, message: impl AsRef<str>) -> String {
        let pos = self.peek().pos;
        self.error_at(pos, message)
    }

    fn error_at(&self, pos: usize, message: impl AsRef<str>) -> String {
        let before = self.text.get(..pos).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        format!("template: {}:{line}: {}", self.name, message.as_ref())
    }

    fn unexpected(&self, token: &Token, context: &str) -> String {
        let text = token.text.as_str();
        let shown = match token.kind {
            TokenKind::Error => return self.error_at(token.pos, text),
            TokenKind::End => "EOF".to_owned(),
            TokenKind::Keyword(_) | TokenKind::Dot | TokenKind::Nil => format!("<{text}>"),
            _ if text.chars().count() > 10 => {
                let begin: String = text.chars().take(10).collect();
                format!("{begin:?}...")
            }
            _ => format!("{text:?}"),
        };
        if token.kind == TokenKind::End && context == "input" {
            return self.error_at(token.pos, "unexpected EOF");
        }
        self.error_at(token.pos, format!("unexpected {shown} in {context}"))
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token> {
        let token = self.next_solid();
        if token.kind == kind {
            Ok(token)
        } else {
            Err(self.unexpected(&token, context))
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return Err(self.error(format!("more than {MAX_NESTING} levels of nesting")));
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    fn whole(&mut self) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            if self.kind() == TokenKind::End {
                return Ok(nodes);
            }
            if self.is_definition() {
                self.definition()?;
                continue;
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => {
                    return Err(self.error(format!("unexpected {}", ending.shown())));
                }
            }
        }
    }

    fn is_definition(&mut self) -> bool {
        let begin = self.index;
        let is_action = self.next().kind == TokenKind::LeftDelimiter;
        let is_definition =
            is_action && self.next_solid().kind == TokenKind::Keyword(Keyword::Define);
        if !is_definition {
            self.index = begin;
        }
        is_definition
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let (name, _) = self.template_name(CONTEXT)?;
        self.expect(TokenKind::RightDelimiter, CONTEXT)?;
        let body = self.own_scope(CONTEXT)?;
        self.define(name, body)
    }

    /// Reads the body of a template with variables of its own.
    fn own_scope(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, ending) = self.deeper(Self::items)?;
        self.variables = outer;
        self.loops = loops;
        match ending {
            Ending::End => Ok(body),
            Ending::Else => Err(self.error(format!("unexpected {} in {context}", ending.shown()))),
        }
    }

    fn define(&mut self, name: String, body: Vec<Node>) -> Parsed<()> {
        let is_empty = |nodes: &[Node]| {
            nodes
                .iter()
                .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.defined.get(&name) {
            Some(former) if !is_empty(former) => {
                if !is_empty(&body) {
                    return Err(format!(
                        "template: multiple definition of template {name:?}"
                    ));
                }
            }
            _ => {
                self.defined.insert(name, body);
            }
        }
        Ok(())
    }

    fn template_name(&mut self, context: &str) -> Parsed<(String, usize)> {
        let token = self.next_solid();
        match token.kind {
            TokenKind::Quoted | TokenKind::RawQuoted => {
                let name = literal::string(&token.text);
                let name = name.map_err(|message| self.error_at(token.pos, message))?;
                Ok((name, token.pos))
            }
            _ => Err(self.unexpected(&token, context)),
        }
    }

    fn items(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        let mut nodes = Vec::new();
        loop {
            self.skip_space();
            if self.kind() == TokenKind::End {
                return Err(self.error("unexpected EOF"));
            }
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                Item::Ending(ending) => return Ok((nodes, ending)),
            }
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.next_solid();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node::Text(token.text))),
            TokenKind::LeftDelimiter => self.action(),
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        self.skip_space();
        let TokenKind::Keyword(keyword) = self.kind() else {
            let pipe = self.pipeline("command", TokenKind::RightDelimiter)?;
            return Ok(Item::Node(Node::Action(pipe)));
        };
        if keyword == Keyword::Define {
            let token = self.next();
            return Err(self.unexpected(&token, "command"));
        }
        self.next();
        let node = match keyword {
            Keyword::Else => {
                self.skip_space();
                let chained = [Keyword::If, Keyword::With].map(TokenKind::Keyword);
                if !chained.contains(&self.kind()) {
                    self.expect(TokenKind::RightDelimiter, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            Keyword::End => {
                self.expect(TokenKind::RightDelimiter, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Keyword::If | Keyword::Range | Keyword::With => {
                self.deeper(|parser| parser.control(keyword))?
            }
            Keyword::Break => self.jump("{{break}}", Node::Break)?,
            Keyword::Continue => self.jump("{{continue}}", Node::Continue)?,
            Keyword::Template => self.invocation()?,
            Keyword::Block => self.block()?,
            Keyword::Define => unreachable!("refused above"),
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, shown: &str, node: Node) -> Parsed<Node> {
        self.expect(TokenKind::RightDelimiter, shown)?;
        if self.loops == 0 {
            return Err(self.error(format!("{shown} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn invocation(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let (name, pos) = self.template_name(CONTEXT)?;
        self.skip_space();
        let pipe = if self.kind() == TokenKind::RightDelimiter {
            self.next();
            None
        } else {
            Some(self.pipeline(CONTEXT, TokenKind::RightDelimiter)?)
        };
        Ok(Node::Template(Invocation { pos, name, pipe }))
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let (name, pos) = self.template_name(CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, TokenKind::RightDelimiter)?;
        let body = self.own_scope(CONTEXT)?;
        self.define(name.clone(), body)?;
        Ok(Node::Template(Invocation {
            pos,
            name,
            pipe: Some(pipe),
        }))
    }

    fn control(&mut self, keyword: Keyword) -> Parsed<Node> {
        let scope = self.variables.len();
        let context = match keyword {
            Keyword::Range => "range",
            Keyword::With => "with",
            _ => "if",
        };
        let pipe = self.pipeline(context, TokenKind::RightDelimiter)?;
        let inner_loops = usize::from(keyword == Keyword::Range);
        self.loops += inner_loops;
        let (body, ending) = self.items()?;
        self.loops -= inner_loops;
        let otherwise = match ending {
            Ending::End => Vec::new(),
            Ending::Else => self.otherwise(keyword)?,
        };
        self.variables.truncate(scope);
        let branch = Branch {
            pipe,
            body,
            otherwise,
        };
        Ok(match keyword {
            Keyword::Range => Node::Range(branch),
            Keyword::With => Node::With(branch),
            _ => Node::If(branch),
        })
    }

    fn otherwise(&mut self, keyword: Keyword) -> Parsed<Vec<Node>> {
        if keyword != Keyword::Range && self.kind() == TokenKind::Keyword(keyword) {
            self.next();
            return Ok(vec![self.deeper(|parser| parser.control(keyword))?]);
        }
        let (nodes, ending) = self.items()?;
        match ending {
            Ending::End => Ok(nodes),
            Ending::Else => Err(self.error("expected end; found {{else}}")),
        }
    }

    /// Reads commands and what ends them.
    fn pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<Pipe> {
        let mut pipe = Pipe {
            variables: Vec::new(),
            is_assignment: false,
            commands: Vec::new(),
        };
        self.declarations(&mut pipe, context)?;
        loop {
            self.skip_space();
            if self.kind() == end {
                self.next();
                self.check(&pipe, context)?;
                return Ok(pipe);
            }
            if !begins_operand(self.kind()) {
                let token = self.next();
                return Err(self.unexpected(&token, context));
            }
            let command = self.command()?;
            pipe.commands.push(command);
        }
    }

    /// Reads `$x :=`, `$x =` or `$x, $y :=`, if that is what comes.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        loop {
            self.skip_space();
            if self.kind() != TokenKind::Variable {
                return Ok(());
            }
            let begin = self.index;
            let variable = self.next();
            self.skip_space();
            let sign = self.peek().clone();
            match sign.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    self.next();
                    pipe.is_assignment = sign.kind == TokenKind::Assign;
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                TokenKind::Other if sign.text == "," => {
                    self.next();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() > 1 {
                        return Err(self.error(format!("too many declarations in {context}")));
                    }
                    self.skip_space();
                    if self.kind() != TokenKind::Variable {
                        return Err(self.error("range can only initialize variables"));
                    }
                }
                _ => {
                    self.index = begin;
                    return Ok(());
                }
            }
        }
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.words.first().map(|word| &word.term);
            if matches!(first, Some(Term::Dot | Term::Nil | Term::Literal(..))) {
                let stage = index + 1;
                return Err(self.error(format!("non executable command in pipeline stage {stage}")));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let pos = self.peek().pos;
        let mut words = Vec::new();
        loop {
            self.skip_space();
            if let Some(word) = self.operand()? {
                words.push(word);
            }
            match self.kind() {
                TokenKind::Space => {}
                TokenKind::RightDelimiter | TokenKind::RightParenthesis => break,
                TokenKind::Pipe => {
                    self.next();
                    break;
                }
                _ => {
                    let token = self.next();
                    return Err(self.unexpected(&token, "operand"));
                }
            }
        }
        if words.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(Command { pos, words })
    }

    /// A term, perhaps with fields after it.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else {
            return Ok(None);
        };
        if self.kind() != TokenKind::Field {
            return Ok(Some(operand));
        }
        let pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.kind() == TokenKind::Field {
            fields.push(field_name(&self.next()));
        }
        let term = match operand.term {
            Term::Field(mut path) => {
                path.extend(fields);
                Term::Field(path)
            }
            Term::Variable(name, mut path) => {
                path.extend(fields);
                Term::Variable(name, path)
            }
            Term::Dot | Term::Nil | Term::Literal(..) => {
                let shown = operand.to_string();
                return Err(self.error(format!("unexpected . after term {shown:?}")));
            }
            Term::Function(_) | Term::Pipe(_) | Term::Chain(..) => {
                Term::Chain(Box::new(operand), fields)
            }
        };
        Ok(Some(Operand { pos, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        if !begins_operand(self.kind()) {
            return Ok(None);
        }
        let Token { kind, pos, text } = self.next();
        let term = match kind {
            TokenKind::Dot => Term::Dot,
            TokenKind::Nil => Term::Nil,
            TokenKind::Bool => Term::Literal(Value::Bool(text == "true"), text),
            TokenKind::Number => {
                let value =
                    literal::number(&text).map_err(|message| self.error_at(pos, message))?;
                Term::Literal(value, text)
            }
            TokenKind::Character => {
                let value =
                    literal::character(&text).map_err(|message| self.error_at(pos, message))?;
                Term::Literal(value, text)
            }
            TokenKind::Quoted | TokenKind::RawQuoted => {
                let value =
                    literal::string(&text).map_err(|message| self.error_at(pos, message))?;
                Term::Literal(Value::text(value), text)
            }
            TokenKind::Field => {
                let name = text.strip_prefix('.').unwrap_or(&text);
                Term::Field(vec![name.to_owned()])
            }
            TokenKind::Variable => {
                if !self.variables.contains(&text) {
                    return Err(self.error_at(pos, format!("undefined variable {text:?}")));
                }
                Term::Variable(text, Vec::new())
            }
            TokenKind::LeftParenthesis => {
                let pipe = self.deeper(|parser| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParenthesis)
                })?;
                Term::Pipe(Box::new(pipe))
            }
            _ => {
                if !functions::is_defined(&text) {
                    return Err(self.error_at(pos, format!("function {text:?} not defined")));
                }
                Term::Function(text)
            }
        };
        Ok(Some(Operand { pos, term }))
    }
}

fn field_name(token: &Token) -> String {
    let text = token.text.as_str();
    text.strip_prefix('.').unwrap_or(text).to_owned()
}

fn begins_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Bool
            | TokenKind::Character
            | TokenKind::Dot
            | TokenKind::Field
            | TokenKind::Identifier
            | TokenKind::LeftParenthesis
            | TokenKind::Nil
            | TokenKind::Number
            | TokenKind::Quoted
            | TokenKind::RawQuoted
            | TokenKind::Variable
    )
}
