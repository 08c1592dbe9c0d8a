//! Refusals: what the database does not do until a person changes something. Each says what, where, and what to do next.
//!
//! The server's own words quote documents, so only names of commands, collections and databases are taken from them.

use super::codes::named;

/// Why the database refuses to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The server's error code and its name, and what it refused.
    pub(crate) code: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

/// A command, as refusals name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedCommand<'a> {
    pub(super) command: &'a str,
    pub(super) collection: Option<&'a str>,
    pub(super) database: &'a str,
    /// Whether the connection string names a user.
    pub(super) has_user: bool,
}

pub(super) const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const CANNOT_CREATE_INDEX: i32 = 67;
const INVALID_NAMESPACE: i32 = 73;
const DATABASE_DIFFERS_IN_CASE: i32 = 13297;

impl Refusal {
    /// Returns what `Unauthorized` means, by the server's words; `None` if they do not say what was refused.
    pub(super) fn unauthorized(message: &str) -> Option<Self> {
        let needs_user = message.contains("requires authentication");
        let target = refused_command(message, !needs_user);
        let without_user = || RefusedCommand { command: "", collection: None, database: "", has_user: false };
        let target = target.or_else(|| needs_user.then(without_user));
        target.map(|target| Self::at(UNAUTHORIZED, target))
    }

    /// Returns what a code means that repeating cannot overcome; `None` for other codes.
    pub(super) fn of_code(code: i32) -> Option<Self> {
        let remedy = match code {
            UNAUTHORIZED => "grant the database user the role of docs/security.md",
            AUTHENTICATION_FAILED => {
                "check the user, the password and authSource in the connection string; a role of AWS must be a user of \
                 the database"
            }
            59 | 115 | 166 => {
                "it does not know a command that is needed: use a MongoDB server of a version that has it, and no view \
                 of the database by the name of a table"
            }
            CANNOT_CREATE_INDEX => "remove indexes that nobody needs: a collection has at most 64",
            INVALID_NAMESPACE => {
                "choose another name: a database has at most 63 bytes without space, dot, dollar and slash, and with \
                 the collection at most 255"
            }
            79 | 100 => "repair the replica set: too few members hold data for a majority",
            8000 => "see the user, its rights and the limits of the cluster in Atlas",
            DATABASE_DIFFERS_IN_CASE => {
                "write the database's name exactly as it stands: another one differs in upper and lower case alone"
            }
            14031 => "make room on its disk",
            _ => return None,
        };
        Some(Self { code: named(code), remedy: remedy.to_owned() })
    }

    /// Returns what a code means for that command.
    pub(super) fn at(code: i32, target: RefusedCommand<'_>) -> Self {
        let RefusedCommand { command, database, has_user, .. } = target;
        let place = target.place();
        let refusal = Self::of_code(code);
        match code {
            UNAUTHORIZED if !has_user => Self {
                code: format!("{}: the connection string names no user", named(code)),
                remedy: "put one into it, as mongodb://USER:PASSWORD@HOST/DATABASE".to_owned(),
            },
            UNAUTHORIZED => Self {
                code: format!("{}: {command} {place}", named(code)),
                remedy: format!(
                    "grant the database user {} on the database {database}, by the role of docs/security.md",
                    actions(command),
                ),
            },
            _ => {
                let remedy = refusal.map_or_else(String::new, |refusal| refusal.remedy);
                Self { code: format!("{}: {command} {place}", named(code)), remedy }
            }
        }
    }
}

impl RefusedCommand<'_> {
    fn place(self) -> String {
        let database = self.database;
        match self.collection {
            Some(collection) => format!("on {collection} in the database {database}"),
            None => format!("in the database {database}"),
        }
    }
}

/// Returns the actions that a command needs, as `db.createRole` calls them.
fn actions(command: &str) -> String {
    let action = match command {
        "find" | "count" | "aggregate" | "distinct" => "find",
        "update" | "findAndModify" => return "the actions update and insert".to_owned(),
        "delete" => "remove",
        "create" => "createCollection",
        "createIndexes" => "createIndex",
        "dropIndexes" => "dropIndex",
        "drop" => "dropCollection",
        other => other,
    };
    format!("the action {action}")
}

/// Reads `not authorized on DATABASE to execute command { COMMAND: "COLLECTION", …`, and nothing behind that.
fn refused_command(message: &str, has_user: bool) -> Option<RefusedCommand<'_>> {
    let rest = message.strip_prefix("not authorized on ")?;
    let (database, rest) = rest.split_once(" to execute command { ")?;
    let (command, rest) = rest.split_once(": ")?;
    let collection = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
    let is_name = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        !text.is_empty() && text.bytes().all(is_plain)
    };
    let collection = collection.filter(|collection| is_name(collection));
    let target = RefusedCommand { command, collection, database, has_user };
    (is_name(command) && is_name(database)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::{Refusal, RefusedCommand, UNAUTHORIZED, refused_command};

    #[test]
    fn a_missing_right_names_the_action_the_place_and_the_remedy() {
        let target = RefusedCommand {
            command: "collMod",
            collection: Some("patients"),
            database: "fhir",
            has_user: true,
        };
        let refusal = Refusal::at(UNAUTHORIZED, target);
        assert_eq!(refusal.code, "13 Unauthorized: collMod on patients in the database fhir");
        assert_eq!(
            refusal.remedy,
            "grant the database user the action collMod on the database fhir, by the role of docs/security.md"
        );
        let nobody = Refusal::at(UNAUTHORIZED, RefusedCommand { has_user: false, ..target });
        assert_eq!(nobody.code, "13 Unauthorized: the connection string names no user");
    }

    #[test]
    fn names_are_all_that_is_taken_from_the_words_of_the_server() {
        let message =
            "not authorized on fhir to execute command { find: \"_loads\", filter: { a: \"CANARY\" } }";
        let target = refused_command(message, true).unwrap();
        assert_eq!((target.command, target.collection, target.database), ("find", Some("_loads"), "fhir"));
        let odd = "not authorized on fhir to execute command { find: \"CANARY value\", filter: {} }";
        assert_eq!(refused_command(odd, true).unwrap().collection, None);
        for other in ["", "not authorized", "not authorized on fhir to execute command { CANARY value: 1 }"] {
            assert!(refused_command(other, true).is_none(), "{other}");
        }
    }
}
