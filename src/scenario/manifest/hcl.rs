//! From HCL to a tree: everything that is known here of the HCL library stands in [`parse_hcl`].
//!
//! A block is a table under its identifier, whose tag is the block's first label. `var.x` and `local.x` stand for the
//! variable's default and the local value where these are single values; whatever else would have to be evaluated is an
//! expression.

use super::tree::{EXPRESSION, Entry, Node, Scalar, Value};
use super::yaml::SyntaxError;
use crate::scenario::place::on_one_line;
use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, Traversal, TraversalOperator, UnaryOperator};
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::{Element, StringTemplate};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// The largest HCL file, 1 MiB, and how many assignments it may hold: the library looks for each key of an object
/// among all those before it.
const MOST_BYTES: usize = 1 << 20;
const MOST_ASSIGNMENTS: usize = 20_000;

/// The body of an HCL file as a table.
pub(super) fn parse_hcl(text: &str) -> Result<Node, SyntaxError> {
    let excess = |problem: &str| Err(SyntaxError { line: 1, problem: problem.to_owned(), is_excess: true });
    if text.len() > MOST_BYTES {
        return excess("must be a file of at most 1 MiB");
    }
    if text.bytes().filter(|byte| matches!(byte, b'=' | b':')).count() > MOST_ASSIGNMENTS {
        return excess("must hold at most 20,000 assignments");
    }
    let parsed = parse_body(text).map(|body| (body, Cow::Borrowed(text)));
    let (body, text) = parsed.or_else(|error| {
        let bare = with_bare_names(text);
        parse_body(&bare).map(|body| (body, Cow::Owned(bare))).map_err(|_| SyntaxError {
            line: error.location().line(),
            problem: format!("must be HCL: {}", on_one_line(error.message())),
            is_excess: false,
        })
    })?;
    let text = text.as_ref();
    let lines = Lines::of(text);
    let mut reader = Reader { text, lines: &lines, variables: BTreeMap::new(), locals: BTreeMap::new() };
    let plain = reader.table(&body, None);
    reader.variables = variables(&plain);
    reader.locals = locals(&plain);
    Ok(reader.table(&body, None))
}

/// The text without quotes around names of attributes that begin a line: Nomad's HCL allows them, as the first version
/// of HCL did. What is no letter or digit in such a name becomes `_`.
fn with_bare_names(text: &str) -> String {
    let bare = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let (name, after) = rest.strip_prefix('"')?.split_once('"')?;
        let is_assigned = after.trim_start().starts_with('=') && !after.trim_start().starts_with("==");
        let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        (is_assigned && !name.is_empty()).then(|| format!("{indent}_{name}{after}"))
    };
    text.split('\n').map(|line| bare(line).unwrap_or_else(|| line.to_owned())).collect::<Vec<_>>().join("\n")
}

/// The defaults of the variables that are single values.
fn variables(body: &Node) -> BTreeMap<String, Scalar> {
    let blocks = body.entries().iter().filter(|entry| entry.key == "variable");
    blocks.filter_map(|entry| Some((entry.node.tag.clone()?, entry.node.get("default")?.scalar()?.clone()))).collect()
}

/// The local values that are single ones.
fn locals(body: &Node) -> BTreeMap<String, Scalar> {
    let blocks = body.entries().iter().filter(|entry| entry.key == "locals");
    let values = blocks.flat_map(|block| block.node.entries());
    values.filter_map(|value| Some((value.key.clone(), value.node.scalar()?.clone()))).collect()
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place + 1);
        Lines(std::iter::once(0).chain(after_breaks).collect())
    }

    /// The line of a byte, counted from 1.
    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

struct Reader<'a> {
    text: &'a str,
    lines: &'a Lines,
    variables: BTreeMap<String, Scalar>,
    locals: BTreeMap<String, Scalar>,
}

