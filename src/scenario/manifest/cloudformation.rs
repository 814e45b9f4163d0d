//! What the functions of a CloudFormation template come to, as far as its own parameters, conditions and mappings say
//! it.
//!
//! Source: AWS CloudFormation's intrinsic function reference. A parameter stands for its default; one without, or one that
//! names a value in the parameter store, stands for nothing. Functions that ask the cloud are expressions.

use super::tree::{EXPRESSION, Entry, Node, Scalar, Value};
use std::cell::Cell;
use std::collections::BTreeMap;

/// How many values may be looked at. Conditions may name one another, and several services the same task, and so grow
/// without end.
const MOST_STEPS: usize = 500_000;

/// How deep functions may name one another: enough for any template, and for the stack.
const DEEPEST: usize = 64;

/// A template.
#[derive(Debug)]
pub(super) struct Template<'a> {
    document: &'a Node,
    resources: BTreeMap<&'a str, &'a Node>,
    parameters: BTreeMap<&'a str, &'a Node>,
    conditions: BTreeMap<&'a str, &'a Node>,
    steps_left: Cell<usize>,
}

/// A function and what it is given.
struct Call<'a> {
    function: &'a str,
    argument: &'a Node,
}

/// Whether a document is a template.
pub(super) fn is_template(document: &Node) -> bool {
    let resources = document.get("Resources").map_or(&[][..], Node::entries);
    resources.iter().any(|resource| resource.node.text_at("Type").is_some())
}

/// The function that a node calls: `!Ref X`, or a table of nothing but `Ref` or `Fn::…`.
fn call(node: &Node) -> Option<Call<'_>> {
    if let Some(function) = node.tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
        return (!function.starts_with('!')).then_some(Call { function, argument: node });
    }
    let [entry] = node.entries() else { return None };
    let function = entry.key.strip_prefix("Fn::").or((entry.key == "Ref").then_some("Ref"));
    let function = function.or((entry.key == "Condition").then_some("Condition"));
    Some(Call { function: function?, argument: &entry.node })
}

/// A text, whether or not a tag stands before it.
fn name(node: &Node) -> Option<&str> {
    if let Value::Scalar(Scalar::Text(text)) = &node.value { Some(text) } else { None }
}

/// The name that a `Ref` refers to.
pub(super) fn referred(node: &Node) -> Option<&str> {
    let call = call(node)?;
    name(call.argument).filter(|_| call.function == "Ref")
}

impl<'a> Template<'a> {
    pub(super) fn new(document: &'a Node) -> Self {
        let part = |key: &str| {
            let entries = document.get(key).map_or(&[][..], Node::entries).iter();
            entries.map(|entry| (entry.key.as_str(), &entry.node)).collect()
        };
        Template {
            document,
            resources: part("Resources"),
            parameters: part("Parameters"),
            conditions: part("Conditions"),
            steps_left: Cell::new(MOST_STEPS),
        }
    }

    /// Takes so many steps, if there are as many left.
    fn step(&self, steps: usize) -> Option<()> {
        let left = self.steps_left.get().checked_sub(steps);
        self.steps_left.set(left.unwrap_or(0));
        left.map(drop)
    }

    /// The resources, in the order of the file.
    pub(super) fn resources(&self) -> &'a [Entry] {
        self.document.get("Resources").map_or(&[], Node::entries)
    }

    /// The resource of a type that a node refers to.
    pub(super) fn resource(&self, node: &Node, kind: &str) -> Option<&'a Node> {
        let resource = self.resources.get(referred(node)?)?;
        (resource.text_at("Type") == Some(kind)).then_some(resource)
    }

    /// The same with its functions replaced by what they come to, or else marked as expressions. References to
    /// resources stay as they are.
    pub(super) fn resolved(&self, node: &Node) -> Node {
        self.resolve(node, DEEPEST)
    }

    fn resolve(&self, node: &Node, deepest: usize) -> Node {
        let is_left = self.step(1).is_some();
        let call = call(node);
        let Some(call) = call.filter(|_| is_left) else {
            let value = match &node.value {
                _ if !is_left => return unresolved(node.line, "a template with more functions than can be followed"),
                Value::List(elements) => {
                    let elements = elements.iter().map(|element| self.resolve(element, deepest));
                    // What is not there is no element.
                    Value::List(elements.filter(|element| element.value != Value::Null).collect())
                }
                Value::Table(entries) => {
                    let entry = |entry: &Entry| Entry { node: self.resolve(&entry.node, deepest), ..entry.clone() };
                    Value::Table(entries.iter().map(entry).collect())
                }
                plain => plain.clone(),
            };
            return Node { line: node.line, tag: node.tag.clone(), value };
        };
        if referred(node).is_some_and(|name| self.resources.contains_key(name)) {
            return node.clone();
        }
        let result = deepest.checked_sub(1).and_then(|deepest| self.called(&call, deepest));
        let line = node.line;
        result.map_or_else(|| unresolved(line, call.function), |value| Node { line, ..value })
    }

    fn called(&self, call: &Call<'_>, deepest: usize) -> Option<Node> {
        match call.function {
            "Ref" if name(call.argument) == Some("AWS::NoValue") => Some(plain(Value::Null)),
            "Ref" => self.parameter(name(call.argument)?),
            "If" => {
                let [condition, yes, no] = call.argument.elements() else { return None };
                let chosen = if self.condition(name(condition)?, deepest)? { yes } else { no };
                Some(self.resolve(chosen, deepest))
            }
            "FindInMap" => {
                let [map, first, second] = call.argument.elements() else { return None };
                let key = |node| self.resolve(node, deepest).scalar().map(ToString::to_string);
                let map = self.looked_up(self.document.get("Mappings")?, &key(map)?)?;
                let map = self.looked_up(map, &key(first)?)?;
                Some(self.looked_up(map, &key(second)?)?.clone()).filter(|value| value.scalar().is_some())
            }
            "Sub" => {
                let text = name(call.argument).filter(|text| !text.contains("${"));
                text.map(|text| plain(Value::Scalar(Scalar::Text(text.to_owned()))))
            }
            _ => None,
        }
    }

    /// An entry of a table; each one costs a step.
    fn looked_up(&self, table: &'a Node, key: &str) -> Option<&'a Node> {
        self.step(table.entries().len())?;
        table.get(key)
    }

    /// A parameter's default.
    fn parameter(&self, name: &str) -> Option<Node> {
        let parameter = self.parameters.get(name)?;
        let is_stored = parameter.text_at("Type").is_some_and(|kind| kind.starts_with("AWS::SSM"));
        parameter.get("Default").filter(|default| !is_stored && default.scalar().is_some()).cloned()
    }

    fn condition(&self, name: &str, deepest: usize) -> Option<bool> {
        self.holds(self.conditions.get(name)?, deepest)
    }

    fn holds(&self, node: &Node, deepest: usize) -> Option<bool> {
        let call = call(node)?;
        self.step(1)?;
        let deepest = deepest.checked_sub(1)?;
        let operands = call.argument.elements();
        match call.function {
            "Condition" => self.condition(name(call.argument)?, deepest),
            "Equals" => {
                let [a, b] = operands else { return None };
                let (a, b) = (self.resolve(a, deepest), self.resolve(b, deepest));
                Some(a.scalar()?.to_string() == b.scalar()?.to_string())
            }
            "Not" => {
                let [operand] = operands else { return None };
                self.holds(operand, deepest).map(|holds| !holds)
            }
            "And" => operands.iter().try_fold(true, |all, operand| Some(all & self.holds(operand, deepest)?)),
            "Or" => operands.iter().try_fold(false, |any, operand| Some(any | self.holds(operand, deepest)?)),
            _ => None,
        }
    }
}

