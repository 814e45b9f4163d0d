//! What is no manifest ends with its place and a reason, and in time: alias bombs, huge files, deep nesting, rubbish.
//! Everything is made here.

use rollsim::scenario::manifest;
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What nobody waits for. Each of these takes well under a second; the limit only tells an end from none.
const NEVER: Duration = Duration::from_mins(1);

/// How a file ends: with an error that begins so, or with a manifest.
#[track_caller]
fn ends(name: &str, bytes: Vec<u8>, then: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("a file");
    let (sender, receiver) = mpsc::channel();
    let read = path.clone();
    thread::spawn(move || sender.send(manifest::load(&read).map(|manifest| manifest.workloads.len())));
    let ended = receiver.recv_timeout(NEVER).unwrap_or_else(|_| panic!("{name} does not end"));
    let told = match ended {
        Ok(workloads) => format!("{workloads} workloads"),
        Err(error) => error.to_string().replacen(&format!("{}:", path.display()), "", 1),
    };
    assert!(told.starts_with(then), "{name}: {told}");
}

/// A text for each number.
fn numbered(numbers: Range<u32>, text: impl Fn(u32) -> String) -> String {
    numbers.map(text).collect::<Vec<_>>().concat()
}

fn repeated(text: &str, bytes: usize) -> Vec<u8> {
    text.bytes().cycle().take(bytes).collect()
}

/// The largest file, and the largest one in HCL.
const MUCH: usize = 4 << 20;
const MOST_HCL: usize = 1 << 20;

#[test]
fn aliases_do_not_multiply() {
    let laughs = numbered(1..12, |n| format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(9)));
    let laughs = format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{laughs}");
    ends("laughs.yaml", laughs.into_bytes(), "6: must repeat less by aliases");
    let merges = numbered(1..40, |n| {
        let four = format!("*a{}, ", n - 1).repeat(4);
        format!("a{n}: &a{n}\n  <<: [{four}]\n  y{n}: 1\n")
    });
    let merges = format!("a0: &a0 {{ x: 1 }}\n{merges}");
    ends("merges.yaml", merges.into_bytes(), "24: must repeat less by aliases");
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(1_000));
    ends("long.yaml", long.into_bytes(), "2: must repeat less by aliases");
    ends("self.yaml", b"a: &a [*a]\n".to_vec(), "1: must be YAML: ");
    ends("none.yaml", b"a: *b\n".to_vec(), "1: must be YAML: ");
}