impl Reader<'_> {
    fn line(&self, span: Option<Range<usize>>) -> usize {
        span.map_or(1, |span| self.lines.line(span.start))
    }

    fn table(&self, body: &Body, label: Option<String>) -> Node {
        let entry = |structure: &Structure| match structure {
            Structure::Attribute(attribute) => Entry {
                key: attribute.key.as_str().to_owned(),
                line: self.line(attribute.key.span()),
                node: self.value(&attribute.value),
            },
            Structure::Block(block) => Entry {
                key: block.ident.as_str().to_owned(),
                line: self.line(block.ident.span()),
                node: self.table(&block.body, block.labels.first().map(|label| label.as_str().to_owned())),
            },
        };
        Node { line: self.line(body.span()), tag: label, value: Value::Table(body.iter().map(entry).collect()) }
    }

    fn value(&self, expression: &Expression) -> Node {
        let line = self.line(expression.span());
        let plain = |value| Node { line, tag: None, value };
        match expression {
            Expression::Null(_) => plain(Value::Null),
            Expression::Bool(yes) => plain(Value::Scalar(Scalar::Bool(*yes.value()))),
            Expression::Number(number) => match number.value().as_f64() {
                Some(number) => plain(Value::Scalar(Scalar::number(number))),
                None => self.open(expression),
            },
            Expression::String(text) => plain(Value::Scalar(Scalar::Text(text.value().clone()))),
            Expression::Array(array) => plain(Value::List(array.iter().map(|element| self.value(element)).collect())),
            Expression::Object(object) => {
                let entries = object.iter().map(|(key, value)| self.object_entry(key, value.expr()));
                plain(Value::Table(entries.collect()))
            }
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::UnaryOp(operation) if *operation.operator.value() == UnaryOperator::Neg => {
                match self.value(&operation.expr).value {
                    Value::Scalar(Scalar::Whole(number)) => plain(Value::Scalar(Scalar::Whole(-number))),
                    Value::Scalar(Scalar::Number(number)) => plain(Value::Scalar(Scalar::Number(-number))),
                    _ => self.open(expression),
                }
            }
            Expression::Traversal(traversal) => self.named(traversal).map_or_else(|| self.open(expression), plain),
            Expression::StringTemplate(template) => {
                self.interpolated(template).map_or_else(|| self.open(expression), plain)
            }
            _ => self.open(expression),
        }
    }

    /// What would have to be evaluated, as it is written.
    fn open(&self, expression: &Expression) -> Node {
        let span = expression.span();
        let text = span.clone().and_then(|span| self.text.get(span)).unwrap_or_default();
        let value = Value::Scalar(Scalar::Text(on_one_line(text)));
        Node { line: self.line(span), tag: Some(EXPRESSION.to_owned()), value }
    }

    fn object_entry(&self, key: &ObjectKey, value: &Expression) -> Entry {
        let node = self.value(value);
        let key = match key {
            ObjectKey::Ident(ident) => ident.as_str().to_owned(),
            ObjectKey::Expression(expression) => {
                self.value(expression).scalar().map(ToString::to_string).unwrap_or_default()
            }
        };
        Entry { key, line: node.line, node }
    }

    /// What `var.x` or `local.x` stands for.
    fn named(&self, traversal: &Traversal) -> Option<Value> {
        let Expression::Variable(root) = &traversal.expr else { return None };
        let [operator] = traversal.operators.as_slice() else { return None };
        let TraversalOperator::GetAttr(name) = operator.value() else { return None };
        let values = match root.as_str() {
            "var" => &self.variables,
            "local" => &self.locals,
            _ => return None,
        };
        values.get(name.as_str()).cloned().map(Value::Scalar)
    }

    /// What a text stands for that is nothing but one interpolation.
    fn interpolated(&self, template: &StringTemplate) -> Option<Value> {
        let mut elements = template.iter();
        let (Some(Element::Interpolation(interpolation)), None) = (elements.next(), elements.next()) else {
            return None;
        };
        let node = self.value(&interpolation.expr);
        (!node.is_expression()).then_some(node.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"variable "count" {
  default = 3
}
variable "region" { type = string }
locals { grace = "10s" }
job "web" {
  group "a" {
    count = var.count
    size  = "${var.count}"
    grace = local.grace
    from  = var.region
    more  = var.count + 1
    less  = -2
    note  = "${attr.kernel.name} ${var.count}"
  }
  group "b" {
    # count = 1
    text = <<EOT
      count = 2
    EOT
  }
}
"#;

    #[test]
    fn blocks_attributes_and_variables_have_lines() {
        let body = parse_hcl(JOB).expect("HCL");
        let job = body.get("job").expect("a job");
        assert_eq!(job.tag.as_deref(), Some("web"));
        let groups: Vec<&Entry> = job.entries().iter().filter(|entry| entry.key == "group").collect();
        assert_eq!(groups.iter().map(|group| group.line).collect::<Vec<_>>(), [7, 16]);
        let group = &groups[0].node;
        let read = |key: &str| group.entry(key).map(|entry| (entry.line, entry.node.scalar().cloned()));
        assert_eq!(read("count"), Some((8, Some(Scalar::Whole(3)))));
        assert_eq!(read("size"), Some((9, Some(Scalar::Whole(3)))));
        assert_eq!(read("grace"), Some((10, Some(Scalar::Text("10s".to_owned())))));
        assert_eq!(read("from"), Some((11, None)), "the variable has no default");
        assert_eq!(read("more"), Some((12, None)));
        assert_eq!(read("less"), Some((13, Some(Scalar::Whole(-2)))));
        assert_eq!(read("note"), Some((14, None)));
        assert!(groups[1].node.entry("count").is_none(), "comments and texts say nothing");
    }

    #[test]
    fn names_may_stand_in_quotes() {
        let quoted = "job \"web\" {\n  meta {\n    \"a.b\" = \"c\"\n  }\n  group \"g\" {\n    count = 2\n  }\n}\n";
        let body = parse_hcl(quoted).expect("HCL");
        let count = body.get("job").and_then(|job| job.get("group")?.entry("count"));
        assert_eq!(count.map(|entry| (entry.line, entry.node.scalar())), Some((6, Some(&Scalar::Whole(2)))));
    }

    #[test]
    fn what_is_no_hcl_has_a_line() {
        let error = parse_hcl("job \"web\" {\n  group \"a\" {\n    count = = 3\n  }\n}\n").expect_err("broken");
        assert_eq!(error.line, 3);
        assert!(error.problem.starts_with("must be HCL: "), "{}", error.problem);
    }
}
