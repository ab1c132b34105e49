//! From a tree and a value to text.

use std::fmt::Display;

use super::ast::{Branch, Command, Invocation, Node, Operand, Pipe, Term};
use super::functions::{self, Function, Parameter};
use super::moment::Moment;
use super::parser::Tree;
use super::value::{Kind, Object, Value};
use super::verbs;

/// How deep in templates and blocks another template may be called.
const MAX_DEPTH: usize = 200;

/// The text of `tree` for `value`.
///
/// # Errors
/// In Go's words, `template: name:line:column: executing "name" at <...>: ...`.
pub fn execute(name: &str, text: &str, tree: &Tree, value: Value) -> Result<String, String> {
    let mut evaluator = Evaluator {
        name,
        text,
        tree,
        template: name,
        variables: vec![("$".to_owned(), value.clone())],
        depth: 0,
        output: String::new(),
    };
    evaluator.nodes(&value, &tree.main)?;
    Ok(evaluator.output)
}

struct Evaluator<'a> {
    name: &'a str,
    text: &'a str,
    tree: &'a Tree,
    /// Which template is being executed, for errors.
    template: &'a str,
    /// Those in scope, the innermost last.
    variables: Vec<(String, Value)>,
    /// How many lists of nodes are around.
    depth: usize,
    output: String,
}

type Evaluated<T = Value> = Result<T, String>;

/// What to do after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The words of a command after the first, and the value of the command before it.
#[derive(Clone, Copy)]
struct Arguments<'a> {
    words: &'a [Operand],
    last: Option<&'a Value>,
}

impl Arguments<'_> {
    const NONE: Arguments<'static> = Arguments {
        words: &[],
        last: None,
    };

    fn count(self) -> usize {
        self.words.len() + usize::from(self.last.is_some())
    }
}

