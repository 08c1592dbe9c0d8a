//! Who runs a command, as the ledger notes it.

use clap::Args;
use pipeline::requester::Requester;

/// Who runs the command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunBy {
    /// Your name, which the ledger notes as `NAME@HOST` [default: that of your login]
    #[arg(long = "operator", value_name = "NAME", env = "USER", hide_env = true)]
    name: Option<String>,
}

impl RunBy {
    /// Returns the requester of the loads that the command asks for.
    pub(crate) fn requester(&self) -> Option<Requester> {
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let host = host_name().unwrap_or_else(|| "unknown".to_owned());
        Requester::operator(format!("{}@{}", plain(name), plain(&host))).checked()
    }
}

/// Returns the name as one word: the ledger takes no other.
fn plain(text: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || "._+-".contains(*character);
    text.chars().take(60).map(|character| if is_plain(&character) { character } else { '_' }).collect()
}

/// Returns the name of this machine, where the system tells it.
fn host_name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(file).ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::RunBy;

    #[test]
    fn any_name_becomes_one_word() {
        let operator = |name: Option<&str>| {
            let run_by = RunBy { name: name.map(str::to_owned) };
            run_by.requester().unwrap().operator.unwrap()
        };
        assert!(operator(Some("CLINIC\\jürgen m")).starts_with("CLINIC_j_rgen_m@"));
        assert!(operator(None).starts_with("unknown@"));
        assert!(operator(Some(&"x".repeat(500))).len() < 128);
    }
}
