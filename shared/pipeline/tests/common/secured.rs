//! A database where users have passwords, and the roles that `docs/security.md` tells administrators to make.

#![allow(dead_code, reason = "each program of tests uses a part of it")]

use std::path::Path;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use crate::replica_set::ReplicaSet;

/// The databases of the page.
pub(crate) const ROWS: &str = "fhir";
pub(crate) const ARCHIVE: &str = "fhir_archive";

/// The name and the password of the administrator. No message may hold the password.
const ADMINISTRATOR: &str = "administrator";
pub(crate) const PASSWORD: &str = "geheim-CANARY";

/// A server with an administrator and the roles of the page.
pub(crate) struct Secured {
    set: ReplicaSet,
    client: Client,
}

/// A role of the page.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// The command that makes it.
    pub(crate) command: Document,
}

impl Secured {
    pub(crate) async fn start(mongod: &Path) -> Self {
        let mut set = ReplicaSet::start(mongod, 1, Some("a key that the members of the set share"));
        set.add_administrator(ADMINISTRATOR, PASSWORD);
        let client = Client::with_uri_str(set.uri()).await.unwrap();
        let secured = Self { set, client };
        for role in documented_roles() {
            secured.run(role.command).await;
        }
        secured
    }

    /// Makes a user with a role of the database `admin`, or with one of each database.
    pub(crate) async fn add_user(&self, name: &str, roles: Vec<Bson>) {
        self.run(doc! { "createUser": name, "pwd": PASSWORD, "roles": roles }).await;
    }

    /// Returns a connection string.
    pub(crate) fn uri(&self, user: &str, database: &str) -> String {
        self.set.uri_of(user, PASSWORD, database)
    }

    /// Returns the same with a password that is wrong.
    pub(crate) fn wrong_uri(&self, user: &str) -> String {
        self.set.uri_of(user, "wrong-CANARY", ROWS)
    }

    /// Returns the same without a user.
    pub(crate) fn uri_of_nobody(&self) -> String {
        self.set.uri_of_nobody(ROWS)
    }

    pub(crate) fn administrator() -> &'static str {
        ADMINISTRATOR
    }

    pub(crate) fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    pub(crate) async fn empty(&self) {
        for name in [ROWS, ARCHIVE] {
            self.database(name).drop().await.unwrap();
        }
    }

    /// Takes an action away from a role, or gives back what the page says.
    pub(crate) async fn change_role(&self, role: &Role, without: Option<&str>) {
        let mut privileges = role.command.get_array("privileges").unwrap().clone();
        for privilege in &mut privileges {
            let actions = privilege.as_document_mut().unwrap().get_array_mut("actions").unwrap();
            actions.retain(|action| without.is_none_or(|without| action.as_str() != Some(without)));
        }
        self.run(doc! { "updateRole": &role.name, "privileges": privileges }).await;
    }

    async fn run(&self, command: Document) {
        self.client.database("admin").run_command(command).await.unwrap();
    }
}

impl Role {
    /// Returns the actions that it has in any database.
    pub(crate) fn actions(&self) -> Vec<String> {
        let privileges = self.command.get_array("privileges").unwrap();
        let actions = privileges
            .iter()
            .flat_map(|privilege| privilege.as_document().unwrap().get_array("actions").unwrap().iter());
        let mut actions: Vec<_> = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
        actions.sort();
        actions.dedup();
        actions
    }
}

/// Returns the roles of the page: what stands in the parentheses of `createRole` is JSON.
pub(crate) fn documented_roles() -> Vec<Role> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let page = std::fs::read_to_string(path).unwrap();
    let blocks = page.split("```js\n").skip(1).map(|rest| rest.split("```").next().unwrap().trim());
    let prefix = "db.getSiblingDB(\"admin\").createRole(";
    let roles = blocks.filter_map(|block| block.strip_prefix(prefix)?.strip_suffix(')'));
    let roles: Vec<Role> = roles
        .map(|json| {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let mut role = mongodb::bson::serialize_to_document(&value).unwrap();
            let name = role.remove("role").unwrap().as_str().unwrap().to_owned();
            let mut command = doc! { "createRole": &name };
            command.extend(role);
            Role { name, command }
        })
        .collect();
    let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["flatfire", "flatfireTidy"], "the roles of docs/security.md");
    roles
}