#[test]
fn files_are_read_up_to_a_bound() {
    let too_large = "1: must be a file of at most 4 MiB";
    ends("large.hcl", repeated("# much\n", MOST_HCL + 1), "1: must be a file of at most 1 MiB");
    for name in ["large.yaml", "large.json", "large.nomad"] {
        ends(name, repeated("# much\n", MUCH + 1), too_large);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.yaml");
    File::create(&path).and_then(|file| file.set_len(100 << 20)).expect("a file with a hole");
    let error = manifest::load(&path).expect_err("too large");
    assert_eq!(error.to_string(), format!("{}:{too_large}", path.display()));
}

#[test]
fn nesting_is_bounded() {
    for (name, value) in [("lists", "["), ("tables", "{a: "), ("dashes", "- "), ("questions", "? ")] {
        ends(&format!("{name}.yaml"), repeated(value, MUCH), "1: must be nested at most 128 levels deep");
    }
    let indented = numbered(0..2_500, |depth| format!("{}a:\n", " ".repeat(depth as usize)));
    ends("indented.yaml", indented.into_bytes(), "129: must be nested at most 128 levels deep");
    ends("lists.json", repeated("[", MUCH), "1: must be JSON: ");
    ends("tables.json", repeated("{\"a\":", MUCH), "1: must be JSON: ");
    ends(
        "closed.json",
        [repeated("[", MUCH / 2), repeated("]", MUCH / 2)].concat(),
        "1: must be nested at most 128 levels deep",
    );
    ends("blocks.nomad", repeated("a {\n", MOST_HCL), "65: must be HCL: ");
    for (name, value) in
        [("brackets", "["), ("parentheses", "("), ("braces", "{ a = "), ("nots", "!"), ("minuses", "-")]
    {
        let text = [b"a = ".to_vec(), repeated(value, 100_000)].concat();
        ends(&format!("{name}.hcl"), text, "1: must be HCL: ");
    }
    ends("conditions.hcl", [b"a = ".to_vec(), repeated("b ? c : ", 100_000)].concat(), "1: must be HCL: ");
    ends("templates.hcl", [b"a = \"".to_vec(), repeated("${\"", MOST_HCL - 5)].concat(), "1: must be HCL: ");
    ends("sums.hcl", [b"a = 1".to_vec(), repeated(" + 1", MOST_HCL - 6), b"\n".to_vec()].concat(), "1: must be HCL: ");
}

#[test]
fn many_values_are_bounded() {
    let too_many = "must hold at most 200,000 values";
    ends("list.yaml", [b"[".to_vec(), repeated("1,", MUCH - 2), b"]".to_vec()].concat(), &format!("1: {too_many}"));
    ends("lines.yaml", repeated("- 1\n", MUCH), &format!("200000: {too_many}"));
    ends("documents.yaml", repeated("---\na: 1\n", MUCH), "2049: must hold at most 1,024 documents");
    let keys = numbered(0..400_000, |n| format!("k{n}: 1\n"));
    ends("keys.yaml", keys.into_bytes()[..MUCH].to_vec(), &format!("100000: {too_many}"));
    let services = numbered(0..2_000, |n| format!("  s{n}: {{ image: a }}\n"));
    ends("services.yml", format!("services:\n{services}").into_bytes(), "1: must hold at most 1,000 workloads");
    let items = numbered(0..20_000, |n| format!("- {{ apiVersion: v1, kind: K{n} }}\n"));
    ends("kinds.yaml", format!("apiVersion: v1\nkind: List\nitems:\n{items}").into_bytes(), "0 workloads");
    let assignments = |number: u32| numbered(0..number, |n| format!("a{n} = 1\n"));
    ends("attributes.hcl", assignments(20_000).into_bytes(), "1: must be a Nomad job file");
    ends("object.hcl", format!("a = {{\n{}}}\n", assignments(19_999)).into_bytes(), "1: must be a Nomad job file");
    ends("more.hcl", assignments(20_001).into_bytes(), "1: must hold at most 20,000 assignments");
    ends("blocks.hcl", repeated("a {\n}\n", MOST_HCL / 6 * 6), "1: must be a Nomad job file");
    ends(
        "elements.hcl",
        [b"a = [".to_vec(), repeated("1,", MOST_HCL - 8), b"]\n".to_vec()].concat(),
        "1: must be a Nomad job file",
    );
}

#[test]
fn references_do_not_multiply() {
    let both = |n: u32| format!("  C{n}: !Or [!Condition C{0}, !Condition C{0}]\n", n - 1);
    let conditions = format!("Conditions:\n  C0: !Equals [a, a]\n{}", numbered(1..60, both));
    let service = "Resources:\n  S:\n    Type: AWS::ECS::Service\n    Properties: { DesiredCount: !If [C59, 1, 2] }\n";
    ends("conditions.yaml", format!("{conditions}{service}").into_bytes(), "1 workloads");
    let containers = "{ Name: a, Image: b }, ".repeat(20_000);
    let task =
        format!("    Type: AWS::ECS::TaskDefinition\n    Properties: {{ ContainerDefinitions: [{containers}] }}\n");
    let service = |n| format!("  S{n}: {{ Type: AWS::ECS::Service, Properties: {{ TaskDefinition: !Ref T }} }}\n");
    let tasks = format!("Resources:\n  T:\n{task}{}", numbered(0..900, service));
    ends("tasks.yaml", tasks.into_bytes(), "900 workloads");
    let containers = "{ name: a, image: b }, ".repeat(20_000);
    let spec = format!("spec: {{ template: {{ spec: {{ containers: [{containers}] }} }} }}\n");
    let deployment = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: d }}\n{spec}");
    let rollout = |n| {
        let spec = "spec: { workloadRef: { kind: Deployment, name: d } }";
        format!("---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{ name: r{n} }}\n{spec}\n")
    };
    ends("rollouts.yaml", format!("{deployment}{}", numbered(0..900, rollout)).into_bytes(), "901 workloads");
    let metrics = "{ name: a, interval: 1s, count: 2 }, ".repeat(5_000);
    let head = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: { name: t }\n";
    let template = format!("{head}spec: {{ metrics: [{metrics}] }}\n---\n");
    let steps = "{ analysis: { templates: [{ templateName: t }] } }, ".repeat(9_000);
    let head = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: { name: r }\n";
    let rollout = format!("{head}spec: {{ strategy: {{ canary: {{ steps: [{steps}] }} }} }}\n");
    ends("templates.yaml", format!("{template}{rollout}").into_bytes(), "1 workloads");
    let list = "1, ".repeat(100_000);
    let uses = "var.v, ".repeat(50_000);
    let variables = format!("variable \"v\" {{ default = [{list}] }}\njob \"j\" {{ a = [{uses}] }}\n");
    ends("variables.nomad", variables.into_bytes(), "0 workloads");
    let scripts = format!(
        "apiVersion: apps/v1\nkind: Deployment\nspec: {{ template: {{ spec: {{ containers: [{{ image: a, env: [{}], lifecycle: {{ preStop: {{ exec: {{ command: [sh, -c, \"{}\"] }} }} }} }}] }} }} }}\n",
        "{ name: N, value: 1 }, ".repeat(30_000),
        "sleep $A; ".repeat(100_000)
    );
    ends("scripts.yaml", scripts.into_bytes(), "1 workloads");
}