impl Evaluator<'_> {
    fn error(&self, pos: usize, at: &dyn Display, message: impl AsRef<str>) -> String {
        let before = self.text.get(..pos).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let column = pos - before.rfind('\n').map_or(0, |newline| newline + 1);
        format!(
            "template: {}:{line}:{column}: executing {:?} at <{at}>: {}",
            self.name,
            self.template,
            message.as_ref()
        )
    }

    fn error_at(&self, operand: &Operand, message: impl AsRef<str>) -> String {
        self.error(operand.pos, operand, message)
    }

    fn nodes(&mut self, dot: &Value, nodes: &[Node]) -> Evaluated<Flow> {
        self.depth += 1;
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, dot: &Value, node: &Node) -> Evaluated<Flow> {
        match node {
            Node::Text(text) => self.output.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                if pipe.variables.is_empty() {
                    self.print(&value);
                }
            }
            Node::If(branch) => return self.scoped(|this| this.choose(dot, branch, false)),
            Node::With(branch) => return self.scoped(|this| this.choose(dot, branch, true)),
            Node::Range(branch) => return self.scoped(|this| this.range(dot, branch)),
            Node::Template(invocation) => self.invoke(dot, invocation)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Value) {
        match value {
            Value::Missing => self.output.push_str("<no value>"),
            value => self.output.push_str(&verbs::plain(value)),
        }
    }

    /// Runs what may declare variables, and forgets them.
    fn scoped<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let scope = self.variables.len();
        let result = run(self);
        self.variables.truncate(scope);
        result
    }

    fn choose(&mut self, dot: &Value, branch: &Branch, is_with: bool) -> Evaluated<Flow> {
        let value = self.pipe(dot, &branch.pipe)?;
        if !value.is_true() {
            return self.nodes(dot, &branch.otherwise);
        }
        let dot = if is_with { &value } else { dot };
        self.nodes(dot, &branch.body)
    }

    fn range(&mut self, dot: &Value, branch: &Branch) -> Evaluated<Flow> {
        let value = self.pipe(dot, &branch.pipe)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::Missing | Value::Nil => Vec::new(),
            Value::Int(count) => {
                if branch.pipe.variables.len() > 1 {
                    let message =
                        format!("can't use {count} to iterate over more than one variable");
                    return Err(self.error_in(&branch.pipe, message));
                }
                return self.count(*count, dot, branch);
            }
            Value::Object(object) if !matches!(object.kind, Kind::Headings(_)) => {
                let members = object.members.iter();
                members
                    .map(|(key, member)| (Value::Text(key.clone()), member.clone()))
                    .collect()
            }
            value => match value.as_list() {
                Some(items) => (0..).map(Value::Int).zip(items.iter().cloned()).collect(),
                None => {
                    let message = format!("range can't iterate over {}", verbs::plain(value));
                    return Err(self.error_in(&branch.pipe, message));
                }
            },
        };
        if items.is_empty() {
            return self.nodes(dot, &branch.otherwise);
        }
        for (index, item) in items {
            if self.iteration(index, item, branch)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn count(&mut self, count: i64, dot: &Value, branch: &Branch) -> Evaluated<Flow> {
        if count <= 0 {
            return self.nodes(dot, &branch.otherwise);
        }
        for number in 0..count {
            let number = Value::Int(number);
            if self.iteration(number.clone(), number, branch)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn iteration(&mut self, index: Value, item: Value, branch: &Branch) -> Evaluated<Flow> {
        let pipe = &branch.pipe;
        match pipe.variables.as_slice() {
            [] => {}
            [one] => self.assign_in(pipe, one, item.clone())?,
            [first, second, ..] => {
                self.assign_in(pipe, first, index)?;
                self.assign_in(pipe, second, item.clone())?;
            }
        }
        self.scoped(|this| this.nodes(&item, &branch.body))
    }

    fn assign_in(&mut self, pipe: &Pipe, name: &str, value: Value) -> Evaluated<()> {
        self.assign(name, value)
            .map_err(|message| self.error_in(pipe, message))
    }

    fn error_in(&self, pipe: &Pipe, message: impl AsRef<str>) -> String {
        let first = pipe.commands.first().map_or(0, |command| command.pos);
        self.error(first, pipe, message)
    }

    fn invoke(&mut self, dot: &Value, invocation: &Invocation) -> Evaluated<()> {
        let tree = self.tree;
        let Some((name, body)) = tree.defined.get_key_value(&invocation.name) else {
            let message = format!("template {:?} not defined", invocation.name);
            return Err(self.error(invocation.pos, invocation, message));
        };
        if self.depth >= MAX_DEPTH {
            let message = format!("exceeded maximum template depth ({MAX_DEPTH})");
            return Err(self.error(invocation.pos, invocation, message));
        }
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Missing,
        };
        let template = std::mem::replace(&mut self.template, name);
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        self.nodes(&dot, body)?;
        self.variables = variables;
        self.template = template;
        Ok(())
    }

    fn pipe(&mut self, dot: &Value, pipe: &Pipe) -> Evaluated {
        let mut value: Option<Value> = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value.as_ref())?);
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.is_assignment {
                self.assign_in(pipe, name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), String> {
        let mut variables = self.variables.iter_mut().rev();
        match variables.find(|(variable, _)| variable == name) {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(format!("undefined variable: {name}")),
        }
    }

    fn command(&mut self, dot: &Value, command: &Command, last: Option<&Value>) -> Evaluated {
        let [first, words @ ..] = command.words.as_slice() else {
            return Ok(Value::Missing);
        };
        let arguments = Arguments { words, last };
        if let Term::Function(name) = &first.term {
            return self.function(dot, name, first, command.pos, command, arguments);
        }
        self.value(dot, first, arguments)
    }

    /// The value of a word that is not a function, given arguments or not.
    fn value(&mut self, dot: &Value, word: &Operand, arguments: Arguments<'_>) -> Evaluated {
        let alone = |this: &Self| match arguments.count() {
            0 => Ok(()),
            _ => Err(this.error_at(word, format!("can't give argument to non-function {word}"))),
        };
        match &word.term {
            Term::Dot => alone(&*self).map(|()| dot.clone()),
            Term::Literal(value, _) => alone(&*self).map(|()| value.clone()),
            Term::Nil => Err(self.error_at(word, "nil is not a command")),
            Term::Pipe(pipe) => {
                alone(&*self)?;
                self.pipe(dot, pipe)
            }
            Term::Field(path) => self.fields(dot, dot.clone(), path, word, arguments),
            Term::Variable(name, path) => {
                if path.is_empty() {
                    alone(&*self)?;
                }
                let value = self.variable(name, word)?;
                self.fields(dot, value, path, word, arguments)
            }
            Term::Chain(operand, path) => {
                let value = self.argument(dot, operand, Parameter::Any)?;
                self.fields(dot, value, path, word, arguments)
            }
            Term::Function(name) => self.function(dot, name, word, word.pos, word, arguments),
        }
    }

    fn variable(&self, name: &str, word: &Operand) -> Evaluated {
        let mut variables = self.variables.iter().rev();
        match variables.find(|(variable, _)| variable == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(self.error_at(word, format!("undefined variable: {name}"))),
        }
    }

    /// Follows a chain of fields; only the last may be a method with arguments.
    fn fields(
        &mut self,
        dot: &Value,
        mut value: Value,
        path: &[String],
        word: &Operand,
        arguments: Arguments<'_>,
    ) -> Evaluated {
        for (index, name) in path.iter().enumerate() {
            let is_last = index + 1 == path.len();
            let given = if is_last { arguments } else { Arguments::NONE };
            value = self.field(dot, &value, name, word, given)?;
        }
        Ok(value)
    }

    fn field(
        &mut self,
        dot: &Value,
        value: &Value,
        name: &str,
        word: &Operand,
        arguments: Arguments<'_>,
    ) -> Evaluated {
        let object = match value {
            Value::Missing => return Ok(Value::Missing),
            Value::Nil => {
                let message = format!("nil pointer evaluating {}.{name}", self.name);
                return Err(self.error_at(word, message));
            }
            Value::Object(object) => object,
            Value::Moment(moment) => return self.of_moment(dot, moment, name, word, arguments),
            other => {
                let message = format!("can't evaluate field {name} in type {}", other.type_name());
                return Err(self.error_at(word, message));
            }
        };
        if object.has_method(name) && arguments.count() > 0 {
            return self.method(dot, object, name, word, arguments);
        }
        let found = object.field(name).ok_or_else(|| {
            let message = format!("can't evaluate field {name} in type {}", self.name);
            self.error_at(word, message)
        })?;
        if arguments.count() > 0 {
            let message = format!("{name} has arguments but cannot be invoked as function");
            return Err(self.error_at(word, message));
        }
        Ok(found)
    }

    /// A method of a moment; only `Format` has an argument.
    fn of_moment(
        &mut self,
        dot: &Value,
        moment: &Moment,
        name: &str,
        word: &Operand,
        arguments: Arguments<'_>,
    ) -> Evaluated {
        if name == "Format" {
            let layout = self.one_text(dot, name, word, arguments)?;
            return Ok(Value::text(moment.format(&layout)));
        }
        moment.method(name).ok_or_else(|| {
            let message = format!("can't evaluate field {name} in type time.Time");
            self.error_at(word, message)
        })
    }

    fn method(
        &mut self,
        dot: &Value,
        object: &Object,
        name: &str,
        word: &Operand,
        arguments: Arguments<'_>,
    ) -> Evaluated {
        let argument = self.one_text(dot, name, word, arguments)?;
        Ok(object.call(name, &argument).unwrap_or(Value::Missing))
    }

    /// The one argument of a method.
    fn one_text(
        &mut self,
        dot: &Value,
        name: &str,
        word: &Operand,
        arguments: Arguments<'_>,
    ) -> Evaluated<String> {
        let count = arguments.count();
        if count != 1 {
            let message = format!("wrong number of args for {name}: want 1 got {count}");
            return Err(self.error_at(word, message));
        }
        let argument = match (arguments.words, arguments.last) {
            ([argument, ..], _) => self.argument(dot, argument, Parameter::Text)?,
            (_, last) => last.cloned().unwrap_or(Value::Missing),
        };
        Ok(verbs::plain(&argument))
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        word: &Operand,
        pos: usize,
        at: &dyn Display,
        arguments: Arguments<'_>,
    ) -> Evaluated {
        let Some(function) = functions::find(name) else {
            return Err(self.error_at(word, format!("{name:?} is not a defined function")));
        };
        function
            .check_count(arguments.count())
            .map_err(|message| self.error_at(word, message))?;
        if let Some(ends) = functions::short_circuit(name) {
            return self.short_circuit(dot, ends, arguments);
        }
        let mut values = Vec::with_capacity(arguments.count());
        for (index, argument) in arguments.words.iter().enumerate() {
            values.push(self.argument(dot, argument, function.parameter(index))?);
        }
        if let Some(last) = arguments.last {
            let parameter = function.parameter(values.len());
            values.push(self.validated(last.clone(), parameter, word)?);
        }
        self.run(function, &values, pos, at)
    }

    fn run(
        &self,
        function: &Function,
        values: &[Value],
        pos: usize,
        at: &dyn Display,
    ) -> Evaluated {
        (function.run)(values).map_err(|message| {
            let message = format!("error calling {}: {message}", function.name);
            self.error(pos, at, message)
        })
    }

    /// `and` and `or`: the first argument whose truth is `ends`, or the last one.
    fn short_circuit(&mut self, dot: &Value, ends: bool, arguments: Arguments<'_>) -> Evaluated {
        let mut value = Value::Missing;
        for argument in arguments.words {
            value = self.argument(dot, argument, Parameter::Any)?;
            if value.is_true() == ends {
                return Ok(value);
            }
        }
        Ok(arguments.last.cloned().unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, word: &Operand, parameter: Parameter) -> Evaluated {
        match (&word.term, parameter) {
            (Term::Nil, Parameter::Any) => Ok(Value::Nil),
            (Term::Nil, _) => {
                let message = format!("cannot assign nil to {}", go_name(parameter));
                Err(self.error_at(word, message))
            }
            (Term::Literal(value, text), _) => {
                literal(value, text, parameter).map_err(|message| self.error_at(word, message))
            }
            _ => {
                let value = self.value(dot, word, Arguments::NONE)?;
                self.validated(value, parameter, word)
            }
        }
    }

    fn validated(&self, value: Value, parameter: Parameter, word: &Operand) -> Evaluated {
        match (parameter, value) {
            (Parameter::Any, value)
            | (Parameter::Text, value @ Value::Text(_))
            | (Parameter::Int, value @ (Value::Int(_) | Value::Uint(_)))
            | (Parameter::Texts, value @ (Value::List(_) | Value::NilList)) => Ok(value),
            (Parameter::Texts, Value::Nil) => Ok(Value::NilList),
            (_, Value::Missing) => {
                let message = format!("invalid value; expected {}", go_name(parameter));
                Err(self.error_at(word, message))
            }
            (_, value) => {
                let (wanted, found) = (go_name(parameter), value.type_name());
                let message = format!("wrong type for value; expected {wanted}; got {found}");
                Err(self.error_at(word, message))
            }
        }
    }
}

fn go_name(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::Any => "interface {}",
        Parameter::Text => "string",
        Parameter::Int => "int",
        Parameter::Texts => "[]string",
    }
}

/// The literal written as `text`, as an argument.
fn literal(value: &Value, text: &str, parameter: Parameter) -> Result<Value, String> {
    match (parameter, value) {
        (Parameter::Any, value)
        | (Parameter::Text, value @ Value::Text(_))
        | (Parameter::Int, value @ Value::Int(_)) => Ok(value.clone()),
        (Parameter::Int, Value::Float(number)) if number.fract() == 0.0 => {
            Ok(Value::Int(*number as i64))
        }
        (Parameter::Text, _) => Err(format!("expected string; found {text}")),
        (Parameter::Int, _) => Err(format!("expected integer; found {text}")),
        (Parameter::Texts, _) => Err(format!("can't handle {text} for arg of type []string")),
    }
}
