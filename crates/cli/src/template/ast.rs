//! A template as a tree, and as the text errors quote.

use std::fmt;

use super::value::Value;

/// What is done one after the other.
#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    Range(Branch),
    With(Branch),
    Template(Invocation),
    Break,
    Continue,
}

/// `if`, `range` or `with`.
#[derive(Debug, Clone)]
pub struct Branch {
    pub pipe: Pipe,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// `{{template "name" pipe}}`.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Of the name.
    pub pos: usize,
    pub name: String,
    pub pipe: Option<Pipe>,
}

/// Commands, each given the value of the one before.
#[derive(Debug, Clone)]
pub struct Pipe {
    /// The variables that take the value, with their `$`.
    pub variables: Vec<String>,
    /// `=` rather than `:=`.
    pub is_assignment: bool,
    pub commands: Vec<Command>,
}

/// A function or value and its arguments; never empty.
#[derive(Debug, Clone)]
pub struct Command {
    pub pos: usize,
    pub words: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub struct Operand {
    pub pos: usize,
    pub term: Term,
}

#[derive(Debug, Clone)]
pub enum Term {
    Dot,
    Nil,
    /// A bool, number or string, and how it is written.
    Literal(Value, String),
    /// The name of a function.
    Function(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`, the name with its `$`.
    Variable(String, Vec<String>),
    /// `(pipe)`
    Pipe(Box<Pipe>),
    /// `(pipe).A.B`
    Chain(Box<Operand>, Vec<String>),
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {:?}", self.name)?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.is_assignment { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        separated(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, &self.words, " ")
    }
}

fn separated<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, fields: &[String]| {
            fields.iter().try_for_each(|field| write!(f, ".{field}"))
        };
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Literal(_, text) | Term::Function(text) => f.write_str(text),
            Term::Field(path) => fields(f, path),
            Term::Variable(name, path) => {
                f.write_str(name)?;
                fields(f, path)
            }
            Term::Pipe(pipe) => write!(f, "({pipe})"),
            Term::Chain(operand, path) => {
                write!(f, "{operand}")?;
                fields(f, path)
            }
        }
    }
}
