//! `flatfire explain`, `completions` and `man`

use crate::program::run;

#[test]
fn a_code_is_explained_and_a_wrong_one_leads_to_the_right_one() {
    let ran = run(&["explain", "window-too-large"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for part in ["window-too-large: a reject of a part of a file", "what is missing", "zstd --long=27"] {
        assert!(ran.stdout.contains(part), "{}", ran.stdout);
    }
    let ran = run(&["explain", "window"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("did you mean window-too-large?"), "{}", ran.stderr);
    let all = run(&["explain"]).stdout;
    assert!(all.lines().count() > 45 && all.contains("refused-by-database"), "{all}");
}

#[test]
fn shells_and_manuals_know_every_command() {
    let commands = ["load", "status", "forget", "work", "explain", "completions"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}: {}", ran.stderr);
        assert!(commands.iter().all(|command| ran.stdout.contains(command)), "{shell}");
    }
    let manual = run(&["man"]).stdout;
    assert!(manual.starts_with(".ie") || manual.starts_with(".TH"), "{}", &manual[..40]);
    assert!(commands.iter().all(|command| manual.contains(command)));
    let work = run(&["man", "work"]).stdout;
    assert!(work.contains("concurrency") && work.contains("SIGTERM"), "{work}");
    assert_eq!(run(&["man", "fly"]).code, 1);
}
