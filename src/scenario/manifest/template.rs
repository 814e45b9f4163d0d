//! Whether a text that is no YAML is a template of one, and what stands in it literally.
//!
//! Go templates (Helm) and Jinja are known by their actions, `{{ … }}` and `{% … %}`. A template must be rendered before
//! anything can be taken from it; what is literal in it is told all the same.

use super::tree::{EXPRESSION, Node, Scalar, Value};
use super::yaml::{Twice, parse_yaml};

/// A text that becomes a manifest once it is rendered.
#[derive(Debug)]
pub(super) struct Template {
    /// The line of an action, counted from 1.
    pub(super) line: usize,
    /// The documents with an expression wherever an action stands; none where they cannot be made out.
    pub(super) literal: Vec<Node>,
}

/// What stands for an action.
const ACTION: &str = "rollsim-template-action";

/// The template that a text is which is no YAML because of its line `broken`. `None`: it is just broken.
pub(super) fn template(text: &str, broken: usize) -> Option<Template> {
    let masked = without_actions(text)?;
    let has_action = |line: &str| line.contains("{{") || line.contains("{%");
    let lines = text.lines().enumerate().filter(|(_, line)| has_action(line));
    let places: Vec<usize> = lines.map(|(index, _)| index + 1).collect();
    let line = *places.iter().rfind(|line| **line <= broken).or(places.first())?;
    // Of two branches of a template the first one is as good as the other.
    match parse_yaml(&masked, Twice::First) {
        Ok(mut literal) => {
            literal.iter_mut().for_each(open);
            Some(Template { line, literal })
        }
        Err(_) if line == broken => Some(Template { line, literal: Vec::new() }),
        Err(_) => None,
    }
}

/// The text with a word in place of each action, and nothing where a line holds nothing else; lines stay where they
/// are. `None` where there is no action.
fn without_actions(text: &str) -> Option<String> {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let next = |text: &str| {
        let begins = |place: &usize| matches!(text.as_bytes().get(place + 1), Some(b'{' | b'%'));
        text.match_indices('{').map(|(place, _)| place).find(begins)
    };
    next(rest)?;
    while let Some(start) = next(rest) {
        let end = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        // What begins like an action and never ends is none.
        let Some(length) = rest[start..].find(end).map(|place| place + end.len()) else { break };
        masked.push_str(&rest[..start]);
        masked.push_str(ACTION);
        masked.extend(rest[start..start + length].chars().filter(|c| *c == '\n'));
        rest = &rest[start + length..];
    }
    masked.push_str(rest);
    let is_only_actions = |line: &str| line.contains(ACTION) && line.replace(ACTION, "").trim().is_empty();
    Some(masked.split('\n').map(|line| if is_only_actions(line) { "" } else { line }).collect::<Vec<_>>().join("\n"))
}

/// Marks what an action says as an expression, and forgets what stands under a key that an action says.
fn open(node: &mut Node) {
    match &mut node.value {
        Value::Scalar(Scalar::Text(text)) if text.contains(ACTION) => node.tag = Some(EXPRESSION.to_owned()),
        Value::Null | Value::Scalar(_) => {}
        Value::List(elements) => elements.iter_mut().for_each(open),
        Value::Table(entries) => {
            entries.retain(|entry| !entry.key.contains(ACTION));
            for entry in entries {
                open(&mut entry.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = r#"# {{ a comment }}
spec:
  {{- if .Values.replicas }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  paused: false
  name: "{{ include "name" . }}"
  resources:
{{ toYaml .Values.resources
   | indent 4 }}
  last: 1
"#;

    #[test]
    fn what_is_literal_in_a_template_keeps_its_line() {
        let broken = parse_yaml(CHART, Twice::Error).expect_err("no YAML").line;
        let template = template(CHART, broken).expect("a template");
        assert_eq!(template.line, 3);
        let spec = template.literal[0].get("spec").expect("a table");
        let last = spec.entry("last").expect("a value");
        assert_eq!((last.line, last.node.scalar()), (11, Some(&Scalar::Whole(1))));
        assert!(spec.get("replicas").expect("a value").is_expression());
        assert!(spec.get("name").expect("a value").is_expression());
        assert!(spec.get("resources").is_none());
    }

    #[test]
    fn what_is_broken_without_its_actions_is_broken() {
        let broken = "a: \"{{ .x }}\"\nb: [1, 2\nc: 1\n";
        assert!(template(broken, 2).is_none(), "the bracket is open, whatever is rendered");
        assert!(template("a: [1\n", 1).is_none(), "there is no action");
        assert!(template("a: {{ x\nb: [\n", 2).is_none(), "the action has no end");
        let beyond = template("a: 1\n  {{ x }}\n b: 2\n{{ y }}: [\n", 2).expect("an action stands where it is broken");
        assert!(beyond.literal.is_empty());
    }
}