fn unresolved(line: usize, what: &str) -> Node {
    Node { line, tag: Some(EXPRESSION.to_owned()), value: Value::Scalar(Scalar::Text(what.to_owned())) }
}

fn plain(value: Value) -> Node {
    Node { line: 0, tag: None, value }
}

#[cfg(test)]
mod tests {
    use super::super::yaml::{Twice, parse_yaml};
    use super::*;

    const STACK: &str = r#"
Parameters:
  Count: { Type: Number, Default: 2 }
  Size: { Type: String, Default: big }
  Open: { Type: Number }
  Stored: { Type: "AWS::SSM::Parameter::Value<String>", Default: /count }
Mappings:
  Sizes: { big: { count: 9 } }
Conditions:
  IsBig: !Equals [!Ref Size, big]
  IsSmall: !Not [!Condition IsBig]
  Both: { "Fn::And": [{ Condition: IsBig }, !Or [!Condition IsSmall, !Condition IsBig]] }
  Endless: !Condition Endless
Resources:
  Task: { Type: "AWS::ECS::TaskDefinition" }
Values:
  parameter: !Ref Count
  long: { Ref: Count }
  chosen: !If [Both, !Ref Count, 5]
  other: { "Fn::If": [IsSmall, 1, { "Fn::FindInMap": [Sizes, !Ref Size, count] }] }
  nothing: !If [IsSmall, 1, !Ref "AWS::NoValue"]
  open: !Ref Open
  stored: !Ref Stored
  endless: !If [Endless, 1, 2]
  cloud: !GetAtt Task.Arn
  task: !Ref Task
  text: !Sub "${Count}"
"#;

    #[test]
    fn functions_come_to_what_the_template_says() {
        let document = &parse_yaml(STACK, Twice::Error).expect("YAML")[0];
        let values = Template::new(document).resolved(document.get("Values").expect("values"));
        let value = |key| values.get(key).and_then(|node| node.scalar().cloned());
        for key in ["parameter", "long", "chosen"] {
            assert_eq!(value(key), Some(Scalar::Whole(2)), "{key}");
        }
        assert_eq!(value("other"), Some(Scalar::Whole(9)));
        assert!(values.get("nothing").is_none());
        for key in ["open", "stored", "endless", "cloud", "text"] {
            assert!(values.get(key).is_some_and(Node::is_expression), "{key}");
        }
        let task = values.get("task").expect("a reference");
        assert!(Template::new(document).resource(task, "AWS::ECS::TaskDefinition").is_some());
        assert!(Template::new(document).resource(task, "AWS::ECS::Service").is_none());
    }

    #[test]
    fn conditions_that_name_one_another_end() {
        let both = |n: u32| format!("  C{n}: !And [!Condition C{0}, !Condition C{0}]\n", n - 1);
        let conditions: Vec<String> = (1..60).map(both).collect();
        let conditions = conditions.concat();
        let stack = format!("Conditions:\n  C0: !Equals [a, a]\n{conditions}V: !If [C59, 1, 2]\n");
        let document = &parse_yaml(&stack, Twice::Error).expect("YAML")[0];
        let value = Template::new(document).resolved(document.get("V").expect("a value"));
        assert!(value.is_expression(), "it gave up");
    }
}