#[test]
fn rubbish_is_told_where_it_begins() {
    ends("zeros.yaml", vec![0; 100_000], "1: must be YAML: ");
    ends("binary.yaml", b"a: 1\nb: \xff\xfe\n".to_vec(), "2: must be text in UTF-8");
    ends("utf16.yaml", "a: 1\n".encode_utf16().flat_map(u16::to_be_bytes).collect(), "1: must be YAML: ");
    ends("picture.json", b"\x89PNG\r\n\x1a\n".to_vec(), "1: must be text in UTF-8");
    ends("program.hcl", b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "1: must be HCL: ");
    ends("empty.yaml", Vec::new(), "1: must be a manifest of a known form");
    ends("empty.json", Vec::new(), "1: must be JSON: ");
    ends("empty.nomad", Vec::new(), "1: must be a Nomad job file");
    ends("comment.yaml", b"# nothing\n".to_vec(), "1: must be a manifest of a known form");
    ends("text.yaml", b"\n\njust words\n".to_vec(), "3: must be a manifest of a known form");
    ends("number.json", b"1".to_vec(), "1: must be a manifest of a known form");
    ends("broken.json", b"{\n  \"a\": 1\n  \"b\": 2\n}\n".to_vec(), "3: must be JSON: ");
    ends("broken.yaml", b"a: 1\nb: [1\nc: 2\n".to_vec(), "3: must be YAML: ");
    ends("twice.yaml", b"a: 1\na: 2\n".to_vec(), "2: must be YAML: the key `a` must stand only once");
    ends("tabs.yaml", b"a:\n\tb: 1\n".to_vec(), "2: must be YAML: ");
    for c in ["!", "%", ":", "&", "*a", ",", "]", "}", "|", ">", "'", "\"", "#", "@", "`", "\t", "\n", " ", "\r"] {
        ends("one.yaml", repeated(c, MUCH / 4), "");
    }
    for c in ["\"", "<<A\n", "/*", "\n", "#", "//", "\\", "${", "a.", "a\n", "=", "[for ", "a(", "a[", "\"%{if a}"] {
        ends("one.hcl", [b"a = ".to_vec(), repeated(c, MOST_HCL - 4)].concat(), "");
    }
    ends("template.yaml", repeated("{{ a }}\n{% b %}\n{{\n", MUCH), "0 workloads");
    ends("levant.nomad", b"job \"a\" {\n  group \"b\" {\n    count = [[ .count ]]\n  }\n}\n".to_vec(), "0 workloads");
}

#[test]
fn folders_and_devices_are_no_manifests() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(manifest::load(folder.path()).is_err());
    assert!(manifest::load(&folder.path().join("absent.yaml")).is_err());
    let device = Path::new("/dev/zero");
    if device.exists() {
        let error = manifest::load(device).expect_err("no end");
        assert_eq!(error.to_string(), "/dev/zero:1: must be a file of at most 4 MiB");
    }
}
