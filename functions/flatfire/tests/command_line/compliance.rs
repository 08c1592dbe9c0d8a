//! `docs/compliance.md`: everything that the page names in `code` exists, and every link leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::run;

const PAGE: &str = "docs/compliance.md";

/// Values of settings and words of other programs, which are neither settings nor commands.
const OTHER_WORDS: [&str; 6] = ["mongodb+srv://", "tls=true", "user@host", "by", "history", "code"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns what stands between single backticks, without blocks.
fn code_words(page: &str) -> BTreeSet<String> {
    let prose = page.split("```").step_by(2).collect::<String>();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns what is wrong with a word; `None`: it exists.
fn fault(word: &str, names: &Names) -> Option<String> {
    if let Some(command) = word.strip_prefix("flatfire ") {
        return fault_of_command(command);
    }
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let is_known = match name {
        _ if OTHER_WORDS.contains(&word) => true,
        _ if name.starts_with('_') => names.collections.contains(name),
        // A value of `RetentionDays`.
        "Observation" => value == "3650,AuditEvent=400,*=0",
        _ => names.of_template.contains(name),
    };
    (!is_known).then(|| format!("{word} is no setting, parameter, resource, alarm, collection or command"))
}

/// Asks the command for its options.
fn fault_of_command(command: &str) -> Option<String> {
    let (options, words): (Vec<&str>, Vec<&str>) =
        command.split(' ').partition(|word| word.starts_with("--"));
    let ran = run(&[words[0], "--help"]);
    if ran.code != 0 {
        return Some(format!("flatfire {command}: there is no command {}", words[0]));
    }
    let known: BTreeSet<&str> =
        ran.stdout.split([' ', '\n', ',', '[']).filter(|word| word.starts_with("--")).collect();
    let unknown = options.into_iter().find(|option| !known.contains(option));
    unknown.map(|option| format!("flatfire {command}: it has no {option}"))
}

/// Names that the page may use.
struct Names {
    /// Parameters, resources and outputs.
    of_template: BTreeSet<String>,
    collections: BTreeSet<String>,
}

impl Names {
    fn read() -> Self {
        let template = text_of("template.yaml");
        let keys = template.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
        let of_template: BTreeSet<String> = keys
            .filter(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .map(str::to_owned)
            .collect();
        for known in ["RetentionDays", "DeadLetterAlarm", "OperatorPolicyArn"] {
            assert!(of_template.contains(known), "{known} is not found in the template");
        }
        // Columns and collections are in tables and lists of the page about tables.
        let collections = code_words(&text_of("docs/tables.md"));
        Self {
            of_template,
            collections: collections.into_iter().filter(|word| word.starts_with('_')).collect(),
        }
    }
}

#[test]
fn every_setting_and_command_of_the_page_exists() {
    let (page, names) = (text_of(PAGE), Names::read());
    let words = code_words(&page);
    assert!(words.len() > 40, "the page names {} things", words.len());
    let faults: Vec<String> = words.iter().filter_map(|word| fault(word, &names)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for word in ["RetentionDay", "_tombstone", "flatfire forge", "flatfire export --pat X", "Observation=1"] {
        assert!(fault(word, &names).is_some(), "{word} is not on the page and does not exist");
    }
}

#[test]
fn every_alarm_of_the_template_is_on_the_page() {
    let (page, template) = (text_of(PAGE), text_of("template.yaml"));
    let alarms = template.split("    Type: AWS::CloudWatch::Alarm\n");
    let alarms: Vec<&str> =
        alarms.filter_map(|before| before.trim_end_matches(":\n").rsplit("\n  ").next()).collect();
    let (_end, alarms) = alarms.split_last().unwrap();
    assert!(alarms.len() >= 10, "{alarms:?}");
    for alarm in alarms {
        assert!(page.contains(&format!("`{alarm}`")), "{alarm}");
    }
}

/// Returns the name under which a heading is linked to, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|one| one.is_alphanumeric() || " -_".contains(*one));
    kept.map(|one| if one == ' ' { '-' } else { one.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_of_the_page_leads_to_a_heading() {
    let page = text_of(PAGE);
    let mut pages: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let links: Vec<&str> = page.split("](").skip(1).map(|link| link.split(')').next().unwrap()).collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let path = root().join("docs").join(file);
        let headings = pages.entry(path.clone()).or_insert_with(|| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{link}: {error}"));
            text.lines()
                .filter(|line| line.starts_with('#'))
                .map(|line| anchor(line.trim_start_matches('#')))
                .collect()
        });
        assert!(heading.is_empty() || headings.contains(heading), "{link}");
    }
}
